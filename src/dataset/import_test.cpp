#include "dataset/import.h"

#include <gmock/gmock.h>

#include <chrono>
#include <map>
#include <thread>

#include "base/files.h"
#include "base/interrupt.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

using demand::GroupBy;
using testing::ElementsAre;
using testing::HasSubstr;

std::string png(int seed, int width = 9, int height = 7) { return image::encode_png(scene(width, height, 3, seed)); }

Manifest imported(const TestFolder& folder, const demand::SplitPlan& plan = {}, demand::Data data = {}) {
  if (data.path.empty()) data.path = folder.path();
  auto manifest = import_data(data, plan);
  EXPECT_TRUE(manifest.ok()) << manifest.error().message;
  return manifest.ok() ? std::move(*manifest) : Manifest{};
}

Error failure(const TestFolder& folder, const demand::SplitPlan& plan = {}, demand::Data data = {}) {
  if (data.path.empty()) data.path = folder.path();
  const auto manifest = import_data(data, plan);
  EXPECT_FALSE(manifest.ok());
  return manifest.ok() ? Error{} : manifest.error();
}

std::map<std::string, std::string> reasons(const Manifest& manifest) {
  std::map<std::string, std::string> map;
  for (const Rejection& rejection : manifest.rejected) map[rejection.path] = rejection.reason;
  return map;
}

std::map<std::string, std::string> groups(const Manifest& manifest) {
  std::map<std::string, std::string> map;
  for (const Sample& sample : manifest.samples) map[sample.path] = sample.group;
  return map;
}

TEST(Import, ClassFolders) {
  const TestFolder folder;
  folder.add("dog/2.png", png(1));
  folder.add("cat/b.jpg", image::encode_jpeg(scene(9, 7, 1, 2)));
  folder.add("cat/deep/er/a.webp", image::encode_webp(scene(9, 7, 3, 3)));
  folder.add("Zebra/no extension", png(4));
  const Manifest manifest = imported(folder);
  EXPECT_EQ(manifest.format, "folders");
  EXPECT_EQ(manifest.root, folder.path());
  EXPECT_THAT(manifest.classes, ElementsAre("Zebra", "cat", "dog"));
  EXPECT_FALSE(manifest.given_test);
  ASSERT_EQ(manifest.samples.size(), 4U);
  const Sample& jpeg = manifest.samples[1];
  EXPECT_EQ(jpeg.path, "cat/b.jpg");
  EXPECT_EQ(jpeg.label, 1);
  EXPECT_EQ(jpeg.digest, *sha256_of_file(folder.path("cat/b.jpg")));
  EXPECT_EQ(jpeg.width, 9);
  EXPECT_EQ(jpeg.height, 7);
  EXPECT_EQ(jpeg.channels, 1);
  EXPECT_EQ(jpeg.split, Split::train);
  const auto image = image::read_image(folder.path("cat/b.jpg"));
  EXPECT_EQ(jpeg.perceptual_hash, image::perceptual_hash(*image));
  EXPECT_EQ(jpeg.mean, image::statistics_of(*image).mean);
  EXPECT_GT(jpeg.deviation, 0);
  EXPECT_EQ(write_manifest(manifest), write_manifest(imported(folder)));
}

TEST(Import, SplitLevelAboveTheClasses) {
  const TestFolder folder;
  folder.add("train/cat/1.png", png(1));
  folder.add("train/dog/1.png", png(2));
  folder.add("Valid/dog/2.png", png(3));
  folder.add("test/cat/3.png", png(4));
  folder.add("test/bird/3.png", png(5));
  folder.add("test/loose.png", png(6));
  folder.add("extra/4.png", png(7));
  const Manifest manifest = imported(folder, {}, {.path = folder.path(), .max_rejected = 0.5});
  EXPECT_THAT(manifest.classes, ElementsAre("bird", "cat", "dog"));
  EXPECT_TRUE(manifest.given_test);
  EXPECT_TRUE(manifest.given_validation);
  ASSERT_EQ(manifest.samples.size(), 5U);
  EXPECT_EQ(manifest.samples[0].path, "Valid/dog/2.png");
  EXPECT_EQ(manifest.samples[0].split, Split::validation);
  EXPECT_EQ(manifest.samples[1].split, Split::test);
  EXPECT_EQ(manifest.samples[1].label, 0);
  EXPECT_EQ(reasons(manifest)["test/loose.png"], "not in a class folder");
  EXPECT_EQ(reasons(manifest)["extra/4.png"], "not below the train, validation or test folder");
}

