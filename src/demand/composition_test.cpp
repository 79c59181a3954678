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
  for (const Clash& clash : clashes()) EXPECT_THAT(covered, HasSubstr(std::string(" ") + clash.part)) << clash.part;
}

TEST(Composition, ADetectorAimsAtItsOwnMetric) {
  const auto demand = parse_demand("name: a\ntask: detect\ndata: {path: x}\ntarget: {at_least: 0.5}\n", "d.yaml");
  ASSERT_TRUE(demand.ok()) << demand.error().message;
  EXPECT_EQ(demand->target.metric, "mAP50");
  EXPECT_THAT(error_of("target: {metric: top1}\n", "name: a\ntask: detect\ndata: {path: x}\n"), HasSubstr("mAP50-95"));
  EXPECT_EQ(parse_demand(smallest, "d.yaml")->target.metric, "top1");
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
