// Parts that a demand pins: cuts, necks, heads, losses; and what it asks to be said beyond probabilities.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ranges>

#include "graph/builder.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Random convolutions on 16×16 pictures with two halvings: 16 channels early, 24 in the middle, 32 last.
void write_network(const std::string& path) {
  graph::Builder builder(3);
  std::string x = builder.input("input", Dtype::f32, {-1, 3, 16, 16});
  x = builder.relu(builder.conv(x, 16, {.bias = true}));
  x = builder.relu(builder.conv(builder.max_pool(x, 2, 2), 24, {.bias = true}));
  x = builder.flatten(builder.global_average_pool(builder.relu(builder.conv(builder.max_pool(x, 2, 2), 32, {.bias = true}))));
  auto graph = builder.finish({builder.softmax(builder.linear(x, 7))}, {});
  graph->metadata = {{"mean_values", "127.5"}, {"scale_values", "64"}, {"licence", "MIT"}};
  write_text(path, *graph::serialize_onnx(*graph));
}

std::string demand_for(const std::string& name, const std::string& more) {
  return fmt::format("name: {}\ntask: classify\ndata: {{path: images}}\nseed: 3\n{}\n", name, more);
}
const std::string frozen = "backbone: {onnx: net.onnx, freeze: backbone}\n";

Json figures_of(const Json& document, const std::string& name) {
  for (const Json& step : document.at("steps"))
    if (step.at("step") == name) return step.at("figures");
  return {};
}

