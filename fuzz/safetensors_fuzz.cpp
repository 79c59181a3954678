// links: weights
// Whatever bytes come: an error, or tensors that lie within the file.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "weights/weights.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = sightline::weights::parse_safetensors({reinterpret_cast<const char*>(data), size}, "fuzz.safetensors");
  if (!file.ok()) return 0;
  std::size_t bytes = 0;
  for (const auto& each : file->tensors) bytes += each.tensor.byte_count();
  if (bytes > size) __builtin_trap();
  return 0;
}
