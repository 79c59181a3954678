// What is read and written again is the same, for each format and between them. The canonical forms here are made without our readers.
#include "dataset/collection.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "dataset/convert.h"
#include "dataset/file_index.h"
#include "dataset/test_folder.h"
#include "dataset/xml.h"

namespace sightline::dataset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// --- canonical forms ---

std::string canonical_number(const std::string& word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size() ? fmt::format("{}", value) : word;
}

// <a>…</a> with its children sorted by name; plain elements and text only. A space between elements, and "a/" for an empty one.
std::string canonical_element(const std::string& text, std::size_t& at) {
  const std::size_t close = text.find('>', at);
  std::string tag = text.substr(at + 1, close - at - 1);
  at = close + 1;
  if (tag.ends_with('/')) return "<" + tag.substr(0, tag.size() - 1) + "></>";
  std::vector<std::string> children;
  std::string own;
  while (!text.substr(at, 2).starts_with("</")) {
    if (text[at] == '<') {
      children.push_back(canonical_element(text, at));
    } else {
      own += text[at++];
    }
  }
  at = text.find('>', at) + 1;
  std::stable_sort(children.begin(), children.end(),
                   [](const std::string& a, const std::string& b) { return a.substr(0, a.find('>')) < b.substr(0, b.find('>')); });
  return "<" + tag + ">" + canonical_number(trim(own)) + join(children, "") + "</>";
}
std::string canonical_voc(const std::string& text) {
  std::size_t at = text.find("<annotation");
  return canonical_element(text, at);
}

std::string canonical_coco(const std::string& text) {
  Json json = Json::parse(text);
  for (const char* list : {"images", "annotations", "categories"})
    std::sort(json[list].begin(), json[list].end(), [](const Json& a, const Json& b) { return a["id"] < b["id"]; });
  for (Json& annotation : json["annotations"])
    for (Json& number : annotation["bbox"]) number = number.get<double>();
  return json.dump(1);
}

std::string canonical_yolo(const std::string& text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    for (std::string word; words >> word;) out += canonical_number(word) + " ";
    out += "\n";
  }
  return out;
}

// --- worlds ---

std::map<std::string, std::string> by_path(const std::vector<TextFile>& files) {
  std::map<std::string, std::string> map;
  for (const TextFile& file : files) EXPECT_TRUE(map.emplace(file.path, file.text).second) << file.path << " is written twice";
  return map;
}

std::vector<std::string> files_in(const std::string& root, std::vector<std::string> pictures = {}) {
  auto files = list_files(root, [](const std::string&, const std::string&) {});
  EXPECT_TRUE(files.ok());
  files->insert(files->end(), pictures.begin(), pictures.end());
  std::sort(files->begin(), files->end());
  return *std::move(files);
}

Result<Collection> read_any(BoxFormat format, const std::string& root, const std::vector<std::string>& files) {
  if (format == BoxFormat::yolo) return read_yolo(root, files);
  if (format == BoxFormat::voc) return read_voc(root, files);
  std::vector<std::string> tables;
  std::copy_if(files.begin(), files.end(), std::back_inserter(tables), [](const std::string& file) { return file.ends_with(".json"); });
  return read_coco(root, files, tables);
}

// Written into a folder and read from there; the pictures need not exist.
Collection written_and_read(const Conversion& conversion) {
  const TestFolder folder;
  for (const TextFile& file : write_collection(conversion.collection)) folder.add(file.path, file.text);
  std::vector<std::string> pictures;
  for (const auto& [from, to] : conversion.pictures) pictures.push_back(to);
  auto read = read_any(conversion.collection.format, folder.path(), files_in(folder.path(), pictures));
  EXPECT_TRUE(read.ok()) << read.error().message;
  return read.ok() ? *std::move(read) : Collection{};
}

Collection read(const TestFolder& folder, BoxFormat format, const std::vector<std::string>& pictures) {
  auto collection = read_any(format, folder.path(), files_in(folder.path(), pictures));
  EXPECT_TRUE(collection.ok()) << collection.error().message;
  return collection.ok() ? *std::move(collection) : Collection{};
}

