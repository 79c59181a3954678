// Works out small values that follow from shapes: what exporters write before a Reshape, an Expand, a Slice or a Resize. Everything is
// computed element by element, as integers (kFreeSize for a size that is free) or as reals.
#include <algorithm>
#include <cmath>
#include <functional>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

// Lists of sizes have a few elements; this leaves room for small tables, and bounds the work.
constexpr std::int64_t kMostElements = 1024;

bool is_real(Dtype dtype) { return dtype == Dtype::f32 || dtype == Dtype::f64; }
bool is_known_kind(Dtype dtype) { return is_real(dtype) || dtype == Dtype::i64 || dtype == Dtype::i32 || dtype == Dtype::boolean; }

struct Number {
  std::int64_t integer = 0;
  double real = 0;
  bool free() const { return integer == kFreeSize; }
};
using Numbers = std::vector<Number>;

Numbers read(const Tensor& tensor) {
  Numbers numbers(static_cast<std::size_t>(tensor.count()));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    switch (tensor.dtype()) {
      case Dtype::f32: numbers[i].real = static_cast<double>(tensor.values<float>()[i]); break;
      case Dtype::f64: numbers[i].real = tensor.values<double>()[i]; break;
      case Dtype::i64: numbers[i].integer = tensor.values<std::int64_t>()[i]; break;
      case Dtype::i32: numbers[i].integer = tensor.values<std::int32_t>()[i]; break;
      default: numbers[i].integer = tensor.data()[i] != std::byte{0} ? 1 : 0; break;
    }
  }
  return numbers;
}

std::optional<Tensor> written(const Numbers& numbers, const Typed& output) {
  if (static_cast<std::int64_t>(numbers.size()) != element_count(output.shape)) return std::nullopt;
  Tensor tensor(output.dtype, output.shape);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    // Only lists of sizes may have holes.
    if (numbers[i].free() && output.dtype != Dtype::i64) return std::nullopt;
    switch (output.dtype) {
      case Dtype::f32: tensor.values<float>()[i] = static_cast<float>(numbers[i].real); break;
      case Dtype::f64: tensor.values<double>()[i] = numbers[i].real; break;
      case Dtype::i64: tensor.values<std::int64_t>()[i] = numbers[i].integer; break;
      case Dtype::i32: tensor.values<std::int32_t>()[i] = static_cast<std::int32_t>(numbers[i].integer); break;
      default: tensor.values<bool>()[i] = numbers[i].integer != 0; break;
    }
  }
  return tensor;
}

std::int64_t wrapped(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint64_t bits(std::int64_t value) { return static_cast<std::uint64_t>(value); }

std::optional<std::int64_t> combined(const std::string& op, std::int64_t a, std::int64_t b) {
  if (op == "Add") return wrapped(bits(a) + bits(b));
  if (op == "Sub") return wrapped(bits(a) - bits(b));
  if (op == "Mul") return wrapped(bits(a) * bits(b));
  if (op == "Div") return b == 0 ? 0 : b == -1 ? wrapped(0 - bits(a)) : a / b;
  if (op == "Min") return std::min(a, b);
  if (op == "Max") return std::max(a, b);
  if (op == "Equal") return a == b ? 1 : 0;
  if (op == "Less") return a < b ? 1 : 0;
  if (op == "Greater") return a > b ? 1 : 0;
  return std::nullopt;
}

std::optional<double> combined(const std::string& op, double a, double b) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") return a / b;
  if (op == "Min") return std::min(a, b);
  if (op == "Max") return std::max(a, b);
  return std::nullopt;
}

