#include "image/video.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/temporary_folder.h"
#include "base/text.h"
#include "image/drawn_video.h"

namespace sightline::image {
namespace {
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* conversion = "scale=flags=bicubic+accurate_rnd+bitexact+full_chroma_int,format=rgb24";

double mean_of(const Image& image) {
  double sum = 0;
  for (const std::uint8_t value : image.pixels) sum += value;
  return sum / static_cast<double>(image.pixels.size());
}

// Of the greatest and of the usual difference.
std::pair<int, double> difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.channels != b.channels) return {255, 255};
  int most = 0;
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    const int one = std::abs(static_cast<int>(a.pixels[i]) - static_cast<int>(b.pixels[i]));
    most = std::max(most, one);
    sum += one;
  }
  return {most, sum / static_cast<double>(a.pixels.size())};
}

// What /proc says of the decoders that this process has started.
std::vector<std::string> decoders() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto status = read_file(entry.path().string() + "/status");
    if (status.ok() && status->starts_with("Name:\tsightline-video") &&
        status->find(fmt::format("PPid:\t{}\n", ::getpid())) != std::string::npos)
      found.push_back(*status);
  }
  return found;
}

class VideoTest : public ::testing::Test {
 protected:
  void TearDown() override {
    clear_interrupt();
    if (saved.empty()) {
      ::unsetenv("SIGHTLINE_VIDEO");
    } else {
      ::setenv("SIGHTLINE_VIDEO", saved.c_str(), 1);
    }
  }
  Error failure(const std::string& path, const VideoOptions& options = {}) {
    const auto video = Video::open(path, options);
    EXPECT_FALSE(video.ok());
    return video.ok() ? Error{} : video.error();
  }
  // A decoder of the test's own: a shell script.
  void decode_with(const std::string& body) {
    EXPECT_TRUE(write_file(folder / "decoder", "#!/bin/sh\n" + body).ok());
    ::chmod((folder / "decoder").c_str(), 0755);
    ::setenv("SIGHTLINE_VIDEO", (folder / "decoder").c_str(), 1);
  }
  VideoFrame frame_at(Video& video, std::int64_t milliseconds) {
    auto frame = video.at(milliseconds);
    EXPECT_TRUE(frame.ok()) << frame.error().message;
    EXPECT_TRUE(frame.ok() && frame->has_value()) << milliseconds;
    return frame.ok() && *frame ? std::move(**frame) : VideoFrame{};
  }
  TemporaryFolder folder;
  std::string saved = std::getenv("SIGHTLINE_VIDEO") == nullptr ? "" : std::getenv("SIGHTLINE_VIDEO");
};

TEST_F(VideoTest, GivesTheFrameOfEachTime) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  for (const auto& [name, codec] : std::vector<std::pair<std::string, std::string>>{{"a.mp4", h264},
                                                                                    {"a.mkv", h264},
                                                                                    {"a.mpg", " -r 25 -c:v mpeg2video -qscale 2"},
                                                                                    {"a.avi", " -c:v mpeg4 -qscale 2 -bf 2"},
                                                                                    {"a.webm", " -c:v libvpx -b:v 1M"},
                                                                                    {"a.m2ts", h264},
                                                                                    {"a.mov", " -c:v mjpeg -qscale 2 -pix_fmt yuvj420p"}}) {
    SCOPED_TRACE(name);
    run_ffmpeg(brightening(12) + codec, folder / name);
    auto video = Video::open(folder / name);
    ASSERT_TRUE(video.ok()) << video.error().message;
    EXPECT_EQ(video->width(), 64);
    EXPECT_EQ(video->height(), 48);
    // Program streams do not say it: FFmpeg looks for the last time stamp, and not each frame has one.
    EXPECT_NEAR(static_cast<double>(video->milliseconds()), 12000, name == "a.mpg" ? 1500 : 200);
    for (const int wanted : {0, 50, 2000, 2001, 7000, 3000, 11'850, 3000, 100}) {
      const VideoFrame frame = frame_at(*video, wanted);
      if (name == "a.mpg") {  // 25 frames a second
        EXPECT_GE(frame.milliseconds, wanted);
        EXPECT_LT(frame.milliseconds, wanted + 40);
        EXPECT_NEAR(mean_of(frame.image), shade_of_frame(static_cast<int>(frame.milliseconds) / 100), 3.5) << wanted;
        continue;
      }
      const int number = (wanted + 99) / 100;
      EXPECT_EQ(frame.milliseconds, number * 100);
      EXPECT_NEAR(mean_of(frame.image), shade_of_frame(number), 2.5) << wanted;
    }
    const auto beyond = video->at(12'100);
    ASSERT_TRUE(beyond.ok()) << beyond.error().message;
    EXPECT_FALSE(beyond->has_value());
    EXPECT_NEAR(static_cast<double>(video->ending().milliseconds), 12000, 110);
    EXPECT_EQ(video->ending().damaged, 0);
    EXPECT_EQ(video->ending().complaint, "");
  }
}

TEST_F(VideoTest, AFrameIsTheSameWhateverWasAskedBefore) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  for (const std::string name : {"a.mp4", "a.mkv", "a.m2ts"}) {
    SCOPED_TRACE(name);
    run_ffmpeg(test_card(9) + h264, folder / name);
    auto video = Video::open(folder / name);
    ASSERT_TRUE(video.ok()) << video.error().message;
    std::vector<VideoFrame> frames;
    for (int time = 0; time < 9000; time += 730) {
      auto frame = video->at(time, time + 730);
      ASSERT_TRUE(frame.ok() && frame->has_value());
      frames.push_back(std::move(**frame));
    }
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
      const VideoFrame again = frame_at(*video, frame->milliseconds);
      EXPECT_EQ(again.milliseconds, frame->milliseconds);
      EXPECT_EQ(again.image.pixels, frame->image.pixels) << frame->milliseconds;
    }
    // And what ffmpeg itself makes of it, when it is told to convert colours with the same care.
    run_ffmpeg(fmt::format("-i '{}' -vf \"select='eq(n,{})',{}\" -frames:v 1", folder / name, frames[5].milliseconds / 40, conversion),
               folder / "5.png");
    const auto theirs = read_image(folder / "5.png");
    ASSERT_TRUE(theirs.ok());
    EXPECT_LE(difference(frames[5].image, *theirs).first, 1);
  }
}

