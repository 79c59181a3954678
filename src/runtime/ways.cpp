#include "runtime/ways.h"

#include <algorithm>
#include <cmath>

namespace sightline::runtime {
namespace {

// Work for which it is worth to wake one more thread: some 200 µs of one core. Below that, waiting for each other at every step costs more
// than the second thread saves (and very much more when the machine is busy).
constexpr double flops_per_thread = 2e7;
// Between these, seen from the rule's limit, one thread and several are so close that only a clock can tell.
constexpr double doubtful = 4;

}  // namespace

Ways ways_for(double flops, std::int64_t batch, int most_threads, bool independent) {
  const auto worth = static_cast<int>(std::clamp(flops / flops_per_thread, 1.0, 1e6));
  const int useful = std::min(worth, most_threads);
  if (most_threads <= 1) return {};
  const bool can_cut = independent && batch >= 2;
  if (useful <= 1) {
    // Nearly enough work for a second thread: that may pay.
    if (flops * doubtful < 2 * flops_per_thread) return {};
    return {.rule = Way::alone, .other = can_cut ? Way::pieces : Way::together, .threads = 2};
  }
  if (can_cut && batch >= useful) return {.rule = Way::pieces, .other = Way::together, .threads = useful};
  // Where images hang together or are too few, several threads share each step; with little work one may be as good. With much the clock
  // is not asked: its few runs may fall into a busy moment, and a helper that does not come costs its leader no more than one thread would.
  return {.rule = Way::together, .other = Way::alone, .threads = useful, .in_doubt = flops < doubtful * 2 * flops_per_thread};
}

// Measured on nets from SqueezeNet to ResNet-18: image by image what is computed stays near the core, memory grows with the images, and
// Concat without a step is for one image only. But calling the steps costs something, which small images cannot repay; and where there are
// many weights for what is computed, one plan should read them for several images: ResNet-18 takes 168 ms of a core for eight images one by
// one, 142 ms by fours.
std::int64_t images_at_once(std::size_t arena, std::size_t weights, double flops) {
  constexpr double cache = 1 << 20;        // bytes of intermediate values that stay near a core
  constexpr double flops_per_byte = 15;    // operations that a core does while it reads a byte from beyond its own caches
  constexpr double worth_sharing = 0.12;   // of the time of an image that goes into reading weights; then
  constexpr double reading_share = 0.05;   // is what it should be
  constexpr double most_memory = 1 << 24;  // for intermediate values, where weights do not take more
  const double one = std::max(1.0, static_cast<double>(arena)), all = static_cast<double>(weights);
  const double reading = all * flops_per_byte / std::max(1.0, flops);
  const double by_weights =
      reading < worth_sharing ? 1 : std::min(std::ceil(reading / reading_share), std::max(most_memory, all / 4) / one);
  return static_cast<std::int64_t>(std::clamp(std::max(cache / one, by_weights), 1.0, 4096.0));
}

Choice::Next Choice::next(bool crowded) {
  if (ways_.other == ways_.rule || known_ == Known::differ) return {Action::run, ways_.rule};
  ++runs_;
  // A run that needs all cores waits for all of them, and holds them while its threads wait for each other.
  const Way frugal = ways_.rule == Way::together ? ways_.other : ways_.rule;
  switch (known_) {
    case Known::nothing:
      if (runs_ <= patience || (crowded && frugal == ways_.rule)) return {Action::run, ways_.rule};
      known_ = Known::comparing;
      return {Action::compare, ways_.rule};
    case Known::same:
      if (crowded) return {Action::run, frugal};
      return {Action::run, !ways_.in_doubt || taken_[0] <= taken_[1] ? ways_.rule : ways_.other};
    case Known::decided:
      if (crowded) return {Action::run, frugal};
      if (is_final() || ++rested_ <= rest_) return {Action::run, best_};
      known_ = Known::same;
      taken_[0] = taken_[1] = rested_ = 0;
      rest_ *= 2;
      return {Action::run, ways_.rule};
    case Known::comparing:
    case Known::differ: break;
  }
  return {Action::run, ways_.rule};
}

void Choice::compared(bool same) { known_ = same ? Known::same : Known::differ; }

std::optional<Way> Choice::timed(Way way, double seconds) {
  if (known_ != Known::same || !ways_.in_doubt) return std::nullopt;
  const int i = way == ways_.rule ? 0 : 1;
  if (taken_[i] < times) seconds_[i][taken_[i]++] = seconds;
  if (taken_[0] < times || taken_[1] < times) return std::nullopt;
  known_ = Known::decided;
  for (auto& all : seconds_) std::ranges::sort(all);
  best_ = seconds_[1][times / 2] < seconds_[0][times / 2] * gain ? ways_.other : ways_.rule;
  const Way loser = best_ == ways_.rule ? ways_.other : ways_.rule;
  // The one that a crowd takes stays as well.
  return is_final() && loser == Way::together ? std::optional(loser) : std::nullopt;
}

}  // namespace sightline::runtime
