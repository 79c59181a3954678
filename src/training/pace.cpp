#include "training/pace.h"

#include <algorithm>
#include <cmath>

namespace sightline::training {
namespace {

std::int64_t validations_between(const Course& course, std::int64_t step) {
  const std::int64_t total = course.total_at(step);
  const std::int64_t whole = total / course.steps_per_epoch - step / course.steps_per_epoch;
  return whole + (total % course.steps_per_epoch != 0 ? 1 : 0);
}

}  // namespace

std::int64_t steps_within(double seconds, const Measured& measured, std::int64_t steps_per_epoch) {
  const double each = measured.step_seconds + measured.validation_seconds / static_cast<double>(steps_per_epoch);
  const double steps = (seconds - measured.validation_seconds) / std::max(each, 1e-9);
  return static_cast<std::int64_t>(std::clamp(std::floor(steps + 1e-6), 1.0, 1e12));
}

void Pace::add_step(double seconds, std::int64_t images) {
  busy_ += seconds;
  images_ += images;
  ++steps_;
  window_busy_ += seconds;
  ++window_steps_;
  if (window_busy_ >= std::max(0.04 * budget_, 0.5)) {
    late_step_seconds_ = window_busy_ / static_cast<double>(window_steps_);
    window_busy_ = 0;
    window_steps_ = 0;
  }
}

double Pace::step_seconds() const {
  if (late_step_seconds_ > 0) return late_step_seconds_;
  return steps_ > 0 ? busy_ / static_cast<double>(steps_) : measured_.step_seconds;
}

double Pace::seconds_left(const Course& course, std::int64_t step) const {
  return static_cast<double>(course.total_at(step) - step) * step_seconds() +
         static_cast<double>(validations_between(course, step)) * measured_.validation_seconds;
}

std::optional<std::int64_t> Pace::revised_steps(const Course& course, std::int64_t step, double elapsed) const {
  const std::int64_t total = course.total_at(step);
  // A few first steps, slowed by whatever starts beside them, say nothing: wait for a whole window.
  if (budget_ <= 0 || step >= total || late_step_seconds_ <= 0) return std::nullopt;
  const double progress = course.progress(step);
  const double forecast = elapsed + seconds_left(course, step);
  const bool late = forecast > (progress < 0.5 ? 1.15 : 1.02) * budget_;
  const bool settled = 20 * (step - course.revisions.back().at_step) >= total;
  const bool far_too_early = progress >= 0.1 && progress < 0.9 && settled && forecast < 0.85 * budget_;
  if (!late && !far_too_early) return std::nullopt;
  const Measured now{step_seconds(), measured_.validation_seconds};
  const double left = (late ? 1 : 0.97) * budget_ - elapsed;
  const std::int64_t more = left <= now.step_seconds + now.validation_seconds ? 0 : steps_within(left, now, course.steps_per_epoch);
  if (late && step + more >= total) return std::nullopt;
  return std::max<std::int64_t>(1, step + more);
}

}  // namespace sightline::training
