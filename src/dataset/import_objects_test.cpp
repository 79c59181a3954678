// Importing pictures with objects: what each format's layout gives, and what is wrong in it.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "dataset/audit.h"
#include "dataset/import.h"
#include "dataset/split.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

using annotation::Box;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string png(int seed, int width = 40, int height = 30) { return image::encode_png(scene(width, height, 3, seed)); }

Manifest imported(const TestFolder& folder, demand::Data data = {.max_rejected = 1}) {
  data.path = folder.path();
  auto manifest = import_data(data, {});
  EXPECT_TRUE(manifest.ok()) << manifest.error().message;
  return manifest.ok() ? std::move(*manifest) : Manifest{};
}

std::string failure(const TestFolder& folder, demand::Data data = {}) {
  data.path = folder.path();
  const auto manifest = import_data(data, {});
  return manifest.ok() ? "it was imported" : manifest.error().message;
}

const Sample& sample_of(const Manifest& manifest, const std::string& path) {
  static const Sample none;
  const auto found =
      std::find_if(manifest.samples.begin(), manifest.samples.end(), [&](const Sample& sample) { return sample.path == path; });
  EXPECT_NE(found, manifest.samples.end()) << path;
  return found == manifest.samples.end() ? none : *found;
}

std::vector<std::string> rejections(const Manifest& manifest) {
  std::vector<std::string> all;
  for (const Rejection& rejection : manifest.rejected) all.push_back(rejection.path + ": " + rejection.reason);
  return all;
}

std::string voc_object(const std::string& name, int left, int top, int right, int bottom, const std::string& more = "") {
  return fmt::format("<object><name>{}</name>{}<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>\n",
                     name, more, left, top, right, bottom);
}

std::string voc(const std::string& name, const std::string& objects, int width = 40, int height = 30) {
  return fmt::format(
      "<annotation><filename>{}</filename><size><width>{}</width><height>{}</height><depth>3</depth></size>\n{}</annotation>\n", name,
      width, height, objects);
}

TEST(ImportObjects, VocAsItsAuthorsLayItOut) {
  const TestFolder folder;
  for (int i = 0; i < 4; ++i) folder.add(fmt::format("JPEGImages/{}.png", i), png(i));
  folder.add("Annotations/0.xml",
             voc("0.png", voc_object("cat", 1, 2, 11, 22) + voc_object("ant", 0, 0, 40, 30, "<difficult>1</difficult>")));
  folder.add("Annotations/1.xml", voc("1.png", ""));
  folder.add("Annotations/2.xml", voc("2.png", voc_object("dog", 5, 5, 6, 6)));
  folder.add("ImageSets/Main/train.txt", "0\n1\n");
  folder.add("ImageSets/Main/trainval.txt", "0\n1\n");
  folder.add("ImageSets/Main/test.txt", "2\n");
  folder.add("ImageSets/Main/cat_train.txt", "0 1\n1 -1\n");
  const Manifest manifest = imported(folder);
  EXPECT_EQ(manifest.format, "voc");
  EXPECT_THAT(manifest.classes, ElementsAre("ant", "cat", "dog"));
  EXPECT_TRUE(manifest.given_test);
  EXPECT_FALSE(manifest.given_validation);
  ASSERT_EQ(manifest.samples.size(), 3U);
  const Sample& first = sample_of(manifest, "JPEGImages/0.png");
  EXPECT_EQ(first.label, 0);
  ASSERT_EQ(first.annotation.objects.size(), 2U);
  EXPECT_EQ(first.annotation.objects[0], (annotation::Object{.label = 1, .box = {1, 2, 11, 22}}));
  EXPECT_TRUE(first.annotation.objects[1].difficult);
  EXPECT_EQ(first.annotation.objects[1].label, 0);
  EXPECT_THAT(sample_of(manifest, "JPEGImages/1.png").annotation.objects, IsEmpty());
  EXPECT_EQ(sample_of(manifest, "JPEGImages/2.png").split, Split::test);
  EXPECT_THAT(rejections(manifest),
              ElementsAre("ImageSets/Main/cat_train.txt: side file (.txt)", "JPEGImages/3.png: no annotations speak of it"));
  const auto again = parse_manifest(write_manifest(manifest), "again");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->samples[0].annotation, manifest.samples[0].annotation);
}

