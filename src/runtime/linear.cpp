// Gemm and MatMul. Products with a constant matrix become oneDNN's inner product, whose weights are blocked once; others its matmul.
#include <algorithm>

#include "runtime/channel_loops.h"
#include "runtime/integers.h"
#include "runtime/post_ops.h"
#include "runtime/team.h"

namespace sightline::runtime {
namespace {

using Desc = dnnl::memory::desc;
using Numbers = dnnl::memory::data_type;
using graph::Node;

// rows×inner times a constant inner×columns (read as `weights`: columns×inner), plus bias. result: where `rows×columns` is called what.
struct Product {
  std::string source;  // row-major, rows×inner
  Desc weights;        // columns×inner, as it lies in the initializer
  std::string weight;
  std::optional<Location> bias;  // columns
  std::int64_t rows = 0, inner = 0, columns = 0;
};

// One vector times a large matrix: all of its time goes into reading the matrix, each row of which is one dot product. oneDNN's threads
// wait for each other there, and it keeps a copy of the matrix. 0 where it is no such product.
std::size_t add_vector_product(Planner& planner, Nodes chain, const Product& product) {
  constexpr std::int64_t large = 1 << 14;  // elements; a thread should have four times as many
  if (product.rows != 1 || product.inner * product.columns < large || planner.numbers_of(*chain[0]) != Numbers::f32) return 0;
  const std::string& result = chain[0]->outputs[0];
  const Location destination = planner.make_row_major(result);
  std::vector<Location> operands{planner.row_major_of(product.source),
                                 planner.constant_as(product.weight, product.weights, row_major({product.columns, product.inner})),
                                 destination};
  if (product.bias) operands.push_back(*product.bias);
  planner.add(
      step_name(chain), chain[0]->op_type,
      [inner = product.inner, columns = product.columns](std::span<std::byte* const> at) {
        const auto* x = reinterpret_cast<const float*>(at[0]);
        const auto* weight = reinterpret_cast<const float*>(at[1]);
        auto* y = reinterpret_cast<float*>(at[2]);
        in_parallel(columns, std::max<std::int64_t>(4 * large / inner, 1), [&](std::int64_t first, std::int64_t last) {
          multiply_rows(weight + first * inner, x, y + first, last - first, inner);
          if (at.size() > 3) sum(y + first, reinterpret_cast<const float*>(at[3]) + first, y + first, last - first);
        });
      },
      operands);
  planner.define(result, destination);
  return 1;
}

Result<std::size_t> add_inner_product(Planner& planner, Nodes chain, const Product& product) {
  using InnerProduct = dnnl::inner_product_forward;
  if (const std::size_t done = add_vector_product(planner, chain, product)) return done;
  // Followers are fused when the result is the matrix that oneDNN sees; otherwise (a stack of matrices) their operands would differ.
  const bool matrix = planner.shape_of(chain[0]->outputs[0]).size() == 2;
  const Nodes offered = chain.first(matrix ? chain.size() : 1);
  const auto fused_in = [&](Numbers numbers, Numbers stored) {
    const auto make = [&](const dnnl::primitive_attr& attributes, const Desc& dst) {
      return InnerProduct::primitive_desc(
          InnerProduct::desc(dnnl::prop_kind::forward_inference, row_major({product.rows, product.inner}, numbers),
                             any_layout({product.columns, product.inner}, numbers), product.bias ? row_major({product.columns}) : Desc(),
                             dst),
          attributes, cpu_engine(), true);
    };
    const auto bare = make(Planner::attributes(), row_major({product.rows, product.columns}, stored));
    return bare ? fuse(planner, offered, bare, make) : Fused<InnerProduct::primitive_desc>{};
  };
  const Numbers numbers = planner.numbers_of(*chain[0]);
  auto fused = fused_in(numbers, planner.result_numbers_of(offered));
  if (numbers != Numbers::f32 && (!fused.descriptor || is_reference(fused.descriptor))) fused = fused_in(Numbers::f32, Numbers::f32);
  if (!fused.descriptor) return planner.unsupported(*chain[0], "oneDNN has no kernel for it");
  const Desc& read = fused.descriptor.src_desc();
  const Location source = planner.in_layout(product.source, row_major(planner.shape_of(product.source), read.data_type()));
  Arguments arguments{{DNNL_ARG_SRC, {read, source.buffer, source.offset}},
                      {DNNL_ARG_WEIGHTS, planner.constant_as(product.weight, product.weights, fused.descriptor.weights_desc())}};
  if (product.bias) arguments.emplace_back(DNNL_ARG_BIAS, *product.bias);
  fused.add_arguments(planner, arguments);
  const Nodes done = chain.first(fused.nodes);
  Location destination = fused.destination(planner, done.back()->outputs[0]);
  arguments.emplace_back(DNNL_ARG_DST, destination);
  planner.add(step_name(done), fused_name(done), InnerProduct(fused.descriptor), fused.descriptor, arguments);
  destination.desc = row_major(planner.shape_of(done.back()->outputs[0]), destination.desc.data_type());
  planner.define(done.back()->outputs[0], destination);
  return fused.nodes;
}

// The same in integers; 0 when the node is no layer of integers. axis: of the columns in the weights.
std::size_t add_integer_product(Planner& planner, Nodes chain, const Product& product, std::size_t axis) {
  using InnerProduct = dnnl::inner_product_forward;
  const auto layer = integer_layer(planner, *chain[0], axis, product.columns, false);
  const std::string& result = chain[0]->outputs[0];
  if (!layer || planner.shape_of(product.source).size() != 2 || planner.shape_of(result).size() != 2) return 0;
  const auto make = [&](const dnnl::primitive_attr& attributes, const Desc& dst) {
    return InnerProduct::primitive_desc(
        InnerProduct::desc(dnnl::prop_kind::forward_inference, row_major({product.rows, product.inner}, layer->input.numbers),
                           any_layout({product.columns, product.inner}, Numbers::s8),
                           layer->has_bias() ? row_major({product.columns}) : Desc(), dst),
        attributes, cpu_engine(), true);
  };
  return add_integer_layer<InnerProduct>(planner, chain, *layer, axis, retyped(product.weights, Numbers::s8),
                                         row_major({product.rows, product.columns}), make);
}

// A constant matrix inner×columns (or columns×inner when transposed) as columns×inner.
Desc weights_desc(std::int64_t inner, std::int64_t columns, bool transposed) {
  const dnnl::memory::dims strides = transposed ? dnnl::memory::dims{inner, 1} : dnnl::memory::dims{1, columns};
  return {{columns, inner}, dnnl::memory::data_type::f32, strides};
}

// beta × C as a vector of one number per column; nullopt when C is computed or differs between rows.
std::optional<Location> constant_bias(Planner& planner, const std::string& value, float beta, std::int64_t columns) {
  const Tensor* tensor = planner.constant(value);
  if (tensor == nullptr) return std::nullopt;
  const std::int64_t count = tensor->count();
  if (count != 1 && (count != columns || tensor->shape().back() != columns)) return std::nullopt;
  return planner.derived("bias " + value + " " + std::to_string(beta) + " " + std::to_string(columns), row_major({columns}), [&] {
    Tensor bias(Dtype::f32, {columns});
    for (std::size_t i = 0; i < bias.values<float>().size(); ++i)
      bias.values<float>()[i] = beta * tensor->values<float>()[count == 1 ? 0 : i];
    return bias;
  });
}

void add_matmul(Planner& planner, const Node& node, const Location& a, const Location& b, const Location& result, float alpha) {
  dnnl::primitive_attr attributes = Planner::attributes();
  if (alpha != 1.0F) attributes.set_output_scales(0, {alpha});
  const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(a.desc, b.desc, result.desc), attributes, cpu_engine());
  planner.add(node.name.empty() ? node.outputs[0] : node.name, node.op_type, dnnl::matmul(pd), pd,
              {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, result}});
}

}  // namespace

