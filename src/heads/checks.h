// What every fit asks of its input before it starts.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::heads {

inline constexpr std::int64_t most_dimensions = 8192;  // D×D doubles: half a gigabyte

// Errors: invalid_data (shapes, labels outside [0, classes), values that are not finite), unsupported (more than most_dimensions).
Result<void> check_training_data(const Tensor& features, std::span<const std::int32_t> labels, int classes);

}  // namespace sightline::heads
