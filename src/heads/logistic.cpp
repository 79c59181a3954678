#include "heads/logistic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <numeric>

#include "base/interrupt.h"
#include "heads/blas.h"
#include "heads/checks.h"
#include "heads/gram.h"
#include "heads/linear.h"

namespace sightline::heads {
namespace {

constexpr std::size_t memory = 10;            // pairs that L-BFGS keeps
constexpr double sufficient_decrease = 1e-4;  // Armijo

double dot(const std::vector<double>& a, const std::vector<double>& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

// Mean cross entropy of softmax(W x + b) plus Σ penalty_j/2 · W_j² over scaled features x. Parameters: K×D weights, then K intercepts.
class LogisticLoss {
 public:
  // Calls its argument with blocks of scaled rows and their numbers, which labels and emphasis go by.
  using Rows = std::function<Result<void>(const std::function<void(const float*, std::span<const std::int64_t>)>&)>;
  // What is referred to must outlive the loss.
  LogisticLoss(Rows rows, std::int64_t dimensions, double total, std::span<const std::int32_t> labels, std::span<const double> emphasis,
               int classes, std::span<const double> penalty)
      : rows_(std::move(rows)),
        dimensions_(static_cast<std::size_t>(dimensions)),
        total_(total),
        labels_(labels),
        emphasis_(emphasis),
        classes_(classes),
        penalty_(penalty) {}

  Result<double> operator()(const std::vector<double>& parameters, std::vector<double>& gradient) const {
    const std::size_t d = dimensions_, k = static_cast<std::size_t>(classes_);
    const std::vector<float> weight(parameters.begin(), parameters.begin() + static_cast<std::ptrdiff_t>(k * d));
    const double* bias = parameters.data() + k * d;
    std::vector<float> answers, of_block(k * d);
    gradient.assign(parameters.size(), 0.0);
    double loss = 0;
    SIGHTLINE_CHECK(rows_([&](const float* block, std::span<const std::int64_t> part) {
      const int count = static_cast<int>(part.size());
      answers.resize(part.size() * k);
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, count, classes_, static_cast<int>(d), 1.0F, block, static_cast<int>(d),
                  weight.data(), static_cast<int>(d), 0.0F, answers.data(), classes_);
      for (std::size_t r = 0; r < part.size(); ++r) loss += residuals(part[r], answers.data() + r * k, bias, gradient.data() + k * d);
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, classes_, static_cast<int>(d), count, 1.0F, answers.data(), classes_, block,
                  static_cast<int>(d), 0.0F, of_block.data(), static_cast<int>(d));
      for (std::size_t i = 0; i < k * d; ++i) gradient[i] += of_block[i];
    }));
    for (double& g : gradient) g /= total_;
    loss /= total_;
    for (std::size_t i = 0; i < k * d; ++i) {
      const double penalty = penalty_[i % d];
      loss += 0.5 * penalty * parameters[i] * parameters[i];
      gradient[i] += penalty * parameters[i];
    }
    return loss;
  }

 private:
  // Turns a row's scores (without intercepts) into emphasised residuals, adds them to the intercepts' gradient, returns the loss.
  double residuals(std::int64_t sample, float* row, const double* bias, double* of_bias) const {
    const auto k = static_cast<std::size_t>(classes_);
    double most = -std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < k; ++c) most = std::max(most, row[c] + bias[c]);
    double sum = 0;
    for (std::size_t c = 0; c < k; ++c) sum += std::exp(row[c] + bias[c] - most);
    const auto label = static_cast<std::size_t>(labels_[static_cast<std::size_t>(sample)]);
    const double emphasis = emphasis_[static_cast<std::size_t>(sample)];
    const double loss = -emphasis * (row[label] + bias[label] - most - std::log(sum));
    for (std::size_t c = 0; c < k; ++c) {
      const double residual = emphasis * (std::exp(row[c] + bias[c] - most) / sum - (c == label ? 1 : 0));
      of_bias[c] += residual;
      row[c] = static_cast<float>(residual);
    }
    return loss;
  }

