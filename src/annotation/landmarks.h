// Names of landmarks: "left_eye" and "right_eye" are each other's mirror image.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sightline::annotation {

// Of each landmark, the one that stands in its place when the picture is mirrored: where one name is another's with "left" for "right" (in
// any case: "LeftEye", "eye_right"), that one, else itself.
std::vector<std::size_t> mirrored_landmarks(const std::vector<std::string>& names);

// The two eyes, whose distance is the usual unit of errors of faces (Sagonas et al. 2013): a left and a right one whose names hold "eye",
// or their pupils, and nothing else but "outer" or "corner". None where there is no such pair; the first of several.
std::optional<std::pair<std::size_t, std::size_t>> eyes_among(const std::vector<std::string>& names);

}  // namespace sightline::annotation
