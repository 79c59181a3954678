// Shapes of what cuts, repeats, picks and fills: Slice, Split, Expand, Tile, GatherND, OneHot and their like.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

Error not_known(const Node& node, const std::string& what) {
  return {ErrorKind::unsupported, fmt::format("{}: {} must be constant, or computed from shapes", describe(node), what)};
}

// Integers of an attribute, or else of an input; nullopt when neither is given.
Result<std::optional<std::vector<std::int64_t>>> integers_from(const Constants& constants, const Node& node, const char* key,
                                                               std::size_t slot) {
  using Integers = std::optional<std::vector<std::int64_t>>;
  if (node.attributes.contains(key)) return Integers(node.integers(key));
  if (slot >= node.inputs.size() || node.inputs[slot].empty()) return Integers();
  const Tensor* tensor = constants.find(node.inputs[slot]);
  if (tensor == nullptr) return not_known(node, fmt::format("\"{}\"", node.inputs[slot]));
  auto integers = integers_of(*tensor);
  if (!integers) return fault(node, fmt::format("\"{}\" does not hold integers", node.inputs[slot]));
  return integers;
}

bool integral(Dtype dtype) { return dtype == Dtype::i64 || dtype == Dtype::i32; }

}  // namespace

Result<std::vector<Cut>> cuts_of(const Constants& constants, std::int64_t opset, const Node& node, const Shape& input) {
  const bool early = opset < 10;
  const auto read = [&](const char* key, std::size_t slot) { return integers_from(constants, node, early ? key : "", early ? 9 : slot); };
  SIGHTLINE_TRY(const auto starts, read("starts", 1));
  SIGHTLINE_TRY(const auto ends, read("ends", 2));
  SIGHTLINE_TRY(auto axes, read("axes", 3));
  SIGHTLINE_TRY(const auto steps, read("steps", 4));
  if (!starts || !ends) return fault(node, "starts and ends are missing");
  if (!axes) {
    axes.emplace();
    for (std::size_t i = 0; i < starts->size(); ++i) axes->push_back(static_cast<std::int64_t>(i));
  }
  if (starts->size() != ends->size() || starts->size() != axes->size() || (steps && steps->size() != starts->size()))
    return fault(node, "starts, ends, axes and steps differ in length");
  std::vector<Cut> cuts;
  for (std::int64_t size : input) cuts.push_back({0, 1, size});
  std::vector<bool> seen(input.size(), false);
  for (std::size_t i = 0; i < axes->size(); ++i) {
    SIGHTLINE_TRY(const std::int64_t axis, axis_of(node, (*axes)[i], input.size()));
    const auto at = static_cast<std::size_t>(axis);
    if (seen[at]) return fault(node, "an axis is named twice");
    seen[at] = true;
    const std::int64_t size = input[at], step = steps ? (*steps)[i] : 1;
    std::int64_t start = (*starts)[i], end = (*ends)[i];
    if (step == 0) return fault(node, "a step of 0");
    if (size < 0) {
      if (start == 0 && end >= std::numeric_limits<std::int32_t>::max() && step == 1) continue;
      return Error{ErrorKind::unsupported, fmt::format("{}: it cuts a free axis", describe(node))};
    }
    const auto place = [&](std::int64_t value, std::int64_t low, std::int64_t high) {
      if (value < 0) value = value < -size ? low : value + size;  // no overflow: value + size only from -size on
      return std::clamp(value, low, high);
    };
    // Going backwards, -1 stands for the place before the first element.
    start = step > 0 ? place(start, 0, size) : place(start, -1, size - 1);
    end = step > 0 ? place(end, 0, size) : place(end, -1, size - 1);
    const std::int64_t span = step > 0 ? end - start : start - end;
    const std::int64_t stride = step > 0                                           ? step
                                : step == std::numeric_limits<std::int64_t>::min() ? std::numeric_limits<std::int64_t>::max()
                                                                                   : -step;
    // Written so that the longest stride cannot overflow.
    cuts[at] = {std::max<std::int64_t>(start, 0), step, span <= 0 ? 0 : (span - 1) / stride + 1};
    if (cuts[at].count <= 1) cuts[at].step = 1;
  }
  return cuts;
}