TEST_F(VideoTest, IsTurnedUpright) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  run_ffmpeg(test_card(1) + h264, folder / "plain.mp4");
  for (const int degrees : {90, 180, 270}) {
    SCOPED_TRACE(degrees);
    run_ffmpeg(fmt::format("-i '{}' -c copy -metadata:s:v:0 rotate={}", folder / "plain.mp4", degrees), folder / "turned.mp4");
    run_ffmpeg(fmt::format("-i '{}' -vf {} -frames:v 1", folder / "turned.mp4", conversion), folder / "turned.png");
    const auto theirs = read_image(folder / "turned.png");
    ASSERT_TRUE(theirs.ok());
    auto video = Video::open(folder / "turned.mp4");
    ASSERT_TRUE(video.ok()) << video.error().message;
    EXPECT_EQ(video->width(), degrees == 180 ? 160 : 120);
    const VideoFrame frame = frame_at(*video, 0);
    EXPECT_EQ(frame.image.width, video->width());
    EXPECT_LE(difference(frame.image, *theirs).second, 1.5);  // it converts after turning, so that colours have other neighbours
  }
}

TEST_F(VideoTest, SaysWhatIsNoVideo) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  const auto message = [&](const std::string& name) {
    const Error error = failure(folder / name);
    EXPECT_EQ(error.kind, ErrorKind::invalid_data) << name;
    EXPECT_THAT(error.message, HasSubstr(folder / name));
    return error.message;
  };
  ASSERT_TRUE(write_file(folder / "text.mp4", "These are words, and not a picture in sight.\n").ok());
  EXPECT_THAT(message("text.mp4"), HasSubstr("not a video that can be read"));
  ASSERT_TRUE(write_file(folder / "empty.mp4", "").ok());
  EXPECT_THAT(message("empty.mp4"), HasSubstr("the file is empty"));
  run_ffmpeg("-f lavfi -i sine=duration=1", folder / "sound.mp4");
  EXPECT_THAT(message("sound.mp4"), HasSubstr("no pictures in it"));
  run_ffmpeg(test_card(2) + h264, folder / "good.mp4");
  const auto good = read_file(folder / "good.mp4");
  ASSERT_TRUE(good.ok());
  ASSERT_TRUE(write_file(folder / "cut.mp4", good->substr(0, good->size() / 2)).ok());
  EXPECT_THAT(message("cut.mp4"), HasSubstr("cut off"));
  EXPECT_THAT(failure(folder / "good.mp4", {.max_pixels = 1000}).message, HasSubstr("160×120 pixels are more than the limit of 1000"));
  EXPECT_EQ(failure(folder / "none.mp4").kind, ErrorKind::not_found);
  // Lists that name other files are not followed.
  ASSERT_TRUE(write_file(folder / "list.mp4", "ffconcat version 1.0\nfile 'good.mp4'\n").ok());
  EXPECT_THAT(message("list.mp4"), HasSubstr("playlists"));
  ASSERT_TRUE(write_file(folder / "list.mkv", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ngood.mp4\n#EXT-X-ENDLIST\n").ok());
  EXPECT_THAT(message("list.mkv"), HasSubstr("not a video that can be read"));
}

TEST_F(VideoTest, OneThatIsCutOffGivesWhatIsThere) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  run_ffmpeg(test_card(8) + h264, folder / "whole.mkv");
  const auto whole = read_file(folder / "whole.mkv");
  ASSERT_TRUE(whole.ok());
  ASSERT_TRUE(write_file(folder / "cut.mkv", whole->substr(0, whole->size() / 2)).ok());
  auto video = Video::open(folder / "cut.mkv");
  ASSERT_TRUE(video.ok()) << video.error().message;
  auto reference = Video::open(folder / "whole.mkv");
  ASSERT_TRUE(reference.ok());
  int given = 0;
  for (; given < 9; ++given) {
    const auto frame = video->at(given * 1000);
    ASSERT_TRUE(frame.ok()) << frame.error().message;
    if (!*frame) break;
    EXPECT_EQ((*frame)->image.pixels, frame_at(*reference, given * 1000).image.pixels);
  }
  EXPECT_GE(given, 2);
  EXPECT_LE(given, 6);
  EXPECT_NEAR(static_cast<double>(video->milliseconds()), 8000, 100);
  EXPECT_GT(video->ending().milliseconds, 1000);
  EXPECT_LT(video->ending().milliseconds, 7000);
}

