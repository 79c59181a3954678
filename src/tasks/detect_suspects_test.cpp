#include "tasks/detect_suspects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace sightline::tasks {
namespace {

using annotation::Box;
using annotation::Object;

Case case_of(std::vector<Object> truth, std::vector<Object> found) {
  Case one{.width = 100, .height = 100};
  one.truth.objects = std::move(truth);
  one.prediction.objects = std::move(found);
  return one;
}

Object thing(std::int32_t label, Box box, double score = 1) { return {.label = label, .box = box, .score = score}; }

TEST(SuspectBoxes, EachKindIsToldWithWhatIsSeen) {
  const Box a{10, 10, 30, 30}, b{60, 60, 90, 90};
  std::vector<Case> cases(8, case_of({thing(0, a), thing(1, b)}, {thing(0, a, 0.9), thing(1, b, 0.8)}));
  cases.push_back(case_of({thing(0, a)}, {thing(0, a, 0.9), thing(1, b, 0.7)}));  // 8: missed
  cases.push_back(case_of({thing(0, a), thing(1, b)}, {thing(0, a, 0.9)}));       // 9: unseen
  cases.push_back(case_of({thing(1, a)}, {thing(0, a, 0.9)}));                    // 10: other
  cases.push_back(case_of({thing(0, Box{22, 10, 42, 30})}, {thing(0, a, 0.9)}));  // 11: displaced
  Object crowd = thing(1, Box{50, 50, 100, 100});
  crowd.crowd = true;
  cases.push_back(case_of({crowd}, {thing(1, b, 0.9), thing(1, Box{52, 52, 58, 58}, 0.9)}));  // 12: neither right nor wrong
  const std::vector<SuspectBox> ranking = rank_suspect_boxes(cases);
  ASSERT_EQ(ranking.size(), 4U);
  EXPECT_EQ(ranking[0].suspicion, Suspicion::other);
  EXPECT_EQ(ranking[0].place, 10);
  EXPECT_EQ(ranking[0].given->label, 1);
  EXPECT_EQ(ranking[0].seen->label, 0);
  const auto rare = [](double score) { return score * 0.05 / (0.05 + score / 21); };  // once, of 21 given boxes
  EXPECT_NEAR(ranking[0].score, rare(0.9), 1e-9);
  EXPECT_EQ(ranking[1].suspicion, Suspicion::unseen);
  EXPECT_EQ(ranking[1].place, 9);
  EXPECT_NEAR(ranking[1].score, rare(0.8), 1e-9);  // as sure as it usually is of the class
  EXPECT_FALSE(ranking[1].seen);
  EXPECT_EQ(ranking[2].suspicion, Suspicion::missed);
  EXPECT_EQ(ranking[2].place, 8);
  EXPECT_FALSE(ranking[2].given);
  EXPECT_EQ(ranking[3].suspicion, Suspicion::displaced);
  EXPECT_EQ(ranking[3].place, 11);
  EXPECT_TRUE(rank_suspect_boxes({}).empty());
}

// A detector that overlooks an eighth of the objects, invents some with little confidence and is a little off; of 5% of the boxes the
// labels are wrong in one of four ways. How many of these stand in the first tenth?
TEST(SuspectBoxes, InjectedErrorsStandAtTheTop) {
  constexpr int pictures = 300, most = 6;
  std::vector<Case> cases;
  std::vector<std::vector<Box>> wrong(pictures);  // where something was injected
  int objects = 0, injected = 0;
  std::array<int, 4> of_kind{};
  for (int p = 0; p < pictures; ++p) {
    Random random(11, static_cast<std::uint64_t>(p));
    Case one = case_of({}, {});
    const auto count = 2 + random.below(most - 1);
    for (std::uint64_t i = 0; i < count; ++i) {
      const double x = 16.0 * static_cast<double>(i) + 1, y = random.uniform(0, 70), size = random.uniform(9, 14);
      const Object object = thing(static_cast<std::int32_t>(random.below(3)), {x, y, x + size, y + size});
      ++objects;
      if (random.uniform() < 0.88) {
        Object found = object;
        found.score = std::clamp(0.75 + 0.15 * random.normal(), 0.05, 0.99);
        for (double* edge : {&found.box.left, &found.box.top, &found.box.right, &found.box.bottom}) *edge += 0.5 * random.normal();
        if (random.uniform() < 0.04) found.label = (found.label + 1) % 3;
        one.prediction.objects.push_back(found);
      }
      Object given = object;
      if (random.uniform() < 0.05) {
        ++injected;
        const auto kind = random.below(4);
        ++of_kind[kind];
        wrong[static_cast<std::size_t>(p)].push_back(object.box);
        if (kind == 0) continue;  // nobody drew it
        if (kind == 1) given.label = (given.label + 1 + static_cast<std::int32_t>(random.below(2))) % 3;
        if (kind == 2) {  // drawn beside it
          given.box.top += 0.6 * size;
          given.box.bottom += 0.6 * size;
        }
        if (kind == 3) {  // a box around nothing, besides
          one.truth.objects.push_back(object);
          given.box = {object.box.left, 85, object.box.right, 98};
          wrong[static_cast<std::size_t>(p)].back() = given.box;
        }
      }
      one.truth.objects.push_back(given);
    }
    if (random.uniform() < 0.3) one.prediction.objects.push_back(thing(0, {80, 86, 92, 97}, random.uniform(0.05, 0.4)));
    cases.push_back(std::move(one));
  }
  const std::vector<SuspectBox> ranking = rank_suspect_boxes(cases);
  ASSERT_GT(injected, 40);
  const auto found_within = [&](std::size_t first) {
    int hits = 0;
    for (int p = 0; p < pictures; ++p)
      for (const Box& box : wrong[static_cast<std::size_t>(p)])
        for (std::size_t i = 0; i < std::min(first, ranking.size()); ++i) {
          if (ranking[i].place != p) continue;
          const bool about = (ranking[i].given && annotation::overlap(ranking[i].given->box, box) > 0.2) ||
                             (ranking[i].seen && annotation::overlap(ranking[i].seen->box, box) > 0.2);
          if (!about) continue;
          ++hits;
          break;
        }
    return static_cast<double>(hits) / injected;
  };
  const double in_tenth = found_within(static_cast<std::size_t>(objects / 10));
  RecordProperty("share_in_the_first_tenth", std::to_string(in_tenth));
  EXPECT_GT(in_tenth, 0.65) << injected << " of " << objects;
  EXPECT_GT(found_within(ranking.size()), 0.9);
}

}  // namespace
}  // namespace sightline::tasks