Result<std::vector<std::int64_t>> parts_of(const Constants& constants, std::int64_t opset, const Node& node, const Shape& input) {
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(node, node.integer("axis", 0), input.size()));
  const std::int64_t size = input[static_cast<std::size_t>(axis)];
  const auto count = static_cast<std::int64_t>(node.outputs.size());
  SIGHTLINE_TRY(auto given, integers_from(constants, node, opset < 13 ? "split" : "", opset < 13 ? 9 : 1));
  if (count > 65'536) return fault(node, "it has too many outputs");
  if (given) {
    std::int64_t sum = 0;
    for (std::int64_t part : *given) {
      if (part < 0 || part > std::numeric_limits<std::int32_t>::max()) return fault(node, fmt::format("a part of {}", part));
      sum += part;
    }
    if (static_cast<std::int64_t>(given->size()) != count || (size >= 0 && sum != size))
      return fault(node, fmt::format("the parts [{}] are not the {} of an axis of {}", fmt::join(*given, ", "), count, size));
    return *given;
  }
  if (size < 0) return Error{ErrorKind::unsupported, fmt::format("{}: it splits a free axis", describe(node))};
  // From opset 18 on the last part may be smaller.
  const std::int64_t each = (size + count - 1) / count;
  if (size % count != 0 && !node.attributes.contains("num_outputs"))
    return fault(node, fmt::format("an axis of {} does not split into {} equal parts", size, count));
  std::vector<std::int64_t> parts;
  for (std::int64_t i = 0; i < count; ++i) parts.push_back(std::clamp<std::int64_t>(size - i * each, 0, each));
  return parts;
}

namespace shape_rules {

Inferred slice(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  SIGHTLINE_TRY(const auto cuts, cuts_of(call.constants, call.graph.opset, call.node, x.shape));
  Shape shape;
  for (const Cut& cut : cuts) shape.push_back(cut.count);
  return std::vector<Typed>{{x.dtype, shape}};
}

Inferred split(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  SIGHTLINE_TRY(const auto parts, parts_of(call.constants, call.graph.opset, call.node, x.shape));
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(call.node, call.node.integer("axis", 0), x.shape.size()));
  std::vector<Typed> outputs;
  for (std::int64_t part : parts) {
    outputs.push_back({x.dtype, x.shape});
    outputs.back().shape[static_cast<std::size_t>(axis)] = part;
  }
  return outputs;
}

namespace {

// A list of sizes as a shape; kFreeSize becomes -1.
Result<Shape> shape_from(const Call& call, std::size_t slot) {
  const Tensor* tensor = call.sizes(slot);
  if (tensor == nullptr) return not_known(call.node, fmt::format("the shape \"{}\"", call.node.inputs[slot]));
  const auto sizes = integers_of(*tensor);
  if (!sizes || sizes->size() > 16) return fault(call.node, "the shape is not a short list of integers");
  Shape shape;
  for (std::int64_t size : *sizes) {
    if (size < 0 && size != kFreeSize) return fault(call.node, fmt::format("a size of {}", size));
    shape.push_back(size == kFreeSize ? -1 : size);
  }
  return shape;
}

}  // namespace

Inferred expand(const Call& call) {
  SIGHTLINE_TRY(const Shape wanted, shape_from(call, 1));
  const auto shape = broadcast_shape(call.inputs[0]->shape, wanted);
  if (!shape) return fault(call.node, fmt::format("{} does not expand to {}", to_string(call.inputs[0]->shape), to_string(wanted)));
  return std::vector<Typed>{{call.inputs[0]->dtype, *shape}};
}

Inferred tile(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  SIGHTLINE_TRY(const Shape repeats, shape_from(call, 1));
  if (repeats.size() != x.shape.size()) return fault(call.node, "its repeats do not fit the input's axes");
  Shape shape = x.shape;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (repeats[i] == 1) continue;
    if (shape[i] < 0 || repeats[i] < 0) return Error{ErrorKind::unsupported, describe(call.node) + ": it repeats a free axis"};
    if (!known_count({shape[i], repeats[i]})) return fault(call.node, "its output is too large");
    shape[i] *= repeats[i];
  }
  return std::vector<Typed>{{x.dtype, shape}};
}

