// links: dataset demand
// A data set of which one file is the fuzzer's: IDX pictures, IDX labels, either of them in gzip, or a CSV file (the first byte chooses).
// The answer is a manifest that accounts for every record, or an error; what the manifest lists can be read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/temporary_folder.h"
#include "dataset/import.h"
#include "dataset/manifest.h"
#include "image/image.h"

namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

void write(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

// Four good pictures of 2×2 and their labels.
const std::string pictures = "\0\0\x08\x03\0\0\0\x04\0\0\0\x02\0\0\0\x02"s + "0123456789abcdef";
const std::string labels = "\0\0\x08\x01\0\0\0\x04\0\1\0\1"s;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sightline;
  static const TemporaryFolder world;
  if (size == 0) return 0;
  const std::string root = world / "data";
  fs::remove_all(root);
  fs::create_directories(root);
  const std::string_view content(reinterpret_cast<const char*>(data + 1), size - 1);
  const int kind = data[0] % 5;
  demand::Data source{.path = root};
  source.max_rejected = 1;
  if (kind == 4) {
    write(root + "/labels.csv", content);
    for (const char* name : {"a.pgm", "b.pgm"}) write(root + "/" + name, "not a picture");
  } else {
    const bool of_pictures = kind % 2 == 0;
    const std::string ending = kind >= 2 ? ".gz" : "";
    write(root + "/train-images-idx3-ubyte" + (of_pictures ? ending : ""), of_pictures ? content : pictures);
    write(root + "/train-labels-idx1-ubyte" + (of_pictures ? "" : ending), of_pictures ? labels : content);
  }
  const auto manifest = dataset::import_data(source, {});
  if (!manifest.ok()) {
    if (manifest.error().message.empty()) std::abort();
    return 0;
  }
  for (const dataset::Sample& sample : manifest->samples)
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= manifest->classes.size()) std::abort();
  const auto again = dataset::parse_manifest(dataset::write_manifest(*manifest), "fuzz");
  if (!again.ok() || again->samples.size() != manifest->samples.size()) std::abort();
  dataset::SampleReader reader(manifest->root);
  for (std::size_t i = 0; i < manifest->samples.size() && i < 8; ++i)
    if (!reader.read(manifest->samples[i].path).ok()) std::abort();
  return 0;
}
