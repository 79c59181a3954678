#include "training/augment_masks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "training/batches.h"
#include "training/toy_masks.h"
#include "training/toy_set.h"

namespace sightline::training {
namespace {

using modules::Augmentation;

constexpr PictureShape shape{48, 64, 3};

// Black pictures in which each object is painted in its own grey: what a moved picture shows is what its mask says.
class PaintedMasks : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<toy::MaskedScene> scenes;
    for (std::uint64_t i = 0; i < 4; ++i) {
      toy::MaskedScene scene = toy::draw_discs(shape, i);
      for (std::size_t at = 0; at < scene.mask.size(); ++at)
        for (std::size_t k = 0; k < 3; ++k)
          scene.pixels[3 * at + k] = scene.instances[at] == 0 ? 0 : static_cast<std::uint8_t>(30 * scene.instances[at] + 40);
      scenes.push_back(std::move(scene));
    }
    toy::write_masked(folder / "set", shape, scenes, 4);
    auto opened = dataset::PackedSet::open(folder / "set");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    set = std::move(*opened);
    pixels = set.pixels();
    samples.shape = shape;
    samples.pixels = reinterpret_cast<const std::uint8_t*>(pixels.data());
    samples.labels = set.labels();
    samples.masks = &set;
    samples.chosen = {0, 1, 2, 3};
  }
  struct Seen {
    std::vector<std::uint8_t> picture = std::vector<std::uint8_t>(shape.bytes()), mask = std::vector<std::uint8_t>(48 * 64);
    std::vector<std::int32_t> instances;
  };
  Seen draw(Augmentation kind, std::int64_t epoch, std::int64_t sample) const {
    Seen seen;
    augment_masks(kind, samples, {7, epoch, sample}, seen.picture, seen.mask, seen.instances);
    return seen;
  }
  toy::Folder folder;
  dataset::PackedSet set;
  Tensor pixels;
  Samples samples;
};

TEST_F(PaintedMasks, WithoutAChangeAllStays) {
  const Seen seen = draw(Augmentation::none, 0, 2);
  EXPECT_TRUE(std::ranges::equal(seen.mask, set.mask_of(2)));
  EXPECT_TRUE(std::ranges::equal(seen.instances, set.instances_of(2)));
}

TEST_F(PaintedMasks, AMirrorIsExact) {
  for (std::int64_t sample = 0; sample < 4; ++sample) {
    const Seen one = draw(Augmentation::flip, 0, sample), other = draw(Augmentation::flip, 1, sample);
    for (int y = 0; y < shape.height; ++y)
      for (int x = 0; x < shape.width; ++x) {
        const auto a = static_cast<std::size_t>(y * shape.width + x), b = static_cast<std::size_t>(y * shape.width + shape.width - 1 - x);
        ASSERT_EQ(one.mask[a], other.mask[b]);
        ASSERT_EQ(one.instances[a], other.instances[b]);
      }
  }
}

// Away from borders, where pixels are mixed, the moved picture is as bright as its moved object was painted.
TEST_F(PaintedMasks, MovesTheMaskWithThePicture) {
  int compared = 0, unjudged = 0;
  for (const Augmentation kind : {Augmentation::light, Augmentation::light_unflipped})
    for (std::int64_t epoch = 0; epoch < 6; ++epoch)
      for (std::int64_t sample = 0; sample < 4; ++sample) {
        const Seen seen = draw(kind, epoch, sample);
        for (int y = 1; y + 1 < shape.height; ++y)
          for (int x = 1; x + 1 < shape.width; ++x) {
            const auto at = static_cast<std::size_t>(y * shape.width + x);
            if (seen.mask[at] == annotation::unjudged_pixel) {
              ++unjudged;
              continue;
            }
            ASSERT_EQ(seen.mask[at], seen.instances[at] > 0 ? 1 : 0);
            bool inside = true;
            for (int dy = -1; dy <= 1; ++dy)
              for (int dx = -1; dx <= 1; ++dx) {
                const auto near = static_cast<std::size_t>((y + dy) * shape.width + x + dx);
                inside = inside && seen.instances[near] == seen.instances[at] && seen.mask[near] == seen.mask[at];
              }
            if (!inside) continue;
            ++compared;
            ASSERT_EQ(seen.picture[3 * at], seen.instances[at] == 0 ? 0 : 30 * seen.instances[at] + 40) << x << " " << y;
          }
      }
  EXPECT_GT(compared, 50'000);
  EXPECT_GT(unjudged, 100) << "beyond the picture";
}

// Turned pictures too; tones are changed, so that objects are told by being brighter than the background.
TEST_F(PaintedMasks, TurnsTheMaskWithThePictureAndLeavesBlankedPartsOut) {
  std::int64_t right = 0, wrong = 0, unjudged = 0;
  for (std::int64_t epoch = 0; epoch < 12; ++epoch)
    for (std::int64_t sample = 0; sample < 4; ++sample) {
      const Seen seen = draw(Augmentation::strong, epoch, sample);
      for (std::size_t at = 0; at < seen.mask.size(); ++at) {
        if (seen.mask[at] == annotation::unjudged_pixel) {
          ++unjudged;
          continue;
        }
        const int darkest = *std::ranges::min_element(seen.picture);
        ((seen.picture[3 * at] > darkest + 45) == (seen.mask[at] == 1) ? right : wrong) += 1;
      }
    }
  EXPECT_LT(wrong * 25, right) << "but for mixed borders";
  EXPECT_GT(unjudged, 48 * 64);
}

TEST_F(PaintedMasks, BatchesCarryMasksAndMaps) {
  Batch batch;
  fill_batch(samples, samples.chosen, 0, 2, Augmentation::none, 1, 0, batch);
  ASSERT_EQ(batch.masks.size(), 2U * 48 * 64);
  ASSERT_EQ(batch.instance_maps.size(), 2U * 2 * 48 * 64);
  EXPECT_TRUE(std::ranges::equal(std::span(batch.masks).first(48 * 64), set.mask_of(0)));
  for (std::size_t at = 0; at < 48 * 64; ++at) {
    EXPECT_LE(batch.instance_maps[at], static_cast<float>(batch.masks[at]));
    EXPECT_EQ(batch.instance_maps[48 * 64 + at] > 0, batch.masks[at] == 1);
  }
}

}  // namespace
}  // namespace sightline::training