// --- one format ---

TEST(Collection, CocoComesBackWithAllThatItSays) {
  const std::string text = R"({"licenses": [{"id": 1, "name": "CC"}], "info": {"year": 2020, "url": "ü"},
    "images": [{"id": 9000000000000, "file_name": "b.jpg", "width": 64, "height": 48, "coco_url": "http://x/b.jpg", "license": 1},
               {"id": 2, "file_name": "a.jpg", "height": 48, "width": 64, "date_captured": null}, {"id": 5, "file_name": "empty.jpg"}],
    "annotations": [
      {"id": 31, "image_id": 9000000000000, "category_id": 18, "bbox": [1.5, 2, 10.125, 20.0], "area": 202.5, "iscrowd": 1,
       "segmentation": {"counts": [3, 5, 12], "size": [48, 64]}},
      {"id": 4, "image_id": 2, "category_id": 1, "bbox": [0, 0, 5, 5], "iscrowd": 0, "segmentation": [[0, 0, 5.5, 0, 5, 5]],
       "keypoints": [1, 2, 2, 0, 0, 0], "num_keypoints": 1, "attributes": {"occluded": false, "colour": "red"}, "difficult": 1},
      {"id": 7, "image_id": 2, "category_id": 18, "bbox": [0.1, 1e-3, 0.30000000000000004, 5], "pose": "Left", "truncated": 0}],
    "categories": [{"id": 18, "name": "dog", "supercategory": "animal", "skeleton": [[1, 2]]}, {"id": 1, "name": "person"},
                   {"id": 3, "name": "unused"}]})";
  const TestFolder folder;
  folder.add("set.json", text);
  const Collection collection = read(folder, BoxFormat::coco, {"a.jpg", "b.jpg", "empty.jpg"});
  EXPECT_THAT(collection.refused, IsEmpty());
  EXPECT_EQ(collection.pictures.size(), 3U);
  const std::vector<TextFile> files = write_collection(collection);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].path, "set.json");
  EXPECT_EQ(canonical_coco(files[0].text), canonical_coco(text));
  EXPECT_THAT(files[0].text, HasSubstr("\"bbox\":[1.5,2,10.125,20]")) << "whole numbers are written as such";
}

TEST(Collection, SeveralCocoFilesKeepTheirOwn) {
  const TestFolder folder;
  const auto table = [](int id, const char* name, const std::string& categories) {
    return fmt::format(R"({{"images": [{{"id": {}, "file_name": "{}"}}], "annotations": [{{"id": 1, "image_id": {}, "category_id": 1,
      "bbox": [0, 0, 1, 1]}}], "categories": [{}]}})",
                       id, name, id, categories);
  };
  const std::string train = table(1, "a.jpg", R"({"id": 1, "name": "x"}, {"id": 2, "name": "y"})");
  const std::string val = table(1, "b.jpg", R"({"id": 1, "name": "x"})");
  folder.add("train.json", train);
  folder.add("val.json", val);
  const auto files = by_path(write_collection(read(folder, BoxFormat::coco, {"a.jpg", "b.jpg"})));
  EXPECT_EQ(canonical_coco(files.at("train.json")), canonical_coco(train));
  EXPECT_EQ(canonical_coco(files.at("val.json")), canonical_coco(val));
  folder.add("val.json", table(1, "b.jpg", R"({"id": 1, "name": "other"})"));
  const auto refused = read_any(BoxFormat::coco, folder.path(), files_in(folder.path(), {"a.jpg", "b.jpg"}));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              HasSubstr("val.json: /categories/0: id 1 is \"other\" here, but another file says that id 1 is \"x\""));
}