  Rows rows_;
  std::size_t dimensions_;
  double total_;  // emphasis of all rows
  std::span<const std::int32_t> labels_;
  std::span<const double> emphasis_;
  int classes_;
  std::span<const double> penalty_;  // D
};

struct Step {
  std::vector<double> moved, gradient_change;
  double curvature = 0;
};

// The two-loop recursion (Nocedal 1980): minus the inverse Hessian, as far as it is known, times the gradient.
std::vector<double> direction_of(const std::deque<Step>& steps, const std::vector<double>& gradient) {
  std::vector<double> direction(gradient.size());
  std::transform(gradient.begin(), gradient.end(), direction.begin(), [](double g) { return -g; });
  std::vector<double> share(steps.size());
  for (std::size_t s = steps.size(); s-- > 0;) {
    share[s] = dot(steps[s].moved, direction) / steps[s].curvature;
    for (std::size_t i = 0; i < direction.size(); ++i) direction[i] -= share[s] * steps[s].gradient_change[i];
  }
  if (!steps.empty()) {
    const double scale = steps.back().curvature / dot(steps.back().gradient_change, steps.back().gradient_change);
    for (double& d : direction) d *= scale;
  }
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const double back = share[s] - dot(steps[s].gradient_change, direction) / steps[s].curvature;
    for (std::size_t i = 0; i < direction.size(); ++i) direction[i] += back * steps[s].moved[i];
  }
  return direction;
}

Result<void> minimise(const LogisticLoss& loss, std::vector<double>& parameters, const LogisticEffort& effort) {
  std::vector<double> gradient, next_gradient, next(parameters.size());
  SIGHTLINE_TRY(double value, loss(parameters, gradient));
  std::deque<Step> steps;
  for (int iteration = 0; iteration < effort.iterations; ++iteration) {
    const double largest =
        std::abs(*std::max_element(gradient.begin(), gradient.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }));
    if (largest < effort.small_gradient) return {};
    std::vector<double> direction = direction_of(steps, gradient);
    const double slope = dot(direction, gradient);
    double length = steps.empty() ? std::min(1.0, 1 / std::sqrt(dot(gradient, gradient))) : 1.0;
    double next_value = value;
    bool accepted = false;
    for (int tries = 0; tries < 30 && !accepted; ++tries, length *= 0.5) {
      for (std::size_t i = 0; i < next.size(); ++i) next[i] = parameters[i] + length * direction[i];
      SIGHTLINE_TRY(next_value, loss(next, next_gradient));
      accepted = next_value <= value + sufficient_decrease * length * slope;
    }
    if (!accepted) return {};  // no descent left at this precision
    Step step;
    step.moved.resize(next.size());
    step.gradient_change.resize(next.size());
    for (std::size_t i = 0; i < next.size(); ++i) {
      step.moved[i] = next[i] - parameters[i];
      step.gradient_change[i] = next_gradient[i] - gradient[i];
    }
    step.curvature = dot(step.moved, step.gradient_change);
    // The loss is convex, so only rounding makes this fail.
    if (step.curvature > 1e-12 * dot(step.moved, step.moved)) steps.push_back(std::move(step));
    if (steps.size() > memory) steps.pop_front();
    const bool settled = value - next_value < effort.small_step * std::abs(value);
    std::swap(parameters, next);
    std::swap(gradient, next_gradient);
    value = next_value;
    if (settled) return {};
  }
  return {};
}

}  // namespace

LogisticPath::LogisticPath(const Spectrum& spectrum, std::span<const std::int32_t> labels, int classes, std::span<const double> emphasis)
    : spectrum_(spectrum), labels_(labels), classes_(classes), emphasis_(labels.size(), 1.0) {
  if (!emphasis.empty()) std::copy(emphasis.begin(), emphasis.end(), emphasis_.begin());
}

