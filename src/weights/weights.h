// Reads weights that somebody else trained: .safetensors, and PyTorch's .pth, .pt and .ckpt. Pickle is read as data and never executed: a
// pickle that names anything but tensors, storages and plain containers is an error that tells the name and the offset.
//
// The formats: safetensors 0.x (8 bytes length, JSON, raw); PyTorch's zip archive (data.pkl, data/N, stored or deflated, ZIP64) and the
// format before it (five pickles, then the storages).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::weights {

struct NamedTensor {
  std::string name;  // "layer1.0.conv1.weight"; prefixes that all of them share and that only wrap ("module.") are gone
  Tensor tensor;     // contiguous, a copy
};

struct WeightFile {
  enum class Format { safetensors, zip, legacy };
  Format format = Format::safetensors;
  std::vector<NamedTensor> tensors;             // state dicts: as they were defined; safetensors: as they lie in the file
  std::map<std::string, std::string> metadata;  // safetensors: "__metadata__"
  std::string found_in;                         // state dicts: the keys that led to it, "state_dict"; "" when it was the whole file
  std::vector<std::string> left_out;            // "epoch: not a tensor", "x: dtype U16"
};

// What a file may cost: the memory of its tensors is bounded by these (shared or stretched storages are copied out, deflated ones grow).
struct Limits {
  std::uint64_t largest_file = 8'000'000'000;
  std::uint64_t base_memory = 16'000'000;
  std::uint64_t memory_per_byte = 8;  // of the file
};

// Tells the format by the file's content. Errors: invalid_data with the file and what is wrong where; unsupported (a TorchScript archive, a
// pickle with foreign objects, big endian); not_found, io.
Result<WeightFile> read_weights(const std::string& path, const Limits& limits = {});
// The same from bytes; source names them in errors.
Result<WeightFile> parse_weights(std::string_view bytes, const std::string& source, const Limits& limits = {});

Result<WeightFile> parse_safetensors(std::string_view bytes, const std::string& source, const Limits& limits = {});
Result<WeightFile> parse_state_dict(std::string_view bytes, const std::string& source, const Limits& limits = {});

}  // namespace sightline::weights
