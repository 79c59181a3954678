// A network that somebody else trained becomes a released package: imported from ONNX, probed, tuned, the better one taken; and weights of
// a file are laid onto a net of ours.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "base/sha256.h"
#include "graph/builder.h"
#include "scenario.h"
#include "weights/files_for_test.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

// Random convolutions on 16×16 pictures and a classifier of seven classes that nobody here has.
void write_network(const std::string& path) {
  graph::Builder builder(3);
  std::string x = builder.input("input", Dtype::f32, {-1, 3, 16, 16});
  x = builder.relu(builder.conv(x, 16, {.bias = true}));
  x = builder.relu(builder.conv(builder.max_pool(x, 2, 2), 32, {.bias = true}));
  x = builder.flatten(builder.global_average_pool(builder.relu(builder.conv(builder.max_pool(x, 2, 2), 32, {.bias = true}))));
  builder.rename(x, "embedding");
  auto graph = builder.finish({builder.softmax(builder.linear("embedding", 7))}, {});
  graph->metadata = {
      {"mean_values", "127.5 127.5 127.5"}, {"scale_values", "64 64 64"}, {"licence", "MIT"}, {"origin", "drawn for a test"}};
  write_text(path, *graph::serialize_onnx(*graph));
}

std::string demand_for(const std::string& name, int epochs, const std::string& backbone, const std::string& recipe = "batch: 16") {
  const bool trained = backbone.find("freeze: backbone") == std::string::npos;
  return fmt::format("name: {}\ntask: classify\ndata: {{path: images}}\nbudget: {{epochs: {}}}\n{}seed: 3\nbackbone: {{{}}}\n", name,
                     epochs, trained ? fmt::format("recipe: {{augmentation: flip, {}}}\n", recipe) : "", backbone);
}

std::vector<std::string> step_names(const Json& document) {
  std::vector<std::string> names;
  for (const Json& step : document.at("steps")) names.push_back(step.at("step"));
  return names;
}

class Imported : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    draw_shapes(*folder / "images", 3, 40, 16, 1);
    write_network(*folder / "net.onnx");
    write_text(*folder / "tuned.yaml", demand_for("tuned", 3, "onnx: net.onnx, freeze: none"));
    tuned = new Outcome(run({"build", "tuned.yaml", "--json"}));
  }
  static void TearDownTestSuite() {
    delete tuned;
    delete folder;
  }
  static Outcome run(const std::vector<std::string>& words) { return sightline(words, {.folder = folder->path()}); }
  static TemporaryFolder* folder;
  static Outcome* tuned;
};
TemporaryFolder* Imported::folder = nullptr;
Outcome* Imported::tuned = nullptr;

TEST_F(Imported, IsProbedTunedAndReleasedWithItsLineage) {
  ASSERT_EQ(tuned->exit_code, 0) << tuned->out << tuned->err;
  EXPECT_THAT(step_names(tuned->json()), testing::IsSupersetOf({"recipe", "probe", "train", "choose", "package"}));
  const Json shown = run({"show", "tuned", "--json"}).json();
  EXPECT_GT(shown.at("figures").at("top1").get<double>(), 0.8);
  const Json weights = shown.at("lineage").at("weights");
  EXPECT_EQ(weights.at("licence"), "MIT");
  EXPECT_EQ(weights.at("origin"), "drawn for a test");
  EXPECT_EQ(weights.at("file"), "net.onnx");
  EXPECT_EQ(weights.at("digest"), *sha256_of_file(*folder / "net.onnx"));
  EXPECT_THAT(weights.at("choice").get<std::string>(), HasSubstr("probe"));
  EXPECT_EQ(run({"predict", "tuned", "images/cross/000.png"}).exit_code, 0);
}

TEST_F(Imported, TheBetterOfProbeAndTunedIsTakenAndExplained) {
  const Json document = tuned->json();
  for (const Json& step : document.at("steps")) {
    if (step.at("step") != "choose") continue;
    const Json figures = step.at("figures");
    const bool better = figures.at("tuned_top1") > figures.at("probe_top1");
    const bool worse = figures.at("tuned_top1") < figures.at("probe_top1");
    if (better || worse) {
      EXPECT_EQ(figures.at("taken"), better ? "tuned" : "probe");
    }
  }
  const std::string explained = run({"explain", "tuned.yaml"}).out;
  EXPECT_THAT(explained, testing::AllOf(HasSubstr("backbone net.onnx: the demand brings it"), HasSubstr("embedding"),
                                        HasSubstr("the file's metadata say so"), HasSubstr("why this model:"), HasSubstr("linear probe")));
}

