#include "line/step_log.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/testing.h"

namespace sightline::line {
namespace {
namespace fs = std::filesystem;

StepRecord record_of(const std::string& pipeline, const std::string& step, int number) {
  StepRecord record;
  record.pipeline = pipeline;
  record.step = step;
  record.key = sha256_of(fmt::format("{} {} {}", pipeline, step, number));
  record.version = number;
  record.parameters = {{"epochs", number}, {"name", "a \"quoted\" \\ name\nof größe"}};
  record.inputs["data"] = sha256_of("data");
  record.outputs["model"] = sha256_of(fmt::format("model {}", number));
  record.output_bytes["model"] = 1'000;
  record.figures = {{"top1", 0.93}};
  record.started = "2026-11-23T09:12:05Z";
  record.seconds = 1.5;
  record.sentence = "runs because it never ran here";
  return record;
}

class StepLogTest : public ::testing::Test {
 protected:
  StepLog open() {
    auto log = StepLog::open(path);
    EXPECT_TRUE(log.ok()) << log.error().message;
    return *std::move(log);
  }
  void write(const std::string& text) { std::ofstream(path, std::ios::binary | std::ios::trunc) << text; }
  TemporaryFolder folder;
  std::string path = folder / "steps.log";
};

TEST_F(StepLogTest, KeepsRecords) {
  StepLog log = open();
  EXPECT_EQ(log.size(), 0U);
  const StepRecord first = record_of("ap\"pa\nrel", "train", 1), second = record_of("ap\"pa\nrel", "train", 2),
                   other = record_of("shoes", "train", 1);
  for (const StepRecord& record : {first, second, other}) ASSERT_TRUE(log.append(record).ok());
  StepRecord again = first;
  again.seconds = 9;
  ASSERT_TRUE(log.append(again).ok());
  for (const StepLog& each : {open(), std::move(log)}) {
    ASSERT_EQ(each.records().size(), 4U);
    EXPECT_TRUE(equal_fields(each.records()[0], first));
    EXPECT_TRUE(equal_fields(each.records()[2], other));
    EXPECT_EQ(each.find(first.key)->seconds, 9);  // the last record of a key wins
    EXPECT_EQ(each.last("ap\"pa\nrel", "train")->key, first.key);
    EXPECT_EQ(each.last("shoes", "train")->key, other.key);
    EXPECT_EQ(each.last("shoes", "test"), nullptr);
    EXPECT_EQ(each.find(sha256_of("other")), nullptr);
    EXPECT_EQ(each.current_outputs(), std::vector<Digest>{sha256_of("model 1")});
  }
}

TEST_F(StepLogTest, EveryLineIsJsonOfItsOwn) {
  StepLog log = open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(log.append(record_of("apparel", "train", i)).ok());
  std::ifstream file(path);
  std::string line;
  int lines = 0;
  while (std::getline(file, line)) {
    const auto json = parse_json(line, "line");
    ASSERT_TRUE(json.ok()) << json.error().message;
    EXPECT_EQ((*json)["step"], "train");
    EXPECT_EQ((*json)["sum"].get<std::string>().size(), 16U);
    ++lines;
  }
  EXPECT_EQ(lines, 3);
}

TEST_F(StepLogTest, TextThatIsNotUtf8DoesNotThrow) {
  StepLog log = open();
  StepRecord record = record_of("apparel", "train", 1);
  record.figures = {{"file", "\xFF\xFE.png"}};
  ASSERT_TRUE(log.append(record).ok());
  EXPECT_EQ(open().records().size(), 1U);
}

TEST_F(StepLogTest, OpensAfterTruncationAtEveryLength) {
  std::vector<std::size_t> ends;
  {
    StepLog log = open();
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(log.append(record_of("apparel", "train", i)).ok());
      ends.push_back(fs::file_size(path));
    }
  }
  const std::string whole = *read_file(path);
  const std::string copy = folder / "copy.log";
  for (std::size_t length = whole.size() + 1; length-- > 0;) {
    fs::resize_file(path, length);
    auto log = StepLog::open(path);
    ASSERT_TRUE(log.ok()) << length << ": " << log.error().message;
    const auto complete = static_cast<std::size_t>(std::count_if(ends.begin(), ends.end(), [&](std::size_t end) { return end <= length; }));
    ASSERT_EQ(log->size(), complete) << length;
    if (length % 397 != 0) continue;  // appends sync: now and then will do
    fs::copy_file(path, copy, fs::copy_options::overwrite_existing);
    log = StepLog::open(copy);
    ASSERT_TRUE(log->append(record_of("apparel", "after", 1)).ok());
    ASSERT_EQ(log->size(), complete + 1);
    ASSERT_EQ(StepLog::open(copy)->size(), complete + 1);
  }
}

TEST_F(StepLogTest, AFlippedBitIsAnErrorWithItsLine) {
  {
    StepLog log = open();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(log.append(record_of("apparel", "train", i)).ok());
  }
  const std::string whole = *read_file(path);
  const std::size_t first_end = whole.find('\n'), second_end = whole.find('\n', first_end + 1);
  for (std::size_t at = first_end + 1; at <= second_end; at += 3) {
    for (unsigned bit = 0; bit < 8; bit += 3) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ static_cast<char>(1U << bit));
      write(damaged);
      const auto log = StepLog::open(path);
      ASSERT_FALSE(log.ok()) << at;
      EXPECT_EQ(log.error().kind, ErrorKind::invalid_data);
      EXPECT_NE(log.error().message.find("steps.log:2:"), std::string::npos) << log.error().message;
      EXPECT_NE(log.error().message.find("fsck --repair"), std::string::npos);
    }
  }
}

