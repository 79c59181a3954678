// Reads packed sets; pack.cpp writes them.
#include "dataset/packed_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/json.h"
#include "dataset/packed_layout.h"

namespace sightline::dataset {

using namespace packed;

Result<PackedSet> PackedSet::open(const std::string& path) {
  const auto broken = [&](const std::string& message) {
    return Error{ErrorKind::invalid_data, fmt::format("{}: not a usable sample cache: {}", path, message)};
  };
  PackedSet set;
  SIGHTLINE_TRY(set.file_, MappedFile::open(path));
  const std::span<const std::byte> bytes = set.file_.bytes();
  const std::size_t prefix = magic.size() + sizeof(std::uint64_t);
  if (bytes.size() < prefix || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) return broken("it does not begin with SLPACK01");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data() + magic.size(), sizeof length);
  if (length > bytes.size() - prefix || (prefix + length) % alignment != 0) return broken("its header's length is wrong");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data() + prefix), length);
  SIGHTLINE_TRY(const Json json, parse_json(text, path));
  auto head = struct_from_json<Head>(json);
  if (!head.ok()) return broken(head.error().message);
  Layout layout;
  if (!lay_out(length, *head, layout)) return broken("its header announces impossible sizes");
  if (layout.total != bytes.size()) return broken(fmt::format("{} bytes where the header announces {}", bytes.size(), layout.total));
  set.shape_ = {head->count, head->height, head->width, head->channels};
  set.classes_ = std::move(head->classes);
  set.labels_at_ = layout.labels_at;
  set.splits_at_ = layout.splits_at;
  set.pixels_at_ = layout.pixels_at;
  set.targets_at_ = layout.targets_at;
  set.target_width_ = head->targets;
  for (const std::int32_t label : set.labels()) {
    if (label < 0 || static_cast<std::size_t>(label) >= set.classes_.size())
      return broken(fmt::format("label {} is not one of the classes", label));
  }
  for (const std::uint8_t split : set.splits()) {
    if (split > static_cast<std::uint8_t>(Split::test)) return broken(fmt::format("{} is no split", split));
  }
  set.objects_ = head->objects;
  set.first_at_ = layout.first_at;
  set.objects_at_ = layout.objects_at;
  if (auto status = set.check_objects(); !status.ok()) return broken(status.error().message);
  set.symbols_ = head->symbols;
  set.first_symbol_at_ = layout.first_symbol_at;
  set.symbols_at_ = layout.symbols_at;
  if (auto status = set.check_texts(); !status.ok()) return broken(status.error().message);
  set.masks_ = head->masks;
  set.masks_at_ = layout.masks_at;
  set.instances_at_ = layout.instances_at;
  if (auto status = set.check_masks(); !status.ok()) return broken(status.error().message);
  set.has_landmarks_ = head->landmarks > 0;
  set.landmarks_at_ = layout.landmarks_at;
  for (std::int64_t i = 0; i < head->count; ++i)
    for (const PackedLandmark& point : set.landmarks_of(i))
      if (!std::isfinite(point.x) || !std::isfinite(point.y) || point.said > 2)
        return broken(fmt::format("a landmark of sample {} is no place", i));
  return set;
}

Result<void> PackedSet::check_objects() const {
  const auto wrong = [](std::string what) { return Error{ErrorKind::invalid_data, std::move(what)}; };
  if (!has_objects()) return {};
  const auto first = first_objects();
  if (first.front() != 0 || first.back() != static_cast<std::uint64_t>(objects_) || !std::ranges::is_sorted(first))
    return wrong("its samples' objects do not follow each other");
  for (std::size_t i = 0; i < objects().size(); ++i) {
    const PackedObject& object = objects()[i];
    if (object.label < 0 || static_cast<std::size_t>(object.label) >= classes_.size() || object.ignored > 1)
      return wrong(fmt::format("object {} is of no class, or says neither that it counts nor that it does not", i));
    // What is no number fails each of these.
    const bool within = object.left >= 0 && object.left < object.right && object.right <= static_cast<float>(shape_[2]) &&
                        object.top >= 0 && object.top < object.bottom && object.bottom <= static_cast<float>(shape_[1]);
    if (!within) return wrong(fmt::format("object {} does not lie within its picture", i));
  }
  return {};
}

Result<void> PackedSet::check_texts() const {
  const auto wrong = [](std::string what) { return Error{ErrorKind::invalid_data, std::move(what)}; };
  if (!has_texts()) return {};
  const auto first = first_symbols();
  if (first.front() != 0 || first.back() != static_cast<std::uint64_t>(symbols_) || !std::ranges::is_sorted(first))
    return wrong("its samples' texts do not follow each other");
  for (const std::int32_t symbol : symbols())
    if (symbol < 0 || static_cast<std::size_t>(symbol) >= classes_.size()) return wrong(fmt::format("the symbol {} is no class", symbol));
  return {};
}