TEST_F(Imported, ASecondBuildDoesNothingAndAnotherFileRunsItAgain) {
  const Outcome second = run({"build", "tuned.yaml", "--json"});
  ASSERT_EQ(second.exit_code, 0) << second.out << second.err;
  EXPECT_FALSE(second.json().at("ran_anything").get<bool>());
  const std::string before = read_text(*folder / "net.onnx");
  std::string other = before;
  other.replace(other.find("drawn for a test"), 5, "DRAWN");
  write_text(*folder / "net.onnx", other);
  const Json changed = run({"plan", "tuned.yaml", "--json"}).json();
  for (const Json& step : changed.at("steps")) {
    if (step.at("step") == "recipe" || step.at("step") == "import") {
      EXPECT_EQ(step.at("decision"), step.at("step") == "recipe" ? "run" : "reuse");
    }
  }
  write_text(*folder / "net.onnx", before);
}

// A rate that destroys the weights: what comes out must be the probe.
TEST_F(Imported, ATunedNetworkBelowItsProbeIsRejected) {
  write_text(*folder / "wild.yaml", demand_for("wild", 2, "onnx: net.onnx, freeze: none", "batch: 16, learning_rate: 30"));
  const Outcome outcome = run({"build", "wild.yaml", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  const Json lineage = run({"show", "wild", "--json"}).json().at("lineage");
  EXPECT_THAT(lineage.at("weights").at("choice").get<std::string>(), HasSubstr("rejected"));
}

TEST_F(Imported, WithTheBackboneFrozenOnlyTheHeadIsFittedAndNothingIsTrained) {
  write_text(*folder / "frozen.yaml", demand_for("frozen", 3, "onnx: net.onnx, freeze: backbone, cut: embedding"));
  const Outcome outcome = run({"build", "frozen.yaml", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(step_names(outcome.json()),
              testing::ElementsAre("import", "audit", "backbone", "head", "package", "compress", "evaluate", "release"));
  EXPECT_EQ(run({"show", "frozen", "--json"}).json().at("lineage").at("weights").at("licence"), "MIT");
  // The convolutions are the file's, to the bit.
  const auto graph = graph::read_onnx(outcome.json().at("package_folder").get<std::string>() + "/1/model.onnx");
  const auto source = graph::read_onnx(*folder / "net.onnx");
  ASSERT_TRUE(graph.ok() && source.ok());
  int same = 0;
  for (const auto& [name, tensor] : source->initializers)
    if (const auto found = graph->initializers.find(name); found != graph->initializers.end())
      same += found->second.same_as(tensor) ? 1 : 0;
  EXPECT_GE(same, 6);
}

Json figures_of(const Json& document, const std::string& name) {
  for (const Json& step : document.at("steps"))
    if (step.at("step") == name) return step.at("figures");
  return {};
}

TEST_F(Imported, DemandsOnOneBackboneShareItsWeightsAndWhatItSaysOfThePictures) {
  const TemporaryFolder place;
  draw_shapes(place / "images", 3, 20, 16, 5);
  write_network(place / "net.onnx");
  const std::string backbone = "onnx: net.onnx, freeze: backbone, cut: embedding";
  write_text(place / "one.yaml", demand_for("one", 3, backbone));
  const auto build = [&](const std::string& name) {
    const Outcome outcome = sightline({"build", name + ".yaml", "--json"}, {.folder = place.path()});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return outcome.json();
  };
  const Json one = build("one");
  EXPECT_GT(figures_of(one, "head").at("features_computed"), 40);
  write_text(place / "two.yaml", demand_for("two", 3, backbone) + "split: {test: 0.4}\n");  // other pictures in the training part
  const Json two = build("two");
  EXPECT_EQ(figures_of(two, "head").at("features_computed"), 0);
  const std::string first = one.at("package_folder"), second = two.at("package_folder");
  EXPECT_TRUE(std::filesystem::equivalent(first + "/1/backbone.data", second + "/1/backbone.data"));
  EXPECT_LT(std::filesystem::file_size(first + "/1/model.onnx"), 8000U);
  // What leaves the workspace is whole, and answers the same.
  ASSERT_EQ(sightline({"export", "one", place / "exported"}, {.folder = place.path()}).exit_code, 0);
  const std::string picture = place / "images/cross/000.png";
  const auto answer = [&](const std::string& model) {
    return sightline({"predict", model, picture, "--json"}, {.folder = place.path()}).json().at("answers");
  };
  EXPECT_EQ(answer("one"), answer(place / "exported"));

  // A block that somebody altered is noticed, and the same package comes out.
  for (const auto& each : std::filesystem::recursive_directory_iterator(place / ".sightline/features")) {
    if (!each.is_regular_file()) continue;
    std::string bytes = read_text(each.path());
    for (std::size_t i = bytes.size() / 2; i < bytes.size(); i += 50) bytes[i] = static_cast<char>(bytes[i] ^ 1);
    write_text(each.path(), bytes);
  }
  std::filesystem::remove(place / ".sightline/steps.log");
  const Json again = build("one");
  EXPECT_GT(figures_of(again, "head").at("features_computed"), 10);
  EXPECT_GT(figures_of(again, "head").at("features_reused"), 0);
  EXPECT_EQ(again.at("package"), one.at("package"));
}

TEST_F(Imported, ABackboneOfTheWorkspaceIsUsedByItsName) {
  const TemporaryFolder place;
  draw_shapes(place / "images", 3, 20, 16, 5);
  write_network(place / "net.onnx");
  const auto run = [&](const std::vector<std::string>& words) { return sightline(words, {.folder = place.path()}); };
  const Outcome imported = run({"backbone", "import", "net.onnx", "--name", "eyes", "--cut", "embedding", "--json"});
  ASSERT_EQ(imported.exit_code, 0) << imported.out << imported.err;
  EXPECT_EQ(imported.json().at("about").at("licence"), "MIT");
  EXPECT_EQ(imported.json().at("figures").at("features"), 32);
  EXPECT_GT(imported.json().at("figures").at("p50_ms"), 0);
  std::vector<std::string> names;  // the one that comes with the program among them
  const Json listed = run({"backbone", "list", "--json"}).json();
  for (const Json& each : listed.at("backbones")) names.push_back(each.at("name"));
  EXPECT_THAT(names, testing::Contains("eyes"));
  EXPECT_THAT(run({"backbone", "show", "eye"}).err, HasSubstr("did you mean \"eyes\"?"));

  // Nothing but the name differs from a demand that brings the file; the features are the same ones. (Without the side, the demand that
  // pins no cut would try larger sides.)
  const std::string side = fmt::format("recipe: {{side: {}}}\n", imported.json().at("figures").at("side").get<int>());
  write_text(place / "file.yaml", demand_for("model", 1, "onnx: net.onnx, freeze: backbone, cut: embedding") + side);
  write_text(place / "name.yaml", demand_for("model", 1, "name: eyes, freeze: backbone") + side);
  std::filesystem::remove_all(place / ".sightline/backbones");  // made again when it is missing
  const Outcome by_name = run({"build", "name.yaml", "--json"});
  ASSERT_EQ(by_name.exit_code, 0) << by_name.out << by_name.err;
  EXPECT_EQ(run({"show", "model", "--json"}).json().at("lineage").at("weights").at("licence"), "MIT");
  const Outcome by_file = run({"build", "file.yaml", "--json"});
  EXPECT_EQ(by_file.json().at("package"), by_name.json().at("package"));

  write_text(place / "lost.yaml", demand_for("lost", 1, "name: eeys, freeze: backbone"));
  EXPECT_THAT(run({"build", "lost.yaml"}).err, testing::AllOf(HasSubstr("eeys"), HasSubstr("did you mean \"eyes\"?")));
  EXPECT_EQ(run({"gc"}).exit_code, 0);
  EXPECT_EQ(run({"fsck"}).exit_code, 0);
  ASSERT_EQ(run({"build", "name.yaml"}).exit_code, 0);
  EXPECT_EQ(run({"backbone", "remove", "eyes"}).exit_code, 0);
  EXPECT_NE(run({"backbone", "remove", "eyes"}).exit_code, 0);
  EXPECT_EQ(run({"predict", "model", "images/cross/000.png"}).exit_code, 0);
}

TEST_F(Imported, ABackboneIsMadeLighterOnceForAllThatAreBuiltOnIt) {
  const TemporaryFolder place;
  draw_shapes(place / "images", 3, 20, 16, 5);
  write_network(place / "net.onnx");
  const auto run = [&](const std::vector<std::string>& words) { return sightline(words, {.folder = place.path()}); };
  const std::vector<std::string> import{"backbone", "import", "net.onnx", "--cut", "embedding", "--name"};
  const auto import_as = [&](const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> words = import;
    words.push_back(name);
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  EXPECT_THAT(import_as("none", {"--precision", "int8"}).err, HasSubstr("--pictures"));
  EXPECT_THAT(import_as("none", {"--precision", "int9", "--pictures", "images"}).err, HasSubstr("did you mean \"int8\"?"));
  EXPECT_THAT(import_as("none", {"--precision", "int8", "--pictures", "."}).err, testing::Not(HasSubstr("internal")));
  const Outcome imported = import_as("light", {"--precision", "int8", "--pictures", "images", "--json"});
  ASSERT_EQ(imported.exit_code, 0) << imported.out << imported.err;
  const Json about = imported.json();
  EXPECT_EQ(about.at("about").at("precision"), "int8");
  EXPECT_EQ(import_as("plain", {}).exit_code, 0);
  EXPECT_EQ(import_as("best", {"--precision", "auto", "--pictures", "images"}).exit_code, 0);

  const auto build = [&](const std::string& name, const std::string& backbone, const std::string& more) {
    write_text(place / (name + ".yaml"), demand_for(name, 1, "name: " + backbone + ", freeze: backbone") + more);
    const Outcome outcome = run({"build", name + ".yaml", "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return outcome.json();
  };
  const Json one = build("one", "light", ""), two = build("two", "light", "split: {test: 0.4}\ncompress: {precision: auto}\n"),
             plain = build("plain", "plain", "");
  const std::string first = one.at("package_folder"), second = two.at("package_folder"), heavy = plain.at("package_folder");
  EXPECT_TRUE(std::filesystem::equivalent(first + "/1/backbone.data", second + "/1/backbone.data"));
  EXPECT_LT(2 * std::filesystem::file_size(first + "/1/backbone.data"), std::filesystem::file_size(heavy + "/1/backbone.data"));
  EXPECT_EQ(figures_of(one, "compress").at("precision"), "int8");
  EXPECT_THAT(figures_of(two, "compress").at("sentence").get<std::string>(), HasSubstr("the backbone is in int8 already"));
  // Its head was fitted on what the integers say, and the package says it again.
  EXPECT_EQ(run({"predict", "one", "images/cross/000.png", "--json"}).exit_code, 0);
  EXPECT_EQ(run({"eval", "one", "images", "--json"}).exit_code, 0);
}

TEST_F(Imported, AWrongCutNamesTheCandidates) {
  write_text(*folder / "cut.yaml", demand_for("cut", 3, "onnx: net.onnx, cut: embeding"));
  const Outcome outcome = run({"build", "cut.yaml"});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, testing::AllOf(HasSubstr("embedding"), HasSubstr("net.onnx")));
}

TEST_F(Imported, WeightsOfAFileAreLaidOntoANetOfOurs) {
  // The first net is trained from nothing; its weights, under other names, begin the second.
  write_text(*folder / "first.yaml", shapes_demand("first", "images", 6));
  const Outcome first = run({"build", "first.yaml", "--json"});
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  const auto graph = graph::read_onnx(first.json().at("package_folder").get<std::string>() + "/1/model.onnx");
  ASSERT_TRUE(graph.ok());
  std::vector<weights::NamedTensor> tensors;
  for (const auto& [name, role] : graph::roles_of(*graph))
    if (role != graph::Role::constant) tensors.push_back({name, graph->initializers.at(name)});
  write_text(*folder / "first.safetensors", weights::files_for_test::safetensors(tensors, {{"licence", "CC0"}}));
  write_text(*folder / "second.yaml",
             shapes_demand("second", "images", 2, "backbone: {weights: first.safetensors, origin: the first net}\n"));
  const Outcome second = run({"build", "second.yaml", "--json"});
  ASSERT_EQ(second.exit_code, 0) << second.out << second.err;
  EXPECT_THAT(run({"explain", "second.yaml"}).out,
              testing::AllOf(HasSubstr("weights of first.safetensors"), HasSubstr("come from the file"), HasSubstr("matched     ")));
  const Json weights = run({"show", "second", "--json"}).json().at("lineage").at("weights");
  EXPECT_EQ(weights.at("licence"), "CC0");
  EXPECT_EQ(weights.at("origin"), "the first net");
  // The same file as a backbone of the workspace.
  const std::string net = run({"show", "first", "--json"}).json().at("lineage").at("recipe").at("backbone");
  const Outcome imported =
      run({"backbone", "import", "first.safetensors", "--net", net, "--side", "16", "--channels", "1", "--name", "own", "--json"});
  ASSERT_EQ(imported.exit_code, 0) << imported.out << imported.err;
  EXPECT_EQ(imported.json().at("about").at("licence"), "CC0");
  write_text(*folder / "third.yaml", demand_for("third", 1, "name: own, freeze: backbone"));
  EXPECT_EQ(run({"build", "third.yaml"}).exit_code, 0);
  EXPECT_THAT(run({"backbone", "import", "first.safetensors", "--net", "resnet-z"}).err, HasSubstr("resnet-"));
}

}  // namespace
}  // namespace sightline::scenario
