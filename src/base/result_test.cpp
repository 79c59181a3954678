#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/interrupt.h"
#include "base/machine.h"

namespace sightline {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return Error{ErrorKind::invalid_data, "odd"};
  return value / 2;
}
Result<int> quarter(int value) {
  SIGHTLINE_TRY(const int once, half(value));
  SIGHTLINE_CHECK(half(once));
  return half(once);
}

TEST(ResultTest, ErrorsTravelUp) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().message, "odd");
  EXPECT_EQ(quarter(5).error().in("file.txt").message, "file.txt: odd");
  EXPECT_EQ(quarter(5).error().in("file.txt").kind, ErrorKind::invalid_data);
}

TEST(ResultTest, HoldsWhatOnlyMoves) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 7);
}

TEST(ResultTest, ATemporaryMayBeWalkedThrough) {
  const auto make = [] {
    return Result<std::vector<std::string>>(std::vector<std::string>{"a long string that is not held in place", "b"});
  };
  std::string all;
  for (const std::string& each : *make()) all += each;
  EXPECT_EQ(all, "a long string that is not held in placeb");
}

TEST(ResultTest, EveryKindHasItsOwnNameAndExitCode) {
  std::set<std::string> names;
  std::set<int> codes;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind) {
    names.insert(name_of(static_cast<ErrorKind>(kind)));
    codes.insert(exit_code_of(static_cast<ErrorKind>(kind)));
    EXPECT_GE(http_status_of(static_cast<ErrorKind>(kind)), 400);
  }
  EXPECT_EQ(names.size(), 9U);
  EXPECT_EQ(codes.size(), 9U);
  EXPECT_FALSE(codes.contains(0));
}

TEST(InterruptTest, AsksToStopUntilCleared) {
  EXPECT_TRUE(check_interrupt().ok());
  request_interrupt();
  EXPECT_EQ(check_interrupt().error().kind, ErrorKind::interrupted);
  clear_interrupt();
  EXPECT_TRUE(check_interrupt().ok());
}

TEST(MachineTest, SaysWhatThereIs) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_FALSE(simd_level().empty());
  EXPECT_GT(total_memory(), 100'000'000U);
  EXPECT_LE(available_memory(), total_memory());
  {
    std::vector<char> much(200'000'000, 'x');
    EXPECT_EQ(much[much.size() / 2], 'x');
  }
  EXPECT_GT(peak_memory(), 200'000'000U);
}

}  // namespace
}  // namespace sightline
