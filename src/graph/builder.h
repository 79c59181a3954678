// Appends nodes to a graph. Each call returns the name of the value that it made; the builder knows shapes, so that modules can be
// written without arithmetic, and initialises weights (convolutions Kaiming normal, fan out; linear layers normal with 1/√fan in; seeded)
// so that a graph can be trained at once.
#pragma once

#include <cstdint>
#include <string>

#include "base/random.h"
#include "graph/graph.h"

namespace sightline::graph {

struct ConvOptions {
  std::int64_t kernel = 3, stride = 1, groups = 1, dilation = 1;
  std::int64_t padding = -1;  // -1: (kernel - 1) / 2 * dilation on each side
  bool bias = false;
};

class Builder {
 public:
  explicit Builder(std::uint64_t seed);

  // u8 N×H×W×C in [0, 255] → f32 N×C×H×W, (x - mean) / deviation per channel (mean, deviation on the 0..255 scale).
  std::string image_input(std::int64_t height, std::int64_t width, std::int64_t channels, const std::vector<float>& mean,
                          const std::vector<float>& deviation);

  // Any other input; -1 for a size that stays free.
  std::string input(const std::string& name, Dtype dtype, const Shape& shape);

  std::string conv(const std::string& x, std::int64_t channels, const ConvOptions& options);
  std::string conv_transpose(const std::string& x, std::int64_t channels, std::int64_t kernel,
                             std::int64_t stride);  // with bias, no padding
  std::string batch_norm(const std::string& x, float scale = 1.0F);
  std::string relu(const std::string& x);
  std::string clip(const std::string& x, float least, float greatest);
  std::string prelu(const std::string& x, float slope);  // one learned slope per channel
  std::string sigmoid(const std::string& x);
  std::string silu(const std::string& x);  // x · sigmoid(x), as exporters write it: ONNX has no node for it
  std::string hard_swish(const std::string& x);
  std::string add(const std::string& a, const std::string& b);
  std::string mul(const std::string& a, const std::string& b);
  std::string max_pool(const std::string& x, std::int64_t kernel, std::int64_t stride, std::int64_t padding = 0);
  std::string average_pool(const std::string& x, std::int64_t kernel, std::int64_t stride);
  std::string global_average_pool(const std::string& x);  // N×C×H×W → N×C×1×1
  std::string flatten(const std::string& x);
  std::string concat(const std::vector<std::string>& parts, std::int64_t axis = 1);
  std::vector<std::string> split(const std::string& x, const std::vector<std::int64_t>& sizes, std::int64_t axis = 1);
  std::string channel_shuffle(const std::string& x, std::int64_t groups);   // Zhang et al. 2018; Reshape, Transpose, Reshape
  std::string upsample_nearest(const std::string& x, std::int64_t factor);  // of height and width
  std::string dropout(const std::string& x, float ratio);
  std::string linear(const std::string& x, std::int64_t features);                             // Gemm with bias, transB
  std::string scale(const std::string& x, float factor, const std::string& initializer_name);  // Mul by a named constant
  std::string softmax(const std::string& x, std::int64_t axis = -1);
  std::string hard_sigmoid(const std::string& x);

  // Any other operator; shapes are inferred.
  std::string node(const std::string& op_type, const std::vector<std::string>& inputs, std::map<std::string, Attribute> attributes = {});
  std::string constant(const std::string& hint, Tensor value);
  void rename(const std::string& value, const std::string& name);

  const Shape& shape_of(const std::string& value) const;
  // Declares the outputs, checks, and hands the graph over. A mistake in the calls before is an internal error here.
  Result<Graph> finish(const std::vector<std::string>& outputs, const std::vector<std::string>& training_outputs);

 private:
  std::string fresh(const std::string& hint);
  std::vector<std::string> append(const std::string& op_type, const std::vector<std::string>& inputs,
                                  std::map<std::string, Attribute> attributes, std::size_t outputs);
  void complain(std::string what);  // only the first mistake is kept: those after it are its echo

  Graph graph_;
  Random random_;
  std::map<std::string, ValueInfo> values_;
  std::map<std::string, int> counters_;
  std::string first_error_;
};

}  // namespace sightline::graph