TEST(Import, OneTrainFolderAboveTheClasses) {
  const TestFolder folder;
  folder.add("train/cat/1.png", png(1));
  folder.add("train/dog/1.png", png(2));
  const Manifest manifest = imported(folder);
  EXPECT_THAT(manifest.classes, ElementsAre("cat", "dog"));
  EXPECT_FALSE(manifest.given_test);
}

TEST(Import, AClassMayBeCalledTest) {
  const TestFolder folder;
  folder.add("test/1.png", png(1));
  folder.add("exam/1.png", png(2));
  EXPECT_THAT(imported(folder).classes, ElementsAre("exam", "test"));
}

TEST(Import, EveryFileIsAccountedFor) {
  const TestFolder folder;
  folder.add("cat/1.png", png(1));
  folder.add("dog/1.png", png(2));
  folder.add("dog/cut.png", png(3).substr(0, 60));
  folder.add("dog/empty.jpg", "");
  folder.add("dog/story.jpg", "once upon a time");
  folder.add("dog/moving.gif", "GIF89a and so on");
  folder.add("dog/notes.txt", "x");
  folder.add("dog/Thumbs.db", "x");
  folder.add("dog/strange.bin", std::string("\x00\x01\x02", 3));
  folder.add("LICENSE", "x");
  folder.add("README.md", "x");
  folder.add("loose.jpg", image::encode_jpeg(scene(8, 8, 1, 1)));
  folder.add("gone/only.png", "not a picture: the class has none left");
  const Manifest manifest = imported(folder, {}, {.path = folder.path(), .licence = "CC0", .origin = "here", .max_rejected = 0.9});
  EXPECT_EQ(manifest.samples.size(), 2U);
  EXPECT_THAT(manifest.classes, ElementsAre("cat", "dog"));
  EXPECT_EQ(manifest.licence, "CC0");
  EXPECT_EQ(manifest.origin, "here");
  auto reason = reasons(manifest);
  EXPECT_EQ(reason.size(), 11U);
  EXPECT_EQ(reason["dog/cut.png"], "PNG: the file ends too early");
  EXPECT_EQ(reason["dog/empty.jpg"], "not an image (the file is empty)");
  EXPECT_EQ(reason["dog/story.jpg"], "not an image (text)");
  EXPECT_THAT(reason["dog/moving.gif"], HasSubstr("GIF files are not read"));
  EXPECT_EQ(reason["dog/notes.txt"], "side file (.txt)");
  EXPECT_EQ(reason["dog/Thumbs.db"], "side file (.db)");
  EXPECT_EQ(reason["dog/strange.bin"], "not an image (unknown content)");
  EXPECT_EQ(reason["LICENSE"], "side file");
  EXPECT_EQ(reason["loose.jpg"], "not in a class folder");
}

TEST(Import, TooManyRejectionsStopTheBuildAndAreListed) {
  const TestFolder folder;
  for (int i = 0; i < 20; ++i) folder.add(fmt::format("{}/{}.png", i % 2 == 0 ? "cat" : "dog", i), png(i));
  folder.add("cat/README", "does not count");
  folder.add("cat/bad.png", "text");
  EXPECT_EQ(imported(folder, {}, {.path = folder.path(), .max_rejected = 0.05}).samples.size(), 20U);
  const Error error = failure(folder, {}, {.path = folder.path(), .max_rejected = 0.04});
  EXPECT_EQ(error.kind, ErrorKind::invalid_data);
  EXPECT_THAT(error.message, HasSubstr("1 of 21 files cannot be used, and data.max_rejected allows 4%"));
  EXPECT_THAT(error.message, HasSubstr("cat/bad.png: not an image (text)"));
}