TEST(Collection, VocComesBackWithAllThatItSays) {
  const std::string text = R"(<annotation>
  <folder>VOC2007</folder><filename>a &amp; b.jpg</filename>
  <source><database>The VOC2007 Database</database><flickrid>341012865</flickrid></source>
  <owner><name>Fried &lt;Camels&gt;</name></owner>
  <size><width>353</width><height>500</height><depth>3</depth></size>
  <segmented>0</segmented>
  <object><name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult><occluded>1</occluded>
    <bndbox><xmin>48</xmin><ymin>240.5</ymin><xmax>195</xmax><ymax>371</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></part></object>
  <object><name>person</name><truncated>0.5</truncated><bndbox><xmin>8</xmin><ymin>12</ymin><xmax>8</xmax><ymax>12</ymax></bndbox></object>
</annotation>)";
  const TestFolder folder;
  folder.add("Annotations/7.xml", text);
  folder.add("Annotations/8.xml", "<annotation><filename>8.jpg</filename></annotation>");
  folder.add("ImageSets/Main/train.txt", "7\n8\n");
  const Collection collection = read(folder, BoxFormat::voc, {"JPEGImages/7.jpg", "JPEGImages/8.jpg"});
  EXPECT_THAT(collection.refused, IsEmpty());
  const auto files = by_path(write_collection(collection));
  EXPECT_EQ(canonical_voc(files.at("Annotations/7.xml")), canonical_voc(text));
  EXPECT_EQ(canonical_voc(files.at("Annotations/8.xml")), canonical_voc("<annotation><filename>8.jpg</filename></annotation>"));
  EXPECT_EQ(files.at("ImageSets/Main/train.txt"), "7\n8\n");
}

TEST(Collection, VocSizesThatAreNoneAreKeptAsTheyStand) {
  const std::string text =
      "<annotation><filename>7.jpg</filename><size><width>40</width><height>30</height></size>"
      "<size><width>50</width><height>?</height></size><size><width>1</width><height>2</height></size></annotation>";
  const TestFolder folder;
  folder.add("7.xml", text);
  const Collection collection = read(folder, BoxFormat::voc, {"7.jpg"});
  EXPECT_EQ(collection.pictures[0].width, 40);
  EXPECT_EQ(canonical_voc(by_path(write_collection(collection)).at("7.xml")), canonical_voc(text));
}

TEST(Collection, YoloComesBackWithAllThatItSays) {
  const TestFolder folder;
  const std::string labels = "1 0.50 0.5 0.25 1e-1\r\n0 0.1 0.1 0.9 0.1 0.9 0.9333333333333333\n\n2 .5 0.5 1 1\n";
  folder.add("labels/train/a.txt", labels);
  folder.add("labels/train/b.txt", "");
  folder.add("data.yaml",
             "path: ../set  # here\ntrain: images/train\nnc: 3\nnames:\n  0: \"no\"\n  1: 'a: b'\n  2: 3\nroboflow: {version: 1, \"a b\": "
             "[x, ~]}\n");
  const Collection collection = read(folder, BoxFormat::yolo, {"images/train/a.jpg", "images/train/b.jpg", "images/train/c.jpg"});
  auto files = by_path(write_collection(collection));
  EXPECT_EQ(files.size(), 3U) << "a picture without a file gets none";
  EXPECT_EQ(canonical_yolo(files.at("labels/train/a.txt")),
            "1 0.5 0.5 0.25 0.1 \n0 0.1 0.1 0.9 0.1 0.9 0.9333333333333333 \n2 0.5 0.5 1 1 \n");
  EXPECT_EQ(files.at("labels/train/b.txt"), "");
  EXPECT_EQ(files.at("data.yaml"),
            "path: ../set\ntrain: images/train\nnc: 3\nroboflow: {version: 1, \"a b\": [x, null]}\n"
            "names:\n  0: \"no\"\n  1: \"a: b\"\n  2: \"3\"\n");
  EXPECT_EQ(by_path(write_collection(written_and_read(convert(collection, BoxFormat::yolo)))), files);
}

