#include "search/halving.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "base/json.h"
#include "base/random.h"

namespace sightline::search {
namespace {

using demand::SearchStrategy;
using testing::HasSubstr;

// A synthetic race: every candidate has a learning curve and a speed, and a clock that moves only when something is done.
struct Race {
  struct Runner {
    double last = 0.5;      // what its curve rises to
    double slowness = 0.2;  // how much of it is missing on the first rung
    double seconds = 1;     // of the first rung
    std::string refusal, failure;
  };
  std::vector<Runner> runners;
  Options options;
  double noise = 0, clock = 1000;
  int admitted = 0, judged = 0;
  double slack = 1;  // an evaluation takes so many times what it should
  std::set<std::pair<std::size_t, int>> seen;

  explicit Race(std::size_t count, double seconds) : runners(count) {
    options.seconds = seconds;
    options.families = {{.work = {1, 2, 6}, .climbs = false}};
    options.family.assign(count, 0);
  }
  Evaluator evaluator() {
    return {[this](std::size_t c) -> Result<Admission> {
              ++admitted;
              clock += 0.01;
              return Admission{{.latency_ms = static_cast<double>(c)}, runners[c].refusal};
            },
            [this](std::size_t c, int rung, double left) -> Result<Judgement> {
              ++judged;
              seen.emplace(c, rung);
              if (!runners[c].failure.empty()) return Error{ErrorKind::invalid_data, runners[c].failure};
              const double work = options.families[options.family[c]].work[static_cast<std::size_t>(rung)] * runners[c].seconds * slack;
              if (work > left) {  // as an evaluation that looks at its limit does
                clock += left;
                return Judgement{.out_of_time = true};
              }
              clock += work;
              Random random(7, c, static_cast<std::uint64_t>(rung));
              return Judgement{.value = runners[c].last - runners[c].slowness * std::pow(0.4, rung) + noise * random.normal()};
            }};
  }
  Result<Outcome> go(std::vector<Entry> record = {}) {
    const double begin = clock - (record.empty() ? 0 : record.back().at);
    return run(
        options, evaluator(), [this, begin] { return clock - begin; }, std::move(record));
  }
};

std::int64_t best_of(const Outcome& outcome) {
  const Entry* best = nullptr;
  for (const std::size_t f : outcome.finalists)
    if (best == nullptr || outcome.record[f].value > best->value) best = &outcome.record[f];
  return best == nullptr ? -1 : best->candidate;
}

TEST(Halving, FindsTheKnownBestInAFractionOfTheTimeThatAllWouldTake) {
  Race race(60, 200);  // all of them whole: 540 s
  Random random(3);
  for (auto& runner : race.runners) runner = {.last = random.uniform(0.5, 0.8), .slowness = random.uniform(0.15, 0.2)};
  race.runners[41] = {.last = 0.9, .slowness = 0.2};
  const auto outcome = race.go();
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(best_of(*outcome), 41);
  EXPECT_LE(outcome->seconds, 200);
  std::vector<int> on_rung(3);
  for (const auto& [candidate, rung] : race.seen) ++on_rung[static_cast<std::size_t>(rung)];
  EXPECT_GT(on_rung[0], 50);
  EXPECT_LT(on_rung[2], on_rung[1]);
}

TEST(Halving, WithTheSameTimeRandomSearchSeesFewer) {
  Race race(60, 60);
  for (auto& runner : race.runners) runner.slowness = 0.1;
  race.options.strategy = SearchStrategy::random;
  const auto outcome = race.go();
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->finalists.size(), 9U);  // 60 s at 6 s each, and what admitting them takes
  for (const auto& [candidate, rung] : race.seen) EXPECT_EQ(rung, 2) << "judged whole at once";
  const auto again = Race(race).go();
  EXPECT_EQ(again->record.front().candidate, outcome->record.front().candidate) << "the seed decides the order";
}

TEST(Halving, TheDefaultStrategyJudgesTheFirstAlone) {
  Race race(5, 100);
  race.options.strategy = SearchStrategy::standard;
  const auto outcome = race.go();
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(race.seen, (std::set<std::pair<std::size_t, int>>{{0, 2}}));
  EXPECT_EQ(best_of(*outcome), 0);
}

TEST(Halving, TheDefaultGoesAllTheWayFirst) {
  Race race(20, 100);
  race.runners[0].last = 0.2;
  const auto outcome = race.go();
  ASSERT_TRUE(outcome.ok());
  std::vector<std::pair<std::int64_t, int>> judged;
  for (const Entry& entry : outcome->record)
    if (entry.event == Event::judged) judged.emplace_back(entry.candidate, entry.rung);
  ASSERT_GE(judged.size(), 4U);
  EXPECT_EQ(judged[0], std::pair(std::int64_t{0}, 0));
  EXPECT_EQ(judged[2], std::pair(std::int64_t{0}, 2));
  EXPECT_EQ(judged[3].first, 1);
}

// Nothing to find: every candidate is as good as any, and the values are noise.
TEST(Halving, OnNoiseItEndsInTimeAndEveryFinalistIsReal) {
  Race race(50, 120);
  race.noise = 0.05;
  for (auto& runner : race.runners) runner = {.last = 0.5, .slowness = 0};
  const auto outcome = race.go();
  ASSERT_TRUE(outcome.ok());
  EXPECT_LE(outcome->seconds, 120);
  for (const std::size_t f : outcome->finalists) EXPECT_NEAR(outcome->record[f].value, 0.5, 0.25);
}

TEST(Halving, TheBudgetIsNeverOverrun) {
  Random random(11);
  for (int trial = 0; trial < 60; ++trial) {
    const double seconds = random.uniform(0.5, 80);
    Race race(30, seconds);
    race.options.families.push_back({.work = {1, 2, 6, 18}, .climbs = true});
    for (std::size_t c = 15; c < 30; ++c) race.options.family[c] = 1;
    for (auto& runner : race.runners) runner = {.last = random.uniform(0, 1), .slowness = 0.1, .seconds = random.uniform(0.1, 20)};
    race.slack = random.uniform(0.5, 3);
    race.options.strategy = static_cast<SearchStrategy>(trial % 3);
    const double begin = race.clock;
    const auto outcome = race.go();
    ASSERT_TRUE(outcome.ok());
    EXPECT_LE(race.clock - begin, seconds * 1.05) << trial;
    EXPECT_NEAR(outcome->seconds, race.clock - begin, 1e-9);
  }
}

TEST(Halving, WhatBreaksALimitIsNeverJudgedAndWhatFailsIsDroppedWithItsReason) {
  Race race(9, 1000);
  race.runners[2].refusal = "it takes 9.00 ms of 5 here";
  race.runners[3].failure = "the graph has no features";
  race.runners[2].last = race.runners[3].last = 0.99;
  const auto outcome = race.go();
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->refused, 1);
  EXPECT_EQ(outcome->failed, 1);
  for (const auto& [candidate, rung] : race.seen) EXPECT_NE(candidate, 2U);
  EXPECT_FALSE(race.seen.contains({3, 1}));
  for (const std::size_t f : outcome->finalists) EXPECT_TRUE(outcome->record[f].candidate != 2 && outcome->record[f].candidate != 3);
  std::string sentences;
  for (const Entry& entry : outcome->record) sentences += entry.sentence + "\n";
  EXPECT_THAT(sentences, testing::AllOf(HasSubstr("9.00 ms"), HasSubstr("no features")));
}

