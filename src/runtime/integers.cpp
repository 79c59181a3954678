#include "runtime/integers.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "graph/operators.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;
using Desc = dnnl::memory::desc;
using Numbers = dnnl::memory::data_type;

// Element i of 8-bit integers.
std::int64_t integer_at(const Tensor& tensor, std::size_t i) {
  if (tensor.dtype() == Dtype::u8) return tensor.values<std::uint8_t>()[i];
  if (tensor.dtype() == Dtype::i8) return tensor.values<std::int8_t>()[i];
  return tensor.values<std::int32_t>()[i];
}

bool is_integers(Dtype dtype) { return dtype == Dtype::u8 || dtype == Dtype::i8; }

// The one number that all zero points are; nothing when they differ.
std::optional<std::int64_t> common_zero(const Tensor* zeros) {
  if (zeros == nullptr) return 0;
  for (std::size_t i = 1; i < static_cast<std::size_t>(zeros->count()); ++i)
    if (integer_at(*zeros, i) != integer_at(*zeros, 0)) return std::nullopt;
  return zeros->count() == 0 ? std::optional<std::int64_t>() : integer_at(*zeros, 0);
}

struct WeightsRead {
  const Tensor* values = nullptr;
  std::vector<float> scales;
  std::int64_t offset = 0;
};

// Constant 8-bit weights with one scale, or one for each output channel, that fit s8 when their zero point is taken off.
std::optional<WeightsRead> read_weights(const Planner& planner, const Node& dequantize, std::size_t axis, std::int64_t channels) {
  const auto& initializers = planner.graph().initializers;
  const Tensor &values = initializers.at(dequantize.inputs[0]), &scales = initializers.at(dequantize.inputs[1]);
  if (!is_integers(values.dtype()) || scales.dtype() != Dtype::f32) return std::nullopt;
  if (scales.count() != 1) {
    const auto along = graph::axis_of(dequantize, dequantize.integer("axis", 1), values.rank());
    if (!along.ok() || static_cast<std::size_t>(*along) != axis || scales.count() != channels) return std::nullopt;
  }
  const auto zero = common_zero(Planner::has_input(dequantize, 2) ? &initializers.at(dequantize.inputs[2]) : nullptr);
  if (!zero) return std::nullopt;
  const auto fits = [&](std::int64_t v) { return v - *zero >= -128 && v - *zero <= 127; };
  if (*zero != 0 || values.dtype() == Dtype::u8)
    for (std::size_t i = 0; i < static_cast<std::size_t>(values.count()); ++i)
      if (!fits(integer_at(values, i))) return std::nullopt;
  WeightsRead read{&values, {scales.values<float>().begin(), scales.values<float>().end()}, *zero};
  return read;
}

// Functions f with f(c·x) = c·f(x) for every c > 0 that post-ops have: they may be applied in any unit.
bool is_homogeneous(const std::vector<Eltwise>& functions) {
  return functions.size() == 1 &&
         (functions[0].algorithm == dnnl::algorithm::eltwise_relu ||
          (functions[0].algorithm == dnnl::algorithm::eltwise_linear && functions[0].alpha > 0 && functions[0].beta == 0));
}

// Whether what lies outside the function's range becomes the least and the greatest integer in any case: then it has nothing to do.
bool saturates_alike(const Eltwise& function, const Quantization& how) {
  const bool clip = function.algorithm == dnnl::algorithm::eltwise_clip;
  if (!clip && (function.algorithm != dnnl::algorithm::eltwise_relu || function.alpha != 0)) return false;
  const bool is_u8 = how.numbers == Numbers::u8;
  const auto integer = [&](float real) { return std::nearbyint(real / how.scale) + static_cast<float>(how.zero); };
  const bool low = integer(clip ? function.alpha : 0) <= (is_u8 ? 0.0F : -128.0F);
  return low && (!clip || integer(function.beta) >= (is_u8 ? 255.0F : 127.0F));
}

