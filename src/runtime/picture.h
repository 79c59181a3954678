// A picture comes as f32 planes of three colours, and convolutions in integers and bf16 want its channels last: rounding and interleaving
// are one pass, where oneDNN's reorder takes four times as long.
#pragma once

#include <optional>

#include "runtime/planner.h"

namespace sightline::runtime {

// A step that lays `source` out as `wanted`, with `how` when integers are wanted. Nothing when it is no such pair.
std::optional<Location> laid_out_picture(Planner& planner, const std::string& name, const std::string& op_type, const Location& source,
                                         const dnnl::memory::desc& wanted, const Quantization* how = nullptr);

}  // namespace sightline::runtime
