// Shapes, orders, pieces, resizing and casts against the plain reference.
#include "runtime/operator_cases_test.h"

namespace sightline::runtime {
namespace {

TEST(RuntimeOperators, ShapesAndOrder) {
  check_all({
      {.what = "flatten", .inputs = {{2, 3, 4, 5}}, .nodes = {node("Flatten", {"x"}, "y")}},
      {.what = "flatten 2", .inputs = {{2, 3, 4, 5}}, .nodes = {node("Flatten", {"x"}, "y", {{"axis", std::int64_t{2}}})}},
      {.what = "reshape", .inputs = {{2, 3, 4}}, .constants = {{"s", ints({0, -1})}}, .nodes = {node("Reshape", {"x", "s"}, "y")}},
      {.what = "squeeze", .inputs = {{2, 3, 1, 1}}, .constants = {{"a", ints({2, 3})}}, .nodes = {node("Squeeze", {"x", "a"}, "y")}},
      {.what = "squeeze early", .inputs = {{2, 3, 1, 1}}, .nodes = {node("Squeeze", {"x"}, "y", {{"axes", Ints{2, 3}}})}, .opset = 11},
      {.what = "unsqueeze", .inputs = {{2, 3}}, .constants = {{"a", ints({-1, 1})}}, .nodes = {node("Unsqueeze", {"x", "a"}, "y")}},
      {.what = "transpose",
       .inputs = {{2, 3, 4, 5}},
       .nodes = {node("Transpose", {"x"}, "y", {{"perm", Ints{0, 2, 3, 1}}})},
       .fixed = true},
      {.what = "transpose all", .inputs = {{2, 3, 4, 5}}, .nodes = {node("Transpose", {"x"}, "y")}, .fixed = true},
      {.what = "transpose bytes",
       .inputs = {{2, 3, 4}},
       .nodes = {node("Transpose", {"x"}, "y", {{"perm", Ints{2, 0, 1}}})},
       .dtype = Dtype::u8,
       .fixed = true},
      {.what = "transpose i64",
       .inputs = {{2, 3, 4}},
       .nodes = {node("Transpose", {"x"}, "y", {{"perm", Ints{2, 0, 1}}})},
       .dtype = Dtype::i64,
       .fixed = true},
      {.what = "function of a transposed",
       .inputs = {{2, 3, 4, 5}},
       .nodes = {node("Transpose", {"x"}, "t", {{"perm", Ints{0, 3, 1, 2}}}), node("Sigmoid", {"t"}, "y")}},
      {.what = "reshape of a transposed",
       .inputs = {{2, 3, 4, 5}},
       .constants = {{"s", ints({0, -1})}},
       .nodes = {node("Transpose", {"x"}, "t", {{"perm", Ints{0, 3, 1, 2}}}), node("Reshape", {"t", "s"}, "y")}},
  });
}

TEST(RuntimeOperators, Pieces) {
  Random random(12);
  const Tensor number = Tensor::of<float>({}, {1.5F});
  check_all({
      {.what = "concat channels",
       .inputs = {{2, 3, 4, 4}, {2, 5, 4, 4}},
       .nodes = {node("Concat", {"x", "x1"}, "y", {{"axis", std::int64_t{1}}})}},
      {.what = "concat last",
       .inputs = {{2, 3, 4}, {2, 3, 2}},
       .nodes = {node("Concat", {"x", "x1", "x"}, "y", {{"axis", std::int64_t{-1}}})}},
      {.what = "concat one", .inputs = {{2, 3, 4}}, .nodes = {node("Concat", {"x"}, "y", {{"axis", std::int64_t{1}}})}},
      {.what = "concat i64",
       .inputs = {{2, 3}, {2, 4}},
       .nodes = {node("Concat", {"x", "x1"}, "y", {{"axis", std::int64_t{1}}})},
       .dtype = Dtype::i64},
      {.what = "pad",
       .inputs = {{2, 3, 4, 4}},
       .constants = {{"p", ints({0, 0, 1, 2, 0, 0, 3, 0})}, {"v", number}},
       .nodes = {node("Pad", {"x", "p", "v"}, "y")}},
      {.what = "pad and cut",
       .inputs = {{2, 3, 4, 4}},
       .constants = {{"p", ints({0, 1, -1, 0, 0, 0, 2, -2})}},
       .nodes = {node("Pad", {"x", "p"}, "y")}},
      {.what = "pad early",
       .inputs = {{2, 3, 4}},
       .nodes = {node("Pad", {"x"}, "y", {{"pads", Ints{0, 1, 0, 0, 0, 2}}, {"value", -1.0F}})},
       .opset = 10},
      {.what = "gather",
       .inputs = {{2, 3, 4, 5}},
       .constants = {{"i", ints({2, 0, -1, 2})}},
       .nodes = {node("Gather", {"x", "i"}, "y", {{"axis", std::int64_t{1}}})}},
      {.what = "gather one",
       .inputs = {{2, 3, 4, 5}},
       .constants = {{"i", Tensor::of<std::int64_t>({}, {1})}},
       .nodes = {node("Gather", {"x", "i"}, "y", {{"axis", std::int64_t{2}}})}},
  });
}

TEST(RuntimeOperators, Resize) {
  std::vector<Case> cases;
  for (const char* mode : {"nearest", "linear"})
    for (const char* coordinates : {"half_pixel", "asymmetric"})
      for (float scale : {2.0F, 0.5F})
        cases.push_back({.what = std::string(mode) + " " + coordinates + " " + std::to_string(scale),
                         .inputs = {{2, 3, 6, 8}},
                         .constants = {{"s", Tensor::of<float>({4}, {1, 1, scale, scale})}},
                         .nodes = {node("Resize", {"x", "", "s"}, "y",
                                        {{"mode", std::string(mode)},
                                         {"coordinate_transformation_mode", std::string(coordinates)},
                                         {"nearest_mode", std::string("floor")}})}});
  check_all(cases);
}

TEST(RuntimeOperators, Cast) {
  std::vector<Case> cases;
  const auto to = [](Dtype dtype) { return Attributes{{"to", graph::onnx_dtype(dtype)}}; };
  for (Dtype dtype : {Dtype::i32, Dtype::i64, Dtype::f64, Dtype::boolean, Dtype::f32, Dtype::i8})
    cases.push_back(
        {.what = name_of(dtype), .inputs = {{2, 3, 4}}, .nodes = {node("Cast", {"x"}, "y", to(dtype))}, .low = -100, .high = 100});
  for (Dtype dtype : {Dtype::f32, Dtype::i32, Dtype::i64})
    cases.push_back({.what = std::string("bytes to ") + name_of(dtype),
                     .inputs = {{2, 3, 4, 3}},
                     .nodes = {node("Cast", {"x"}, "y", to(dtype))},
                     .dtype = Dtype::u8});
  cases.push_back({.what = "i64", .inputs = {{2, 3}}, .nodes = {node("Cast", {"x"}, "y", to(Dtype::f32))}, .dtype = Dtype::i64});
  check_all(cases);
}

// u8 N×H×W×C, Cast, Transpose, Sub, Div: one step, and the same numbers to the bit.
TEST(RuntimeOperators, ImagesComeInThroughOneStep) {
  for (std::int64_t channels : {1, 3}) {
    const Tensor mean = Tensor::filled({1, channels, 1, 1}, 127.3F), deviation = Tensor::filled({1, channels, 1, 1}, 58.7F);
    Case c{.what = "image", .inputs = {{3, 6, 5, channels}}, .constants = {{"m", mean}, {"d", deviation}}, .dtype = Dtype::u8};
    c.nodes = {node("Cast", {"x"}, "r", {{"to", graph::onnx_dtype(Dtype::f32)}}),
               node("Transpose", {"r"}, "t", {{"perm", Ints{0, 3, 1, 2}}}), node("Sub", {"t", "m"}, "c"), node("Div", {"c", "d"}, "y")};
    check(c);
    auto session = Session::create(graph_of(c));
    ASSERT_TRUE(session.ok());
    const auto inputs = inputs_of(c, 7);
    const auto steps = session->profile(inputs);
    ASSERT_TRUE(steps.ok());
    ASSERT_EQ(steps->size(), 1U);
    EXPECT_EQ((*steps)[0].op_type, "Cast+Transpose+Sub+Div");
    const auto got = session->run(inputs);
    ASSERT_TRUE(got.ok());
    const auto bytes = inputs[0].values<std::uint8_t>();
    for (std::int64_t n = 0; n < 3; ++n)
      for (std::int64_t k = 0; k < channels; ++k)
        for (std::int64_t i = 0; i < 30; ++i)
          ASSERT_EQ((*got)[0].values<float>()[static_cast<std::size_t>((n * channels + k) * 30 + i)],
                    (static_cast<float>(bytes[static_cast<std::size_t>((n * 30 + i) * channels + k)]) - 127.3F) / 58.7F);
  }
}

}  // namespace
}  // namespace sightline::runtime
