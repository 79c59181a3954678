// Small packages to serve, and a picture to ask them about.
#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"
#include "base/random.h"
#include "graph/builder.h"
#include "package/package.h"

namespace sightline::serving {

inline image::Image test_picture(std::uint64_t seed = 1, int width = 20, int height = 16) {
  image::Image picture{.width = width, .height = height, .channels = 3, .pixels = {}};
  picture.pixels.resize(static_cast<std::size_t>(width * height * 3));
  Random random(seed);
  for (auto& value : picture.pixels) value = static_cast<std::uint8_t>(random.below(256));
  return picture;
}

// A classifier of three classes; other seeds have other weights.
inline Result<void> write_test_package(const std::string& folder, const std::string& name, std::uint64_t seed = 3, int width = 8) {
  graph::Builder builder(seed);
  const std::string x = builder.image_input(12, 12, 3, {127.0F, 127.0F, 127.0F}, {64.0F, 64.0F, 64.0F});
  const std::string features = builder.flatten(builder.global_average_pool(builder.relu(builder.conv(x, width, {.bias = true}))));
  builder.rename(builder.softmax(builder.linear(features, 3)), "probabilities");
  package::Contents contents;
  contents.name = name;
  contents.graph = *builder.finish({"probabilities"}, {});
  contents.labels = {"shirt", "boot", "hat"};
  contents.preprocessing = {.width = 12, .height = 12, .channels = 3, .fit = image::Fit::stretch};
  contents.golden = {{"first", test_picture(1)}, {"second", test_picture(2)}};
  contents.lineage = {{"data", "made up"}};
  return package::write_package(contents, folder);
}

}  // namespace sightline::serving
