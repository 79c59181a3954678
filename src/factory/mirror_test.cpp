#include "factory/mirror.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "base/random.h"
#include "base/temporary_folder.h"
#include "dataset/import.h"
#include "dataset/split.h"

namespace sightline::factory {
namespace {

using testing::HasSubstr;

// A bright wedge on a dark noisy ground that points to the left or to the right, somewhere near the middle.
image::Image wedge(bool left, Random& random) {
  constexpr int size = 24;
  image::Image picture{size, size, 1, {}};
  const double shift_x = random.uniform(-2, 2), shift_y = random.uniform(-2, 2);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const double along = (left ? x : size - 1 - x) - 4 - shift_x, across = std::abs(y - 11.5 - shift_y);
      const double value = (along > 0 && along < 14 && across < along / 2 ? 200 : 40) + 12 * random.normal();
      picture.pixels.push_back(static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0)));
    }
  }
  return picture;
}

dataset::Manifest manifest_of(const demand::Data& data) {
  auto manifest = dataset::import_data(data, {});
  EXPECT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_TRUE(dataset::assign_splits(*manifest, {}, 3).ok());
  return std::move(*manifest);
}

// Three classes: `left` and `right` point to opposite sides; `small` is `left` on a grey ground: it points as well, but nothing is its
// mirror image.
void write_wedges(const TemporaryFolder& folder, bool with_mirror_pair) {
  Random random(11);
  for (const char* name : {"left", "right", "grey"}) {
    std::filesystem::create_directories(folder / name);
    for (int i = 0; i < 60; ++i) {
      image::Image picture = wedge(std::string_view(name) != "right" || !with_mirror_pair, random);
      if (std::string_view(name) == "grey")
        for (auto& pixel : picture.pixels) pixel = static_cast<std::uint8_t>(pixel / 2 + 110);
      if (std::string_view(name) == "right" && !with_mirror_pair)
        for (auto& pixel : picture.pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
      ASSERT_TRUE(write_file(folder / name + "/" + std::to_string(i) + ".png", image::encode_png(picture)).ok());
    }
  }
}

TEST(Mirror, ClassesThatAreMirrorImagesOfEachOtherSuffer) {
  const TemporaryFolder folder;
  write_wedges(folder, true);
  const auto harm = harm_of_mirroring(manifest_of({.path = folder.path()}), 5);
  ASSERT_TRUE(harm.ok()) << harm.error().message;
  ASSERT_TRUE(harm->has_value());
  EXPECT_THAT(**harm, testing::AnyOf(HasSubstr("\"left\""), HasSubstr("\"right\"")));
}

TEST(Mirror, PicturesThatPointAllOneWayMayBeMirrored) {
  const TemporaryFolder folder;
  write_wedges(folder, false);
  const auto harm = harm_of_mirroring(manifest_of({.path = folder.path()}), 5);
  ASSERT_TRUE(harm.ok()) << harm.error().message;
  EXPECT_FALSE(harm->has_value()) << **harm;
}

// Shoes all point to the left there; in a mirror they are shoes still.
TEST(Mirror, FashionMnistMayBeMirrored) {
  const char* const fashion = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(fashion)) GTEST_SKIP() << fashion << " is missing (Debian package dataset-fashion-mnist)";
  const auto harm = harm_of_mirroring(manifest_of({.path = fashion}), 7);
  ASSERT_TRUE(harm.ok()) << harm.error().message;
  EXPECT_FALSE(harm->has_value()) << **harm;
}

// "Turn left" and "turn right", "keep left" and "keep right".
TEST(Mirror, RoadSignsMayNotBeMirrored) {
  const char* const signs = "../shared/data/cls_gtsrb_signs";
  if (!std::filesystem::exists(signs)) GTEST_SKIP() << signs << " is missing";
  const auto harm = harm_of_mirroring(manifest_of({.path = signs}), 7);
  ASSERT_TRUE(harm.ok()) << harm.error().message;
  ASSERT_TRUE(harm->has_value());
}

}  // namespace
}  // namespace sightline::factory