TEST(Import, WhatCannotBeTrainedOnIsSaid) {
  const TestFolder folder;
  EXPECT_THAT(failure(folder).message, HasSubstr("the folder holds no files"));
  EXPECT_EQ(failure(folder, {}, {.path = folder.path("nowhere")}).kind, ErrorKind::not_found);
  folder.add("1.png", png(1));
  EXPECT_THAT(failure(folder).message, HasSubstr("1 image directly in the folder: put each class"));
  folder.add("cat/1.png", png(1));
  const Error one = failure(folder, {}, {.path = folder.path(), .max_rejected = 1});
  EXPECT_THAT(one.message, HasSubstr("only one class, \"cat\""));
  folder.add("cat/1.png", "x");
  const Error none = failure(folder, {}, {.path = folder.path(), .max_rejected = 1});
  EXPECT_EQ(none.kind, ErrorKind::invalid_data);
  EXPECT_THAT(none.message, HasSubstr("no images"));
  const Error format = failure(folder, {}, {.path = folder.path(), .format = "folder"});
  EXPECT_EQ(format.kind, ErrorKind::usage);
  EXPECT_THAT(format.message, HasSubstr("did you mean \"folders\"?"));
  EXPECT_THAT(failure(folder, {}, {.path = folder.path(), .format = "idx"}).message, HasSubstr("-images-idx3-ubyte"));
  EXPECT_THAT(failure(folder, {}, {.path = folder.path(), .format = "csv"}).message, HasSubstr("data.labels"));
}

TEST(Import, NamesOfAllKinds) {
  const TestFolder folder;
  const std::string longest(240, 'n');
  folder.add("Käse 猫/ü \"quoted\" #1.png", png(1));
  folder.add("dog/" + longest + ".png", png(2));
  folder.add("dog/line\nbreak.png", png(3));
  folder.add("dog/latin1-\xE4.png", png(4));
  std::string deep = "dog";
  for (int i = 0; i < 12; ++i) deep += "/" + std::string(200, 'd');
  folder.add(deep + "/x.png", png(5));
  const Manifest manifest = imported(folder, {}, {.path = folder.path(), .max_rejected = 0.3});
  EXPECT_EQ(manifest.samples.size(), 4U);
  EXPECT_EQ(reasons(manifest)["dog/latin1-\xEF\xBF\xBD.png"], "the name is not UTF-8; rename it");
  const auto again = parse_manifest(write_manifest(manifest), "m");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(write_manifest(*again), write_manifest(manifest));
}

TEST(Import, LinksAreFollowedAndLoopsAreHarmless) {
  const TestFolder folder, elsewhere;
  elsewhere.add("1.png", png(1));
  folder.add("dog/1.png", png(2));
  std::filesystem::create_directory_symlink(elsewhere.path(), folder.path("cat"));
  std::filesystem::create_directory_symlink(folder.path(), folder.path("dog/loop"));
  const Manifest manifest = imported(folder);
  EXPECT_EQ(manifest.samples.size(), 2U);
  EXPECT_EQ(reasons(manifest)["dog/loop"], "symbolic link loop");
  std::filesystem::create_symlink(folder.path("nowhere.png"), folder.path("dog/2.png"));
  EXPECT_THAT(failure(folder).message, HasSubstr("\n  dog/2.png: "));
}

TEST(Import, Interrupt) {
  const TestFolder folder;
  folder.add("cat/1.png", png(1));
  folder.add("dog/1.png", png(2));
  request_interrupt();
  const Error error = failure(folder);
  clear_interrupt();
  EXPECT_EQ(error.kind, ErrorKind::interrupted);
}

TEST(ImportGroups, ByFolder) {
  const TestFolder folder;
  folder.add("cat/patient7/1.png", png(1));
  folder.add("dog/patient7/1.png", png(2));
  folder.add("dog/3.png", png(3));
  EXPECT_THAT(
      groups(imported(folder, {.group_by = GroupBy::folder})),
      ElementsAre(std::pair{"cat/patient7/1.png", "patient7"}, std::pair{"dog/3.png", ""}, std::pair{"dog/patient7/1.png", "patient7"}));
  EXPECT_EQ(groups(imported(folder))["dog/patient7/1.png"], "");
}

