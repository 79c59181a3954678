#include "dataset/import_attributes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/temporary_folder.h"
#include "dataset/audit.h"
#include "dataset/import.h"
#include "dataset/split.h"
#include "image/image.h"

namespace sightline::dataset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Attributes : testing::Test {
  TemporaryFolder place;
  void write(const std::string& table, int pictures) const {
    for (int i = 0; i < pictures; ++i) {
      image::Image picture{.width = 16, .height = 16, .channels = 3, .pixels = std::vector<std::uint8_t>(std::size_t{16} * 16 * 3)};
      for (std::size_t p = 0; p < picture.pixels.size(); ++p)
        picture.pixels[p] = static_cast<std::uint8_t>(p * static_cast<std::size_t>(i + 7) % 251);
      ASSERT_TRUE(write_file(place / fmt::format("{}.png", i), image::encode_png(picture)).ok());
    }
    ASSERT_TRUE(write_file(place / "table.csv", table).ok());
  }
  Result<Manifest> read(std::vector<std::string> columns) const {
    return import_data({.path = place.path(), .labels = std::nullopt, .attributes = std::move(columns)}, {});
  }
};

std::string said(const Sample& sample) {
  std::string text;
  for (const annotation::Attribute& each : sample.annotation.attributes)
    text += each.said == annotation::Attribute::yes ? '1' : each.said == annotation::Attribute::no ? '0' : '?';
  return text;
}

TEST_F(Attributes, ColumnsAreQuestionsValuesAndTags) {
  write("path,damaged,colour,tags\n0.png,1,red,wet;old\n1.png,no,blue,;\n2.png,,,\n3.png,TRUE,red,old\n", 4);
  const auto manifest = read({"damaged", "colour", "tags"});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(manifest->classes, ElementsAre("damaged", "colour: blue", "colour: red", "old", "wet"));
  EXPECT_EQ(said(manifest->samples[0]), "10111");
  EXPECT_EQ(said(manifest->samples[1]), "01000");
  EXPECT_EQ(said(manifest->samples[2]), "?????");
  EXPECT_EQ(said(manifest->samples[3]), "10110");
  const auto again = parse_manifest(write_manifest(*manifest), "again");
  ASSERT_TRUE(again.ok()) << again.error().message;
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(again->samples[i].annotation, manifest->samples[i].annotation);
  EXPECT_TRUE(holds_attributes(*again));
  EXPECT_FALSE(one_class_each(*again));
}

TEST_F(Attributes, ColumnsThatTeachNothingAreNamed) {
  write("path,damaged,colour,tags,colour: x\n0.png,1,red,red;old,a\n1.png,1,red,red,b\n", 2);
  EXPECT_THAT(read({"damaged"}).error().message, HasSubstr("column \"damaged\": all that it says is \"1\""));
  EXPECT_THAT(read({"colour"}).error().message, HasSubstr("leave it out"));
  EXPECT_THAT(read({"colour: x"}).error().message, HasSubstr("rename it"));
  EXPECT_THAT(read({"missing"}).error().message, HasSubstr("no column \"missing\""));
}

TEST_F(Attributes, OneLabelOfTwoColumnsIsRefused) {
  write("path,old,tags\n0.png,1,old;wet\n1.png,0,wet\n", 2);
  EXPECT_THAT(read({"old", "tags"}).error().message, HasSubstr("stands in column \"old\" as well"));
}

TEST_F(Attributes, RareLabelsComeIntoEverySplit) {
  std::string table = "path,damaged,colour\n";
  for (int i = 0; i < 60; ++i) table += fmt::format("{}.png,{},{}\n", i, i % 10 == 0 ? 1 : 0, i % 3 == 0 ? "red" : "blue");
  write(table, 60);
  auto manifest = read({"damaged", "colour"});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  const auto status = assign_splits(*manifest, {.validation = 0.2, .test = 0.2, .group_by = demand::GroupBy::none}, 0);
  ASSERT_TRUE(status.ok()) << status.error().message;
  std::array<int, 3> damaged{};
  for (const Sample& sample : manifest->samples)
    if (said(sample)[0] == '1') ++damaged[static_cast<std::size_t>(sample.split)];
  EXPECT_GE(damaged[0], 1);
  EXPECT_GE(damaged[1], 1);
  EXPECT_GE(damaged[2], 1);
}

TEST_F(Attributes, TheSameBytesWithOtherAttributesAreAConflict) {
  write("path,damaged,colour\n0.png,1,red\n1.png,0,blue\n2.png,0,red\n", 3);
  const auto bytes = read_file(place / "0.png");
  ASSERT_TRUE(bytes.ok());
  ASSERT_TRUE(write_file(place / "2.png", *bytes).ok());
  const auto manifest = read({"damaged", "colour"});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  const Audit found = audit(*manifest);
  const auto conflict = std::ranges::find(found.findings, "conflicting_labels", &Finding::kind);
  ASSERT_NE(conflict, found.findings.end());
  EXPECT_THAT(conflict->sentence, HasSubstr("the same bytes with other attributes: 0.png has damaged, colour: red"));
}

}  // namespace
}  // namespace sightline::dataset