// Appends followers one by one; keeps the unit.
class Followers {
 public:
  Followers(Planner& planner, Nodes chain, const Desc& dst, float excess) : planner_(planner), chain_(chain), dst_(dst), excess_(excess) {
    // Whether the result will be integers decides whether it may be accumulated into others.
    if (chain.size() > 1 && chain.back()->op_type == "QuantizeLinear") goal_ = quantization_of(planner, *chain.back());
    result_.stored = planner.result_numbers_of(chain);
    result_.first_unit = unit_ = first_unit();
    to_unit(unit_, -excess / unit_);
  }

  IntegerPostOps append() {
    while (result_.nodes < chain_.size() && result_.quantize == nullptr) {
      const std::size_t taken = append_next();
      if (taken == 0) break;
      result_.nodes += taken;
    }
    // A chain that is cut short must not have been planned for its end.
    if (result_.nodes < chain_.size()) return Followers(planner_, chain_.first(result_.nodes), dst_, excess_).append();
    if (result_.quantize == nullptr) to_unit(1, 0);
    flush();
    return std::move(result_);
  }

 private:
  struct Operand {
    std::string value;
    bool left = true;  // the chain is the left one
    const Quantized* integers = nullptr;
  };

  const std::string& previous(std::size_t i) const { return chain_[i - 1]->outputs[0]; }
  const Shape& shape() const { return planner_.shape_of(chain_[0]->outputs[0]); }

  std::optional<Operand> addend(std::size_t i) const {
    const Node& node = *chain_[i];
    if (node.op_type != "Add" || node.inputs.size() != 2) return std::nullopt;
    const bool left = node.inputs[0] == previous(i);
    const std::string& other = node.inputs[left ? 1 : 0];
    if (planner_.shape_of(other) != shape() || other == previous(i)) return std::nullopt;
    const Quantized* integers = planner_.quantized(other);
    return integers == nullptr ? std::nullopt : std::optional<Operand>({other, left, integers});
  }
  bool can_accumulate(const Operand& operand) const {
    return goal_ && result_.post_ops.summed.empty() && planner_.dies_here(planner_.native(operand.integers->integers));
  }

  // The unit in which nothing has to be converted on the way.
  float first_unit() const {
    for (std::size_t i = 1; i < chain_.size(); ++i) {
      if (chain_[i]->op_type == "QuantizeLinear") break;
      if (i + 1 < chain_.size() && is_gated(*chain_[i], *chain_[i + 1], previous(i))) return 1;
      if (const auto operand = addend(i)) {
        if (can_accumulate(*operand)) continue;
        return operand->integers->how.scale;
      }
      const auto functions = eltwise_of(planner_, *chain_[i], previous(i));
      const bool clip = functions.size() == 1 && functions[0].algorithm == dnnl::algorithm::eltwise_clip;
      if (!clip && !is_homogeneous(functions)) return 1;
    }
    return goal_ ? goal_->scale : 1;
  }

