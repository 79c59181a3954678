#include "line/line.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "base/interrupt.h"
#include "base/random.h"
#include "base/testing.h"
#include "line/maintenance.h"

namespace sightline::line {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// manifest → weights → package (a folder): what the real line does, in small.
struct Toy {
  int epochs = 12;
  int manifest_version = 1;
  Digest data = sha256_of("listing of the data folder");
  std::string isa = "avx512";
  int sleep_milliseconds = 0;  // in every step, twice
  std::vector<std::string>* ran = nullptr;

  std::vector<Step> steps() const {
    const Toy toy = *this;
    const auto begin = [toy](const std::string& name) {
      if (toy.ran != nullptr) toy.ran->push_back(name);
      std::this_thread::sleep_for(std::chrono::milliseconds(toy.sleep_milliseconds));
    };
    Step manifest{.name = "manifest", .version = manifest_version, .says = "list the images"};
    manifest.inputs = {{.name = "data", .step = "", .output = "", .digest = data}};
    manifest.outputs = {"manifest"};
    manifest.body = [begin](StepContext& context) -> Result<void> {
      begin("manifest");
      return context.put("manifest", "manifest of " + context.input("data"));
    };
    manifest.describe_change = [](const std::string& input, const Digest&, const Digest&) {
      return input == "data" ? "12 files are new" : "";
    };
    Step train{.name = "train", .version = 1, .says = "learn the weights"};
    train.parameters = {{"epochs", epochs}, {"optimizer", {{"kind", "sgd"}, {"rate", 0.1}}}};
    train.environment = {{"isa", isa}, {"threads", 2}};
    train.inputs = {{.name = "manifest", .step = "manifest", .output = "manifest", .digest = ""}};
    train.outputs = {"weights", "history"};
    train.body = [begin, toy](StepContext& context) -> Result<void> {
      // Goes on from its checkpoint, as training does.
      const std::string checkpoint = context.work_folder() + "/checkpoint";
      std::string state;
      if (path_exists(checkpoint)) {
        SIGHTLINE_TRY(state, read_file(checkpoint));
      }
      begin("train");
      SIGHTLINE_TRY(const std::string text, context.read_input("manifest"));
      while (static_cast<int>(state.size()) < toy.epochs) {
        SIGHTLINE_CHECK(check_interrupt());
        state += static_cast<char>('a' + state.size() % 26);
        SIGHTLINE_CHECK(write_file(checkpoint, state));
      }
      SIGHTLINE_CHECK(write_file(context.work_folder() + "/weights", text + state));
      context.figure("loss", 0.25);
      SIGHTLINE_CHECK(context.put("history", state));
      std::this_thread::sleep_for(std::chrono::milliseconds(toy.sleep_milliseconds));
      return context.put_file("weights", context.work_folder() + "/weights");
    };
    Step package{.name = "package", .version = 1, .says = "write the package"};
    package.inputs = {{.name = "weights", .step = "train", .output = "weights", .digest = ""}};
    package.outputs = {"package"};
    package.body = [begin, toy](StepContext& context) -> Result<void> {
      begin("package");
      SIGHTLINE_TRY(const std::string weights, context.read_input("weights"));
      SIGHTLINE_TRY(const std::string folder, context.fresh_folder("package"));
      SIGHTLINE_CHECK(make_directories(folder + "/1"));
      SIGHTLINE_CHECK(write_file(folder + "/1/model", weights));
      std::this_thread::sleep_for(std::chrono::milliseconds(toy.sleep_milliseconds));
      SIGHTLINE_CHECK(write_file(folder + "/config", "config"));
      return context.put_folder("package", folder);
    };
    std::vector<Step> all{manifest, train, package};
    // Three more, so that a kill has six steps to hit.
    for (const char* name : {"evaluate", "report", "card"}) {
      Step step{.name = name, .version = 1, .says = "look at the package"};
      step.inputs = {{.name = "package", .step = "package", .output = "package", .digest = ""}};
      step.outputs = {name};
      step.body = [begin, name](StepContext& context) -> Result<void> {
        begin(name);
        return context.put(name, std::string(name) + " of " + context.input("package"));
      };
      all.push_back(step);
    }
    return all;
  }
};

class LineTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override { clear_interrupt(); }
  void open() {
    auto opened = store::Workspace::open(folder / "w");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    workspace = std::make_unique<store::Workspace>(*std::move(opened));
  }
  // Runs and gives the names of the steps that ran.
  std::vector<std::string> run(Toy toy, const std::string& pipeline = "toy", bool verify = false) {
    std::vector<std::string> ran;
    toy.ran = &ran;
    Line line(*workspace, pipeline, toy.steps());
    line.verify_reused(verify);
    sentences.clear();
    const auto status = line.run([&](const Planned& planned, const StepRecord* finished) {
      if (finished != nullptr) sentences[planned.step] = planned.sentence;
    });
    EXPECT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(line.ran_anything(), !ran.empty());
    if (status.ok()) package = *line.output("package", "package");
    return ran;
  }
  std::map<std::string, Planned> plan(const Toy& toy) {
    const auto planned = Line(*workspace, "toy", toy.steps()).plan();
    EXPECT_TRUE(planned.ok()) << planned.error().message;
    std::map<std::string, Planned> by_name;
    for (const Planned& each : *planned) by_name[each.step] = each;
    return by_name;
  }
  TemporaryFolder folder;
  std::unique_ptr<store::Workspace> workspace;
  std::map<std::string, std::string> sentences;
  Digest package;
};

