// InstanceNormalization, LayerNormalization, MeanVarianceNormalization, LpNormalization: rows are read twice, summed in double. LRN is
// oneDNN's where that has it.
#include <algorithm>
#include <cmath>

#include "graph/operators.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;

struct Moments {
  double mean = 0, variance = 0;
};

template <class T>
Moments moments_of(const T* x, std::int64_t count) {
  Moments moments;
  for (std::int64_t i = 0; i < count; ++i) moments.mean += static_cast<double>(x[i]);
  moments.mean /= static_cast<double>(count);
  for (std::int64_t i = 0; i < count; ++i)
    moments.variance += (static_cast<double>(x[i]) - moments.mean) * (static_cast<double>(x[i]) - moments.mean);
  moments.variance /= static_cast<double>(count);
  return moments;
}

Result<void> answer(const Planner& planner, const Node& node, bool done) {
  return done ? Result<void>() : planner.unsupported(node, std::string("not for ") + name_of(planner.dtype_of(node.inputs[0])));
}

}  // namespace

Result<void> plan_instance_normalization(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  const std::int64_t planes = shape[0] * shape[1], channels = shape[1], area = planes == 0 ? 0 : element_count(shape) / planes;
  const auto epsilon = static_cast<double>(node.real("epsilon", 1e-5F));
  return answer(planner, node, with_real(planner.dtype_of(node.inputs[0]), [&](auto number) {
                  using T = decltype(number);
                  add_plain(planner, node, [=](std::span<std::byte* const> at) {
                    for (std::int64_t plane = 0; plane < planes; ++plane) {
                      const T* x = read_as<T>(at[0]) + plane * area;
                      T* y = write_as<T>(at[3]) + plane * area;
                      const Moments moments = moments_of(x, area);
                      const double factor =
                          static_cast<double>(read_as<T>(at[1])[plane % channels]) / std::sqrt(moments.variance + epsilon);
                      const double shift = static_cast<double>(read_as<T>(at[2])[plane % channels]) - moments.mean * factor;
                      const T scale = static_cast<T>(factor), offset = static_cast<T>(shift);
                      for (std::int64_t i = 0; i < area; ++i) y[i] = x[i] * scale + offset;
                    }
                  });
                }));
}

Result<void> plan_layer_normalization(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", -1), shape.size()));
  const Shape tail(shape.begin() + axis, shape.end());
  const std::int64_t run = element_count(tail), rows = element_count(shape) / run;
  const auto epsilon = static_cast<double>(node.real("epsilon", 1e-5F));
  // Scale and bias may be broadcast over the tail.
  std::vector<Shape> operands{planner.shape_of(node.inputs[1])};
  const bool biased = Planner::has_input(node, 2);
  operands.push_back(biased ? planner.shape_of(node.inputs[2]) : Shape{});
  const Walk walk = walk_of(tail, operands);
  const std::size_t first = node.inputs.size(), outputs = node.outputs.size();
  return answer(planner, node, with_real(planner.dtype_of(node.inputs[0]), [&](auto number) {
                  using T = decltype(number);
                  add_plain(planner, node, [=](std::span<std::byte* const> at) {
                    for (std::int64_t row = 0; row < rows; ++row) {
                      const T* x = read_as<T>(at[0]) + row * run;
                      const Moments moments = moments_of(x, run);
                      const double factor = 1 / std::sqrt(moments.variance + epsilon);
                      if (outputs > 1 && at[first + 1] != nullptr) write_as<float>(at[first + 1])[row] = static_cast<float>(moments.mean);
                      if (outputs > 2 && at[first + 2] != nullptr) write_as<float>(at[first + 2])[row] = static_cast<float>(factor);
                      if (at[first] == nullptr) continue;
                      T* y = write_as<T>(at[first]) + row * run;
                      const T mean = static_cast<T>(moments.mean), spread = static_cast<T>(factor);
                      each_row(walk, [&](std::int64_t begin, const std::vector<std::int64_t>& from) {
                        const T* scale = read_as<T>(at[1]) + from[0];
                        const T* bias = biased ? read_as<T>(at[2]) + from[1] : nullptr;
                        for (std::int64_t i = 0; i < walk.inner; ++i)
                          y[begin + i] =
                              (x[begin + i] - mean) * spread * scale[i * walk.steps[0]] + (biased ? bias[i * walk.steps[1]] : T{0});
                      });
                    }
                  });
                }));
}

Result<void> plan_mean_variance_normalization(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  std::vector<bool> reduced(shape.size(), false);
  for (std::int64_t given : node.integers("axes", {0, 2, 3})) {
    SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, given, shape.size()));
    reduced[static_cast<std::size_t>(axis)] = true;
  }
  // Which group each element belongs to, as strides that are 0 on reduced axes.
  const auto strides = strides_of(shape);
  std::vector<std::int64_t> group_strides(shape.size(), 0);
  std::int64_t groups = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (reduced[i]) continue;
    group_strides[i] = groups;
    groups *= shape[i];
  }
  const std::int64_t count = element_count(shape);
  return answer(planner, node, with_real(planner.dtype_of(node.inputs[0]), [&](auto number) {
                  using T = decltype(number);
                  add_plain(planner, node, [=](std::span<std::byte* const> at) {
                    const T* x = read_as<T>(at[0]);
                    const auto group_of = [&](std::int64_t i) {
                      std::int64_t group = 0;
                      for (std::size_t k = 0; k < shape.size(); ++k) group += i / strides[k] % shape[k] * group_strides[k];
                      return static_cast<std::size_t>(group);
                    };
                    std::vector<double> mean(static_cast<std::size_t>(groups), 0.0), variance(mean);
                    const double each = static_cast<double>(count) / static_cast<double>(groups);
                    for (std::int64_t i = 0; i < count; ++i) mean[group_of(i)] += static_cast<double>(x[i]) / each;
                    for (std::int64_t i = 0; i < count; ++i) {
                      const double difference = static_cast<double>(x[i]) - mean[group_of(i)];
                      variance[group_of(i)] += difference * difference / each;
                    }
                    for (std::int64_t i = 0; i < count; ++i) {
                      const std::size_t group = group_of(i);
                      write_as<T>(at[1])[i] =
                          static_cast<T>((static_cast<double>(x[i]) - mean[group]) / (std::sqrt(variance[group]) + 1e-9));
                    }
                  });
                }));
}