std::span<const PackedLandmark> PackedSet::landmarks_of(std::int64_t sample) const {
  if (!has_landmarks_) return {};
  const auto* all = reinterpret_cast<const PackedLandmark*>(file_.bytes().data() + landmarks_at_);
  return {all + static_cast<std::size_t>(sample) * classes_.size(), classes_.size()};
}

std::span<const std::int32_t> PackedSet::symbols() const {
  return {reinterpret_cast<const std::int32_t*>(file_.bytes().data() + symbols_at_),
          static_cast<std::size_t>(std::max<std::int64_t>(symbols_, 0))};
}

std::span<const std::uint64_t> PackedSet::first_symbols() const {
  return {reinterpret_cast<const std::uint64_t*>(file_.bytes().data() + first_symbol_at_),
          has_texts() ? static_cast<std::size_t>(shape_[0]) + 1 : 0};
}

std::span<const std::int32_t> PackedSet::text_of(std::int64_t sample) const {
  if (!has_texts()) return {};
  const auto place = static_cast<std::size_t>(sample);
  return symbols().subspan(first_symbols()[place], first_symbols()[place + 1] - first_symbols()[place]);
}

Result<void> PackedSet::check_masks() const {
  if (!has_masks()) return {};
  if (has_instances() && classes_.size() != 1) return Error{ErrorKind::invalid_data, "it has instances of several classes"};
  for (std::int64_t sample = 0; sample < shape_[0]; ++sample) {
    const auto mask = mask_of(sample);
    for (const std::uint8_t value : mask)
      if (value > classes_.size() && value != annotation::unjudged_pixel)
        return Error{ErrorKind::invalid_data, fmt::format("the mask of sample {} holds {}, which is no class", sample, value)};
  }
  return {};
}

std::span<const std::uint8_t> PackedSet::mask_of(std::int64_t sample) const {
  if (!has_masks()) return {};
  const auto area = static_cast<std::size_t>(shape_[1] * shape_[2]);
  return {reinterpret_cast<const std::uint8_t*>(file_.bytes().data() + masks_at_) + static_cast<std::size_t>(sample) * area, area};
}

std::span<const std::uint16_t> PackedSet::instances_of(std::int64_t sample) const {
  if (!has_instances()) return {};
  const auto area = static_cast<std::size_t>(shape_[1] * shape_[2]);
  return {reinterpret_cast<const std::uint16_t*>(file_.bytes().data() + instances_at_) + static_cast<std::size_t>(sample) * area, area};
}

std::span<const PackedObject> PackedSet::objects() const {
  return {reinterpret_cast<const PackedObject*>(file_.bytes().data() + objects_at_),
          static_cast<std::size_t>(std::max<std::int64_t>(objects_, 0))};
}

std::span<const std::uint64_t> PackedSet::first_objects() const {
  return {reinterpret_cast<const std::uint64_t*>(file_.bytes().data() + first_at_),
          has_objects() ? static_cast<std::size_t>(shape_[0]) + 1 : 0};
}

std::span<const PackedObject> PackedSet::objects_of(std::int64_t sample) const {
  if (!has_objects()) return {};
  const auto place = static_cast<std::size_t>(sample);
  return objects().subspan(first_objects()[place], first_objects()[place + 1] - first_objects()[place]);
}

Tensor PackedSet::pixels() const {
  // Tensor has no constant view; the mapping is read-only, and writing would fault.
  return Tensor::view_of(Dtype::u8, shape_, const_cast<std::byte*>(file_.bytes().data() + pixels_at_));
}

std::span<const std::int32_t> PackedSet::labels() const {
  return {reinterpret_cast<const std::int32_t*>(file_.bytes().data() + labels_at_), static_cast<std::size_t>(shape_[0])};
}

std::span<const std::uint8_t> PackedSet::splits() const {
  return {reinterpret_cast<const std::uint8_t*>(file_.bytes().data() + splits_at_), static_cast<std::size_t>(shape_[0])};
}

std::span<const float> PackedSet::targets() const {
  return {reinterpret_cast<const float*>(file_.bytes().data() + targets_at_),
          static_cast<std::size_t>(target_width_ > 0 ? shape_[0] * target_width_ : 0)};
}

std::vector<std::int64_t> PackedSet::indices_of(Split split) const {
  std::vector<std::int64_t> indices;
  const auto all = splits();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == static_cast<std::uint8_t>(split)) indices.push_back(static_cast<std::int64_t>(i));
  }
  return indices;
}

}  // namespace sightline::dataset
