#include "search/halving.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/random.h"

namespace sightline::search {
namespace {

constexpr std::size_t one_of = 3;  // so many on a rung, one may go on
// What is expected to take longer than what is left, less this share of it, is not begun.
constexpr double margin = 0.05;
constexpr double deviations = 2;  // that noise may have held a value down, when its reach is worked out

struct Job {
  std::size_t candidate = 0;
  int rung = 0;
};

struct State {
  bool admitted = false, dropped = false;
  std::vector<std::optional<double>> value;  // by rung
  std::vector<double> seconds;
  int highest = -1;  // rung that it was judged on
};

class Search {
 public:
  Search(const Options& options, const Evaluator& evaluator, const std::function<double()>& clock, std::vector<Entry> record,
         const std::function<Result<void>(const Entry&)>& on_entry)
      : options_(options), evaluator_(evaluator), clock_(clock), on_entry_(on_entry), earlier_(std::move(record)) {
    states_.resize(options.family.size());
    for (std::size_t c = 0; c < states_.size(); ++c) {
      states_[c].value.resize(family_of(c).work.size());
      states_[c].seconds.resize(family_of(c).work.size());
    }
    order_.resize(states_.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    if (options.strategy == demand::SearchStrategy::random) Random(options.seed, 0x736561726368ULL).shuffle(order_);
    if (options.strategy == demand::SearchStrategy::standard) order_.resize(std::min<std::size_t>(1, order_.size()));
  }

  Result<Outcome> run() {
    while (const std::optional<Job> job = next()) {
      State& state = states_[job->candidate];
      if (!state.admitted) {
        SIGHTLINE_CHECK(admit(job->candidate));
        continue;  // what it does next is decided with the time that this took
      }
      if (const std::string why = hopeless(*job); !why.empty()) {
        SIGHTLINE_CHECK(note({.event = Event::stopped, .sentence = why}, *job));
        continue;
      }
      SIGHTLINE_CHECK(judge(*job));
    }
    if (replayed_ < earlier_.size())
      return Error{ErrorKind::conflict, "the record of the search is not one of this space and budget; remove it and search anew"};
    return outcome();
  }

 private:
  const Family& family_of(std::size_t candidate) const { return options_.families[options_.family[candidate]]; }
  int last_rung(std::size_t candidate) const { return static_cast<int>(family_of(candidate).work.size()) - 1; }
  double now() const { return record_.empty() ? 0 : record_.back().at; }
  double left() const { return options_.seconds - now(); }

  // Where a candidate goes next; nothing when it is dropped or done.
  std::optional<Job> step_of(std::size_t candidate) const {
    const State& state = states_[candidate];
    if (state.dropped || state.highest == last_rung(candidate)) return std::nullopt;
    const bool at_once = options_.strategy != demand::SearchStrategy::halving && !family_of(candidate).climbs;
    return Job{candidate, at_once ? last_rung(candidate) : state.highest + 1};
  }

  // What it will take: by its own rung before, else by others of its family on this rung or the one before; 0 when nothing is known.
  double expected_seconds(const Job& job) const {
    const std::vector<double>& work = family_of(job.candidate).work;
    const auto rung = static_cast<std::size_t>(job.rung);
    const auto by = [&](const State& state, std::size_t from) {
      return from < rung ? state.seconds[from] * work[rung] / work[from] : state.seconds[from];
    };
    if (rung > 0 && states_[job.candidate].value[rung - 1]) return by(states_[job.candidate], rung - 1);
    for (std::size_t from = rung + 1; from-- > 0;) {
      std::vector<double> known;
      for (std::size_t c = 0; c < states_.size(); ++c)
        if (options_.family[c] == options_.family[job.candidate] && states_[c].value[from]) known.push_back(by(states_[c], from));
      if (known.empty()) continue;
      const auto middle = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
      std::nth_element(known.begin(), middle, known.end());
      return *middle;
    }
    return 0;
  }
  bool fits(const Job& job) const { return left() > 0 && expected_seconds(job) <= left() * (1 - margin); }
  std::optional<Job> fitting(std::size_t candidate) const {
    const std::optional<Job> job = step_of(candidate);
    return job && fits(*job) ? job : std::nullopt;
  }

  std::optional<Job> next() const {
    if (order_.empty() || left() <= 0) return std::nullopt;
    if (options_.strategy != demand::SearchStrategy::halving) {  // each all the way
      for (const std::size_t candidate : order_)
        if (const auto job = fitting(candidate)) return job;
      return std::nullopt;
    }
    if (const auto job = fitting(0)) return job;
    for (std::size_t family = 0; family < options_.families.size(); ++family)
      if (const auto job = promotion(family)) return job;
    for (const std::size_t candidate : order_)
      if (states_[candidate].highest < 0)
        if (const auto job = fitting(candidate)) return job;
    std::optional<Job> best;  // nothing new: whoever is best goes on
    for (const std::size_t candidate : order_) {
      const auto job = states_[candidate].highest >= 0 ? fitting(candidate) : std::nullopt;
      if (job && (!best || last_value(candidate) > last_value(best->candidate))) best = job;
    }
    return best;
  }

  double last_value(std::size_t candidate) const {
    const State& state = states_[candidate];
    return *state.value[static_cast<std::size_t>(state.highest)];
  }

  // Of the best third on a rung one that has not gone on yet; higher rungs first.
  std::optional<Job> promotion(std::size_t family) const {
    for (std::size_t rung = options_.families[family].work.size() - 1; rung-- > 0;) {
      std::vector<std::size_t> judged;
      for (const std::size_t candidate : order_)
        if (options_.family[candidate] == family && states_[candidate].value[rung]) judged.push_back(candidate);
      std::stable_sort(judged.begin(), judged.end(),
                       [&](std::size_t a, std::size_t b) { return *states_[a].value[rung] > *states_[b].value[rung]; });
      judged.resize(judged.size() / one_of);
      for (const std::size_t candidate : judged)
        if (states_[candidate].highest == static_cast<int>(rung))
          if (const auto job = fitting(candidate)) return job;
    }
    return std::nullopt;
  }

  // Early stopping: gains shrink from rung to rung (each is the same factor more of work), so twice what the last rung brought, for each
  // that is left, is the most that can be hoped for. "" when that reaches the best that was seen on a last rung.
  std::string hopeless(const Job& job) const {
    if (options_.strategy != demand::SearchStrategy::halving || job.rung < 2 || job.candidate == 0) return "";
    double best = -1;
    for (std::size_t c = 0; c < states_.size(); ++c)
      if (const auto& value = states_[c].value.back()) best = std::max(best, *value);
    const State& state = states_[job.candidate];
    const double value = *state.value[static_cast<std::size_t>(job.rung) - 1];
    const double gain = std::max(0.0, value - state.value[static_cast<std::size_t>(job.rung) - 2].value_or(value));
    const double noise = options_.pictures > 0 ? std::sqrt(std::max(0.0, value * (1 - value)) / static_cast<double>(options_.pictures)) : 0;
    const int rungs = last_rung(job.candidate) - job.rung + 1;
    const double reach = value + 2 * gain * rungs + deviations * noise;
    if (reach >= best) return "";
    return fmt::format("stopped at {:.4f}: the last rung brought {:.4f}, so that it would not reach {:.4f}", value, gain, best);
  }

  Result<void> admit(std::size_t candidate) {
    return take({candidate, 0}, [&](Entry& entry) -> Result<void> {
      SIGHTLINE_TRY(const Admission admission, evaluator_.admit(candidate));
      entry.event = admission.refusal.empty() ? Event::admitted : Event::refused;
      entry.cost = admission.cost;
      entry.sentence = admission.refusal;
      return {};
    });
  }
  Result<void> judge(const Job& job) {
    return take(job, [&](Entry& entry) -> Result<void> {
      SIGHTLINE_TRY(const Judgement judgement, evaluator_.judge(job.candidate, job.rung, left()));
      entry.event = judgement.out_of_time ? Event::out_of_time : Event::judged;
      entry.value = judgement.out_of_time ? 0 : judgement.value;
      if (judgement.out_of_time) entry.sentence = "the time was up before it was judged";
      return {};
    });
  }
  Result<void> note(Entry entry, const Job& job) {
    return take(job, [&](Entry& taken) -> Result<void> {
      taken.event = entry.event;
      taken.sentence = entry.sentence;
      return {};
    });
  }

  // The next entry: from the record, while that has one, else by `work`.
  template <class Work>
  Result<void> take(const Job& job, Work&& work) {
    if (replayed_ < earlier_.size()) {
      const Entry& entry = earlier_[replayed_];
      if (entry.candidate != static_cast<std::int64_t>(job.candidate) || entry.rung != job.rung)
        return Error{ErrorKind::conflict, "the record of the search is not one of this space and budget; remove it and search anew"};
      ++replayed_;
      return enter(entry);
    }
    Entry entry{.candidate = static_cast<std::int64_t>(job.candidate), .rung = job.rung};
    const Result<void> done = work(entry);
    if (!done.ok() && done.error().kind == ErrorKind::interrupted) return done.error();
    if (!done.ok()) {
      entry.event = Event::failed;
      entry.sentence = done.error().message;
    }
    entry.at = std::max(now(), clock_());
    entry.seconds = entry.at - now();
    SIGHTLINE_CHECK(enter(entry));
    return on_entry_ ? on_entry_(entry) : Result<void>();
  }

  Result<void> enter(const Entry& entry) {
    record_.push_back(entry);
    State& state = states_[static_cast<std::size_t>(entry.candidate)];
    switch (entry.event) {
      case Event::admitted: state.admitted = true; break;
      case Event::judged:
        state.value[static_cast<std::size_t>(entry.rung)] = entry.value;
        state.seconds[static_cast<std::size_t>(entry.rung)] = entry.seconds;
        state.highest = entry.rung;
        break;
      case Event::refused:
      case Event::stopped:
      case Event::failed:
      case Event::out_of_time: state.dropped = true; break;
    }
    return {};
  }

  Outcome outcome() const {
    Outcome outcome;
    outcome.record = record_;
    outcome.seconds = now();
    std::vector<std::size_t> last(states_.size(), record_.size());
    for (std::size_t i = 0; i < record_.size(); ++i) {
      const Entry& entry = record_[i];
      if (entry.event == Event::judged) last[static_cast<std::size_t>(entry.candidate)] = i;
      outcome.begun += entry.event == Event::admitted || entry.event == Event::refused ? 1 : 0;
      outcome.refused += entry.event == Event::refused ? 1 : 0;
      outcome.failed += entry.event == Event::failed ? 1 : 0;
      outcome.stopped += entry.event == Event::stopped ? 1 : 0;
    }
    for (const bool only_whole : {true, false}) {
      for (std::size_t c = 0; c < states_.size(); ++c) {
        if (last[c] == record_.size()) continue;
        if (!only_whole || family_of(c).climbs || states_[c].highest == last_rung(c)) outcome.finalists.push_back(last[c]);
      }
      if (!outcome.finalists.empty()) break;  // else nobody was judged whole: all there is
    }
    return outcome;
  }

  const Options& options_;
  const Evaluator& evaluator_;
  const std::function<double()>& clock_;
  const std::function<Result<void>(const Entry&)>& on_entry_;
  std::vector<Entry> earlier_, record_;
  std::size_t replayed_ = 0;
  std::vector<State> states_;
  std::vector<std::size_t> order_;
};

}  // namespace

Result<Outcome> run(const Options& options, const Evaluator& evaluator, const std::function<double()>& clock, std::vector<Entry> record,
                    const std::function<Result<void>(const Entry&)>& on_entry) {
  return Search(options, evaluator, clock, std::move(record), on_entry).run();
}

}  // namespace sightline::search
