// One label per picture: decode outputs, metrics, calibration.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "tasks/tasks.h"
#include "tensor/tensor.h"

namespace sightline::tasks {

struct ClassScore {
  int label = 0;
  std::string name;
  double probability = 0;
  static constexpr auto fields() {
    return std::tuple{field("label", &ClassScore::label), field("name", &ClassScore::name), field("probability", &ClassScore::probability)};
  }
};
// probabilities: f32 K. The `count` best, best first; ties by label.
std::vector<ClassScore> top_classes(std::span<const float> probabilities, const std::vector<std::string>& classes, int count);

struct ClassFigures {
  std::string name;
  std::int64_t count = 0;
  double precision = 0, recall = 0, f1 = 0;
  static constexpr auto fields() {
    return std::tuple{field("name", &ClassFigures::name), field("count", &ClassFigures::count),
                      field("precision", &ClassFigures::precision), field("recall", &ClassFigures::recall), field("f1", &ClassFigures::f1)};
  }
};

struct ClassifyFigures {
  std::int64_t count = 0;
  double top1 = 0, top5 = 0, macro_f1 = 0, balanced_accuracy = 0, log_loss = 0;
  double calibration_error = 0;  // expected calibration error, 15 equal-width bins of the largest probability (Guo et al. 2017)
  std::vector<ClassFigures> per_class;
  std::vector<std::vector<std::int64_t>> confusion;  // [given][predicted]
  static constexpr auto fields() {
    return std::tuple{field("count", &ClassifyFigures::count),
                      field("top1", &ClassifyFigures::top1),
                      field("top5", &ClassifyFigures::top5),
                      field("macro_f1", &ClassifyFigures::macro_f1),
                      field("balanced_accuracy", &ClassifyFigures::balanced_accuracy),
                      field("log_loss", &ClassifyFigures::log_loss),
                      field("calibration_error", &ClassifyFigures::calibration_error),
                      field("per_class", &ClassifyFigures::per_class),
                      field("confusion", &ClassifyFigures::confusion)};
  }
};
// probabilities f32 N×K, finite; labels N in [0, K). Without samples everything is 0. Classes without samples do not count in macro_f1 and
// balanced_accuracy.
ClassifyFigures measure(const Tensor& probabilities, std::span<const std::int32_t> labels, const std::vector<std::string>& classes);

// The same in the words of every task: values by the names of the metrics, log_loss and calibration_error among them.
Figures as_figures(const ClassifyFigures& figures);

// The share of one sample in log_loss: probabilities f32 K, clipped to [1e-15, 1 - 1e-15] and divided by their sum, as scikit-learn does.
double log_loss_of(std::span<const float> probabilities, std::int32_t label);
// Whether label is among the `count` most probable classes; equals in the order of their labels.
bool among_top(std::span<const float> probabilities, std::int32_t label, int count);

struct ReliabilityBin {
  double confidence = 0, accuracy = 0;
  std::int64_t count = 0;
  static constexpr auto fields() {
    return std::tuple{field("confidence", &ReliabilityBin::confidence), field("accuracy", &ReliabilityBin::accuracy),
                      field("count", &ReliabilityBin::count)};
  }
};
// Equal-width bins of the largest probability, (b / bins, (b + 1) / bins]; an empty bin is all zeros.
std::vector<ReliabilityBin> reliability(const Tensor& probabilities, std::span<const std::int32_t> labels, int bins = 15);

// The T that minimises log loss of softmax(log(p) / T) on held-out data (temperature scaling, Guo et al. 2017), in [0.05, 20].
double fit_temperature(const Tensor& probabilities, std::span<const std::int32_t> labels);
// softmax(log(p) / temperature), row by row.
Tensor apply_temperature(const Tensor& probabilities, double temperature);

// Names of the metrics that a demand may target, and the value of one.
std::vector<std::string> metric_names();
Result<double> metric_value(const ClassifyFigures& figures, const std::string& metric);

}  // namespace sightline::tasks
