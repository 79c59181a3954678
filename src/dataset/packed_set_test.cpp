#include "dataset/packed_set.h"

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <limits>

#include "base/interrupt.h"
#include "base/random.h"
#include "dataset/import.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

class PackedSetTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 6; ++i) {
      folder.add(fmt::format("data/train/{}/{}.png", i % 2 == 0 ? "cat" : "dog", i), image::encode_png(scene(20 + i, 16, 3, i)));
      folder.add(fmt::format("data/test/{}/{}.png", i % 2 == 0 ? "cat" : "dog", i), image::encode_png(scene(12, 12, 1, i + 50)));
    }
    auto imported = import_data({.path = folder.path("data")}, {});
    ASSERT_TRUE(imported.ok()) << imported.error().message;
    manifest = std::move(*imported);
  }

  TestFolder folder;
  Manifest manifest;
  const PackOptions options{.width = 12, .height = 10, .channels = 3};
};

TEST_F(PackedSetTest, HoldsWhatDecodeAndResizeGive) {
  const std::string path = folder.path("set.pack");
  const auto packed = pack(manifest, options, path);
  ASSERT_TRUE(packed.ok()) << packed.error().message;
  const auto set = PackedSet::open(path);
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->classes(), manifest.classes);
  const Tensor pixels = set->pixels();
  ASSERT_EQ(pixels.shape(), (Shape{12, 10, 12, 3}));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pixels.data()) % 64, 0U);
  for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
    const Sample& sample = manifest.samples[i];
    EXPECT_EQ(set->labels()[i], sample.label);
    EXPECT_EQ(set->splits()[i], static_cast<std::uint8_t>(sample.split));
    const auto image = image::read_image(manifest.root + "/" + sample.path, {.channels = 3});
    ASSERT_TRUE(image.ok());
    const image::Image resized = image::resize(*image, 12, 10);
    EXPECT_EQ(std::memcmp(pixels.data() + i * 360, resized.pixels.data(), 360), 0) << sample.path;
  }
  EXPECT_EQ(set->indices_of(Split::test).size(), 6U);
  EXPECT_EQ(set->indices_of(Split::train).size(), 6U);
  EXPECT_TRUE(set->indices_of(Split::validation).empty());
}

TEST_F(PackedSetTest, IsTheSameFileEachTime) {
  ASSERT_TRUE(pack(manifest, options, folder.path("a")).ok());
  ASSERT_TRUE(pack(manifest, options, folder.path("b")).ok());
  EXPECT_EQ(*read_file(folder.path("a")), *read_file(folder.path("b")));
}

TEST_F(PackedSetTest, ChangedAndVanishedImagesAreNamedAndNothingIsLeft) {
  folder.add("data/train/cat/0.png", image::encode_png(scene(20, 16, 3, 99)));
  const auto changed = pack(manifest, options, folder.path("x"));
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.error().kind, ErrorKind::invalid_data);
  EXPECT_THAT(changed.error().message, testing::AllOf(testing::HasSubstr("train/cat/0.png"), testing::HasSubstr("changed")));
  std::filesystem::remove(folder.path("data/train/cat/0.png"));
  const auto vanished = pack(manifest, options, folder.path("x"));
  ASSERT_FALSE(vanished.ok());
  EXPECT_THAT(vanished.error().message, testing::HasSubstr("train/cat/0.png"));
  folder.add("data/train/cat/0.png", "no picture any more");
  EXPECT_THAT(pack(manifest, options, folder.path("x")).error().message, testing::HasSubstr("changed"));
  EXPECT_EQ(folder.count(), 1U) << "only data/ should be there";
}

TEST_F(PackedSetTest, InterruptLeavesNothing) {
  request_interrupt();
  const auto status = pack(manifest, options, folder.path("x"));
  clear_interrupt();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::interrupted);
  EXPECT_EQ(folder.count(), 1U);
}

TEST_F(PackedSetTest, ImpossibleSizesAreRefused) {
  EXPECT_EQ(pack(manifest, {.width = 0, .height = 3, .channels = 3}, folder.path("x")).error().kind, ErrorKind::usage);
  EXPECT_EQ(pack(manifest, {.width = 3, .height = 3, .channels = 2}, folder.path("x")).error().kind, ErrorKind::usage);
  EXPECT_FALSE(pack(manifest, options, "/nonexistent/folder/x").ok());
}

TEST_F(PackedSetTest, EveryTruncationIsNoticed) {
  ASSERT_TRUE(pack(manifest, options, folder.path("set")).ok());
  const std::string whole = *read_file(folder.path("set"));
  for (std::size_t length = 0; length < whole.size(); length += length < 300 ? 1 : 37) {
    folder.add("cut", whole.substr(0, length));
    const auto set = PackedSet::open(folder.path("cut"));
    ASSERT_FALSE(set.ok()) << length;
    ASSERT_EQ(set.error().kind, ErrorKind::invalid_data) << length;
  }
  folder.add("cut", whole + "x");
  EXPECT_FALSE(PackedSet::open(folder.path("cut")).ok());
}