Inferred gather_elements(const Call& call) {
  const ValueInfo &x = *call.inputs[0], &indices = *call.inputs[1];
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(call.node, call.node.integer("axis", 0), x.shape.size()));
  bool fits = integral(indices.dtype) && indices.shape.size() == x.shape.size();
  for (std::size_t i = 0; fits && i < x.shape.size(); ++i)
    fits = static_cast<std::int64_t>(i) == axis || indices.shape[i] < 0 || x.shape[i] < 0 || indices.shape[i] <= x.shape[i];
  if (!fits)
    return fault(call.node,
                 fmt::format("indices {} {} do not fit {}", name_of(indices.dtype), to_string(indices.shape), to_string(x.shape)));
  return std::vector<Typed>{{x.dtype, indices.shape}};
}

Inferred gather_nd(const Call& call) {
  const ValueInfo &x = *call.inputs[0], &indices = *call.inputs[1];
  const std::int64_t batch = call.node.integer("batch_dims", 0);
  const auto rank = static_cast<std::int64_t>(x.shape.size()), depth = static_cast<std::int64_t>(indices.shape.size());
  const std::int64_t named = depth > 0 ? indices.shape.back() : -1;
  bool fits = integral(indices.dtype) && batch >= 0 && batch < std::min(rank, depth) && named >= 1 && named <= rank - batch;
  for (std::int64_t i = 0; fits && i < batch; ++i) {
    const auto at = static_cast<std::size_t>(i);
    fits = x.shape[at] == indices.shape[at];
  }
  if (!fits)
    return fault(call.node,
                 fmt::format("indices {} do not fit {} with {} batch axes", to_string(indices.shape), to_string(x.shape), batch));
  Shape shape(indices.shape.begin(), indices.shape.end() - 1);
  shape.insert(shape.end(), x.shape.begin() + batch + named, x.shape.end());
  return std::vector<Typed>{{x.dtype, shape}};
}

Inferred scatter_elements(const Call& call) {
  const ValueInfo &x = *call.inputs[0], &indices = *call.inputs[1], &updates = *call.inputs[2];
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(call.node, call.node.integer("axis", 0), x.shape.size()));
  bool fits =
      integral(indices.dtype) && indices.shape == updates.shape && updates.dtype == x.dtype && indices.shape.size() == x.shape.size();
  for (std::size_t i = 0; fits && i < x.shape.size(); ++i)
    fits = static_cast<std::int64_t>(i) == axis || indices.shape[i] < 0 || x.shape[i] < 0 || indices.shape[i] <= x.shape[i];
  if (!fits)
    return fault(call.node, fmt::format("indices {} and updates {} do not fit {}", to_string(indices.shape), to_string(updates.shape),
                                        to_string(x.shape)));
  return std::vector<Typed>{{x.dtype, x.shape}};
}

Inferred scatter_nd(const Call& call) {
  const ValueInfo &x = *call.inputs[0], &indices = *call.inputs[1], &updates = *call.inputs[2];
  const std::int64_t named = indices.shape.empty() ? -1 : indices.shape.back();
  bool fits = integral(indices.dtype) && updates.dtype == x.dtype && named >= 1 && named <= static_cast<std::int64_t>(x.shape.size());
  if (fits) {
    Shape wanted(indices.shape.begin(), indices.shape.end() - 1);
    wanted.insert(wanted.end(), x.shape.begin() + named, x.shape.end());
    fits = wanted == updates.shape;
  }
  if (!fits)
    return fault(call.node, fmt::format("indices {} and updates {} do not fit {}", to_string(indices.shape), to_string(updates.shape),
                                        to_string(x.shape)));
  return std::vector<Typed>{{x.dtype, x.shape}};
}

namespace {

Result<std::int64_t> block_of(const Call& call) {
  const std::int64_t block = call.node.integer("blocksize", 0);
  if (call.inputs[0]->shape.size() != 4)
    return fault(call.node, fmt::format("the input must be N×C×H×W, but is {}", to_string(call.inputs[0]->shape)));
  if (block < 1 || block > 65'536) return fault(call.node, fmt::format("a blocksize of {}", block));
  return block;
}

}  // namespace

Inferred depth_to_space(const Call& call) {
  SIGHTLINE_TRY(const std::int64_t block, block_of(call));
  Shape shape = call.inputs[0]->shape;
  const std::string mode = call.node.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") return fault(call.node, fmt::format("unknown mode \"{}\"", mode));
  if (shape[1] < 0 || shape[1] % (block * block) != 0) return fault(call.node, fmt::format("{} channels in blocks of {}", shape[1], block));
  shape[1] /= block * block;
  for (std::size_t i : {2, 3})
    if (shape[i] >= 0) shape[i] *= block;
  return std::vector<Typed>{{call.inputs[0]->dtype, shape}};
}

