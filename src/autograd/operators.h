// The operator table of the training engine: one row per ONNX operator, each a function that looks at a node once and gives back a
// closure that runs it. Internal to autograd/.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace sightline::autograd {

// What a running closure sees. Slots hold values; an empty tensor is one that was left out or is released.
struct Frame {
  std::vector<torch::Tensor>& slots;
  bool training = false;
  at::Generator* dropout_generator = nullptr;
};
using Kernel = std::function<void(Frame&)>;

// Integers of an input (shapes, axes, places): known when the graph is compiled, or computed when it runs, as exporters write it before a
// Reshape.
class Integers {
 public:
  Integers() = default;
  explicit Integers(std::vector<std::int64_t> fixed) : fixed_(std::move(fixed)) {}
  explicit Integers(int slot) : slot_(slot) {}
  bool given() const { return fixed_.has_value() || slot_ >= 0; }
  std::vector<std::int64_t> operator()(const Frame& frame) const;  // empty when it is not given

 private:
  std::optional<std::vector<std::int64_t>> fixed_;
  int slot_ = -1;
};

// A node at its place in the graph, while it is compiled.
struct Site {
  const graph::Node& node;
  const graph::Graph& graph;
  std::vector<int> inputs;   // slots; -1: left out
  std::vector<int> outputs;  // slots; -1: nobody reads it
  // Per input: nobody else reads it, it is fresh memory, its producer does not need it for the backward pass, and it has the shape and
  // dtype of the first output. The closure may write its result there.
  std::vector<bool> overwritable;
  double batch_norm_momentum = 0.1;
  bool bf16 = false;                                                // of convolutions (executor.h)
  bool frozen = false;                                              // a normalisation that keeps its running statistics, and uses them
  const std::map<std::string, graph::ValueInfo>* values = nullptr;  // shapes, the batch free

  int in(std::size_t i) const { return i < inputs.size() ? inputs[i] : -1; }
  int out() const { return outputs.empty() ? -1 : outputs[0]; }
  bool may_overwrite(std::size_t i) const { return i < overwritable.size() && overwritable[i]; }
  // The initializer behind input i; nullptr when it is computed or left out.
  const Tensor* constant(std::size_t i) const;
  // Integers of a constant input (i64 or i32), for shapes, axes and pads. Error unsupported when they are computed.
  Result<std::vector<std::int64_t>> integers(std::size_t i, const char* what) const;
  // The same, or computed when the graph runs; the attribute of older opsets when there is no such input (nullptr: there was none).
  Result<Integers> integers_when_run(std::size_t i, const char* what, const char* attribute) const;
  // axes as input i, or as the attribute of older opsets; nothing when neither is there.
  Result<std::optional<std::vector<std::int64_t>>> axes(std::size_t i) const;
  Result<std::optional<double>> scalar(std::size_t i, const char* what) const;
  Error unsupported(const std::string& what) const;
  Error invalid(const std::string& what) const;
};

using Compile = Result<Kernel> (*)(const Site& site);
struct Operator {
  const char* name;
  int least_inputs;
  Compile compile;
  bool fresh = false;     // its output is new memory that its backward pass does not read: the next node may write over it
  bool internal = false;  // no operator of ONNX: fuse.h makes it
};

const Operator* find_operator(const std::string& name);
std::span<const Operator> operators();

// operators_elementwise.cpp
Result<Kernel> compile_function(const Site& site);  // of one tensor
Result<Kernel> compile_binary(const Site& site);    // arithmetic and comparisons, broadcast
Result<Kernel> compile_fold(const Site& site);      // Max, Min, Sum, Mean of any number of tensors
Result<Kernel> compile_add(const Site& site);
Result<Kernel> compile_relu(const Site& site);
Result<Kernel> compile_clip(const Site& site);
Result<Kernel> compile_gelu(const Site& site);
Result<Kernel> compile_where(const Site& site);
// operators_products.cpp
Result<Kernel> compile_gemm(const Site& site);
Result<Kernel> compile_matmul(const Site& site);
Result<Kernel> compile_einsum(const Site& site);
// operators_reduction.cpp
Result<Kernel> compile_reduction(const Site& site);
Result<Kernel> compile_softmax(const Site& site);
Result<Kernel> compile_global_pool(const Site& site);
// operators_convolution.cpp
Result<Kernel> compile_conv(const Site& site);
Result<Kernel> compile_conv_transpose(const Site& site);
// operators_pooling.cpp
Result<Kernel> compile_max_pool(const Site& site);
Result<Kernel> compile_average_pool(const Site& site);
// operators_normalisation.cpp
Result<Kernel> compile_batch_normalization(const Site& site);
Result<Kernel> compile_fused_norm(const Site& site);
Result<Kernel> compile_dropout(const Site& site);
Result<Kernel> compile_instance_normalization(const Site& site);
Result<Kernel> compile_layer_normalization(const Site& site);
Result<Kernel> compile_lp_normalization(const Site& site);
Result<Kernel> compile_local_response_normalization(const Site& site);
Result<Kernel> compile_mean_variance_normalization(const Site& site);
// operators_ranking.cpp
Result<Kernel> compile_non_max_suppression(const Site& site);
// operators_recurrent.cpp
Result<Kernel> compile_recurrent(const Site& site);
// operators_resize.cpp
Result<Kernel> compile_resize(const Site& site);
// operators_shape.cpp
Result<Kernel> compile_flatten(const Site& site);
Result<Kernel> compile_reshape(const Site& site);
Result<Kernel> compile_transpose(const Site& site);
Result<Kernel> compile_concat(const Site& site);
Result<Kernel> compile_pad(const Site& site);
Result<Kernel> compile_squeeze(const Site& site);
Result<Kernel> compile_unsqueeze(const Site& site);
Result<Kernel> compile_cast(const Site& site);
Result<Kernel> compile_depth_to_space(const Site& site);
Result<Kernel> compile_space_to_depth(const Site& site);
// operators_pieces.cpp
Result<Kernel> compile_slice(const Site& site);
Result<Kernel> compile_split(const Site& site);
Result<Kernel> compile_gather(const Site& site);
Result<Kernel> compile_gather_elements(const Site& site);
Result<Kernel> compile_expand(const Site& site);
Result<Kernel> compile_tile(const Site& site);
Result<Kernel> compile_shape(const Site& site);
Result<Kernel> compile_size(const Site& site);
Result<Kernel> compile_constant_of_shape(const Site& site);
Result<Kernel> compile_range(const Site& site);

// Windows that slide over the spatial axes, as ONNX describes them (Conv, pools).
struct Window {
  std::vector<std::int64_t> kernel, stride, dilation, begin, end;  // begin, end: pads
  enum class Auto { none, same_upper, same_lower, valid } automatic = Auto::none;

  bool symmetric() const { return begin == end; }
  // Pads for these spatial sizes (fixed ones, or those of SAME_UPPER and SAME_LOWER).
  void resolve(torch::IntArrayRef sizes, std::vector<std::int64_t>& out_begin, std::vector<std::int64_t>& out_end) const;
};
Result<Window> read_window(const Site& site, std::vector<std::int64_t> kernel);

// begin and end per axis, from the first padded axis on → LibTorch's order (last axis first).
std::vector<std::int64_t> torch_pads(const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& end);

}  // namespace sightline::autograd
