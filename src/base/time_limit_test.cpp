#include "base/time_limit.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/interrupt.h"

namespace sightline {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(TimeLimit, WhatLooksForCtrlCLooksAtTheClockAsWell) {
  EXPECT_TRUE(check_interrupt().ok());
  {
    const TimeLimit limit(steady_clock::now() + milliseconds(20));
    EXPECT_TRUE(check_interrupt().ok());
    std::this_thread::sleep_for(milliseconds(30));
    const auto late = check_interrupt();
    ASSERT_FALSE(late.ok());
    EXPECT_EQ(late.error().kind, ErrorKind::refused);
    std::thread([] { EXPECT_TRUE(check_interrupt().ok()) << "a limit is of its thread"; }).join();
    {
      const TimeLimit inner(steady_clock::now() + hours(1));
      EXPECT_TRUE(check_interrupt().ok());
    }
    EXPECT_TRUE(time_is_up());
    request_interrupt();
    EXPECT_EQ(check_interrupt().error().kind, ErrorKind::interrupted) << "Ctrl-C counts first";
    clear_interrupt();
  }
  EXPECT_TRUE(check_interrupt().ok());
}

}  // namespace
}  // namespace sightline
