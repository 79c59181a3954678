#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "base/interrupt.h"
#include "heads/blas.h"
#include "heads/checks.h"
#include "heads/folds.h"
#include "heads/gram.h"
#include "heads/linear.h"

namespace sightline::heads {
namespace {

// Turns scores into probabilities: softmax(score / temperature).
void softmax(const float* score, std::size_t classes, double temperature, double* out) {
  const double most = *std::max_element(score, score + classes);
  double sum = 0;
  for (std::size_t k = 0; k < classes; ++k) sum += out[k] = std::exp((score[k] - most) / temperature);
  for (std::size_t k = 0; k < classes; ++k) out[k] /= sum;
}

// The temperature that makes the labels most likely when a share `noise` of them is drawn at random; both are fitted, so that wrong
// labels, which no head can predict, do not flatten the probabilities of the right ones.
double fit_temperature(const std::vector<float>& scores, std::span<const std::int32_t> labels, std::size_t classes) {
  const std::size_t step = std::max<std::size_t>(1, labels.size() * classes / 200'000);  // a sample of the rows is enough
  std::vector<double> p(classes);
  double best = 1, most = -std::numeric_limits<double>::infinity();
  for (double temperature = 0.01; temperature < 4; temperature *= 1.1) {
    constexpr std::array<double, 6> noises{0.001, 0.01, 0.03, 0.06, 0.12, 0.25};
    std::array<double, noises.size()> likelihood{};
    for (std::size_t i = 0; i < labels.size(); i += step) {
      softmax(scores.data() + i * classes, classes, temperature, p.data());
      const double own = p[static_cast<std::size_t>(labels[i])];
      for (std::size_t n = 0; n < noises.size(); ++n)
        likelihood[n] += std::log((1 - noises[n]) * own + noises[n] / static_cast<double>(classes));
    }
    const double here = *std::max_element(likelihood.begin(), likelihood.end());
    if (here > most) {
      most = here;
      best = temperature;
    }
  }
  return best;
}

class OutOfFold {
 public:
  OutOfFold(const Tensor& features, std::span<const std::int32_t> labels, int classes, std::vector<std::vector<std::int64_t>> folds)
      : features_(features), labels_(labels), classes_(classes), folds_(std::move(folds)), scaling_(standardisation(features)) {}

  Result<std::vector<float>> scores() {
    const auto d = static_cast<std::size_t>(features_.dim(1));
    const auto k = static_cast<std::size_t>(classes_);
    total_.assign(d * d, 0);
    for (const auto& rows : folds_) {
      SIGHTLINE_TRY(Moments moments, moments_of(features_, scaling_, rows, labels_, classes_));
      for (std::size_t i = 0; i < total_.size(); ++i) total_[i] += moments.gram[i];
      moments_.push_back(std::move(moments));
    }
    std::vector<float> scores(labels_.size() * k);
    // The first fold chooses lambda by its squared error; the others take it over.
    double lambda = 0, least = std::numeric_limits<double>::infinity();
    std::vector<float> trial(scores.size());
    for (double candidate : {0.003, 0.03, 0.3}) {
      SIGHTLINE_CHECK(judge(0, candidate, trial));
      double error = 0;
      for (std::int64_t i : folds_[0]) {
        for (std::size_t c = 0; c < k; ++c) {
          const double target = labels_[static_cast<std::size_t>(i)] == static_cast<std::int32_t>(c) ? 1 : 0;
          const double off = trial[static_cast<std::size_t>(i) * k + c] - target;
          error += off * off;
        }
      }
      if (error >= least) continue;
      least = error;
      lambda = candidate;
      scores = trial;
    }
    for (std::size_t f = 1; f < folds_.size(); ++f) SIGHTLINE_CHECK(judge(f, lambda, scores));
    return scores;
  }

 private:
  // Scores of the fold's samples from a head fitted on all the others.
  Result<void> judge(std::size_t fold, double lambda, std::vector<float>& scores) {
    SIGHTLINE_CHECK(check_interrupt());
    std::vector<double> gram = total_;
    for (std::size_t i = 0; i < gram.size(); ++i) gram[i] -= moments_[fold].gram[i];
    const auto d = static_cast<std::size_t>(features_.dim(1));
    const auto k = static_cast<std::size_t>(classes_);
    Moments others{.dimensions = features_.dim(1),
                   .classes = classes_,
                   .gram = {},
                   .cross = std::vector<double>(k * d),
                   .sum = std::vector<double>(d),
                   .class_sum = std::vector<double>(k)};
    for (std::size_t f = 0; f < folds_.size(); ++f) {
      if (f == fold) continue;
      others.count += moments_[f].count;
      for (std::size_t i = 0; i < k * d; ++i) others.cross[i] += moments_[f].cross[i];
      for (std::size_t i = 0; i < d; ++i) others.sum[i] += moments_[f].sum[i];
      for (std::size_t i = 0; i < k; ++i) others.class_sum[i] += moments_[f].class_sum[i];
    }
    SIGHTLINE_TRY(const RidgeSolution solution, solve_ridge(std::move(gram), others, lambda));
    const std::vector<float> weight(solution.weight.begin(), solution.weight.end());
    std::vector<float> answers;
    return for_blocks(features_, scaling_, folds_[fold], [&](const float* block, std::span<const std::int64_t> rows) {
      answers.resize(rows.size() * k);
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows.size()), classes_, static_cast<int>(d), 1.0F, block,
                  static_cast<int>(d), weight.data(), static_cast<int>(d), 0.0F, answers.data(), classes_);
      for (std::size_t r = 0; r < rows.size(); ++r) {
        for (std::size_t c = 0; c < k; ++c)
          scores[static_cast<std::size_t>(rows[r]) * k + c] = answers[r * k + c] + static_cast<float>(solution.bias[c]);
      }
    });
  }

