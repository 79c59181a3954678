#include "heads/candidates.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/random.h"
#include "heads/blas.h"
#include "heads/checks.h"

namespace sightline::heads {
namespace {

constexpr std::array ridge_grid{1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0};
constexpr std::array logistic_grid{1.0, 1e-1, 1e-2, 1e-3};

// The coordinates of some samples, F×r.
std::vector<double> coordinates_of(const Spectrum& spectrum, std::span<const std::int64_t> rows) {
  const auto r = static_cast<std::size_t>(spectrum.rank);
  std::vector<double> some(rows.size() * r);
  for (std::size_t f = 0; f < rows.size(); ++f)
    std::copy_n(spectrum.coordinates.begin() + rows[f] * spectrum.rank, r, some.begin() + static_cast<std::ptrdiff_t>(f * r));
  return some;
}

// Scores f32 F×K of samples by their coordinates.
Tensor predict(const std::vector<double>& coordinates, const Coefficients& fitted) {
  const std::size_t k = fitted.bias.size(), r = fitted.weight.size() / k, count = coordinates.size() / r;
  std::vector<double> product(count * k);
  for (std::size_t i = 0; i < product.size(); ++i) product[i] = fitted.bias[i % k];
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(count), static_cast<int>(k), static_cast<int>(r), 1.0,
              coordinates.data(), static_cast<int>(r), fitted.weight.data(), static_cast<int>(r), 1.0, product.data(), static_cast<int>(k));
  Tensor scores(Dtype::f32, {static_cast<std::int64_t>(count), static_cast<std::int64_t>(k)});
  std::ranges::transform(product, scores.values<float>().begin(), [](double score) { return static_cast<float>(score); });
  return scores;
}

std::vector<double> times(std::span<const double> factors, double unit) {
  std::vector<double> values;
  for (const double factor : factors) values.push_back(factor * unit);
  return values;
}

// The penalty of least emphasised squared leave-one-out error; fills the errors (means).
double least_error(const RidgePath& path, const Spectrum& spectrum, std::size_t classes, std::vector<double>* errors) {
  double best = ridge_grid[0], least = std::numeric_limits<double>::infinity();
  for (const double penalty : ridge_grid) {
    const std::vector<double> residuals = path.leave_one_out_residuals(penalty * spectrum.mean_value());
    double error = 0;
    for (std::size_t i = 0; i < residuals.size(); ++i) error += spectrum.emphasis[i / classes] * residuals[i] * residuals[i];
    error /= spectrum.total;
    if (errors != nullptr) errors->push_back(error);
    if (error < least) {
      least = error;
      best = penalty;
    }
  }
  return best;
}

}  // namespace

std::span<const double> ridge_penalties() { return ridge_grid; }
std::span<const double> logistic_penalties() { return logistic_grid; }

bool Candidates::wants(Kind kind) const { return std::ranges::count(options_.kinds, kind) > 0; }

void Candidates::list_settings() {
  int candidate = 0;
  for (const Kind kind : {Kind::ridge, Kind::discriminant, Kind::logistic, Kind::nearest_mean, Kind::random_features}) {
    if (!wants(kind)) continue;
    if (kind == Kind::nearest_mean) {
      for (const double way : {0.0, 1.0}) settings_.push_back({kind, way, 0, candidate});
    } else {
      const std::span<const double> grid = kind == Kind::logistic ? logistic_penalties() : ridge_penalties();
      for (const double penalty : grid) settings_.push_back({kind, penalty, 0, candidate});
    }
    ++candidate;
  }
  for (const std::int64_t kept : options_.keep)
    if (kept > 0 && kept < features_.dim(1)) settings_.push_back({Kind::ridge, 0, kept, candidate++});
}

