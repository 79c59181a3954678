// Functions of one tensor and broadcasting ones, and reductions, against the plain reference.
#include "runtime/operator_cases_test.h"

namespace sightline::runtime {
namespace {

TEST(RuntimeOperators, FunctionsOfOneTensor) {
  std::vector<Case> cases;
  for (const Shape& shape : {Shape{2, 5, 7, 3}, Shape{3, 32}, Shape{2, 1, 1}}) {
    const auto add = [&](const std::string& op, Attributes attributes, double low = -8, double high = 8) {
      cases.push_back({.what = op, .inputs = {shape}, .nodes = {node(op, {"x"}, "y", std::move(attributes))}, .low = low, .high = high});
    };
    add("Relu", {});
    add("LeakyRelu", {{"alpha", 0.2F}});
    add("LeakyRelu", {});
    add("Sigmoid", {});
    add("HardSigmoid", {});
    add("HardSigmoid", {{"alpha", 1.0F / 6}, {"beta", 0.5F}});
    add("HardSwish", {});
    add("Tanh", {});
    add("Sqrt", {}, 0, 9);
    add("Exp", {}, -4, 4);
    add("Identity", {});
    add("Dropout", {});
  }
  check_all(cases);
}

TEST(RuntimeOperators, Clip) {
  const Tensor low = Tensor::of<float>({}, {-0.5F}), high = Tensor::of<float>({}, {1.5F});
  const Shape shape{2, 3, 5, 5};
  check_all({
      {.what = "inputs", .inputs = {shape}, .constants = {{"l", low}, {"h", high}}, .nodes = {node("Clip", {"x", "l", "h"}, "y")}},
      {.what = "low", .inputs = {shape}, .constants = {{"l", low}}, .nodes = {node("Clip", {"x", "l"}, "y")}},
      {.what = "high", .inputs = {shape}, .constants = {{"h", high}}, .nodes = {node("Clip", {"x", "", "h"}, "y")}},
      {.what = "attributes", .inputs = {shape}, .nodes = {node("Clip", {"x"}, "y", {{"min", 0.0F}, {"max", 1.0F}})}, .opset = 10},
  });
}

TEST(RuntimeOperators, PRelu) {
  Random random(5);
  const Shape shape{2, 6, 5, 4};
  std::vector<Case> cases;
  for (const Shape& slope : {Shape{6, 1, 1}, Shape{1, 6, 1, 1}, Shape{1}, Shape{4}, Shape{6, 5, 4}})
    cases.push_back({.what = to_string(slope),
                     .inputs = {shape},
                     .constants = {{"s", random_tensor(random, slope)}},
                     .nodes = {node("PRelu", {"x", "s"}, "y")}});
  cases.push_back({.what = "computed", .inputs = {shape, shape}, .nodes = {node("PRelu", {"x", "x1"}, "y")}});
  check_all(cases);
}

TEST(RuntimeOperators, Arithmetic) {
  Random random(6);
  std::vector<Case> cases;
  for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
    for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{{{2, 5, 4, 3}, {2, 5, 4, 3}},
                                                                   {{2, 16, 4, 3}, {2, 16, 1, 1}},
                                                                   {{2, 5, 1, 1}, {2, 5, 4, 3}},
                                                                   {{2, 5, 4, 1}, {2, 1, 1, 3}},
                                                                   {{2, 7}, {2, 1}},
                                                                   {{2}, {2}}}) {
      cases.push_back({.what = std::string(op) + " " + to_string(a) + " " + to_string(b),
                       .inputs = {a, b},
                       .nodes = {node(op, {"x", "x1"}, "y")},
                       .low = 0.5,
                       .high = 3});
    }
    for (const Shape& constant : {Shape{}, Shape{1}, Shape{5, 1, 1}, Shape{1, 5, 1, 1}, Shape{3}, Shape{4, 3}, Shape{5, 4, 3},
                                  Shape{1, 1, 4, 1}, Shape{1, 1, 1, 1, 1}}) {
      for (bool left : {false, true}) {
        cases.push_back({.what = std::string(op) + " constant " + to_string(constant) + (left ? " left" : " right"),
                         .inputs = {{2, 5, 4, 3}},
                         .constants = {{"c", random_tensor(random, constant, 0.5, 3)}},
                         .nodes = {left ? node(op, {"c", "x"}, "y") : node(op, {"x", "c"}, "y")},
                         .low = 0.5,
                         .high = 3});
      }
    }
    cases.push_back(
        {.what = std::string(op) + " integers", .inputs = {{3, 4}, {3, 1}}, .nodes = {node(op, {"x", "x1"}, "y")}, .dtype = Dtype::i64});
  }
  cases.back().nodes = {node("Mul", {"x", "x1"}, "y")};  // random divisors hold zeros
  for (float exponent : {2.0F, 0.5F, 3.0F, -1.0F, 1.7F})
    cases.push_back({.what = "Pow " + std::to_string(exponent),
                     .inputs = {{2, 5, 4, 3}},
                     .constants = {{"c", Tensor::of<float>({}, {exponent})}},
                     .nodes = {node("Pow", {"x", "c"}, "y")},
                     .low = 0.5,
                     .high = 3});
  cases.push_back({.what = "Pow two", .inputs = {{2, 5, 4}, {2, 1, 4}}, .nodes = {node("Pow", {"x", "x1"}, "y")}, .low = 0.5, .high = 3});
  cases.push_back({.what = "Pow base",
                   .inputs = {{2, 5}},
                   .constants = {{"c", Tensor::of<float>({}, {2.0F})}},
                   .nodes = {node("Pow", {"c", "x"}, "y")},
                   .low = 0.5,
                   .high = 3});
  cases.push_back({.what = "Pow by an integer",
                   .inputs = {{2, 5}},
                   .constants = {{"c", Tensor::of<std::int64_t>({}, {2})}},
                   .nodes = {node("Pow", {"x", "c"}, "y")}});
  cases.push_back({.what = "with itself", .inputs = {{2, 5}}, .nodes = {node("Mul", {"x", "x"}, "y")}});
  check_all(cases);
}

