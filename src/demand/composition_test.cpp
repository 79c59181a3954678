#include "demand/composition.h"

#include <gmock/gmock.h>

namespace sightline::demand {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* smallest = "name: a\ntask: classify\ndata: {path: x}\n";

std::string error_of(const std::string& lines, const std::string& before = smallest) {
  const auto demand = parse_demand(before + lines, "d.yaml");
  return demand.ok() ? "" : demand.error().message;
}

TEST(Composition, PartsThatDoNotGoTogetherAreRefusedWithBothNamesAndTheRemedy) {
  struct Case {
    const char* lines;
    const char *one, *other, *remedy;
  };
  const Case cases[] = {
      {"recipe: {cut: early}\n", "d.yaml:4: recipe.cut: early", "trained from the start", "name a network"},
      {"recipe: {cut: [early, last], backbone: resnet-s}\n", "recipe.cut: [early, last]", "trained from the start", "leave recipe.cut out"},
      {"backbone: {name: eyes}\nrecipe: {neck: max}\n", "d.yaml:5: recipe.neck: max", "backbone.name", "import --neck"},
      {"recipe: {head: ridge}\n", "recipe.head: ridge", "net that is trained", "head: linear"},
      {"backbone: {onnx: a.onnx, freeze: early}\nrecipe: {head: logistic}\n", "recipe.head: logistic", "net that is trained",
       "freeze: backbone"},
      {"backbone: {onnx: a.onnx, freeze: backbone}\nrecipe: {head: linear}\n", "recipe.head: linear", "freeze: backbone", "name ridge"},
      {"backbone: {onnx: a.onnx, freeze: backbone}\nrecipe: {loss: focal}\n", "recipe.loss: focal", "freeze: backbone", "leave it out"},
      {"backbone: {onnx: a.onnx, freeze: backbone}\nrecipe: {smoothing: 0.1}\n", "recipe.smoothing: 0.1", "freeze: backbone",
       "leave it out"},
      {"backbone: {name: eyes, freeze: backbone}\nrecipe: {augmentation: strong}\n", "recipe.augmentation: strong", "freeze: backbone",
       "freeze: none"},
      {"backbone: {onnx: a.onnx, freeze: backbone}\nrecipe: {batch: 32}\n", "recipe.batch: 32", "freeze: backbone", "leave it out"},
      {"backbone: {onnx: a.onnx, freeze: backbone}\nrecipe: {learning_rate: 0.1}\n", "recipe.learning_rate: 0.1", "freeze: backbone",
       "leave it out"},
      {"backbone: {onnx: a.onnx, freeze: backbone}\nrecipe: {optimizer: adamw}\n", "recipe.optimizer: adamw", "freeze: backbone",
       "leave it out"},
      {"backbone: {onnx: a.onnx, freeze: backbone}\nrecipe: {schedule: cosine}\n", "recipe.schedule: cosine", "freeze: backbone",
       "leave it out"},
      {"backbone: {onnx: a.onnx, freeze: backbone}\nrecipe: {weight_decay: 0.1}\n", "recipe.weight_decay: 0.1", "freeze: backbone",
       "leave it out"},
      {"recipe: {augmentation: mosaic}\n", "recipe.augmentation: mosaic", "classify", "light"},
  };
  const Case of_detect[] = {
      {"backbone: {onnx: a.onnx}\n", "d.yaml:4: backbone", "other than classify", "leave backbone out"},
      {"search: {minutes: 3}\n", "d.yaml:4: search", "other than classify", "leave search out"},
      {"decide: {thresholds: per_class}\n", "d.yaml:4: decide", "other than classify", "leave decide out"},
      {"prediction_sets: {coverage: 0.9}\n", "d.yaml:4: prediction_sets", "other than classify", "leave prediction_sets out"},
      {"recipe: {head: linear}\n", "recipe.head: linear", "other than classify", "leave recipe.head out"},
      {"recipe: {neck: max}\n", "recipe.neck: max", "other than classify", "leave recipe.neck out"},
      {"recipe: {loss: focal}\n", "recipe.loss: focal", "other than classify", "leave recipe.loss out"},
      {"recipe: {smoothing: 0.1}\n", "recipe.smoothing: 0.1", "other than classify", "leave recipe.smoothing out"},
  };
  const Case of_anomaly[] = {
      {"budget: {epochs: 3}\n", "d.yaml:4: budget", "task: anomaly", "leave budget out"},
      {"recipe: {head: ridge}\n", "recipe.head: ridge", "task: anomaly", "name memory_bank"},
      {"recipe: {cut: early}\n", "recipe.cut: early", "task: anomaly", "leave recipe.cut out"},
      {"recipe: {augmentation: flip}\n", "recipe.augmentation: flip", "task: anomaly", "leave recipe.augmentation out"},
      {"recipe: {batch: 8}\n", "recipe.batch: 8", "task: anomaly", "leave recipe.batch out"},
      {"recipe: {learning_rate: 0.1}\n", "recipe.learning_rate: 0.1", "task: anomaly", "leave recipe.learning_rate out"},
      {"recipe: {optimizer: sgd}\n", "recipe.optimizer: sgd", "task: anomaly", "leave recipe.optimizer out"},
      {"recipe: {schedule: cosine}\n", "recipe.schedule: cosine", "task: anomaly", "leave recipe.schedule out"},
      {"recipe: {weight_decay: 0.1}\n", "recipe.weight_decay: 0.1", "task: anomaly", "leave recipe.weight_decay out"},
  };
  const Case only_anomaly[] = {
      {"alarm: {false_alarms: 0.1}\n", "d.yaml:4: alarm", "other than anomaly", "leave alarm out"},
      {"recipe: {head: memory_bank}\n", "recipe.head: memory_bank", "other than anomaly", "write task: anomaly"},
  };
  const Case with_good[] = {{"seed: 3\n", "data.good: fine", "other than anomaly", "leave data.good out"}};
  std::string covered;
  const auto expect_refused = [&](const Case& each, const std::string& before) {
    EXPECT_THAT(error_of(each.lines, before),
                AllOf(HasSubstr(each.one), HasSubstr(each.other), HasSubstr(each.remedy), HasSubstr("do not go together")))
        << each.lines;
    const std::string one = each.one;
    covered += " " + (one.starts_with("d.yaml:4: ") ? one.substr(10) : one);
  };
  for (const Case& each : cases) expect_refused(each, smallest);
  for (const Case& each : of_detect) expect_refused(each, "name: a\ntask: detect\ndata: {path: x}\n");
  for (const Case& each : of_anomaly) expect_refused(each, "name: a\ntask: anomaly\ndata: {path: x}\n");
  for (const Case& each : only_anomaly) expect_refused(each, smallest);
  for (const Case& each : with_good) expect_refused(each, "name: a\ntask: classify\ndata: {path: x, good: fine}\n");
  expect_refused({"data: {path: x, pairs: p.txt}\nsplit: {test_folds: [1]}\n", "data.pairs: p.txt", "other than embed", "task: embed"},
                 "name: a\ntask: classify\n");
  expect_refused({"recipe: {augmentation: mosaic}\n", "recipe.augmentation: mosaic", "embed", "light"},
                 "name: a\ntask: embed\ndata: {path: x}\n");
  const char* attributes = "name: a\ntask: attributes\ndata: {path: x, attributes: [b]}\n";
  expect_refused({"backbone: {name: n, freeze: early}\n", "backbone.freeze: early", "attributes", "leave backbone.freeze out"}, attributes);
  expect_refused({"backbone: {weights: w.pth}\nrecipe: {backbone: resnet-s}\n", "backbone.weights: w.pth", "attributes", "name a network"},
                 attributes);
  expect_refused({"read: {formats: [AA-999]}\n", "d.yaml:4: read", "other than read", "leave read out"}, smallest);
  expect_refused({"restore: {kind: deblur}\n", "d.yaml:4: restore", "other than restore", "leave restore out"}, smallest);
  expect_refused({"segment: {pieces: true}\n", "d.yaml:4: segment", "other than segment", "leave segment out"}, smallest);
  expect_refused({"data: {path: x, symbols: s.txt}\n", "data.symbols: s.txt", "other than read", "leave data.symbols out"},
                 "name: a\ntask: classify\n");
  for (const Clash& clash : clashes()) EXPECT_THAT(covered, HasSubstr(std::string(" ") + clash.part)) << clash.part;
}

TEST(Composition, ADetectorAimsAtItsOwnMetric) {
  const auto demand = parse_demand("name: a\ntask: detect\ndata: {path: x}\ntarget: {at_least: 0.5}\n", "d.yaml");
  ASSERT_TRUE(demand.ok()) << demand.error().message;
  EXPECT_EQ(demand->target.metric, "mAP50");
  EXPECT_THAT(error_of("target: {metric: top1}\n", "name: a\ntask: detect\ndata: {path: x}\n"), HasSubstr("mAP50-95"));
  EXPECT_EQ(parse_demand(smallest, "d.yaml")->target.metric, "top1");
}

TEST(Composition, AnEmbedderHasItsOwnMetricsLossesAndPairs) {
  const std::string before = "name: a\ntask: embed\n";
  const auto demand =
      parse_demand(before + "data: {path: x, pairs: p.txt}\nsplit: {test_folds: [9, 10]}\nrecipe: {loss: arcface}\n", "d.yaml");
  ASSERT_TRUE(demand.ok()) << demand.error().message;
  EXPECT_EQ(demand->target.metric, "verification_accuracy");
  EXPECT_EQ(demand->split.test_folds, (std::vector<int>{9, 10}));
  EXPECT_THAT(error_of("data: {path: x}\nrecipe: {loss: arcfase}\n", before), HasSubstr("arcface"));
  EXPECT_THAT(error_of("data: {path: x}\nrecipe: {loss: focal}\n", before), HasSubstr("must be one of softmax"));
  EXPECT_THAT(error_of("data: {path: x, pairs: p.txt}\n", before), HasSubstr("go together"));
  EXPECT_THAT(error_of("data: {path: x}\nsplit: {test_folds: [1]}\n", before), HasSubstr("go together"));
  EXPECT_THAT(error_of("data: {path: x, pairs: p.txt}\nsplit: {test_folds: [0]}\n", before), HasSubstr("folds count from 1"));
}

TEST(Composition, PartsThatDo) {
  for (const char* lines : {
           "recipe: {neck: max, head: linear, loss: focal, smoothing: 0.1, optimizer: adamw, schedule: cosine, weight_decay: 0.01}\n",
           "backbone: {onnx: a.onnx, freeze: backbone}\nrecipe: {cut: [early, last], neck: generalised_mean, head: ridge}\n",
           "backbone: {name: eyes, freeze: backbone}\nrecipe: {cut: all, head: random_features}\n",
           "backbone: {onnx: a.onnx, freeze: early}\nrecipe: {cut: [middle, last], loss: class_balanced, augmentation: none}\n",
       })
    EXPECT_EQ(error_of(lines), "") << lines;
}

}  // namespace
}  // namespace sightline::demand