  // From here on a register stands for another unit, after `shift` (in that unit) has been added. Put off until something must see it.
  void to_unit(float unit, float shift) {
    const float factor = unit_ / unit;
    factor_ *= factor;
    shift_ = shift_ * factor + shift;
    unit_ = unit;
  }
  void flush() {
    if (factor_ != 1 || shift_ != 0) {
      if (may_append(result_.post_ops.ops, dnnl::algorithm::eltwise_linear)) {
        result_.post_ops.ops.append_eltwise(1, dnnl::algorithm::eltwise_linear, factor_, shift_);
      } else {
        if (factor_ != 1) append_number(dnnl::algorithm::binary_mul, factor_);
        if (shift_ != 0) append_number(dnnl::algorithm::binary_add, shift_);
      }
    }
    factor_ = 1;
    shift_ = 0;
  }
  void append_number(dnnl::algorithm algorithm, float number) {
    const int position = result_.post_ops.ops.len();
    const Desc desc = row_major(Shape(static_cast<std::size_t>(dst_.data.ndims), 1));
    result_.post_ops.ops.append_binary(algorithm, desc);
    result_.numbers.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(position) | DNNL_ARG_SRC_1, number, desc});
  }

  std::size_t append_next() {
    const std::size_t i = result_.nodes;
    const Node& node = *chain_[i];
    if (node.op_type == "QuantizeLinear") {
      if (!goal_ || i + 1 != chain_.size()) return 0;
      to_unit(goal_->scale, static_cast<float>(goal_->zero));
      result_.quantize = &node;
      result_.stored = goal_->numbers;
      return 1;
    }
    if (const auto operand = addend(i)) {
      append_sum(*operand);
      return 1;
    }
    if (const auto functions = eltwise_of(planner_, node, previous(i)); !functions.empty()) {
      const bool gated = i + 1 < chain_.size() && is_gated(node, *chain_[i + 1], previous(i));
      if (!gated && goal_ && i + 2 == chain_.size() && functions.size() == 1 && saturates_alike(functions[0], *goal_)) return 1;
      if (!gated) {
        const bool clip = functions.size() == 1 && functions[0].algorithm == dnnl::algorithm::eltwise_clip;
        if (!clip && !is_homogeneous(functions)) to_unit(1, 0);
        flush();
        for (const Eltwise& f : functions)
          if (!may_append(result_.post_ops.ops, f.algorithm)) return 0;
        for (const Eltwise& f : functions)
          result_.post_ops.ops.append_eltwise(1, f.algorithm, clip ? f.alpha / unit_ : f.alpha, clip ? f.beta / unit_ : f.beta);
        return 1;
      }
    }
    return append_real(i);
  }

  void append_sum(const Operand& operand) {
    const Quantization& how = operand.integers->how;
    if (can_accumulate(operand)) {
      flush();
      result_.post_ops.ops.append_sum(how.scale / unit_, how.zero, how.numbers);
      result_.post_ops.summed = operand.integers->integers;
      return;
    }
    to_unit(how.scale, -static_cast<float>(how.zero));
    flush();
    append_binary(dnnl::algorithm::binary_add, retyped(dst_, how.numbers), operand.integers->integers);
  }

  void append_binary(dnnl::algorithm algorithm, const Desc& desc, const std::string& value) {
    const int position = result_.post_ops.ops.len();
    result_.post_ops.ops.append_binary(algorithm, desc);
    result_.post_ops.extras.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(position) | DNNL_ARG_SRC_1, value, desc});
  }

  // What is as in f32: gates, numbers per channel, another tensor that is no integers.
  std::size_t append_real(std::size_t i) {
    to_unit(1, 0);
    flush();
    const std::string before = result_.post_ops.summed;
    result_.post_ops.summed = "none";  // integers are not a place for real numbers
    const std::size_t taken =
        append_post_op(planner_, chain_.subspan(i), previous(i), shape(), retyped(dst_, Numbers::f32), result_.post_ops);
    result_.post_ops.summed = before;
    return taken;
  }

  Planner& planner_;
  Nodes chain_;
  const Desc& dst_;
  float excess_ = 0;
  std::optional<Quantization> goal_;
  float unit_ = 1, factor_ = 1, shift_ = 0;
  IntegerPostOps result_;
};

}  // namespace

std::optional<Quantization> quantization_of(const Planner& planner, const Node& node) {
  const bool makes = node.op_type == "QuantizeLinear";
  const Dtype dtype = planner.dtype_of(makes ? node.outputs[0] : node.inputs[0]);
  const auto scale = planner.scalar(node.inputs[1]);
  if (!is_integers(dtype) || !scale || !(*scale > 0) || !std::isfinite(*scale)) return std::nullopt;
  if (makes && planner.dtype_of(node.inputs[0]) != Dtype::f32) return std::nullopt;
  Quantization how{*scale, 0, data_type_of(dtype)};
  if (Planner::has_input(node, 2)) {
    const Tensor* zero = planner.constant(node.inputs[2]);
    if (zero == nullptr || zero->count() != 1) return std::nullopt;
    how.zero = static_cast<std::int32_t>(integer_at(*zero, 0));
  }
  return how;
}

