#include "factory/mirror.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/interrupt.h"
#include "base/parallel.h"
#include "base/random.h"
#include "heads/linear.h"
#include "image/image.h"

namespace sightline::factory {
namespace {

constexpr std::size_t most_pictures = 3000;
constexpr int side = 24;
constexpr int filters = 64;
constexpr int folds = 4;
constexpr std::size_t least_of_a_class = 8;  // fewer say nothing
// A class suffers when mirroring turns more right answers wrong than the other way round, by a tenth of its pictures and by more than
// three standard deviations of a coin that is thrown for each changed answer.
constexpr double least_share = 0.1;
constexpr double deviations = 3;

// The same share of every class, at most most_pictures in all.
std::vector<std::size_t> choose_pictures(const dataset::Manifest& manifest, std::int64_t seed) {
  std::vector<std::vector<std::size_t>> by_class(manifest.classes.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
    if (manifest.samples[i].split != dataset::Split::train) continue;
    by_class[static_cast<std::size_t>(manifest.samples[i].label)].push_back(i);
    ++count;
  }
  Random random(static_cast<std::uint64_t>(seed), 0x6d6972726f72ULL);
  std::vector<std::size_t> chosen;
  for (auto& members : by_class) {
    random.shuffle(members);
    const std::size_t wanted = count <= most_pictures ? members.size() : std::max(least_of_a_class, members.size() * most_pictures / count);
    chosen.insert(chosen.end(), members.begin(), members.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, members.size())));
  }
  return chosen;
}

// u8 2N×24×24×3: the pictures, then the same mirrored.
Result<Tensor> read_pictures(const dataset::Manifest& manifest, const std::vector<std::size_t>& chosen) {
  const auto count = static_cast<std::int64_t>(chosen.size());
  Tensor pictures(Dtype::u8, {2 * count, side, side, 3});
  constexpr std::size_t bytes = static_cast<std::size_t>(side) * side * 3;
  const auto target = pictures.values<std::uint8_t>();
  const dataset::SampleReader reader(manifest.root);
  SIGHTLINE_CHECK(parallel_for(
      chosen.size(),
      [&](std::size_t i) -> Result<void> {
        SIGHTLINE_TRY(const image::Image picture, reader.read(manifest.samples[chosen[i]].path, {.channels = 3}));
        const image::Image small = image::resize(picture, side, side);
        auto* straight = target.data() + i * bytes;
        auto* mirrored = target.data() + (i + chosen.size()) * bytes;
        std::copy(small.pixels.begin(), small.pixels.end(), straight);
        for (int y = 0; y < side; ++y)
          for (int x = 0; x < side; ++x) std::copy_n(straight + (y * side + x) * 3, 3, mirrored + (y * side + side - 1 - x) * 3);
        return {};
      },
      0, 64));
  return pictures;
}

// For each of the first `count` rows: whether a head that has not seen the row's group finds its label.
Result<std::vector<bool>> right_answers(const Tensor& features, const std::vector<std::int32_t>& labels,
                                        const std::vector<std::int64_t>& groups, std::size_t count, int classes, std::int64_t seed) {
  SIGHTLINE_TRY(const Tensor probabilities,
                heads::out_of_fold_probabilities(features, labels, groups, classes, folds, static_cast<std::uint64_t>(seed)));
  const auto values = probabilities.values<float>();
  std::vector<bool> right(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = values.subspan(i * static_cast<std::size_t>(classes), static_cast<std::size_t>(classes));
    right[i] = std::max_element(row.begin(), row.end()) - row.begin() == labels[i];
  }
  return right;
}

}  // namespace

Result<std::optional<std::string>> harm_of_mirroring(const dataset::Manifest& manifest, std::int64_t seed) {
  const std::vector<std::size_t> chosen = choose_pictures(manifest, seed);
  const std::size_t count = chosen.size();
  const int classes = static_cast<int>(manifest.classes.size());
  if (count < 20 || classes < 2) return std::optional<std::string>();
  SIGHTLINE_TRY(const Tensor pictures, read_pictures(manifest, chosen));
  SIGHTLINE_CHECK(check_interrupt());
  SIGHTLINE_TRY(const Tensor both, heads::patch_features(pictures, filters, static_cast<std::uint64_t>(seed)));
  SIGHTLINE_CHECK(check_interrupt());

  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> groups;  // a picture and its mirror image share a fold
  for (std::size_t i = 0; i < 2 * count; ++i) {
    labels.push_back(manifest.samples[chosen[i % count]].label);
    groups.push_back(static_cast<std::int64_t>(i % count));
  }
  const std::vector<std::int32_t> own_labels(labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(count));
  const std::vector<std::int64_t> own_groups(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(count));
  Tensor straight(Dtype::f32, {static_cast<std::int64_t>(count), both.dim(1)});
  const auto features = both.values<float>();
  std::copy_n(features.begin(), straight.values<float>().size(), straight.values<float>().begin());
  SIGHTLINE_TRY(const std::vector<bool> alone, right_answers(straight, own_labels, own_groups, count, classes, seed));
  SIGHTLINE_TRY(const std::vector<bool> beside, right_answers(both, labels, groups, count, classes, seed));

  struct Change {
    std::size_t members = 0, lost = 0, won = 0;
    double share() const { return (static_cast<double>(lost) - static_cast<double>(won)) / static_cast<double>(members); }
  };
  std::vector<Change> changes(manifest.classes.size());
  for (std::size_t i = 0; i < count; ++i) {
    Change& change = changes[static_cast<std::size_t>(own_labels[i])];
    ++change.members;
    change.lost += alone[i] && !beside[i] ? 1 : 0;
    change.won += !alone[i] && beside[i] ? 1 : 0;
  }
  std::size_t worst = changes.size();
  for (std::size_t label = 0; label < changes.size(); ++label) {
    const Change& change = changes[label];
    if (change.members < least_of_a_class || change.share() < least_share) continue;
    const double noise = std::sqrt(static_cast<double>(change.lost + change.won));
    if (change.share() * static_cast<double>(change.members) <= deviations * noise) continue;
    if (worst == changes.size() || change.share() > changes[worst].share()) worst = label;
  }
  if (worst == changes.size()) return std::optional<std::string>();
  return std::optional(
      fmt::format("of {} pictures of \"{}\" a simple head gets {} fewer right when mirrored pictures teach it (and {} more)",
                  changes[worst].members, manifest.classes[worst], changes[worst].lost, changes[worst].won));
}

}  // namespace sightline::factory
