#include "heads/training_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/interrupt.h"
#include "base/random.h"
#include "heads/checks.h"
#include "heads/choose.h"
#include "heads/folds.h"

namespace sightline::heads {
namespace {

Tensor rows_of(const Tensor& features, std::span<const std::int64_t> rows) {
  Tensor some(Dtype::f32, {static_cast<std::int64_t>(rows.size()), features.dim(1)});
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy_n(features.values<float>().begin() + rows[i] * features.dim(1), features.dim(1),
                some.values<float>().begin() + static_cast<std::ptrdiff_t>(i) * features.dim(1));
  return some;
}

// Up to six sizes, by equal factors, to what the middle class has when one fold is held out.
std::vector<std::int64_t> usual_sizes(std::vector<std::int64_t> class_counts, int folds) {
  std::erase(class_counts, 0);
  std::ranges::sort(class_counts);
  const double largest = std::floor(static_cast<double>(class_counts[class_counts.size() / 2] * (folds - 1)) / folds);
  std::set<std::int64_t> sizes;
  constexpr int count = 6;
  for (int i = 0; i < count; ++i)
    sizes.insert(std::max<std::int64_t>(1, std::llround(2 * std::pow(std::max(largest, 2.0) / 2, static_cast<double>(i) / (count - 1)))));
  return {sizes.begin(), sizes.end()};
}

}  // namespace

Result<std::vector<ErrorsAtSize>> errors_by_training_size(const Tensor& features, std::span<const std::int32_t> labels,
                                                          std::span<const std::int64_t> groups, int classes,
                                                          const TrainingSizesOptions& options) {
  SIGHTLINE_CHECK(check_for_choice(features, labels, groups, classes));
  if (options.folds < 2 || options.repeats < 1)
    return Error{ErrorKind::usage, fmt::format("{} folds and {} repeats; at least 2 and 1 are wanted", options.folds, options.repeats)};
  const auto k = static_cast<std::size_t>(classes);
  std::vector<std::int64_t> count(k);
  for (const std::int32_t label : labels) ++count[static_cast<std::size_t>(label)];
  const std::vector<std::int64_t> sizes = options.sizes.empty() ? usual_sizes(count, options.folds) : options.sizes;
  for (std::size_t s = 0; s < sizes.size(); ++s)
    if (sizes[s] < 1 || (s > 0 && sizes[s] <= sizes[s - 1])) return Error{ErrorKind::usage, "training sizes must rise, from 1 at least"};
  std::vector<ErrorsAtSize> result;
  for (const std::int64_t size : sizes) result.push_back({size, std::vector<double>(k), count, {}, {}});

  double fits = 0;
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(repeat);
    const std::vector<int> fold_of = assign_folds(labels, groups, classes, options.folds, seed);
    std::vector<std::vector<double>> wrong(sizes.size(), std::vector<double>(k));
    for (int fold = 0; fold < options.folds; ++fold) {
      SIGHTLINE_CHECK(check_interrupt());
      std::vector<std::int64_t> held_out;
      std::vector<std::vector<std::int64_t>> pool(k);
      for (std::size_t i = 0; i < labels.size(); ++i) {
        if (fold_of[i] == fold) {
          held_out.push_back(static_cast<std::int64_t>(i));
        } else {
          pool[static_cast<std::size_t>(labels[i])].push_back(static_cast<std::int64_t>(i));
        }
      }
      const auto learned = std::ranges::count_if(pool, [](const auto& rows) { return !rows.empty(); });
      if (held_out.empty() || learned < 2) {
        // Nobody is there to learn from: what is held out is not known.
        for (const std::int64_t row : held_out)
          for (auto& of_size : wrong) of_size[static_cast<std::size_t>(labels[static_cast<std::size_t>(row)])] += 1;
        continue;
      }
      Random random(seed, 0x73697a65ULL, static_cast<std::uint64_t>(fold));
      for (auto& rows : pool) random.shuffle(rows);
      const Tensor judged = rows_of(features, held_out);
      for (std::size_t s = 0; s < sizes.size(); ++s) {
        std::vector<std::int64_t> rows;
        std::vector<std::int32_t> own;
        for (std::size_t c = 0; c < k; ++c) {
          const auto taken = std::min<std::size_t>(pool[c].size(), static_cast<std::size_t>(sizes[s]));
          rows.insert(rows.end(), pool[c].begin(), pool[c].begin() + static_cast<std::ptrdiff_t>(taken));
          own.insert(own.end(), taken, static_cast<std::int32_t>(c));
          result[s].trained[c] += static_cast<double>(taken);
        }
        SIGHTLINE_TRY(const RidgeFit fit, fit_ridge_leave_one_out(rows_of(features, rows), own, classes, true));
        const Tensor scores = scores_of(fit.head, judged);
        for (std::size_t i = 0; i < held_out.size(); ++i) {
          const auto row = scores.values<float>().subspan(i * k, k);
          const std::int32_t label = labels[static_cast<std::size_t>(held_out[i])];
          if (std::ranges::max_element(row) - row.begin() != label) wrong[s][static_cast<std::size_t>(label)] += 1;
        }
      }
      fits += 1;
    }
    for (std::size_t s = 0; s < sizes.size(); ++s) {
      double sum = 0, present = 0;
      for (std::size_t c = 0; c < k; ++c) {
        if (count[c] == 0) continue;
        wrong[s][c] /= static_cast<double>(count[c]);
        sum += wrong[s][c];
        present += 1;
      }
      result[s].by_class.push_back(wrong[s]);
      result[s].balanced.push_back(sum / present);
    }
  }
  for (ErrorsAtSize& at : result)
    for (double& trained : at.trained) trained /= std::max(1.0, fits);
  return result;
}

}  // namespace sightline::heads
