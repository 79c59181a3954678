#include "heads/attribute_heads.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "heads/appending.h"
#include "modules/imported.h"

namespace sightline::heads {
namespace {

// Labels that one node turns into probabilities: the values of one question, or questions of yes or no side by side.
struct Run {
  std::int64_t labels = 0;
  bool exclusive = false;
  std::vector<float> thresholds;
};

std::vector<Run> runs_of(std::span<const AttributeHead> heads) {
  std::vector<Run> runs;
  for (const AttributeHead& head : heads) {
    const std::int64_t labels = head.bias.count();
    if (labels > 1) {
      runs.push_back({labels, true, {}});
      continue;
    }
    if (runs.empty() || runs.back().exclusive) runs.push_back({});
    ++runs.back().labels;
    runs.back().thresholds.push_back(static_cast<float>(head.threshold));
  }
  return runs;
}

}  // namespace

AttributeHead attribute_head(const Head& head, bool yes_or_no) {
  assert(!head.projection.weight.defined() && head.columns.empty() && (!yes_or_no || head.classes() == 2));
  const std::int64_t classes = head.classes(), labels = yes_or_no ? 1 : classes, d = head.linear.weight.dim(1);
  AttributeHead result{.weight = Tensor(Dtype::f32, {labels, d}), .bias = Tensor(Dtype::f32, {labels})};
  const auto weight = head.linear.weight.values<float>(), bias = head.linear.bias.values<float>();
  const auto at = [&](std::int64_t k, std::int64_t j) { return weight[static_cast<std::size_t>(k * d + j)]; };
  for (std::int64_t k = 0; k < labels; ++k) {
    for (std::int64_t j = 0; j < d; ++j)
      result.weight.values<float>()[static_cast<std::size_t>(k * d + j)] =
          static_cast<float>((yes_or_no ? at(1, j) - at(0, j) : at(k, j)) / head.temperature);
    const auto row = static_cast<std::size_t>(k);
    result.bias.values<float>()[row] = static_cast<float>((yes_or_no ? bias[1] - bias[0] : bias[row]) / head.temperature);
  }
  return result;
}

Result<graph::Graph> attributes_graph(std::span<const AttributeHead> heads, const std::string& features_value) {
  if (heads.empty()) return Error{ErrorKind::invalid_data, "no heads of attributes"};
  const std::int64_t features = heads[0].weight.dim(1);
  std::int64_t labels = 0;
  for (const AttributeHead& head : heads) {
    if (head.weight.dim(1) != features || head.weight.dim(0) != head.bias.count())
      return Error{ErrorKind::invalid_data,
                   fmt::format("heads for {} and for {} features do not go together", features, head.weight.dim(1))};
    labels += head.bias.count();
  }
  Tensor weight(Dtype::f32, {labels, features}), bias(Dtype::f32, {labels});
  std::int64_t row = 0;
  for (const AttributeHead& head : heads) {
    std::ranges::copy(head.weight.bytes(), weight.rows(row, row + head.bias.count()).data());
    std::ranges::copy(head.bias.values<float>(), bias.values<float>().begin() + row);
    row += head.bias.count();
  }
  graph::Graph graph;
  graph.name = "attributes";
  graph.inputs = {{features_value, Dtype::f32, {-1, features}, {}}};
  graph.initializers[modules::head_weight] = std::move(weight);
  graph.initializers[modules::head_bias] = std::move(bias);
  Appender append(graph, "attributes");
  append.node("Gemm", {features_value, modules::head_weight, modules::head_bias}, {{"transB", std::int64_t{1}}}, "logits");

  const std::vector<Run> runs = runs_of(heads);
  std::vector<std::string> parts, probabilities, margins;
  if (runs.size() == 1) {
    parts = {"logits"};
  } else {
    std::vector<std::int64_t> sizes;
    for (const Run& run : runs) {
      sizes.push_back(run.labels);
      parts.push_back(fmt::format("attributes.part.{}", parts.size()));
    }
    const std::string lengths = append.constant("lengths", Tensor::of<std::int64_t>({std::ssize(sizes)}, sizes));
    graph.nodes.push_back({"attributes.split", "Split", {"logits", lengths}, parts, {{"axis", std::int64_t{1}}}, ""});
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::string probability =
        runs[i].exclusive ? append.node("Softmax", {parts[i]}, {{"axis", std::int64_t{1}}}) : append.node("Sigmoid", {parts[i]});
    const std::string least =
        runs[i].exclusive ? append.node("ReduceMax", {probability}, {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{1}}})
                          : append.constant(fmt::format("thresholds.{}", i), Tensor::of<float>({1, runs[i].labels}, runs[i].thresholds));
    probabilities.push_back(probability);
    margins.push_back(append.node("Sub", {probability, least}));
  }
  for (const auto& [values, name] : {std::pair{&probabilities, "probabilities"}, {&margins, "margins"}})
    append.node("Concat", *values, {{"axis", std::int64_t{1}}}, name);
  graph.outputs = {{"probabilities", Dtype::f32, {-1, labels}, {}}, {"margins", Dtype::f32, {-1, labels}, {}}};
  graph.training_outputs = {"logits"};
  SIGHTLINE_CHECK(graph::check(graph));
  SIGHTLINE_TRY(const auto shapes, graph::infer_shapes(graph));
  return graph;
}

}  // namespace sightline::heads