TEST_F(LineTest, RunsOnceAndThenReuses) {
  EXPECT_THAT(run({}), ElementsAre("manifest", "train", "package", "evaluate", "report", "card"));
  EXPECT_EQ(sentences["train"], "runs because it never ran here");
  const Digest first = package;
  EXPECT_TRUE(run({}).empty());
  EXPECT_THAT(sentences["train"], StartsWith("reused: nothing changed since 20"));
  EXPECT_EQ(package, first);
  EXPECT_FALSE(fs::exists(workspace->root() + "/work") && !fs::is_empty(workspace->root() + "/work"));
  EXPECT_TRUE(fs::is_empty(workspace->root() + "/locks"));
  const auto log = StepLog::open(workspace->step_log_path());
  EXPECT_EQ(log->size(), 6U);
  const StepRecord* train = log->last("toy", "train");
  EXPECT_EQ(train->figures["loss"], 0.25);
  EXPECT_GT(train->peak_memory, 0U);
  EXPECT_EQ(train->output_bytes.at("history"), 12U);
}

TEST_F(LineTest, EveryChangeHasItsSentence) {
  run({});
  EXPECT_THAT(run({.epochs = 20}), ElementsAre("train", "package", "evaluate", "report", "card"));
  EXPECT_EQ(sentences["train"], "runs because parameter \"epochs\" changed from 12 to 20");
  EXPECT_EQ(sentences["package"], "runs because input \"weights\" changed");
  EXPECT_THAT(sentences["manifest"], StartsWith("reused"));

  EXPECT_THAT(run({.epochs = 20, .data = sha256_of("more")}), ::testing::SizeIs(6));
  EXPECT_EQ(sentences["manifest"], "runs because input \"data\" changed: 12 files are new");

  // Back again: nothing to do, and the next change is told against what was built last.
  EXPECT_TRUE(run({}).empty());
  EXPECT_THAT(sentences["train"], StartsWith("reused: the same was made on"));
  run({.epochs = 15});
  EXPECT_EQ(sentences["train"], "runs because parameter \"epochs\" changed from 12 to 15");

  run({.epochs = 15, .isa = "avx2"});
  EXPECT_EQ(sentences["train"], "runs because its environment's \"isa\" changed from \"avx512\" to \"avx2\"");
  EXPECT_THAT(sentences["package"], StartsWith("reused"));  // the same weights came out

  EXPECT_THAT(run({.epochs = 15, .manifest_version = 2, .isa = "avx2"}), ElementsAre("manifest"));
  EXPECT_EQ(sentences["manifest"], "runs because the step's version went from 1 to 2");
}

