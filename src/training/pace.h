// The clock of a run: how fast it goes, when it will end, and when a time budget asks for fewer steps. Knows seconds and steps, not nets.
#pragma once

#include <cstdint>
#include <optional>

#include "training/course.h"

namespace sightline::training {

// What was measured before the first step.
struct Measured {
  double step_seconds = 0, validation_seconds = 0;
};

// Steps that fit into `seconds`, with a validation after each epoch and at the end. At least 1.
std::int64_t steps_within(double seconds, const Measured& measured, std::int64_t steps_per_epoch);

class Pace {
 public:
  // budget: seconds in all; 0: none.
  Pace(double budget, const Measured& measured) : budget_(budget), measured_(measured) {}

  void add_step(double seconds, std::int64_t images);
  void add_validation(double seconds) { measured_.validation_seconds = seconds; }

  double images_per_second() const { return busy_ > 0 ? static_cast<double>(images_) / busy_ : 0; }
  double seconds_left(const Course& course, std::int64_t step) const;
  // The number of steps that the budget asks for now, when that is another than planned: fewer when the run would overrun it; more
  // when it would end far too early, until nine tenths of the course lie behind (a machine that was busy for a while has its time back). In
  // the first half only a clear slowdown counts; later a slight one does, by the speed of late.
  std::optional<std::int64_t> revised_steps(const Course& course, std::int64_t step, double elapsed) const;

 private:
  double step_seconds() const;

  double budget_;
  Measured measured_;
  double busy_ = 0;  // all steps
  std::int64_t images_ = 0, steps_ = 0;
  double window_busy_ = 0, late_step_seconds_ = 0;  // the window under way, the mean of the one before
  std::int64_t window_steps_ = 0;
};

}  // namespace sightline::training
