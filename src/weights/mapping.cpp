#include "weights/mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include "base/text.h"

namespace sightline::weights {
namespace {

// The tensors of one layer; on our side named by the graph, on theirs by what comes before the last dot.
struct Layer {
  enum class Kind { conv, linear, norm, slope };
  struct Part {
    std::string role;  // "weight", "bias", "mean", "variance"
    std::string name;
    Shape shape;
  };
  std::string name;
  Kind kind = Kind::conv;
  std::vector<Part> parts;  // by role
};
constexpr const char* kind_names[] = {"convolution", "linear layer", "normalisation", "slope"};

Shape without_ones(const Shape& shape) {
  Shape kept;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(kept), [](std::int64_t size) { return size != 1; });
  return kept;
}
bool fits(const Shape& a, const Shape& b) { return without_ones(a) == without_ones(b); }

std::string signature(const Layer& layer) {
  std::string text = kind_names[static_cast<std::size_t>(layer.kind)];
  for (const Layer::Part& part : layer.parts) text += fmt::format(" {} {}", part.role, to_string(without_ones(part.shape)));
  return text;
}

void sort_parts(Layer& layer) {
  std::sort(layer.parts.begin(), layer.parts.end(), [](const Layer::Part& a, const Layer::Part& b) { return a.role < b.role; });
}

std::vector<Layer> layers_of(const graph::Graph& graph) {
  const auto roles = graph::roles_of(graph);
  std::vector<Layer> layers;
  std::set<std::string> taken;
  for (const graph::Node& node : graph.nodes) {
    Layer layer{.name = node.name, .parts = {}};
    for (const std::string& input : node.inputs) {
      const auto role = roles.find(input);
      if (role == roles.end() || role->second == graph::Role::constant || !taken.insert(input).second) continue;
      const char* names[] = {"", "weight", "bias", "weight", "mean", "variance"};
      layer.parts.push_back({names[static_cast<std::size_t>(role->second)], input, graph.initializers.at(input).shape()});
    }
    if (layer.parts.empty()) continue;
    const bool product = node.op_type == "Gemm" || node.op_type == "MatMul";
    layer.kind = node.op_type == "BatchNormalization" ? Layer::Kind::norm
                 : node.op_type == "PRelu"            ? Layer::Kind::slope
                 : product                            ? Layer::Kind::linear
                                                      : Layer::Kind::conv;
    sort_parts(layer);
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::string role_in_file(std::string_view last) {
  if (last == "weight" || last == "gamma" || last == "kernel") return "weight";
  if (last == "bias" || last == "beta") return "bias";
  if (last == "running_mean" || last == "moving_mean") return "mean";
  if (last == "running_var" || last == "moving_variance") return "variance";
  return "";
}

bool counts_batches(const std::string& name) { return name == "num_batches_tracked" || name.ends_with(".num_batches_tracked"); }

std::vector<Layer> layers_of(const WeightFile& file, const std::set<std::string>& used) {
  std::vector<Layer> layers;
  std::map<std::string, std::size_t> known;
  for (const NamedTensor& each : file.tensors) {
    if (used.contains(each.name)) continue;
    const std::size_t dot = each.name.rfind('.');
    const std::string role = role_in_file(std::string_view(each.name).substr(dot == std::string::npos ? 0 : dot + 1));
    if (role.empty()) continue;
    const std::string prefix = dot == std::string::npos ? "" : each.name.substr(0, dot);
    const auto [found, fresh] = known.try_emplace(prefix, layers.size());
    if (fresh) layers.push_back({.name = prefix, .parts = {}});
    layers[found->second].parts.push_back({role, each.name, each.tensor.shape()});
  }
  for (Layer& layer : layers) {
    sort_parts(layer);
    const auto part = [&](const char* role) {
      return std::find_if(layer.parts.begin(), layer.parts.end(), [&](const Layer::Part& each) { return each.role == role; });
    };
    const auto weight = part("weight");
    const std::size_t rank = weight == layer.parts.end() ? 0 : weight->shape.size();
    if (part("mean") != layer.parts.end() || (rank <= 1 && part("bias") != layer.parts.end())) {
      layer.kind = Layer::Kind::norm;
    } else {
      layer.kind = rank >= 3 ? Layer::Kind::conv : rank == 2 ? Layer::Kind::linear : Layer::Kind::slope;
    }
  }
  return layers;
}

// Writers of safetensors sort by name; the order of definition is then lost.
bool order_is_lost(const WeightFile& file) {
  return file.format == WeightFile::Format::safetensors &&
         std::is_sorted(file.tensors.begin(), file.tensors.end(),
                        [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
}

// "layer2.10.conv1" → "layer#.#.conv#" and 2, 10, 1.
std::pair<std::string, std::vector<std::uint64_t>> masked(const std::string& name) {
  std::string mask;
  std::vector<std::uint64_t> numbers;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (std::isdigit(static_cast<unsigned char>(name[i])) == 0) {
      mask += name[i];
      continue;
    }
    if (i == 0 || std::isdigit(static_cast<unsigned char>(name[i - 1])) == 0) {
      mask += '#';
      numbers.push_back(0);
    }
    numbers.back() = numbers.back() * 10 + static_cast<std::uint64_t>(name[i] - '0');
  }
  return {mask, numbers};
}

float half_value(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16U, exponent = bits >> 10U & 31U, mantissa = bits & 1023U;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000U | mantissa << 13U);
  if (exponent == 0) return std::copysign(std::ldexp(static_cast<float>(mantissa), -24), std::bit_cast<float>(sign | 0x3f800000U));
  return std::bit_cast<float>(sign | (exponent + 112U) << 23U | mantissa << 13U);
}

using Members = std::vector<const Layer*>;

// Which layers of one kind belong together, ours first.
std::vector<std::pair<const Layer*, const Layer*>> pair_up(const Members& ours, Members theirs, bool lost,
                                                           std::vector<std::string>& ambiguous) {
  std::vector<std::pair<const Layer*, const Layer*>> pairs;
  std::map<std::string, std::pair<Members, Members>> by_signature;
  for (const Layer* each : ours) by_signature[signature(*each)].first.push_back(each);
  for (const Layer* each : theirs) by_signature[signature(*each)].second.push_back(each);

  const auto same_mask = [](const Members& members) {
    return std::all_of(members.begin(), members.end(),
                       [&](const Layer* each) { return masked(each->name).first == masked(members[0]->name).first; });
  };
  bool in_order = ours.size() == theirs.size();
  if (lost) {
    // Within a signature the numbers in the names tell the order; across signatures it does not matter.
    for (auto& [text, both] : by_signature) {
      in_order = in_order && both.first.size() == both.second.size() && (both.second.size() < 2 || same_mask(both.second));
      std::sort(both.second.begin(), both.second.end(),
                [](const Layer* a, const Layer* b) { return masked(a->name).second < masked(b->name).second; });
    }
  } else {
    for (std::size_t i = 0; in_order && i < ours.size(); ++i) in_order = signature(*ours[i]) == signature(*theirs[i]);
  }
  for (const auto& [text, both] : by_signature) {
    const auto& [here, there] = both;
    if (here.empty() || there.empty()) continue;
    if (in_order || (here.size() == 1 && there.size() == 1)) {
      for (std::size_t i = 0; i < here.size(); ++i) pairs.emplace_back(here[i], there[i]);
    } else {
      ambiguous.push_back(fmt::format("{}: {} here and {} in the file; which is which cannot be told", text, here.size(), there.size()));
    }
  }
  return pairs;
}

}  // namespace

Result<Tensor> to_f32(const Tensor& tensor) {
  if (tensor.dtype() == Dtype::f32) return tensor;
  Tensor wide(Dtype::f32, tensor.shape());
  const auto out = wide.values<float>();
  if (tensor.dtype() == Dtype::f64) {
    std::transform(tensor.values<double>().begin(), tensor.values<double>().end(), out.begin(),
                   [](double v) { return static_cast<float>(v); });
  } else if (tensor.dtype() == Dtype::f16 || tensor.dtype() == Dtype::bf16) {
    const auto* bits = reinterpret_cast<const std::uint16_t*>(tensor.data());
    const bool half = tensor.dtype() == Dtype::f16;
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = half ? half_value(bits[i]) : std::bit_cast<float>(static_cast<std::uint32_t>(bits[i]) << 16U);
  } else {
    return Error{ErrorKind::unsupported, fmt::format("{} {} are no weights", name_of(tensor.dtype()), to_string(tensor.shape()))};
  }
  return wide;
}

Result<Mapping> map_weights(const WeightFile& file, const std::string& source, graph::Graph& graph) {
  Mapping mapping;
  std::map<std::string, const NamedTensor*> by_name;
  for (const NamedTensor& each : file.tensors) by_name[each.name] = &each;
  std::map<std::string, const NamedTensor*> chosen;  // by our name
  std::set<std::string> used, settled;               // theirs, ours

  const auto roles = graph::roles_of(graph);
  for (const auto& [name, role] : roles) {
    const auto found = by_name.find(name);
    if (role == graph::Role::constant || found == by_name.end()) continue;
    used.insert(name);
    settled.insert(name);
    const Shape& here = graph.initializers.at(name).shape();
    const Shape& there = found->second->tensor.shape();
    if (!fits(here, there)) {
      mapping.mismatched.push_back(fmt::format("{} {}: the file has {}", name, to_string(here), to_string(there)));
      continue;
    }
    chosen[name] = found->second;
    mapping.matched.push_back({name, name, true});
  }

  const std::vector<Layer> ours = layers_of(graph), theirs = layers_of(file, used);
  const bool lost = order_is_lost(file);
  for (const Layer::Kind kind : {Layer::Kind::conv, Layer::Kind::linear, Layer::Kind::norm, Layer::Kind::slope}) {
    const auto of_kind = [&](const std::vector<Layer>& layers) {
      Members members;
      for (const Layer& each : layers) {
        const bool open =
            std::none_of(each.parts.begin(), each.parts.end(), [&](const Layer::Part& part) { return settled.contains(part.name); });
        if (each.kind == kind && (&layers == &theirs || open)) members.push_back(&each);
      }
      return members;
    };
    for (const auto& [here, there] : pair_up(of_kind(ours), of_kind(theirs), lost, mapping.ambiguous)) {
      for (std::size_t i = 0; i < here->parts.size(); ++i) {
        chosen[here->parts[i].name] = by_name.at(there->parts[i].name);
        mapping.matched.push_back({here->parts[i].name, there->parts[i].name, false});
        used.insert(there->parts[i].name);
        settled.insert(here->parts[i].name);
      }
    }
  }

  for (const Layer& layer : ours)
    for (const Layer::Part& part : layer.parts)
      if (!settled.contains(part.name)) mapping.missing.push_back(fmt::format("{} {}", part.name, to_string(part.shape)));
  for (const NamedTensor& each : file.tensors)
    if (!used.contains(each.name) && !counts_batches(each.name))
      mapping.left_over.push_back(fmt::format("{} {}", each.name, to_string(each.tensor.shape())));
  if (chosen.empty()) {
    return Error{ErrorKind::invalid_data, fmt::format("{}: none of its {} fits this net{}{}", source, plural(file.tensors.size(), "tensor"),
                                                      mapping.ambiguous.empty() ? "" : "; ", join(mapping.ambiguous, "; "))};
  }

  std::map<std::string, Tensor> ready;
  for (const auto& [name, theirs_tensor] : chosen) {
    auto wide = to_f32(theirs_tensor->tensor);
    if (!wide.ok()) return wide.error().in(fmt::format("{}: tensor \"{}\"", source, theirs_tensor->name));
    const auto values = static_cast<const Tensor&>(*wide).values<float>();
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }))
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: tensor \"{}\" holds values that are no finite numbers", source, theirs_tensor->name)};
    ready[name] = wide->reshaped(graph.initializers.at(name).shape());
  }
  for (auto& [name, tensor] : ready) graph.initializers[name] = std::move(tensor);
  return mapping;
}