TEST_F(VideoTest, DamagedPicturesArePassedOver) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  run_ffmpeg(test_card(8) + h264, folder / "whole.mp4");
  auto bytes = read_file(folder / "whole.mp4");
  ASSERT_TRUE(bytes.ok());
  for (std::size_t i = bytes->size() / 3; i < bytes->size() / 3 + 3000; i += 7) (*bytes)[i] = static_cast<char>((*bytes)[i] ^ 0x55);
  ASSERT_TRUE(write_file(folder / "damaged.mp4", *bytes).ok());
  auto video = Video::open(folder / "damaged.mp4");
  ASSERT_TRUE(video.ok()) << video.error().message;
  auto reference = Video::open(folder / "whole.mp4");
  int same = 0, frames = 0;
  for (int time = 0; time < 8000; time += 40) {
    const auto frame = video->at(time);
    ASSERT_TRUE(frame.ok()) << frame.error().message;
    if (!*frame) break;
    ++frames;
    same += (*frame)->image.pixels == frame_at(*reference, (*frame)->milliseconds).image.pixels ? 1 : 0;
  }
  EXPECT_GT(same, 100);
  const auto end = video->at(9000);
  ASSERT_TRUE(end.ok() && !end->has_value());
  EXPECT_GT(video->ending().damaged, 0);
}

TEST_F(VideoTest, TheDecoderMayDoNothingElse) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  run_ffmpeg(test_card(1) + h264, folder / "a.mp4");
  {
    const auto video = Video::open(folder / "a.mp4");
    ASSERT_TRUE(video.ok()) << video.error().message;
    const std::vector<std::string> status = decoders();
    ASSERT_EQ(status.size(), 1U);
    EXPECT_THAT(status[0], AllOf(HasSubstr("NoNewPrivs:\t1"), HasSubstr("Seccomp:\t2")));
  }
  EXPECT_TRUE(decoders().empty());
}

TEST_F(VideoTest, WithoutTheProgramTheErrorNamesItsPackage) {
  ASSERT_TRUE(write_file(folder / "a.mp4", "something").ok());
  ::setenv("SIGHTLINE_VIDEO", (folder / "none").c_str(), 1);
  EXPECT_EQ(failure(folder / "a.mp4").kind, ErrorKind::not_found);
  ::unsetenv("SIGHTLINE_VIDEO");
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "", 1);
  const Error error = failure(folder / "a.mp4");
  ::setenv("PATH", path.c_str(), 1);
  if (error.kind == ErrorKind::invalid_data) GTEST_SKIP() << "the program lies beside this test";
  EXPECT_EQ(error.kind, ErrorKind::not_found);
  EXPECT_THAT(error.message, HasSubstr("the Debian package sightline-video brings it"));
}

TEST_F(VideoTest, ADecoderThatDiesOrStallsIsAnError) {
  ASSERT_TRUE(write_file(folder / "a.mp4", "something").ok());
  decode_with("echo 'out of order' >&2; kill -SEGV $$");
  EXPECT_THAT(failure(folder / "a.mp4").message, AllOf(HasSubstr("a.mp4: its decoder ended by signal 11"), HasSubstr("out of order")));
  decode_with("echo 'video 1000 8 8 1 h264'; read line; echo 'frame 0 8 8'; printf abc");
  auto video = Video::open(folder / "a.mp4");
  ASSERT_TRUE(video.ok()) << video.error().message;
  EXPECT_THAT(video->at(0).error().message, HasSubstr("its decoder ended"));
  decode_with("echo 'video 1000 8 8 1 h264'; read line; echo 'frame 0 90000 90000'");
  video = Video::open(folder / "a.mp4");
  ASSERT_TRUE(video.ok());
  EXPECT_EQ(video->at(0).error().kind, ErrorKind::refused);
  decode_with("exec sleep 30");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(failure(folder / "a.mp4", {.most_seconds = 0.2}).message, HasSubstr("did not answer within 200 ms"));
  std::thread asks_to_stop([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    request_interrupt();
  });
  EXPECT_EQ(failure(folder / "a.mp4").kind, ErrorKind::interrupted);
  asks_to_stop.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(VideoName, IsTakenByItsExtension) {
  for (const char* name : {"a.mp4", "b/c.MKV", "x.y.webm", "a.mov"}) EXPECT_TRUE(is_called_like_a_video(name)) << name;
  for (const char* name : {"a.jpg", "mp4", ".mp4", "a.mp4/b", "a.gif", "", "a.mp4.txt"}) EXPECT_FALSE(is_called_like_a_video(name)) << name;
}

}  // namespace
}  // namespace sightline::image