TEST_F(StepLogTest, RepairSetsBadLinesAside) {
  EXPECT_EQ(*StepLog::repair(path), 0U);
  {
    StepLog log = open();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(log.append(record_of("apparel", "train", i)).ok());
  }
  EXPECT_EQ(*StepLog::repair(path), 0U);
  std::string text = *read_file(path);
  const std::string bad = "{\"not\":\"a record\"}\n";
  text.insert(text.find('\n') + 1, bad);
  write(text + "torn");
  ASSERT_FALSE(StepLog::open(path).ok());
  EXPECT_EQ(*StepLog::repair(path), 1U);
  EXPECT_EQ(open().size(), 3U);
  EXPECT_EQ(*read_file(path + ".bad"), bad);
}

TEST_F(StepLogTest, SeesWhatOthersAppendAndReplace) {
  StepLog mine = open(), theirs = open();
  ASSERT_TRUE(theirs.append(record_of("apparel", "train", 1)).ok());
  EXPECT_EQ(mine.size(), 0U);
  ASSERT_TRUE(mine.append(record_of("apparel", "train", 2)).ok());
  EXPECT_EQ(mine.size(), 2U);
  ASSERT_TRUE(theirs.reload().ok());
  EXPECT_EQ(theirs.size(), 2U);
  fs::remove(path);
  ASSERT_TRUE(theirs.reload().ok());
  EXPECT_EQ(theirs.size(), 0U);
}

TEST_F(StepLogTest, ProcessesThatAppendAtOnceLoseNothing) {
  std::vector<pid_t> children;
  for (int child = 0; child < 3; ++child) {
    children.push_back(testing::start_child([&, child] {
      auto log = StepLog::open(path);
      for (int i = 0; i < 15; ++i) {
        if (!log->append(record_of(fmt::format("pipeline {}", child), "train", i)).ok()) return 1;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(testing::wait_for(child), 0);
  EXPECT_EQ(open().size(), 45U);
}

TEST_F(StepLogTest, KilledAppendersLeaveAGoodLog) {
  std::size_t before = 0;
  for (int round = 0; round < 10; ++round) {
    const pid_t child = testing::start_child([&] {
      auto log = StepLog::open(path);
      for (int i = 0; log.ok() && log->append(record_of("apparel", "train", i)).ok(); ++i) {
      }
      return 1;
    });
    ::usleep(static_cast<useconds_t>(1'500 * (round + 1)));
    ::kill(child, SIGKILL);
    EXPECT_EQ(testing::wait_for(child), -SIGKILL);
    const std::size_t now = open().size();
    EXPECT_GE(now, before);
    before = now;
  }
  EXPECT_GT(before, 0U);
}

TEST_F(StepLogTest, FullDiskLeavesTheRecordsBefore) {
  const testing::SmallFileSystem small("size=64k");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(small);
  auto log = StepLog::open(small / "steps.log");
  Result<void> status;
  std::size_t good = 0;
  while ((status = log->append(record_of("apparel", "train", static_cast<int>(good)))).ok()) ++good;
  EXPECT_EQ(status.error().kind, ErrorKind::io);
  EXPECT_NE(status.error().message.find("disk is full"), std::string::npos) << status.error().message;
  EXPECT_EQ(StepLog::open(small / "steps.log")->size(), good);
  EXPECT_GT(good, 10U);
}

TEST_F(StepLogTest, OpensTenThousandRecordsInMilliseconds) {
  {
    StepLog log = open();
    ASSERT_TRUE(log.append(record_of("apparel", "train", 1)).ok());
  }
  const std::string line = *read_file(path);
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += line;
  write(many);
  const auto begin = std::chrono::steady_clock::now();
  const StepLog log = open();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_EQ(log.size(), 10'000U);
  EXPECT_LT(seconds, 0.5);  // about 0.02 on an idle machine without sanitizers
  RecordProperty("seconds", std::to_string(seconds));
}

}  // namespace
}  // namespace sightline::line
