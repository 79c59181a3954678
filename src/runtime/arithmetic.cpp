// Add, Sub, Mul, Div, Pow with ONNX's broadcasting. oneDNN does what it has fast kernels for, in the layout of the larger operand; the
// rest, and integers, are plain loops.
#include <cmath>
#include <limits>
#include <type_traits>

#include "runtime/channel_gates.h"
#include "runtime/integers.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;

// Integers wrap around like in every other implementation; division by zero gives zero instead of a trap.
template <class T>
Kernel loops_for(const std::string& op, const Walk& walk) {
  const auto with = [&](auto function) { return broadcasting<T, T>(walk, function); };
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    if (op == "Add") return with([](T x, T y) { return static_cast<T>(static_cast<U>(x) + static_cast<U>(y)); });
    if (op == "Sub") return with([](T x, T y) { return static_cast<T>(static_cast<U>(x) - static_cast<U>(y)); });
    if (op == "Mul") return with([](T x, T y) { return static_cast<T>(std::uint64_t{static_cast<U>(x)} * static_cast<U>(y)); });
    return with([](T x, T y) {
      if (y == 0) return T{0};
      if constexpr (std::is_signed_v<T>)
        if (y == -1) return static_cast<T>(U{0} - static_cast<U>(x));
      return static_cast<T>(x / y);
    });
  } else {
    if (op == "Add") return with([](T x, T y) { return x + y; });
    if (op == "Sub") return with([](T x, T y) { return x - y; });
    if (op == "Mul") return with([](T x, T y) { return x * y; });
    return with([](T x, T y) { return x / y; });
  }
}

// The result has the base's dtype, whatever the exponent's is.
template <class T, class E>
Kernel power_loops(const Walk& walk) {
  return [walk](std::span<std::byte* const> at) {
    each_row(walk, [&](std::int64_t begin, const std::vector<std::int64_t>& from) {
      const T* x = read_as<T>(at[0]) + from[0];
      const E* y = read_as<E>(at[1]) + from[1];
      T* to = write_as<T>(at[2]) + begin;
      for (std::int64_t i = 0; i < walk.inner; ++i) {
        const double power = std::pow(static_cast<double>(x[i * walk.steps[0]]), static_cast<double>(y[i * walk.steps[1]]));
        if constexpr (std::is_integral_v<T>) {
          // Beyond the dtype is undefined; saturating is at least the same everywhere.
          constexpr auto low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
          to[i] = std::isnan(power)                    ? T{0}
                  : power >= static_cast<double>(high) ? high
                  : power <= static_cast<double>(low)  ? low
                                                       : static_cast<T>(power);
        } else {
          to[i] = static_cast<T>(power);
        }
      }
    });
  };
}

Result<void> plan_loops(Planner& planner, const Node& node) {
  const std::string &a = node.inputs[0], &b = node.inputs[1];
  const Walk walk = walk_of(planner.shape_of(node.outputs[0]), {planner.shape_of(a), planner.shape_of(b)});
  Kernel kernel;
  with_number(planner.dtype_of(a), [&](auto base) {
    using T = decltype(base);
    if (node.op_type != "Pow") {
      kernel = loops_for<T>(node.op_type, walk);
    } else {
      with_number(planner.dtype_of(b), [&](auto exponent) { kernel = power_loops<T, decltype(exponent)>(walk); });
    }
  });
  if (!kernel)
    return planner.unsupported(node, std::string("not for ") + name_of(planner.dtype_of(a)) + " and " + name_of(planner.dtype_of(b)));
  add_plain(planner, node, std::move(kernel));
  return {};
}

bool in_same_blocks(const dnnl::memory::desc& a, const dnnl::memory::desc& b) {
  const auto &x = a.data.format_desc.blocking, &y = b.data.format_desc.blocking;
  if (a.data.ndims != b.data.ndims || x.inner_nblks == 0 || x.inner_nblks != y.inner_nblks) return false;
  return std::equal(x.inner_blks, x.inner_blks + x.inner_nblks, y.inner_blks) &&
         std::equal(x.inner_idxs, x.inner_idxs + x.inner_nblks, y.inner_idxs);
}

bool is_padded(const dnnl::memory::desc& desc) {
  return !std::equal(desc.data.dims, desc.data.dims + desc.data.ndims, desc.data.padded_dims);
}

dnnl::algorithm algorithm_of(const Node& node) {
  if (node.op_type == "Add") return dnnl::algorithm::binary_add;
  if (node.op_type == "Sub") return dnnl::algorithm::binary_sub;
  if (node.op_type == "Mul") return dnnl::algorithm::binary_mul;
  if (node.op_type == "Div") return dnnl::algorithm::binary_div;
  return dnnl::algorithm::undef;
}

