// The one table of tasks: what a demand may ask for. Help, schema and docs read its rows.
#pragma once

#include <span>
#include <string>

#include "base/result.h"

namespace sightline::tasks {

struct Metric {
  const char* name;  // the field's standard name, as a demand writes it; the larger, the better
  const char* description;
};

struct Task {
  const char* name;
  const char* description;
  std::span<const Metric> metrics;  // what a demand may target
};

std::span<const Task> all_tasks();
// Error not_found names the nearest match.
Result<const Task*> find_task(const std::string& name);

}  // namespace sightline::tasks