TEST(Halving, WhereAllAreRefusedThereIsNoFinalist) {
  Race race(3, 10);
  for (auto& runner : race.runners) runner.refusal = "too large";
  const auto outcome = race.go();
  ASSERT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome->finalists.empty());
  EXPECT_EQ(outcome->refused, 3);
  EXPECT_EQ(race.judged, 0);
}

TEST(Halving, ACurveThatHasFlattenedBelowTheBestIsStopped) {
  Race race(12, 10000);
  race.options.families = {{.work = {1, 2, 6, 18, 54}, .climbs = true}};
  race.runners[0] = {.last = 0.9, .slowness = 0.3};
  for (std::size_t c = 1; c < 12; ++c) race.runners[c] = {.last = 0.6, .slowness = 0.01};
  race.options.pictures = 1000;
  const auto outcome = race.go();
  ASSERT_TRUE(outcome.ok());
  EXPECT_GT(outcome->stopped, 0);
  for (const auto& [candidate, rung] : race.seen) EXPECT_TRUE(candidate == 0 || rung < 3) << candidate << " on rung " << rung;
  EXPECT_EQ(outcome->finalists.size(), 12U) << "a stopped one has a model all the same";
}

TEST(Halving, ARecordReplaysWithoutAClockAndACutOneGoesOn) {
  Race race(40, 90);
  race.noise = 0.02;
  Random random(5);
  for (auto& runner : race.runners) runner = {.last = random.uniform(0.4, 0.8), .slowness = 0.15, .seconds = random.uniform(0.5, 2)};
  race.runners[7].failure = "broken";
  race.runners[9].refusal = "too slow";
  const Race fresh = race;
  const auto whole = race.go();
  ASSERT_TRUE(whole.ok());
  Race still = fresh;
  const auto replayed = still.go(whole->record);
  ASSERT_TRUE(replayed.ok()) << replayed.error().message;
  EXPECT_EQ(still.judged + still.admitted, 0) << "a whole record asks for nothing";
  EXPECT_EQ(to_json(replayed->record), to_json(whole->record));
  EXPECT_EQ(replayed->finalists, whole->finalists);
  for (const std::size_t cut : {std::size_t{1}, whole->record.size() / 3, whole->record.size() - 1}) {
    Race resumed = fresh;
    resumed.clock = 5;  // of another process
    const auto outcome = resumed.go({whole->record.begin(), whole->record.begin() + static_cast<std::ptrdiff_t>(cut)});
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    EXPECT_LE(outcome->seconds, 90);
    EXPECT_EQ(outcome->finalists, whole->finalists) << cut;
    for (std::size_t i = 0; i < whole->record.size(); ++i) {
      EXPECT_EQ(outcome->record[i].candidate, whole->record[i].candidate);
      EXPECT_NEAR(outcome->record[i].at, whole->record[i].at, 1e-9);
    }
  }
}

TEST(Halving, ARecordOfAnotherSearchIsRefused) {
  Race race(10, 50);
  std::vector<Entry> record = race.go()->record;
  record[3].candidate = 9;
  Race other(10, 50);
  const auto outcome = other.go(record);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().kind, ErrorKind::conflict);
  Race shorter(10, 10);
  EXPECT_FALSE(shorter.go(race.go()->record).ok());
}

TEST(Halving, AnInterruptEndsItAndWhatIsKeptIsKept) {
  Race race(10, 50);
  std::vector<Entry> kept;
  Evaluator evaluator = race.evaluator();
  const auto judge = evaluator.judge;
  evaluator.judge = [&](std::size_t c, int rung, double left) -> Result<Judgement> {
    if (race.judged == 4) return Error{ErrorKind::interrupted, "interrupted"};
    return judge(c, rung, left);
  };
  const auto outcome = run(
      race.options, evaluator, [&] { return race.clock - 1000; }, {},
      [&](const Entry& entry) -> Result<void> {
        kept.push_back(entry);
        return {};
      });
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().kind, ErrorKind::interrupted);
  EXPECT_GE(kept.size(), 4U);
  EXPECT_TRUE(race.go(kept).ok());
}

}  // namespace
}  // namespace sightline::search
