// Operators, inputs and the shape that follows, worked out by hand from the ONNX specification.
#pragma once

#include "graph/graphs_for_test.h"
#include "graph/operators.h"

namespace sightline::graph {

using Integers = std::vector<std::int64_t>;
inline constexpr std::int64_t kFree = -1;

inline Tensor integers(const Integers& values) { return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values); }

struct Case {
  const char* op_type;
  std::vector<Shape> inputs;
  std::map<std::string, Attribute> attributes;
  Shape output;
  std::map<std::string, Tensor> constants = {};
  Dtype dtype = Dtype::f32;
};

inline Tensor number(std::int64_t value) { return Tensor::of<std::int64_t>({}, {value}); }
inline Tensor truths(const Shape& shape) { return Tensor::zeros(Dtype::boolean, shape); }
inline Tensor bytes(const Shape& shape) { return Tensor::zeros(Dtype::u8, shape); }

// What cuts, repeats, picks and fills.
inline const std::vector<Case>& cases_of_pieces() {
  static const std::vector<Case> all{
      {"Slice",
       {{kFree, 10, 8}},
       {},
       {kFree, 3, 4},
       {{"a_starts", integers({1, -1})}, {"b_ends", integers({7, -100})}, {"c_axes", integers({1, 2})}, {"d_steps", integers({2, -2})}}},
      {"Slice", {{kFree, 10}}, {}, {kFree, 0}, {{"a_starts", integers({7})}, {"b_ends", integers({3})}, {"c_axes", integers({1})}}},
      {"Split", {{kFree, 6}}, {{"axis", std::int64_t{1}}}, {kFree, 6}},
      {"Expand", {{3, 1}}, {}, {2, 3, 6}, {{"s", integers({2, 1, 6})}}},
      {"Tile", {{3, 2}}, {}, {3, 8}, {{"s", integers({1, 4})}}},
      {"GatherElements", {{4, 5}}, {{"axis", std::int64_t{1}}}, {1, 3}, {{"i", Tensor::of<std::int64_t>({1, 3}, {0, 1, 2})}}},
      {"GatherND", {{4, 5, 6}}, {}, {2, 6}, {{"i", Tensor::of<std::int64_t>({2, 2}, {0, 1, 2, 3})}}},
      {"GatherND", {{2, 5, 6}}, {{"batch_dims", std::int64_t{1}}}, {2, 6}, {{"i", Tensor::of<std::int64_t>({2, 1}, {0, 1})}}},
      {"Scatter", {{4, 5}}, {}, {4, 5}, {{"i", Tensor::of<std::int64_t>({1, 2}, {0, 1})}, {"u", Tensor::filled({1, 2}, 1)}}},
      {"ScatterElements", {{4, 5}}, {}, {4, 5}, {{"i", Tensor::of<std::int64_t>({1, 2}, {0, 1})}, {"u", Tensor::filled({1, 2}, 1)}}},
      {"ScatterND", {{4, 5}}, {}, {4, 5}, {{"i", Tensor::of<std::int64_t>({2, 1}, {0, 1})}, {"u", Tensor::filled({2, 5}, 1)}}},
      {"DepthToSpace", {{kFree, 12, 3, 5}}, {{"blocksize", std::int64_t{2}}}, {kFree, 3, 6, 10}},
      {"SpaceToDepth", {{kFree, 3, 6, 10}}, {{"blocksize", std::int64_t{2}}}, {kFree, 12, 3, 5}},
      {"Shape", {{kFree, 3, 6}}, {}, {3}, {}, Dtype::i64},
      {"Shape", {{kFree, 3, 6}}, {{"start", std::int64_t{-2}}}, {2}, {}, Dtype::i64},
      {"Size", {{kFree, 3, 6}}, {}, {}, {}, Dtype::i64},
      {"ConstantOfShape", {}, {}, {3, 4}, {{"s", integers({3, 4})}}},
      {"Range", {}, {}, {4}, {{"a", number(10)}, {"b", number(3)}, {"c", number(-2)}}, Dtype::i64},
      {"OneHot", {{2, 3}}, {{"axis", std::int64_t{1}}}, {2, 7, 3}, {{"d", number(7)}, {"v", Tensor::filled({2}, 1)}}},
      {"EyeLike", {{3, 4}}, {}, {3, 4}},
      {"CumSum", {{3, 4}}, {}, {3, 4}, {{"axis", number(-1)}}},
      {"Trilu", {{2, 3, 4}}, {}, {2, 3, 4}},
      {"ReverseSequence", {{3, 2, 5}}, {}, {3, 2, 5}, {{"lengths", integers({1, 3})}}},
      {"TopK", {{kFree, 9}}, {}, {kFree, 3}, {{"k", integers({3})}}},
      // 2 images × 3 classes × at most 4 of 10 boxes.
      {"NonMaxSuppression", {{2, 10, 4}, {2, 3, 10}}, {}, {24, 3}, {{"m", number(4)}}, Dtype::i64},
      {"Upsample", {{kFree, 3, 4, 5}}, {{"scales", std::vector<float>{1, 1, 2, 1.5F}}}, {kFree, 3, 8, 7}},
  };
  return all;
}