TEST(ImportGroups, ByPattern) {
  const TestFolder folder;
  folder.add("cat/track12_003.png", png(1));
  folder.add("dog/track9_001.png", png(2));
  folder.add("dog/other.png", png(3));
  const auto by = [](const std::string& pattern) { return demand::SplitPlan{.group_by = GroupBy::pattern, .pattern = pattern}; };
  EXPECT_THAT(groups(imported(folder, by("track([0-9]+)_"))),
              ElementsAre(std::pair{"cat/track12_003.png", "12"}, std::pair{"dog/other.png", ""}, std::pair{"dog/track9_001.png", "9"}));
  EXPECT_EQ(groups(imported(folder, by("track[0-9]+")))["cat/track12_003.png"], "track12");
  EXPECT_THAT(failure(folder, by("(")).message, HasSubstr("no regular expression"));
  EXPECT_THAT(failure(folder, by("(a)\\1")).message, HasSubstr("back references"));
  EXPECT_THAT(failure(folder, by("frame([0-9]+)")).message, HasSubstr("matches none of the 3 paths"));
  EXPECT_THAT(failure(folder, {.group_by = GroupBy::pattern}).message, HasSubstr("split.pattern is not given"));
  EXPECT_THAT(failure(folder, {.group_by = GroupBy::column, .column = "c"}).message, HasSubstr("no columns"));
}