TEST(ImportObjects, VocBesideThePicturesInFoldersOfSplits) {
  const TestFolder folder;
  for (const char* split : {"trainval", "test"}) {
    folder.add(fmt::format("{}/a.png", split), png(split[1]));
    folder.add(fmt::format("{}/a.xml", split), voc("a.png", voc_object("pin-hole", 3, 4, 5, 6)));
    folder.add(fmt::format("{}/a_template.png", split), png(split[1] + 1));
  }
  const Manifest manifest = imported(folder, {});
  EXPECT_THAT(manifest.classes, ElementsAre("pin-hole")) << "one class is enough to detect";
  ASSERT_EQ(manifest.samples.size(), 2U);
  EXPECT_EQ(sample_of(manifest, "test/a.png").split, Split::test);
  EXPECT_EQ(sample_of(manifest, "trainval/a.png").split, Split::train);
  EXPECT_EQ(manifest.rejected.size(), 2U) << "the pictures that no annotations speak of are listed, and no loss";
}

TEST(ImportObjects, VocListsAtTheRootAndWhatIsWrongWithThem) {
  const TestFolder folder;
  for (int i = 0; i < 4; ++i) {
    folder.add(fmt::format("images/{}.png", i), png(i));
    folder.add(fmt::format("annotations/{}.xml", i), voc(fmt::format("{}.png", i), voc_object("x", 1, 1, 9, 9)));
  }
  folder.add("train.txt", "0\n1\nnobody\n");
  folder.add("val.txt", "2\n");
  folder.add("trainval.txt", "0\n1\n2\n");
  folder.add("test.txt", "\n1\n");
  const Manifest manifest = imported(folder);
  EXPECT_EQ(sample_of(manifest, "images/2.png").split, Split::validation);
  EXPECT_EQ(sample_of(manifest, "images/0.png").split, Split::train);
  EXPECT_THAT(rejections(manifest), ElementsAre("images/3.png: in none of the splits that the data name",
                                                "test.txt: 1 is in trainval.txt already, and stays there (line 2)",
                                                "train.txt: no annotations of \"nobody\" (line 3)"));
}

TEST(ImportObjects, WhatIsWrongInVocIsListedWithFileAndLine) {
  const TestFolder folder;
  for (const char* name : {"broken", "boxes", "other", "size"}) folder.add(fmt::format("{}.png", name), png(name[0]));
  folder.add("broken.xml", "<annotation>\n<object>\n</annotation>");
  folder.add("other.xml", "<data/>");
  folder.add("gone.xml", voc("gone.png", ""));
  folder.add("size.xml", voc("size.png", voc_object("x", 1, 1, 5, 5), 80, 60));
  folder.add("boxes.xml",
             voc("boxes.png", voc_object("good", 1, 1, 5, 5) + voc_object("flat", 7, 1, 7, 5) + voc_object("far", 10, 10, 45, 20) +
                                  "<object><name>text</name><bndbox><xmin>a</xmin></bndbox></object>\n" +
                                  "<object><name>none</name></object>\n<object/>\n" + voc_object("out", 50, 1, 60, 9)));
  const std::vector<std::string> expected{"boxes.xml: a none without a bndbox (line 6)",
                                          "boxes.xml: a text whose xmin is \"a\", not a number (line 5)",
                                          "boxes.xml: an object without a name (line 7)",
                                          "boxes.xml: boxes.png: far 10,10 to 45,20 reaches 5 beyond the 40×30 pixels (line 4)",
                                          "boxes.xml: boxes.png: flat 7,1 to 7,5 has no area (line 3)",
                                          "boxes.xml: boxes.png: out 50,1 to 60,9 lies outside of the 40×30 pixels (line 8)",
                                          "broken.xml: 3: not valid XML: mismatched tag",
                                          "broken.png: no annotations speak of it",
                                          "gone.xml: no picture: neither \"gone.png\" nor one called gone.* is there",
                                          "other.xml: no VOC annotation: its root is <data>, not <annotation>",
                                          "other.png: no annotations speak of it",
                                          "size.png: the picture is 40×30, but its annotations are for 80×60 (size.xml, line 1)"};
  const Manifest manifest = imported(folder);
  EXPECT_THAT(rejections(manifest), testing::UnorderedElementsAreArray(expected));
  ASSERT_EQ(manifest.samples.size(), 1U);
  EXPECT_EQ(manifest.samples[0].annotation.objects.size(), 1U);

  const Manifest clipped = imported(folder, {.max_rejected = 1, .bad_boxes = demand::BadBoxes::clip});
  ASSERT_EQ(clipped.samples[0].annotation.objects.size(), 2U) << "what lies within the picture is kept";
  EXPECT_EQ(clipped.samples[0].annotation.objects[1].box, (Box{10, 10, 40, 20}));
  EXPECT_EQ(clipped.rejected.size(), expected.size()) << "and said";
  EXPECT_THAT(failure(folder, {.max_rejected = 1, .bad_boxes = demand::BadBoxes::stop}),
              HasSubstr("6 objects cannot be used, and data.bad_boxes is stop"));
}