TEST_F(LineTest, AnotherPipelineSharesWhatIsTheSame) {
  run({});
  EXPECT_TRUE(run({}, "twin").empty());
  EXPECT_THAT(sentences["train"], StartsWith("reused: \"toy\" made the same on"));
  EXPECT_TRUE(run({}, "twin").empty());
  EXPECT_THAT(sentences["train"], StartsWith("reused: nothing changed since"));
}

TEST_F(LineTest, PlanSaysWhatRunWouldDo) {
  auto planned = plan({});
  EXPECT_EQ(planned["manifest"].decision, Decision::run);
  EXPECT_EQ(planned["train"].decision, Decision::unknown);
  EXPECT_EQ(planned["train"].sentence, "depends on \"manifest\", which would run");
  EXPECT_EQ(planned["train"].says, "learn the weights");
  EXPECT_FALSE(path_exists(workspace->step_log_path()));  // nothing was written
  run({});
  planned = plan({.epochs = 13});
  EXPECT_EQ(planned["manifest"].decision, Decision::reuse);
  EXPECT_EQ(planned["train"].decision, Decision::run);
  EXPECT_THAT(planned["train"].sentence, HasSubstr("from 12 to 13"));
  EXPECT_GT(planned["train"].expected_seconds, 0);
  EXPECT_EQ(planned["card"].decision, Decision::unknown);
}

TEST_F(LineTest, LostAndTruncatedOutputsAreMadeAgain) {
  run({});
  const Digest first = package;
  auto log = StepLog::open(workspace->step_log_path());
  const Digest weights = log->last("toy", "train")->outputs.at("weights");
  ASSERT_TRUE(workspace->blobs().remove(weights).ok());
  EXPECT_THAT(run({}), ElementsAre("train"));
  EXPECT_EQ(sentences["train"], "runs because its output \"weights\" is missing from the store");
  const std::string blob = workspace->blobs().path_of(weights);
  fs::permissions(blob, fs::perms(0644));
  fs::resize_file(blob, 3);
  EXPECT_THAT(run({}), ElementsAre("train"));
  EXPECT_EQ(sentences["train"], "runs because its output \"weights\" is damaged in the store");
  const Digest part = workspace->blobs().tree(package)->at("config");  // a file of a stored folder
  ASSERT_TRUE(workspace->blobs().remove(part).ok());
  EXPECT_THAT(run({}), ElementsAre("package"));
  EXPECT_EQ(package, first);
}

TEST_F(LineTest, VerifyingFindsAFlippedBit) {
  run({});
  auto log = StepLog::open(workspace->step_log_path());
  const Digest weights = log->last("toy", "train")->outputs.at("weights");
  const std::string path = workspace->blobs().path_of(weights);
  std::string bytes = *read_file(path);
  bytes[0] ^= 1;
  ASSERT_TRUE(write_file(path, bytes).ok());
  EXPECT_TRUE(run({}).empty());  // size and name are trusted
  EXPECT_THAT(run({}, "toy", true), ElementsAre("train"));
  EXPECT_EQ(sentences["train"], "runs because its output \"weights\" is damaged in the store");
  EXPECT_TRUE(path_exists(workspace->root() + "/quarantine/" + weights));
  EXPECT_TRUE(workspace->blobs().verify(weights).ok());
  EXPECT_TRUE(run({}, "toy", true).empty());
}