std::string Mapping::sentence() const {
  const auto by_order =
      static_cast<std::size_t>(std::count_if(matched.begin(), matched.end(), [](const Pair& pair) { return !pair.by_name; }));
  std::string text =
      fmt::format("{} of {} tensors come from the file", matched.size(), matched.size() + missing.size() + mismatched.size());
  if (by_order > 0) text += fmt::format(" ({} by order and shape)", by_order);
  const auto add = [&](const std::vector<std::string>& list, const char* what) {
    if (list.empty()) return;
    std::vector<std::string> first(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(list.size(), 3)));
    text += fmt::format("; {} {}: {}{}", list.size(), what, join(first, ", "), list.size() > first.size() ? ", …" : "");
  };
  add(missing, "missing in the file");
  add(mismatched, "of another shape");
  add(left_over, "left over in the file");
  add(ambiguous, "ambiguous");
  return text;
}

std::vector<std::string> Mapping::lines() const {
  std::vector<std::string> lines;
  for (const Pair& pair : matched)
    lines.push_back(fmt::format("matched     {} ← {}{}", pair.ours, pair.theirs, pair.by_name ? "" : " (by order and shape)"));
  for (const std::string& each : missing) lines.push_back("missing     " + each);
  for (const std::string& each : mismatched) lines.push_back("mismatched  " + each);
  for (const std::string& each : left_over) lines.push_back("left over   " + each);
  for (const std::string& each : ambiguous) lines.push_back("ambiguous   " + each);
  return lines;
}

}  // namespace sightline::weights
