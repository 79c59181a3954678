// Label errors without any trained network: random patch features of small pictures, a closed-form head judged out of fold, confident
// learning.
#include <algorithm>
#include <map>

#include "base/interrupt.h"
#include "base/parallel.h"
#include "factory/step_inputs.h"
#include "heads/linear.h"
#include "image/image.h"

namespace sightline::factory {
namespace {

constexpr int largest_side = 32;  // patch features look at pictures of at most this side
constexpr int filters = 192;
constexpr int folds = 5;

// u8 N×H×W×C of the given rows, shrunk to at most 32×32.
Tensor small_pictures(const Tensor& pixels, const std::vector<std::int64_t>& rows) {
  const auto height = static_cast<int>(pixels.dim(1));
  const auto width = static_cast<int>(pixels.dim(2));
  const auto channels = static_cast<int>(pixels.dim(3));
  const int small_height = std::min(height, largest_side);
  const int small_width = std::min(width, largest_side);
  Tensor small(Dtype::u8, {static_cast<std::int64_t>(rows.size()), small_height, small_width, channels});
  const std::size_t large_bytes = static_cast<std::size_t>(height) * width * channels;
  const std::size_t small_bytes = static_cast<std::size_t>(small_height) * small_width * channels;
  const auto source = pixels.values<std::uint8_t>();
  const auto target = small.values<std::uint8_t>();
  const auto shrink = [&](std::size_t i) -> Result<void> {
    const auto picture = source.subspan(static_cast<std::size_t>(rows[i]) * large_bytes, large_bytes);
    if (small_bytes == large_bytes) {
      std::copy(picture.begin(), picture.end(), target.begin() + static_cast<std::ptrdiff_t>(i * small_bytes));
      return {};
    }
    const image::Image large{.width = width, .height = height, .channels = channels, .pixels = {picture.begin(), picture.end()}};
    const image::Image shrunk = image::resize(large, small_width, small_height);
    std::copy(shrunk.pixels.begin(), shrunk.pixels.end(), target.begin() + static_cast<std::ptrdiff_t>(i * small_bytes));
    return {};
  };
  // Only an interrupt can end this early; the caller checks for it.
  (void)parallel_for(rows.size(), shrink, 0, 64).ok();
  return small;
}

}  // namespace

Result<std::vector<dataset::Suspect>> find_label_errors(const dataset::Manifest& manifest, const dataset::PackedSet& packed,
                                                        std::int64_t seed) {
  std::vector<std::int64_t> rows;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> groups;
  std::map<std::string, std::int64_t> group_numbers;
  std::vector<std::int64_t> per_class(manifest.classes.size());
  for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
    const dataset::Sample& sample = manifest.samples[i];
    if (sample.split == dataset::Split::test) continue;
    rows.push_back(static_cast<std::int64_t>(i));
    labels.push_back(sample.label);
    ++per_class[static_cast<std::size_t>(sample.label)];
    groups.push_back(
        sample.group.empty() ? -1 : group_numbers.emplace(sample.group, static_cast<std::int64_t>(group_numbers.size())).first->second);
  }
  // Out of fold needs at least two samples of a class to say anything about it.
  if (rows.size() < 20 || *std::max_element(per_class.begin(), per_class.end()) < 2) return std::vector<dataset::Suspect>{};

  const Tensor pictures = small_pictures(packed.pixels(), rows);
  SIGHTLINE_CHECK(check_interrupt());
  SIGHTLINE_TRY(const Tensor features, heads::patch_features(pictures, filters, static_cast<std::uint64_t>(seed)));
  SIGHTLINE_CHECK(check_interrupt());
  SIGHTLINE_TRY(const Tensor probabilities,
                heads::out_of_fold_probabilities(features, labels, groups, static_cast<int>(manifest.classes.size()), folds,
                                                 static_cast<std::uint64_t>(seed)));
  std::vector<dataset::Suspect> suspects = dataset::rank_label_errors(manifest, rows, probabilities);
  suspects.resize(std::min(suspects.size(), std::max<std::size_t>(100, rows.size() / 10)));
  return suspects;
}

}  // namespace sightline::factory
