// Shapes of normalising, recurrent and quantising operators, of Einsum and of what stretches images.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "graph/operators.h"

namespace sightline::graph {

Result<Stretch> stretch_of(const Constants& constants, std::int64_t opset, const Node& node, const Shape& input) {
  // Upsample: scales as attribute (before opset 9) or input 1. Resize 10: (X, scales); from 11 on (X, roi, scales, sizes), of which one
  // of the last two is given.
  const std::size_t rank = input.size();
  const bool later = node.op_type == "Resize" && opset >= 11;
  const auto given = [&](std::size_t slot) -> Result<const Tensor*> {
    if (slot >= node.inputs.size() || node.inputs[slot].empty()) return static_cast<const Tensor*>(nullptr);
    const Tensor* tensor = constants.find_sizes(node.inputs[slot]);
    if (tensor == nullptr)
      return Error{ErrorKind::unsupported, fmt::format("{}: \"{}\" is not constant", describe(node), node.inputs[slot])};
    return tensor->count() > 0 ? tensor : nullptr;
  };
  SIGHTLINE_TRY(const Tensor* scales, given(later ? 2 : 1));
  SIGHTLINE_TRY(const Tensor* sizes, given(later ? 3 : 9));
  Stretch stretch{std::vector<double>(rank, 1.0), std::vector<double>(rank, 0.0), std::vector<double>(rank, 1.0), input};
  const bool crops = node.text("coordinate_transformation_mode", "") == "tf_crop_and_resize";
  if (crops) {
    SIGHTLINE_TRY(const Tensor* roi, given(later ? 1 : 9));
    const auto numbers = roi != nullptr ? reals_of(*roi) : std::nullopt;
    if (!numbers || numbers->size() != 2 * rank) return fault(node, "its roi does not fit the input's axes");
    for (std::size_t i = 0; i < rank; ++i) {
      stretch.roi_begin[i] = (*numbers)[i];
      stretch.roi_end[i] = (*numbers)[rank + i];
      if (!(std::abs(stretch.roi_begin[i]) < 1e6 && std::abs(stretch.roi_end[i]) < 1e6)) return fault(node, "its roi is far outside");
    }
  }
  if (sizes != nullptr) {
    const auto wanted = integers_of(*sizes);
    if (!wanted || wanted->size() != rank) return fault(node, "its sizes do not fit the input's axes");
    for (std::size_t i = 0; i < rank; ++i) {
      const std::int64_t size = (*wanted)[i];
      if (size == kFreeSize && input[i] < 0) continue;
      if (size < 1) return fault(node, fmt::format("an output size of {}", size));
      if (input[i] < 0 && i == 0) continue;
      stretch.output[i] = size;
      stretch.scale[i] = static_cast<double>(size) / static_cast<double>(input[i]);
    }
    return stretch;
  }
  std::vector<float> factors;
  if (const auto attribute = node.attributes.find("scales"); attribute != node.attributes.end())
    factors = std::get<std::vector<float>>(attribute->second);
  if (scales != nullptr) {
    if (scales->dtype() != Dtype::f32) return fault(node, "its scales are not f32");
    factors.assign(scales->values<float>().begin(), scales->values<float>().end());
  }
  if (factors.size() != rank) return fault(node, "its scales do not fit the input's axes");
  for (std::size_t i = 0; i < rank; ++i) {
    const auto factor = static_cast<double>(factors[i]);
    if (!(factor > 0) || factor > 1e6) return fault(node, fmt::format("a scale of {}", factor));
    stretch.scale[i] = factor;
    if (input[i] < 0) continue;
    const double part = crops ? stretch.roi_end[i] - stretch.roi_begin[i] : 1.0;
    const double size = std::floor(static_cast<double>(input[i]) * part * factor);
    if (!(size >= 1)) return fault(node, fmt::format("an output size of {}", size));
    stretch.output[i] = static_cast<std::int64_t>(size);
  }
  return stretch;
}

Result<Contraction> contraction_of(const Node& node, const std::vector<Shape>& inputs) {
  std::string equation = node.text("equation", "");
  std::erase(equation, ' ');
  const auto arrow = equation.find("->");
  Contraction contraction;
  contraction.operands = split(equation.substr(0, arrow), ',');
  if (contraction.operands.size() != inputs.size() || equation.find('.') != std::string::npos)
    return Error{ErrorKind::unsupported, fmt::format("{}: the equation \"{}\" for {} inputs", describe(node), equation, inputs.size())};
  std::map<char, int> uses;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (contraction.operands[i].size() != inputs[i].size())
      return fault(node, fmt::format("\"{}\" does not name the axes of {}", contraction.operands[i], to_string(inputs[i])));
    for (std::size_t k = 0; k < inputs[i].size(); ++k) {
      const char letter = contraction.operands[i][k];
      const auto [entry, fresh] = contraction.length.emplace(letter, inputs[i][k]);
      if (!fresh && entry->second != inputs[i][k]) return fault(node, fmt::format("the axis \"{}\" has two lengths", letter));
      ++uses[letter];
    }
  }
  if (arrow != std::string::npos) {
    contraction.result = equation.substr(arrow + 2);
  } else {
    for (const auto& [letter, count] : uses)
      if (count == 1) contraction.result += letter;
  }
  std::string seen;
  for (char letter : contraction.result) {
    if (!contraction.length.contains(letter) || seen.find(letter) != std::string::npos)
      return fault(node, fmt::format("the result \"{}\" is not made of the operands' axes", contraction.result));
    seen += letter;
  }
  Shape all;
  for (const auto& [letter, length] : contraction.length) {
    if (seen.find(letter) == std::string::npos) contraction.summed += letter;
    all.push_back(length);
  }
  if (!known_count(all)) return fault(node, "it is too large a product");
  return contraction;
}

