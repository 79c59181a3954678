// For tests only: videos that ffmpeg draws.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace sightline::image {

inline bool has_ffmpeg() { return std::system("ffmpeg -version >/dev/null 2>&1") == 0; }

// ffmpeg ARGUMENTS FILE
inline void run_ffmpeg(const std::string& arguments, const std::string& file) {
  const std::string command = fmt::format("ffmpeg -nostdin -v error -y {} '{}'", arguments, file);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

// Ten frames a second, 64×48, of one shade each: frame N is as bright as shade_of_frame(N).
inline std::string brightening(double seconds) {
  return fmt::format("-f lavfi -i \"color=c=black:size=64x48:rate=10:duration={},geq=lum='16+N':cb=128:cr=128\"", seconds);
}
constexpr double shade_of_frame(int number) { return number * 255.0 / 219; }  // of luma that goes from 16 to 235

// A test card with moving parts and a counter.
inline std::string test_card(double seconds, const std::string& size = "160x120") {
  return fmt::format("-f lavfi -i testsrc=size={}:rate=25:duration={}", size, seconds);
}

// Key frames 2 seconds apart, and pictures between them that need later ones.
constexpr const char* h264 = " -pix_fmt yuv420p -c:v libx264 -preset fast -crf 16 -g 50 -bf 2";

}  // namespace sightline::image

#define SIGHTLINE_SKIP_WITHOUT_FFMPEG \
  if (!sightline::image::has_ffmpeg()) GTEST_SKIP() << "there is no ffmpeg to draw videos with (scripts/install-deps brings it)"
