// Pictures and a net that are small enough for tests of seconds: three textures (rows, columns, squares) with noise, which a mirror does
// not change. For tests only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/random.h"
#include "graph/builder.h"
#include "training/toy_packed.h"

namespace sightline::training::toy {

inline constexpr int side = 8;
inline constexpr int classes = 3;

struct Counts {
  int training = 240, validation = 60, test = 0;
};

// noise: deviation on the 0..255 scale.
inline void write_set(const std::string& path, const Counts& counts = {}, double noise = 30) {
  const int count = counts.training + counts.validation + counts.test;
  std::vector<std::int32_t> labels;
  std::vector<std::uint8_t> splits;
  std::string pixels;
  for (int i = 0; i < count; ++i) {
    Random random(99, static_cast<std::uint64_t>(i));
    const int label = i % classes;
    labels.push_back(label);
    splits.push_back(i < counts.training ? 0 : i < counts.training + counts.validation ? 1 : 2);
    const auto phase = static_cast<int>(random.below(2));
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const int stripe = label == 0 ? y : label == 1 ? x : x + y;
        const double value = ((stripe + phase) % 2 == 0 ? 80 : 170) + noise * random.normal();
        pixels.push_back(static_cast<char>(static_cast<std::uint8_t>(std::min(255.0, std::max(0.0, value)))));
      }
    }
  }
  PackedBytes({{"height", side}, {"width", side}, {"channels", 1}, {"classes", {"rows", "columns", "squares"}}}, labels, splits)
      .part()
      .append(pixels)
      .write(path);
}

inline Result<graph::Graph> net(double dropout = 0) {
  graph::Builder builder(5);
  std::string x = builder.image_input(side, side, 1, {125}, {60});
  x = builder.relu(builder.batch_norm(builder.conv(x, 8, {})));
  x = builder.relu(builder.batch_norm(builder.conv(x, 16, {.stride = 2})));
  x = builder.flatten(builder.global_average_pool(x));
  if (dropout > 0) x = builder.dropout(x, static_cast<float>(dropout));
  builder.rename(builder.linear(x, classes), "logits");
  builder.rename(builder.softmax("logits"), "probabilities");
  return builder.finish({"probabilities"}, {"logits"});
}

// A folder that is gone when the test is.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sightline-training-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace sightline::training::toy