namespace shape_rules {

Inferred resize(const Call& call) {
  SIGHTLINE_TRY(Stretch stretch, stretch_of(call.constants, call.graph.opset, call.node, call.inputs[0]->shape));
  return std::vector<Typed>{{call.inputs[0]->dtype, std::move(stretch.output)}};
}

Inferred einsum(const Call& call) {
  std::vector<Shape> shapes;
  for (const ValueInfo* input : call.inputs) shapes.push_back(input->shape);
  SIGHTLINE_TRY(const Contraction contraction, contraction_of(call.node, shapes));
  Shape shape;
  for (char letter : contraction.result) shape.push_back(contraction.length.at(letter));
  return std::vector<Typed>{{call.inputs[0]->dtype, shape}};
}

Inferred instance_normalization(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  if (x.shape.size() < 3) return fault(call.node, fmt::format("the input must be N×C×spatial, but is {}", to_string(x.shape)));
  for (std::size_t i : {1, 2})
    if (call.inputs[i]->shape != Shape{x.shape[1]} || call.inputs[i]->dtype != x.dtype)
      return fault(call.node,
                   fmt::format("\"{}\" is {} where {} is needed", call.inputs[i]->name, to_string(call.inputs[i]->shape), x.shape[1]));
  return std::vector<Typed>{{x.dtype, x.shape}};
}

Inferred layer_normalization(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(call.node, call.node.integer("axis", -1), x.shape.size()));
  const Shape tail(x.shape.begin() + axis, x.shape.end());
  for (std::size_t i : {1, 2}) {
    if (call.input(i) == nullptr) continue;
    const auto wide = broadcast_shape(tail, call.inputs[i]->shape);
    if (!wide || *wide != tail)
      return fault(call.node, fmt::format("\"{}\" ({}) does not broadcast to {}", call.inputs[i]->name, to_string(call.inputs[i]->shape),
                                          to_string(tail)));
  }
  Shape kept = x.shape;
  std::fill(kept.begin() + axis, kept.end(), 1);
  return std::vector<Typed>{{x.dtype, x.shape}, {Dtype::f32, kept}, {Dtype::f32, kept}};
}

