#include <gmock/gmock.h>

#include <chrono>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/parallel.h"
#include "dataset/import.h"
#include "dataset/split.h"
#include "dataset/test_folder.h"
#include "dataset/video_frames.h"
#include "image/drawn_video.h"

namespace sightline::dataset {
namespace {
using demand::GroupBy;
using image::h264;
using image::run_ffmpeg;
using image::test_card;
using testing::ElementsAre;
using testing::HasSubstr;

class ImportVideos : public ::testing::Test {
 protected:
  void TearDown() override { clear_interrupt(); }
  void draw(const std::string& name, const std::string& arguments) const {
    std::filesystem::create_directories(std::filesystem::path(folder.path(name)).parent_path());
    run_ffmpeg(arguments, folder.path(name));
  }
  Result<Manifest> import(demand::Data data = {}, const demand::SplitPlan& plan = {}) const {
    data.path = folder.path();
    return import_data(data, plan);
  }
  Manifest imported(const demand::Data& data = {}, const demand::SplitPlan& plan = {}) const {
    auto manifest = import(data, plan);
    EXPECT_TRUE(manifest.ok()) << manifest.error().message;
    return manifest.ok() ? *std::move(manifest) : Manifest{};
  }
  static std::vector<std::string> paths(const Manifest& manifest) {
    std::vector<std::string> all;
    for (const Sample& sample : manifest.samples) all.push_back(sample.path);
    return all;
  }
  TestFolder folder;
};

std::string moving(double seconds, int kind) {
  return kind == 0 ? test_card(seconds) + h264
                   : fmt::format("-f lavfi -i mandelbrot=size=160x120:rate=25:start_scale={} -t {}{}", 3.0 / kind, seconds, h264);
}

TEST(FramePath, IsAddressedByItsTime) {
  EXPECT_EQ(frame_path("a/clip.mp4", 12'034), "a/clip.mp4#t=12.034");
  std::string_view video;
  std::int64_t time = 0;
  ASSERT_TRUE(split_frame_path("a/clip.mp4#t=12.034", video, time));
  EXPECT_EQ(video, "a/clip.mp4");
  EXPECT_EQ(time, 12'034);
  for (const char* other : {"clip.mp4", "clip.mp4#t=12", "clip.mp4#t=12.3", "clip.mp4#t=-1.000", "clip.mp4#t=1.0a0", "a.png#t=1.000",
                            "car.jpg#1,2,3,4", "train-images-idx3-ubyte#17", "clip.mp4#t=1.-10", ""})
    EXPECT_FALSE(split_frame_path(other, video, time)) << other;
}

TEST_F(ImportVideos, FramesAreSamplesOfTheVideosClass) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  draw("bright/a.mp4", image::brightening(4) + h264);
  draw("card/b.mkv", moving(3, 0));
  folder.add("card/still.png", image::encode_png(scene(40, 30, 3, 1)));
  const Manifest manifest = imported();
  EXPECT_EQ(manifest.format, "folders");
  EXPECT_THAT(paths(manifest), ElementsAre("bright/a.mp4#t=0.000", "bright/a.mp4#t=1.000", "bright/a.mp4#t=2.000", "bright/a.mp4#t=3.000",
                                           "card/b.mkv#t=0.000", "card/b.mkv#t=1.000", "card/b.mkv#t=2.000", "card/still.png"));
  EXPECT_TRUE(manifest.rejected.empty());
  for (std::size_t i = 0; i < 4; ++i) {
    const Sample& sample = manifest.samples[i];
    EXPECT_EQ(sample.width, 64);
    EXPECT_EQ(sample.height, 48);
    EXPECT_EQ(sample.channels, 3);
    EXPECT_EQ(sample.label, 0);
    EXPECT_EQ(sample.group, "bright/a.mp4");
    EXPECT_NEAR(sample.mean, image::shade_of_frame(static_cast<int>(10 * i)), 2.5);
  }
  EXPECT_EQ(manifest.samples[7].group, "");
  EXPECT_EQ(manifest.samples[7].label, 1);
  EXPECT_EQ(write_manifest(manifest), write_manifest(imported()));
  const auto again = parse_manifest(write_manifest(manifest), "m");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(paths(*again), paths(manifest));
  const auto pictures = list_pictures({.path = folder.path()}, {});
  ASSERT_TRUE(pictures.ok());
  EXPECT_THAT(*pictures, ElementsAre(folder.path("card/still.png")));
}

TEST_F(ImportVideos, FramesAreReadAsTheyWereDescribed) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  draw("one/a.mp4", moving(9, 0));
  draw("two/b.m2ts", moving(9, 1));  // has no index
  const Manifest manifest = imported({.frames = {.every_s = 0.5}});
  ASSERT_EQ(manifest.samples.size(), 36U);
  std::vector<std::size_t> order(manifest.samples.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto check = [&](int threads, std::size_t block) {
    const SampleReader reader(manifest.root);
    return parallel_for(
        order.size(),
        [&](std::size_t i) -> Result<void> {
          const Sample& sample = manifest.samples[order[i]];
          Digest digest;
          SIGHTLINE_TRY(const image::Image image, reader.read_and_digest(sample.path, {.channels = 1}, &digest));
          EXPECT_EQ(image.channels, 1);
          EXPECT_EQ(image.width, sample.width);
          EXPECT_EQ(digest, sample.digest) << sample.path;
          return {};
        },
        threads, block);
  };
  EXPECT_TRUE(check(1, 1).ok());
  EXPECT_TRUE(check(3, 1).ok());
  EXPECT_TRUE(check(2, 8).ok());
  std::shuffle(order.begin(), order.end(), std::mt19937(7));
  EXPECT_TRUE(check(2, 1).ok());
  // The file becomes another one.
  draw("one/a.mp4", moving(9, 2));
  Digest digest;
  ASSERT_TRUE(SampleReader(manifest.root).read_and_digest("one/a.mp4#t=3.000", {}, &digest).ok());
  EXPECT_NE(digest, manifest.samples[6].digest);
  draw("one/a.mp4", moving(2, 0));
  const auto gone = SampleReader(manifest.root).read("one/a.mp4#t=3.000");
  EXPECT_EQ(gone.error().kind, ErrorKind::invalid_data);
  EXPECT_THAT(gone.error().message, HasSubstr("there is no frame at 3.000 s"));
  EXPECT_EQ(SampleReader(manifest.root).read("one/none.mp4#t=3.000").error().kind, ErrorKind::not_found);
}

TEST_F(ImportVideos, TheDemandSaysHowManyFrames) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  draw("one/a.mp4", image::brightening(6) + h264);
  draw("two/b.mp4", image::brightening(2) + h264);
  EXPECT_THAT(paths(imported({.frames = {.every_s = 2}})),
              ElementsAre("one/a.mp4#t=0.000", "one/a.mp4#t=2.000", "one/a.mp4#t=4.000", "two/b.mp4#t=0.000"));
  EXPECT_THAT(paths(imported({.frames = {.every_s = 1, .at_most = 2}})),
              ElementsAre("one/a.mp4#t=0.000", "one/a.mp4#t=3.000", "two/b.mp4#t=0.000", "two/b.mp4#t=1.000"));
  EXPECT_EQ(imported({.frames = {.every_s = 0.001, .at_most = 1000}}).samples.size(), 80U);  // more than there are
}

TEST_F(ImportVideos, WhatCannotBeReadIsRejectedWithTheReason) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  draw("one/a.mkv", moving(8, 0));
  draw("two/b.mp4", moving(2, 1));
  draw("two/sound.mp4", "-f lavfi -i sine=duration=1");
  folder.add("two/words.mp4", "These are words.\n");
  folder.add("two/empty.mp4", "");
  const auto whole = read_file(folder.path("one/a.mkv"));
  ASSERT_TRUE(whole.ok());
  folder.add("one/cut.mkv", whole->substr(0, whole->size() / 2));
  EXPECT_THAT(import().error().message, HasSubstr("data.max_rejected"));
  const Manifest manifest = imported({.max_rejected = 0.5});
  std::map<std::string, std::string> reasons;
  for (const Rejection& each : manifest.rejected) reasons[each.path] = each.reason;
  ASSERT_EQ(reasons.size(), 4U);
  EXPECT_EQ(reasons["two/empty.mp4"], "the file is empty");
  EXPECT_THAT(reasons["two/words.mp4"], HasSubstr("not a video that can be read"));
  EXPECT_THAT(reasons["two/sound.mp4"], HasSubstr("no pictures in it"));
  EXPECT_THAT(reasons["one/cut.mkv"], HasSubstr("it was cut off"));
  EXPECT_THAT(reasons["one/cut.mkv"], HasSubstr("frames taken"));
  std::size_t kept = 0;
  for (const std::string& path : paths(manifest)) kept += path.starts_with("one/cut.mkv#") ? 1 : 0;
  EXPECT_GE(kept, 2U);
  EXPECT_LT(kept, 7U);
}

TEST_F(ImportVideos, WithoutTheDecoderNothingIsImported) {
  folder.add("one/a.mp4", "x");
  folder.add("two/b.png", image::encode_png(scene(9, 7, 3, 1)));
  const char* before = std::getenv("SIGHTLINE_VIDEO");
  const std::string saved = before == nullptr ? "" : before;
  ::setenv("SIGHTLINE_VIDEO", folder.path("none").c_str(), 1);
  const auto manifest = import();
  saved.empty() ? ::unsetenv("SIGHTLINE_VIDEO") : ::setenv("SIGHTLINE_VIDEO", saved.c_str(), 1);
  EXPECT_EQ(manifest.error().kind, ErrorKind::not_found);
  EXPECT_THAT(manifest.error().message, HasSubstr("to read videos"));
}

TEST_F(ImportVideos, AnInterruptEndsTheImportAndTheDecoder) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  draw("one/a.m2ts", test_card(40) + " -c:v mpeg2video");
  std::filesystem::create_directories(folder.path("two"));
  std::filesystem::copy_file(folder.path("one/a.m2ts"), folder.path("two/b.m2ts"));
  std::thread asks_to_stop([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    request_interrupt();
  });
  const auto manifest = import({.frames = {.every_s = 0.04, .at_most = 100000}});
  asks_to_stop.join();
  EXPECT_EQ(manifest.error().kind, ErrorKind::interrupted);
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto status = read_file(entry.path().string() + "/status");
    if (!status.ok() || !status->starts_with("Name:\tsightline-video")) continue;
    EXPECT_EQ(status->find(fmt::format("PPid:\t{}\n", ::getpid())), std::string::npos);
  }
}

