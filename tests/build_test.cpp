// The main job as a person does it: init, build, build again, predict, evaluate, look, roll back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "base/sha256.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

// One build for all tests of this file: it takes seconds.
class BuiltShapes : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    draw_shapes(*folder / "images", 3, 40, 16, 1);
    write_text(*folder / "shapes.yaml", shapes_demand("shapes", "images", 8));
    first = new Outcome(sightline({"build", "shapes.yaml", "--json"}, {.folder = folder->path()}));
  }
  static void TearDownTestSuite() {
    delete first;
    delete folder;
    first = nullptr;
    folder = nullptr;
  }
  static Outcome run(const std::vector<std::string>& words) { return sightline(words, {.folder = folder->path()}); }
  static TemporaryFolder* folder;
  static Outcome* first;
};
TemporaryFolder* BuiltShapes::folder = nullptr;
Outcome* BuiltShapes::first = nullptr;

TEST_F(BuiltShapes, IsReleasedWithFiguresAndReport) {
  ASSERT_EQ(first->exit_code, 0) << first->out << first->err;
  const Json document = first->json();
  EXPECT_TRUE(document.at("released").get<bool>()) << first->out;
  EXPECT_EQ(document.at("version"), 1);
  EXPECT_EQ(document.at("steps").size(), 11U);
  EXPECT_TRUE(path_exists(*folder / "shapes.yaml"));
  for (const char* file : {"config.pbtxt", "1/model.onnx", "1/golden/golden.json", "1/lineage.json", "1/card.md"}) {
    EXPECT_TRUE(path_exists(document.at("package_folder").get<std::string>() + "/" + file)) << file;
  }
  EXPECT_THAT(read_text(document.at("report").get<std::string>()), HasSubstr("<html"));
  const Json shown = run({"show", "shapes", "--json"}).json();
  EXPECT_GT(shown.at("figures").at("top1").get<double>(), 0.8);
  EXPECT_EQ(shown.at("lineage").at("data").at("train").get<int>() + shown.at("lineage").at("data").at("validation").get<int>() +
                shown.at("lineage").at("data").at("test").get<int>(),
            120);
}

TEST_F(BuiltShapes, ASecondBuildDoesNothing) {
  const Outcome second = run({"build", "shapes.yaml", "--json"});
  ASSERT_EQ(second.exit_code, 0) << second.out << second.err;
  EXPECT_FALSE(second.json().at("ran_anything").get<bool>()) << second.out;
  EXPECT_EQ(second.json().at("package"), first->json().at("package"));
  EXPECT_THAT(run({"build", "shapes.yaml"}).out, HasSubstr("nothing to do"));
  EXPECT_EQ(run({"list", "--json"}).json().at("runs").size(), 1U) << "a build that does nothing leaves no run";
}

TEST_F(BuiltShapes, PlanSaysWhatAChangeWouldRunAndWhy) {
  const Json same = run({"plan", "shapes.yaml", "--json"}).json();
  for (const Json& step : same.at("steps")) EXPECT_EQ(step.at("decision"), "reuse") << step.dump();
  write_text(*folder / "longer.yaml", shapes_demand("shapes", "images", 9));
  const Json changed = run({"plan", "longer.yaml", "--json"}).json();
  std::map<std::string, Json> steps;
  for (const Json& step : changed.at("steps")) steps[step.at("step")] = step;
  EXPECT_EQ(steps.at("import").at("decision"), "reuse");
  EXPECT_EQ(steps.at("recipe").at("decision"), "run");
  EXPECT_THAT(steps.at("recipe").at("sentence").get<std::string>(), testing::AllOf(HasSubstr("budget"), HasSubstr("9")));
  EXPECT_EQ(steps.at("train").at("decision"), "run");
}

TEST_F(BuiltShapes, ExplainTellsTheHistory) {
  const Outcome explained = run({"explain", "shapes.yaml"});
  EXPECT_EQ(explained.exit_code, 0);
  EXPECT_THAT(explained.out, testing::AllOf(HasSubstr("never ran"), HasSubstr("backbone resnet-xs")));
}

TEST_F(BuiltShapes, PredictAnswersByNameFolderAndOnnxFile) {
  const std::string package = first->json().at("package_folder");
  for (const std::string& model : {std::string("shapes"), std::string("shapes:1"), package, package + "/1/model.onnx"}) {
    const Outcome answer = run({"predict", model, "images/cross/000.png", "--json"});
    ASSERT_EQ(answer.exit_code, 0) << model << answer.out << answer.err;
    EXPECT_THAT(answer.out, HasSubstr("cross")) << model;
  }
}