TEST(Collection, YoloKeyPointsAreKept) {
  const TestFolder folder;
  folder.add("labels/a.txt", "0 0.5 0.5 0.25 0.1 0.4 0.4 2 0.6 0.6 0\n");
  folder.add("data.yaml", "kpt_shape: [2, 3]\nnames: [face]\n");
  const Collection collection = read(folder, BoxFormat::yolo, {"images/a.jpg"});
  ASSERT_EQ(collection.pictures[0].objects.size(), 1U);
  EXPECT_THAT(collection.pictures[0].objects[0].box, ElementsAre(0.5, 0.5, 0.25, 0.1));
  EXPECT_EQ(by_path(write_collection(collection)).at("labels/a.txt"), "0 0.5 0.5 0.25 0.1 0.4 0.4 2 0.6 0.6 0\n");
}

TEST(Collection, XmlKeepsAttributesAndCharacters) {
  const auto element = parse_xml("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><!-- x --><a k='1 &quot;'><b/>t\xFC &lt;</a>", "x.xml");
  ASSERT_TRUE(element.ok()) << element.error().message;
  const std::string text = xml_text(*element);
  EXPECT_EQ(text, "<a k=\"1 &quot;\">tü &lt;<b/></a>");
  EXPECT_EQ(xml_text(*parse_xml(text, "again")), text);
}

// --- between formats ---

// A collection's objects as class and edges, by the picture's stem.
std::map<std::string, std::vector<std::string>> said(const Collection& collection) {
  std::map<std::string, std::vector<std::string>> said;
  for (const CollectedPicture& picture : collection.pictures) {
    auto& objects = said[std::string(stem_of(picture.path))];
    for (const CollectedObject& object : picture.objects) {
      const annotation::Box box = edges_of(collection.format, object.box, picture.width.value_or(64), picture.height.value_or(48));
      objects.push_back(fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}", collection.categories[object.category].name, box.left, box.top,
                                    box.right, box.bottom));
    }
  }
  return said;
}

TEST(Collection, WhatAFormatCannotCarryIsSaid) {
  const TestFolder folder;
  folder.add("set.json", R"({"info": {"a": 1}, "images": [{"id": 1, "file_name": "x/a.jpg", "width": 64, "height": 48, "license": 3},
      {"id": 2, "file_name": "y/a.jpg", "width": 64, "height": 48}],
    "categories": [{"id": 1, "name": "p"}, {"id": 2, "name": "q", "supercategory": "r"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1.5, 2, 3, 4], "area": 12, "iscrowd": 1, "segmentation": [],
      "difficult": 1, "pose": "Left"}]})");
  const Collection coco = read(folder, BoxFormat::coco, {"x/a.jpg", "y/a.jpg"});
  const Conversion voc = convert(coco, BoxFormat::voc);
  EXPECT_THAT(voc.losses,
              ElementsAre("\"supercategory\" of 1 class", "the id of 2 classes", "1 class without any object", "\"info\" of 1 file",
                          "\"segmentation\" of 1 object", "the id of 1 object", "the mark of a crowd of 1 object",
                          "\"license\" of 1 picture", "the id of 2 pictures", "the name that the annotations use of 2 pictures"));
  EXPECT_EQ(voc.remarks.size(), 1U);
  EXPECT_EQ(voc.pictures[1].second, "JPEGImages/y_a.jpg") << "two pictures of one name";
  EXPECT_EQ(
      canonical_voc(by_path(write_collection(voc.collection)).at("Annotations/a.xml")),
      canonical_voc("<annotation><filename>a.jpg</filename><size><width>64</width><height>48</height><depth>3</depth></size><object>"
                    "<name>p</name><pose>Left</pose><truncated>0</truncated><difficult>1</difficult><bndbox><xmin>1.5</xmin><ymin>2</ymin>"
                    "<xmax>4.5</xmax><ymax>6</ymax></bndbox></object></annotation>"));
  const Conversion yolo = convert(coco, BoxFormat::yolo);
  EXPECT_THAT(yolo.losses, testing::Contains("the mark \"difficult\" of 1 object"));
  EXPECT_THAT(yolo.losses, testing::Contains("the pose of 1 object"));
  const auto files = by_path(write_collection(yolo.collection));
  EXPECT_EQ(files.at("labels/a.txt"), "0 0.046875 0.08333333333333333 0.046875 0.08333333333333333\n");
  EXPECT_EQ(files.at("data.yaml"), "train: images\nnames:\n  0: \"p\"\n  1: \"q\"\n");
  EXPECT_THAT(convert(coco, BoxFormat::coco).losses, IsEmpty());
}