Result<std::size_t> plan_gemm(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
  if (planner.dtype_of(node.inputs[0]) != Dtype::f32) {
    SIGHTLINE_CHECK(plan_matmul_loops(planner, node));
    return 1;
  }
  const Shape &a = planner.shape_of(node.inputs[0]), &b = planner.shape_of(node.inputs[1]);
  const bool transposed_a = node.integer("transA", 0) != 0, transposed_b = node.integer("transB", 0) != 0;
  const float alpha = node.real("alpha", 1.0F), beta = node.real("beta", 1.0F);
  const std::int64_t rows = a[transposed_a ? 1 : 0], inner = a[transposed_a ? 0 : 1], columns = b[transposed_b ? 0 : 1];
  const bool has_bias = Planner::has_input(node, 2) && beta != 0.0F;
  if (!transposed_a && alpha == 1.0F && beta == 1.0F) {
    const Product product{node.inputs[0], weights_desc(inner, columns, transposed_b), node.inputs[1], {}, rows, inner, columns};
    if (const std::size_t done = add_integer_product(planner, chain, product, transposed_b ? 0 : 1)) return done;
  }
  std::optional<Location> bias;
  if (has_bias) bias = constant_bias(planner, node.inputs[2], beta, columns);

  if (planner.constant(node.inputs[1]) != nullptr && !transposed_a && alpha == 1.0F && (bias || !has_bias)) {
    return add_inner_product(planner, chain,
                             {node.inputs[0], weights_desc(inner, columns, transposed_b), node.inputs[1], bias, rows, inner, columns});
  }

  // alpha · A' · B' + beta · C
  Location left = planner.row_major_of(node.inputs[0]), right = planner.row_major_of(node.inputs[1]);
  if (transposed_a) left.desc = left.desc.permute_axes({1, 0});
  if (transposed_b) right.desc = right.desc.permute_axes({1, 0});
  const Location destination = planner.make_row_major(node.outputs[0]);
  add_matmul(planner, node, left, right, destination, alpha);
  if (has_bias) {
    // destination + beta · C, C broadcast
    const Shape& c = planner.shape_of(node.inputs[2]);
    Shape padded(2 - c.size(), 1);
    padded.insert(padded.end(), c.begin(), c.end());
    Location addend = planner.row_major_of(node.inputs[2]);
    addend.desc = row_major(padded);
    if (beta != 1.0F) {
      const Location scaled = planner.make(addend.desc);
      const dnnl::eltwise_forward::primitive_desc pd(
          dnnl::eltwise_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::eltwise_linear, addend.desc, beta, 0),
          Planner::attributes(), cpu_engine());
      planner.add(step_name(chain), node.op_type, dnnl::eltwise_forward(pd), pd, {{DNNL_ARG_SRC, addend}, {DNNL_ARG_DST, scaled}});
      addend = scaled;
    }
    const dnnl::binary::primitive_desc pd(dnnl::binary::desc(dnnl::algorithm::binary_add, destination.desc, addend.desc, destination.desc),
                                          Planner::attributes(), cpu_engine());
    planner.add(step_name(chain), node.op_type, dnnl::binary(pd), pd,
                {{DNNL_ARG_SRC_0, destination}, {DNNL_ARG_SRC_1, addend}, {DNNL_ARG_DST, destination}});
  }
  planner.define(node.outputs[0], destination);
  return 1;
}

