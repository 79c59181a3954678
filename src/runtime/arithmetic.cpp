// Add, Sub, Mul, Div, Pow with ONNX's broadcasting. oneDNN does what it has fast kernels for, in the layout of the larger operand; the
// rest, and integers, are plain loops.
#include <cmath>

#include "runtime/post_ops.h"

namespace sightline::runtime {
namespace {

using graph::Node;

// Steps through the output of a broadcasting function: the last axis in a loop, the others as an odometer.
struct Walk {
  Shape outer;                     // all axes but the last
  std::vector<std::int64_t> a, b;  // strides of the operands along outer, 0 where they are broadcast
  std::int64_t inner = 1, a_inner = 0, b_inner = 0;
};

Walk walk_of(const Shape& result, const Shape& a, const Shape& b) {
  const std::size_t rank = std::max<std::size_t>(result.size(), 1);
  const auto strides_of = [&](const Shape& shape) {
    std::vector<std::int64_t> strides(rank, 0);
    std::int64_t stride = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::int64_t d = shape[shape.size() - 1 - i];
      if (d != 1) strides[rank - 1 - i] = stride;
      stride *= d;
    }
    return strides;
  };
  Walk walk{result, strides_of(a), strides_of(b)};
  if (walk.outer.empty()) walk.outer = {1};
  walk.inner = walk.outer.back();
  walk.a_inner = walk.a.back();
  walk.b_inner = walk.b.back();
  walk.outer.pop_back();
  walk.a.pop_back();
  walk.b.pop_back();
  return walk;
}

template <class T, class Function>
void run_walk(const Walk& walk, const T* a, const T* b, T* result, Function function) {
  std::vector<std::int64_t> at(walk.outer.size(), 0);
  while (true) {
    for (std::int64_t i = 0; i < walk.inner; ++i) result[i] = function(a[i * walk.a_inner], b[i * walk.b_inner]);
    result += walk.inner;
    std::size_t axis = at.size();
    while (axis > 0) {
      --axis;
      a += walk.a[axis];
      b += walk.b[axis];
      if (++at[axis] < walk.outer[axis]) break;
      a -= walk.a[axis] * walk.outer[axis];
      b -= walk.b[axis] * walk.outer[axis];
      at[axis] = 0;
      if (axis == 0) return;
    }
    if (at.empty()) return;
  }
}

template <class T>
Kernel loops_for(const std::string& op, const Walk& walk) {
  const auto with = [&](auto function) -> Kernel {
    return [walk, function](std::span<std::byte* const> at) {
      run_walk(walk, reinterpret_cast<const T*>(at[0]), reinterpret_cast<const T*>(at[1]), reinterpret_cast<T*>(at[2]), function);
    };
  };
  if constexpr (std::is_integral_v<T>) {
    // Wraps around like every other implementation; division by zero gives zero instead of a trap.
    using U = std::make_unsigned_t<T>;
    if (op == "Add") return with([](T x, T y) { return static_cast<T>(static_cast<U>(x) + static_cast<U>(y)); });
    if (op == "Sub") return with([](T x, T y) { return static_cast<T>(static_cast<U>(x) - static_cast<U>(y)); });
    if (op == "Mul") return with([](T x, T y) { return static_cast<T>(static_cast<U>(x) * static_cast<U>(y)); });
    if (op == "Div")
      return with([](T x, T y) { return y == 0 ? T{0} : y == -1 ? static_cast<T>(U{0} - static_cast<U>(x)) : static_cast<T>(x / y); });
    return nullptr;
  } else {
    if (op == "Add") return with([](T x, T y) { return x + y; });
    if (op == "Sub") return with([](T x, T y) { return x - y; });
    if (op == "Mul") return with([](T x, T y) { return x * y; });
    if (op == "Div") return with([](T x, T y) { return x / y; });
    return with([](T x, T y) { return std::pow(x, y); });
  }
}

Result<void> plan_loops(Planner& planner, const Node& node) {
  const std::string &a = node.inputs[0], &b = node.inputs[1], &result = node.outputs[0];
  if (planner.dtype_of(a) != planner.dtype_of(b)) return planner.unsupported(node, "its inputs differ in dtype");
  const Walk walk = walk_of(planner.shape_of(result), planner.shape_of(a), planner.shape_of(b));
  Kernel kernel;
  switch (planner.dtype_of(a)) {
    case Dtype::f32: kernel = loops_for<float>(node.op_type, walk); break;
    case Dtype::i32: kernel = loops_for<std::int32_t>(node.op_type, walk); break;
    case Dtype::i64: kernel = loops_for<std::int64_t>(node.op_type, walk); break;
    default: break;
  }
  if (!kernel) return planner.unsupported(node, std::string("not for ") + name_of(planner.dtype_of(a)));
  const Location left = planner.row_major_of(a), right = planner.row_major_of(b), destination = planner.make_row_major(result);
  planner.add(node.name.empty() ? result : node.name, node.op_type, std::move(kernel), {left, right, destination});
  planner.define(result, destination);
  return {};
}

dnnl::algorithm algorithm_of(const Node& node) {
  if (node.op_type == "Add") return dnnl::algorithm::binary_add;
  if (node.op_type == "Sub") return dnnl::algorithm::binary_sub;
  if (node.op_type == "Mul") return dnnl::algorithm::binary_mul;
  if (node.op_type == "Div") return dnnl::algorithm::binary_div;
  return dnnl::algorithm::undef;
}

}  // namespace

Result<std::size_t> plan_arithmetic(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
  std::string x = node.inputs[0], y = node.inputs[1];
  const Shape& shape = planner.shape_of(node.outputs[0]);
  const bool reals = planner.dtype_of(x) == Dtype::f32 && planner.dtype_of(y) == Dtype::f32;
  if ((reals || node.op_type == "Pow") && (!eltwise_of(planner, node, x).empty() || !eltwise_of(planner, node, y).empty())) {
    SIGHTLINE_CHECK(plan_elementwise(planner, node));
    return 1;
  }
  const auto algorithm = algorithm_of(node);
  const bool commutes = node.op_type == "Add" || node.op_type == "Mul";
  if (commutes && planner.shape_of(x) != shape) std::swap(x, y);
  if (reals && algorithm != dnnl::algorithm::undef && planner.shape_of(x) == shape) {
    const Location left = planner.native(x);
    dnnl::memory::desc right_desc = left.desc;
    if (planner.shape_of(y) != shape) {
      Shape padded(shape.size() - planner.shape_of(y).size(), 1);
      padded.insert(padded.end(), planner.shape_of(y).begin(), planner.shape_of(y).end());
      right_desc = row_major(padded);
    }
    const auto make = [&](const dnnl::primitive_attr& attributes, const dnnl::memory::desc& dst) {
      return dnnl::binary::primitive_desc(dnnl::binary::desc(algorithm, left.desc, right_desc, dst), attributes, cpu_engine(), true);
    };
    const auto bare = make(Planner::attributes(), left.desc);
    if (bare && !is_reference(bare)) {
      // Of the followers only functions of one tensor: the operands of others may lie where this one writes.
      std::size_t simple = 1;
      while (simple < chain.size() && !eltwise_of(planner, *chain[simple], chain[simple - 1]->outputs[0]).empty()) ++simple;
      const auto fused = fuse(planner, chain.first(simple), bare, make);
      Location right;
      if (planner.shape_of(y) == shape) {
        right = planner.in_layout(y, right_desc);
      } else {
        right = planner.row_major_of(y);
        right.desc = right_desc;
      }
      const Location destination = planner.make_like(left);
      const Nodes done = chain.first(fused.nodes);
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