Tensor dequantized(const graph::Graph& graph, const Node& node) {
  const Tensor &values = graph.initializers.at(node.inputs[0]), &scales = graph.initializers.at(node.inputs[1]);
  const Tensor* zeros = Planner::has_input(node, 2) ? &graph.initializers.at(node.inputs[2]) : nullptr;
  Split3 split{1, 1, values.count()};
  if (scales.count() != 1) {
    const auto axis = graph::axis_of(node, node.integer("axis", 1), values.rank());
    split = around(values.shape(), static_cast<std::size_t>(*axis));
  }
  Tensor result(Dtype::f32, values.shape());
  for (std::size_t i = 0; i < result.values<float>().size(); ++i) {
    const auto channel = static_cast<std::size_t>(static_cast<std::int64_t>(i) / split.inner % split.size);
    const std::int64_t zero = zeros == nullptr ? 0 : integer_at(*zeros, zeros->count() == 1 ? 0 : channel);
    result.values<float>()[i] = static_cast<float>(integer_at(values, i) - zero) * scales.values<float>()[channel];
  }
  return result;
}

Location converted(Planner& planner, const std::string& name, const std::string& op_type, const Location& source, const Quantization* from,
                   const Quantization* to, const Desc& wanted) {
  dnnl::primitive_attr attributes = Planner::attributes();
  attributes.set_output_scales(0, {(from != nullptr ? from->scale : 1.0F) / (to != nullptr ? to->scale : 1.0F)});
  if (from != nullptr && from->zero != 0) attributes.set_zero_points(DNNL_ARG_SRC, 0, {from->zero});
  if (to != nullptr && to->zero != 0) attributes.set_zero_points(DNNL_ARG_DST, 0, {to->zero});
  const dnnl::reorder::primitive_desc pd(cpu_engine(), source.desc, cpu_engine(), wanted, attributes);
  const Location destination = planner.make(wanted);
  planner.add(name, op_type, dnnl::reorder(pd), pd, {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, destination}});
  return destination;
}

std::optional<IntegerLayer> integer_layer(Planner& planner, const Node& node, std::size_t axis, std::int64_t channels, bool padded) {
  const Quantized* input = planner.quantized(node.inputs[0]);
  const Node* weights = planner.dequantized_constant(node.inputs[1]);
  if (input == nullptr || weights == nullptr || !processor_has_int8() || planner.is_kept_f32(node)) return std::nullopt;
  auto read = read_weights(planner, *weights, axis, channels);
  if (!read) return std::nullopt;
  IntegerLayer layer{.source = input->integers,
                     .input = input->how,
                     .weights = weights->inputs[0],
                     .offset = read->offset,
                     .scales = std::move(read->scales),
                     .bias = nullptr,
                     .channels = channels};
  for (float& scale : layer.scales) {
    scale *= input->how.scale;
    // The bias is divided by it.
    if (!std::isnormal(scale)) return std::nullopt;
  }
  if (Planner::has_input(node, 2)) {
    layer.bias = planner.constant(node.inputs[2]);
    if (layer.bias == nullptr || layer.bias->dtype() != Dtype::f32 || layer.bias->count() != channels) return std::nullopt;
  }
  layer.folds_zero = input->how.zero != 0 && !padded;
  return layer;
}