TEST_F(PackedSetTest, DamagedHeadersNeverReachBeyondTheFile) {
  ASSERT_TRUE(pack(manifest, options, folder.path("set")).ok());
  const std::string whole = *read_file(folder.path("set"));
  Random random(5);
  for (std::size_t at = 0; at < 260; ++at) {
    for (int trial = 0; trial < 2; ++trial) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(random.below(256));
      folder.add("damaged", damaged);
      const auto set = PackedSet::open(folder.path("damaged"));
      if (!set.ok()) continue;
      // What is accepted can be read to the last byte.
      const Tensor pixels = set->pixels();
      unsigned sum = 0;
      for (const std::byte b : pixels.bytes()) sum += std::to_integer<unsigned>(b);
      for (const std::int32_t label : set->labels()) ASSERT_LT(static_cast<std::size_t>(label), set->classes().size());
      ASSERT_GT(sum, 0U);
    }
  }
}

TEST_F(PackedSetTest, HugeCountsAreRefused) {
  for (const char* count : {"9223372036854775807", "1099511627777", "-1", "1e3", "\"3\""}) {
    std::string header = fmt::format(R"({{"channels":3,"classes":["a"],"count":{},"height":65536,"width":65536}})", count);
    header.resize(112, ' ');
    std::string file = "SLPACK01";
    const std::uint64_t length = header.size();
    file.append(reinterpret_cast<const char*>(&length), 8);
    folder.add("huge", file + header);
    EXPECT_FALSE(PackedSet::open(folder.path("huge")).ok()) << count;
  }
}

class PackedObjectsTest : public PackedSetTest {
 protected:
  void SetUp() override {
    PackedSetTest::SetUp();
    manifest.samples[0].annotation.objects = {{.label = 1, .box = {2, 4, 10, 12}}, {.label = 0, .box = {0, 0, 20, 16}, .crowd = true}};
    manifest.samples[2].annotation.objects = {{.label = 0, .box = {-3, 1, 5, 40}, .difficult = true}};
    wanted.objects = true;
    wanted.fit = image::Fit::fit;
    path = folder.path("objects");
    const auto packed = pack(manifest, wanted, path);
    ASSERT_TRUE(packed.ok()) << packed.error().message;
  }
  PackOptions wanted = options;
  std::string path;
};

TEST_F(PackedObjectsTest, HoldsObjectsWhereThePictureWent) {
  const auto set = PackedSet::open(path);
  ASSERT_TRUE(set.ok()) << set.error().message;
  ASSERT_TRUE(set->has_objects());
  const auto first = set->objects_of(0), third = set->objects_of(2);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(set->objects_of(1).size(), 0U);
  ASSERT_EQ(third.size(), 1U);
  EXPECT_EQ(set->objects().size(), 3U);
  const Sample& sample = manifest.samples[0];
  const image::Placement place = image::placement_of(sample.width, sample.height, 12, 10, image::Fit::fit);
  EXPECT_EQ(first[0].label, 1);
  EXPECT_EQ(first[0].ignored, 0U);
  EXPECT_FLOAT_EQ(first[0].left, static_cast<float>(2 * place.scale_x + place.offset_x));
  EXPECT_FLOAT_EQ(first[0].bottom, static_cast<float>(12 * place.scale_y + place.offset_y));
  EXPECT_EQ(first[1].ignored, 1U);
  EXPECT_EQ(third[0].ignored, 1U);
  const image::Placement other = image::placement_of(manifest.samples[2].width, manifest.samples[2].height, 12, 10, image::Fit::fit);
  EXPECT_EQ(third[0].left, static_cast<float>(std::max(0.0, -3 * other.scale_x + other.offset_x)));
  EXPECT_EQ(third[0].bottom, 10);  // clipped
  // The rest is the file without objects.
  PackOptions plain = wanted;
  plain.objects = false;
  ASSERT_TRUE(pack(manifest, plain, folder.path("plain")).ok());
  const auto without = PackedSet::open(folder.path("plain"));
  ASSERT_TRUE(without.ok());
  EXPECT_FALSE(without->has_objects());
  EXPECT_TRUE(without->objects_of(0).empty());
  EXPECT_TRUE(without->pixels().same_as(set->pixels()));
}

TEST_F(PackedObjectsTest, ASetMayHavePlacesAndNoObject) {
  for (Sample& sample : manifest.samples) sample.annotation = {};
  ASSERT_TRUE(pack(manifest, wanted, path).ok());
  const auto set = PackedSet::open(path);
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_TRUE(set->has_objects());
  EXPECT_TRUE(set->objects().empty());
  EXPECT_TRUE(set->objects_of(11).empty());
}

