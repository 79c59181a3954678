// Who of many candidates is worth judging longer: asynchronous successive halving (Li et al. 2020) under a wall-clock budget.
//
// A candidate is judged on rungs, each several times the work of the one before. On a rung it may go on when it stands among the best third
// of those that were judged there; when nobody may, the next candidate begins; when none is left, the best go on until the time is up. The
// first candidate, the default, goes all the way before any other begins: it is what must be beaten.
//
// What is decided depends on the record so far and on nothing else, and the record holds the time at which each entry was finished. So a
// search that was killed goes on from its record as if nobody had disturbed it, and a whole record replays without a clock. Candidates are
// judged one after the other: each may use all cores.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "demand/demand.h"

namespace sightline {
namespace search {

// Measured on this machine, before anything is learned.
struct Cost {
  double latency_ms = 0, size_mb = 0, memory_mb = 0;
  static constexpr auto fields() {
    return std::tuple{field("latency_ms", &Cost::latency_ms), field("size_mb", &Cost::size_mb), field("memory_mb", &Cost::memory_mb)};
  }
};

struct Admission {
  Cost cost;
  std::string refusal;  // "" or the limit that it breaks, in words: such a candidate is never judged
};

struct Judgement {
  double value = 0;          // larger is better, on validation pictures
  bool out_of_time = false;  // it had to stop before there was a value
};

// Candidates are numbers from 0. An error drops the candidate with its message as the reason, but for `interrupted`, which ends the search.
struct Evaluator {
  std::function<Result<Admission>(std::size_t candidate)> admit;
  // Must come back within seconds_left.
  std::function<Result<Judgement>(std::size_t candidate, int rung, double seconds_left)> judge;
};

// Candidates that are compared on the same rungs.
struct Family {
  std::vector<double> work;  // of each rung, in any unit: what it takes when the one before has been done
  // A rung goes on from the model of the one before, which is a model as well. Else only the last rung shows the model that would be
  // shipped, and it can be judged there at once.
  bool climbs = false;
};

struct Options {
  demand::SearchStrategy strategy = demand::SearchStrategy::halving;
  double seconds = 0;
  std::vector<Family> families;
  std::vector<std::size_t> family;  // of each candidate
  std::int64_t pictures = 0;        // that values are shares of: how much noise is in them; 0: none
  std::uint64_t seed = 0;
};

enum class Event { admitted, refused, judged, stopped, failed, out_of_time };

struct Entry {
  std::int64_t candidate = 0;
  int rung = 0;
  Event event = Event::judged;
  double value = 0;
  double seconds = 0;  // that it took
  double at = 0;       // seconds since the search began, when it was finished
  Cost cost;           // admitted, refused
  std::string sentence;
  static constexpr auto fields() {
    return std::tuple{field("candidate", &Entry::candidate), field("rung", &Entry::rung),        field("event", &Entry::event),
                      field("value", &Entry::value),         field("seconds", &Entry::seconds),  field("at", &Entry::at),
                      field("cost", &Entry::cost),           field("sentence", &Entry::sentence)};
  }
};

struct Outcome {
  std::vector<Entry> record;
  // The entries that show a model that could be shipped, one for each candidate that has one, in the order of the candidates.
  std::vector<std::size_t> finalists;
  std::int64_t begun = 0, refused = 0, failed = 0, stopped = 0;
  double seconds = 0;
};

// clock: seconds since the search began, those of earlier processes included. record: what an earlier run left, or nothing. on_entry is
// called after each new entry, and its error ends the search. Errors: interrupted; those of on_entry; conflict when the record is not of a
// search with these options.
Result<Outcome> run(const Options& options, const Evaluator& evaluator, const std::function<double()>& clock,
                    std::vector<Entry> record = {}, const std::function<Result<void>(const Entry&)>& on_entry = {});

}  // namespace search

template <>
struct EnumNames<search::Event> {
  static constexpr std::array<const char*, 6> names{"admitted", "refused", "judged", "stopped", "failed", "out_of_time"};
};

}  // namespace sightline
