// Numbers of annotation files: all of the text, and finite. Internal to this folder.
#pragma once

#include <charconv>
#include <cmath>
#include <string_view>
#include <type_traits>

namespace sightline::dataset {

template <class T>
bool read_number(std::string_view text, T& value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  if constexpr (std::is_floating_point_v<T>) return std::isfinite(value);
  return true;
}

}  // namespace sightline::dataset
