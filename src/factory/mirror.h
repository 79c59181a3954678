// Whether pictures may be mirrored in training without their labels becoming wrong: a "turn left" sign seen in a mirror is a "turn right"
// sign, a mirrored b is a d, a mirrored shoe is still a shoe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "dataset/manifest.h"

namespace sightline::factory {

// Judges with a closed-form head out of fold, on at most 3,000 training pictures of at most 24×24: once learnt from the pictures alone,
// once with every mirrored picture beside them under the same label. Gives the sentence that says which class suffers, and nothing when
// none does, or when there are too few pictures to tell. Deterministic for the seed. Errors: those of reading a sample; interrupted.
Result<std::optional<std::string>> harm_of_mirroring(const dataset::Manifest& manifest, std::int64_t seed);

}  // namespace sightline::factory
