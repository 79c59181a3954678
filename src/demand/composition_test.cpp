#include "demand/composition.h"

#include <gmock/gmock.h>

#include <set>

namespace sightline::demand {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* smallest = "name: a\ntask: classify\ndata: {path: x}\n";

std::string error_of(const std::string& lines) {
  const auto demand = parse_demand(smallest + lines, "d.yaml");
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
  };
  std::set<std::string> covered;
  for (const Case& each : cases) {
    EXPECT_THAT(error_of(each.lines),
                AllOf(HasSubstr(each.one), HasSubstr(each.other), HasSubstr(each.remedy), HasSubstr("do not go together")))
        << each.lines;
    const std::string one = each.one;
    covered.insert(one.substr(one.find("recipe."), one.rfind(':') - one.find("recipe.")));
  }
  for (const Clash& clash : clashes()) EXPECT_TRUE(covered.contains(clash.part)) << clash.part;
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
