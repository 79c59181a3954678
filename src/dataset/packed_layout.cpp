#include "dataset/packed_layout.h"

#include <limits>

#include "dataset/packed_set.h"

namespace sightline::dataset::packed {

bool lay_out(std::size_t header_length, const Head& head, Layout& layout) {
  constexpr std::int64_t longest_side = 1 << 16, most = std::int64_t{1} << 40, most_targets = 1 << 20;
  if (head.count < 0 || head.count > most || head.height < 1 || head.height > longest_side || head.width < 1 || head.width > longest_side)
    return false;
  if (head.channels < 1 || head.channels > longest_side) return false;
  if (head.height * head.width > (std::int64_t{1} << 46U) / head.channels) return false;
  if (head.targets < 0 || head.targets > most_targets || head.objects < -1 || head.objects > most || head.symbols < -1 ||
      head.symbols > most || head.masks < 0 || head.masks > 2 || head.landmarks < 0 || head.landmarks > 1)
    return false;
  const auto count = static_cast<std::size_t>(head.count);
  layout.area = static_cast<std::size_t>(head.height * head.width);
  layout.image_bytes = layout.area * static_cast<std::size_t>(head.channels);
  const std::size_t target_bytes = static_cast<std::size_t>(head.targets) * sizeof(float);
  if (count > (std::numeric_limits<std::size_t>::max() >> 1U) / (layout.image_bytes + 3 * layout.area + target_bytes + 32)) return false;
  layout.labels_at = magic.size() + sizeof(std::uint64_t) + header_length;
  layout.splits_at = layout.labels_at + count * sizeof(std::int32_t);
  layout.pixels_at = aligned(layout.splits_at + count);
  layout.total = layout.pixels_at + count * layout.image_bytes;
  if (head.targets > 0) {
    layout.targets_at = aligned(layout.total);
    layout.total = layout.targets_at + count * target_bytes;
  }
  if (head.objects >= 0) {
    layout.first_at = aligned(layout.total);
    layout.objects_at = aligned(layout.first_at + (count + 1) * sizeof(std::uint64_t));
    layout.total = layout.objects_at + static_cast<std::size_t>(head.objects) * sizeof(PackedObject);
  }
  if (head.symbols >= 0) {
    layout.first_symbol_at = aligned(layout.total);
    layout.symbols_at = aligned(layout.first_symbol_at + (count + 1) * sizeof(std::uint64_t));
    layout.total = layout.symbols_at + static_cast<std::size_t>(head.symbols) * sizeof(std::int32_t);
  }
  if (head.masks > 0) {
    layout.masks_at = aligned(layout.total);
    layout.total = layout.masks_at + count * layout.area;
  }
  layout.landmark_bytes = head.landmarks > 0 ? head.classes.size() * sizeof(PackedLandmark) : 0;
  if (count > (std::numeric_limits<std::size_t>::max() >> 1U) / (layout.landmark_bytes + 1)) return false;
  if (head.masks > 1) {
    layout.instances_at = aligned(layout.total);
    layout.total = layout.instances_at + count * layout.area * sizeof(std::uint16_t);
  }
  if (head.landmarks > 0) {
    layout.landmarks_at = aligned(layout.total);
    layout.total = layout.landmarks_at + count * layout.landmark_bytes;
  }
  return true;
}

}  // namespace sightline::dataset::packed
