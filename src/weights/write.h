// Writes .safetensors: u64 length of the header, the header, the tensors' bytes without holes (the format that weights.h reads).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "weights/weights.h"

namespace sightline::weights {

// The same tensors and metadata give the same bytes. Names must differ. Error usage: a name that stands twice.
Result<std::string> serialize_safetensors(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata);

// f32 rounded to the nearest f16 (ties to even; beyond 65504: infinite). Error unsupported: another dtype.
Result<Tensor> to_f16(const Tensor& tensor);

}  // namespace sightline::weights
