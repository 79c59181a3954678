// Convolutions, pools and normalisation against the plain reference, over shapes that oneDNN's kernels treat differently (channels that
// fill blocks of 8 and 16 and that do not, odd sizes, one and several images).
#include "runtime/operator_cases_test.h"

namespace sightline::runtime {
namespace {

TEST(RuntimeOperators, Conv) {
  check_all({
      conv_case("plain", {2, 16, 9, 9}, {32, 16, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}, true),
      conv_case("odd channels", {3, 5, 8, 7}, {7, 5, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}, false),
      conv_case("first", {1, 1, 28, 28}, {16, 1, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}}, true),
      conv_case("three channels", {2, 3, 17, 17}, {24, 3, 5, 5}, {{"pads", Ints{2, 2, 2, 2}}}, true),
      conv_case("1x1", {2, 24, 6, 6}, {40, 24, 1, 1}, {}, true),
      conv_case("asymmetric padding", {1, 8, 9, 9}, {8, 8, 3, 3}, {{"pads", Ints{0, 1, 2, 3}}, {"strides", Ints{2, 1}}}, true),
      conv_case("dilated", {1, 16, 12, 12}, {16, 16, 3, 3}, {{"dilations", Ints{2, 3}}, {"pads", Ints{2, 3, 2, 3}}}, true),
      conv_case("grouped", {2, 12, 7, 7}, {8, 3, 3, 3}, {{"group", std::int64_t{4}}, {"pads", Ints{1, 1, 1, 1}}}, true),
      conv_case("grouped blocks", {2, 32, 7, 7}, {64, 16, 3, 3}, {{"group", std::int64_t{2}}}, false),
      conv_case("depthwise", {2, 24, 11, 11}, {24, 1, 3, 3}, {{"group", std::int64_t{24}}, {"pads", Ints{1, 1, 1, 1}}}, true),
      conv_case("depthwise odd", {1, 13, 8, 8}, {13, 1, 3, 3}, {{"group", std::int64_t{13}}, {"strides", Ints{2, 2}}}, true),
      conv_case("same upper", {1, 6, 10, 9}, {8, 6, 3, 4}, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}}, true),
      conv_case("same lower", {1, 6, 10, 9}, {8, 6, 4, 4}, {{"auto_pad", std::string("SAME_LOWER")}}, true),
      conv_case("valid", {1, 6, 10, 9}, {8, 6, 3, 3}, {{"auto_pad", std::string("VALID")}}, true),
      conv_case("one axis", {2, 4, 20}, {6, 4, 5}, {{"pads", Ints{2, 1}}, {"strides", Ints{3}}}, true),
      conv_case("three axes", {1, 4, 5, 6, 7}, {8, 4, 3, 3, 3}, {{"pads", Ints{1, 1, 1, 1, 1, 1}}}, true),
  });
}

TEST(RuntimeOperators, ConvTranspose) {
  const auto of = [](const std::string& what, const Shape& x, const Shape& w, Attributes attributes, bool bias) {
    return conv_case(what, x, w, std::move(attributes), bias, "ConvTranspose");
  };
  check_all({
      of("doubling", {2, 16, 5, 5}, {16, 8, 2, 2}, {{"strides", Ints{2, 2}}}, true),
      of("doubling blocks", {2, 32, 5, 6}, {32, 16, 2, 2}, {{"strides", Ints{2, 2}}}, true),
      of("two by three", {1, 16, 4, 5}, {16, 32, 2, 3}, {{"strides", Ints{2, 3}}}, false),
      of("cut at the end", {1, 16, 4, 5}, {16, 16, 2, 2}, {{"strides", Ints{2, 2}}, {"pads", Ints{0, 0, 1, 1}}}, false),
      of("padding", {1, 5, 6, 7}, {5, 7, 3, 3}, {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}, false),
      of("output padding", {1, 4, 6, 6}, {4, 6, 3, 3},
         {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"output_padding", Ints{1, 1}}}, true),
      of("grouped", {2, 8, 4, 4}, {8, 3, 3, 3}, {{"group", std::int64_t{2}}, {"strides", Ints{2, 1}}}, true),
      of("dilated", {1, 4, 5, 5}, {4, 4, 3, 3}, {{"dilations", Ints{2, 2}}}, true),
  });
}

TEST(RuntimeOperators, Pools) {
  std::vector<Case> cases;
  const auto add = [&](const std::string& op, const Shape& x, Attributes attributes) {
    cases.push_back({.what = op + " " + to_string(x) + " " + std::to_string(cases.size()),
                     .inputs = {x},
                     .nodes = {node(op, {"x"}, "y", std::move(attributes))}});
  };
  for (const char* op : {"MaxPool", "AveragePool"}) {
    add(op, {2, 16, 8, 8}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
    add(op, {2, 5, 9, 8}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
    add(op, {1, 3, 9, 8}, {{"kernel_shape", Ints{3, 2}}, {"strides", Ints{2, 3}}, {"pads", Ints{0, 1, 1, 0}}});
    add(op, {1, 3, 10, 7}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", std::int64_t{1}}});
    add(op, {1, 3, 10, 7}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}});
    add(op, {2, 4, 11}, {{"kernel_shape", Ints{3}}, {"strides", Ints{2}}});
    add(op, {1, 2, 5, 6, 7}, {{"kernel_shape", Ints{2, 2, 2}}, {"strides", Ints{2, 2, 2}}});
  }
  add("MaxPool", {1, 3, 12, 12}, {{"kernel_shape", Ints{3, 3}}, {"dilations", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
  for (const Shape& x : {Shape{2, 5, 10, 7}, Shape{1, 16, 8, 8}, Shape{1, 3, 10}}) {
    for (std::int64_t ceil : {0, 1}) {
      const std::size_t spatial = x.size() - 2;
      add("AveragePool", x,
          {{"kernel_shape", Ints(spatial, 3)},
           {"strides", Ints(spatial, 2)},
           {"pads", Ints(2 * spatial, 1)},
           {"ceil_mode", ceil},
           {"count_include_pad", std::int64_t{1}}});
    }
  }
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"})
    for (const Shape& x : {Shape{2, 16, 7, 7}, Shape{1, 5, 4, 9}, Shape{2, 3, 6}, Shape{1, 4, 3, 4, 5}}) add(op, x, {});
  check_all(cases);
}

TEST(RuntimeOperators, BatchNormalization) {
  Random random(9);
  for (const Shape& x : {Shape{2, 16, 5, 5}, Shape{3, 5, 4, 6}, Shape{2, 7, 9}, Shape{4, 10}}) {
    Case c{.what = to_string(x), .inputs = {x}};
    for (const char* name : {"scale", "shift", "mean"}) c.constants[name] = random_tensor(random, {x[1]});
    c.constants["variance"] = random_tensor(random, {x[1]}, 0.1, 2);
    c.nodes = {node("BatchNormalization", {"x", "scale", "shift", "mean", "variance"}, "y", {{"epsilon", 1e-3F}})};
    check(c);
    c.what += " with Relu";
    c.nodes[0].outputs[0] = "n";
    c.nodes.push_back(node("Relu", {"n"}, "y"));
    check(c);
  }
}

}  // namespace
}  // namespace sightline::runtime
