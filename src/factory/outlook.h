// What the answers that a head gave out of fold say of the demand's target, before any test image is looked at: how well it will do, with
// an interval that holds for few images, and, where that does not reach the target, how many more images it would take.
#pragma once

#include <string>
#include <vector>

#include "demand/demand.h"
#include "evaluation/cross_validation.h"
#include "heads/choose.h"

namespace sightline::factory {

struct Outlook {
  evaluation::CrossValidated estimate;
  std::vector<std::string> sentences;  // for a person, the estimate first
};

// features f32 N×D, labels N, groups N or empty, as the choice was made from. A learning curve is only drawn (about 120 small fits) when
// the estimate stays below the target and `advise` is set. Errors: those of the statistics; interrupted.
Result<Outlook> outlook_of(const demand::Target& target, const heads::Choice& choice, const Tensor& features,
                           std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                           const std::vector<std::string>& classes, std::uint64_t seed, bool advise);

}  // namespace sightline::factory
