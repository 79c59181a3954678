#include "runtime/ways.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sightline::runtime {
namespace {

constexpr double mega = 1e6;

TEST(Ways, RuleFollowsTheWork) {
  // One thread asked for, or next to no work: nothing to choose.
  EXPECT_EQ(ways_for(1000 * mega, 8, 1, true).rule, Way::alone);
  EXPECT_EQ(ways_for(1000 * mega, 8, 1, true).other, Way::alone);
  EXPECT_EQ(ways_for(1 * mega, 8, 2, true).other, Way::alone);
  // Some work: one thread, but two may pay.
  EXPECT_EQ(ways_for(30 * mega, 1, 2, true).rule, Way::alone);
  EXPECT_EQ(ways_for(30 * mega, 1, 2, true).other, Way::together);
  EXPECT_EQ(ways_for(30 * mega, 8, 2, true).other, Way::pieces);
  EXPECT_EQ(ways_for(30 * mega, 8, 2, false).other, Way::together);
  // Much.
  EXPECT_EQ(ways_for(300 * mega, 1, 2, true).rule, Way::together);
  EXPECT_FALSE(ways_for(300 * mega, 1, 2, true).in_doubt);
  EXPECT_TRUE(ways_for(100 * mega, 1, 2, true).in_doubt);
  EXPECT_EQ(ways_for(300 * mega, 8, 2, true).rule, Way::pieces);
  EXPECT_EQ(ways_for(300 * mega, 8, 2, false).rule, Way::together);
  EXPECT_EQ(ways_for(300 * mega, 64, 64, true).threads, 15);         // 20 MFLOP for each thread
  EXPECT_EQ(ways_for(300 * mega, 8, 64, true).rule, Way::together);  // fewer images than threads
}

struct Clock {
  double rule, other;
};

// Runs as a session does, with times from outside; gives the way that is taken in the end.
Way settles_on(Choice& choice, const Clock& clock, bool same_bits, int* compares = nullptr) {
  for (int i = 0; i < 40; ++i) {
    const Choice::Next next = choice.next(false);
    if (next.action == Choice::Action::compare) {
      if (compares != nullptr) ++*compares;
      choice.compared(same_bits);
      continue;
    }
    choice.timed(next.way, next.way == choice.ways().rule ? clock.rule : clock.other);
  }
  return choice.next(false).way;
}

TEST(Ways, TheQuickerWayIsTakenWhenBothGiveTheSameBits) {
  const Ways ways{.rule = Way::pieces, .other = Way::together, .threads = 2};
  int compares = 0;
  Choice quicker(ways), slower(ways), hardly(ways), different(ways);
  EXPECT_EQ(settles_on(quicker, {1.0, 0.8}, true, &compares), Way::together);
  EXPECT_EQ(compares, 1);
  EXPECT_EQ(settles_on(slower, {1.0, 1.2}, true), Way::pieces);
  EXPECT_EQ(settles_on(hardly, {1.0, 0.98}, true), Way::pieces);
  EXPECT_EQ(settles_on(different, {1.0, 0.1}, false), Way::pieces);
}

// A busy moment must not decide for a net that several threads always pay for; a crowd still takes the other way.
TEST(Ways, WithoutDoubtTheClockIsNotAsked) {
  Choice choice(ways_for(2000 * mega, 1, 2, true));
  EXPECT_EQ(settles_on(choice, {1.0, 0.1}, true), Way::together);
  EXPECT_EQ(choice.next(true).way, Way::alone);
  Choice different(ways_for(2000 * mega, 1, 2, true));
  EXPECT_EQ(settles_on(different, {1.0, 0.1}, false), Way::together);
  EXPECT_EQ(different.next(true).way, Way::together);  // other bits: not even then
}

TEST(Ways, TellsOnceWhatMayGo) {
  Choice choice({.rule = Way::pieces, .other = Way::together, .threads = 2});
  int told = 0;
  for (int i = 0; i < 40; ++i) {
    const Choice::Next next = choice.next(false);
    if (next.action == Choice::Action::compare) {
      choice.compared(true);
    } else if (const auto loser = choice.timed(next.way, next.way == Way::pieces ? 1 : 2)) {
      EXPECT_EQ(*loser, Way::together);
      ++told;
    }
  }
  EXPECT_EQ(told, 1);
}

// Two threads may be quickest once in a while and slower most of the time: where other work holds a core.
TEST(Ways, TheUsualTimeCountsNotTheBest) {
  Choice choice({.rule = Way::together, .other = Way::alone, .threads = 2});
  int runs = 0;
  for (int i = 0; i < 40; ++i) {
    const Choice::Next next = choice.next(false);
    if (next.action == Choice::Action::compare) {
      choice.compared(true);
    } else {
      choice.timed(next.way, next.way == Way::alone ? 1.2 : ++runs % 4 == 1 ? 0.8 : 2.0);
    }
  }
  EXPECT_EQ(choice.next(false).way, Way::alone);
}

// A core that was busy elsewhere while the choice was made shall not count for ever.
TEST(Ways, AChoiceThatCostsNoMemoryIsMadeAnew) {
  Choice choice({.rule = Way::together, .other = Way::alone, .threads = 2});
  EXPECT_EQ(settles_on(choice, {2.0, 1.5}, true), Way::alone);
  int tried = 0;
  for (int i = 0; i < 60; ++i) {
    const Choice::Next next = choice.next(false);
    EXPECT_EQ(next.action, Choice::Action::run);
    if (next.way == Way::together) ++tried;
    EXPECT_FALSE(choice.timed(next.way, next.way == Way::together ? 1.0 : 1.5).has_value());
  }
  EXPECT_GE(tried, 5);
  EXPECT_EQ(choice.next(false).way, Way::together);
  // Each time after twice as many runs.
  tried = 0;
  for (int i = 0; i < 100; ++i) {
    const Choice::Next next = choice.next(false);
    if (next.way == Way::alone) ++tried;
    choice.timed(next.way, next.way == Way::together ? 1.0 : 1.5);
  }
  EXPECT_EQ(tried, 0);
}

TEST(Ways, WhoAsksAFewTimesPaysForNoTrial) {
  Choice choice({.rule = Way::together, .other = Way::alone, .threads = 2});
  for (int i = 0; i < 4; ++i) {
    const Choice::Next next = choice.next(true);
    EXPECT_EQ(next.action, Choice::Action::run);
    EXPECT_EQ(next.way, Way::together);
  }
}

// In a crowd each run has one core, as soon as it is known that the answer is the same.
TEST(Ways, ACrowdTakesOneCoreEach) {
  Choice choice({.rule = Way::together, .other = Way::alone, .threads = 2});
  for (int i = 0; i < 4; ++i) choice.next(true);
  EXPECT_EQ(choice.next(true).action, Choice::Action::compare);
  EXPECT_EQ(choice.next(true).way, Way::together);  // while somebody else compares
  choice.compared(true);
  EXPECT_EQ(choice.next(true).way, Way::alone);
  EXPECT_EQ(choice.next(false).way, Way::together);
  Choice differs({.rule = Way::together, .other = Way::alone, .threads = 2});
  for (int i = 0; i < 5; ++i) differs.next(true);
  differs.compared(false);
  EXPECT_EQ(differs.next(true).way, Way::together);
}

TEST(Ways, SmallImagesAndMatricesAreTakenSeveralAtATime) {
  constexpr std::size_t mib = 1 << 20;
  EXPECT_EQ(images_at_once(4 * mib, 0, 1e9), 1);
  EXPECT_EQ(images_at_once(mib / 8, 0, 1e7), 8);
  EXPECT_EQ(images_at_once(4 * mib, 2 * mib, 3.6e9), 1);            // a classifier behind a large net
  EXPECT_GT(images_at_once(4 * mib, 400 * mib, 2e9), 8);            // one that is most of the net
  EXPECT_EQ(images_at_once(4 * mib, 45 * mib, 3.6e9), 4);           // ResNet-18: wide layers over small pictures
  EXPECT_EQ(images_at_once(3 * mib, 5 * mib, 0.7e9), 1);            // SqueezeNet 1.1
  EXPECT_GT(images_at_once(1000, 4 * mib, 2.0 * 1024 * 1024), 64);  // nothing but matrices
  EXPECT_LE(images_at_once(0, 0, 0), 4096);
}

}  // namespace
}  // namespace sightline::runtime
