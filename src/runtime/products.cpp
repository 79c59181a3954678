// Products that are left to loops: Einsum, and MatMul and Gemm of integers and doubles.
#include <type_traits>

#include "graph/operators.h"
#include "runtime/plain.h"

namespace sightline::runtime {

using graph::Node;

Result<void> plan_einsum(Planner& planner, const Node& node) {
  std::vector<Shape> shapes;
  for (const std::string& input : node.inputs) shapes.push_back(planner.shape_of(input));
  SIGHTLINE_TRY(const graph::Contraction contraction, graph::contraction_of(node, shapes));
  const std::string letters = contraction.result + contraction.summed;
  Shape extents;
  for (char letter : letters) extents.push_back(contraction.length.at(letter));
  // A letter that an operand names twice walks its diagonal: strides add up.
  std::vector<std::vector<std::int64_t>> strides;
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    const auto own = strides_of(shapes[k]);
    strides.emplace_back(letters.size(), 0);
    for (std::size_t i = 0; i < own.size(); ++i) strides.back()[letters.find(contraction.operands[k][i])] += own[i];
  }
  const std::size_t results = contraction.result.size();
  const bool done = with_number(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    using Sum = std::conditional_t<std::is_floating_point_v<T>, double, T>;
    add_plain(planner, node, [=](std::span<std::byte* const> at) {
      const std::int64_t outputs = element_count(Shape(extents.begin(), extents.begin() + static_cast<std::ptrdiff_t>(results)));
      const std::int64_t terms = element_count(Shape(extents.begin() + static_cast<std::ptrdiff_t>(results), extents.end()));
      std::vector<std::int64_t> place(extents.size(), 0), offset(strides.size(), 0);
      for (std::int64_t i = 0; i < outputs; ++i) {
        Sum sum{0};
        for (std::int64_t j = 0; j < terms; ++j) {
          Sum product{1};
          for (std::size_t k = 0; k < offset.size(); ++k) product = product_of(product, static_cast<Sum>(read_as<T>(at[k])[offset[k]]));
          sum = sum_of(sum, product);
          for (std::size_t axis = extents.size(); axis-- > 0;) {
            for (std::size_t k = 0; k < offset.size(); ++k) offset[k] += strides[k][axis];
            if (++place[axis] < extents[axis]) break;
            for (std::size_t k = 0; k < offset.size(); ++k) offset[k] -= strides[k][axis] * extents[axis];
            place[axis] = 0;
          }
        }
        write_as<T>(at[strides.size()])[i] = static_cast<T>(sum);
      }
    });
  });
  return done ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

Result<void> plan_matmul_loops(Planner& planner, const Node& node) {
  Shape a = planner.shape_of(node.inputs[0]), b = planner.shape_of(node.inputs[1]), y = planner.shape_of(node.outputs[0]);
  const bool gemm = node.op_type == "Gemm", transposed_a = node.integer("transA", 0) != 0, transposed_b = node.integer("transB", 0) != 0;
  if (a.size() == 1) {
    a.insert(a.begin(), 1);
    y.insert(b.size() == 1 ? y.end() : y.end() - 1, 1);
  }
  if (b.size() == 1) {
    b.push_back(1);
    y.push_back(1);
  }
  const std::int64_t inner = transposed_a ? a[0] : a.back(), rows = y[y.size() - 2], columns = y.back();
  const auto strides_a = strides_of(a), strides_b = strides_of(b);
  const std::int64_t a_row = transposed_a ? 1 : a.back(), a_inner = transposed_a ? a.back() : 1;
  const std::int64_t b_inner = transposed_b ? 1 : b.back(), b_column = transposed_b ? b.back() : 1;
  // One matrix after the other, the leading axes broadcast.
  const auto lead = [](const Shape& shape) { return Shape(shape.begin(), shape.end() - 2); };
  Shape matrices = lead(y), from_a = lead(a), from_b = lead(b);
  for (Shape* shape : {&matrices, &from_a, &from_b}) shape->push_back(1);
  Walk walk = walk_of(matrices, {from_a, from_b});
  const bool biased = gemm && Planner::has_input(node, 2);
  const Walk bias_walk = walk_of({rows, columns}, {biased ? planner.shape_of(node.inputs[2]) : Shape{}});
  const auto alpha = static_cast<double>(gemm ? node.real("alpha", 1.0F) : 1.0F),
             beta = static_cast<double>(gemm ? node.real("beta", 1.0F) : 1.0F);
  const bool done = with_number(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    using Sum = std::conditional_t<std::is_floating_point_v<T>, double, T>;
    add_plain(planner, node, [=, slot = node.inputs.size()](std::span<std::byte* const> at) {
      T* to = write_as<T>(at[slot]);
      each_row(walk, [&](std::int64_t index, const std::vector<std::int64_t>& from) {
        const T *left = read_as<T>(at[0]) + from[0] * (a[a.size() - 1] * a[a.size() - 2]),
                *right = read_as<T>(at[1]) + from[1] * (b[b.size() - 1] * b[b.size() - 2]);
        for (std::int64_t i = 0; i < rows; ++i)
          for (std::int64_t j = 0; j < columns; ++j) {
            Sum sum{0};
            for (std::int64_t k = 0; k < inner; ++k)
              sum = sum_of(
                  sum, product_of(static_cast<Sum>(left[i * a_row + k * a_inner]), static_cast<Sum>(right[k * b_inner + j * b_column])));
            to[(index * rows + i) * columns + j] = alpha == 1 ? static_cast<T>(sum) : static_cast<T>(static_cast<double>(sum) * alpha);
          }
      });
      if (!biased) return;
      each_row(bias_walk, [&](std::int64_t begin, const std::vector<std::int64_t>& from) {
        const T* c = read_as<T>(at[2]) + from[0];
        for (std::int64_t j = 0; j < columns; ++j)
          to[begin + j] = sum_of(to[begin + j], static_cast<T>(static_cast<double>(c[j * bias_walk.steps[0]]) * beta));
      });
    });
  });
  return done ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

}  // namespace sightline::runtime