TEST_F(PackedObjectsTest, WhatLiesOutsideACroppedPictureIsLeftOut) {
  wanted.fit = image::Fit::crop;
  wanted.width = 4;
  wanted.height = 10;
  manifest.samples[0].annotation.objects = {{.label = 1, .box = {0, 4, 1, 12}}, {.label = 0, .box = {0, 0, 20, 16}}};
  ASSERT_TRUE(pack(manifest, wanted, path).ok());
  const auto set = PackedSet::open(path);
  ASSERT_TRUE(set.ok()) << set.error().message;
  ASSERT_EQ(set->objects_of(0).size(), 1U);
  EXPECT_EQ(set->objects_of(0)[0], (PackedObject{.label = 0, .left = 0, .top = 0, .right = 4, .bottom = 10}));
}

TEST_F(PackedObjectsTest, EveryDamageToObjectsIsNoticedOrHarmless) {
  const std::string whole = *read_file(path);
  for (std::size_t length = 0; length < whole.size(); length += length + 400 < whole.size() ? 41 : 1) {
    folder.add("cut", whole.substr(0, length));
    ASSERT_FALSE(PackedSet::open(folder.path("cut")).ok()) << length;
  }
  const std::size_t objects_at = whole.size() - 3 * sizeof(PackedObject);
  const std::size_t first_at = (objects_at - 13 * sizeof(std::uint64_t)) / 64 * 64;
  const auto refused = [&](std::size_t at, auto value, const char* what) {
    std::string damaged = whole;
    std::memcpy(damaged.data() + at, &value, sizeof value);
    folder.add("damaged", damaged);
    const auto set = PackedSet::open(folder.path("damaged"));
    ASSERT_FALSE(set.ok()) << what;
    EXPECT_EQ(set.error().kind, ErrorKind::invalid_data);
    EXPECT_THAT(set.error().message, testing::HasSubstr(what));
  };
  refused(first_at, std::uint64_t{1}, "follow each other");
  refused(first_at + 8, std::uint64_t{7}, "follow each other");
  refused(first_at + 12 * 8, std::uint64_t{4}, "follow each other");
  refused(objects_at, std::int32_t{2}, "no class");
  refused(objects_at, std::int32_t{-1}, "no class");
  refused(objects_at + 20, std::uint32_t{2}, "no class");
  for (const float value : {-1.0F, 13.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    refused(objects_at + 4, value, "within its picture");
  refused(objects_at + 16, 11.0F, "within its picture");
  refused(objects_at + 16, 0.0F, "within its picture");
  // Any byte of the two parts: refused, or read to the end within bounds.
  Random random(3);
  for (std::size_t at = first_at; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(random.below(256));
    folder.add("damaged", damaged);
    const auto set = PackedSet::open(folder.path("damaged"));
    if (!set.ok()) continue;
    std::size_t seen = 0;
    for (std::int64_t sample = 0; sample < 12; ++sample) seen += set->objects_of(sample).size();
    ASSERT_EQ(seen, 3U);
  }
}

TEST(PackedWriterTest, KeepsTargetsBesidePixelsAndGoesOnWithWhatIsThere) {
  const TestFolder folder;
  const std::string path = folder.path("views");
  const PackedSizes sizes{.height = 2, .width = 3, .channels = 1, .targets = 5, .classes = {"a", "b"}};
  const std::vector<std::int32_t> labels{0, 1, 1};
  const std::vector<Split> splits{Split::train, Split::validation, Split::train};
  const auto sample = [](int i) { return std::vector<std::uint8_t>(6, static_cast<std::uint8_t>(10 * i)); };
  const auto target = [](int i) { return std::vector<float>(5, 0.5F + static_cast<float>(i)); };
  {
    const auto writer = PackedWriter::open(path, sizes, labels, splits);
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    ASSERT_TRUE(writer->write(2, sample(2), target(2)).ok());
  }
  const auto again = PackedWriter::open(path, sizes, labels, splits);
  ASSERT_TRUE(again.ok());
  ASSERT_TRUE(again->write(0, sample(0), target(0)).ok());
  ASSERT_TRUE(again->write(1, sample(1), target(1)).ok());
  EXPECT_FALSE(again->write(1, sample(1), std::vector<float>(4)).ok());
  ASSERT_TRUE(again->sync().ok());
  const auto set = PackedSet::open(path);
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->target_width(), 5);
  ASSERT_EQ(set->targets().size(), 15U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(set->targets()[5 * i], 0.5F + static_cast<float>(i));
    EXPECT_EQ(static_cast<int>(set->pixels().bytes()[6 * i]), static_cast<int>(10 * i));
  }
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_FALSE(PackedSet::open(path).ok());
}

}  // namespace
}  // namespace sightline::dataset