Result<Candidates> Candidates::prepare(const Tensor& features, std::span<const std::int32_t> labels, int classes,
                                       std::vector<double> emphasis, const ChooseOptions& options) {
  Candidates made(features, labels, classes, std::move(emphasis), options);
  made.list_settings();
  made.plain_ = std::make_unique<View>();
  made.plain_->scaling = scaling_for_fit(features, options.cut_widths);
  SIGHTLINE_TRY(made.plain_->spectrum, spectrum_of(scaled_rows(features, made.plain_->scaling), features.dim(0), features.dim(1)));
  const Spectrum& plain = made.plain_->spectrum;
  if (made.wants(Kind::discriminant)) made.plain_ridge_ = std::make_unique<RidgePath>(plain, labels, classes);
  if (made.wants(Kind::ridge)) {
    if (!made.emphasis_.empty()) {
      made.emphasised_ = std::make_unique<Spectrum>();
      SIGHTLINE_TRY(*made.emphasised_, spectrum_of(plain.coordinates, plain.samples, plain.rank, made.emphasis_));
    }
    made.ridge_ = std::make_unique<RidgePath>(made.emphasised_ != nullptr ? *made.emphasised_ : plain, labels, classes);
  }
  if (made.wants(Kind::logistic)) made.logistic_ = std::make_unique<LogisticPath>(plain, labels, classes, made.emphasis_);
  if (made.wants(Kind::random_features)) SIGHTLINE_CHECK(made.prepare_hidden());
  return made;
}

// Random directions over scaled features, each unit seeing about unit variance (Rahimi & Recht 2008; Huang et al. 2006).
Result<void> Candidates::prepare_hidden() {
  const auto d = static_cast<std::size_t>(features_.dim(1)), m = static_cast<std::size_t>(options_.hidden);
  projection_.activation = options_.activation;
  projection_.weight = Tensor(Dtype::f32, {options_.hidden, features_.dim(1)});
  projection_.bias = Tensor(Dtype::f32, {options_.hidden});
  const bool relu = options_.activation == Activation::relu;
  for (std::size_t u = 0; u < m; ++u) {
    Random random(options_.seed, 0x68696464656eULL, u);
    double offset = relu ? random.normal() : random.uniform(0, 2 * std::numbers::pi);
    for (std::size_t j = 0; j < d; ++j) {
      const double raw = random.normal() / std::sqrt(static_cast<double>(d)) * plain_->scaling.scale[j];
      projection_.weight.values<float>()[u * d + j] = static_cast<float>(raw);
      offset -= raw * plain_->scaling.mean[j];
    }
    projection_.bias.values<float>()[u] = static_cast<float>(offset);
  }
  // The hidden values as the exported head has them: a head that is the identity behind the projection.
  const Tensor hidden = hidden_of(projection_, features_);
  hidden_ = std::make_unique<View>();
  hidden_->scaling = scaling_for_fit(hidden, {});
  SIGHTLINE_TRY(hidden_->spectrum, spectrum_of(scaled_rows(hidden, hidden_->scaling), hidden.dim(0), hidden.dim(1), emphasis_));
  hidden_ridge_ = std::make_unique<RidgePath>(hidden_->spectrum, labels_, classes_);
  return {};
}

// Columns ranked, scaled and fitted without the samples held out; coefficients for scaled columns.
Result<Coefficients> Candidates::ridge_on_best(std::span<const std::int64_t> held_out, std::int64_t kept,
                                               std::vector<std::int64_t>& columns, FeatureScaling& scaling) const {
  std::vector<bool> out(labels_.size());
  for (const std::int64_t row : held_out) out[static_cast<std::size_t>(row)] = true;
  std::vector<std::int64_t> rows;
  std::vector<std::int32_t> labels;
  std::vector<double> emphasis;
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    if (out[i]) continue;
    rows.push_back(static_cast<std::int64_t>(i));
    labels.push_back(labels_[i]);
    if (!emphasis_.empty()) emphasis.push_back(emphasis_[i]);
  }
  columns = best_columns(features_, labels_, classes_, rows, kept);
  Tensor own(Dtype::f32, {static_cast<std::int64_t>(rows.size()), kept});
  const auto d = static_cast<std::size_t>(features_.dim(1));
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < columns.size(); ++j)
      own.values<float>()[i * columns.size() + j] =
          features_.values<float>()[static_cast<std::size_t>(rows[i]) * d + static_cast<std::size_t>(columns[j])];
  scaling = scaling_for_fit(own, {});
  SIGHTLINE_TRY(const Spectrum spectrum, spectrum_of(scaled_rows(own, scaling), own.dim(0), own.dim(1), emphasis));
  const RidgePath path(spectrum, labels, classes_);
  const double penalty = least_error(path, spectrum, static_cast<std::size_t>(classes_), nullptr);
  return spectrum.to_rows(path.fit(penalty * spectrum.mean_value()));
}