TEST(Collection, OutlinesBecomeSegmentations) {
  const TestFolder folder;
  folder.add("labels/a.txt", "0 0 0 0.5 0 0.5 0.25\n");
  folder.add("classes.txt", "p\n");
  Collection yolo = read(folder, BoxFormat::yolo, {"images/a.jpg"});
  yolo.pictures[0].width = 64;
  yolo.pictures[0].height = 48;
  const Json coco = Json::parse(write_collection(convert(yolo, BoxFormat::coco).collection)[0].text);
  EXPECT_EQ(coco["annotations"][0]["segmentation"], Json::parse("[[0.0,0.0,32.0,0.0,32.0,12.0]]"));
  EXPECT_EQ(coco["annotations"][0]["bbox"], Json::parse("[0,0,32,12]"));
}

TEST(Collection, SizesComeFromThePictures) {
  const TestFolder folder;
  folder.add("images/a.png", image::encode_png(scene(20, 10, 1, 1)));
  folder.add("images/b.png", "no picture");
  folder.add("labels/a.txt", "0 0.5 0.5 0.5 0.5\n");
  folder.add("classes.txt", "p\n");
  Collection yolo = read(folder, BoxFormat::yolo, {});
  settle_sizes(yolo, folder.path());
  ASSERT_EQ(yolo.pictures.size(), 1U) << "what cannot be read is refused";
  EXPECT_EQ(yolo.pictures[0].width, 20);
  EXPECT_EQ(yolo.refused.back().path, "images/b.png");
  const Collection voc = convert(yolo, BoxFormat::voc).collection;
  EXPECT_THAT(voc.pictures[0].objects[0].box, ElementsAre(5, 2.5, 15, 7.5));
  EXPECT_EQ(voc.pictures[0].depth, 1);
}

// --- the sets beside the repository ---

TEST(Collection, SetsBesideTheRepositoryComeBackInEveryFormat) {
  int seen = 0;
  for (const std::string set : {"det_bccd_blood", "det_cls_neu_steel", "det_anom_deeppcb"}) {
    const std::string root = "../shared/data/" + set;
    if (!std::filesystem::is_directory(root)) continue;
    ++seen;
    SCOPED_TRACE(set);
    const Collection voc = read_voc(root, files_in(root)).ok() ? *read_voc(root, files_in(root)) : Collection{};
    EXPECT_THAT(voc.refused, IsEmpty());
    const auto files = by_path(write_collection(voc));
    std::size_t annotations = 0;
    for (const auto& [path, text] : files) {
      const auto original = read_file(root + "/" + path);
      ASSERT_TRUE(original.ok()) << path;
      if (path.ends_with(".xml")) {
        ++annotations;
        ASSERT_EQ(canonical_voc(text), canonical_voc(*original)) << path;
      } else {
        EXPECT_EQ(text, *original) << path;
      }
    }
    EXPECT_EQ(annotations, voc.pictures.size());

    const Conversion coco = convert(voc, BoxFormat::coco), yolo = convert(voc, BoxFormat::yolo);
    EXPECT_THAT(coco.losses, IsEmpty()) << join(coco.losses, ", ");
    EXPECT_THAT(yolo.losses, IsEmpty()) << join(yolo.losses, ", ");
    for (const Conversion* conversion : {&coco, &yolo}) {
      const Collection again = written_and_read(*conversion);
      EXPECT_THAT(again.refused, IsEmpty());
      EXPECT_EQ(by_path(write_collection(again)), by_path(write_collection(conversion->collection)));
    }
    const Conversion back = convert(written_and_read(coco), BoxFormat::voc);
    EXPECT_EQ(said(back.collection), said(coco.collection)) << "to COCO and back";
  }
  if (seen == 0) GTEST_SKIP() << "../shared/data is not here";
}

}  // namespace
}  // namespace sightline::dataset
