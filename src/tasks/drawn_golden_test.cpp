// What each task draws onto a picture, held to pictures that were looked at: tests/golden/drawn/TASK_answer.png and TASK_truth.png. The
// picture and the answer are made up here. SIGHTLINE_DRAW_GOLDEN=1 writes them anew (scripts/draw-golden); look at them before you commit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/files.h"
#include "image/image.h"
#include "tasks/tasks.h"

namespace sightline::tasks {
namespace {

constexpr int width = 160, height = 120;
constexpr const char* folder = "tests/golden/drawn";

// OpenCV rounds lines and letters otherwise from version to version.
struct Tolerance {
  int level = 24;       // of a pixel's value that counts as another one
  double share = 0.01;  // of the pixels that may be others
} constexpr tolerance;

image::Image ground() {
  image::Image picture{.width = width, .height = height, .channels = 3, .pixels = {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (const int base : {70, 90, 110}) picture.pixels.push_back(static_cast<std::uint8_t>(base + x / 4 + y / 3));
  return picture;
}

// Says something of everything that a task may draw.
annotation::Annotation answer() {
  annotation::Annotation said;
  said.objects = {{.label = 0, .box = {12, 14, 70, 64}, .score = 0.91}, {.label = 1, .box = {84, 40, 150, 104}, .score = 0.55}};
  said.label = 1;
  said.score = 0.8;
  said.mask = Tensor::zeros(Dtype::u8, {height, width});
  said.instances = Tensor::zeros(Dtype::i32, {height, width});
  said.score_map = Tensor::zeros(Dtype::f32, {12, 16});
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const auto at = static_cast<std::size_t>(y * width + x);
      for (std::int32_t i = 0; i < 2; ++i) {
        const annotation::Box& box = said.objects[static_cast<std::size_t>(i)].box;
        const double dx = (x + 0.5 - (box.left + box.right) / 2) / (box.width() / 2),
                     dy = (y + 0.5 - (box.top + box.bottom) / 2) / (box.height() / 2);
        if (dx * dx + dy * dy > 1) continue;
        said.mask.values<std::uint8_t>()[at] = static_cast<std::uint8_t>(i + 1);
        said.instances.values<std::int32_t>()[at] = i + 1;
      }
    }
  for (int y = 0; y < 12; ++y)
    for (int x = 0; x < 16; ++x)
      said.score_map.values<float>()[static_cast<std::size_t>(y * 16 + x)] =
          std::exp(-0.08F * static_cast<float>((x - 11) * (x - 11) + (y - 7) * (y - 7)));
  said.attributes = {{.said = annotation::Attribute::yes, .score = 0.93}, {.said = annotation::Attribute::no, .score = 0.12}};
  said.text = "AB-123";
  said.readings = {{.text = "AB-123", .probability = 0.84, .characters = {0.99, 0.98, 1, 0.95, 0.97, 0.93}}};
  said.landmarks = {{.said = annotation::Landmark::visible, .x = 40, .y = 50, .score = 0.9},
                    {.said = annotation::Landmark::hidden, .x = 110, .y = 70, .score = 0.6}};
  said.restored = Tensor(Dtype::u8, {height, width, 3});
  for (auto& each : said.restored.values<std::uint8_t>()) each = 128;
  said.deviation = Tensor::filled({height, width}, 6);
  return said;
}

std::string compared(const image::Image& got, const image::Image& wanted) {
  if (got.width != wanted.width || got.height != wanted.height || got.channels != wanted.channels)
    return fmt::format("it is {}×{}×{}, not {}×{}×{}", got.width, got.height, got.channels, wanted.width, wanted.height, wanted.channels);
  std::size_t others = 0;
  for (std::size_t i = 0; i < got.pixels.size(); ++i) others += std::abs(got.pixels[i] - wanted.pixels[i]) > tolerance.level ? 1 : 0;
  const double share = static_cast<double>(others) / static_cast<double>(got.pixels.size());
  return share <= tolerance.share ? "" : fmt::format("{:.1f}% of its values are others", 100 * share);
}

TEST(DrawnGolden, EveryTaskDrawsWhatItDidWhenItWasLookedAt) {
  const bool anew = std::getenv("SIGHTLINE_DRAW_GOLDEN") != nullptr;
  int drawn = 0;
  for (const Task& task : all_tasks()) {
    for (const auto& [what, draw] : {std::pair{"answer", task.draw}, std::pair{"truth", task.draw_truth}}) {
      if (draw == nullptr) continue;
      image::Image picture = ground();
      draw(picture, answer(), {"left eye", "right eye"});
      EXPECT_NE(picture.pixels, ground().pixels) << task.name << " draws nothing";
      const std::string path = fmt::format("{}/{}_{}.png", folder, task.name, what);
      if (anew) {
        ASSERT_TRUE(make_directories(folder).ok());
        ASSERT_TRUE(write_file(path, image::encode_png(picture)).ok());
      }
      const auto wanted = image::read_image(path);
      ASSERT_TRUE(wanted.ok()) << wanted.error().message;
      EXPECT_EQ(compared(picture, *wanted), "") << path;
      ++drawn;
    }
  }
  EXPECT_GE(drawn, 12);
  // A line less is noticed.
  image::Image less = ground();
  EXPECT_NE(compared(less, *image::read_image(fmt::format("{}/detect_answer.png", folder))), "");
}

}  // namespace
}  // namespace sightline::tasks
