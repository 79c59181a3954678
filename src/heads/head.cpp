#include "heads/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "heads/blas.h"
#include "modules/imported.h"

namespace sightline::heads {
namespace {

// x N×D · weightᵀ + bias: N×M.
Tensor affine(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const std::int64_t n = x.dim(0), d = x.dim(1), m = weight.dim(0);
  assert(weight.dim(1) == d && bias.count() == m);
  Tensor result(Dtype::f32, {n, m});
  const auto out = result.values<float>();
  for (std::int64_t i = 0; i < n; ++i) std::ranges::copy(bias.values<float>(), out.begin() + i * m);
  if (n == 0) return result;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(n), static_cast<int>(m), static_cast<int>(d), 1.0F,
              x.values<float>().data(), static_cast<int>(d), weight.values<float>().data(), static_cast<int>(d), 1.0F, out.data(),
              static_cast<int>(m));
  return result;
}

// K×columns → K×D, zeros elsewhere, all divided by the temperature.
Tensor spread(const Tensor& weight, std::span<const std::int64_t> columns, std::int64_t features, double temperature) {
  Tensor result = Tensor::zeros(Dtype::f32, {weight.dim(0), columns.empty() ? weight.dim(1) : features});
  for (std::int64_t k = 0; k < weight.dim(0); ++k) {
    for (std::int64_t j = 0; j < weight.dim(1); ++j) {
      const std::int64_t column = columns.empty() ? j : columns[static_cast<std::size_t>(j)];
      result.values<float>()[static_cast<std::size_t>(k * result.dim(1) + column)] =
          static_cast<float>(weight.values<float>()[static_cast<std::size_t>(k * weight.dim(1) + j)] / temperature);
    }
  }
  return result;
}

graph::Node node_of(const std::string& op_type, std::vector<std::string> inputs, const std::string& output,
                    std::map<std::string, graph::Attribute> attributes = {}) {
  return {output, op_type, std::move(inputs), {output}, std::move(attributes), ""};
}

// The part of the graph that computes `values`, which become its outputs.
Result<graph::Graph> cut_at(const graph::Graph& backbone, const std::vector<std::string>& values) {
  SIGHTLINE_TRY(const auto shapes, graph::infer_shapes(backbone));
  graph::Graph graph = backbone;
  graph.outputs.clear();
  for (const std::string& value : values) {
    const auto found = shapes.find(value);
    if (found == shapes.end())
      return Error{ErrorKind::not_found, fmt::format("the backbone has no value \"{}\" for a head to read", value)};
    if (found->second.shape.size() != 2 || found->second.dtype != Dtype::f32)
      return Error{ErrorKind::invalid_data, fmt::format("\"{}\" is {} {}; a head reads f32 N×D", value, name_of(found->second.dtype),
                                                        to_string(found->second.shape))};
    graph.outputs.push_back({value, Dtype::f32, found->second.shape, {}});
  }
  return graph::serving_graph(graph);
}

}  // namespace

Tensor columns_of(const Tensor& features, std::span<const std::int64_t> columns) {
  const auto n = static_cast<std::size_t>(features.dim(0)), d = static_cast<std::size_t>(features.dim(1));
  Tensor result(Dtype::f32, {features.dim(0), static_cast<std::int64_t>(columns.size())});
  const auto from = features.values<float>();
  const auto to = result.values<float>();
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < columns.size(); ++j) to[i * columns.size() + j] = from[i * d + static_cast<std::size_t>(columns[j])];
  return result;
}

Tensor hidden_of(const Projection& projection, const Tensor& features) {
  Tensor hidden = affine(features, projection.weight, projection.bias);
  const bool relu = projection.activation == Activation::relu;
  for (float& value : hidden.values<float>()) value = relu ? std::max(value, 0.0F) : std::cos(value);
  return hidden;
}

Tensor scores_of(const Head& head, const Tensor& features) {
  assert(features.dim(1) == head.features);
  const BlasThreads threads(1);
  Tensor x = head.columns.empty() ? features : columns_of(features, head.columns);
  if (head.projection.weight.defined()) x = hidden_of(head.projection, x);
  return affine(x, head.linear.weight, head.linear.bias);
}

Tensor probabilities_of(const Tensor& scores, double temperature) {
  Tensor result(Dtype::f32, scores.shape());
  const auto k = static_cast<std::size_t>(scores.dim(1));
  const auto from = scores.values<float>();
  const auto to = result.values<float>();
  for (std::size_t i = 0; i < from.size(); i += k) {
    const double most = *std::max_element(from.begin() + static_cast<std::ptrdiff_t>(i), from.begin() + static_cast<std::ptrdiff_t>(i + k));
    double sum = 0;
    for (std::size_t c = 0; c < k; ++c) sum += std::exp((from[i + c] - most) / temperature);
    for (std::size_t c = 0; c < k; ++c) to[i + c] = static_cast<float>(std::exp((from[i + c] - most) / temperature) / sum);
  }
  return result;
}

