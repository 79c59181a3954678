// Where everything lies in a packed set (docs/formats/packed-set.md). Internal to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fields.h"

namespace sightline::dataset::packed {

inline constexpr std::string_view magic = "SLPACK01";
inline constexpr std::size_t alignment = 64;

struct Head {
  std::int64_t count = 0, height = 0, width = 0, channels = 0;
  std::vector<std::string> classes;
  std::int64_t targets = 0;
  std::int64_t objects = -1;   // -1: the set has none, not even the places for them
  std::int64_t symbols = -1;   // of texts, likewise
  std::int64_t masks = 0;      // 0: none; 1: classes; 2: and instances
  std::int64_t landmarks = 0;  // 1: one a class
  static constexpr auto fields() {
    return std::tuple{field("count", &Head::count),        field("height", &Head::height),   field("width", &Head::width),
                      field("channels", &Head::channels),  field("classes", &Head::classes), field("targets", &Head::targets),
                      field("objects", &Head::objects),    field("symbols", &Head::symbols), field("masks", &Head::masks),
                      field("landmarks", &Head::landmarks)};
  }
};

constexpr std::size_t aligned(std::size_t size) { return (size + alignment - 1) / alignment * alignment; }

// Where everything lies; the header's length is known.
struct Layout {
  std::size_t labels_at = 0, splits_at = 0, pixels_at = 0, targets_at = 0, first_at = 0, objects_at = 0, first_symbol_at = 0,
              symbols_at = 0, masks_at = 0, instances_at = 0, landmarks_at = 0, landmark_bytes = 0, area = 0, image_bytes = 0, total = 0;
};

// False when the numbers are impossible or do not fit into 63 bits.
bool lay_out(std::size_t header_length, const Head& head, Layout& layout);

}  // namespace sightline::dataset::packed
