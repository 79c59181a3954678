#include "training/augment_objects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "training/batches.h"
#include "training/toy_objects.h"
#include "training/toy_set.h"

namespace sightline::training {
namespace {

using dataset::PackedObject;
using modules::Augmentation;

constexpr PictureShape shape{64, 96, 3};

// Pictures of letterbox grey with one rectangle each, in a colour of its own.
class PaintedRectangles : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<toy::Scene> scenes;
    for (int i = 0; i < 6; ++i) {
      Random random(5, static_cast<std::uint64_t>(i));
      const auto left = static_cast<int>(random.below(50)), top = static_cast<int>(random.below(30));
      const int right = left + 14 + static_cast<int>(random.below(30)), bottom = top + 14 + static_cast<int>(random.below(18));
      toy::Scene scene{.pixels = std::vector<std::uint8_t>(shape.bytes(), 114), .objects = {}};
      for (int y = top; y < bottom; ++y)
        for (int x = left; x < right; ++x)
          for (int k = 0; k < 3; ++k) scene.pixels[static_cast<std::size_t>((y * shape.width + x) * 3 + k)] = k == i % 3 ? 250 : 20;
      scene.objects.push_back(
          {i % 3, static_cast<float>(left), static_cast<float>(top), static_cast<float>(right), static_cast<float>(bottom), 0});
      scenes.push_back(std::move(scene));
    }
    toy::write_scenes(folder / "set", shape, {"red", "green", "blue"}, scenes, 6);
    auto opened = dataset::PackedSet::open(folder / "set");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    set = std::move(*opened);
    pixels = set.pixels();
    samples.shape = shape;
    samples.pixels = reinterpret_cast<const std::uint8_t*>(pixels.data());
    samples.labels = set.labels();
    samples.objects = &set;
    samples.chosen = {0, 1, 2, 3, 4, 5};
  }

  struct Seen {
    std::vector<std::uint8_t> picture = std::vector<std::uint8_t>(shape.bytes());
    std::vector<PackedObject> objects;
  };
  Seen draw(Augmentation kind, std::uint64_t seed, std::int64_t epoch, std::int64_t sample) const {
    Seen seen;
    augment_objects(kind, samples, {seed, epoch, sample}, seen.picture, seen.objects);
    return seen;
  }

  // The colour of the class there, whatever the tones are.
  static bool painted(const Seen& seen, int label, int x, int y) {
    const std::uint8_t* at = seen.picture.data() + (y * shape.width + x) * 3;
    for (int k = 0; k < 3; ++k)
      if (k != label && at[label] - at[k] < 60) return false;
    return true;
  }

  toy::Folder folder;
  dataset::PackedSet set;
  Tensor pixels;
  Samples samples;
};

// The hull of the painted pixels within a pixel of the box, for what is alone in its colour.
TEST_F(PaintedRectangles, BoxesFollowThemThroughEveryChange) {
  for (const Augmentation kind : {Augmentation::none, Augmentation::flip, Augmentation::light, Augmentation::strong,
                                  Augmentation::light_unflipped, Augmentation::strong_unflipped, Augmentation::mosaic}) {
    int compared = 0;
    for (std::int64_t epoch = 0; epoch < 40; ++epoch) {
      for (std::int64_t sample = 0; sample < 6; ++sample) {
        const Seen seen = draw(kind, 7, epoch, sample);
        for (const PackedObject& object : seen.objects) {
          ASSERT_TRUE(object.left >= 0 && object.top >= 0 && object.right <= shape.width && object.bottom <= shape.height);
          const bool alone = std::ranges::count(seen.objects, object.label, &PackedObject::label) == 1;
          if (!alone || object.ignored != 0) continue;
          int left = shape.width, top = shape.height, right = 0, bottom = 0, area = 0;
          // About the box alone: of another of this colour a strip may be left that is no object any more.
          for (int y = std::max(0, static_cast<int>(object.top) - 4); y < std::min<int>(shape.height, static_cast<int>(object.bottom) + 5);
               ++y)
            for (int x = std::max(0, static_cast<int>(object.left) - 4); x < std::min<int>(shape.width, static_cast<int>(object.right) + 5);
                 ++x) {
              if (!painted(seen, object.label, x, y)) continue;
              left = std::min(left, x);
              right = std::max(right, x + 1);
              top = std::min(top, y);
              bottom = std::max(bottom, y + 1);
              ++area;
            }
          // A blanked square may hide a whole side; the box stays where the object is.
          const bool strong = kind == Augmentation::strong || kind == Augmentation::strong_unflipped;
          if (strong && area < 0.95 * (object.right - object.left) * (object.bottom - object.top)) {
            EXPECT_GE(left, std::floor(object.left) - 1);
            EXPECT_LE(right, std::ceil(object.right) + 1);
            continue;
          }
          EXPECT_NEAR(left, object.left, 1.01) << enum_name(kind) << " epoch " << epoch << " sample " << sample;
          EXPECT_NEAR(top, object.top, 1.01) << enum_name(kind) << " epoch " << epoch << " sample " << sample;
          EXPECT_NEAR(right, object.right, 1.01) << enum_name(kind) << " epoch " << epoch << " sample " << sample;
          EXPECT_NEAR(bottom, object.bottom, 1.01) << enum_name(kind) << " epoch " << epoch << " sample " << sample;
          ++compared;
        }
      }
    }
    EXPECT_GT(compared, kind == Augmentation::strong || kind == Augmentation::strong_unflipped ? 10 : 100) << enum_name(kind);
  }
}

