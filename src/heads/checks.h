// What every fit asks of its input before it starts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::heads {

inline constexpr std::int64_t most_dimensions = 8192;  // D×D doubles: half a gigabyte

// Errors: invalid_data (shapes, labels outside [0, classes), values that are not finite), unsupported (more than most_dimensions).
Result<void> check_training_data(const Tensor& features, std::span<const std::int32_t> labels, int classes);

// The same for a choice among heads, which wants samples of two classes at least. groups: empty or one per sample. Error invalid_data.
Result<void> check_for_choice(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                              int classes);

// A weight per sample so that all classes that have samples weigh the same; their mean is 1. Empty when they do already.
std::vector<double> balancing_emphasis(std::span<const std::int32_t> labels, int classes);

}  // namespace sightline::heads
