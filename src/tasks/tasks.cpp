#include "tasks/tasks.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/text.h"

namespace sightline::tasks {

namespace {
constexpr std::array kClassifyMetrics{
    Metric{"top1", "share of images whose most probable class is the given one"},
    Metric{"top5", "share of images whose given class is among the five most probable (1 when there are at most five classes)"},
    Metric{"macro_f1", "mean over the classes of the harmonic mean of precision and recall"},
    Metric{"balanced_accuracy", "mean over the classes of the share of their pictures that is recognised"},
};
constexpr std::array kTasks{
    Task{"classify", "one label per picture", kClassifyMetrics},
};
}  // namespace

std::span<const Task> all_tasks() { return kTasks; }

Result<const Task*> find_task(const std::string& name) {
  std::vector<std::string> names;
  for (const Task& task : kTasks) {
    if (name == task.name) return &task;
    names.emplace_back(task.name);
  }
  return Error{ErrorKind::not_found,
               fmt::format("no task is called \"{}\"{} (there is: {})", name, did_you_mean(name, names), join(names, ", "))};
}

}  // namespace sightline::tasks
