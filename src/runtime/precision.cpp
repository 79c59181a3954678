#include "runtime/precision.h"

#include <oneapi/dnnl/dnnl_debug.h>

#include <dnnl.hpp>
#include <string_view>

namespace sightline::runtime {
namespace {

// oneDNN's instruction sets are bit sets: each contains those that it is built on.
bool processor_has(dnnl::cpu_isa wanted) {
  const auto bits = static_cast<unsigned>(wanted);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

}  // namespace

bool processor_has_int8() { return processor_has(dnnl::cpu_isa::avx512_core_vnni) || processor_has(dnnl::cpu_isa::avx2_vnni); }

bool processor_has_bf16() { return processor_has(dnnl::cpu_isa::avx512_core_bf16); }

std::string instruction_set() {
  const std::string name = dnnl_cpu_isa2str(static_cast<dnnl_cpu_isa_t>(dnnl::get_effective_cpu_isa()));
  constexpr std::string_view prefix = "cpu_isa_";
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

}  // namespace sightline::runtime
