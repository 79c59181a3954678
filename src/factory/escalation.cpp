#include "factory/escalation.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace sightline::factory {
namespace {

// Shares of the pictures. Less is not worth a minute; so much at least is clear.
constexpr double smallest_gain = 0.005, clear_gain = 0.01;
constexpr double default_minutes = 3;

std::string points(double share) { return fmt::format("{:.1f}", 100 * share); }
std::string points(const Prospect& prospect) {
  return fmt::format("{} points ({} to {})", points(prospect.gain), points(prospect.interval.low), points(prospect.interval.high));
}
std::string cost(const Prospect& prospect) {
  return prospect.seconds > 0 ? fmt::format(" in about {}", human_seconds(prospect.seconds)) : std::string();
}

}  // namespace

const char* words_for(Rung rung) {
  switch (rung) {
    case Rung::head: return "the head on the frozen backbone";
    case Rung::cuts: return "a head on several layers of the frozen backbone";
    case Rung::tail: return "tuning the last stages";
    case Rung::whole: return "tuning the whole net";
    case Rung::scratch: return "training from scratch";
  }
  return "";
}

Reached reached_by(Rung rung, const demand::Target& target, const evaluation::CrossValidated& estimate, const std::string& how) {
  const bool balanced = target.metric == "balanced_accuracy" || target.metric == "macro_f1";
  const evaluation::Estimate& which = balanced ? estimate.balanced_accuracy : estimate.accuracy;
  return {.rung = rung,
          .metric = balanced ? "balanced_accuracy" : "top1",
          .value = which.value,
          .interval = which.interval,
          .pictures = estimate.samples,
          .how = how};
}

bool meets(const demand::Target& target, const Reached& reached) { return target.at_least > 0 && reached.interval.low >= target.at_least; }

std::string sentence_of_met(const demand::Target& target, const Reached& reached) {
  return fmt::format("the target of {:.4f} is met by the lower end of what {} reaches, {:.4f}", target.at_least, words_for(reached.rung),
                     reached.interval.low);
}

std::string sentence_of(const demand::Target& target, const Reached& reached) {
  std::string text = fmt::format("{} reaches {} {:.4f} ({:.4f} to {:.4f}, {} {})", words_for(reached.rung), reached.metric, reached.value,
                                 reached.interval.low, reached.interval.high,
                                 plural(static_cast<std::uint64_t>(reached.pictures), "picture"), reached.how);
  if (reached.metric != target.metric) text += fmt::format(", which stands for {} here", target.metric);
  return text;
}

Decision decide(const demand::Target& target, const Reached& reached, const Prospect& prospect, double seconds_left) {
  const std::string next = words_for(prospect.rung);
  const bool stated = target.at_least > 0;
  if (meets(target, reached)) return {false, sentence_of_met(target, reached)};
  if (prospect.seconds > seconds_left || seconds_left <= 0)
    return {false, prospect.seconds > 0 ? fmt::format("{} would take about {}, and {} of the budget are left", next,
                                                      human_seconds(prospect.seconds), human_seconds(std::max(seconds_left, 0.0)))
                                        : fmt::format("nothing of the budget is left for {}", next)};
  const std::string expected = fmt::format("{} is expected to bring {}{}: {}", next, points(prospect), cost(prospect), prospect.why);
  if (stated) {
    if (prospect.interval.high < smallest_gain)
      return {false, fmt::format("no gain is to be had, though the target is not met: {}", expected)};
    return {true, fmt::format("the target of {:.4f} is not met for sure ({:.4f} at the lower end); {}", target.at_least,
                              reached.interval.low, expected)};
  }
  if (prospect.interval.low < clear_gain) return {false, fmt::format("no target is stated and no clear gain is predicted: {}", expected)};
  return {true, fmt::format("no target is stated, but a clear gain is predicted: {}", expected)};
}

namespace {

Prospect half_of(Rung rung, double gain, const evaluation::Interval& interval, double seconds, const std::string& before) {
  const auto half = [](double share) { return std::max(share, 0.0) / 2; };
  return {.rung = rung,
          .gain = half(gain),
          .interval = {half(interval.low), half(interval.high)},
          .seconds = seconds,
          .why = fmt::format("half of what {} brought ({} points)", before, points(gain))};
}

}  // namespace

Prospect prospect_of_tail(double gain, const evaluation::Interval& interval, double seconds) {
  return half_of(Rung::tail, gain, interval, seconds, "the earlier layers");
}

Prospect prospect_of_whole(double gain, const evaluation::Interval& interval, double seconds) {
  return half_of(Rung::whole, gain, interval, seconds, "tuning the last stages");
}

Prospect prospect_of_scratch(double without_network, double reached) {
  const double wrong = 1 - without_network;
  return {.rung = Rung::scratch,
          .gain = without_network + wrong / 3 - reached,
          .interval = {without_network - reached, without_network + wrong / 2 - reached},
          .seconds = 0,
          .why = fmt::format("a closed-form head on filters that are drawn from the pictures, without any network, has {:.4f} right, and a "
                             "trained net makes a third fewer mistakes, at best half as many",
                             without_network)};
}

double seconds_of(const demand::Budget& budget) {
  if (budget.minutes) return 60 * *budget.minutes;
  return budget.epochs ? std::numeric_limits<double>::infinity() : 60 * default_minutes;
}

}  // namespace sightline::factory