Result<graph::Graph> append_head(const graph::Graph& backbone, const std::string& features_value, const Head& head) {
  SIGHTLINE_TRY(graph::Graph graph, cut_at(backbone, {features_value}));
  const std::int64_t width = graph.outputs[0].shape[1];
  const bool projects = head.projection.weight.defined();
  if (width != head.features || !head.linear.weight.defined() || !(head.temperature > 0))
    return Error{ErrorKind::invalid_data,
                 fmt::format("a head for {} features does not fit \"{}\", which has {}", head.features, features_value, width)};
  std::string value = features_value;
  if (!projects) {
    graph.initializers[modules::head_weight] = spread(head.linear.weight, head.columns, width, head.temperature);
  } else {
    Tensor projection = head.projection.weight;
    if (2 * static_cast<std::int64_t>(head.columns.size()) >= width) {
      projection = spread(projection, head.columns, width, 1);
    } else if (!head.columns.empty()) {
      graph.initializers["head.columns"] = Tensor::of({static_cast<std::int64_t>(head.columns.size())}, head.columns);
      graph.nodes.push_back(node_of("Gather", {value, "head.columns"}, "head.kept", {{"axis", std::int64_t{1}}}));
      value = "head.kept";
    }
    graph.initializers["head.projection"] = projection;
    graph.initializers["head.offset"] = head.projection.bias;
    graph.nodes.push_back(node_of("Gemm", {value, "head.projection", "head.offset"}, "head.projected", {{"transB", std::int64_t{1}}}));
    graph.nodes.push_back(node_of(head.projection.activation == Activation::relu ? "Relu" : "Cos", {"head.projected"}, "head.hidden"));
    value = "head.hidden";
    graph.initializers[modules::head_weight] = spread(head.linear.weight, {}, head.linear.weight.dim(1), head.temperature);
  }
  Tensor bias = head.linear.bias.copy();
  for (float& each : bias.values<float>()) each = static_cast<float>(each / head.temperature);
  graph.initializers[modules::head_bias] = std::move(bias);
  graph.nodes.push_back(node_of("Gemm", {value, modules::head_weight, modules::head_bias}, "logits", {{"transB", std::int64_t{1}}}));
  graph.nodes.push_back(node_of("Softmax", {"logits"}, "probabilities", {{"axis", std::int64_t{1}}}));
  graph.outputs = {{"probabilities", Dtype::f32, {-1, head.classes()}, {}}};
  graph.training_outputs = {"logits"};
  graph.metadata["sightline_temperature"] = fmt::format("{}", head.temperature);
  SIGHTLINE_CHECK(graph::check(graph));
  SIGHTLINE_TRY(const auto shapes, graph::infer_shapes(graph));
  return graph;
}

Result<graph::Graph> head_graph(const Head& head, const std::string& features_value) {
  graph::Graph features;
  features.name = "head";
  features.inputs = {{features_value, Dtype::f32, {-1, head.features}, {}}};
  return append_head(features, features_value, head);
}

Result<Concatenated> concatenate(std::span<const Tensor> cuts) {
  Concatenated result;
  std::int64_t width = 0;
  for (const Tensor& cut : cuts) {
    if (cut.rank() != 2 || cut.dtype() != Dtype::f32 || cut.dim(0) != cuts[0].dim(0))
      return Error{ErrorKind::invalid_data, fmt::format("cuts to be joined want to be f32 {}×D each, but one is {} {}", cuts[0].dim(0),
                                                        name_of(cut.dtype()), to_string(cut.shape()))};
    result.widths.push_back(cut.dim(1));
    width += cut.dim(1);
  }
  if (cuts.empty()) return Error{ErrorKind::invalid_data, "no cuts to join"};
  result.features = Tensor(Dtype::f32, {cuts[0].dim(0), width});
  std::int64_t begin = 0;
  for (const Tensor& cut : cuts) {
    for (std::int64_t i = 0; i < cut.dim(0); ++i)
      std::copy_n(cut.values<float>().begin() + i * cut.dim(1), cut.dim(1), result.features.values<float>().begin() + i * width + begin);
    begin += cut.dim(1);
  }
  return result;
}

Result<graph::Graph> append_concatenation(const graph::Graph& backbone, const std::vector<std::string>& values, const std::string& name) {
  SIGHTLINE_TRY(graph::Graph graph, cut_at(backbone, values));
  std::int64_t width = 0;
  for (const graph::ValueInfo& value : graph.outputs) width += value.shape[1];
  graph.nodes.push_back(node_of("Concat", values, name, {{"axis", std::int64_t{1}}}));
  graph.outputs = {{name, Dtype::f32, {-1, width}, {}}};
  SIGHTLINE_CHECK(graph::check(graph));
  return graph;
}

}  // namespace sightline::heads
