#include "app/cli/onnx_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "graph/operators.h"

namespace sightline::cli {
namespace {

bool is_real(const Tensor& tensor) { return tensor.dtype() == Dtype::f32 || tensor.dtype() == Dtype::f64; }

// All reals are zero, so that digests tell the structure alone; integers stay, because shapes and axes are structure.
graph::Graph without_weights(const graph::Graph& graph) {
  graph::Graph bare = graph;
  for (auto& [name, tensor] : bare.initializers) {
    if (is_real(tensor)) tensor = Tensor::zeros(tensor.dtype(), tensor.shape());
  }
  return bare;
}

std::string type_of(const Tensor& tensor) { return fmt::format("{} {}", name_of(tensor.dtype()), to_string(tensor.shape())); }

std::string signature_of(const std::vector<graph::ValueInfo>& values) {
  std::string text;
  for (const graph::ValueInfo& each : values)
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", each.name, name_of(each.dtype), to_string(each.shape));
  return text;
}

double real_at(const Tensor& tensor, std::size_t i) {
  return tensor.dtype() == Dtype::f32 ? static_cast<double>(tensor.values<float>()[i]) : tensor.values<double>()[i];
}

void compare_values(const Tensor& left, const Tensor& right, WeightDifference& into) {
  if (!is_real(left)) {
    into.difference = into.relative = std::numeric_limits<double>::infinity();
    return;
  }
  double scale = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(left.count()); ++i) {
    const double a = real_at(left, i), b = real_at(right, i);
    if (std::isfinite(a)) scale = std::max(scale, std::abs(a));
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    into.difference =
        std::isfinite(a) && std::isfinite(b) ? std::max(into.difference, std::abs(a - b)) : std::numeric_limits<double>::infinity();
  }
  into.relative = scale > 0 ? into.difference / scale : into.difference > 0 ? std::numeric_limits<double>::infinity() : 0;
}

std::vector<WeightDifference> compare_weights(const graph::Graph& left, const graph::Graph& right) {
  using Kind = WeightDifference::Kind;
  std::vector<WeightDifference> found;
  for (const auto& [name, tensor] : left.initializers) {
    const Tensor* other = graph::find_constant(right, name);
    if (other == nullptr) {
      found.push_back({.name = name, .kind = Kind::only_left, .left = type_of(tensor)});
    } else if (tensor.dtype() != other->dtype() || tensor.shape() != other->shape()) {
      found.push_back({.name = name, .kind = Kind::shape, .left = type_of(tensor), .right = type_of(*other)});
    } else if (!tensor.same_as(*other)) {
      WeightDifference difference{.name = name, .left = type_of(tensor), .right = type_of(*other)};
      compare_values(tensor, *other, difference);
      found.push_back(difference);
    }
  }
  for (const auto& [name, tensor] : right.initializers) {
    if (!left.initializers.contains(name)) found.push_back({.name = name, .kind = Kind::only_right, .right = type_of(tensor)});
  }
  std::ranges::stable_sort(found, [](const WeightDifference& a, const WeightDifference& b) { return a.relative > b.relative; });
  return found;
}

// Nodes of `graph` whose digest is not among `others`: those where the difference begins are told, the rest counted.
void find_parting(const graph::Graph& graph, const std::map<std::string, Digest>& digests, const std::set<Digest>& others,
                  std::vector<std::string>& begin, std::size_t& following) {
  const auto known = [&](const std::string& value) {
    const auto found = digests.find(value);
    return value.empty() || found == digests.end() || others.contains(found->second);
  };
  std::set<std::string> made;
  for (const graph::Node& node : graph.nodes) made.insert(node.outputs.begin(), node.outputs.end());
  for (const graph::Node& node : graph.nodes) {
    if (std::ranges::all_of(node.outputs, known)) continue;
    // Constants and inputs of another shape are named by the node that reads them.
    const bool begins = std::ranges::all_of(node.inputs, [&](const std::string& input) { return known(input) || !made.contains(input); });
    if (begins) {
      begin.push_back(graph::describe(node));
    } else {
      ++following;
    }
  }
}

std::set<Digest> values_of(const std::map<std::string, Digest>& digests) {
  std::set<Digest> all;
  for (const auto& [name, digest] : digests) all.insert(digest);
  return all;
}

}  // namespace

GraphDifference difference_of(const graph::Graph& left, const graph::Graph& right) {
  GraphDifference difference;
  difference.same = graph::digest_of(left) == graph::digest_of(right);
  const auto note = [&](const char* what, const std::string& a, const std::string& b) {
    if (a != b) difference.notes.push_back(fmt::format("{}: {} — {}", what, a, b));
  };
  note("opset", std::to_string(left.opset), std::to_string(right.opset));
  note("inputs", signature_of(left.inputs), signature_of(right.inputs));
  note("outputs", signature_of(left.outputs), signature_of(right.outputs));
  const graph::Graph bare_left = without_weights(left), bare_right = without_weights(right);
  difference.same_structure = graph::digest_of(bare_left) == graph::digest_of(bare_right);
  if (!difference.same_structure) {
    const auto digests_left = graph::merkle_hashes(bare_left), digests_right = graph::merkle_hashes(bare_right);
    find_parting(left, digests_left, values_of(digests_right), difference.only_left, difference.following_left);
    find_parting(right, digests_right, values_of(digests_left), difference.only_right, difference.following_right);
  }
  difference.weights = compare_weights(left, right);
  return difference;
}

}  // namespace sightline::cli
