// Any head that we fit, as one plain type: what it computes, and the ordinary ONNX nodes that compute the same.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "graph/graph.h"
#include "heads/linear.h"
#include "tensor/tensor.h"

namespace sightline {
namespace heads {

// The preferred first: what is behind the best by no more than noise wins by its place here (docs/heads.md has the figures for it).
enum class Kind { ridge, discriminant, logistic, nearest_mean, random_features };
enum class Activation { relu, cosine };

// A fixed layer in front of the linear head: activation(features · weightᵀ + bias).
struct Projection {
  Tensor weight;  // f32 M×D (D: of the kept columns)
  Tensor bias;    // f32 M
  Activation activation = Activation::relu;
};

struct Head {
  Kind kind = Kind::ridge;
  std::vector<std::int64_t> columns;  // of the features that it looks at, ascending; empty: all
  Projection projection;              // of random_features only; else undefined tensors
  LinearHead linear;                  // K×D, K×columns or K×M
  double temperature = 1;             // probabilities are softmax(scores / temperature)
  std::int64_t features = 0;          // D of what it is given

  std::int64_t classes() const { return linear.bias.count(); }
};

// What the fixed layer answers, f32 N×M, for features f32 N×D of its columns.
Tensor hidden_of(const Projection& projection, const Tensor& features);
// features f32 N×D → scores f32 N×K, before the temperature. On one thread.
Tensor scores_of(const Head& head, const Tensor& features);
// softmax(scores / temperature), f32 N×K.
Tensor probabilities_of(const Tensor& scores, double temperature);
inline Tensor probabilities_of(const Head& head, const Tensor& features) {
  return probabilities_of(scores_of(head, features), head.temperature);
}

// The graph up to `features_value` (f32 N×D) with this head behind it; whatever else hung on it goes. Training output "logits" =
// scores / temperature, serving output "probabilities". A head that is linear in the features becomes one Gemm and a Softmax, the
// temperature within the weights and columns that it does not look at as zeros, so that heads on one backbone are evaluated together
// (runtime/head_bank.h). One with a projection becomes Gather (where it looks at less than half of the columns), Gemm, Relu or Cos, Gemm,
// Softmax. Metadata "sightline_temperature" says what is within. Errors: not_found (no such value), invalid_data (sizes).
Result<graph::Graph> append_head(const graph::Graph& backbone, const std::string& features_value, const Head& head);

// The head alone, behind an input `features_value` f32 N×D.
Result<graph::Graph> head_graph(const Head& head, const std::string& features_value);

// Several cuts of one backbone as one feature matrix: f32 N×D1, N×D2, … → f32 N×ΣD. Pass the widths on to the fit, which gives each cut the
// same weight. Error invalid_data when they differ in N or are not matrices.
struct Concatenated {
  Tensor features;
  std::vector<std::int64_t> widths;
};
Result<Concatenated> concatenate(std::span<const Tensor> cuts);
// The same in a graph: a Concat of these values, called `name`. Error not_found.
Result<graph::Graph> append_concatenation(const graph::Graph& backbone, const std::vector<std::string>& values, const std::string& name);

// The chosen columns f32 N×columns.
Tensor columns_of(const Tensor& features, std::span<const std::int64_t> columns);

}  // namespace heads

template <>
struct EnumNames<heads::Kind> {
  static constexpr std::array names{"ridge", "discriminant", "logistic", "nearest_mean", "random_features"};
};
template <>
struct EnumNames<heads::Activation> {
  static constexpr std::array names{"relu", "cosine"};
};

}  // namespace sightline
