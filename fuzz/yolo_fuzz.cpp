// links: dataset
// YOLO's labels and, behind a line "====", its data.yaml: refused in words, or read; and what is then written reads as the same again.
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
  static const std::vector<std::string> files{"a.jpg", "a.txt", "b.jpg", "data.yaml"};
  const auto read = [](std::string_view labels, std::string_view names) {
    // A file that is cut short is flushed to the disk each time.
    for (const char* file : {"a.txt", "data.yaml"}) std::filesystem::remove(world / file);
    std::ofstream(world / "a.txt", std::ios::binary).write(labels.data(), static_cast<std::streamsize>(labels.size()));
    std::ofstream(world / "data.yaml", std::ios::binary).write(names.data(), static_cast<std::streamsize>(names.size()));
    return dataset::read_yolo(world.path(), files);
  };
  constexpr std::string_view between = "\n====\n";
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  const std::size_t at = content.find(between);
  const auto collection =
      at == std::string_view::npos ? read(content, "names: [a, b]\n") : read(content.substr(0, at), content.substr(at + between.size()));
  if (!collection.ok()) {
    if (collection.error().message.empty()) std::abort();
    return 0;
  }
  for (const dataset::CollectedPicture& picture : collection->pictures)
    for (const dataset::CollectedObject& object : picture.objects)
      if (object.category >= collection->categories.size()) std::abort();
  const auto written = dataset::write_yolo(*collection);
  std::string labels, names;
  for (const dataset::TextFile& file : written) (file.path == "a.txt" ? labels : names) = file.text;
  const auto again = read(labels, names);
  if (!again.ok() || dataset::write_yolo(*again) != written) std::abort();
  return 0;
}
