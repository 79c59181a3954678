#include "dataset/lfw_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataset/import.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Ann has pictures 1, 2, 3, Bob 1 and 2, Cy 1; places 0 to 5.
Manifest people() {
  Manifest manifest;
  manifest.classes = {"Ann Lee", "Bob", "Cy"};
  for (const auto& [path, label] : {std::pair{"Ann Lee/Ann_Lee_0001.jpg", 0},
                                    {"Ann Lee/Ann_Lee_0002.jpg", 0},
                                    {"Ann Lee/Ann_Lee_0003.png", 0},
                                    {"Bob/Bob_0001.jpg", 1},
                                    {"Bob/Bob_0002.jpg", 1},
                                    {"Cy/1.jpg", 2}}) {
    Sample& sample = manifest.samples.emplace_back();
    sample.path = path;
    sample.label = label;
  }
  return manifest;
}

struct Pairs : testing::Test {
  TestFolder folder;
  Manifest manifest = people();
  Result<void> read(const std::string& text, double most = 0.01) {
    folder.add("pairs.txt", text);
    return read_pairs(folder.path("pairs.txt"), most, manifest);
  }
};

TEST_F(Pairs, ReadsFoldsInTheOrderOfTheFile) {
  ASSERT_TRUE(read("2\t1\nAnn Lee\t1\t3\nAnn Lee\t1\tBob\t2\nBob\t2\t1\nBob\t1\tCy\t1\n\n").ok());
  EXPECT_THAT(manifest.pairs,
              ElementsAre(annotation::Pair{0, 2, 1}, annotation::Pair{0, 4, 1}, annotation::Pair{4, 3, 2}, annotation::Pair{3, 5, 2}));
  EXPECT_TRUE(manifest.rejected.empty());
}

TEST_F(Pairs, OneNumberIsOneFoldAndBlanksWillDo) {
  ASSERT_TRUE(read("1\nBob 1 2\nBob 1 Cy 1\n").ok());
  EXPECT_THAT(manifest.pairs, ElementsAre(annotation::Pair{3, 4, 1}, annotation::Pair{3, 5, 1}));
}

TEST_F(Pairs, WrongFilesAreToldByFileAndLine) {
  const auto message = [&](const std::string& text) {
    manifest = people();
    const auto status = read(text);
    EXPECT_FALSE(status.ok()) << text;
    return status.ok() ? "" : status.error().message;
  };
  EXPECT_THAT(message(""), HasSubstr("pairs.txt:1: the first line"));
  EXPECT_THAT(message("ten\tpairs\n"), HasSubstr("pairs.txt:1: the first line"));
  EXPECT_THAT(message("1\t0\n"), HasSubstr("pairs.txt:1: the first line"));
  EXPECT_THAT(message("1\t1\nBob\t1\t2\n"), HasSubstr("1 line behind the first line, which says that there are 2"));
  EXPECT_THAT(message("1\t1\nBob\t1\t2\nBob\t1\t2\n"), HasSubstr("pairs.txt:3: 3 fields where a pair of two names of fold 1 stands"));
  EXPECT_THAT(message("1\t1\nBob\t1\tCy\t1\nBob\t1\tCy\t1\n"), HasSubstr("pairs.txt:2: 4 fields where a pair of one name"));
  // What names nothing is listed, each by its line.
  const std::string listed = message("1\t2\nBob\t1\t9\nBob\t2\t2\nDan\t1\tBob\t1\nBob\t1\tBob\t2\n");
  EXPECT_THAT(listed, HasSubstr("4 of 4 pairs"));
  EXPECT_THAT(listed, HasSubstr("pairs.txt:2: \"Bob\" has no picture 9"));
  EXPECT_THAT(listed, HasSubstr("pairs.txt:3: a picture beside itself"));
  EXPECT_THAT(listed, HasSubstr("pairs.txt:4: nobody is called \"Dan\""));
  EXPECT_THAT(listed, HasSubstr("pairs.txt:5: a pair of two names has the same name twice"));
}

TEST_F(Pairs, WhatTheDemandAllowsIsLeftOutAndListed) {
  ASSERT_TRUE(read("1\t1\nBob\t1\t9\nBob\t1\tCy\t1\n", 0.5).ok());
  EXPECT_EQ(manifest.pairs.size(), 1U);
  ASSERT_EQ(manifest.rejected.size(), 1U);
  EXPECT_EQ(manifest.rejected[0].path, "pairs.txt:2");
}

TEST_F(Pairs, TwoPicturesWithOneNumberAreNone) {
  manifest.samples.push_back(manifest.samples[3]);
  manifest.samples.back().path = "Bob/old_01.jpg";
  EXPECT_THAT(read("1\t1\nBob\t1\t2\nBob\t2\tCy\t1\n").error().message, HasSubstr("\"Bob\" has several pictures 1"));
}

TEST_F(Pairs, TheManifestKeepsThem) {
  ASSERT_TRUE(read("1\t1\nBob\t1\t2\nBob\t1\tCy\t1\n").ok());
  for (Sample& sample : manifest.samples) {
    sample.digest = sha256_of(sample.path);
    sample.width = sample.height = 8;
    sample.channels = 3;
  }
  const std::string text = write_manifest(manifest);
  const auto again = parse_manifest(text, "manifest");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->pairs, manifest.pairs);
  std::string broken = text;
  broken.replace(broken.find("[3,4,1]"), 7, "[3,9,1]");
  EXPECT_THAT(parse_manifest(broken, "manifest").error().message, HasSubstr("no pair of two samples"));
  EXPECT_THAT(parse_manifest(text.substr(0, text.rfind("{\"pair\"")), "manifest").error().message, HasSubstr("1 of 2 pairs"));
}

TEST_F(Pairs, AChangedFileChangesTheListing) {
  for (const char* who : {"a", "b"})
    for (int i = 1; i < 3; ++i)
      folder.add(fmt::format("set/{}/{}_{}.png", who, who, i), image::encode_png(scene(16, 16, 3, who[0] + 7 * i)));
  folder.add("pairs.txt", "1\t1\na\t1\t2\na\t1\tb\t1\n");
  demand::Data data;
  data.path = folder.path("set");
  data.pairs = folder.path("pairs.txt");
  const auto before = listing_digest(data);
  ASSERT_TRUE(before.ok()) << before.error().message;
  const auto imported = import_data(data, {});
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  EXPECT_EQ(imported->pairs.size(), 2U);
  folder.add("pairs.txt", "1\t1\na\t1\t2\na\t2\tb\t1\n");
  EXPECT_NE(*listing_digest(data), *before);
  data.pairs = "elsewhere.txt";
  EXPECT_EQ(import_data(data, {}).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace sightline::dataset