TEST_F(PaintedRectangles, AMosaicHoldsSeveralPicturesAndAllKindsOfMoves) {
  int several = 0, cut = 0, drawn = 0;
  for (std::int64_t epoch = 0; epoch < 50; ++epoch)
    for (std::int64_t sample = 0; sample < 6; ++sample) {
      const Seen seen = draw(Augmentation::mosaic, 3, epoch, sample);
      ++drawn;
      several += seen.objects.size() > 1 ? 1 : 0;
      for (const PackedObject& object : seen.objects) cut += object.ignored != 0 ? 1 : 0;
    }
  EXPECT_GT(several, drawn / 4);
  EXPECT_GT(cut, 0);
}

TEST_F(PaintedRectangles, AreDrawnFromSeedEpochAndSampleAlone) {
  for (const Augmentation kind : {Augmentation::strong, Augmentation::mosaic}) {
    const Seen once = draw(kind, 7, 3, 1), again = draw(kind, 7, 3, 1);
    EXPECT_EQ(once.picture, again.picture);
    EXPECT_EQ(once.objects, again.objects);
    EXPECT_NE(once.picture, draw(kind, 8, 3, 1).picture);
    EXPECT_NE(once.picture, draw(kind, 7, 4, 1).picture);
    EXPECT_NE(once.picture, draw(kind, 7, 3, 2).picture);
  }
}

TEST_F(PaintedRectangles, MosaicEndsBeforeTheCourseDoes) {
  TrainingOrder order(samples, 2, Augmentation::mosaic, 7);
  order.follow(Course::of(40, 2));
  Batch batch;
  const auto as_light = [&](std::int64_t step) {
    order.fill(step, batch);
    Batch light;
    TrainingOrder plain(samples, 2, Augmentation::light, 7);
    plain.fill(step, light);
    return light.pixels == batch.pixels && light.objects == batch.objects;
  };
  EXPECT_FALSE(as_light(0));
  EXPECT_FALSE(as_light(34));
  EXPECT_TRUE(as_light(36));  // two steps after 85 %
  EXPECT_TRUE(as_light(39));
  // What is decided later than two steps before a batch changes nothing about it.
  Course longer = Course::of(40, 2);
  longer.revise(36, 80);
  order.follow(longer);
  EXPECT_TRUE(as_light(36));
  EXPECT_TRUE(as_light(37));
  EXPECT_EQ(as_light(44), longer.progress(42) >= mosaic_share);
}

TEST(MoveObject, CutsIgnoresAndDrops) {
  const PictureShape square{100, 100, 1};
  const Part whole{0, 0, 100, 100};
  PackedObject object{.label = 2, .left = 40, .top = 20, .right = 60, .bottom = 40};
  ASSERT_TRUE(move_object(square, {}, whole, nullptr, object));
  EXPECT_EQ(object, (PackedObject{.label = 2, .left = 40, .top = 20, .right = 60, .bottom = 40}));
  // Half the size: about the middle.
  ASSERT_TRUE(move_object(square, {.xx = 2, .yy = 2}, whole, nullptr, object));
  EXPECT_EQ(object, (PackedObject{.label = 2, .left = 45, .top = 35, .right = 55, .bottom = 45}));
  // Six of ten columns left: still an object. Two: ignored. One: gone.
  PackedObject most = object, little = object, gone = object;
  ASSERT_TRUE(move_object(square, {}, {49, 0, 100, 100}, nullptr, most));
  EXPECT_EQ(most.left, 49);
  EXPECT_EQ(most.ignored, 0U);
  ASSERT_TRUE(move_object(square, {}, {53, 0, 100, 100}, nullptr, little));
  EXPECT_EQ(little.ignored, 1U);
  EXPECT_FALSE(move_object(square, {}, {54, 0, 100, 100}, nullptr, gone));
  // Blanked but for less than a quarter.
  PackedObject hidden = object;
  const Part blanked{40, 30, 53, 60};
  ASSERT_TRUE(move_object(square, {}, whole, &blanked, hidden));
  EXPECT_EQ(hidden.ignored, 1U);
  EXPECT_EQ(hidden.right, 55);
  // A quarter turn: the hull of the corners.
  PackedObject turned{.left = 40, .top = 20, .right = 60, .bottom = 30};
  ASSERT_TRUE(move_object(square, {.xx = 0, .xy = 1, .yx = -1, .yy = 0}, whole, nullptr, turned));
  EXPECT_EQ(turned.right - turned.left, 10);
  EXPECT_EQ(turned.bottom - turned.top, 20);
}

}  // namespace
}  // namespace sightline::training
