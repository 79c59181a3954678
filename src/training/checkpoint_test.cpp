#include "training/checkpoint.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "training/toy_set.h"

namespace sightline::training {
namespace {

const Digest fingerprint(64, 'a');
const Digest layout(64, 'b');

RunRecord record_at(std::int64_t step) {
  RunRecord record;
  record.fingerprint = fingerprint;
  record.layout = layout;
  record.course = Course::of(100, 10);
  record.step = step;
  record.loss_sum = 0.1 + 0.2;  // not representable in few digits
  record.epochs.push_back(
      {.epoch = 1, .loss = 1.0 / 3, .train_top1 = 0.5, .validation_loss = 2.0 / 3, .validation_top1 = {}, .learning_rate = 0.1});
  return record;
}

NamedTensors tensors_of(float value) { return {{"parameters", torch::full({33}, value)}, {"statistics", torch::full({5}, -value)}}; }

Result<bool> read_back(const std::string& folder, RunRecord& record, NamedTensors& tensors) {
  return read_checkpoint(folder, fingerprint, layout, record, tensors);
}

TEST(Checkpoint, ComesBackToTheLastBit) {
  const toy::Folder folder;
  ASSERT_TRUE(write_checkpoint(folder / "", record_at(17), tensors_of(0.1F)).ok());
  RunRecord record;
  NamedTensors tensors = tensors_of(0);
  const auto found = read_back(folder / "", record, tensors);
  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_TRUE(*found);
  EXPECT_EQ(to_json(record), to_json(record_at(17)));
  EXPECT_EQ(record.loss_sum, 0.1 + 0.2);
  EXPECT_TRUE(tensors[0].second.equal(tensors_of(0.1F)[0].second));
  EXPECT_TRUE(tensors[1].second.equal(tensors_of(0.1F)[1].second));
}

TEST(Checkpoint, NothingThereIsNoError) {
  const toy::Folder folder;
  RunRecord record;
  NamedTensors tensors = tensors_of(0);
  const auto found = read_back(folder / "", record, tensors);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(*found);
}

TEST(Checkpoint, AFlippedBitOrALostTailGivesTheOneBefore) {
  for (const bool truncate : {false, true}) {
    const toy::Folder folder;
    ASSERT_TRUE(write_checkpoint(folder / "", record_at(1), tensors_of(1)).ok());
    ASSERT_TRUE(write_checkpoint(folder / "", record_at(2), tensors_of(2)).ok());
    auto content = read_file(folder / "checkpoint.last");
    ASSERT_TRUE(content.ok());
    if (truncate)
      content->resize(content->size() / 2);
    else
      (*content)[content->size() - 100] ^= 4;
    ASSERT_TRUE(write_file(folder / "checkpoint.last", *content).ok());
    RunRecord record;
    NamedTensors tensors = tensors_of(0);
    const auto found = read_back(folder / "", record, tensors);
    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(*found);
    EXPECT_EQ(record.step, 1);
    EXPECT_EQ(tensors[0].second[0].item<float>(), 1);
    // The damaged one must not become the previous one of the next.
    EXPECT_FALSE(path_exists(folder / "checkpoint.last"));
  }
}

TEST(Checkpoint, EveryTruncationIsNoticed) {
  const toy::Folder folder;
  ASSERT_TRUE(write_checkpoint(folder / "", record_at(1), tensors_of(1)).ok());
  const auto content = read_file(folder / "checkpoint.last");
  ASSERT_TRUE(content.ok());
  for (std::size_t length = 0; length < content->size(); length += 37) {
    ASSERT_TRUE(write_file(folder / "checkpoint.last", content->substr(0, length)).ok());
    RunRecord record;
    NamedTensors tensors = tensors_of(0);
    const auto found = read_back(folder / "", record, tensors);
    ASSERT_TRUE(found.ok());
    EXPECT_FALSE(*found) << length;
  }
}

TEST(Checkpoint, AnotherRunsIsPassedOverAndKept) {
  const toy::Folder folder;
  ASSERT_TRUE(write_checkpoint(folder / "", record_at(1), tensors_of(1)).ok());
  RunRecord record;
  NamedTensors tensors = tensors_of(0);
  const auto found = read_checkpoint(folder / "", Digest(64, 'c'), layout, record, tensors);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(*found);
  EXPECT_TRUE(path_exists(folder / "checkpoint.last"));
  NamedTensors other{{"parameters", torch::zeros({34})}};
  const auto misfit = read_back(folder / "", record, other);
  ASSERT_TRUE(misfit.ok());
  EXPECT_FALSE(*misfit);
}

TEST(Checkpoint, LeftoversOfAKilledWriteAreSweptAway) {
  const toy::Folder folder;
  ASSERT_TRUE(write_file(folder / "checkpoint.last.x7Yz12", "half").ok());
  RunRecord record;
  NamedTensors tensors = tensors_of(0);
  ASSERT_TRUE(read_back(folder / "", record, tensors).ok());
  EXPECT_FALSE(path_exists(folder / "checkpoint.last.x7Yz12"));
}

}  // namespace
}  // namespace sightline::training