Result<std::vector<Tensor>> Candidates::judge(std::span<const std::int64_t> held_out) const {
  const Spectrum& plain = plain_->spectrum;
  const Spectrum& emphasised = emphasised_ != nullptr ? *emphasised_ : plain;
  std::vector<Coefficients> ridge, of_plain, logistic, hidden;
  if (ridge_ != nullptr) {
    SIGHTLINE_TRY(ridge, ridge_->without(held_out, times(ridge_grid, emphasised.mean_value())));
  }
  if (plain_ridge_ != nullptr) {
    if (ridge_ != nullptr && emphasised_ == nullptr) {
      of_plain = ridge;
    } else {
      SIGHTLINE_TRY(of_plain, plain_ridge_->without(held_out, times(ridge_grid, plain.mean_value())));
    }
  }
  if (logistic_ != nullptr) {
    SIGHTLINE_TRY(logistic, logistic_->without(held_out, times(logistic_grid, plain.mean_value() / plain.total), judging_effort));
  }
  if (hidden_ridge_ != nullptr) {
    SIGHTLINE_TRY(hidden, hidden_ridge_->without(held_out, times(ridge_grid, hidden_->spectrum.mean_value())));
  }
  const ClassSums sums = class_sums(plain, labels_, classes_, held_out);

  const std::vector<double> at_plain = coordinates_of(plain, held_out);
  const std::vector<double> at_emphasised = emphasised_ != nullptr ? coordinates_of(emphasised, held_out) : at_plain;
  const std::vector<double> at_hidden = hidden_ != nullptr ? coordinates_of(hidden_->spectrum, held_out) : std::vector<double>{};
  std::vector<Tensor> scores;
  int candidate = -1;
  std::size_t step = 0;  // of the candidate's settings
  for (const Setting& setting : settings_) {
    step = setting.candidate == candidate ? step + 1 : 0;
    candidate = setting.candidate;
    if (setting.kept > 0) {
      std::vector<std::int64_t> columns;
      FeatureScaling scaling;
      SIGHTLINE_TRY(const Coefficients fitted, ridge_on_best(held_out, setting.kept, columns, scaling));
      Head head{.kind = Kind::ridge, .columns = columns, .linear = heads::to_features(fitted, scaling), .features = features_.dim(1)};
      Tensor rows(Dtype::f32, {static_cast<std::int64_t>(held_out.size()), features_.dim(1)});
      for (std::size_t f = 0; f < held_out.size(); ++f)
        std::copy_n(features_.values<float>().begin() + held_out[f] * features_.dim(1), features_.dim(1),
                    rows.values<float>().begin() + static_cast<std::ptrdiff_t>(f) * features_.dim(1));
      scores.push_back(scores_of(head, rows));
      continue;
    }
    switch (setting.kind) {
      case Kind::nearest_mean: scores.push_back(predict(at_plain, nearest_mean(sums, setting.value > 0))); break;
      case Kind::ridge: scores.push_back(predict(at_emphasised, ridge[step])); break;
      case Kind::discriminant: {
        SIGHTLINE_TRY(const Coefficients fitted, discriminant(sums, of_plain[step], options_.balanced));
        scores.push_back(predict(at_plain, fitted));
        break;
      }
      case Kind::logistic: scores.push_back(predict(at_plain, logistic[step])); break;
      case Kind::random_features: scores.push_back(predict(at_hidden, hidden[step])); break;
    }
  }
  return scores;
}

Result<Head> Candidates::fit(const Setting& setting) const {
  Head head{.kind = setting.kind, .features = features_.dim(1)};
  if (setting.kept > 0) {
    FeatureScaling scaling;
    SIGHTLINE_TRY(const Coefficients fitted, ridge_on_best({}, setting.kept, head.columns, scaling));
    head.linear = to_features(fitted, scaling);
    return head;
  }
  const Spectrum& plain = plain_->spectrum;
  if (setting.kind == Kind::random_features) {
    const Spectrum& hidden = hidden_->spectrum;
    head.projection = projection_;
    head.linear = to_features(hidden.to_rows(hidden_ridge_->fit(setting.value * hidden.mean_value())), hidden_->scaling);
    return head;
  }
  Coefficients fitted;
  if (setting.kind == Kind::nearest_mean) {
    fitted = nearest_mean(class_sums(plain, labels_, classes_), setting.value > 0);
  } else if (setting.kind == Kind::ridge) {
    const Spectrum& emphasised = emphasised_ != nullptr ? *emphasised_ : plain;
    fitted = ridge_->fit(setting.value * emphasised.mean_value());
    if (emphasised_ != nullptr) fitted = emphasised.to_rows(fitted);
  } else if (setting.kind == Kind::discriminant) {
    SIGHTLINE_TRY(fitted, discriminant(class_sums(plain, labels_, classes_), plain_ridge_->fit(setting.value * plain.mean_value()),
                                       options_.balanced));
  } else {
    std::vector<double> path;  // down to the chosen one
    for (const double penalty : logistic_grid)
      if (penalty >= setting.value) path.push_back(penalty * plain.mean_value() / plain.total);
    SIGHTLINE_TRY(std::vector<Coefficients> fits, logistic_->without({}, path, LogisticEffort{}));
    fitted = std::move(fits.back());
  }
  head.linear = to_features(plain.to_rows(fitted), plain_->scaling);
  return head;
}

