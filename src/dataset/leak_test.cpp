// Planted leaks: pictures of the test split copied into train as they are, re-encoded, resized, or both, must be found through what the
// manifest records of them, and nothing else may be reported.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/random.h"
#include "dataset/audit.h"
#include "dataset/duplicates.h"
#include "dataset/split.h"
#include "image/image.h"

namespace sightline::dataset {
namespace {

// A scene of discs and bars over a gradient, with a little noise.
image::Image make_picture(std::uint64_t id) {
  Random random(123, id);
  image::Image picture{.width = 120, .height = 90, .channels = 3, .pixels = std::vector<std::uint8_t>(120 * 90 * 3)};
  std::array<double, 3> base{}, slope_x{}, slope_y{};
  for (std::size_t k = 0; k < 3; ++k) {
    base[k] = random.uniform(60, 190);
    slope_x[k] = random.uniform(-0.6, 0.6);
    slope_y[k] = random.uniform(-0.6, 0.6);
  }
  struct Shape {
    double x, y, radius_x, radius_y;
    std::array<double, 3> colour;
    bool disc;
  };
  std::vector<Shape> shapes;
  for (int i = 0; i < 7; ++i) {
    shapes.push_back({random.uniform(0, 120),
                      random.uniform(0, 90),
                      random.uniform(6, 30),
                      random.uniform(6, 30),
                      {random.uniform(0, 255), random.uniform(0, 255), random.uniform(0, 255)},
                      random.below(2) == 0});
  }
  for (int y = 0; y < 90; ++y) {
    for (int x = 0; x < 120; ++x) {
      for (std::size_t k = 0; k < 3; ++k) {
        double value = base[k] + slope_x[k] * (x - 60) + slope_y[k] * (y - 45);
        for (const Shape& shape : shapes) {
          const double u = (x - shape.x) / shape.radius_x, v = (y - shape.y) / shape.radius_y;
          if (shape.disc ? u * u + v * v < 1 : std::max(std::abs(u), std::abs(v)) < 1) value = shape.colour[k];
        }
        value += random.uniform(-6, 6);
        picture.pixels[static_cast<std::size_t>((y * 120 + x) * 3) + k] = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
      }
    }
  }
  return picture;
}

Sample record(const std::string& path, const std::string& bytes, int label, Split split) {
  const auto picture = image::decode(std::as_bytes(std::span(bytes.data(), bytes.size())));
  EXPECT_TRUE(picture.ok());
  Sample sample;
  sample.path = path;
  sample.digest = sha256_of(bytes);
  sample.label = label;
  sample.split = split;
  if (!picture.ok()) return sample;
  const image::Statistics statistics = image::statistics_of(*picture);
  sample.width = picture->width;
  sample.height = picture->height;
  sample.channels = picture->channels;
  sample.perceptual_hash = image::perceptual_hash(*picture);
  sample.mean = statistics.mean;
  sample.deviation = statistics.deviation;
  sample.sharpness = statistics.sharpness;
  return sample;
}

TEST(Leak, CopiesReEncodedAndResizedTestPicturesAreFound) {
  Manifest manifest;
  manifest.classes = {"a", "b"};
  manifest.given_test = true;
  for (std::uint64_t i = 0; i < 400; ++i) {
    const bool test = i >= 300;
    manifest.samples.push_back(record("picture" + std::to_string(i) + ".png", image::encode_png(make_picture(i)), static_cast<int>(i % 2),
                                      test ? Split::test : Split::train));
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> planted;  // test sample, its copy in train
  for (std::int64_t i = 300; i < 360; ++i) {
    const image::Image picture = make_picture(static_cast<std::uint64_t>(i));
    std::string bytes;
    switch (i % 6) {
      case 0: bytes = image::encode_png(picture); break;
      case 1: bytes = image::encode_jpeg(picture, 90); break;
      case 2: bytes = image::encode_jpeg(picture, 50); break;
      case 3: bytes = image::encode_png(image::resize(picture, 60, 45)); break;
      case 4: bytes = image::encode_jpeg(image::resize(picture, 180, 135), 80); break;
      default: bytes = image::encode_webp(image::resize(picture, 80, 60), 75); break;
    }
    planted.emplace_back(i, static_cast<std::int64_t>(manifest.samples.size()));
    manifest.samples.push_back(record("copy" + std::to_string(i), bytes, static_cast<int>(i % 2), Split::train));
  }

  std::set<std::pair<std::int64_t, std::int64_t>> found;
  const Audit result = audit(manifest);
  for (const Finding& finding : result.findings) {
    if (finding.kind == "leak" && finding.samples.size() == 2) found.emplace(finding.samples[0], finding.samples[1]);
  }
  std::size_t hits = 0;
  for (const auto& pair : planted) {
    hits += found.count(pair);
    const Sample& original = manifest.samples[static_cast<std::size_t>(pair.first)];
    const Sample& copy = manifest.samples[static_cast<std::size_t>(pair.second)];
    EXPECT_TRUE(found.contains(pair)) << copy.path << ", way " << pair.first % 6 << ": "
                                      << image::hamming_distance(original.perceptual_hash, copy.perceptual_hash) << " bits, mean "
                                      << original.mean << " to " << copy.mean << ", deviation " << original.deviation << " to "
                                      << copy.deviation << ", sharpness " << original.sharpness << " to " << copy.sharpness;
  }
  EXPECT_EQ(found.size(), hits) << "pairs were reported that are no copies";
  EXPECT_EQ(result.counts.at("leak"), 120);

  // The split keeps what is given and takes no copy of a test picture for validation.
  const demand::SplitPlan plan;
  ASSERT_TRUE(assign_splits(manifest, plan, 1).ok());
  for (const auto& [original, copy] : planted) {
    EXPECT_EQ(manifest.samples[static_cast<std::size_t>(original)].split, Split::test);
    EXPECT_EQ(manifest.samples[static_cast<std::size_t>(copy)].split, Split::train);
  }
}

}  // namespace
}  // namespace sightline::dataset