TEST(ImportObjects, MoreBadBoxesThanAllowedStopTheBuild) {
  const TestFolder folder;
  std::string objects;
  for (int i = 0; i < 98; ++i) objects += voc_object("x", 1, 1, 5, 5);
  folder.add("a.png", png(1));
  folder.add("a.xml", voc("a.png", objects + voc_object("x", 3, 3, 3, 3)));
  EXPECT_EQ(failure(folder, {.max_rejected = 0.0102}), "it was imported") << "1 of 99 is 1.01 %";
  folder.add("a.xml", voc("a.png", objects + voc_object("x", 3, 3, 3, 3) + voc_object("x", 3, 3, 3, 3)));
  EXPECT_THAT(failure(folder), HasSubstr("2 of 100 objects cannot be used, and data.max_rejected allows 1%"));
}

TEST(ImportObjects, XmlOfStrangersFetchesAndGrowsNothing) {
  const TestFolder folder;
  folder.add("a.png", png(1));
  folder.add("a.xml", voc("a.png", voc_object("x", 1, 1, 5, 5)));
  folder.add("b.png", png(2));
  folder.add("b.xml",
             "<?xml version=\"1.0\"?>\n<!DOCTYPE annotation [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>\n<annotation>&a;</annotation>");
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  folder.add("c.png", png(3));
  folder.add("c.xml", "<annotation>" + deep);
  const std::vector<std::string> rejected = rejections(imported(folder));
  EXPECT_THAT(rejected, testing::Contains(HasSubstr("b.xml: 2: a document type (<!DOCTYPE …>) is not accepted in annotations")));
  EXPECT_THAT(rejected, testing::Contains(HasSubstr("c.xml: 1: nested deeper than 64 levels")));
}

constexpr const char* small_coco = R"({"info": {}, "images": [
  {"id": 7, "file_name": "a.png", "width": 40, "height": 30}, {"id": 3, "file_name": "b.png", "width": 40, "height": 30}],
 "categories": [{"id": 9, "name": "person"}, {"id": 1, "name": "unused", "supercategory": "none"}],
 "annotations": [{"id": 1, "image_id": 7, "category_id": 9, "bbox": [1.5, 2, 10, 20.25], "iscrowd": 1, "area": 3}]})";

TEST(ImportObjects, Coco) {
  const TestFolder folder;
  folder.add("images/a.png", png(1));
  folder.add("images/b.png", png(2));
  folder.add("annotations/set.json", small_coco);
  const Manifest manifest = imported(folder, {});
  EXPECT_EQ(manifest.format, "coco");
  EXPECT_THAT(manifest.classes, ElementsAre("unused", "person")) << "by id; a class without objects stays";
  ASSERT_EQ(manifest.samples.size(), 2U);
  ASSERT_EQ(manifest.samples[0].annotation.objects.size(), 1U);
  EXPECT_EQ(manifest.samples[0].annotation.objects[0], (annotation::Object{.label = 1, .box = {1.5, 2, 11.5, 22.25}, .crowd = true}));
  EXPECT_THAT(manifest.samples[1].annotation.objects, IsEmpty()) << "a picture without objects is kept";
}

TEST(ImportObjects, CocoFilesAreSplits) {
  const TestFolder folder;
  folder.add("train2017/a.png", png(1));
  folder.add("train2017/b.png", png(2));
  folder.add("val2017/a.png", png(3));
  folder.add("val2017/b.png", png(4));
  folder.add("annotations/instances_train2017.json", small_coco);
  folder.add("annotations/instances_val2017.json", small_coco);
  folder.add("annotations/person_keypoints_val2017.json", small_coco);
  const Manifest manifest = imported(folder, {});
  ASSERT_EQ(manifest.samples.size(), 4U);
  EXPECT_EQ(sample_of(manifest, "val2017/a.png").split, Split::validation);
  EXPECT_EQ(sample_of(manifest, "train2017/a.png").annotation.objects.size(), 1U);
  EXPECT_THAT(rejections(manifest), ElementsAre("annotations/person_keypoints_val2017.json: side file (.json)"));
}