std::optional<Numbers> fold_binary(const Call& call, const std::vector<Numbers>& inputs, const Typed& output) {
  const auto count = static_cast<std::size_t>(element_count(output.shape));
  Numbers result(count);
  for (const Numbers& input : inputs)
    if (input.size() != count && input.size() != 1) return std::nullopt;
  const bool real = is_real(call.inputs[0]->dtype);
  for (std::size_t i = 0; i < count; ++i) {
    const Number &a = inputs[0][inputs[0].size() == 1 ? 0 : i], &b = inputs[1][inputs[1].size() == 1 ? 0 : i];
    if (real) {
      const auto value = combined(call.node.op_type, a.real, b.real);
      if (!value) return std::nullopt;
      // Comparisons of reals decide no shapes.
      result[i].real = call.inputs[0]->dtype == Dtype::f32 ? static_cast<double>(static_cast<float>(*value)) : *value;
    } else if (a.free() || b.free()) {
      if (output.dtype == Dtype::boolean) return std::nullopt;
      result[i].integer = kFreeSize;
    } else {
      const auto value = combined(call.node.op_type, a.integer, b.integer);
      if (!value) return std::nullopt;
      result[i].integer = *value;
    }
  }
  return result;
}

std::optional<Numbers> fold_cast(const Call& call, const Numbers& input, Dtype to) {
  Numbers result = input;
  const bool from_real = is_real(call.inputs[0]->dtype);
  for (Number& number : result) {
    if (from_real && !is_real(to)) {
      if (!(std::abs(number.real) < 9e15)) return std::nullopt;
      number.integer = to == Dtype::boolean ? (number.real != 0 ? 1 : 0) : static_cast<std::int64_t>(number.real);
      number.real = 0;
    } else if (!from_real && is_real(to)) {
      if (number.free()) return std::nullopt;
      number.real = static_cast<double>(number.integer);
      number.integer = 0;
    } else if (to == Dtype::boolean) {
      if (number.free()) return std::nullopt;
      number.integer = number.integer != 0 ? 1 : 0;
    }
  }
  return result;
}

std::optional<Numbers> fold_gather(const Call& call, const std::vector<Numbers>& inputs) {
  if (call.inputs[0]->shape.size() != 1) return std::nullopt;
  const auto size = static_cast<std::int64_t>(inputs[0].size());
  Numbers result;
  for (const Number& index : inputs[1]) {
    if (index.free() || index.integer < -size || index.integer >= size) return std::nullopt;
    result.push_back(inputs[0][static_cast<std::size_t>(index.integer < 0 ? index.integer + size : index.integer)]);
  }
  return result;
}

std::optional<Numbers> fold_slice(const Call& call, const Numbers& input) {
  if (call.inputs[0]->shape.size() != 1) return std::nullopt;
  const auto cuts = cuts_of(call.constants, call.graph.opset, call.node, call.inputs[0]->shape);
  if (!cuts.ok()) return std::nullopt;
  Numbers result;
  for (std::int64_t i = 0; i < (*cuts)[0].count; ++i)
    result.push_back(input[static_cast<std::size_t>((*cuts)[0].start + i * (*cuts)[0].step)]);
  return result;
}

Numbers fold_shape(const Call& call) {
  const Shape& shape = call.inputs[0]->shape;
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto place = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  Numbers numbers;
  for (std::int64_t i = place(call.node.integer("start", 0)); i < place(call.node.integer("end", rank)); ++i) {
    const std::int64_t size = shape[static_cast<std::size_t>(i)];
    numbers.push_back({size < 0 ? kFreeSize : size});
  }
  return numbers;
}

std::optional<Numbers> fold_size(const Call& call) {
  const Shape& shape = call.inputs[0]->shape;
  if (std::ranges::any_of(shape, [](std::int64_t d) { return d < 0; })) return Numbers{{kFreeSize}};
  const auto count = known_count(shape);
  return count ? std::optional(Numbers{{*count}}) : std::nullopt;
}

std::optional<Numbers> fold_map(const Call& call, const Numbers& input, const std::function<double(double)>& function) {
  if (!is_real(call.inputs[0]->dtype)) return std::nullopt;
  Numbers result = input;
  for (Number& number : result) number.real = function(number.real);
  return result;
}