Inferred space_to_depth(const Call& call) {
  SIGHTLINE_TRY(const std::int64_t block, block_of(call));
  Shape shape = call.inputs[0]->shape;
  for (std::size_t i : {2, 3}) {
    if (shape[i] < 0) continue;
    if (shape[i] % block != 0) return fault(call.node, fmt::format("{} does not divide into blocks of {}", shape[i], block));
    shape[i] /= block;
  }
  if (shape[1] < 0) return fault(call.node, "its channels are free");
  if (!known_count({shape[1], block, block})) return fault(call.node, "its output is too large");
  shape[1] *= block * block;
  return std::vector<Typed>{{call.inputs[0]->dtype, shape}};
}

Inferred shape(const Call& call) {
  const auto rank = static_cast<std::int64_t>(call.inputs[0]->shape.size());
  const auto place = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t begin = place(call.node.integer("start", 0)), end = place(call.node.integer("end", rank));
  return std::vector<Typed>{{Dtype::i64, {std::max<std::int64_t>(end - begin, 0)}}};
}

Inferred size(const Call&) { return std::vector<Typed>{{Dtype::i64, {}}}; }

Inferred constant_of_shape(const Call& call) {
  SIGHTLINE_TRY(const Shape shape, shape_from(call, 0));
  const auto value = call.node.attributes.find("value");
  if (value == call.node.attributes.end()) return std::vector<Typed>{{Dtype::f32, shape}};
  const Tensor& tensor = std::get<Tensor>(value->second);
  if (tensor.count() != 1) return fault(call.node, "its value is not one number");
  return std::vector<Typed>{{tensor.dtype(), shape}};
}

Inferred range(const Call& call) {
  std::vector<double> numbers;
  for (std::size_t i = 0; i < 3; ++i) {
    const Tensor* tensor = call.constant(i);
    if (tensor == nullptr) return not_known(call.node, fmt::format("\"{}\"", call.node.inputs[i]));
    const auto number = scalar_of(*tensor);
    if (!number || call.inputs[i]->dtype != call.inputs[0]->dtype) return fault(call.node, "its limits are not numbers of one dtype");
    numbers.push_back(*number);
  }
  const double count = std::ceil((numbers[1] - numbers[0]) / numbers[2]);
  if (!(std::abs(count) < 1e9)) return fault(call.node, fmt::format("from {} to {} in steps of {}", numbers[0], numbers[1], numbers[2]));
  return std::vector<Typed>{{call.inputs[0]->dtype, {std::max<std::int64_t>(static_cast<std::int64_t>(count), 0)}}};
}

Inferred one_hot(const Call& call) {
  const Tensor* depth = call.constant(1);
  if (depth == nullptr) return not_known(call.node, "its depth");
  const auto number = scalar_of(*depth);
  if (!number || depth->count() != 1 || !(*number >= 1) || *number > 1e9) return fault(call.node, "its depth is not one number above 0");
  if (call.inputs[2]->shape != Shape{2}) return fault(call.node, "its values are not two numbers");
  Shape shape = call.inputs[0]->shape;
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(call.node, call.node.integer("axis", -1), shape.size() + 1));
  shape.insert(shape.begin() + axis, static_cast<std::int64_t>(*number));
  return std::vector<Typed>{{call.inputs[2]->dtype, shape}};
}

Inferred eye_like(const Call& call) {
  if (call.inputs[0]->shape.size() != 2) return fault(call.node, "its input is not a matrix");
  const auto dtype = dtype_from_onnx(call.node.integer("dtype", onnx_dtype(call.inputs[0]->dtype)));
  if (!dtype) return Error{ErrorKind::unsupported, describe(call.node) + ": its dtype"};
  return std::vector<Typed>{{*dtype, call.inputs[0]->shape}};
}

Inferred cumulative_sum(const Call& call) {
  const Tensor* tensor = call.constant(1);
  if (tensor == nullptr) return not_known(call.node, "its axis");
  const auto axis = integers_of(*tensor);
  if (!axis || axis->size() != 1) return fault(call.node, "its axis is not one integer");
  SIGHTLINE_TRY([[maybe_unused]] const std::int64_t at, axis_of(call.node, (*axis)[0], call.inputs[0]->shape.size()));
  return std::vector<Typed>{{call.inputs[0]->dtype, call.inputs[0]->shape}};
}

