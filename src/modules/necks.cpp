#include "modules/necks.h"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <optional>

namespace sightline::modules {
namespace {

// Of the generalised mean: between the average (1) and the maximum (∞), the value that its authors found to serve.
constexpr float power = 3.0F;
// Below, a power's slope grows without bound, and negative values have none.
constexpr float least = 1e-6F;

constexpr std::array rows{
    NeckRow{Neck::average, "the mean over the picture's places", "Lin, Chen & Yan 2014, arXiv:1312.4400"},
    NeckRow{Neck::max, "the largest value over the places: whether something is there at all, however small",
            "Oquab et al. 2015, CVPR, \"Is object localization for free?\""},
    NeckRow{Neck::generalised_mean, "the cube root of the mean cube: between average and max; what is negative counts as nothing",
            "Radenović, Tolias & Chum 2019, arXiv:1711.02512"},
};

struct Operation {
  const char* op_type;
  std::optional<float> constant;  // its second input
};

std::vector<Operation> operations_of(Neck neck, bool tokens) {
  const char* mean = tokens ? "ReduceMean" : "GlobalAveragePool";
  switch (neck) {
    case Neck::average: return {{mean, {}}};
    case Neck::max: return {{tokens ? "ReduceMax" : "GlobalMaxPool", {}}};
    case Neck::generalised_mean: return {{"Max", least}, {"Pow", power}, {mean, {}}, {"Pow", 1 / power}};
  }
  return {};
}

std::map<std::string, graph::Attribute> attributes_of(const Operation& operation) {
  if (!std::string(operation.op_type).starts_with("Reduce")) return {};
  return {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{0}}};
}

}  // namespace

std::span<const NeckRow> necks() { return rows; }

std::string append_neck(graph::Builder& builder, Neck neck, const std::string& map) {
  std::string value = map;
  for (const Operation& operation : operations_of(neck, false)) {
    std::vector<std::string> inputs{value};
    if (operation.constant) inputs.push_back(builder.constant("neck", Tensor::filled({1}, *operation.constant)));
    value = builder.node(operation.op_type, inputs, attributes_of(operation));
  }
  return value;
}

void append_neck(graph::Graph& graph, Neck neck, const std::string& value, bool tokens, const std::string& name) {
  const std::vector<Operation> operations = operations_of(neck, tokens);
  std::string from = value;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const std::string to = i + 1 == operations.size() ? name : fmt::format("{}.{}", name, i);
    std::vector<std::string> inputs{from};
    if (operations[i].constant) {
      inputs.push_back(to + ".constant");
      graph.initializers[inputs.back()] = Tensor::filled({1}, *operations[i].constant);
    }
    graph.nodes.push_back({.name = to,
                           .op_type = operations[i].op_type,
                           .inputs = inputs,
                           .outputs = {to},
                           .attributes = attributes_of(operations[i]),
                           .domain = ""});
    from = to;
  }
}

}  // namespace sightline::modules