Result<void> plan_lp_normalization(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", -1), shape.size()));
  const Split3 split = around(shape, static_cast<std::size_t>(axis));
  const std::int64_t p = node.integer("p", 2);
  if (p != 1 && p != 2) return planner.invalid(node, "p is neither 1 nor 2");
  return answer(planner, node, with_real(planner.dtype_of(node.inputs[0]), [&](auto number) {
                  using T = decltype(number);
                  add_plain(planner, node, [=](std::span<std::byte* const> at) {
                    for (std::int64_t i = 0; i < split.outer * split.inner; ++i) {
                      const std::int64_t begin = i / split.inner * split.size * split.inner + i % split.inner;
                      const T* x = read_as<T>(at[0]) + begin;
                      T* y = write_as<T>(at[1]) + begin;
                      double sum = 0;
                      for (std::int64_t k = 0; k < split.size; ++k) {
                        const auto v = static_cast<double>(x[k * split.inner]);
                        sum += p == 1 ? std::abs(v) : v * v;
                      }
                      const double norm = p == 1 ? sum : std::sqrt(sum);
                      for (std::int64_t k = 0; k < split.size; ++k)
                        y[k * split.inner] = norm == 0 ? T{0} : static_cast<T>(static_cast<double>(x[k * split.inner]) / norm);
                    }
                  });
                }));
}

Result<void> plan_local_response_normalization(Planner& planner, const Node& node) {
  SIGHTLINE_CHECK(planner.expect_f32(node, node.inputs[0]));
  const Shape& shape = planner.shape_of(node.inputs[0]);
  const std::int64_t size = node.integer("size", 0);
  if (shape.size() < 2 || size < 1 || size > 1'000'000) return planner.invalid(node, "it needs N×C×… and a size from 1 on");
  const float alpha = node.real("alpha", 1e-4F), beta = node.real("beta", 0.75F), bias = node.real("bias", 1.0F);
  if (size % 2 == 1 && shape.size() == 4) {
    using Primitive = dnnl::lrn_forward;
    const Location source = planner.operand(node, node.inputs[0]);
    const Primitive::primitive_desc pd(
        Primitive::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::lrn_across_channels, source.desc, size, alpha, beta, bias),
        Planner::attributes(), cpu_engine(), true);
    if (pd) {
      const Location destination = planner.make(pd.dst_desc());
      planner.add(node.name.empty() ? node.outputs[0] : node.name, node.op_type, Primitive(pd), pd,
                  {{DNNL_ARG_SRC, source}, {DNNL_ARG_DST, destination}});
      planner.define(node.outputs[0], destination);
      return {};
    }
  }
  const Split3 split = around(shape, 1);
  add_plain(planner, node, [=](std::span<std::byte* const> at) {
    const float* x = read_as<float>(at[0]);
    for (std::int64_t i = 0; i < split.outer * split.size * split.inner; ++i) {
      const std::int64_t channel = i / split.inner % split.size;
      double sum = 0;
      for (std::int64_t c = std::max<std::int64_t>(0, channel - (size - 1) / 2); c <= std::min(split.size - 1, channel + size / 2); ++c) {
        const auto v = static_cast<double>(x[i + (c - channel) * split.inner]);
        sum += v * v;
      }
      write_as<float>(at[1])[i] = static_cast<float>(
          static_cast<double>(x[i]) /
          std::pow(static_cast<double>(bias) + static_cast<double>(alpha) / static_cast<double>(size) * sum, static_cast<double>(beta)));
    }
  });
  return {};
}

Result<void> plan_softmax_loops(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  const bool early = planner.opset() < 13, logarithm = node.op_type == "LogSoftmax";
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", early ? 1 : -1), shape.size()));
  Split3 split = around(shape, static_cast<std::size_t>(axis));
  if (early) split = {split.outer, split.size * split.inner, 1};
  return answer(planner, node, with_real(planner.dtype_of(node.inputs[0]), [&](auto number) {
                  using T = decltype(number);
                  add_plain(planner, node, [=](std::span<std::byte* const> at) {
                    for (std::int64_t i = 0; i < split.outer * split.inner; ++i) {
                      const std::int64_t begin = i / split.inner * split.size * split.inner + i % split.inner;
                      const T* x = read_as<T>(at[0]) + begin;
                      T* y = write_as<T>(at[1]) + begin;
                      T greatest = x[0], sum = 0;
                      for (std::int64_t k = 0; k < split.size; ++k) greatest = std::max(greatest, x[k * split.inner]);
                      for (std::int64_t k = 0; k < split.size; ++k) sum += std::exp(x[k * split.inner] - greatest);
                      for (std::int64_t k = 0; k < split.size; ++k) {
                        const T shifted = x[k * split.inner] - greatest;
                        y[k * split.inner] = logarithm ? shifted - std::log(sum) : std::exp(shifted) / sum;
                      }
                    }
                  });
                }));
}

}  // namespace sightline::runtime