TEST(ImportGroups, PatternsThatBacktrackForEverDoNot) {
  const TestFolder folder;
  folder.add("cat/" + std::string(200, 'a') + ".png", png(1));
  folder.add("dog/b.png", png(2));
  const auto begin = std::chrono::steady_clock::now();
  failure(folder, {.group_by = GroupBy::pattern, .pattern = "(a+)+$"});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(ImportCsv, PathsLabelsSplitsAndGroups) {
  const TestFolder folder;
  for (int i = 0; i < 5; ++i) folder.add(fmt::format("images/{}, \"x\".png", i), png(i));
  folder.add("meta.txt", "side");
  std::string table = "Label,FILE,split,patient\r\n";
  const char* splits[] = {"train", "Test", "val", "", "training"};
  for (int i = 0; i < 5; ++i)
    table += fmt::format("{},\"images/{}, \"\"x\"\".png\",{},p{}\r\n", i % 2 == 0 ? "Ölkanne" : "b,c", i, splits[i], i / 2);
  folder.add("list.csv", table);
  // The label field "b,c" needs quotes: without them the row has a field too many.
  EXPECT_THAT(failure(folder).message, HasSubstr("list.csv:3: 5 fields where the header has 4"));
  for (std::size_t at = 0; (at = table.find("b,c", at)) != std::string::npos; at += 5) table.replace(at, 3, "\"b,c\"");
  folder.add("list.csv", table);

  const Manifest manifest = imported(folder, {.group_by = GroupBy::column, .column = "patient"});
  EXPECT_EQ(manifest.format, "csv");
  EXPECT_THAT(manifest.classes, ElementsAre("b,c", "Ölkanne"));
  ASSERT_EQ(manifest.samples.size(), 5U);
  EXPECT_EQ(manifest.samples[1].path, "images/1, \"x\".png");
  EXPECT_EQ(manifest.samples[1].split, Split::test);
  EXPECT_EQ(manifest.samples[1].label, 0);
  EXPECT_EQ(manifest.samples[2].split, Split::validation);
  EXPECT_EQ(manifest.samples[2].group, "p1");
  EXPECT_TRUE(manifest.given_test);
  EXPECT_TRUE(manifest.given_validation);
  EXPECT_EQ(reasons(manifest)["list.csv"], "the table of labels");
  EXPECT_EQ(reasons(manifest)["meta.txt"], "side file (.txt)");
  EXPECT_EQ(imported(folder, {.group_by = GroupBy::folder}).samples[0].group, "images");
  // The file itself may be the path.
  EXPECT_EQ(write_manifest(imported(folder, {}, {.path = folder.path("list.csv")})), write_manifest(imported(folder)));
  EXPECT_THAT(failure(folder, {.group_by = GroupBy::column, .column = "patent"}).message, HasSubstr("did you mean \"patient\"?"));
}

TEST(ImportCsv, EveryRowIsAccountedFor) {
  const TestFolder folder;
  for (const char* name : {"a.png", "b.png", "c.png", "d.png"}) folder.add(name, png(name[0]));
  folder.add("labels/l.csv", "path,label\na.png,cat\n./b.png,dog\n" + folder.path("c.png") +
                                 ",dog\na.png,cat\na.png,dog\nmissing.png,cat\n../../etc/passwd,cat\n/etc/passwd,dog\n,cat\nd.png,\n");
  const demand::Data data{.path = folder.path(), .labels = "labels/l.csv", .max_rejected = 0.9};
  const Manifest manifest = imported(folder, {}, data);
  ASSERT_EQ(manifest.samples.size(), 3U);
  EXPECT_EQ(manifest.samples[1].path, "b.png");
  EXPECT_EQ(manifest.samples[2].path, "c.png");
  std::vector<std::string> said;
  for (const Rejection& rejection : manifest.rejected) said.push_back(rejection.path + ": " + rejection.reason);
  const std::string in = " of labels/l.csv)";
  EXPECT_THAT(said,
              testing::UnorderedElementsAre("a.png: listed twice (line 5" + in, "a.png: listed again as dog, before as cat (line 6" + in,
                                            "missing.png: no such file (line 7" + in, "../../etc/passwd: outside the folder (line 8" + in,
                                            "/etc/passwd: outside the folder (line 9" + in, ": no path (line 10" + in,
                                            "d.png: no label (line 11" + in, "labels/l.csv: the table of labels"));
  EXPECT_THAT(failure(folder, {}, {.path = folder.path(), .labels = "labels/l.csv"}).message, HasSubstr("6 of 9 files cannot be used"));
}

TEST(ImportCsv, ATableElsewhereAloneSaysWhatTheDataAre) {
  const TestFolder folder, other;
  for (int i = 0; i < 6; ++i) folder.add(fmt::format("pool/{}.png", i), png(i));
  folder.add("README.md", "not looked at");
  other.add("few.csv", "path,label,split\npool/1.png,cat,train\npool/2.png,dog,test\npool/9.png,dog,test\n");
  const demand::Data data{.path = folder.path(), .labels = other.path("few.csv"), .max_rejected = 0.5};
  const Manifest manifest = imported(folder, {}, data);
  ASSERT_EQ(manifest.samples.size(), 2U);
  EXPECT_EQ(manifest.samples[0].path, "pool/1.png");
  EXPECT_EQ(manifest.samples[1].split, Split::test);
  ASSERT_EQ(manifest.rejected.size(), 1U);  // the pool's other pictures are not this demand's
  EXPECT_EQ(manifest.rejected[0].path, "pool/9.png");
  EXPECT_EQ(list_pictures(data, {})->size(), 2U);

  const Digest before = *listing_digest(data);
  folder.add("pool/7.png", png(7));
  EXPECT_EQ(*listing_digest(data), before);
  folder.add("pool/2.png", png(8));
  EXPECT_NE(*listing_digest(data), before);
  EXPECT_EQ(import_data({.path = folder.path(), .labels = "/nowhere/x.csv"}, {}).error().kind, ErrorKind::not_found);
}

TEST(Import, WhatIntakeKnowsIsNotDecodedAgain) {
  const TestFolder folder, memory;
  for (int i = 0; i < 8; ++i) folder.add(fmt::format("{}/{}.png", i % 2 == 0 ? "a" : "b", i), png(i));
  folder.add("a/broken.png", "no picture");
  const demand::Data data{.path = folder.path(), .max_rejected = 0.5};
  const Manifest plain = *import_data(data, {});
  for (int turn = 0; turn < 2; ++turn) {  // fills it, uses it
    const auto intake = Intake::open(memory.path("intake"));
    ASSERT_TRUE(intake.ok());
    EXPECT_EQ((*intake)->find(plain.samples[0].digest).has_value(), turn == 1);
    const auto manifest = import_data(data, {}, intake->get());
    ASSERT_TRUE(manifest.ok());
    EXPECT_EQ(write_manifest(*manifest), write_manifest(plain));
    // In one process a file's digest is remembered, until the file changes.
    const std::string path = folder.path("a/0.png");
    EXPECT_EQ(*(*intake)->digest_of(path), plain.samples[0].digest);
  }
  const auto intake = Intake::open(memory.path("intake"));
  ASSERT_TRUE((*intake)->digest_of(folder.path("a/0.png")).ok());
  folder.add("a/0.png", png(77) + "x");
  EXPECT_EQ(*(*intake)->digest_of(folder.path("a/0.png")), sha256_of(png(77) + "x"));
  EXPECT_EQ((*intake)->digest_of(folder.path("a/none.png")).error().kind, ErrorKind::not_found);
}

TEST(ImportCsv, HeadersThatDoNotFit) {
  const TestFolder folder;
  folder.add("a.png", png(1));
  const auto says = [&](const std::string& table) {
    folder.add("l.csv", table);
    return failure(folder, {}, {.path = folder.path(), .labels = "l.csv"}).message;
  };
  EXPECT_THAT(says(""), HasSubstr("the file is empty"));
  EXPECT_THAT(says("path,lable\na.png,x\n"), HasSubstr("no column \"label\"; the columns are path, lable; did you mean \"lable\"?"));
  EXPECT_THAT(says("path,label,split\na.png,x,exam\n"), HasSubstr("l.csv:2: the split \"exam\" is none of"));
  EXPECT_THAT(says("path,label\n\"a.png,x\n"), HasSubstr("l.csv:2: a quote is opened"));
  EXPECT_EQ(failure(folder, {}, {.path = folder.path(), .labels = "none.csv"}).kind, ErrorKind::not_found);
}

TEST(Import, FormatsAreFound) {
  const TestFolder folder;
  folder.add("cat/1.png", png(1));
  folder.add("dog/1.png", png(2));
  folder.add("prices.csv", "path,label\nnot-there.png,cheap\n");
  EXPECT_EQ(*detect_format(folder.path()), "folders");
  folder.add("labels.csv", "path,label\ncat/1.png,x\ndog/1.png,y\n");
  EXPECT_EQ(*detect_format(folder.path()), "csv");
  EXPECT_THAT(format_names(),
              ElementsAre("coco", "voc", "yolo", "idx", "texts", "landmarks", "csv", "mvtec", "masks", "folders", "pictures"));
}

TEST(Import, ListingDigestFollowsTheFolder) {
  const TestFolder folder;
  folder.add("cat/1.png", png(1));
  const demand::Data data{.path = folder.path()};
  const Digest first = *listing_digest(data);
  EXPECT_EQ(*listing_digest(data), first);
  folder.add("cat/2.png", "even what is no picture");
  const Digest second = *listing_digest(data);
  EXPECT_NE(second, first);
  std::filesystem::last_write_time(folder.path("cat/2.png"), std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  const Digest third = *listing_digest(data);
  EXPECT_NE(third, second);
  std::filesystem::rename(folder.path("cat/2.png"), folder.path("cat/3.png"));
  EXPECT_NE(*listing_digest(data), third);
  EXPECT_EQ(listing_digest({.path = folder.path("nowhere")}).error().kind, ErrorKind::not_found);
}

TEST(SampleReader, IsSafeFromManyThreads) {
  const TestFolder folder;
  folder.add("a.png", png(1));
  const SampleReader reader(folder.path());
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) good += reader.read("a.png", {.channels = 1}).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 200);
  EXPECT_EQ(reader.read("b.png").error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace sightline::dataset
