// A graph with 8-bit integers in it, written the way every engine reads it: standard QuantizeLinear and DequantizeLinear (QDQ) around the
// operators of an f32 graph, opset 13 or later. No engine is needed here; ranges of values come from whoever ran the graph
// (runtime/quantizer.h).
//
//   x ─ Q ─ DQ ─ Conv ─ Relu ─ Q ─ DQ ─ …        weights: constant s8 ─ DQ (one scale for each output channel)
//                  └ weights s8 ─ DQ, bias i32 ─ DQ
//
// What is agreed with the runtime, and holds for every file written here:
//  - Layers are Conv, ConvTranspose, Gemm and MatMul with constant f32 weights. Their weights are s8, symmetric, with a scale for each
//  output
//    channel (axis 0 of DequantizeLinear; 1 for ConvTranspose and MatMul, whose weights have the output channel there); Gemm always
//    has transB, alpha and beta 1. Their bias is i32 with scale (input scale) · (weight scale of the channel).
//  - Values have one scale for the whole tensor and zero point 0: u8 where the graph shows that they are never negative (behind Relu,
//    Clip from 0, Sigmoid, pools of such, …), else s8.
//  - Q and DQ stand once behind each activation, gate or residual sum, for all readers; never between a layer and the functions of one
//    tensor, or the sum with a residual, that follow it. A residual is quantised where it comes from.
//  - What only moves or pools values (MaxPool, AveragePool, Concat, Reshape, …) has one common scale on inputs and outputs.
//  - What comes before the first layer (cast, layout, normalisation) and after the last (Softmax) stays f32.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace sightline::graph {

// Without what only training needs, BatchNormalization folded, Gemm as above, opset 13 at least: what the functions below take. Errors: as
// check and raise_opset.
Result<Graph> prepare_for_quantization(const Graph& graph);

struct QuantizedLayer {
  std::size_t node = 0;       // in prepared.nodes
  std::string name;           // its first output: names the layer
  std::string input;          // the value that it reads
  std::size_t axis = 0;       // of the output channels in the weights
  std::int64_t channels = 0;  // of the scales
};

struct QuantizedValue {
  std::string name;
  std::size_t group = 0;  // values of one group have the same scale and sign
  bool is_unsigned = false;
};

struct QuantizationPlan {
  std::vector<QuantizedLayer> layers;  // in the order of the nodes
  std::vector<QuantizedValue> values;  // likewise; they get a Q and a DQ
  std::size_t groups = 0;
};

// Layers named in `kept` stay f32, and with them the values that only they would have wanted. pairs_before_sums: a Q and a DQ also between
// a layer and a residual sum, as ONNX Runtime wants it (without, it computes such a layer in f32). Errors: as infer_shapes.
Result<QuantizationPlan> plan_quantization(const Graph& prepared, const std::set<std::string>& kept = {}, bool pairs_before_sums = false);

// The weights of a layer as s8 and their scales, one for each channel of `axis`: |w| / 127 of the largest. A channel's scale is raised
// where bias / (input_scale · scale) would not fit i32 otherwise.
struct QuantizedWeights {
  Tensor values;  // s8
  Tensor scales;  // f32, channels
};
QuantizedWeights quantize_weights(const Tensor& weights, std::size_t axis, const Tensor* bias, float input_scale);
Tensor dequantize(const Tensor& values, const Tensor& scales, std::size_t axis);

// Scale of a value whose magnitude is at most `greatest`.
float scale_for(float greatest, bool is_unsigned);

// The QDQ graph. `greatest` holds the magnitude to represent of each planned value; `shifts` numbers per channel that are taken off the
// bias of a layer (by name; a layer without bias gets one, but for MatMul). Error internal: a planned value has no range.
Result<Graph> write_qdq(const Graph& prepared, const QuantizationPlan& plan, const std::map<std::string, float>& greatest,
                        const std::map<std::string, std::vector<float>>& shifts = {});

}  // namespace sightline::graph
