#include "training/flat_state.h"

#include <fmt/format.h>

namespace sightline::training {
namespace {

using Named = std::vector<std::pair<std::string, torch::Tensor>>;

constexpr std::int64_t alignment = 16;  // floats: each tensor begins on a cache line
std::int64_t padded(std::int64_t count) { return (count + alignment - 1) / alignment * alignment; }

std::int64_t length_of(const Named& tensors) {
  std::int64_t length = 0;
  for (const auto& [name, tensor] : tensors) length += padded(tensor.numel());
  return length;
}

// Convolution weights lie as LibTorch's channels-last kernels read them.
torch::Tensor view_at(const torch::Tensor& flat, std::int64_t offset, const torch::Tensor& like) {
  const torch::Tensor piece = flat.narrow(0, offset, like.numel());
  if (like.dim() != 4) return piece.view(like.sizes());
  return piece.view({like.size(0), like.size(2), like.size(3), like.size(1)}).permute({0, 3, 1, 2});
}

}  // namespace

Result<FlatState> FlatState::bind(autograd::Executor& executor, const std::map<std::string, double>& rates) {
  torch::NoGradGuard no_gradient;
  FlatState state;
  state.parameters = torch::zeros({length_of(executor.parameters())});
  state.gradients = torch::zeros_like(state.parameters);
  state.decay = torch::zeros_like(state.parameters);
  if (!rates.empty()) state.rate = torch::ones_like(state.parameters);
  state.statistics = torch::zeros({length_of(executor.statistics())});
  Sha256 layout;
  const auto record = [&](const std::string& name, const torch::Tensor& tensor, std::int64_t offset) {
    layout.add_field(name);
    for (const std::int64_t size : tensor.sizes()) layout.add_field(std::to_string(size));
    layout.add_field(std::to_string(offset));
  };
  std::int64_t offset = 0;
  for (auto& [name, parameter] : executor.parameters()) {
    if (parameter.scalar_type() != torch::kFloat)
      return Error{ErrorKind::unsupported, fmt::format("the weight \"{}\" is not f32; only f32 graphs are trained", name)};
    record(name, parameter, offset);
    if (parameter.numel() > 0) {
      torch::Tensor place = view_at(state.parameters, offset, parameter);
      place.copy_(parameter);
      parameter.set_data(place);
      if (parameter.requires_grad()) parameter.mutable_grad() = view_at(state.gradients, offset, parameter);
      if (const auto rate = rates.find(name); rate != rates.end()) state.rate.narrow(0, offset, parameter.numel()).fill_(rate->second);
      if (executor.role_of(name) == graph::Role::weight) state.decay.narrow(0, offset, parameter.numel()).fill_(1);
    }
    offset += padded(parameter.numel());
  }
  offset = 0;
  for (auto& [name, statistic] : executor.statistics()) {
    if (statistic.scalar_type() != torch::kFloat)
      return Error{ErrorKind::unsupported, fmt::format("the statistic \"{}\" is not f32; only f32 graphs are trained", name)};
    record(name, statistic, offset);
    torch::Tensor place = view_at(state.statistics, offset, statistic);
    place.copy_(statistic);
    statistic.set_data(place);
    offset += padded(statistic.numel());
  }
  state.layout = layout.finish();
  return state;
}

}  // namespace sightline::training
