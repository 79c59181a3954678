#include "runtime/precision.h"

#include <dnnl.hpp>

namespace sightline::runtime {
namespace {

// oneDNN's instruction sets are bit sets: each contains those that it is built on.
bool processor_has(dnnl::cpu_isa wanted) {
  const auto bits = static_cast<unsigned>(wanted);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

}  // namespace

bool processor_has_bf16() { return processor_has(dnnl::cpu_isa::avx512_core_bf16); }

}  // namespace sightline::runtime
