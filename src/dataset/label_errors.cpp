#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "dataset/audit.h"

namespace sightline::dataset {

std::vector<Suspect> rank_label_errors(const Manifest& manifest, const std::vector<std::int64_t>& rows, const Tensor& probabilities) {
  assert(probabilities.rank() == 2 && probabilities.dim(0) == static_cast<std::int64_t>(rows.size()));
  const auto classes = static_cast<std::size_t>(probabilities.dim(1));
  const std::span<const float> all = probabilities.values<float>();
  const auto given_of = [&](std::size_t row) {
    const int label = manifest.samples[static_cast<std::size_t>(rows[row])].label;
    assert(label >= 0 && static_cast<std::size_t>(label) < classes);
    return static_cast<std::size_t>(label);
  };

  std::vector<double> threshold(classes);
  std::vector<std::size_t> labelled(classes);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const float own = all[row * classes + given_of(row)];
    if (!std::isfinite(own)) continue;
    threshold[given_of(row)] += own;
    labelled[given_of(row)]++;
  }
  for (std::size_t k = 0; k < classes; ++k) {
    threshold[k] = labelled[k] > 0 ? threshold[k] / static_cast<double>(labelled[k]) : std::numeric_limits<double>::infinity();
  }

  std::vector<Suspect> ranking;
  ranking.reserve(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::size_t given = given_of(row);
    const std::span<const float> p = all.subspan(row * classes, classes);
    std::size_t suggested = given;
    double other = -std::numeric_limits<double>::infinity();
    std::size_t confident = classes;  // of the classes whose threshold is reached, the most probable
    bool finite = true;
    for (std::size_t k = 0; k < classes; ++k) {
      finite = finite && std::isfinite(p[k]);
      if (k != given && p[k] > other) {
        other = p[k];
        suggested = k;
      }
      if (p[k] >= threshold[k] && (confident == classes || p[k] > p[confident])) confident = k;
    }
    Suspect suspect{.sample = rows[row], .given = static_cast<int>(given), .suggested = static_cast<int>(suggested)};
    suspect.score = finite && classes > 1 ? 1 - p[given] / threshold[given] : -std::numeric_limits<double>::infinity();
    suspect.likely = finite && confident != classes && confident != given;
    ranking.push_back(suspect);
  }
  std::sort(ranking.begin(), ranking.end(),
            [](const Suspect& a, const Suspect& b) { return a.score != b.score ? a.score > b.score : a.sample < b.sample; });
  return ranking;
}

std::vector<Finding> label_error_findings(const Manifest& manifest, const std::vector<Suspect>& ranking, std::size_t limit) {
  const auto class_name = [&](int label) { return manifest.classes[static_cast<std::size_t>(label)]; };
  std::vector<Finding> findings;
  for (const Suspect& suspect : ranking) {
    if (findings.size() >= limit) break;
    if (!suspect.likely) continue;
    const Sample& sample = manifest.samples[static_cast<std::size_t>(suspect.sample)];
    findings.push_back(
        {"label_error",
         fmt::format("{} is labelled \"{}\" but looks like \"{}\"", sample.path, class_name(suspect.given), class_name(suspect.suggested)),
         {suspect.sample},
         suspect.score});
  }
  return findings;
}

}  // namespace sightline::dataset
