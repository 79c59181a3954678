#include "training/course.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sightline::training {

Course Course::of(std::int64_t steps, std::int64_t steps_per_epoch) {
  return {.steps = steps, .steps_per_epoch = steps_per_epoch, .revisions = {{0, steps}}};
}

void Course::revise(std::int64_t at_step, std::int64_t total) {
  revisions.push_back({at_step, total});
  steps = total;
}

std::int64_t Course::total_at(std::int64_t step) const {
  std::int64_t total = 0;
  for (const Revision& each : revisions)
    if (each.at_step <= step) total = each.total;
  return total;
}

double Course::progress(std::int64_t step) const {
  double behind = 0;
  for (std::size_t i = 0; i < revisions.size() && revisions[i].at_step < step; ++i) {
    const bool last = i + 1 == revisions.size() || revisions[i + 1].at_step >= step;
    const std::int64_t until = last ? step : revisions[i + 1].at_step;
    const std::int64_t length = revisions[i].total - revisions[i].at_step;
    if (length <= 0) return 1;
    behind += static_cast<double>(until - revisions[i].at_step) * (1 - behind) / static_cast<double>(length);
  }
  return std::min(behind, 1.0);
}

Result<void> Course::check() const {
  const auto wrong = [](const std::string& what) { return Error{ErrorKind::invalid_data, what}; };
  if (revisions.empty() || revisions.front().at_step != 0) return wrong("revisions must begin at step 0");
  if (steps_per_epoch < 1) return wrong("steps_per_epoch must be positive");
  for (std::size_t i = 0; i < revisions.size(); ++i) {
    if (revisions[i].total < std::max<std::int64_t>(1, revisions[i].at_step))
      return wrong(fmt::format("revision {} ends before it begins", i));
    if (i > 0 && (revisions[i].at_step <= revisions[i - 1].at_step || revisions[i].at_step >= revisions[i - 1].total))
      return wrong(fmt::format("revision {} does not lie within the one before", i));
  }
  if (steps != revisions.back().total) return wrong("steps is not the total of the last revision");
  return {};
}

double learning_rate_factor(modules::Schedule schedule, double warmup, double progress) {
  const auto cosine = [](double from, double to, double share) { return to + (from - to) * (1 + std::cos(std::numbers::pi * share)) / 2; };
  const double rest = (progress - warmup) / (1 - warmup);
  if (schedule == modules::Schedule::one_cycle) {
    constexpr double first = 1.0 / 25;
    return progress < warmup ? cosine(first, 1, progress / warmup) : cosine(1, first * 1e-4, rest);
  }
  return progress < warmup ? progress / warmup : cosine(1, 0, rest);
}

}  // namespace sightline::training
