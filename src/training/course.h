// How many steps a run takes, and the learning rate of each. A time budget is turned into steps once; when the machine turns out
// slower or much faster, the rest is changed. Both are records, so that a replay takes the same steps at the same rates.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "modules/training_spec.h"

namespace sightline::training {

struct Revision {
  std::int64_t at_step = 0, total = 0;
  static constexpr auto fields() { return std::tuple{field("at_step", &Revision::at_step), field("total", &Revision::total)}; }
};

struct Course {
  std::int64_t steps = 0;  // of the last revision
  std::int64_t steps_per_epoch = 0;
  std::vector<Revision> revisions;  // by at_step; the first begins at 0
  bool open = false;                // a time budget that may still be revised
  static constexpr auto fields() {
    return std::tuple{field("steps", &Course::steps), field("steps_per_epoch", &Course::steps_per_epoch),
                      field("revisions", &Course::revisions), field("open", &Course::open)};
  }

  static Course of(std::int64_t steps, std::int64_t steps_per_epoch);
  void revise(std::int64_t at_step, std::int64_t total);
  // Steps in all, as far as it is decided after `step` steps.
  std::int64_t total_at(std::int64_t step) const;
  // Share of the course that lies behind after `step` steps, in [0, 1]: each revision stretches what was left over what is left now.
  double progress(std::int64_t step) const;
  // Error invalid_data: what a hand-written record may get wrong.
  Result<void> check() const;
};

// Factor of the peak learning rate at `progress`. one_cycle (Smith and Topin 2018; cosine both ways, from 1/25 up and down to 1/250000) and
// cosine (Loshchilov and Hutter 2016) after a linear warm-up from 0. warmup: share of the course, in [0, 1).
double learning_rate_factor(modules::Schedule schedule, double warmup, double progress);

}  // namespace sightline::training
