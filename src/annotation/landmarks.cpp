#include "annotation/landmarks.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace sightline::annotation {
namespace {

std::string lower(std::string_view name) {
  std::string out(name);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// The name with its side exchanged; "" where it has none.
std::string other_side(const std::string& name) {
  constexpr std::string_view left = "left", right = "right";
  if (const std::size_t at = name.find(left); at != std::string::npos) return std::string(name).replace(at, left.size(), right);
  if (const std::size_t at = name.find(right); at != std::string::npos) return std::string(name).replace(at, right.size(), left);
  return "";
}

}  // namespace

std::vector<std::size_t> mirrored_landmarks(const std::vector<std::string>& names) {
  std::vector<std::string> lowered;
  for (const std::string& name : names) lowered.push_back(lower(name));
  std::vector<std::size_t> places(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = std::ranges::find(lowered, other_side(lowered[i]));
    places[i] = found == lowered.end() ? i : static_cast<std::size_t>(found - lowered.begin());
  }
  return places;
}

std::optional<std::pair<std::size_t, std::size_t>> eyes_among(const std::vector<std::string>& names) {
  const std::vector<std::size_t> mirrored = mirrored_landmarks(names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::string rest = lower(names[i]);
    if (mirrored[i] == i || rest.find("left") == std::string::npos) continue;
    for (const std::string_view word : {"left", "outer", "corner", "center", "centre", "pupil", "eye"})
      if (const std::size_t at = rest.find(word); at != std::string::npos) rest.erase(at, word.size());
    const bool eye = lower(names[i]).find("eye") != std::string::npos || lower(names[i]).find("pupil") != std::string::npos;
    if (eye && std::ranges::all_of(rest, [](char c) { return c == '_' || c == ' ' || c == '-' || c == '.'; }))
      return std::pair(i, mirrored[i]);
  }
  return std::nullopt;
}

}  // namespace sightline::annotation
