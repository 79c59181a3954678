#include "factory/small_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace sightline::factory {
namespace {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::vector<dataset::Suspect> suspects_of(const dataset::Manifest& manifest, const std::vector<std::int64_t>& rows,
                                          const heads::Choice& choice) {
  return dataset::rank_label_errors(manifest, rows, heads::out_of_fold_of(choice));
}

std::vector<evaluation::CurvePoint> curve_points(std::span<const heads::ErrorsAtSize> errors, int label) {
  std::vector<evaluation::CurvePoint> points;
  for (const heads::ErrorsAtSize& at : errors) {
    evaluation::CurvePoint point;
    if (label < 0) {
      point.samples = static_cast<double>(at.size);
      point.errors = at.balanced;
      // What a mean over classes is worth: K times the harmonic mean of their sizes.
      double inverse = 0, present = 0;
      for (const std::int64_t count : at.judged) {
        if (count == 0) continue;
        inverse += 1 / static_cast<double>(count);
        present += 1;
      }
      point.judged = present * present / inverse;
    } else {
      const auto c = static_cast<std::size_t>(label);
      point.samples = at.trained[c];
      point.judged = static_cast<double>(at.judged[c]);
      for (const std::vector<double>& repeat : at.by_class) point.errors.push_back(repeat[c]);
    }
    // A class that has no more to give stays where it was: only other classes grew.
    if (points.empty() || point.samples > points.back().samples + 0.5) points.push_back(std::move(point));
  }
  return points;
}

Result<ImagesNeeded> images_needed(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                                   const std::vector<std::string>& classes, double target, std::uint64_t seed) {
  if (!(target > 0 && target < 1)) return Error{ErrorKind::usage, fmt::format("a target of {} is not between 0 and 1", target)};
  SIGHTLINE_TRY(const std::vector<heads::ErrorsAtSize> errors,
                heads::errors_by_training_size(features, labels, groups, static_cast<int>(classes.size()), {.seed = seed}));
  if (errors.size() < 3)
    return Error{ErrorKind::unsupported,
                 "the classes are too small to say how errors fall with more images: a few more of each are wanted first"};
  std::vector<double> have(classes.size());
  for (const std::int32_t label : labels) have[static_cast<std::size_t>(label)] += 1;
  std::vector<double> sizes = have;
  std::erase(sizes, 0);
  std::ranges::sort(sizes);
  ImagesNeeded needed;
  SIGHTLINE_TRY(const evaluation::LearningCurve overall, evaluation::fit_learning_curve(curve_points(errors, -1), {.seed = seed}));
  needed.overall = evaluation::samples_needed(overall, 1 - target, sizes[sizes.size() / 2], "of each class");
  needed.sentences.push_back(needed.overall.sentence);

  std::vector<std::size_t> worst;
  for (std::size_t c = 0; c < classes.size(); ++c)
    if (have[c] > 0) worst.push_back(c);
  const auto error_of = [&](std::size_t c) { return mean(curve_points(errors, static_cast<int>(c)).back().errors); };
  std::erase_if(worst, [&](std::size_t c) { return error_of(c) <= 1 - target; });
  std::ranges::stable_sort(worst, [&](std::size_t a, std::size_t b) { return error_of(a) > error_of(b); });
  for (const std::size_t c : worst) {
    const std::vector<evaluation::CurvePoint> points = curve_points(errors, static_cast<int>(c));
    needed.classes.push_back(classes[c]);
    if (points.size() < 3) {
      needed.by_class.push_back(
          {.sentence = fmt::format("\"{}\" has too few images ({:g}) to say how many more it needs", classes[c], have[c])});
    } else {
      SIGHTLINE_TRY(const evaluation::LearningCurve curve, evaluation::fit_learning_curve(points, {.seed = seed}));
      needed.by_class.push_back(evaluation::samples_needed(curve, 1 - target, have[c], fmt::format("of \"{}\"", classes[c])));
    }
    needed.sentences.push_back(needed.by_class.back().sentence);
  }
  return needed;
}

}  // namespace sightline::factory
