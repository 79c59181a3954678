// The table of operators: what shape inference, the checker and the cost model know of each, one row per operator; and the small
// readings of attributes that both engines need (windows with auto_pad resolved, axes, clip ranges), so that they agree.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace sightline::graph {

// Looks up the elements of values: initializers, and what shape inference worked out on the way.
class Constants {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): whoever has only the graph passes the graph
  Constants(const Graph& graph, const std::map<std::string, ValueInfo>* values = nullptr) : graph_(&graph), values_(values) {}
  // nullptr when they are not known, or not all of them.
  const Tensor* find(const std::string& value) const;
  // The same, but sizes that are still free may be in it as kFreeSize.
  const Tensor* find_sizes(const std::string& value) const;

 private:
  const Graph* graph_;
  const std::map<std::string, ValueInfo>* values_;
};

// One application of an operator. inputs[i] is nullptr for an optional input that is left out (or was not given).
struct Call {
  const Graph& graph;
  const Node& node;
  std::vector<const ValueInfo*> inputs;

  Constants constants;

  const ValueInfo* input(std::size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  // The known elements of input i, or nullptr.
  const Tensor* constant(std::size_t i) const;
  // The same, with kFreeSize for what is free.
  const Tensor* sizes(std::size_t i) const;
};

struct Typed {
  Dtype dtype = Dtype::f32;
  Shape shape;
};

struct Operator {
  const char* op_type;
  int least_inputs;
  int most_inputs;  // -1: any number
  // "name=kind" separated by spaces; kinds: i integer, f real, s text, t tensor; I, F, S lists of them.
  const char* attributes;
  // Dtype and shape of every output. Required inputs are there.
  Result<std::vector<Typed>> (*infer)(const Call& call);
  // Multiplications and additions, each counted as one.
  double (*flops)(const Call& call, const Shape& output);
  // The inputs whose elements must be known when the graph is planned, one bit each.
  unsigned bound = 0;
};

std::span<const Operator> operators();            // sorted by name
const Operator* find_operator(const Node& node);  // nullptr: not in the table, or of another domain
std::string describe(const Node& node);           // `node "conv_3" (Conv)`
Error fault(const Node& node, std::string what);  // invalid_data that names the node

// The initializer `value`, or nullptr.
const Tensor* find_constant(const Graph& graph, const std::string& value);
// Elements of an i64 or i32 tensor.
std::optional<std::vector<std::int64_t>> integers_of(const Tensor& tensor);
std::optional<std::vector<double>> reals_of(const Tensor& tensor);  // of any dtype but f16 and bf16
// First element of an f32, f64, i32 or i64 tensor.
std::optional<double> scalar_of(const Tensor& tensor);

// --- readings that the engines share ---

// A sliding window over the spatial axes, everything resolved (auto_pad, defaults).
struct Window {
  std::vector<std::int64_t> kernel, strides, dilations, pads_begin, pads_end;
  std::vector<std::int64_t> output;  // spatial output sizes, ceil_mode honoured; -1 where the input is free
};
// For Conv, MaxPool, AveragePool: `input` N×C×spatial, `kernel` spatial.
Result<Window> window_of(const Node& node, const Shape& input, const std::vector<std::int64_t>& kernel);
// For ConvTranspose; pads are those that are cut off the full result, `output` honours output_padding and output_shape.
Result<Window> transposed_window_of(const Node& node, const Shape& input, const std::vector<std::int64_t>& kernel);

// The axes of Squeeze, Unsqueeze and the reductions, from the attribute or the constant input 1, made non-negative for `rank` and
// sorted; nullopt when they are not given.
Result<std::optional<std::vector<std::int64_t>>> axes_of(const Constants& constants, const Node& node, std::size_t rank);
// An axis in [0, rank), or an error.
Result<std::int64_t> axis_of(const Node& node, std::int64_t axis, std::size_t rank);
// Least and greatest value of Clip, from attributes or constant inputs; infinite where not given.
Result<std::pair<float, float>> clip_range(const Constants& constants, const Node& node);
// begin and end of each axis for Pad, from the attribute or the constant input.
Result<std::vector<std::int64_t>> pads_of(const Constants& constants, const Node& node, std::size_t rank);

// Slice, for each axis of the input: element i of the output is element start + i · step of the input.
struct Cut {
  std::int64_t start = 0, step = 1, count = 0;  // count -1: all of a free axis
};
Result<std::vector<Cut>> cuts_of(const Constants& constants, std::int64_t opset, const Node& node, const Shape& input);
// The lengths of Split's outputs along its axis.
Result<std::vector<std::int64_t>> parts_of(const Constants& constants, std::int64_t opset, const Node& node, const Shape& input);
// How Resize and Upsample stretch each axis, attributes and inputs of all opsets resolved.
struct Stretch {
  std::vector<double> scale, roi_begin, roi_end;
  Shape output;
};
Result<Stretch> stretch_of(const Constants& constants, std::int64_t opset, const Node& node, const Shape& input);
// Which elements of an axis each output position of Resize or Upsample reads, and with which shares; empty for a free axis, which passes
// as it is. Error unsupported: a mode that is not known.
struct Taps {
  std::size_t count = 1;           // for each position: 1 nearest, 2 linear, 4 cubic
  std::vector<std::int64_t> from;  // count for each position
  std::vector<float> share;
  std::vector<bool> outside;  // positions that take the extrapolation value
};
Result<std::vector<Taps>> resize_taps(const Constants& constants, std::int64_t opset, const Node& node, const Shape& from, const Shape& to);
// The axes of Einsum's operands and result as letters ("..." not among them), each letter's length.
struct Contraction {
  std::vector<std::string> operands;
  std::string result, summed;
  std::map<char, std::int64_t> length;
};
Result<Contraction> contraction_of(const Node& node, const std::vector<Shape>& inputs);

// ONNX's TensorProto.DataType numbers (the `to` of Cast).
std::int64_t onnx_dtype(Dtype dtype);
std::optional<Dtype> dtype_from_onnx(std::int64_t code);

// Elements of a shape, free dimensions counted as one; nullopt when a dimension is below -1, the count is above 2^40,
// or there are more than 32 dimensions.
std::optional<std::int64_t> known_count(const Shape& shape);

// Spells the operators of opset 6 as opset 7 does, in place (old_opsets.cpp).
Result<void> respell_opset_6(Graph& graph);

// The elements of the node's output when they follow from shapes and known elements, and are few; else nothing (fold.cpp).
std::optional<Tensor> folded_value(const Call& call, const Typed& output);

// --- the rules behind the rows (operator_table.cpp; shape_*.cpp) ---
namespace shape_rules {
using Inferred = Result<std::vector<Typed>>;
std::optional<Shape> broadcast_shape(const Shape& a, const Shape& b);  // nothing when they do not fit
Inferred lp_pool(const Call& call);
Inferred slice(const Call& call);
Inferred split(const Call& call);
Inferred expand(const Call& call);
Inferred tile(const Call& call);
Inferred gather_elements(const Call& call);
Inferred gather_nd(const Call& call);
Inferred scatter_elements(const Call& call);
Inferred scatter_nd(const Call& call);
Inferred depth_to_space(const Call& call);
Inferred space_to_depth(const Call& call);
Inferred shape(const Call& call);
Inferred size(const Call& call);
Inferred constant_of_shape(const Call& call);
Inferred range(const Call& call);
Inferred one_hot(const Call& call);
Inferred eye_like(const Call& call);
Inferred cumulative_sum(const Call& call);
Inferred triangle(const Call& call);
Inferred reverse_sequence(const Call& call);
Inferred arg(const Call& call);
Inferred top_k(const Call& call);
Inferred non_max_suppression(const Call& call);
Inferred recurrent(const Call& call);
Inferred einsum(const Call& call);
Inferred quantize(const Call& call);
Inferred dequantize(const Call& call);
Inferred layer_normalization(const Call& call);
Inferred instance_normalization(const Call& call);
Inferred conv(const Call& call);
Inferred conv_transpose(const Call& call);
Inferred batch_normalization(const Call& call);
Inferred pool(const Call& call);
Inferred global_pool(const Call& call);
Inferred gemm(const Call& call);
Inferred matmul(const Call& call);
Inferred resize(const Call& call);
Inferred flatten(const Call& call);
Inferred reshape(const Call& call);
Inferred transpose(const Call& call);
Inferred concat(const Call& call);
Inferred gather(const Call& call);
Inferred pad(const Call& call);
Inferred squeeze(const Call& call);
Inferred unsqueeze(const Call& call);
Inferred reduce(const Call& call);
}  // namespace shape_rules

}  // namespace sightline::graph
