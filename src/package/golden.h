// Samples with the answers that the model gave when it was packaged. A package that answers differently has been altered, or runs on a
// processor that calculates differently.
#pragma once

#include <string>
#include <vector>

#include "package/package.h"

namespace sightline::package {

// The largest difference of a probability (or of an object's score) that passes. f32 differs between processors by rounding only. Fewer
// bits round elsewhere where sums are taken in another order, and processors without the instructions calculate differently on purpose
// (weights of 7 bits, or f32).
double golden_tolerance(Precision precision);
inline constexpr std::size_t most_golden_samples = 64;

// Runs the model on each sample and writes 1/golden/: one PNG each, and golden.json.
Result<void> write_golden(const std::string& folder, const std::vector<GoldenSample>& samples, Model& model);

// The samples of a package, with their pictures. Errors: invalid_data, unsupported.
Result<std::vector<GoldenSample>> read_golden(const std::string& folder, const Model& model);

// Error invalid_data names the sample that answers differently and by how much.
Result<void> check_golden(const std::string& folder, Model& model);

}  // namespace sightline::package
