// Faults drawn onto good pictures: what detectors that learn from good pictures alone are compared by, where nothing else may be looked at.
// They are a stand-in (CutPaste: Li et al. 2021; DRAEM: Zavrtanik et al. 2021): whoever ranks by them finds who sees small things amiss,
// not how well a fault of the trade will be found.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace sightline::factory {

// picture: u8 1×H×W×C, a fault is drawn onto a copy of it. The same seed draws the same one: a piece of another place of one of the donors
// (pictures of the same size) put in, a scratch, a spot, or a smeared patch; its size and contrast vary, contrast as a share of the
// picture's own.
Tensor with_blemish(const Tensor& picture, std::span<const Tensor> donors, std::uint64_t seed);

}  // namespace sightline::factory