TEST_F(ImportVideos, RowsOfATableNameVideosToo) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  draw("clips/a.mp4", moving(3, 0));
  draw("clips/b.mp4", moving(2, 1));
  folder.add("labels.csv", "path,label,cow\nclips/a.mp4,calm,17\nclips/b.mp4,lame,18\n");
  const Manifest manifest = imported({}, {.group_by = GroupBy::column, .column = "cow"});
  EXPECT_EQ(manifest.format, "csv");
  ASSERT_EQ(manifest.samples.size(), 5U);
  EXPECT_EQ(manifest.samples[0].group, "17");
  EXPECT_EQ(manifest.samples[4].path, "clips/b.mp4#t=1.000");
  EXPECT_EQ(manifest.samples[4].label, 1);
  EXPECT_EQ(manifest.samples[4].group, "18");
}

TEST_F(ImportVideos, LooseVideosAreGoodPictures) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  draw("a.mp4", moving(3, 0));
  draw("b.mp4", moving(2, 1));
  const auto manifest = import_data({.path = folder.path()}, {}, nullptr, true);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->format, "pictures");
  EXPECT_EQ(manifest->samples.size(), 5U);
}

// Whatever the plan, all frames of a video are in one split, and every split has some.
TEST_F(ImportVideos, SplitsNeverTearAVideo) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  for (int i = 0; i < 5; ++i) {
    draw(fmt::format("card/day{}/a{}.mp4", i, i),
         fmt::format("-f lavfi -i testsrc2=size=96x64:rate=25:duration={} -vf hue=h={}{}", 3 + i, 60 * i, h264));
    draw(fmt::format("fractal/day{}/b{}.mp4", i, i), moving(3, i + 1));
  }
  for (const GroupBy group_by : {GroupBy::none, GroupBy::folder, GroupBy::near_duplicates}) {
    SCOPED_TRACE(enum_name(group_by));
    const demand::SplitPlan plan{.validation = 0.2, .test = 0.3, .group_by = group_by};
    Manifest manifest = imported({.frames = {.every_s = 0.5}}, plan);
    const auto status = assign_splits(manifest, plan, 3);
    ASSERT_TRUE(status.ok()) << status.error().message;
    std::map<std::string, std::set<Split>> splits;
    std::set<Split> all;
    for (const Sample& sample : manifest.samples) {
      splits[sample.path.substr(0, sample.path.find('#'))].insert(sample.split);
      all.insert(sample.split);
    }
    EXPECT_EQ(splits.size(), 10U);
    for (const auto& [video, of_video] : splits) EXPECT_EQ(of_video.size(), 1U) << video;
    EXPECT_EQ(all.size(), 3U);
  }
}

