#include "tasks/classify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/text.h"
#include "tasks/tasks.h"

namespace sightline::tasks {

namespace {

constexpr double kClip = 1e-15;                                     // of log_loss, as scikit-learn clips
constexpr float kFloor = std::numeric_limits<float>::denorm_min();  // the log of a probability that underflowed to 0 stays finite
constexpr double kLeastTemperature = 0.05, kLargestTemperature = 20;

struct Rows {
  std::span<const float> values;
  std::size_t count = 0, classes = 0;
  explicit Rows(const Tensor& probabilities) {
    assert(probabilities.dtype() == Dtype::f32 && probabilities.rank() == 2);
    values = probabilities.values<float>();
    count = static_cast<std::size_t>(probabilities.dim(0));
    classes = static_cast<std::size_t>(probabilities.dim(1));
  }
  std::span<const float> operator[](std::size_t row) const { return values.subspan(row * classes, classes); }
};

std::size_t most_probable(std::span<const float> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());  // the first of equals
}

// How many classes stand before `label` when the most probable come first and equals are in the order of their labels.
std::size_t rank_of(std::span<const float> row, std::size_t label) {
  std::size_t rank = 0;
  for (std::size_t k = 0; k < row.size(); ++k) rank += row[k] > row[label] || (row[k] == row[label] && k < label) ? 1U : 0U;
  return rank;
}

void fill_class_figures(const std::vector<std::string>& classes, ClassifyFigures& figures) {
  const std::size_t count = figures.confusion.size();
  double f1_sum = 0, recall_sum = 0;
  std::int64_t present = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const std::int64_t given = std::accumulate(figures.confusion[k].begin(), figures.confusion[k].end(), std::int64_t{0});
    std::int64_t predicted = 0;
    for (std::size_t other = 0; other < count; ++other) predicted += figures.confusion[other][k];
    const auto hits = static_cast<double>(figures.confusion[k][k]);
    ClassFigures one{.name = k < classes.size() ? classes[k] : std::to_string(k), .count = given};
    one.precision = predicted > 0 ? hits / static_cast<double>(predicted) : 0;
    one.recall = given > 0 ? hits / static_cast<double>(given) : 0;
    one.f1 = given + predicted > 0 ? 2 * hits / static_cast<double>(given + predicted) : 0;
    if (given > 0) {
      ++present;
      f1_sum += one.f1;
      recall_sum += one.recall;
    }
    figures.per_class.push_back(std::move(one));
  }
  if (present > 0) {
    figures.macro_f1 = f1_sum / static_cast<double>(present);
    figures.balanced_accuracy = recall_sum / static_cast<double>(present);
  }
}

}  // namespace

std::vector<ClassScore> top_classes(std::span<const float> probabilities, const std::vector<std::string>& classes, int count) {
  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // A value that is not a number counts as least, so that the order stays one.
  const auto value = [&](std::size_t k) {
    return std::isnan(probabilities[k]) ? -std::numeric_limits<float>::infinity() : probabilities[k];
  };
  const std::size_t wanted = std::min(order.size(), static_cast<std::size_t>(std::max(count, 0)));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wanted), order.end(),
                    [&](std::size_t a, std::size_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
  std::vector<ClassScore> best;
  best.reserve(wanted);
  for (std::size_t i = 0; i < wanted; ++i) {
    const std::size_t k = order[i];
    best.push_back({static_cast<int>(k), k < classes.size() ? classes[k] : std::to_string(k), probabilities[k]});
  }
  return best;
}

double log_loss_of(std::span<const float> probabilities, std::int32_t label) {
  double sum = 0;
  for (const float p : probabilities) sum += std::clamp(static_cast<double>(p), kClip, 1 - kClip);
  return std::log(sum) - std::log(std::clamp(static_cast<double>(probabilities[static_cast<std::size_t>(label)]), kClip, 1 - kClip));
}

bool among_top(std::span<const float> probabilities, std::int32_t label, int count) {
  return rank_of(probabilities, static_cast<std::size_t>(label)) < static_cast<std::size_t>(count);
}

ClassifyFigures measure(const Tensor& probabilities, std::span<const std::int32_t> labels, const std::vector<std::string>& classes) {
  const Rows rows(probabilities);
  assert(rows.count == labels.size());
  ClassifyFigures figures;
  figures.count = static_cast<std::int64_t>(rows.count);
  figures.confusion.assign(rows.classes, std::vector<std::int64_t>(rows.classes, 0));
  std::int64_t first = 0, among_five = 0;
  double loss = 0;
  for (std::size_t i = 0; i < rows.count; ++i) {
    const auto given = static_cast<std::size_t>(labels[i]);
    assert(given < rows.classes);
    const std::size_t predicted = most_probable(rows[i]);
    ++figures.confusion[given][predicted];
    first += predicted == given ? 1 : 0;
    among_five += among_top(rows[i], labels[i], 5) ? 1 : 0;
    loss += log_loss_of(rows[i], labels[i]);
  }
  fill_class_figures(classes, figures);
  if (rows.count == 0) return figures;
  const auto n = static_cast<double>(rows.count);
  figures.top1 = static_cast<double>(first) / n;
  figures.top5 = static_cast<double>(among_five) / n;
  figures.log_loss = loss / n;
  for (const ReliabilityBin& bin : reliability(probabilities, labels))
    figures.calibration_error += static_cast<double>(bin.count) / n * std::abs(bin.accuracy - bin.confidence);
  return figures;
}