TEST_F(BuiltShapes, EvalOfTheSameDataGivesTheFiguresOfTheRelease) {
  const Outcome outcome = run({"eval", "shapes", "images", "--json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
}

TEST_F(BuiltShapes, ExportWritesAFolderThatOpensElsewhere) {
  ASSERT_EQ(run({"export", "shapes", "exported"}).exit_code, 0);
  EXPECT_EQ(run({"export", "shapes", "exported"}).exit_code, 7) << "an existing folder is a conflict";
  std::string found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*folder / "exported")) {
    if (entry.path().filename() == "config.pbtxt") found = entry.path().parent_path().string();
  }
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(run({"predict", found, "images/circle/001.png"}).exit_code, 0);
}

TEST_F(BuiltShapes, UnreadableImagesAreListedAndTheOthersAnswered) {
  write_text(*folder / "mixed/broken.png", "this is not a picture");
  std::filesystem::copy_file(*folder / "images/cross/001.png", *folder / "mixed/good.png");
  const Outcome outcome = run({"predict", "shapes", "mixed"});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.out + outcome.err, testing::AllOf(HasSubstr("broken.png"), HasSubstr("good.png")));
}

TEST_F(BuiltShapes, FsckFindsNothingWrong) {
  const Outcome outcome = run({"fsck"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
}

TEST_F(BuiltShapes, BackupRestoresIntoANewWorkspaceThatBuildsNothing) {
  ASSERT_EQ(run({"backup", "kept"}).exit_code, 0);
  const Outcome restored = run({"restore", "kept", "--workspace", "again"});
  ASSERT_EQ(restored.exit_code, 0) << restored.out << restored.err;
  EXPECT_EQ(run({"fsck", "--workspace", "again"}).exit_code, 0);
  EXPECT_FALSE(run({"build", "shapes.yaml", "--workspace", "again", "--json"}).json().at("ran_anything").get<bool>());
}

TEST_F(BuiltShapes, GarbageCollectionKeepsWhatTheNextBuildReuses) {
  ASSERT_EQ(run({"gc"}).exit_code, 0);
  EXPECT_FALSE(run({"build", "shapes.yaml", "--json"}).json().at("ran_anything").get<bool>());
  EXPECT_EQ(run({"fsck"}).exit_code, 0);
}

TEST(Build, AGateThatRefusesSaysWhyAndReleasesNothing) {
  const TemporaryFolder folder;
  draw_shapes(folder / "images", 2, 20, 16, 2);
  write_text(folder / "d.yaml", shapes_demand("tiny", "images", 1, "limits: {latency_ms: 0.001}\n"));
  const Outcome outcome = sightline({"build", "d.yaml"}, {.folder = folder.path()});
  EXPECT_EQ(outcome.exit_code, 8) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out + outcome.err, HasSubstr("ms"));
  EXPECT_EQ(sightline({"list", "--json"}, {.folder = folder.path()}).json().at("releases").size(), 0U);
}

TEST(Build, RollbackPutsTheEarlierVersionBack) {
  const TemporaryFolder folder;
  draw_shapes(folder / "images", 3, 30, 16, 4);
  write_text(folder / "d.yaml", shapes_demand("twice", "images", 6));
  ASSERT_EQ(sightline({"build", "d.yaml"}, {.folder = folder.path()}).exit_code, 0);
  write_text(folder / "d.yaml", shapes_demand("twice", "images", 10));
  const Outcome second = sightline({"build", "d.yaml", "--json"}, {.folder = folder.path()});
  if (second.exit_code == 8) GTEST_SKIP() << "the second model was worse than the first and was refused";
  ASSERT_EQ(second.exit_code, 0) << second.out << second.err;
  EXPECT_EQ(second.json().at("version"), 2);
  const Outcome compared = sightline({"compare", "twice:1", "twice:2"}, {.folder = folder.path()});
  EXPECT_THAT(compared.out, HasSubstr("recipe/epochs"));
  ASSERT_EQ(sightline({"rollback", "twice"}, {.folder = folder.path()}).exit_code, 0);
  EXPECT_EQ(sightline({"show", "twice", "--json"}, {.folder = folder.path()}).json().at("version"), 1);
}

TEST(Build, TheSameSeedGivesTheSameDigestInAnotherFolder) {
  Digest digests[2];
  for (Digest& digest : digests) {
    const TemporaryFolder folder;
    draw_shapes(folder / "pictures", 2, 20, 16, 5);
    write_text(folder / "d.yaml", shapes_demand("same", "pictures", 2));
    const Outcome outcome = sightline({"build", "d.yaml", "--json"}, {.folder = folder.path()});
    ASSERT_NE(outcome.json(), nullptr) << outcome.out << outcome.err;
    digest = outcome.json().at("package");
  }
  EXPECT_EQ(digests[0], digests[1]);
}

}  // namespace
}  // namespace sightline::scenario
