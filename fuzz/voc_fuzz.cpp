// links: dataset
// A VOC file: it is refused in words, or read; and what is then written reads as the same again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/temporary_folder.h"
#include "dataset/collection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sightline;
  static const TemporaryFolder world;
  static const std::vector<std::string> files{"a.jpg", "a.xml"};
  const auto read = [](std::string_view content) {
    std::filesystem::remove(world / "a.xml");  // a file that is cut short is flushed to the disk each time
    std::ofstream(world / "a.xml", std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
    return dataset::read_voc(world.path(), files);
  };
  const auto collection = read({reinterpret_cast<const char*>(data), size});
  if (!collection.ok()) std::abort();  // one bad file is no reason to stop
  if (collection->pictures.empty() && collection->refused.empty()) std::abort();
  if (collection->pictures.empty()) return 0;
  for (const dataset::CollectedObject& object : collection->pictures[0].objects)
    if (object.category >= collection->categories.size()) std::abort();
  const auto written = dataset::write_voc(*collection);
  const auto again = read(written.at(0).text);
  if (!again.ok() || !again->refused.empty() || dataset::write_voc(*again) != written) std::abort();
  return 0;
}
