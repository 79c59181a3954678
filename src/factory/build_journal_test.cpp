#include "factory/build_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/progress.h"
#include "base/progress_events.h"
#include "base/temporary_folder.h"

namespace sightline::factory {
namespace {

std::vector<line::Planned> two_steps() {
  return {{.step = "import", .says = "read", .decision = line::Decision::reuse},
          {.step = "train", .says = "learn", .decision = line::Decision::run, .expected_seconds = 12}};
}

TEST(BuildJournal, TellsStepsProgressEpochsAndTheEnd) {
  const TemporaryFolder folder;
  demand::Demand demand{.name = "shapes"};
  demand.target = {.metric = "top1", .at_least = 0.9};
  EXPECT_EQ(read_build_journal(folder.path(), "shapes").error().kind, ErrorKind::not_found);
  const auto steps = two_steps();
  BuildJournal journal(folder.path(), "shapes");
  ASSERT_TRUE(journal.begin(steps, demand).ok());
  const line::StepRecord record{.figures = {{"images", 3}}, .seconds = 2};
  journal.step(steps[0], nullptr);
  journal.step(steps[0], &record);
  journal.step(steps[1], nullptr);
  tell_progress("progress", {{"what", "train"}, {"done", 5}, {"total", 10}});
  for (int epoch = 1; epoch <= 2; ++epoch) tell_progress("epoch", {{"epoch", epoch}, {"validation_loss", 1.0 / epoch}});

  BuildState state = *read_build_journal(folder.path(), "shapes");
  EXPECT_EQ(state.outcome, "running");
  EXPECT_EQ(state.metric, "top1");
  EXPECT_EQ(state.steps.at(0).at("state"), "reused");
  EXPECT_EQ(state.steps.at(0).at("figures").at("images"), 3);
  EXPECT_EQ(state.steps.at(1).at("state"), "running");
  EXPECT_EQ(state.steps.at(1).at("expected_seconds"), 12);
  EXPECT_EQ(state.progress.at("done"), 5);
  EXPECT_EQ(state.progress.at("of"), "train");
  EXPECT_EQ(state.epochs.size(), 2U);
  tell_progress("epoch", {{"epoch", 1}, {"validation_loss", 0.7}});
  EXPECT_EQ(read_build_journal(folder.path(), "shapes")->epochs.size(), 1U) << "another training";

  journal.step(steps[1], &record);
  journal.end("released", "released: top1");
  state = *read_build_journal(folder.path(), "shapes");
  EXPECT_EQ(state.outcome, "released");
  EXPECT_EQ(state.steps.at(1).at("state"), "done");
  EXPECT_EQ(state.steps.at(1).at("seconds"), 2.0);
  EXPECT_EQ(state.progress, nullptr);
  EXPECT_FALSE(progress_is_heard());
}

TEST(BuildJournal, BarsAreHeardAlsoWhenTheTerminalIsQuiet) {
  const TemporaryFolder folder;
  const ProgressStyle before = progress_style();
  set_progress_style({.quiet = true});
  {
    BuildJournal journal(folder.path(), "shapes");
    ASSERT_TRUE(journal.begin(two_steps(), {.name = "shapes"}).ok());
    journal.step(two_steps()[1], nullptr);
    Progress progress("train", 10);
    progress.set(10, "epoch 1");
    progress.finish("epoch 1");
    EXPECT_EQ(read_build_journal(folder.path(), "shapes")->progress.at("done"), 10);
  }
  set_progress_style(before);
}

TEST(BuildJournal, AKilledBuildIsInterruptedAndATornLineIsLeftOut) {
  const TemporaryFolder folder;
  ASSERT_TRUE(make_directories(folder / "builds").ok());
  ASSERT_TRUE(write_file(build_journal_path(folder.path(), "shapes"),
                         "{\"event\":\"begin\",\"process\":999999999,\"steps\":[{\"step\":\"train\"}]}\n"
                         "{\"event\":\"candidate\",\"name\":\"a\",\"value\":0.5}\n{\"event\":\"candidate\",\"na")
                  .ok());
  const BuildState state = *read_build_journal(folder.path(), "shapes");
  EXPECT_EQ(state.outcome, "interrupted");
  EXPECT_EQ(state.candidates.size(), 1U);
  EXPECT_EQ(read_build_journal(folder.path(), "../x").error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace sightline::factory
