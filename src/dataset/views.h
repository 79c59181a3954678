// Views: what a network is shown of pictures when it must learn to see in general. A view is a piece of a picture (or a drawn one), turned,
// stretched, recoloured, blurred, mixed with another or beside it: far stronger than augmentation for a task, because nobody needs to tell
// what it shows; the teacher says what it sees in just this view.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/image.h"

namespace sightline::dataset {

// Raised when the same numbers give another view than before.
inline constexpr int views_version = 1;

struct ViewSource {
  std::string name;
  double share = 1;                    // of the views, among all sources
  std::vector<image::Image> pictures;  // in memory; none: drawn ones
};

// View `index` of a run: RGB, side×side. It is drawn from (seed, index) alone. At least one source, each share above 0. Any thread.
// Nothing of other sources is in it (but for drawn things); source, when given, gets which one it is of.
image::Image draw_view(const std::vector<ViewSource>& sources, int side, std::uint64_t seed, std::uint64_t index,
                       std::size_t* source = nullptr);

// The source that draw_view takes for this view, without drawing it.
std::size_t source_of_view(const std::vector<ViewSource>& sources, std::uint64_t seed, std::uint64_t index);

}  // namespace sightline::dataset