struct Composition : testing::Test {
  TemporaryFolder place;
  void SetUp() override {
    draw_shapes(place / "images", 3, 40, 16, 5);
    write_network(place / "net.onnx");
  }
  Outcome run(const std::vector<std::string>& words) const { return sightline(words, {.folder = place.path()}); }
  Outcome build(const std::string& name, const std::string& more) const {
    write_text(place / (name + ".yaml"), demand_for(name, more));
    return run({"build", name + ".yaml", "--json"});
  }
  Json built(const std::string& name, const std::string& more) const {
    const Outcome outcome = build(name, more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return outcome.json();
  }
};

TEST_F(Composition, HeadsReadTheCutsThatAreNamedAndShareTheBackbone) {
  const Json last = built("last", frozen + "recipe: {cut: last}");
  const Json several = built("several", frozen + "recipe: {cut: [early, middle, last]}");
  const Json open = built("open", frozen);
  EXPECT_EQ(figures_of(last, "backbone").at("features"), 32);
  EXPECT_EQ(figures_of(several, "backbone").at("features"), 72);
  EXPECT_EQ(figures_of(open, "backbone").at("features"), 72);
  // Where the demand leaves it open, the same numbers are used, and the choice says which cuts it took.
  EXPECT_EQ(figures_of(open, "head").at("features_computed"), 0);
  const std::string chosen = figures_of(open, "head").at("cuts");
  EXPECT_TRUE(chosen == "last" || chosen == "early and middle and last") << chosen;
  const auto data = [](const Json& model) { return model.at("package_folder").get<std::string>() + "/1/backbone.data"; };
  EXPECT_TRUE(std::filesystem::equivalent(data(last), data(several)));
  EXPECT_TRUE(std::filesystem::equivalent(data(open), data(several)));
  // A package holds what its head reads, and nothing else.
  const auto graph = graph::read_onnx(open.at("package_folder").get<std::string>() + "/1/model.onnx");
  ASSERT_TRUE(graph.ok());
  const auto joins = std::ranges::count(graph->nodes, "Concat", &graph::Node::op_type);
  EXPECT_EQ(joins, chosen == "last" ? 0 : 1);
  EXPECT_THAT(run({"explain", "several.yaml"}).out, AllOf(HasSubstr("features (early)"), HasSubstr("features (middle)")));

  // The same cuts by name from the workspace.
  ASSERT_EQ(run({"backbone", "import", "net.onnx", "--name", "eyes"}).exit_code, 0);
  const Json named = built("several", "backbone: {name: eyes, freeze: backbone}\nrecipe: {cut: [early, middle, last]}");
  EXPECT_EQ(named.at("package"), several.at("package"));
  EXPECT_EQ(figures_of(built("one", "backbone: {name: eyes, freeze: backbone}\nrecipe: {cut: middle}"), "backbone").at("features"), 24);
}

TEST_F(Composition, PinnedPartsAreTheOnesThatAreUsed) {
  const Json model = built("pinned", frozen + "recipe: {cut: [early, last], neck: max, head: nearest_mean}");
  EXPECT_EQ(figures_of(model, "head").at("kind"), "nearest_mean");
  EXPECT_EQ(figures_of(model, "backbone").at("features"), 48);
  const auto graph = graph::read_onnx(model.at("package_folder").get<std::string>() + "/1/model.onnx");
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ(std::ranges::count(graph->nodes, "GlobalMaxPool", &graph::Node::op_type), 2);

  const Json trained = built("trained",
                             "budget: {epochs: 2}\nrecipe: {backbone: resnet-xs, side: 16, neck: generalised_mean, loss: focal, "
                             "smoothing: 0.02, optimizer: adamw, schedule: cosine, weight_decay: 0.01}");
  const Json recipe = run({"show", "trained", "--json"}).json().at("lineage").at("recipe");
  EXPECT_EQ(recipe.at("loss"), "focal");
  EXPECT_EQ(recipe.at("label_smoothing"), 0.02);
  EXPECT_EQ(recipe.at("optimizer"), "adamw");
  EXPECT_EQ(recipe.at("schedule"), "cosine");
  EXPECT_EQ(recipe.at("weight_decay"), 0.01);
  EXPECT_LT(recipe.at("learning_rate"), 0.01);  // AdamW's own
  const auto net = graph::read_onnx(trained.at("package_folder").get<std::string>() + "/1/model.onnx");
  ASSERT_TRUE(net.ok());
  EXPECT_EQ(std::ranges::count(net->nodes, "Pow", &graph::Node::op_type), 2);
}

TEST_F(Composition, WhatDoesNotGoTogetherIsRefusedBeforeAnythingRuns) {
  struct Case {
    std::string more;
    const char *one, *other, *remedy;
  };
  const Case cases[] = {
      {frozen + "recipe: {loss: focal}", "recipe.loss: focal", "backbone.freeze: backbone", "leave it out"},
      {frozen + "recipe: {cut: [earlier, last]}", "net.onnx", "earlier", "candidates"},
      {frozen + "recipe: {side: 24}", "recipe.side is 24", "net.onnx", "leave recipe.side out"},
      {"recipe: {backbone: mobile-s, side: 12}", "recipe.side: 12", "recipe.backbone: mobile-s", "raise recipe.side"},
      {"recipe: {backbone: resnet-q}", "resnet-q", "did you mean", "resnet-"},
  };
  for (const Case& each : cases) {
    const Outcome outcome = build("refused", each.more);
    EXPECT_NE(outcome.exit_code, 0) << each.more;
    EXPECT_THAT(outcome.out + outcome.err, AllOf(HasSubstr(each.one), HasSubstr(each.other), HasSubstr(each.remedy))) << each.more;
    EXPECT_EQ(outcome.json().contains("steps"), false) << each.more;
  }
}

TEST_F(Composition, DecisionsAreKeptInThePackageMeasuredAndPrinted) {
  const std::string asked = "decide: {thresholds: per_class, precision: 0.9}\nprediction_sets: {coverage: 0.9}";
  for (const std::string& line : {frozen, std::string("budget: {epochs: 2}\nrecipe: {backbone: resnet-xs, side: 16}\n")}) {
    const std::string name = line == frozen ? "fitted" : "trained";  // each competes with itself alone
    const Json model = built(name, line + asked);
    const Json lineage = run({"show", name, "--json"}).json().at("lineage").at("decisions");
    EXPECT_EQ(lineage.at("from"), line == frozen ? "out of fold" : "validation");
    EXPECT_EQ(lineage.at("thresholds").size(), 3U);
    const Json answer = run({"predict", name, "images/cross/000.png", "--json"}).json().at("answers").at(0);
    EXPECT_TRUE(answer.contains("decision"));
    EXPECT_GE(answer.at("set").size(), 1U);
    EXPECT_THAT(read_text(model.at("report")), AllOf(HasSubstr("Decisions"), HasSubstr("sets for a coverage of 0.9")));
    // Asked for no longer, they are gone, and what was trained stays.
    const Json without = built(name, line);
    EXPECT_FALSE(run({"predict", name, "images/cross/000.png", "--json"}).json().at("answers").at(0).contains("set"));
    EXPECT_NE(without.at("package"), model.at("package"));
  }
}

}  // namespace
}  // namespace sightline::scenario