std::optional<Numbers> fold_reduced(const Call& call, const Numbers& input) {
  if (is_real(call.inputs[0]->dtype) || call.inputs[0]->shape.size() != 1) return std::nullopt;
  const auto axes = axes_of(call.constants, call.node, 1);
  if (!axes.ok() || (call.node.integer("noop_with_empty_axes", 0) != 0 && (!*axes || (*axes)->empty()))) return std::nullopt;
  std::uint64_t product = 1;
  for (const Number& number : input) {
    if (number.free()) return Numbers{{kFreeSize}};
    product *= bits(number.integer);
  }
  return Numbers{{wrapped(product)}};
}

std::optional<Numbers> fold_filled(const Call& call, const Typed& output) {
  const auto attribute = call.node.attributes.find("value");
  Number number;
  if (attribute != call.node.attributes.end()) number = read(std::get<Tensor>(attribute->second))[0];
  return Numbers(static_cast<std::size_t>(element_count(output.shape)), number);
}

std::optional<Numbers> fold_range(const std::vector<Numbers>& inputs, const Typed& output) {
  Numbers result;
  for (std::int64_t i = 0; i < element_count(output.shape); ++i)
    result.push_back({wrapped(bits(inputs[0][0].integer) + bits(i) * bits(inputs[2][0].integer)),
                      inputs[0][0].real + static_cast<double>(i) * inputs[2][0].real});
  return result;
}

}  // namespace

std::optional<Tensor> folded_value(const Call& call, const Typed& output) {
  if (!is_known_kind(output.dtype)) return std::nullopt;
  for (std::int64_t d : output.shape)
    if (d < 0) return std::nullopt;
  const auto count = known_count(output.shape);
  if (!count || *count > kMostElements) return std::nullopt;
  const std::string& op = call.node.op_type;
  const auto done = [&](const std::optional<Numbers>& numbers) { return numbers ? written(*numbers, output) : std::nullopt; };
  if (op == "Shape") return done(fold_shape(call));
  if (op == "Size") return done(fold_size(call));
  std::vector<Numbers> inputs;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Tensor* tensor = call.sizes(i);
    if (tensor == nullptr || !is_known_kind(tensor->dtype()) || tensor->count() > kMostElements) return std::nullopt;
    inputs.push_back(read(*tensor));
  }
  if (inputs.empty()) return std::nullopt;
  if (op == "Identity" || op == "Squeeze" || op == "Unsqueeze" || op == "Reshape" || op == "Flatten") return done(inputs[0]);
  if (op == "Cast" || op == "CastLike") return done(fold_cast(call, inputs[0], output.dtype));
  if (op == "Gather" && inputs.size() == 2) return done(fold_gather(call, inputs));
  if (op == "Slice") return done(fold_slice(call, inputs[0]));
  if (op == "ConstantOfShape") return done(fold_filled(call, output));
  if (op == "Range" && inputs.size() == 3) return done(fold_range(inputs, output));
  if (op == "ReduceProd") return done(fold_reduced(call, inputs[0]));
  if (op == "Floor") return done(fold_map(call, inputs[0], [](double v) { return std::floor(v); }));
  if (op == "Ceil") return done(fold_map(call, inputs[0], [](double v) { return std::ceil(v); }));
  if (op == "Concat" && call.inputs[0]->shape.size() == 1) {
    Numbers all;
    for (const Numbers& input : inputs) all.insert(all.end(), input.begin(), input.end());
    return done(all);
  }
  if (op == "Where" && inputs.size() == 3) {
    Numbers chosen(static_cast<std::size_t>(*count));
    for (const Numbers& input : inputs)
      if (input.size() != 1 && input.size() != chosen.size()) return std::nullopt;
    const auto at = [&](std::size_t which, std::size_t i) { return inputs[which][inputs[which].size() == 1 ? 0 : i]; };
    for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = at(0, i).integer != 0 ? at(1, i) : at(2, i);
    return done(chosen);
  }
  if (inputs.size() == 2) return done(fold_binary(call, inputs, output));
  return std::nullopt;
}

}  // namespace sightline::graph