std::vector<std::string> groups_of(const std::vector<std::pair<std::string, std::string>>& given) {
  std::vector<Sample> samples;
  for (const auto& [path, group] : given) {
    samples.emplace_back();
    samples.back().path = path;
    samples.back().group = group;
  }
  keep_videos_whole(samples);
  std::vector<std::string> groups;
  for (const Sample& sample : samples) groups.push_back(sample.group);
  return groups;
}

TEST(VideoGroups, AreWhole) {
  EXPECT_THAT(groups_of({{"a.png", "x"}, {"b.png", ""}}), ElementsAre("x", ""));
  EXPECT_THAT(groups_of({{"b.mp4#t=0.000", ""}, {"a.mp4#t=0.000", ""}, {"b.mp4#t=1.000", ""}}), ElementsAre("b.mp4", "a.mp4", "b.mp4"));
  // A group of the data's own keeps its name, and its pictures stay in it.
  EXPECT_THAT(groups_of({{"b.mp4#t=0.000", "cow"}, {"b.mp4#t=1.000", "cow"}, {"a.mp4#t=0.000", "cow"}, {"c.png", "cow"}}),
              ElementsAre("cow", "cow", "cow", "cow"));
  // Half of the shorter one is like the other: a copy. A single frame alike is chance.
  EXPECT_THAT(
      groups_of({{"a.mp4#t=0.000", "n"}, {"a.mp4#t=1.000", ""}, {"b.mp4#t=0.000", "n"}, {"b.mp4#t=1.000", ""}, {"b.mp4#t=2.000", ""}}),
      ElementsAre("a.mp4", "a.mp4", "a.mp4", "a.mp4", "a.mp4"));
  EXPECT_THAT(groups_of({{"a.mp4#t=0.000", "n"},
                         {"a.mp4#t=1.000", ""},
                         {"a.mp4#t=2.000", ""},
                         {"b.mp4#t=0.000", "n"},
                         {"b.mp4#t=1.000", ""},
                         {"b.mp4#t=2.000", ""}}),
              ElementsAre("a.mp4", "a.mp4", "a.mp4", "b.mp4", "b.mp4", "b.mp4"));
  // A picture goes with the video that most of its group is of, and so do its like.
  EXPECT_THAT(groups_of({{"still.png", "n"},
                         {"b.mp4#t=0.000", "n"},
                         {"b.mp4#t=1.000", "n"},
                         {"b.mp4#t=2.000", ""},
                         {"b.mp4#t=3.000", ""},
                         {"a.mp4#t=0.000", "n"},
                         {"a.mp4#t=1.000", ""},
                         {"a.mp4#t=2.000", ""},
                         {"copy.png", "n"}}),
              ElementsAre("b.mp4", "b.mp4", "b.mp4", "b.mp4", "b.mp4", "a.mp4", "a.mp4", "a.mp4", "b.mp4"));
}

}  // namespace
}  // namespace sightline::dataset
