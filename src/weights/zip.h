// Reads ZIP archives (APPNOTE 6.3, with ZIP64): stored and deflated entries, no encryption, one disk. Sizes and places are taken from the
// central directory and checked against the file; the CRC of what is read is checked too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "weights/bounds.h"

namespace sightline::weights {

struct ZipEntry {
  std::string name;
  std::uint16_t method = 0;  // 0 stored, 8 deflated
  std::uint16_t flags = 0;
  std::uint32_t crc = 0;
  std::uint64_t stored_size = 0, size = 0, header_at = 0;
};

bool looks_like_zip(std::string_view bytes);
// Errors: invalid_data.
Result<std::vector<ZipEntry>> list_zip(std::string_view bytes);

// The bytes of an entry: a view of the archive where it is stored, of `memory` where it had to be inflated.
Result<std::string_view> read_zip_entry(std::string_view bytes, const ZipEntry& entry, Allowance& allowance, std::string& memory);

}  // namespace sightline::weights
