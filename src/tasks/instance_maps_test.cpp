#include "tasks/instance_maps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/random.h"

namespace sightline::tasks {
namespace {

using Labels = std::vector<std::int32_t>;

// Discs and bars that touch each other, cut by the picture's edge where they reach it.
Labels drawn(std::int64_t height, std::int64_t width, std::uint64_t seed) {
  Random random(seed);
  Labels labels(static_cast<std::size_t>(height * width), 0);
  for (std::int32_t number = 1; number <= 12; ++number) {
    const double x = random.uniform(0, static_cast<double>(width)), y = random.uniform(0, static_cast<double>(height)),
                 wide = random.uniform(4, 9), high = wide * random.uniform(0.7, 1.4);
    for (std::int64_t row = 0; row < height; ++row)
      for (std::int64_t column = 0; column < width; ++column) {
        const double dx = (static_cast<double>(column) + 0.5 - x) / wide, dy = (static_cast<double>(row) + 0.5 - y) / high;
        std::int32_t& label = labels[static_cast<std::size_t>(row * width + column)];
        if (label == 0 && dx * dx + dy * dy < 1) label = number;
      }
  }
  return labels;
}

// The definition, pixel by pixel.
InstanceMaps slow_maps(const Labels& labels, std::int64_t height, std::int64_t width) {
  InstanceMaps maps{std::vector<float>(labels.size()), std::vector<float>(labels.size())};
  std::map<std::int32_t, double> deepest;
  std::vector<double> distance(labels.size(), -1);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == 0) continue;
    const auto x = static_cast<std::int64_t>(i) % width, y = static_cast<std::int64_t>(i) / width;
    double least = 1e18;
    for (std::int64_t row = 0; row < height; ++row)
      for (std::int64_t column = 0; column < width; ++column)
        if (labels[static_cast<std::size_t>(row * width + column)] != labels[i])
          least = std::min(least, std::hypot(static_cast<double>(column - x), static_cast<double>(row - y)));
    distance[i] = least;
    deepest[labels[i]] = std::max(deepest[labels[i]], least);
    maps.border[i] = least < 1.5 ? 1 : 0;
  }
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != 0) maps.depth[i] = static_cast<float>(distance[i] / deepest[labels[i]]);
  return maps;
}

TEST(InstanceMaps, AreTheDefinition) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const Labels labels = drawn(40, 50, seed);
    const InstanceMaps fast = maps_of_instances(labels, 40, 50), slow = slow_maps(labels, 40, 50);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      ASSERT_EQ(fast.border[i], slow.border[i]) << i;
      ASSERT_NEAR(fast.depth[i], slow.depth[i], 1e-6) << i;
    }
  }
}

// Five by three, one object of three by three in the corner: the picture's edge is no border, so that the pixel in the corner lies deepest,
// three pixels from the background.
TEST(InstanceMaps, ThePicturesEdgeIsNoBorder) {
  const Labels labels{1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0};
  const InstanceMaps maps = maps_of_instances(labels, 3, 5);
  const std::vector<float> border{0, 0, 1, 0, 0}, depth{1, 2.0F / 3, 1.0F / 3, 0, 0};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    EXPECT_EQ(maps.border[i], border[i % 5]) << i;
    EXPECT_FLOAT_EQ(maps.depth[i], depth[i % 5]) << i;
  }
  const InstanceMaps full = maps_of_instances(Labels(15, 4), 3, 5);
  EXPECT_EQ(full.depth, std::vector<float>(15, 1));
  EXPECT_EQ(full.border, std::vector<float>(15, 0));
}

std::vector<std::int32_t> back(const Labels& labels, const InstanceMaps& maps, std::int64_t height, std::int64_t width) {
  std::vector<std::uint8_t> classes(labels.size());
  std::transform(labels.begin(), labels.end(), classes.begin(),
                 [](std::int32_t label) { return label != 0 ? std::uint8_t{1} : std::uint8_t{0}; });
  return instances_of_maps({classes, maps.border, maps.depth, height, width});
}

// What touches is kept apart; a border between two may move by a pixel.
TEST(Watershed, BringsObjectsBackWithinAPixel) {
  int objects = 0, whole = 0;
  for (const std::uint64_t seed : {11U, 12U, 13U, 14U}) {
    Labels labels = drawn(64, 64, seed);
    const std::vector<std::int32_t> found = back(labels, maps_of_instances(labels, 64, 64), 64, 64);
    std::map<std::int32_t, std::map<std::int32_t, int>> shared;
    std::map<std::int32_t, int> size, found_size;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      EXPECT_TRUE(labels[i] != 0 || found[i] == 0);
      ++size[labels[i]];
      ++found_size[found[i]];
      ++shared[labels[i]][found[i]];
    }
    for (const auto& [label, pixels] : size) {
      if (label == 0 || pixels < 30) continue;  // what others hide but for a sliver
      ++objects;
      const auto best = std::ranges::max_element(shared[label], {}, [](const auto& each) { return each.second; });
      const int both = best->second, either = pixels + found_size[best->first] - both;
      whole += both * 10 > either * 8 ? 1 : 0;
    }
  }
  EXPECT_GT(objects, 30);
  EXPECT_GE(whole, objects - 2) << "of " << objects;  // a crescent may come back as two
}

// One row: seeds are the pixels to the sixth and from the twelfth on; the deepest between them, the seventh, comes first. The eleventh was
// reached before the eighth, which is as deep, so that the tenth, the bottom of the valley, is the second object's.
TEST(Watershed, MeetsInTheValley) {
  const std::vector<std::uint8_t> classes{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  const std::vector<float> depth{0.9F, 0.9F, 0.9F, 0.9F, 0.9F, 0.8F, 0.4F, 0.3F, 0.2F,
                                 0.1F, 0.3F, 0.6F, 0.7F, 0.8F, 0.8F, 0.8F, 0.8F, 0.8F};
  const std::vector<float> border(18, 0);
  const std::vector<std::int32_t> found = instances_of_maps({classes, border, depth, 1, 18});
  EXPECT_EQ(found, (std::vector<std::int32_t>{1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2}));
  // Without a seed the piece is one object; with too few pixels it is none; where there is no foreground there is nothing.
  EXPECT_EQ(instances_of_maps({classes, border, std::vector<float>(18, 0.2F), 1, 18}), std::vector<std::int32_t>(18, 1));
  std::vector<std::uint8_t> few(18, 0);
  std::fill_n(few.begin(), 7, std::uint8_t{1});
  EXPECT_EQ(instances_of_maps({few, border, depth, 1, 18}), std::vector<std::int32_t>(18, 0));
}

}  // namespace
}  // namespace sightline::tasks