Inferred triangle(const Call& call) {
  if (call.inputs[0]->shape.size() < 2) return fault(call.node, "its input is not made of matrices");
  if (call.input(1) != nullptr && call.constant(1) == nullptr) return not_known(call.node, "its diagonal");
  return std::vector<Typed>{{call.inputs[0]->dtype, call.inputs[0]->shape}};
}

Inferred reverse_sequence(const Call& call) {
  const ValueInfo &x = *call.inputs[0], &lengths = *call.inputs[1];
  const std::int64_t time = call.node.integer("time_axis", 0), batch = call.node.integer("batch_axis", 1);
  const bool axes = x.shape.size() >= 2 && time + batch == 1 && time * batch == 0;
  if (!axes || lengths.dtype != Dtype::i64 || lengths.shape != Shape{x.shape[static_cast<std::size_t>(batch)]})
    return fault(call.node, "its axes must be 0 and 1, and its lengths one for each of the batch");
  return std::vector<Typed>{{x.dtype, x.shape}};
}

Inferred arg(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(call.node, call.node.integer("axis", 0), x.shape.size()));
  Shape shape = x.shape;
  if (shape[static_cast<std::size_t>(axis)] == 0) return fault(call.node, "it looks for the greatest of nothing");
  if (call.node.integer("keepdims", 1) != 0) {
    shape[static_cast<std::size_t>(axis)] = 1;
  } else {
    shape.erase(shape.begin() + axis);
  }
  return std::vector<Typed>{{Dtype::i64, shape}};
}

Inferred top_k(const Call& call) {
  const ValueInfo& x = *call.inputs[0];
  SIGHTLINE_TRY(const std::int64_t axis, axis_of(call.node, call.node.integer("axis", -1), x.shape.size()));
  std::int64_t k = call.node.integer("k", -1);
  if (call.graph.opset >= 10) {
    const Tensor* tensor = call.constant(1);
    if (tensor == nullptr) return not_known(call.node, "its k");
    const auto number = integers_of(*tensor);
    if (!number || number->size() != 1) return fault(call.node, "its k is not one integer");
    k = (*number)[0];
  }
  Shape shape = x.shape;
  std::int64_t& size = shape[static_cast<std::size_t>(axis)];
  if (k < 0 || (size >= 0 && k > size)) return fault(call.node, fmt::format("the {} greatest of {}", k, size));
  size = k;
  return std::vector<Typed>{{x.dtype, shape}, {Dtype::i64, shape}};
}

Inferred non_max_suppression(const Call& call) {
  const Shape &boxes = call.inputs[0]->shape, &scores = call.inputs[1]->shape;
  if (boxes.size() != 3 || scores.size() != 3 || boxes[2] != 4 || boxes[0] != scores[0] || boxes[1] != scores[2] ||
      call.inputs[0]->dtype != Dtype::f32 || call.inputs[1]->dtype != Dtype::f32)
    return fault(call.node, fmt::format("boxes {} (N×boxes×4) and scores {} (N×classes×boxes)", to_string(boxes), to_string(scores)));
  std::int64_t most = 0;
  if (call.input(2) != nullptr) {
    const Tensor* tensor = call.constant(2);
    if (tensor == nullptr) return not_known(call.node, "the greatest number of boxes per class");
    const auto number = scalar_of(*tensor);
    if (!number || !(*number >= 0)) return fault(call.node, "the greatest number of boxes per class is not a number from 0 on");
    most = static_cast<std::int64_t>(std::min(*number, 1e15));
  }
  if (boxes[1] < 0 || scores[1] < 0)
    return Error{ErrorKind::unsupported, describe(call.node) + ": its numbers of boxes and classes are free"};
  const Shape all{boxes[0], scores[1], std::min(most, boxes[1])};
  const auto count = known_count(all);
  if (!count) return fault(call.node, "its output is too large");
  // Rows that hold nothing are -1: only the batch may vary, so there are always as many as there can be.
  return std::vector<Typed>{{Dtype::i64, {boxes[0] < 0 ? -1 : *count, 3}}};
}

}  // namespace shape_rules
}  // namespace sightline::graph