namespace {

std::optional<Error> check_scale(const Call& call, Dtype numbers) {
  const ValueInfo &x = *call.inputs[0], &scale = *call.inputs[1];
  if (scale.dtype != Dtype::f32) return fault(call.node, "its scale is not f32");
  if (call.input(2) != nullptr && (call.inputs[2]->dtype != numbers || call.inputs[2]->shape != scale.shape))
    return fault(call.node, "its zero point does not fit its scale or its numbers");
  if (scale.shape.empty() || scale.shape == Shape{1}) return std::nullopt;
  const auto axis = axis_of(call.node, call.node.integer("axis", 1), x.shape.size());
  if (!axis.ok()) return axis.error();
  if (scale.shape != Shape{x.shape[static_cast<std::size_t>(*axis)]})
    return fault(call.node, "its scales are not one for each of its axis");
  return std::nullopt;
}

}  // namespace

Inferred quantize(const Call& call) {
  const Dtype to = call.input(2) != nullptr ? call.inputs[2]->dtype : Dtype::u8;
  if (auto error = check_scale(call, to)) return *error;
  if (to != Dtype::u8 && to != Dtype::i8) return Error{ErrorKind::unsupported, describe(call.node) + ": to numbers other than i8 and u8"};
  return std::vector<Typed>{{to, call.inputs[0]->shape}};
}

Inferred dequantize(const Call& call) {
  if (auto error = check_scale(call, call.inputs[0]->dtype)) return *error;
  return std::vector<Typed>{{Dtype::f32, call.inputs[0]->shape}};
}

Inferred recurrent(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  const Shape &w = call.inputs[1]->shape, &r = call.inputs[2]->shape;
  const std::string direction = call.node.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return fault(call.node, fmt::format("direction \"{}\" is none of forward, reverse, bidirectional", direction));
  const std::int64_t directions = direction == "bidirectional" ? 2 : 1;
  const std::int64_t gates = call.node.op_type == "LSTM" ? 4 : call.node.op_type == "GRU" ? 3 : 1;
  if (x.shape.size() != 3 || w.size() != 3 || r.size() != 3)
    return fault(call.node,
                 fmt::format("{} by {} and {}, which must have three axes each", to_string(x.shape), to_string(w), to_string(r)));
  const std::int64_t hidden = r[2];
  const bool swapped = call.node.integer("layout", 0) != 0;
  const std::int64_t length = x.shape[swapped ? 1 : 0], batch = x.shape[swapped ? 0 : 1];
  if (hidden < 1 || hidden > (std::int64_t{1} << 24) || w != Shape{directions, gates * hidden, x.shape[2]} ||
      r != Shape{directions, gates * hidden, hidden} || call.node.integer("hidden_size", hidden) != hidden)
    return fault(call.node, fmt::format("weights {} and {} do not fit {} with {} directions", to_string(w), to_string(r),
                                        to_string(x.shape), directions));
  const Shape state = swapped ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  const Shape wanted[] = {{directions, 2 * gates * hidden}, {batch}, state, state, {directions, 3 * hidden}};
  for (std::size_t i = 3; i < 8; ++i) {
    const ValueInfo* input = call.input(i);
    if (input == nullptr) continue;
    if (input->shape != wanted[i - 3] || input->dtype != (i == 4 ? Dtype::i32 : x.dtype))
      return fault(call.node, fmt::format("\"{}\" is {} {} where {} is needed", input->name, name_of(input->dtype), to_string(input->shape),
                                          to_string(wanted[i - 3])));
  }
  const Shape all = swapped ? Shape{batch, length, directions, hidden} : Shape{length, directions, batch, hidden};
  std::vector<Typed> outputs{{x.dtype, all}, {x.dtype, state}};
  if (call.node.op_type == "LSTM") outputs.push_back({x.dtype, state});
  return outputs;
}

}  // namespace shape_rules
}  // namespace sightline::graph