// Sums and products of integers that are integers again at the end of the chain. 0 when they are none.
std::size_t plan_integer_arithmetic(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
  std::string x = node.inputs[0], y = node.inputs[1];
  const Shape& shape = planner.shape_of(node.outputs[0]);
  if (node.op_type != "Add" && node.op_type != "Mul") return 0;
  if (planner.shape_of(x) != shape) std::swap(x, y);
  const Quantized *a = planner.quantized(x), *b = planner.quantized(y);
  if (a == nullptr || b == nullptr || planner.shape_of(x) != shape || planner.is_kept_f32(node) || !processor_has_int8()) return 0;
  const bool sum = node.op_type == "Add";
  if (!sum && (a->how.zero != 0 || b->how.zero != 0)) return 0;
  if (!sum && plan_integer_gates(planner, chain, *a, *b, planner.shape_of(y))) return 2;
  const Location left = planner.native(a->integers);
  const float excess = sum ? a->how.scale * static_cast<float>(a->how.zero) + b->how.scale * static_cast<float>(b->how.zero) : 0;
  const IntegerPostOps followers = integer_post_ops(planner, chain, left.desc, excess);
  if (followers.quantize == nullptr || !followers.post_ops.summed.empty()) return 0;
  const float unit = followers.first_unit;
  dnnl::primitive_attr attributes = Planner::attributes();
  attributes.set_scales(DNNL_ARG_SRC_0, 0, {a->how.scale / unit});
  attributes.set_scales(DNNL_ARG_SRC_1, 0, {sum ? b->how.scale / unit : b->how.scale});
  attributes.set_post_ops(followers.post_ops.ops);
  dnnl::memory::desc right_desc = retyped(left.desc, b->how.numbers);
  const bool same = planner.shape_of(y) == shape;
  if (!same) {
    Shape padded(shape.size() - planner.shape_of(y).size(), 1);
    padded.insert(padded.end(), planner.shape_of(y).begin(), planner.shape_of(y).end());
    right_desc = row_major(padded, b->how.numbers);
  }
  const dnnl::memory::desc dst = retyped(left.desc, followers.stored);
  const dnnl::binary::primitive_desc pd(dnnl::binary::desc(algorithm_of(node), left.desc, right_desc, dst), attributes, cpu_engine(), true);
  if (!pd || is_reference(pd)) return 0;
  Location right = planner.in_layout(b->integers, same ? right_desc : row_major(planner.shape_of(y), b->how.numbers));
  right.desc = right_desc;
  const Nodes done = chain.first(followers.nodes);
  Location destination = planner.make_like(left, done.back()->outputs[0]);
  destination.desc = dst;
  Arguments arguments{{DNNL_ARG_SRC_0, left}, {DNNL_ARG_SRC_1, right}, {DNNL_ARG_DST, destination}};
  followers.add_arguments(planner, arguments);
  planner.add(step_name(done), fused_name(done), dnnl::binary(pd), pd, arguments);
  planner.define(done.back()->outputs[0], destination);
  return done.size();
}

}  // namespace

Result<std::size_t> plan_arithmetic(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
  if (const std::size_t done = plan_integer_arithmetic(planner, chain)) return done;
  std::string x = node.inputs[0], y = node.inputs[1];
  const Shape& shape = planner.shape_of(node.outputs[0]);
  const bool reals = planner.dtype_of(x) == Dtype::f32 && planner.dtype_of(y) == Dtype::f32;
  if (planner.dtype_of(x) == Dtype::f32 && (reals || node.op_type == "Pow") &&
      (!eltwise_of(planner, node, x).empty() || !eltwise_of(planner, node, y).empty())) {
    SIGHTLINE_CHECK(plan_elementwise(planner, node));
    return 1;
  }
  const auto algorithm = algorithm_of(node);
  const bool commutes = node.op_type == "Add" || node.op_type == "Mul";
  if (commutes && planner.shape_of(x) != shape) std::swap(x, y);
  if (reals && algorithm != dnnl::algorithm::undef && planner.shape_of(x) == shape) {
    const Location left = planner.operand(node, x);
    if (node.op_type == "Mul" && plan_bf16_gates(planner, node, left, y)) return 1;
    dnnl::memory::desc right_desc = left.desc;
    if (planner.shape_of(y) != shape) {
      Shape padded(shape.size() - planner.shape_of(y).size(), 1);
      padded.insert(padded.end(), planner.shape_of(y).begin(), planner.shape_of(y).end());
      // Numbers per channel, such as gates, that lie in the blocks of the other side are taken as they are.
      const Location other = planner.native(y);
      const bool taken = padded == planner.shape_of(y) && in_same_blocks(left.desc, other.desc);
      right_desc = taken ? other.desc : row_major(padded, other.desc.data_type());
    }
    const auto make = [&](const dnnl::primitive_attr& attributes, const dnnl::memory::desc& dst) {
      return dnnl::binary::primitive_desc(dnnl::binary::desc(algorithm, left.desc, right_desc, dst), attributes, cpu_engine(), true);
    };
    const auto bare = make(Planner::attributes(), left.desc);
    if (bare && !is_reference(bare)) {
      // Of the followers only functions of one tensor: the operands of others may lie where this one writes. None where a block of channels
      // is partly padding: oneDNN 2.6 gives wrong numbers for a sum and its function there.
      std::size_t simple = 1;
      while (simple < chain.size() && !is_padded(left.desc)) {
        const std::string& previous = chain[simple - 1]->outputs[0];
        const bool gated = simple + 1 < chain.size() && is_gated(*chain[simple], *chain[simple + 1], previous);
        if (!gated && eltwise_of(planner, *chain[simple], previous).empty()) break;
        simple += gated ? 2 : 1;
      }
      const auto fused = fuse(planner, chain.first(simple), bare, make);
      Location right;
      if (planner.shape_of(y).size() == shape.size()) {
        right = planner.in_layout(y, right_desc);
      } else {
        right = planner.row_major_as_is(y);
        right.desc = right_desc;
      }
      const Nodes done = chain.first(fused.nodes);
      const Location destination = planner.make_like(left, done.back()->outputs[0]);
      planner.add(step_name(done), fused_name(done), dnnl::binary(fused.descriptor), fused.descriptor,
                  {{DNNL_ARG_SRC_0, left}, {DNNL_ARG_SRC_1, right}, {DNNL_ARG_DST, destination}});
      planner.define(done.back()->outputs[0], destination);
      return fused.nodes;
    }
  }
  SIGHTLINE_CHECK(plan_loops(planner, node));
  return 1;
}

}  // namespace sightline::runtime
