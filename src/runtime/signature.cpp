#include "runtime/signature.h"

#include <fmt/format.h>

#include "base/text.h"

namespace sightline::runtime {
namespace {

std::string signature(const graph::ValueInfo& info) {
  return fmt::format("\"{}\": {} {}", info.name, name_of(info.dtype), to_string(info.shape));
}

}  // namespace

Result<std::int64_t> batch_of(std::span<const graph::ValueInfo> inputs, std::span<const Tensor> given) {
  if (given.size() != inputs.size())
    return Error{ErrorKind::usage, fmt::format("the model takes {}, not {}", plural(inputs.size(), "input"), given.size())};
  std::int64_t batch = -1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const Tensor& tensor = given[i];
    const Shape& wanted = inputs[i].shape;
    bool fits = tensor.dtype() == inputs[i].dtype && tensor.rank() == wanted.size() && (tensor.data() != nullptr);
    for (std::size_t d = 0; fits && d < wanted.size(); ++d) fits = wanted[d] < 0 ? tensor.dim(d) > 0 : wanted[d] == tensor.dim(d);
    if (!fits)
      return Error{
          ErrorKind::usage,
          fmt::format("input {} does not fit {}",
                      tensor.data() == nullptr ? "without data" : fmt::format("{} {}", name_of(tensor.dtype()), to_string(tensor.shape())),
                      signature(inputs[i]))};
    if (wanted.empty() || wanted[0] >= 0) continue;
    if (batch >= 0 && tensor.dim(0) != batch)
      return Error{ErrorKind::usage, fmt::format("the inputs have batches of {} and {}; they must be the same", batch, tensor.dim(0))};
    batch = tensor.dim(0);
  }
  return batch < 0 ? 1 : batch;
}

}  // namespace sightline::runtime
