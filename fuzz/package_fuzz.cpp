// links: package graph
// Opens a package of which one file is the fuzzer's. The first byte chooses the file; whatever the rest says, the answer is a model or an
// error, never a crash.
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "graph/builder.h"
#include "package/package.h"

namespace {

namespace fs = std::filesystem;

constexpr std::array names{"config.pbtxt", "1/model.onnx", "1/lineage.json", "1/golden/golden.json", "1/golden/0.png"};

sightline::graph::Graph small_graph() {
  sightline::graph::Builder builder(1);
  const std::string x = builder.image_input(8, 8, 3, {127, 127, 127}, {64, 64, 64});
  const std::string pooled = builder.flatten(builder.global_average_pool(builder.relu(builder.conv(x, 4, {}))));
  const std::string probabilities = builder.softmax(builder.linear(pooled, 2));
  builder.rename(probabilities, "probabilities");
  auto graph = builder.finish({"probabilities"}, {});
  if (!graph.ok()) std::abort();
  return *graph;
}

// A good package, written once, and a folder beside it with copies of its files.
struct Folders {
  fs::path root = fs::temp_directory_path() / ("sightline-package-fuzz-" + std::to_string(::getpid()));
  fs::path good = root / "good", tried = root / "tried";
  Folders() {
    sightline::package::Contents contents;
    contents.name = "fuzzed";
    contents.graph = small_graph();
    contents.labels = {"left", "right"};
    contents.preprocessing = {.width = 8, .height = 8, .channels = 3};
    contents.golden = {{"grey", {.width = 8, .height = 8, .channels = 3, .pixels = std::vector<std::uint8_t>(192, 100)}}};
    if (!sightline::package::write_package(contents, good.string()).ok()) std::abort();
    fs::copy(good, tried, fs::copy_options::recursive);
  }
  ~Folders() {
    std::error_code code;
    fs::remove_all(root, code);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folders folders;
  if (size == 0) return 0;
  const char* name = names[data[0] % names.size()];
  {
    std::ofstream file(folders.tried / name, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(data + 1), static_cast<std::streamsize>(size - 1));
  }
  (void)sightline::package::Model::open(folders.tried.string(), {.threads = 1}).ok();
  fs::copy_file(folders.good / name, folders.tried / name, fs::copy_options::overwrite_existing);
  return 0;
}
