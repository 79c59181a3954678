// Importing pictures with texts: what the table gives, and what is wrong in it.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "base/files.h"
#include "dataset/audit.h"
#include "dataset/import.h"
#include "dataset/packed_set.h"
#include "dataset/split.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string png(int seed, int width = 40, int height = 12) { return image::encode_png(scene(width, height, 3, seed)); }

Result<Manifest> import_from(const TestFolder& folder, demand::Data data = {.max_rejected = 1}, const demand::SplitPlan& plan = {}) {
  data.path = folder.path();
  return import_data(data, plan);
}

std::vector<std::string> rejections(const Manifest& manifest) {
  std::vector<std::string> all;
  for (const Rejection& rejection : manifest.rejected) all.push_back(rejection.path + ": " + rejection.reason);
  return all;
}

std::vector<std::string> texts_of(const Manifest& manifest) {
  std::vector<std::string> all;
  for (const Sample& sample : manifest.samples) all.push_back(sample.path + " " + sample.annotation.text);
  return all;
}

TEST(ImportTexts, SymbolsAreTheClasses) {
  const TestFolder folder;
  for (int i = 0; i < 3; ++i) folder.add(fmt::format("images/{}.png", i), png(i));
  folder.add("labels.csv", "file,text,split\nimages/0.png,京B21,\nimages/1.png,\"A,1\",test\nimages/2.png, 2京 ,\n");
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->format, "texts");
  EXPECT_THAT(texts_of(*manifest), ElementsAre("images/0.png 京B21", "images/1.png A,1", "images/2.png 2京"));
  EXPECT_THAT(manifest->classes, ElementsAre(",", "1", "2", "A", "B", "京"));
  EXPECT_TRUE(manifest->given_test);
  EXPECT_TRUE(holds_texts(*manifest));
  EXPECT_FALSE(holds_objects(*manifest));
  EXPECT_THAT(classes_within(*manifest, manifest->samples[0]), ElementsAre(5, 4, 2, 1));
  // As JSON lines and back.
  const auto again = parse_manifest(write_manifest(*manifest), "m");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->samples[0].annotation, manifest->samples[0].annotation);
  std::string other = write_manifest(*manifest);
  other.replace(other.find("\"text\":\"京B21\""), std::string("\"text\":\"京B21\"").size(), "\"text\":\"京Z21\"");
  EXPECT_THAT(parse_manifest(other, "m").error().message, HasSubstr("not one of the 6 classes"));
}

TEST(ImportTexts, ThePartOfAPictureIsTheSample) {
  const TestFolder folder;
  folder.add("car.png", png(1, 60, 40));
  folder.add("labels.csv",
             "file,x,y,w,h,text\ncar.png,10,20,30,10,AB1\ncar.png,0,0,20,8,CD2\ncar.png,50,30,30,30,E3\ncar.png,70,0,5,5,F4\n"
             "car.png,0,0,0,8,G5\n");
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(texts_of(*manifest), ElementsAre("car.png#10,20,30,10 AB1", "car.png#0,0,20,8 CD2", "car.png#50,30,30,30 E3"));
  EXPECT_EQ(manifest->samples[0].width, 30);
  EXPECT_EQ(manifest->samples[2].width, 10) << "what lies beyond the picture is cut";
  EXPECT_NE(manifest->samples[0].digest, manifest->samples[1].digest);
  EXPECT_THAT(rejections(*manifest),
              testing::Contains(HasSubstr("car.png#70,0,5,5: the part 70,0,5,5 lies beyond the picture, which is 60×40")));
  EXPECT_THAT(rejections(*manifest), testing::Contains(HasSubstr("x, y, w and h are no part of a picture (line 6 of labels.csv)")));
  const auto picture = SampleReader(manifest->root).read(manifest->samples[0].path);
  ASSERT_TRUE(picture.ok());
  const image::Image whole = scene(60, 40, 3, 1);
  EXPECT_EQ(picture->height, 10);
  EXPECT_EQ(picture->pixels[0], whole.pixels[20 * 180 + 30]);
}

