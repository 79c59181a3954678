// Products of matrices against the plain reference.
#include "runtime/operator_cases_test.h"

namespace sightline::runtime {
namespace {

TEST(RuntimeOperators, Gemm) {
  Random random(10);
  std::vector<Case> cases;
  for (std::int64_t trans_b : {0, 1})
    for (const Shape& bias : {Shape{}, Shape{10}, Shape{1, 10}, Shape{1}, Shape{3, 1}, Shape{3, 10}})
      for (float alpha : {1.0F, 0.5F}) {
        Case c{.what = "B' " + std::to_string(trans_b) + " bias " + to_string(bias) + " alpha " + std::to_string(alpha),
               .inputs = {{3, 20}}};
        c.constants = {{"b", random_tensor(random, trans_b != 0 ? Shape{10, 20} : Shape{20, 10})}, {"c", random_tensor(random, bias)}};
        c.nodes = {node("Gemm", {"x", "b", "c"}, "y", {{"transB", trans_b}, {"alpha", alpha}, {"beta", 2.0F}})};
        c.fixed = true;
        cases.push_back(c);
      }
  cases.push_back({.what = "A'",
                   .inputs = {{20, 3}, {20, 10}},
                   .nodes = {node("Gemm", {"x", "x1"}, "y", {{"transA", std::int64_t{1}}})},
                   .fixed = true});
  cases.push_back({.what = "all computed",
                   .inputs = {{3, 20}, {10, 20}, {3, 1}},
                   .nodes = {node("Gemm", {"x", "x1", "x2"}, "y", {{"transB", std::int64_t{1}}, {"beta", 0.5F}})},
                   .fixed = true});
  // The same matrix read in both ways must not be taken for one constant.
  const Tensor square = random_tensor(random, {16, 16});
  cases.push_back({.what = "both ways",
                   .inputs = {{3, 16}},
                   .constants = {{"b", square}},
                   .nodes = {node("Gemm", {"x", "b"}, "h"), node("Gemm", {"h", "b"}, "y", {{"transB", std::int64_t{1}}})}});
  // One image through a large layer, alone and with a function behind it.
  for (std::int64_t trans_b : {0, 1}) {
    Case c{.what = "one row, B' " + std::to_string(trans_b), .inputs = {{1, 200}}};
    c.constants = {{"b", random_tensor(random, trans_b != 0 ? Shape{700, 200} : Shape{200, 700})}, {"c", random_tensor(random, {700})}};
    c.nodes = {node("Gemm", {"x", "b", "c"}, "g", {{"transB", trans_b}}), node("Relu", {"g"}, "y")};
    cases.push_back(c);
  }
  check_all(cases);
}

TEST(RuntimeOperators, MatMul) {
  Random random(11);
  std::vector<Case> cases;
  const auto computed = [&](const Shape& a, const Shape& b) {
    cases.push_back(
        {.what = to_string(a) + " by " + to_string(b), .inputs = {a, b}, .nodes = {node("MatMul", {"x", "x1"}, "y")}, .fixed = true});
  };
  const auto constant = [&](const Shape& a, const Shape& b) {
    cases.push_back({.what = to_string(a) + " by constant " + to_string(b),
                     .inputs = {a},
                     .constants = {{"b", random_tensor(random, b)}},
                     .nodes = {node("MatMul", {"x", "b"}, "y")},
                     .fixed = true});
  };
  computed({3, 5}, {5, 7});
  computed({2, 3, 5}, {2, 5, 7});
  computed({2, 1, 3, 5}, {4, 5, 7});
  computed({2, 3, 5}, {5, 7});
  computed({5}, {5, 7});
  computed({3, 5}, {5});
  computed({5}, {5});
  constant({3, 5}, {5, 7});
  constant({2, 3, 5}, {5, 16});
  constant({2, 3, 5}, {5});
  constant({2, 3, 5}, {2, 5, 4});
  constant({5}, {5, 4});
  check_all(cases);
}

}  // namespace
}  // namespace sightline::runtime
