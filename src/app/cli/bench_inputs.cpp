#include "app/cli/bench_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/random.h"
#include "base/text.h"
#include "graph/operators.h"

namespace sightline::cli {
namespace {

std::optional<std::int64_t> number_in(const std::string& text, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < 1 || value > most) return std::nullopt;
  return value;
}

double value_at(const Tensor& tensor, std::size_t i) {
  switch (tensor.dtype()) {
    case Dtype::f32: return static_cast<double>(tensor.values<float>()[i]);
    case Dtype::f64: return tensor.values<double>()[i];
    case Dtype::i64: return static_cast<double>(tensor.values<std::int64_t>()[i]);
    case Dtype::i32: return static_cast<double>(tensor.values<std::int32_t>()[i]);
    case Dtype::i8: return static_cast<double>(tensor.values<std::int8_t>()[i]);
    case Dtype::u8: return static_cast<double>(tensor.values<std::uint8_t>()[i]);
    default: return static_cast<double>(std::to_integer<int>(tensor.data()[i]));
  }
}

}  // namespace

Result<std::vector<std::int64_t>> parse_batches(const std::string& text) {
  std::vector<std::int64_t> batches;
  for (const std::string& part : split(text, ',')) {
    const auto batch = number_in(trim(part), 4096);
    if (!batch) return Error{ErrorKind::usage, fmt::format("--batch {}: it is a list of numbers from 1 to 4096, like 1,8", text)};
    batches.push_back(*batch);
  }
  return batches;
}

Result<std::int64_t> apply_shape(graph::Graph& graph, const std::string& text) {
  const std::size_t equals = text.rfind('=');
  const std::string name = equals == std::string::npos ? "" : text.substr(0, equals);
  std::vector<std::string> names;
  graph::ValueInfo* input = graph.inputs.size() == 1 && name.empty() ? graph.inputs.data() : nullptr;
  for (graph::ValueInfo& each : graph.inputs) {
    names.push_back(each.name);
    if (each.name == name) input = &each;
  }
  if (input == nullptr)
    return Error{ErrorKind::usage, fmt::format("--shape {}: there is no input \"{}\"{}; the inputs are {}", text, name,
                                               did_you_mean(name, names), join(names, ", "))};
  const std::vector<std::string> sizes = split(text.substr(equals == std::string::npos ? 0 : equals + 1), 'x');
  const Error misfit{ErrorKind::usage,
                     fmt::format("--shape {}: it does not fit \"{}\", which is {}", text, input->name, to_string(input->shape))};
  if (sizes.size() != input->shape.size()) return misfit;
  std::int64_t first = 1;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    const auto size = number_in(sizes[axis], std::int64_t{1} << 30);
    if (!size || (input->shape[axis] >= 0 && input->shape[axis] != *size)) return misfit;
    if (axis == 0) first = *size;
    if (axis > 0) input->shape[axis] = *size;
  }
  if (!graph::known_count(input->shape)) return misfit;
  return first;
}

Result<void> check_settled(const graph::Graph& graph) {
  for (const graph::ValueInfo& input : graph.inputs) {
    for (std::size_t axis = 1; axis < input.shape.size(); ++axis) {
      if (input.shape[axis] >= 0) continue;
      std::string example = input.name + "=1";
      for (std::size_t i = 1; i < input.shape.size(); ++i)
        example += input.shape[i] < 0 ? std::string("x224") : fmt::format("x{}", input.shape[i]);
      return Error{ErrorKind::usage, fmt::format("the input \"{}\" ({}) leaves a size free; fix it, for example with --shape {}",
                                                 input.name, to_string(input.shape), example)};
    }
  }
  return {};
}

std::vector<std::int64_t> possible_batches(const graph::Graph& graph, const std::vector<std::int64_t>& wanted) {
  for (const graph::ValueInfo& input : graph.inputs) {
    if (!input.shape.empty() && input.shape[0] >= 0) return {input.shape[0]};
  }
  return wanted;
}

std::vector<Tensor> noise_for(const graph::Graph& graph, std::int64_t batch, std::uint64_t seed) {
  std::vector<Tensor> tensors;
  for (const graph::ValueInfo& input : graph.inputs) {
    Shape shape = input.shape;
    if (!shape.empty() && shape[0] < 0) shape[0] = batch;
    Tensor tensor = Tensor::zeros(input.dtype, shape);
    Random random(seed, tensors.size());
    const auto fill = [&](auto values, auto draw) {
      for (auto& value : values) value = static_cast<std::remove_reference_t<decltype(value)>>(draw());
    };
    const auto bit = [&] { return random.below(2); };
    switch (input.dtype) {
      case Dtype::f32: fill(tensor.values<float>(), [&] { return random.normal(); }); break;
      case Dtype::f64: fill(tensor.values<double>(), [&] { return random.normal(); }); break;
      case Dtype::u8: fill(tensor.values<std::uint8_t>(), [&] { return random.below(256); }); break;
      case Dtype::i8: fill(tensor.values<std::int8_t>(), bit); break;
      case Dtype::i32: fill(tensor.values<std::int32_t>(), bit); break;
      case Dtype::i64: fill(tensor.values<std::int64_t>(), bit); break;
      case Dtype::boolean: fill(tensor.values<bool>(), bit); break;
      case Dtype::f16:
      case Dtype::bf16: break;  // zeros
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

namespace {

// Where an operator's number of rows is known only when it has run, our runtime makes the most there can be and fills those that are not
// used with -1 (NonMaxSuppression); ONNX Runtime makes those that are used.
bool has_unused_rows(const Tensor& got, const Tensor& wanted) {
  if (got.dtype() != Dtype::i64 || wanted.dtype() != Dtype::i64 || got.rank() == 0 || got.rank() != wanted.rank()) return false;
  if (got.dim(0) <= wanted.dim(0) || !std::equal(got.shape().begin() + 1, got.shape().end(), wanted.shape().begin() + 1)) return false;
  const auto values = got.values<std::int64_t>();
  return std::all_of(values.begin() + wanted.count(), values.end(), [](std::int64_t value) { return value == -1; });
}

}  // namespace

double largest_difference(const Tensor& got, const Tensor& wanted) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  if (has_unused_rows(got, wanted)) return wanted.count() == 0 ? 0 : largest_difference(got.rows(0, wanted.dim(0)), wanted);
  if (got.dtype() != wanted.dtype() || got.shape() != wanted.shape() || got.dtype() == Dtype::f16 || got.dtype() == Dtype::bf16)
    return infinite;
  double scale = 0, difference = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(got.count()); ++i) {
    const double a = value_at(got, i), b = value_at(wanted, i);
    if (a == b || (std::isnan(a) && std::isnan(b))) {
      if (std::isfinite(b)) scale = std::max(scale, std::abs(b));
      continue;
    }
    if (!std::isfinite(a) || !std::isfinite(b)) return infinite;
    scale = std::max(scale, std::abs(b));
    difference = std::max(difference, std::abs(a - b));
  }
  return difference == 0 ? 0 : difference / std::max(scale, 1e-30);
}

}  // namespace sightline::cli
