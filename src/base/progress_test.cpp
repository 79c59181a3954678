#include "base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>
#include <vector>

namespace sightline {
namespace {
using ::testing::HasSubstr;

// gtest sends stderr to a file meanwhile, which is no terminal.
template <class Work>
std::string stderr_of(Work&& work) {
  ::testing::internal::CaptureStderr();
  work();
  return ::testing::internal::GetCapturedStderr();
}

TEST(ProgressTest, DrawsNoBarWhereThereIsNoTerminal) {
  const std::string text = stderr_of([] {
    Progress progress("train", 100, "image");
    for (int i = 0; i < 100; ++i) progress.advance();
    progress.finish("done");
  });
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;  // the one line that stays
  EXPECT_THAT(text, HasSubstr("train"));
  EXPECT_THAT(text, HasSubstr("100 images"));
  EXPECT_THAT(text, HasSubstr("done"));
}

TEST(ProgressTest, QuietSaysNothing) {
  set_progress_style({.quiet = true});
  const std::string text = stderr_of([] { Progress("train", 10).advance(10); });
  set_progress_style({});
  EXPECT_EQ(text, "");
}

TEST(ProgressTest, EndsOnceWhoeverEndsIt) {
  const std::string text = stderr_of([] {
    Progress progress("train", 10);
    progress.finish();
    progress.finish();
  });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

TEST(ProgressTest, ThreadsMayAdvanceIt) {
  const std::string text = stderr_of([] {
    Progress progress("count", 4'000, "step");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1'000; ++i) progress.advance();
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  EXPECT_THAT(text, HasSubstr("4,000 steps"));
}

TEST(ProgressTest, AFileIsNoTerminalAndHasNoColours) {
  (void)stderr_of([] {
    EXPECT_FALSE(is_terminal(STDERR_FILENO));
    EXPECT_FALSE(colours_wanted(STDERR_FILENO));
  });
  EXPECT_FALSE(is_terminal(-1));
}

}  // namespace
}  // namespace sightline
