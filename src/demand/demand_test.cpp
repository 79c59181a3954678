#include "demand/demand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sightline::demand {
namespace {

using testing::HasSubstr;

constexpr const char* smallest = "name: apparel\ntask: classify\ndata: {path: images}\n";

std::string error_of(const std::string& text) {
  const auto demand = parse_demand(text, "d.yaml");
  return demand.ok() ? "" : demand.error().message;
}

TEST(Demand, DefaultsForEverythingButNameTaskAndData) {
  const auto demand = parse_demand(smallest, "d.yaml");
  ASSERT_TRUE(demand.ok()) << demand.error().message;
  EXPECT_EQ(demand->name, "apparel");
  EXPECT_EQ(demand->data.path, "images");
  EXPECT_EQ(demand->data.format, "auto");
  EXPECT_EQ(demand->split.group_by, GroupBy::near_duplicates);
  EXPECT_FALSE(demand->budget.epochs.has_value());
  for (const char* missing : {"name", "task", "data"}) {
    std::string text;
    for (const char* line : {"name: a\n", "task: classify\n", "data: {path: x}\n"}) {
      if (!std::string(line).starts_with(missing)) text += line;
    }
    EXPECT_THAT(error_of(text), HasSubstr(std::string("\"") + missing + "\" is missing"));
  }
}

TEST(Demand, ReadsEveryKeyOfThePlan) {
  const auto demand = parse_demand(
      "name: apparel\n"
      "task: classify\n"
      "data: {path: /usr/share/datasets/fashion-mnist, format: auto, licence: MIT}\n"
      "split: {validation: 0.05, group_by: pattern, pattern: \"^(.*)_\"}\n"
      "target: {metric: top1, at_least: 0.92}\n"
      "limits: {latency_ms: 2, size_mb: 1, cores: 2}\n"
      "budget: {epochs: 12}\n"
      "recipe: {backbone: resnet-s, side: 28}\n"
      "seed: 7\n",
      "d.yaml");
  ASSERT_TRUE(demand.ok()) << demand.error().message;
  EXPECT_DOUBLE_EQ(demand->target.at_least, 0.92);
  EXPECT_EQ(demand->budget.epochs, 12);
  EXPECT_EQ(demand->limits.latency_ms, 2.0);
  EXPECT_EQ(demand->recipe.side, 28);
  EXPECT_EQ(demand->split.pattern, "^(.*)_");
  EXPECT_EQ(demand->seed, 7);
}

TEST(Demand, ErrorsNameLineAndNearestMatch) {
  EXPECT_THAT(error_of(std::string(smallest) + "taget: {metric: top1}\n"),
              testing::AllOf(HasSubstr("d.yaml:4: unknown key \"taget\""), HasSubstr("did you mean \"target\"?")));
  EXPECT_THAT(error_of(std::string(smallest) + "target:\n  metric: top1\n  atleast: 0.9\n"),
              testing::AllOf(HasSubstr("d.yaml:6:"), HasSubstr("at_least")));
  EXPECT_THAT(error_of(std::string(smallest) + "target: {metric: top2}\n"), HasSubstr("top1"));
  EXPECT_THAT(error_of(std::string(smallest) + "seed: 1\nseed: 2\n"), testing::AllOf(HasSubstr("d.yaml:5:"), HasSubstr("twice")));
  EXPECT_THAT(error_of("name: a\ntask: clasify\ndata: {path: x}\n"),
              testing::AllOf(HasSubstr("d.yaml:2:"), HasSubstr("did you mean \"classify\"?")));
}

TEST(Demand, WrongTypesAndImpossibleValues) {
  struct Case {
    const char* lines;
    const char* wanted;
  };
  const Case cases[] = {
      {"target: {at_least: 92}\n", "write 92.5% as 0.925"},
      {"target: {at_least: high}\n", "is not a number"},
      {"target: 0.9\n", "d.yaml:4"},
      {"budget: {epochs: 0}\n", "budget.epochs"},
      {"budget: {epochs: 1.5}\n", "not an integer"},
      {"budget: {epochs: 3, minutes: 2}\n", "not both"},
      {"split: {validation: 0.5, test: 0.5}\n", "less than a tenth"},
      {"split: {group_by: pattern}\n", "go together"},
      {"split: {group_by: pattern, pattern: \"(\"}\n", "regular expression"},
      {"split: {group_by: pattern, pattern: \"abc\"}\n", "round brackets"},
      {"limits: {latency_ms: -1}\n", "limits.latency_ms"},
      {"limits: {size_mb: nan}\n", "not a number"},
      {"seed: 99999999999999999999\n", "not an integer"},
      {"recipe: {augmentation: lots}\n", "flip"},
      {"recipe: {augmentation: mosaic}\n", "for detect"},
      {"data: &a {path: x}\nseed: *a\n", "d.yaml"},
      {"backbone: {}\n", "one of name"},
      {"backbone: {onnx: a.onnx, weights: b.pth}\n", "one of name"},
      {"backbone: {weights: b.pth}\n", "name it"},
      {"backbone: {onnx: a.onnx}\nrecipe: {backbone: resnet-s}\n", "d.yaml:5: recipe.backbone"},
      {"backbone:\n  weights: b.pth\n  freeze: early\nrecipe: {backbone: resnet-s}\n", "d.yaml:6: backbone.freeze"},
      {"backbone: {onnx: a.onnx, freeze: earlie}\n", "did you mean \"early\"?"},
      {"backbone: {onnx: a.onnx, cut: \"\"}\n", "backbone.cut is empty"},
      {"backbone: {onnx: a.onnx, cut: []}\n", "backbone.cut is empty"},
      {"backbone: {onnx: a.onnx, cut: [early, early]}\n", "names \"early\" twice"},
      {"backbone: {onnx: a.onnx, cut: [all, early]}\n", "stands alone"},
      {"backbone: {onnx: a.onnx, cut: early}\nrecipe: {cut: last}\n", "d.yaml:5: recipe.cut and backbone.cut"},
      {"recipe: {neck: mean}\n", "generalised_mean"},
      {"recipe: {head: rigde}\n", "did you mean \"ridge\"?"},
      {"recipe: {loss: crossentropy}\n", "did you mean \"cross_entropy\"?"},
      {"recipe: {smoothing: 0.9}\n", "recipe.smoothing"},
      {"recipe: {optimizer: adam}\n", "did you mean \"adamw\"?"},
      {"recipe: {weight_decay: -1}\n", "recipe.weight_decay"},
      {"decide: {precision: 0.9}\n", "goes with decide.thresholds"},
      {"decide: {thresholds: per_class, precision: 95}\n", "write 95% as 0.95"},
      {"prediction_sets: {coverage: 90}\n", "write 90% as 0.9"},
      {"backbone: {onnx: a.onnx, mean: [1, 2]}\n", "one per channel"},
      {"backbone: {onnx: a.onnx, scale: [0]}\n", "backbone.scale"},
      {"backbone: {onx: a.onnx}\n", "did you mean \"onnx\"?"},
  };
  for (const Case& each : cases) EXPECT_THAT(error_of(std::string(smallest) + each.lines), HasSubstr(each.wanted)) << each.lines;
  EXPECT_THAT(error_of("name: ../evil\ntask: classify\ndata: {path: x}\n"), HasSubstr("letters, digits"));
  EXPECT_THAT(error_of("name: a\ntask: classify\ndata: {format: idx}\n"), HasSubstr("data.path"));
  EXPECT_THAT(error_of(""), HasSubstr("sightline init"));
  EXPECT_THAT(error_of("- a\n- b\n"), HasSubstr("sightline init"));
  EXPECT_FALSE(error_of("name: [\n").empty());
}

TEST(Demand, AMissingDataFolderIsNotFoundWithItsLine) {
  const std::string path = testing::TempDir() + "/demand_missing_data.yaml";
  FILE* file = fopen(path.c_str(), "w");
  fputs("name: a\ntask: classify\ndata:\n  path: no-such-folder\n", file);
  fclose(file);
  const auto demand = read_demand(path);
  ASSERT_FALSE(demand.ok());
  EXPECT_EQ(demand.error().kind, ErrorKind::not_found);
  EXPECT_THAT(demand.error().message, HasSubstr(":4:"));
}

TEST(Demand, ABackboneIsReadAndItsFileIsLookedForBesideTheDemand) {
  const auto demand = parse_demand(
      std::string(smallest) + "backbone: {onnx: nets/a.onnx, cut: pool, freeze: early, mean: [127.5], scale: [1, 2, 3], licence: MIT}\n",
      "d.yaml");
  ASSERT_TRUE(demand.ok()) << demand.error().message;
  ASSERT_TRUE(demand->backbone);
  EXPECT_EQ(demand->backbone->onnx, "nets/a.onnx");
  EXPECT_EQ(demand->backbone->cut, std::vector<std::string>{"pool"});
  EXPECT_EQ(demand->backbone->freeze, Freeze::early);
  EXPECT_EQ(demand->backbone->scale->size(), 3U);
  EXPECT_EQ(demand->backbone->licence, "MIT");

  // One thing is a list of one.
  const auto several =
      parse_demand(std::string(smallest) + "backbone: {onnx: a.onnx, mean: 127.5}\nrecipe: {cut: [early, last]}\n", "d.yaml");
  ASSERT_TRUE(several.ok()) << several.error().message;
  EXPECT_EQ(several->backbone->mean, std::vector<double>{127.5});
  EXPECT_EQ(cuts_of(*several), (std::vector<std::string>{"early", "last"}));
  EXPECT_EQ(cuts_of(*demand), std::vector<std::string>{"pool"});

  const std::string path = testing::TempDir() + "/demand_missing_backbone.yaml";
  FILE* file = fopen(path.c_str(), "w");
  fputs("name: a\ntask: classify\ndata: {path: .}\nbackbone:\n  onnx: no-such.onnx\n", file);
  fclose(file);
  const auto missing = read_demand(path);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_THAT(missing.error().message, testing::AllOf(HasSubstr(":5:"), HasSubstr("no-such.onnx")));
}

TEST(Demand, ASearchSaysHowLongItMayTakeAndTakesNoBudgetBeside) {
  const std::string head = "name: a\ntask: classify\ndata: {path: images}\n";
  const auto demand = parse_demand(head + "search: {minutes: 2.5, strategy: random}\n", "d.yaml");
  ASSERT_TRUE(demand.ok()) << demand.error().message;
  EXPECT_EQ(demand->search->minutes, 2.5);
  EXPECT_EQ(demand->search->strategy, SearchStrategy::random);
  EXPECT_EQ(parse_demand(head + "search: {minutes: 1}\n", "d.yaml")->search->strategy, SearchStrategy::halving);
  EXPECT_FALSE(parse_demand(head, "d.yaml")->search.has_value());
  for (const auto& [text, word] : {std::pair{"search: {}\n", "search.minutes is missing"},
                                   {"search: {minutes: 0}\n", "search.minutes is 0"},
                                   {"search: {minutes: 1, strategy: halfing}\n", "halving"},
                                   {"search: {minutes: 1}\nbudget: {epochs: 3}\n", "drop budget"}}) {
    const auto wrong = parse_demand(head + text, "d.yaml");
    ASSERT_FALSE(wrong.ok()) << text;
    EXPECT_NE(wrong.error().message.find(word), std::string::npos) << wrong.error().message;
  }
}

}  // namespace
}  // namespace sightline::demand