std::vector<ReliabilityBin> reliability(const Tensor& probabilities, std::span<const std::int32_t> labels, int bins) {
  const Rows rows(probabilities);
  assert(rows.count == labels.size() && bins > 0);
  std::vector<ReliabilityBin> result(static_cast<std::size_t>(bins));
  for (std::size_t i = 0; i < rows.count; ++i) {
    const std::size_t predicted = most_probable(rows[i]);
    const double confidence = rows[i][predicted];
    // Bin b holds (b / bins, (b + 1) / bins].
    const double position = std::ceil(confidence * bins) - 1;
    ReliabilityBin& bin = result[static_cast<std::size_t>(std::clamp(position, 0.0, static_cast<double>(bins - 1)))];
    ++bin.count;
    bin.confidence += confidence;
    bin.accuracy += predicted == static_cast<std::size_t>(labels[i]) ? 1 : 0;
  }
  for (ReliabilityBin& bin : result) {
    if (bin.count == 0) continue;
    bin.confidence /= static_cast<double>(bin.count);
    bin.accuracy /= static_cast<double>(bin.count);
  }
  return result;
}

double fit_temperature(const Tensor& probabilities, std::span<const std::int32_t> labels) {
  const Rows rows(probabilities);
  assert(rows.count == labels.size());
  if (rows.count == 0) return 1;
  std::vector<float> logs(rows.values.size());
  std::transform(rows.values.begin(), rows.values.end(), logs.begin(), [](float p) { return std::log(std::max(p, kFloor)); });

  // With b = 1 / T the loss, log(sum exp(b l)) - b l[given], is convex in b: Newton on its derivative, kept inside a bracket that
  // bisection narrows whenever a step would leave it.
  double low = 1 / kLargestTemperature, high = 1 / kLeastTemperature, b = 1;
  for (int iteration = 0; iteration < 100; ++iteration) {
    double slope = 0, curvature = 0;
    for (std::size_t i = 0; i < rows.count; ++i) {
      const std::span<const float> row = std::span<const float>(logs).subspan(i * rows.classes, rows.classes);
      const double largest = *std::max_element(row.begin(), row.end());
      double weight = 0, first = 0, second = 0;
      for (const float value : row) {
        const double below = value - largest, w = std::exp(b * below);
        weight += w;
        first += w * below;
        second += w * below * below;
      }
      const double mean = first / weight;
      slope += mean - (row[static_cast<std::size_t>(labels[i])] - largest);
      curvature += second / weight - mean * mean;
    }
    if (std::abs(slope) <= 1e-12 * static_cast<double>(rows.count)) break;  // the least loss, or no temperature changes anything
    (slope > 0 ? high : low) = b;
    const double step = b - slope / curvature;
    const double next = std::isfinite(step) && step > low && step < high ? step : std::sqrt(low * high);
    const bool settled = std::abs(next - b) <= 1e-10 * b;
    b = next;
    if (settled) break;
  }
  return std::clamp(1 / b, kLeastTemperature, kLargestTemperature);
}

Tensor apply_temperature(const Tensor& probabilities, double temperature) {
  const Rows rows(probabilities);
  assert(temperature > 0);
  Tensor result(Dtype::f32, probabilities.shape());
  const std::span<float> out = result.values<float>();
  std::vector<double> weights(rows.classes);
  for (std::size_t i = 0; i < rows.count; ++i) {
    const std::span<const float> row = rows[i];
    const double largest = std::log(static_cast<double>(std::max(row[most_probable(row)], kFloor)));
    double sum = 0;
    for (std::size_t k = 0; k < rows.classes; ++k) {
      weights[k] = std::exp((std::log(static_cast<double>(std::max(row[k], kFloor))) - largest) / temperature);
      sum += weights[k];
    }
    for (std::size_t k = 0; k < rows.classes; ++k) out[i * rows.classes + k] = static_cast<float>(weights[k] / sum);
  }
  return result;
}

Figures as_figures(const ClassifyFigures& figures) {
  Figures all{.pictures = figures.count, .count = figures.count};
  if (figures.count <= 0) return all;
  all.values = {{"top1", figures.top1},         {"top5", figures.top5},
                {"macro_f1", figures.macro_f1}, {"balanced_accuracy", figures.balanced_accuracy},
                {"log_loss", figures.log_loss}, {"calibration_error", figures.calibration_error}};
  for (const ClassFigures& each : figures.per_class)
    all.per_class.push_back({each.name, each.count, {{"precision", each.precision}, {"recall", each.recall}, {"f1", each.f1}}});
  return all;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const Metric& metric : all_tasks().front().metrics) names.emplace_back(metric.name);
  return names;
}

Result<double> metric_value(const ClassifyFigures& figures, const std::string& metric) {
  if (metric == "top1") return figures.top1;
  if (metric == "top5") return figures.top5;
  if (metric == "macro_f1") return figures.macro_f1;
  if (metric == "balanced_accuracy") return figures.balanced_accuracy;
  const std::vector<std::string> names = metric_names();
  return Error{ErrorKind::usage,
               fmt::format("no metric is called \"{}\"{} (there are: {})", metric, did_you_mean(metric, names), join(names, ", "))};
}

}  // namespace sightline::tasks
