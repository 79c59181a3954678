#include "tasks/tasks.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/text.h"
#include "tasks/anomaly.h"
#include "tasks/anomaly_metrics.h"
#include "tasks/detect.h"
#include "tasks/detect_metrics.h"

namespace sightline::tasks {

namespace {
constexpr std::array kClassifyMetrics{
    Metric{"top1", "share of images whose most probable class is the given one"},
    Metric{"top5", "share of images whose given class is among the five most probable (1 when there are at most five classes)"},
    Metric{"macro_f1", "mean over the classes of the harmonic mean of precision and recall"},
    Metric{"balanced_accuracy", "mean over the classes of the share of their pictures that is recognised"},
};
constexpr std::array kDetectMetrics{
    Metric{"mAP50", "average precision of boxes that overlap an object by half (IoU 0.5), mean over the classes"},
    Metric{"mAP50-95", "the same, mean over the overlaps 0.50, 0.55, ..., 0.95"},
    Metric{"AR100", "share of objects that the 100 best boxes of a picture find, mean over the same overlaps and the classes"},
};
constexpr std::array kAnomalyMetrics{
    Metric{"image_auroc", "probability that a picture that is not good has a higher score than a good one"},
    Metric{"pixel_auroc", "the same of pixels, where masks say which are not good"},
    Metric{"aupro", "mean share of each defect that is found, while up to 0.3 of the good pixels are taken for bad"},
    Metric{"average_precision", "precision over the pictures that are not good, in the order of their scores"},
};
std::vector<Task>& table() {
  static std::vector<Task> rows{
      Task{"classify", "one label per picture", kClassifyMetrics},
      Task{.name = "detect",
           .description = "boxes of things in a picture",
           .metrics = kDetectMetrics,
           .check_outputs = check_detect_outputs,
           .decode = decode_detect,
           .columns = kDetectColumns,
           .tell = tell_detect,
           .meter = detect_meter,
           .draw = draw_detect,
           .draw_truth = draw_detect_truth},
      Task{.name = "anomaly",
           .description = "what is not as it should be, learned from good pictures only",
           .metrics = kAnomalyMetrics,
           .check_outputs = check_anomaly_outputs,
           .decode = decode_anomaly,
           .columns = kAnomalyColumns,
           .tell = tell_anomaly,
           .meter = anomaly_meter,
           .draw = draw_anomaly,
           .draw_truth = draw_anomaly_truth},
  };
  return rows;
}
}  // namespace

std::vector<std::string> names_of(std::span<const Metric> metrics) {
  std::vector<std::string> names;
  for (const Metric& metric : metrics) names.emplace_back(metric.name);
  return names;
}

std::span<const Task> all_tasks() { return table(); }

Result<void> add_task(const Task& task) {
  if (find_task(task.name).ok()) return Error{ErrorKind::conflict, fmt::format("there is a task \"{}\" already", task.name)};
  table().push_back(task);
  return {};
}

Result<const Task*> find_task(const std::string& name) {
  std::vector<std::string> names;
  for (const Task& task : table()) {
    if (name == task.name) return &task;
    names.emplace_back(task.name);
  }
  return Error{ErrorKind::not_found,
               fmt::format("no task is called \"{}\"{} (there is: {})", name, did_you_mean(name, names), join(names, ", "))};
}

}  // namespace sightline::tasks