TEST(ImportObjects, ACocoFileElsewhere) {
  const TestFolder folder, other;
  folder.add("a.png", png(1));
  folder.add("deep/b.png", png(2));
  other.add("set.json", small_coco);
  const Manifest manifest = imported(folder, {.labels = other.path("set.json")});
  EXPECT_EQ(manifest.samples.size(), 2U);
  EXPECT_EQ(manifest.format, "coco");
}

TEST(ImportObjects, WhatIsWrongInCocoIsListedWithItsPlace) {
  const TestFolder folder;
  folder.add("a.png", png(1));
  folder.add("b.png", png(2));
  folder.add("set.json",
             R"({"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}, {"id": 2, "file_name": "gone.png"},
    {"file_name": "b.png"}, {"id": 3, "file_name": "a.png"}, 5], "categories": [{"id": 1, "name": "x"}], "annotations": [
    {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]}, {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]},
    {"id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 5, 5]}, {"id": 3, "image_id": 9, "category_id": 1, "bbox": [0, 0, 5, 5]},
    {"id": 4, "image_id": 1, "category_id": 7, "bbox": [0, 0, 5, 5]}, {"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, "5", 5]},
    {"id": 6, "image_id": 1, "category_id": 1}, {"id": 7, "image_id": 1, "category_id": 1, "bbox": [38, 3, 2.4, 5]},
    {"id": 8, "image_id": 1, "category_id": 1, "bbox": [38, 3, -2, 5]}]})");
  const Manifest manifest = imported(folder);
  EXPECT_THAT(rejections(manifest),
              testing::UnorderedElementsAre(
                  "b.png: no annotations speak of it", "set.json: the id 1 stands twice (/images/1)",
                  "set.json: there is no picture gone.png (/images/2)", "set.json: no whole number \"id\" (/images/3)",
                  "set.json: a.png stands before already, at set.json/images/0 (/images/4)", "set.json: not an object (/images/5)",
                  "set.json: the id 1 stands twice (/annotations/1)", "set.json: the image 2 cannot be used (/annotations/2)",
                  "set.json: there is no image 9 (/annotations/3)", "set.json: there is no category 7 (/annotations/4)",
                  "set.json: bbox holds \"5\", not a number (/annotations/5)", "set.json: no \"bbox\" (/annotations/6)",
                  "set.json: a.png: x 38,3 to 36,8 has no area (/annotations/8)"));
  ASSERT_EQ(manifest.samples.size(), 1U);
  ASSERT_EQ(manifest.samples[0].annotation.objects.size(), 2U);
  EXPECT_EQ(manifest.samples[0].annotation.objects[1].box, (Box{38, 3, 40, 8})) << "rounding beyond the edge is cut, and no fault";
  folder.add("set.json", R"({"images": [], "categories": [{"id": 1, "name": "x"}, {"id": 1, "name": "y"}], "annotations": []})");
  EXPECT_THAT(failure(folder), HasSubstr("set.json: /categories/1: id 1 or name \"y\" stands twice"));
}

TEST(ImportObjects, YoloWithDataYaml) {
  const TestFolder folder;
  for (const char* split : {"train", "valid", "test"}) {
    folder.add(fmt::format("{}/images/a.png", split), png(split[0] + split[1]));
    folder.add(fmt::format("{}/labels/a.txt", split), "1 0.5 0.5 0.5 0.2\n0 0.1 0.1 0.3 0.1 0.3 0.4\n");
  }
  folder.add("train/images/none.png", png(9));
  folder.add("data.yaml", "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 3\nnames: ['a b', dog, \"3\"]\n");
  const Manifest manifest = imported(folder, {});
  EXPECT_EQ(manifest.format, "yolo");
  EXPECT_THAT(manifest.classes, ElementsAre("a b", "dog", "3"));
  ASSERT_EQ(manifest.samples.size(), 4U);
  const Sample& sample = sample_of(manifest, "valid/images/a.png");
  EXPECT_EQ(sample.split, Split::validation);
  ASSERT_EQ(sample.annotation.objects.size(), 2U);
  EXPECT_EQ(sample.annotation.objects[0], (annotation::Object{.label = 1, .box = {10, 12, 30, 18}}));
  EXPECT_NEAR(sample.annotation.objects[1].box.right, 12, 1e-9) << "an outline's box spans it";
  EXPECT_NEAR(sample.annotation.objects[1].box.bottom, 12, 1e-9);
  EXPECT_THAT(rejections(manifest), ElementsAre("train/images/none.png: no label file: it counts as a picture without objects"));
  EXPECT_THAT(sample_of(manifest, "train/images/none.png").annotation.objects, IsEmpty());
}