dnnl::primitive_attr integer_attributes(const IntegerLayer& layer, float unit) {
  dnnl::primitive_attr attributes = Planner::attributes();
  std::vector<float> scales = layer.scales;
  for (float& scale : scales) scale /= unit;
  attributes.set_output_scales(scales.size() > 1 ? 1 << 1 : 0, scales);
  if (layer.input.zero != 0 && !layer.folds_zero) attributes.set_zero_points(DNNL_ARG_SRC, 0, {layer.input.zero});
  return attributes;
}

Location integer_bias(Planner& planner, const IntegerLayer& layer, std::size_t axis) {
  const Tensor& weights = planner.graph().initializers.at(layer.weights);
  // One weight may meet several inputs.
  std::string key = "bias of integers " + layer.weights + " " + std::to_string(axis) + " " + std::to_string(layer.input.scale) + " " +
                    std::to_string(layer.folds_zero ? layer.input.zero : 0);
  if (layer.bias != nullptr) key += " " + std::to_string(reinterpret_cast<std::uintptr_t>(layer.bias->data()));
  return planner.derived(key, row_major({layer.channels}), [&] {
    Tensor bias = Tensor::zeros(Dtype::f32, {layer.channels});
    const auto values = bias.values<float>();
    if (layer.folds_zero) {
      const Split3 split = around(weights.shape(), axis);
      std::vector<std::int64_t> sums(values.size(), 0);
      for (std::size_t i = 0; i < static_cast<std::size_t>(weights.count()); ++i)
        sums[static_cast<std::size_t>(static_cast<std::int64_t>(i) / split.inner % split.size)] += integer_at(weights, i) - layer.offset;
      for (std::size_t c = 0; c < values.size(); ++c) values[c] = -static_cast<float>(layer.input.zero * sums[c]);
    }
    if (layer.bias != nullptr)
      for (std::size_t c = 0; c < values.size(); ++c)
        values[c] += layer.bias->values<float>()[c] / layer.scales[layer.scales.size() == 1 ? 0 : c];
    return bias;
  });
}

Location integer_weights(Planner& planner, const IntegerLayer& layer, const Desc& plain, const Desc& wanted) {
  const Tensor& weights = planner.graph().initializers.at(layer.weights);
  if (layer.offset == 0 && weights.dtype() == Dtype::i8) return planner.constant_as(layer.weights, plain, wanted);
  return planner.derived_as("s8 of " + layer.weights, plain, wanted, [&] {
    Tensor shifted(Dtype::i8, weights.shape());
    for (std::size_t i = 0; i < shifted.values<std::int8_t>().size(); ++i)
      shifted.values<std::int8_t>()[i] = static_cast<std::int8_t>(integer_at(weights, i) - layer.offset);
    return shifted;
  });
}

Location IntegerPostOps::destination(Planner& planner, const Desc& dst) const {
  if (post_ops.summed.empty()) return planner.make(dst);
  const Location place = planner.in_layout(post_ops.summed, retyped(dst, planner.native(post_ops.summed).desc.data_type()));
  return {dst, place.buffer, place.offset};
}

void IntegerPostOps::add_arguments(Planner& planner, Arguments& arguments) const {
  for (const Number& number : numbers)
    arguments.emplace_back(
        number.argument,
        planner.derived(
            "number " + std::to_string(std::bit_cast<std::uint32_t>(number.value)) + " " + std::to_string(number.desc.data.ndims),
            number.desc, [&] { return Tensor::filled(Shape(static_cast<std::size_t>(number.desc.data.ndims), 1), number.value); }));
  for (const PostOps::Extra& extra : post_ops.extras)
    arguments.emplace_back(extra.argument, planner.constant(extra.value) != nullptr
                                               ? planner.constant_as(extra.value, extra.desc, extra.desc)
                                               : planner.in_layout(extra.value, extra.desc));
}

IntegerPostOps integer_post_ops(Planner& planner, Nodes chain, const Desc& dst, float excess) {
  return Followers(planner, chain, dst, excess).append();
}

}  // namespace sightline::runtime
