// How far a backbone is tuned for a demand, a rung at a time: head only → head on several cuts → last stages tuned → whole net tuned →
// trained from scratch. The next rung is taken only when the target is not met with the lower end of the estimate's interval and the gain
// that is predicted for it and the budget justify it. The rule alone: what the figures are and where they come from is
// escalation_steps.cpp's business.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "demand/demand.h"
#include "evaluation/cross_validation.h"

namespace sightline {
namespace factory {

enum class Rung { head, cuts, tail, whole, scratch };

// "the head", "tuning the last stages", …
const char* words_for(Rung rung);

// What the model of a rung answers on pictures that it has not learnt from.
struct Reached {
  Rung rung = Rung::head;
  std::string metric;  // top1 or balanced_accuracy: what stands for the target's metric
  double value = 0;
  evaluation::Interval interval;
  std::int64_t pictures = 0;
  std::string how;       // "out of fold", "on validation pictures"
  double seconds = 0;    // what it cost
  bool kept = true;      // it answers no worse than what was there before
  std::string sentence;  // what it reached
  std::string decision;  // why the next one was taken or not
  static constexpr auto fields() {
    return std::tuple{field("rung", &Reached::rung),         field("metric", &Reached::metric),     field("value", &Reached::value),
                      field("interval", &Reached::interval), field("pictures", &Reached::pictures), field("how", &Reached::how),
                      field("seconds", &Reached::seconds),   field("kept", &Reached::kept),         field("sentence", &Reached::sentence),
                      field("decision", &Reached::decision)};
  }
};

// The metric of an estimate that stands for the target's: macro_f1 behaves like balanced accuracy, and top5 is at least top1.
Reached reached_by(Rung rung, const demand::Target& target, const evaluation::CrossValidated& estimate, const std::string& how);

// What the next rung is expected to bring, as shares of the pictures.
struct Prospect {
  Rung rung = Rung::cuts;
  double gain = 0;
  evaluation::Interval interval;
  double seconds = 0;  // predicted; 0: not known before it begins, and bounded by what is left
  std::string why;     // where the prediction comes from
  static constexpr auto fields() {
    return std::tuple{field("rung", &Prospect::rung), field("gain", &Prospect::gain), field("interval", &Prospect::interval),
                      field("seconds", &Prospect::seconds), field("why", &Prospect::why)};
  }
};

struct Decision {
  bool next = false;
  std::string sentence;  // for a person; when not next it goes on after "skipped because "
};

// Whether the lower end meets a target that was stated.
bool meets(const demand::Target& target, const Reached& reached);
std::string sentence_of_met(const demand::Target& target, const Reached& reached);
std::string sentence_of(const demand::Target& target, const Reached& reached);
// With a target: next unless it is met, or the prediction excludes a gain worth having. Without one (at_least: 0): next when the lower end
// of the prediction is a clear gain. Neither when it takes longer than what is left of the budget.
Decision decide(const demand::Target& target, const Reached& reached, const Prospect& prospect, double seconds_left);

// Half of what the rung before brought is expected of the next; nothing when it brought nothing.
Prospect prospect_of_tail(double gain, const evaluation::Interval& interval, double seconds);
Prospect prospect_of_whole(double gain, const evaluation::Interval& interval, double seconds);
// From what a closed-form head on filters drawn from the pictures themselves reaches: a trained net as a rule makes a third fewer mistakes,
// at best half as many.
Prospect prospect_of_scratch(double without_network, double reached);

// The budget of all rungs together, in seconds.
double seconds_of(const demand::Budget& budget);

}  // namespace factory

template <>
struct EnumNames<factory::Rung> {
  static constexpr std::array<const char*, 5> names{"head", "cuts", "tail", "whole", "scratch"};
};

}  // namespace sightline