TEST(ImportObjects, YoloWithListsAndNamesByNumber) {
  const TestFolder folder;
  for (int i = 0; i < 3; ++i) {
    folder.add(fmt::format("images/{}.png", i), png(i));
    folder.add(fmt::format("labels/{}.txt", i), "0 0.5 0.5 0.5 0.5");
  }
  folder.add("data.yaml", "path: /elsewhere/set\ntrain: train.txt\nval: [val.txt]\nnames:\n  0: x\n  1: y\n");
  folder.add("train.txt", "./images/0.png\nimages/7.png\n");
  folder.add("val.txt", "/elsewhere/set/images/1.png\n");
  const Manifest manifest = imported(folder);
  ASSERT_EQ(manifest.samples.size(), 2U);
  EXPECT_EQ(sample_of(manifest, "images/1.png").split, Split::validation);
  EXPECT_THAT(rejections(manifest), ElementsAre("images/2.png: in none of the splits that the data name",
                                                "train.txt: there is no picture images/7.png (line 2)"));
  folder.add("data.yaml", "names: {0: x, 2: y}\n");
  EXPECT_THAT(failure(folder, {.format = "yolo"}), HasSubstr("data.yaml:1: names has no name for class 1"));
}

TEST(ImportObjects, WhatIsWrongInYoloIsListedWithFileAndLine) {
  const TestFolder folder;
  folder.add("a.png", png(1));
  folder.add("a.txt",
             "0 0.5 0.5 0.5 0.5\n3 0.5 0.5 0.5 0.5\n\n0 0.5 x 0.5 0.5\n0 0.5 0.5 0.5\n0 0.5 0.5 0.2 0.2 0.9\n-1 0.5 0.5 0.1 0.1\n"
             "0 120 80 30 30\n0 0.99 0.5 0.1 0.1\n0 0.5 0.5 0 0.1\n0 nan 0.5 0.1 0.1\n0.5 0.5 0.5 0.1 0.1\n");
  folder.add("classes.txt", "x\ny\n\n");
  folder.add("labels/alone.txt", "");
  EXPECT_THAT(failure(folder), HasSubstr("no known form of data")) << "with a folder of labels, what lies beside pictures is none";
  std::filesystem::remove_all(folder.path("labels"));
  const Manifest manifest = imported(folder);
  EXPECT_THAT(manifest.classes, ElementsAre("x", "y"));
  EXPECT_THAT(rejections(manifest),
              testing::UnorderedElementsAre("a.txt: there is no class 3: classes.txt names 2 classes (line 2)",
                                            "a.txt: \"x\" is not a number (line 4)",
                                            "a.txt: 3 numbers; a box has four, an outline x and y of three points or more (line 5)",
                                            "a.txt: five numbers: a box with a confidence is a prediction, not a label (line 6)",
                                            "a.txt: \"-1\" is no class number (line 7)",
                                            "a.txt: a.png: x 4200,1950 to 5400,2850 lies outside of the 40×30 pixels (line 8)",
                                            "a.txt: a.png: x 37.6,13.5 to 41.6,16.5 reaches 1.6 beyond the 40×30 pixels (line 9)",
                                            "a.txt: a.png: x 20,13.5 to 20,16.5 has no area (line 10)",
                                            "a.txt: \"nan\" is not a number (line 11)", "a.txt: \"0.5\" is no class number (line 12)"));
}

TEST(ImportObjects, TwoFormatsSideBySideAreAsked) {
  const TestFolder folder;
  folder.add("a.png", png(1));
  folder.add("b.png", png(2));
  folder.add("set.json", small_coco);
  folder.add("a.xml", voc("a.png", voc_object("x", 1, 1, 5, 5)));
  EXPECT_THAT(failure(folder), HasSubstr("coco and voc annotations lie side by side; say which count, as data.format"));
  EXPECT_EQ(imported(folder, {.format = "voc", .max_rejected = 1}).classes, std::vector<std::string>{"x"});
}

TEST(ImportObjects, PicturesWithoutAnyObjectTeachNothing) {
  const TestFolder folder;
  folder.add("a.png", png(1));
  folder.add("a.xml", voc("a.png", ""));
  EXPECT_THAT(failure(folder), HasSubstr("none of the 1 image has an object"));
}