Result<std::size_t> plan_matmul(Planner& planner, Nodes chain) {
  const Node& node = *chain[0];
  if (planner.dtype_of(node.inputs[0]) != Dtype::f32) {
    SIGHTLINE_CHECK(plan_matmul_loops(planner, node));
    return 1;
  }
  Shape a = planner.shape_of(node.inputs[0]), b = planner.shape_of(node.inputs[1]);
  // A vector is a matrix of one row on the left, of one column on the right; that axis is not in the result.
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  const std::int64_t inner = a.back(), columns = b.back();
  if (b.size() == 2 && !row && !column) {
    const Product product{node.inputs[0], weights_desc(inner, columns, false), node.inputs[1], {}, element_count(a) / inner, inner,
                          columns};
    if (const std::size_t done = add_integer_product(planner, chain, product, 1)) return done;
  }
  if (planner.constant(node.inputs[1]) != nullptr && b.size() == 2) {
    const std::int64_t rows = element_count(a) / inner;
    return add_inner_product(planner, chain,
                             {node.inputs[0], weights_desc(inner, columns, false), node.inputs[1], {}, rows, inner, columns});
  }
  const Numbers numbers = planner.numbers_of(node);
  Location left = planner.in_layout(node.inputs[0], row_major(planner.shape_of(node.inputs[0]), numbers));
  Location right = planner.in_layout(node.inputs[1], row_major(planner.shape_of(node.inputs[1]), numbers));
  const std::size_t rank = std::max(a.size(), b.size());
  a.insert(a.begin(), rank - a.size(), 1);
  b.insert(b.begin(), rank - b.size(), 1);
  Shape result;
  for (std::size_t i = 0; i + 2 < rank; ++i) result.push_back(std::max(a[i], b[i]));
  result.push_back(a[rank - 2]);
  result.push_back(columns);
  left.desc = row_major(a, numbers);
  right.desc = row_major(b, numbers);
  const Numbers stored = planner.result_numbers_of(chain.first(1));
  Location destination = planner.make(row_major(result, stored));
  add_matmul(planner, node, left, right, destination, 1.0F);
  destination.desc = row_major(planner.shape_of(node.outputs[0]), stored);
  planner.define(node.outputs[0], destination);
  return 1;
}

}  // namespace sightline::runtime