TEST(ImportTexts, SaysWhatIsWrongAndWhere) {
  const TestFolder folder;
  for (int i = 0; i < 7; ++i) folder.add(fmt::format("{}.png", i), png(i));
  folder.add("symbols.list", "A\nB\n1\n");
  folder.add("labels.csv", "path,text\n0.png,AB\n1.png,\n2.png,AZ\n0.png,AB\n0.png,A1\n3.png,A\xff\n9.png,A\n4.png,1\n5.png,A\tB\n");
  const auto manifest = import_from(folder, {.max_rejected = 1, .symbols = folder.path("symbols.list")});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(texts_of(*manifest), ElementsAre("0.png AB", "4.png 1"));
  EXPECT_THAT(manifest->classes, ElementsAre("A", "B", "1")) << "in the order of the list";
  EXPECT_THAT(
      rejections(*manifest),
      testing::IsSupersetOf(
          {"0.png: listed twice (line 5 of labels.csv)", "0.png: listed again as \"A1\", before as \"AB\" (line 6 of labels.csv)",
           "1.png: no text (line 3 of labels.csv)",
           "2.png: the text \"AZ\" has the symbol \"Z\", which symbols.list does not list (line 4 of labels.csv)",
           "3.png: the text is not UTF-8 (line 7 of labels.csv)", "5.png: the text has a control character (0x09) (line 10 of labels.csv)",
           "6.png: not in labels.csv", "9.png: no such file (line 8 of labels.csv)"}));
  // More than a hundredth is lost: nothing is built.
  EXPECT_THAT(import_from(folder, {.symbols = folder.path("symbols.list")}).error().message, HasSubstr("cannot be used"));
  folder.add("symbols.list", "A\nAB\n");
  EXPECT_THAT(import_from(folder, {.max_rejected = 1, .symbols = folder.path("symbols.list")}).error().message,
              HasSubstr("symbols.list:2"));
  folder.add("symbols.list", "A\nA\n");
  EXPECT_THAT(import_from(folder, {.max_rejected = 1, .symbols = folder.path("symbols.list")}).error().message, HasSubstr("twice"));
}

TEST(ImportTexts, ATableWithLabelsStaysATableOfLabels) {
  const TestFolder folder;
  for (int i = 0; i < 4; ++i) folder.add(fmt::format("{}.png", i), png(i));
  folder.add("labels.csv", "path,label,text\n0.png,car,A\n1.png,bus,B\n2.png,car,C\n3.png,bus,D\n");
  EXPECT_EQ(import_from(folder)->format, "csv");
  const auto texts = import_from(folder, {.format = "texts", .max_rejected = 1});
  ASSERT_TRUE(texts.ok()) << texts.error().message;
  EXPECT_EQ(texts->samples[1].annotation.text, "B");
}

TEST(ImportTexts, TheSameTextIsNeverInTwoSplits) {
  const TestFolder folder;
  std::string table = "path,text\n";
  for (int i = 0; i < 60; ++i) {
    folder.add(fmt::format("{:02}.png", i), png(i));
    table += fmt::format("{:02}.png,P{}\n", i, i / 3);
  }
  folder.add("labels.csv", table);
  auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  ASSERT_TRUE(assign_splits(*manifest, {}, 3).ok());
  std::map<std::string, Split> split_of;
  std::array<int, 3> counts{};
  for (const Sample& sample : manifest->samples) {
    EXPECT_EQ(split_of.emplace(sample.annotation.text, sample.split).first->second, sample.split) << sample.path;
    ++counts[static_cast<std::size_t>(sample.split)];
  }
  EXPECT_GE(counts[2], 6);
  EXPECT_GE(counts[1], 3);
  for (const Finding& finding : audit(*manifest).findings) EXPECT_NE(finding.kind, "near_duplicate") << finding.sentence;
}

TEST(PackTexts, SymbolsOfEachSample) {
  const TestFolder folder;
  for (int i = 0; i < 3; ++i) folder.add(fmt::format("{}.png", i), png(i));
  folder.add("labels.csv", "path,text\n0.png,BA\n1.png,A\n2.png,BBA\n");
  const auto manifest = import_from(folder);
  ASSERT_TRUE(manifest.ok());
  ASSERT_TRUE(pack(*manifest, {.width = 64, .height = 16, .channels = 3, .texts = true}, folder.path("set")).ok());
  const auto set = PackedSet::open(folder.path("set"));
  ASSERT_TRUE(set.ok()) << set.error().message;
  ASSERT_TRUE(set->has_texts());
  EXPECT_THAT(set->text_of(0), ElementsAre(1, 0));
  EXPECT_THAT(set->text_of(1), ElementsAre(0));
  EXPECT_THAT(set->text_of(2), ElementsAre(1, 1, 0));
  EXPECT_THAT(set->objects_of(0), IsEmpty());
  // A symbol that is no class is noticed.
  std::string bytes = *read_file(folder.path("set"));
  bytes[bytes.size() - 4] = 7;
  folder.add("broken", bytes);
  EXPECT_THAT(PackedSet::open(folder.path("broken")).error().message, HasSubstr("symbol 7 is no class"));
  ASSERT_TRUE(pack(*manifest, {.width = 64, .height = 16, .channels = 3}, folder.path("without")).ok());
  EXPECT_FALSE(PackedSet::open(folder.path("without"))->has_texts());
}

}  // namespace
}  // namespace sightline::dataset