TEST_F(LineTest, FailuresNameTheStepAndKeepTheWorkFolder) {
  Step step{.name = "train", .version = 1, .says = ""};
  step.outputs = {"weights"};
  std::string work;
  const auto fail_with = [&](const std::function<Result<void>(StepContext&)>& body) {
    step.body = [&, body](StepContext& context) {
      work = context.work_folder();
      return body(context);
    };
    const auto status = Line(*workspace, "toy", {step}).run();
    EXPECT_FALSE(status.ok());
    return status.ok() ? Error{} : status.error();
  };
  Error error = fail_with([](StepContext&) -> Result<void> { throw std::runtime_error("tensor sizes differ"); });
  EXPECT_EQ(error.kind, ErrorKind::internal);
  EXPECT_EQ(error.message, "step \"train\": unexpected failure: tensor sizes differ");
  EXPECT_TRUE(is_directory(work));
  error = fail_with([](StepContext&) -> Result<void> { throw 7; });
  EXPECT_EQ(error.kind, ErrorKind::internal);
  error = fail_with([](StepContext&) -> Result<void> { throw std::bad_alloc(); });
  EXPECT_THAT(error.message, HasSubstr("memory"));
  error = fail_with([](StepContext&) -> Result<void> { return Error{ErrorKind::refused, "too many rejected files"}; });
  EXPECT_EQ(error.kind, ErrorKind::refused);
  EXPECT_EQ(error.message, "step \"train\": too many rejected files");
  error = fail_with([](StepContext&) -> Result<void> { return {}; });
  EXPECT_THAT(error.message, HasSubstr("without its output \"weights\""));
  error = fail_with([](StepContext& context) { return context.put("other", ""); });
  EXPECT_THAT(error.message, HasSubstr("not declared"));
  error = fail_with([](StepContext& context) -> Result<void> {
    SIGHTLINE_CHECK(context.put("weights", "1"));
    return context.put("weights", "2");
  });
  EXPECT_THAT(error.message, HasSubstr("twice"));
  EXPECT_EQ(StepLog::open(workspace->step_log_path())->size(), 0U);
}

TEST_F(LineTest, MistakesInAPipelineAreFoundBeforeAnythingRuns) {
  const auto body = [](StepContext&) -> Result<void> { return {}; };
  const Step good{.name = "a",
                  .version = 1,
                  .says = "",
                  .parameters = {},
                  .inputs = {},
                  .environment = {},
                  .outputs = {"x"},
                  .body = body,
                  .describe_change = {}};
  Step from_nowhere = good;
  from_nowhere.name = "b";
  from_nowhere.inputs = {{.name = "in", .step = "a", .output = "y", .digest = ""}};
  Step later = good;
  later.inputs = {{.name = "in", .step = "b", .output = "x", .digest = ""}};
  Step bodiless = good;
  bodiless.body = nullptr;
  for (const std::vector<Step>& steps : {std::vector<Step>{good, good}, {good, from_nowhere}, {later}, {bodiless}}) {
    EXPECT_EQ(Line(*workspace, "toy", steps).plan().error().kind, ErrorKind::internal);
    EXPECT_EQ(Line(*workspace, "toy", steps).run().error().kind, ErrorKind::internal);
  }
}

TEST_F(LineTest, AnInterruptStopsBetweenStepsAndTheNextRunGoesOn) {
  std::vector<std::string> ran;
  Toy toy;
  toy.ran = &ran;
  std::vector<Step> steps = toy.steps();
  const auto train = steps[1].body;
  steps[1].body = [&](StepContext& context) {
    const auto status = train(context);
    request_interrupt();
    return status;
  };
  const auto status = Line(*workspace, "toy", steps).run();
  EXPECT_EQ(status.error().kind, ErrorKind::interrupted);
  EXPECT_THAT(ran, ElementsAre("manifest", "train"));
  clear_interrupt();
  EXPECT_THAT(run({}), ElementsAre("package", "evaluate", "report", "card"));
}

