// The ways in which a batch can be computed by several cores, and which of two is taken: by rule at first, by measurement when the same
// batch size keeps coming. Only ways that give the same bits are exchanged, so that answers do not depend on the clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace sightline::runtime {

enum class Way {
  alone,     // the whole batch on one thread
  pieces,    // one piece of the batch per thread; nobody waits before the end
  together,  // the whole batch, every step shared by a team's threads
};

struct Ways {
  Way rule = Way::alone;   // what is taken until it is known better
  Way other = Way::alone;  // the same as rule: there is no choice
  int threads = 1;         // of `pieces` and `together`
  bool in_doubt = true;    // the clock decides between the two; else `other` is only what is taken while others compute
};

// For a batch that needs `flops` (multiplications and additions) in all. `independent`: its images may be computed apart.
Ways ways_for(double flops, std::int64_t batch, int most_threads, bool independent);

// How many of the images that may be computed apart a plan for one thread takes at a time. arena: bytes of a plan for one image; weights:
// bytes of those of convolutions and matrix products; flops: for one image.
std::int64_t images_at_once(std::size_t arena, std::size_t weights, double flops);

// What has been learnt about one batch size. Not for two threads at once.
class Choice {
 public:
  enum class Action { run, compare };  // compare: run both ways on the same input, and say what came out by compared()
  struct Next {
    Action action = Action::run;
    Way way = Way::alone;
  };

  explicit Choice(const Ways& ways) : ways_(ways) {}
  const Ways& ways() const { return ways_; }

  // What the next run shall do. crowded: others compute, so that cores are better used one by one, and times mean nothing.
  Next next(bool crowded);
  // The outcome of Action::compare: whether the bits were the same.
  void compared(bool same);
  // A run in this way took so long and was not disturbed. With the last time that was wanted it gives the way that lost and is not
  // taken any more, so that what it has allocated may go: only where it needs more than the other. Else both stay and the choice is made
  // anew now and then, because other work may have held a core while it was made.
  std::optional<Way> timed(Way way, double seconds);

 private:
  static constexpr int patience = 4;  // runs by the rule before anything is tried: who asks once or twice pays nothing
  static constexpr int times =
      5;  // of each way, by turns, since a machine's speed drifts; the median counts: the least is that of a quiet moment
  static constexpr int first_rest = 64;  // runs until a choice is made anew, the next time after twice as many, ...
  static constexpr double gain = 0.95;   // what the other way's time must be below, relative to the rule's

  bool is_final() const { return ways_.rule == Way::pieces || ways_.other == Way::pieces; }

  enum class Known { nothing, comparing, differ, same, decided };
  Ways ways_;
  Known known_ = Known::nothing;
  int runs_ = 0, rested_ = 0, rest_ = first_rest;
  int taken_[2] = {0, 0};  // times of the rule, of the other
  double seconds_[2][times] = {};
  Way best_ = Way::alone;
};

}  // namespace sightline::runtime