// Functions, reductions and layers beyond those of a plain convolutional net (those are in shapes_test.cpp).
inline const std::vector<Case>& cases_of_functions() {
  static const std::vector<Case> all{
      {"Abs", {{kFree, 5}}, {}, {kFree, 5}},
      {"Acos", {{kFree, 5}}, {}, {kFree, 5}},
      {"Acosh", {{kFree, 5}}, {}, {kFree, 5}},
      {"Asin", {{kFree, 5}}, {}, {kFree, 5}},
      {"Asinh", {{kFree, 5}}, {}, {kFree, 5}},
      {"Atan", {{kFree, 5}}, {}, {kFree, 5}},
      {"Atanh", {{kFree, 5}}, {}, {kFree, 5}},
      {"Ceil", {{kFree, 5}}, {}, {kFree, 5}},
      {"Celu", {{kFree, 5}}, {}, {kFree, 5}},
      {"Cos", {{kFree, 5}}, {}, {kFree, 5}},
      {"Cosh", {{kFree, 5}}, {}, {kFree, 5}},
      {"Elu", {{kFree, 5}}, {}, {kFree, 5}},
      {"Erf", {{kFree, 5}}, {}, {kFree, 5}},
      {"Floor", {{kFree, 5}}, {}, {kFree, 5}},
      {"Gelu", {{kFree, 5}}, {}, {kFree, 5}},
      {"Log", {{kFree, 5}}, {}, {kFree, 5}},
      {"Mish", {{kFree, 5}}, {}, {kFree, 5}},
      {"Neg", {{kFree, 5}}, {}, {kFree, 5}},
      {"Reciprocal", {{kFree, 5}}, {}, {kFree, 5}},
      {"Round", {{kFree, 5}}, {}, {kFree, 5}},
      {"Selu", {{kFree, 5}}, {}, {kFree, 5}},
      {"Shrink", {{kFree, 5}}, {}, {kFree, 5}},
      {"Sign", {{kFree, 5}}, {}, {kFree, 5}},
      {"Sin", {{kFree, 5}}, {}, {kFree, 5}},
      {"Sinh", {{kFree, 5}}, {}, {kFree, 5}},
      {"Softplus", {{kFree, 5}}, {}, {kFree, 5}},
      {"Softsign", {{kFree, 5}}, {}, {kFree, 5}},
      {"Tan", {{kFree, 5}}, {}, {kFree, 5}},
      {"ThresholdedRelu", {{kFree, 5}}, {}, {kFree, 5}},
      {"Hardmax", {{kFree, 5}}, {}, {kFree, 5}},
      {"LpNormalization", {{kFree, 5}}, {}, {kFree, 5}},
      {"IsInf", {{kFree, 5}}, {}, {kFree, 5}, {}, Dtype::boolean},
      {"IsNaN", {{kFree, 5}}, {}, {kFree, 5}, {}, Dtype::boolean},
      {"Max", {{kFree, 1, 3}, {4, 1}, {3}}, {}, {kFree, 4, 3}},
      {"Min", {{kFree, 1, 3}, {4, 1}, {3}}, {}, {kFree, 4, 3}},
      {"Mean", {{kFree, 1, 3}, {4, 1}, {3}}, {}, {kFree, 4, 3}},
      {"Sum", {{kFree, 1, 3}, {4, 1}, {3}}, {}, {kFree, 4, 3}},
      {"Equal", {{kFree, 1}, {1, 6}}, {}, {kFree, 6}, {}, Dtype::boolean},
      {"Greater", {{kFree, 1}, {1, 6}}, {}, {kFree, 6}, {}, Dtype::boolean},
      {"GreaterOrEqual", {{kFree, 1}, {1, 6}}, {}, {kFree, 6}, {}, Dtype::boolean},
      {"Less", {{kFree, 1}, {1, 6}}, {}, {kFree, 6}, {}, Dtype::boolean},
      {"LessOrEqual", {{kFree, 1}, {1, 6}}, {}, {kFree, 6}, {}, Dtype::boolean},
      {"And", {}, {}, {2, 3}, {{"a", truths({2, 1})}, {"b", truths({3})}}, Dtype::boolean},
      {"Or", {}, {}, {2, 3}, {{"a", truths({2, 1})}, {"b", truths({3})}}, Dtype::boolean},
      {"Xor", {}, {}, {2, 3}, {{"a", truths({2, 1})}, {"b", truths({3})}}, Dtype::boolean},
      {"Not", {}, {}, {2, 1}, {{"a", truths({2, 1})}}, Dtype::boolean},
      {"Where", {}, {}, {2, 3}, {{"a", truths({2, 1})}, {"b", Tensor::filled({3}, 1)}, {"c", Tensor::filled({}, 1)}}},
      {"Mod", {{4, 1}, {3}}, {{"fmod", std::int64_t{1}}}, {4, 3}},
      {"BitShift", {}, {{"direction", "LEFT"}}, {2}, {{"a", bytes({2})}, {"b", bytes({})}}, Dtype::u8},
      {"ReduceL1", {{kFree, 4, 7}}, {{"keepdims", std::int64_t{0}}, {"axes", Integers{-1}}}, {kFree, 4}},
      {"ReduceL2", {{kFree, 4, 7}}, {{"keepdims", std::int64_t{0}}, {"axes", Integers{-1}}}, {kFree, 4}},
      {"ReduceLogSum", {{kFree, 4, 7}}, {{"keepdims", std::int64_t{0}}, {"axes", Integers{-1}}}, {kFree, 4}},
      {"ReduceLogSumExp", {{kFree, 4, 7}}, {{"keepdims", std::int64_t{0}}, {"axes", Integers{-1}}}, {kFree, 4}},
      {"ReduceMax", {{kFree, 4, 7}}, {{"keepdims", std::int64_t{0}}, {"axes", Integers{-1}}}, {kFree, 4}},
      {"ReduceMin", {{kFree, 4, 7}}, {{"keepdims", std::int64_t{0}}, {"axes", Integers{-1}}}, {kFree, 4}},
      {"ReduceProd", {{kFree, 4, 7}}, {{"keepdims", std::int64_t{0}}, {"axes", Integers{-1}}}, {kFree, 4}},
      {"ReduceSum", {{kFree, 4, 7}}, {{"keepdims", std::int64_t{0}}, {"axes", Integers{-1}}}, {kFree, 4}},
      {"ReduceSumSquare", {{kFree, 4, 7}}, {{"keepdims", std::int64_t{0}}, {"axes", Integers{-1}}}, {kFree, 4}},
      {"ArgMax", {{kFree, 4, 7}}, {{"axis", std::int64_t{1}}, {"keepdims", std::int64_t{0}}}, {kFree, 7}, {}, Dtype::i64},
      {"ArgMin", {{kFree, 4, 7}}, {{"axis", std::int64_t{1}}, {"keepdims", std::int64_t{0}}}, {kFree, 7}, {}, Dtype::i64},
      {"CastLike", {{kFree, 4}}, {}, {kFree, 4}, {{"like", integers({1})}}, Dtype::i64},
      {"LRN", {{kFree, 4, 5, 5}}, {{"size", std::int64_t{3}}}, {kFree, 4, 5, 5}},
      {"MeanVarianceNormalization", {{kFree, 4, 5, 5}}, {}, {kFree, 4, 5, 5}},
      {"InstanceNormalization", {{kFree, 4, 5, 5}, {4}, {4}}, {}, {kFree, 4, 5, 5}},
      {"LayerNormalization", {{kFree, 4, 5}, {5}, {5}}, {}, {kFree, 4, 5}},
      {"LpPool", {{1, 4, 7, 7}}, {{"kernel_shape", Integers{3, 3}}, {"strides", Integers{2, 2}}}, {1, 4, 3, 3}},
      {"GlobalLpPool", {{kFree, 4, 7, 9}}, {}, {kFree, 4, 1, 1}},
      // Sequence × batch × input, 4 · 6 gates by 3 inputs: hidden states of 6.
      {"LSTM", {{9, 2, 3}, {1, 24, 3}, {1, 24, 6}}, {{"hidden_size", std::int64_t{6}}}, {9, 1, 2, 6}},
      {"LSTM", {{2, 9, 3}, {2, 24, 3}, {2, 24, 6}}, {{"direction", "bidirectional"}, {"layout", std::int64_t{1}}}, {2, 9, 2, 6}},
      {"GRU", {{9, 2, 3}, {1, 18, 3}, {1, 18, 6}}, {}, {9, 1, 2, 6}},
      {"RNN", {{9, 2, 3}, {1, 6, 3}, {1, 6, 6}}, {}, {9, 1, 2, 6}},
      {"QuantizeLinear", {{kFree, 4}, {}}, {}, {kFree, 4}, {{"zero", bytes({})}}, Dtype::u8},
      {"QuantizeLinear", {{kFree, 4}, {4}}, {}, {kFree, 4}, {}, Dtype::u8},
      {"DequantizeLinear", {}, {}, {3, 4}, {{"a", bytes({3, 4})}, {"scale", Tensor::filled({4}, 1)}}},
      {"Einsum", {{2, 3, 4}, {2, 4, 5}}, {{"equation", "bij, bjk -> bik"}}, {2, 3, 5}},
      {"Einsum", {{3, 4}, {4}}, {{"equation", "ij,j"}}, {3}},
  };
  return all;
}

}  // namespace sightline::graph