TEST_F(LineTest, KilledAtAnyMomentItEndsTheSame) {
  run({.epochs = 30});
  const Digest undisturbed = package;
  fs::remove_all(workspace->root());
  open();
  Random random(11);
  Toy toy{.epochs = 30};
  toy.sleep_milliseconds = 4;
  int killed = 0;
  for (int round = 0; round < 10; ++round) {
    const pid_t child = testing::start_child([&] {
      auto mine = store::Workspace::open(folder / "w");
      return mine.ok() && Line(*mine, "toy", toy.steps()).run().ok() ? 0 : 1;
    });
    ::usleep(static_cast<useconds_t>(random.below(60'000)));
    ::kill(child, SIGKILL);
    const int ended = testing::wait_for(child);
    EXPECT_TRUE(ended == 0 || ended == -SIGKILL) << ended;
    killed += ended == 0 ? 0 : 1;
    const auto log = StepLog::open(workspace->step_log_path());
    ASSERT_TRUE(log.ok()) << log.error().message;
    if (ended == 0) {  // it got through: begin again
      workspace.reset();
      fs::remove_all(folder / "w");
      open();
    }
  }
  EXPECT_GT(killed, 0);
  run({.epochs = 30});
  EXPECT_EQ(package, undisturbed);
  EXPECT_EQ(StepLog::open(workspace->step_log_path())->size(), 6U);
  const auto problems = fsck(*workspace, true);
  EXPECT_TRUE(problems.ok() && problems->empty());
}

TEST_F(LineTest, TwoBuildsAtOnceShareTheWork) {
  Toy toy;
  toy.sleep_milliseconds = 20;
  const auto build = [&] {
    auto mine = store::Workspace::open(folder / "w");
    std::vector<std::string> ran;
    Toy own = toy;
    own.ran = &ran;
    if (!mine.ok() || !Line(*mine, "toy", own.steps()).run().ok()) return 100;
    return static_cast<int>(ran.size());
  };
  const pid_t first = testing::start_child(build), second = testing::start_child(build);
  EXPECT_EQ(testing::wait_for(first) + testing::wait_for(second), 6);  // every step ran in one of the two
  EXPECT_TRUE(run({}).empty());
}

TEST_F(LineTest, GarbageCollectionKeepsWhatTheLastBuildLeft) {
  run({});
  run({.epochs = 20});
  EXPECT_GT(*collect_garbage(*workspace, true), 0U);
  EXPECT_GT(*collect_garbage(*workspace, false), 0U);  // what 12 epochs left
  EXPECT_EQ(*collect_garbage(*workspace, false), 0U);
  EXPECT_TRUE(run({.epochs = 20}).empty());
  EXPECT_THAT(run({}), ElementsAre("train", "package", "evaluate", "report", "card"));
  EXPECT_THAT(sentences["train"], HasSubstr("missing from the store"));
  Line line(*workspace, "toy", Toy{}.steps());
  ASSERT_TRUE(line.run().ok());
  EXPECT_EQ(collect_garbage(*workspace, false).error().kind, ErrorKind::conflict);  // line may be about to release
}

TEST_F(LineTest, FsckRepairsTheLog) {
  run({});
  const Digest first = package;
  std::string text = *read_file(workspace->step_log_path());
  text[text.find("weights")] ^= 2;
  ASSERT_TRUE(write_file(workspace->step_log_path(), text).ok());
  EXPECT_EQ(Line(*workspace, "toy", Toy{}.steps()).run().error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(fsck(*workspace, false)->size(), 1U);
  EXPECT_EQ(fsck(*workspace, true)->size(), 1U);
  EXPECT_TRUE(fsck(*workspace, false)->empty());
  EXPECT_THAT(run({}), ElementsAre("train"));
  EXPECT_EQ(package, first);
}

TEST_F(LineTest, AFullDiskIsAnErrorAndTheNextRunGoesOn) {
  const testing::SmallFileSystem small("size=1m");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(small);
  workspace = std::make_unique<store::Workspace>(*store::Workspace::open(small / "w"));
  const std::string ballast = small / "ballast";
  std::ofstream(ballast) << std::string(850'000, 'x');
  Step step{.name = "big", .version = 1, .says = ""};
  step.outputs = {"big"};
  step.body = [](StepContext& context) { return context.put("big", std::string(200'000, 'b')); };
  const auto refused = Line(*workspace, "toy", {step}).run();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::io);
  EXPECT_THAT(refused.error().message, HasSubstr("disk is full"));
  fs::remove(ballast);
  EXPECT_TRUE(Line(*workspace, "toy", {step}).run().ok());
}

TEST_F(LineTest, PlanWorksInAReadOnlyWorkspace) {
  testing::SmallFileSystem small("size=2m");
  SIGHTLINE_SKIP_UNLESS_MOUNTED(small);
  workspace = std::make_unique<store::Workspace>(*store::Workspace::open(small / "w"));
  run({});
  workspace.reset();
  ASSERT_TRUE(small.make_read_only());
  workspace = std::make_unique<store::Workspace>(*store::Workspace::open(small / "w"));
  EXPECT_EQ(plan({})["card"].decision, Decision::reuse);
  EXPECT_TRUE(run({}).empty());
  const auto refused = Line(*workspace, "toy", Toy{.epochs = 13}.steps()).run();
  EXPECT_EQ(refused.error().kind, ErrorKind::io);
  EXPECT_THAT(refused.error().message, HasSubstr("read-only"));
}

// head → judge → tune (wanted only below the target) → polish (reads what tune made) → package (takes what there is).
std::vector<Step> rungs(int target, std::vector<std::string>& ran, int& asked) {
  const auto step = [&ran](const std::string& name, std::vector<Input> inputs, const std::function<void(StepContext&)>& more = {}) {
    Step made{.name = name, .version = 1, .says = "a rung"};
    made.inputs = std::move(inputs);
    made.outputs = {name};
    made.body = [name, more, &ran](StepContext& context) -> Result<void> {
      ran.push_back(name);
      if (more) more(context);
      return context.put(name, fmt::format("{} of {} {}", name, context.input("head"), context.input("tuned")));
    };
    return made;
  };
  const Input head{.name = "head", .step = "head", .output = "head"};
  std::vector<Step> steps{step("head", {})};
  steps.push_back(step("judge", {head}, [target](StepContext& context) {
    context.figure("enough", target <= 80 ? fmt::format("the head reaches {}", target) : std::string());
  }));
  steps.back().parameters = {{"target", target}};
  steps.push_back(step("tune", {head}));
  steps.back().skipped_by = Verdict{"judge", "enough"};
  steps.back().late_environment = [&asked]() -> Result<Json> {
    ++asked;
    return Json{{"worker", "1.13"}};
  };
  steps.push_back(step("polish", {{.name = "tuned", .step = "tune", .output = "tune"}}));
  steps.push_back(step("judge-again", {{.name = "tuned", .step = "tune", .output = "tune"}}));
  steps.back().skipped_by = Verdict{"judge", "enough"};
  steps.push_back(step("scratch", {head}));
  steps.back().skipped_by = Verdict{"judge-again", "enough"};
  steps.push_back(step("package", {head, {.name = "tuned", .step = "tune", .output = "tune", .optional = true}}));
  return steps;
}

class Rungs : public LineTest {
 protected:
  std::vector<std::string> climb(int target) {
    std::vector<std::string> ran;
    asked = 0;
    Line line(*workspace, "rungs", rungs(target, ran, asked));
    sentences.clear();
    const auto status = line.run([&](const Planned& planned, const StepRecord*) { sentences[planned.step] = planned.sentence; });
    EXPECT_TRUE(status.ok()) << status.error().message;
    package = *line.output("package", "package");
    tuned = line.output("tune", "tune").ok();
    EXPECT_EQ(line.record("tune") != nullptr, tuned);
    return ran;
  }
  int asked = 0;
  bool tuned = false;
};

TEST_F(Rungs, OneThatIsNotWantedCostsNothingAndSaysWhy) {
  EXPECT_THAT(climb(70), ElementsAre("head", "judge", "package"));
  EXPECT_EQ(asked, 0) << "what is costly to find out was asked for a step that is not wanted";
  EXPECT_FALSE(tuned);
  EXPECT_EQ(sentences["tune"], "skipped because the head reaches 70");
  EXPECT_EQ(sentences["polish"], "skipped because \"tune\" was");
  EXPECT_EQ(sentences["scratch"], "skipped because \"judge-again\" was");
  EXPECT_EQ(StepLog::open(workspace->step_log_path())->last("rungs", "tune"), nullptr);
  EXPECT_TRUE(climb(70).empty());
}

TEST_F(Rungs, ARaisedTargetWantsItAndALoweredOneReuses) {
  climb(70);
  const Digest of_head = package;
  EXPECT_THAT(climb(90), ElementsAre("judge", "tune", "polish", "judge-again", "scratch", "package"));
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(tuned);
  EXPECT_EQ(sentences["package"], "runs because input \"tuned\" is new");
  EXPECT_EQ(StepLog::open(workspace->step_log_path())->last("rungs", "tune")->environment["worker"], "1.13");
  const Digest of_tuned = package;
  EXPECT_NE(of_head, of_tuned);
  EXPECT_TRUE(climb(70).empty()) << "the package of the head is still there";
  EXPECT_EQ(package, of_head);
  EXPECT_FALSE(tuned);
  EXPECT_TRUE(climb(90).empty());
  EXPECT_EQ(package, of_tuned);
  // What a skipped step made is kept for the day it is wanted again.
  climb(70);
  ASSERT_TRUE(collect_garbage(*workspace, false).ok());
  EXPECT_THAT(climb(90), ::testing::Not(::testing::Contains("tune")));
}

TEST_F(Rungs, ABodySeesWhatItsInputsCost) {
  std::vector<std::string> ran;
  std::vector<Step> steps = rungs(90, ran, asked);
  std::string seen;
  bool before = true;
  steps[6].body = [&](StepContext& context) -> Result<void> {
    const StepRecord* judged = context.maker("head");
    seen = judged == nullptr ? "nobody" : judged->step;
    before = context.maker("nothing") != nullptr;
    return context.put("package", "x");
  };
  ASSERT_TRUE(Line(*workspace, "rungs", steps).run().ok());
  EXPECT_EQ(seen, "head");
  EXPECT_FALSE(before);
}

TEST_F(Rungs, PlanKnowsWhatIsSkippedAndWhatNobodyKnowsYet) {
  std::vector<std::string> ran;
  const auto decisions = [&](int target) {
    std::map<std::string, Decision> all;
    const auto planned = Line(*workspace, "rungs", rungs(target, ran, asked)).plan();
    for (const Planned& each : *planned) all[each.step] = each.decision;
    return all;
  };
  EXPECT_EQ(decisions(70)["tune"], Decision::unknown);
  climb(70);
  auto all = decisions(70);
  EXPECT_EQ(all["tune"], Decision::skip);
  EXPECT_EQ(all["polish"], Decision::skip);
  EXPECT_EQ(all["package"], Decision::reuse);
  all = decisions(90);
  EXPECT_EQ(all["judge"], Decision::run);
  EXPECT_EQ(all["tune"], Decision::unknown);
}

TEST_F(Rungs, WhatCannotBeFoundOutIsAnErrorOfThatStepOnly) {
  std::vector<std::string> ran;
  std::vector<Step> steps = rungs(90, ran, asked);
  steps[2].late_environment = []() -> Result<Json> { return Error{ErrorKind::not_found, "no worker"}; };
  const auto status = Line(*workspace, "rungs", steps).run();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "step \"tune\": no worker");
  EXPECT_THAT(ran, ElementsAre("head", "judge"));
  steps[2].skipped_by = Verdict{"nobody", "enough"};
  EXPECT_THAT(Line(*workspace, "rungs", steps).run().error().message, HasSubstr("no earlier step"));
}

TEST_F(LineTest, NothingToDoTakesMilliseconds) {
  run({});
  const auto begin = std::chrono::steady_clock::now();
  open();
  run({});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_LT(seconds, 0.25);  // about 0.003 on an idle machine
  RecordProperty("seconds", std::to_string(seconds));
}

}  // namespace
}  // namespace sightline::line
