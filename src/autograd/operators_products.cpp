// Gemm, MatMul, Einsum.
#include "autograd/operators.h"

namespace sightline::autograd {

// alpha A' B' + beta C, C broadcast to the result.
Result<Kernel> compile_gemm(const Site& site) {
  const double alpha = site.node.real("alpha", 1.0F);
  const double beta = site.node.real("beta", 1.0F);
  const bool turn_a = site.node.integer("transA", 0) != 0;
  const bool turn_b = site.node.integer("transB", 0) != 0;
  const auto a = static_cast<std::size_t>(site.in(0));
  const auto b = static_cast<std::size_t>(site.in(1));
  const int c = site.in(2);
  const auto y = static_cast<std::size_t>(site.out());
  const Tensor* bias = site.constant(2);
  if (alpha == 1 && beta == 1 && !turn_a && turn_b && bias != nullptr && bias->rank() == 1) {
    return Kernel(
        [=](Frame& frame) { frame.slots[y] = at::linear(frame.slots[a], frame.slots[b], frame.slots[static_cast<std::size_t>(c)]); });
  }
  return Kernel([=](Frame& frame) {
    const torch::Tensor left = turn_a ? frame.slots[a].t() : frame.slots[a];
    const torch::Tensor right = turn_b ? frame.slots[b].t() : frame.slots[b];
    torch::Tensor product = at::mm(left, right);
    if (alpha != 1) product = product * alpha;
    if (c >= 0 && beta != 0) product = at::add(product, frame.slots[static_cast<std::size_t>(c)], beta);
    frame.slots[y] = product;
  });
}

Result<Kernel> compile_matmul(const Site& site) {
  const auto a = static_cast<std::size_t>(site.in(0));
  const auto b = static_cast<std::size_t>(site.in(1));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) { frame.slots[y] = at::matmul(frame.slots[a], frame.slots[b]); });
}

Result<Kernel> compile_einsum(const Site& site) {
  const std::string equation = site.node.text("equation", "");
  const std::vector<int> inputs = site.inputs;
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([=](Frame& frame) {
    std::vector<torch::Tensor> operands;
    for (const int slot : inputs) operands.push_back(frame.slots[static_cast<std::size_t>(slot)]);
    frame.slots[y] = at::einsum(equation, operands);
  });
}

}  // namespace sightline::autograd