TEST(ImportObjects, SplitsSpreadObjectsOfEveryClass) {
  Manifest manifest{.classes = {"often", "seldom", "never"}};
  for (int i = 0; i < 200; ++i) {
    Sample& sample = manifest.samples.emplace_back();
    sample.path = fmt::format("{}.png", i);
    sample.digest = sample.path;
    for (int k = 0; k < i % 4; ++k) sample.annotation.objects.push_back({.label = 0, .box = {0, 0, 1, 1}});
    if (i % 10 == 0) sample.annotation.objects.push_back({.label = 1, .box = {0, 0, 1, 1}});
  }
  ASSERT_TRUE(assign_splits(manifest, {.validation = 0.1, .test = 0.2, .group_by = demand::GroupBy::none}, 3).ok());
  std::array<std::array<int, 3>, 3> counts{};  // often, seldom, pictures; by split
  for (const Sample& sample : manifest.samples) {
    const auto split = static_cast<std::size_t>(sample.split);
    ++counts[2][split];
    for (const annotation::Object& object : sample.annotation.objects) ++counts[static_cast<std::size_t>(object.label)][split];
  }
  EXPECT_NEAR(counts[0][2], 60, 4);
  EXPECT_NEAR(counts[1][2], 4, 1);
  EXPECT_NEAR(counts[2][2], 40, 3);
  EXPECT_NEAR(counts[2][1], 16, 3);
  const auto before = write_manifest(manifest);
  ASSERT_TRUE(assign_splits(manifest, {.validation = 0.1, .test = 0.2, .group_by = demand::GroupBy::none}, 3).ok());
  EXPECT_EQ(write_manifest(manifest), before);
}

TEST(ImportObjects, TheAuditCountsObjects) {
  Manifest manifest{.classes = {"often", "seldom", "never"}};
  for (int i = 0; i < 3; ++i) {
    Sample& sample = manifest.samples.emplace_back();
    sample.path = fmt::format("{}.png", i);
    sample.digest = i == 2 ? "other" : "same";
    sample.width = sample.height = 64;
    sample.deviation = 30;
    sample.mean = 40 * i;
    for (int k = 0; k < 10; ++k) sample.annotation.objects.push_back({.label = 0, .box = {0, 0, 1, 1}});
  }
  manifest.samples[0].annotation.objects.push_back({.label = 1, .box = {0, 0, 1, 1}});
  const Audit found = audit(manifest);
  std::vector<std::string> sentences;
  for (const Finding& finding : found.findings)
    if (finding.kind == "imbalance" || finding.kind == "conflicting_labels") sentences.push_back(finding.sentence);
  EXPECT_THAT(sentences, ElementsAre("the same bytes with other objects, or other boxes: 0.png has 10 often, 1 seldom, 1.png has 10 often",
                                     "class \"never\" has 0 objects for training, class \"often\" has 30",
                                     "class \"seldom\" has 1 object for training, class \"often\" has 30"));
}

// The sets beside the repository: their counts are those that their authors publish.
struct Published {
  const char* folder;
  std::size_t pictures, objects, rejected_objects, classes;
  bool test;
};
constexpr Published published[] = {
    {"det_bccd_blood", 364, 4886, 2, 3, true}, {"det_cls_neu_steel", 1800, 4189, 0, 6, false}, {"det_anom_deeppcb", 600, 4010, 0, 6, true}};

TEST(ImportObjects, SetsBesideTheRepository) {
  int seen = 0;
  for (const Published& set : published) {
    const std::string path = std::string("../shared/data/") + set.folder;
    if (!std::filesystem::is_directory(path)) continue;
    ++seen;
    const auto manifest = import_data({.path = path}, {});
    ASSERT_TRUE(manifest.ok()) << manifest.error().message;
    EXPECT_EQ(manifest->format, "voc");
    EXPECT_EQ(manifest->samples.size(), set.pictures) << set.folder;
    EXPECT_EQ(manifest->classes.size(), set.classes) << set.folder;
    EXPECT_EQ(manifest->given_test, set.test) << set.folder;
    std::size_t objects = 0;
    for (const Sample& sample : manifest->samples) objects += sample.annotation.objects.size();
    EXPECT_EQ(objects, set.objects) << set.folder;
    std::vector<std::string> areas;
    for (const std::string& each : rejections(*manifest))
      if (each.find("has no area") != std::string::npos) areas.push_back(each);
    EXPECT_EQ(areas.size(), set.rejected_objects) << join(areas, "\n");
  }
  if (seen == 0) GTEST_SKIP() << "../shared/data is not here";
}

}  // namespace
}  // namespace sightline::dataset