Result<RidgeFit> fit_ridge_leave_one_out(const Tensor& features, std::span<const std::int32_t> labels, int classes, bool balanced,
                                         std::span<const std::int64_t> cut_widths) {
  SIGHTLINE_CHECK(check_for_choice(features, labels, {}, classes));
  const BlasThreads threads(1);
  const FeatureScaling scaling = scaling_for_fit(features, cut_widths);
  const std::vector<double> emphasis = balanced ? balancing_emphasis(labels, classes) : std::vector<double>{};
  SIGHTLINE_TRY(const Spectrum spectrum, spectrum_of(scaled_rows(features, scaling), features.dim(0), features.dim(1), emphasis));
  const RidgePath path(spectrum, labels, classes);
  RidgeFit fit{.penalties = {ridge_grid.begin(), ridge_grid.end()}};
  fit.alpha = least_error(path, spectrum, static_cast<std::size_t>(classes), &fit.errors);
  const double alpha = fit.alpha * spectrum.mean_value();
  fit.head = {.kind = Kind::ridge, .linear = to_features(spectrum.to_rows(path.fit(alpha)), scaling), .features = features.dim(1)};
  const std::vector<double> residuals = path.leave_one_out_residuals(alpha);
  fit.scores = Tensor(Dtype::f32, {features.dim(0), classes});
  const auto k = static_cast<std::size_t>(classes);
  for (std::size_t i = 0; i < residuals.size(); ++i)
    fit.scores.values<float>()[i] = static_cast<float>((static_cast<std::size_t>(labels[i / k]) == i % k ? 1.0 : 0.0) - residuals[i]);
  fit.head.temperature = temperature_of(std::span(&fit.scores, 1), labels, emphasis);
  return fit;
}

std::vector<std::int64_t> best_columns(const Tensor& features, std::span<const std::int32_t> labels, int classes,
                                       std::span<const std::int64_t> rows, std::int64_t count) {
  const auto d = static_cast<std::size_t>(features.dim(1)), k = static_cast<std::size_t>(classes);
  const auto values = features.values<float>();
  std::vector<double> mean(d), sum(k * d), square(d), members(k);
  for (const std::int64_t row : rows)
    for (std::size_t j = 0; j < d; ++j) mean[j] += values[static_cast<std::size_t>(row) * d + j] / static_cast<double>(rows.size());
  for (const std::int64_t row : rows) {
    const auto label = static_cast<std::size_t>(labels[static_cast<std::size_t>(row)]);
    members[label] += 1;
    for (std::size_t j = 0; j < d; ++j) {
      const double off = values[static_cast<std::size_t>(row) * d + j] - mean[j];
      sum[label * d + j] += off;
      square[j] += off * off;
    }
  }
  std::vector<double> statistic(d);  // between / total: rises as F does
  for (std::size_t j = 0; j < d; ++j) {
    double between = 0;
    for (std::size_t c = 0; c < k; ++c)
      if (members[c] > 0) between += sum[c * d + j] * sum[c * d + j] / members[c];
    const bool constant = square[j] <= 1e-12 * mean[j] * mean[j] * static_cast<double>(rows.size());
    statistic[j] = constant ? -1 : between / square[j];
  }
  std::vector<std::int64_t> order(d);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) {
    return statistic[static_cast<std::size_t>(a)] > statistic[static_cast<std::size_t>(b)];
  });
  order.resize(std::min<std::size_t>(order.size(), static_cast<std::size_t>(std::max<std::int64_t>(count, 0))));
  std::ranges::sort(order);
  return order;
}

}  // namespace sightline::heads
