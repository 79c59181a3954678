// The end of a layer as a pass of our own over its result, where oneDNN's post-ops cannot do it (PRelu behind integers) or take longer than
// the pass (Swish: 0.5 ns each in f32 and 0.9 ns behind AMX, which computes few numbers at a time, against 0.15 to 0.35): a function,
// perhaps a residual sum, and storing as integers, bf16 or f32. The layer leaves f32 or bf16, channels last; where f32 stays f32 any layout
// will do.
#pragma once

#include <cstddef>
#include <optional>

#include "runtime/operators.h"

namespace sightline::runtime {

struct Finish {
  enum class Function { swish, prelu };
  Function function = Function::swish;
  std::string slopes;                // of PRelu: a constant, one for each channel or one for all
  std::string residual;              // what is added afterwards: integers, or bf16; "" for nothing
  Quantization residual_how;         // of integers
  std::optional<Quantization> goal;  // integers; else
  dnnl::memory::data_type numbers = dnnl::memory::data_type::bf16;
  std::size_t nodes = 1;  // of the chain
};

// What may follow `chain`'s first node as such a pass; nothing where it is no such end, or where the post-ops are as good. layer: the layer
// alone, with the layout that it leaves its result in.
std::optional<Finish> finish_of(const Planner& planner, Nodes chain, const dnnl::primitive_desc& layer, const dnnl::memory::desc& result);
// Adds the pass for what lies at `source` and defines the chain's last value.
void add_finish(Planner& planner, Nodes chain, const Finish& finish, const Location& source);

}  // namespace sightline::runtime