TEST(RuntimeOperators, ReduceMean) {
  std::vector<Case> cases;
  for (const Ints& axes : {Ints{2, 3}, Ints{-1}, Ints{1}, Ints{0, 2}, Ints{0, 1, 2, 3}, Ints{1, 2, 3}})
    for (std::int64_t keep : {0, 1})
      cases.push_back({.what = to_string(axes) + (keep != 0 ? " kept" : ""),
                       .inputs = {{2, 6, 5, 4}},
                       .nodes = {node("ReduceMean", {"x"}, "y", {{"axes", axes}, {"keepdims", keep}})}});
  cases.push_back({.what = "all", .inputs = {{2, 6, 5}}, .nodes = {node("ReduceMean", {"x"}, "y", {})}});
  cases.push_back({.what = "one",
                   .inputs = {{2, 1, 5}},
                   .nodes = {node("ReduceMean", {"x"}, "y", {{"axes", Ints{1}}, {"keepdims", std::int64_t{0}}})}});
  cases.push_back({.what = "axes as input",
                   .inputs = {{2, 6, 5}},
                   .constants = {{"a", ints({1})}},
                   .nodes = {node("ReduceMean", {"x", "a"}, "y")},
                   .opset = 18});
  check_all(cases);
}

TEST(RuntimeOperators, Softmax) {
  std::vector<Case> cases;
  for (const char* op : {"Softmax", "LogSoftmax"})
    for (std::int64_t opset : {11, 17})
      for (std::int64_t axis : {-1, 0, 1, 2})
        cases.push_back({.what = op, .inputs = {{3, 17, 4}}, .nodes = {node(op, {"x"}, "y", {{"axis", axis}})}, .opset = opset});
  cases.push_back({.what = "default", .inputs = {{3, 10}}, .nodes = {node("Softmax", {"x"}, "y")}});
  cases.push_back({.what = "default early", .inputs = {{3, 10, 2}}, .nodes = {node("Softmax", {"x"}, "y")}, .opset = 9});
  cases.push_back({.what = "large", .inputs = {{3, 10}}, .nodes = {node("Softmax", {"x"}, "y")}, .low = -80, .high = 80});
  check_all(cases);
}

}  // namespace
}  // namespace sightline::runtime
