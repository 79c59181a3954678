// Maps of a picture, a number for every pixel: their forms in files and messages.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "tensor/tensor.h"

namespace sightline {

// A map u8 or i32 H×W as {"type":"u8","height":H,"width":W,"runs":"value length value length …"}, row by row; null where there is none.
// Maps of other numbers have no such form: null.
Json to_json(const Tensor& map);
// Errors invalid_data: runs that do not fill the map, sizes beyond 2^15 a side.
Result<void> from_json(const Json& json, Tensor& map, const std::string& where);

namespace annotation {

// A set of pixels (not 0 in the mask, rows × columns) as run lengths down the columns, the first run outside of it: COCO's "counts".
std::vector<std::int64_t> column_runs(std::span<const std::uint8_t> mask, std::int64_t rows, std::int64_t columns);
// The same as COCO writes it into JSON: each count less the one two before it, in characters of five bits and a sixth that says that more
// follow (from '0' on).
std::string coco_counts(std::span<const std::int64_t> runs);
// Back. Error invalid_data: characters that are none, or counts that do not fill rows × columns.
Result<std::vector<std::uint8_t>> mask_of_counts(const std::string& counts, std::int64_t rows, std::int64_t columns);

// Outlines of the pieces of the set that hang together over edges, each around its outer border, with the set on the right hand: corners of
// pixels (x, y in the frame of annotation.h), one where the direction changes. Holes are left out, as in COCO's polygons; the runs have
// them.
std::vector<std::vector<std::array<int, 2>>> outlines(std::span<const std::uint8_t> mask, std::int64_t rows, std::int64_t columns);

}  // namespace annotation
}  // namespace sightline
