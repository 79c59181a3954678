// Pictures whose pixels are numbers and not colours: masks that say which class or which object stands at each place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace sightline::image {

struct Levels {
  int width = 0, height = 0, bits = 8;  // 8: up to eight bits were stored, or places in a palette; 16
  std::vector<std::uint16_t> values;    // H×W, as stored: nothing is scaled, no palette is looked up
};

// PNG of grey levels (1 to 16 bits) or with a palette; of colours where red, green and blue are the same everywhere. Transparency is left
// out. Errors: invalid_data (truncated, corrupt, not PNG: a lossy codec would make other numbers), unsupported (colours), refused (more
// than 200 million pixels).
Result<Levels> decode_levels(std::span<const std::byte> bytes);

// PNG of 8 or 16 bits a pixel, as bits says; "" without pixels.
std::string encode_levels(const Levels& levels);

}  // namespace sightline::image