  const Tensor& features_;
  std::span<const std::int32_t> labels_;
  int classes_;
  std::vector<std::vector<std::int64_t>> folds_;  // ascending rows
  Scaling scaling_;
  std::vector<Moments> moments_;  // by fold
  std::vector<double> total_;     // D×D
};

}  // namespace

Result<Tensor> out_of_fold_probabilities(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                                         int classes, int folds, std::uint64_t seed) {
  SIGHTLINE_CHECK(check_training_data(features, labels, classes));
  if (!groups.empty() && groups.size() != labels.size())
    return Error{ErrorKind::invalid_data, fmt::format("{} groups for {} samples", groups.size(), labels.size())};
  if (folds < 2) return Error{ErrorKind::usage, fmt::format("out-of-fold probabilities want at least 2 folds, not {}", folds)};
  std::vector<std::vector<std::int64_t>> rows(static_cast<std::size_t>(folds));
  const std::vector<int> fold_of = assign_folds(labels, groups, classes, folds, seed);
  for (std::size_t i = 0; i < labels.size(); ++i) rows[static_cast<std::size_t>(fold_of[i])].push_back(static_cast<std::int64_t>(i));
  std::erase_if(rows, [](const auto& fold) { return fold.empty(); });
  if (rows.size() < 2)
    return Error{ErrorKind::invalid_data, "out-of-fold probabilities want samples of at least two groups, so that one can judge the other"};

  const BlasThreads threads;
  SIGHTLINE_TRY(const std::vector<float> scores, OutOfFold(features, labels, classes, std::move(rows)).scores());
  const auto k = static_cast<std::size_t>(classes);
  const double temperature = fit_temperature(scores, labels, k);
  Tensor probabilities(Dtype::f32, {features.dim(0), classes});
  const auto out = probabilities.values<float>();
  std::vector<double> p(k);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    softmax(scores.data() + i * k, k, temperature, p.data());
    std::copy(p.begin(), p.end(), out.begin() + static_cast<std::ptrdiff_t>(i * k));
  }
  return probabilities;
}

}  // namespace sightline::heads