Result<std::vector<Coefficients>> LogisticPath::without(std::span<const std::int64_t> held_out, std::span<const double> penalties,
                                                        const LogisticEffort& effort) const {
  const auto r = static_cast<std::size_t>(spectrum_.rank), k = static_cast<std::size_t>(classes_);
  std::vector<bool> out(labels_.size());
  for (const std::int64_t row : held_out) out[static_cast<std::size_t>(row)] = true;
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < labels_.size(); ++i)
    if (!out[i]) rows.push_back(static_cast<std::int64_t>(i));

  double total = 0;
  for (const std::int64_t row : rows) total += emphasis_[static_cast<std::size_t>(row)];
  std::vector<Coefficients> path;
  Coefficients at{std::vector<double>(k * r), std::vector<double>(k)};
  std::vector<double> scale(r), own_penalty(r), parameters(k * r + k);
  std::vector<float> scaled(rows.size() * r);
  const auto all_at_once = [&](const std::function<void(const float*, std::span<const std::int64_t>)>& visit) -> Result<void> {
    SIGHTLINE_CHECK(check_interrupt());
    visit(scaled.data(), rows);
    return {};
  };
  for (const double penalty : penalties) {
    for (std::size_t j = 0; j < r; ++j) {
      // A class against the rest has p(1 - p) ≤ 1/4 of the scatter as its Hessian.
      scale[j] = 1 / std::sqrt(0.25 * spectrum_.values[j] / spectrum_.total + penalty);
      own_penalty[j] = penalty * scale[j] * scale[j];
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double* row = spectrum_.coordinates.data() + static_cast<std::size_t>(rows[i]) * r;
      for (std::size_t j = 0; j < r; ++j) scaled[i * r + j] = static_cast<float>(row[j] * scale[j]);
    }
    for (std::size_t i = 0; i < k * r; ++i) parameters[i] = at.weight[i] / scale[i % r];
    std::copy(at.bias.begin(), at.bias.end(), parameters.begin() + static_cast<std::ptrdiff_t>(k * r));
    const LogisticLoss loss(all_at_once, spectrum_.rank, total, labels_, emphasis_, classes_, own_penalty);
    SIGHTLINE_CHECK(minimise(loss, parameters, effort));
    for (std::size_t i = 0; i < k * r; ++i) at.weight[i] = parameters[i] * scale[i % r];
    std::copy(parameters.begin() + static_cast<std::ptrdiff_t>(k * r), parameters.end(), at.bias.begin());
    path.push_back(at);
  }
  return path;
}

Result<LinearHead> fit_logistic(const Tensor& features, std::span<const std::int32_t> labels, int classes, double penalty, int iterations) {
  SIGHTLINE_CHECK(check_training_data(features, labels, classes));
  if (!(penalty >= 0) || !std::isfinite(penalty))
    return Error{ErrorKind::usage, fmt::format("the penalty must not be negative, but is {}", penalty)};
  const BlasThreads threads;
  const auto d = static_cast<std::size_t>(features.dim(1));
  const auto k = static_cast<std::size_t>(classes);
  const Scaling scaling = standardisation(features);
  std::vector<std::int64_t> rows(labels.size());
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  const std::vector<double> emphasis(labels.size(), 1.0), penalties(d, penalty);
  const auto in_blocks = [&](const std::function<void(const float*, std::span<const std::int64_t>)>& visit) {
    return for_blocks(features, scaling, rows, visit);
  };
  const LogisticLoss loss(in_blocks, features.dim(1), static_cast<double>(labels.size()), labels, emphasis, classes, penalties);
  std::vector<double> parameters(k * d + k);
  SIGHTLINE_CHECK(minimise(loss, parameters, {.iterations = iterations}));
  LinearHead head{Tensor(Dtype::f32, {classes, features.dim(1)}), Tensor(Dtype::f32, {classes})};
  const auto weight = head.weight.values<float>();
  const auto bias = head.bias.values<float>();
  for (std::size_t c = 0; c < k; ++c) {
    double intercept = parameters[k * d + c];
    for (std::size_t j = 0; j < d; ++j) {
      const double raw = parameters[c * d + j] * scaling.scale[j];
      weight[c * d + j] = static_cast<float>(raw);
      intercept -= raw * scaling.mean[j];
    }
    bias[c] = static_cast<float>(intercept);
  }
  return head;
}

}  // namespace sightline::heads
