#include "search/front.h"

#include <gmock/gmock.h>

#include "base/random.h"

namespace sightline::search {
namespace {

using testing::ElementsAre;

TEST(ParetoFront, KeepsWhatNobodyBeatsByRisingLatency) {
  const std::vector<Place> places{{0.9, 5, 10}, {0.8, 1, 2}, {0.85, 6, 9}, {0.79, 2, 3}, {0.95, 9, 12}, {0.7, 1, 1}};
  // 2 is less accurate and slower than 0 but smaller; 3 is beaten by 1.
  EXPECT_THAT(pareto_front(places), ElementsAre(5U, 1U, 0U, 2U, 4U));
}

TEST(ParetoFront, OfEqualOnesTheFirst) {
  const std::vector<Place> places{{0.9, 5, 10}, {0.9, 5, 10}, {0.9, 5, 11}};
  EXPECT_THAT(pareto_front(places), ElementsAre(0U));
  EXPECT_TRUE(pareto_front({}).empty());
}

TEST(ParetoFront, EveryOneLeftOutIsBeatenByOneThatIsKept) {
  Random random(3);
  std::vector<Place> places;
  for (int i = 0; i < 200; ++i) places.push_back({random.uniform(), random.uniform(), random.uniform()});
  const std::vector<std::size_t> front = pareto_front(places);
  ASSERT_FALSE(front.empty());
  for (std::size_t i = 0; i < places.size(); ++i) {
    int beaten_by = 0;
    for (const std::size_t f : front)
      beaten_by += f != i && places[f].value >= places[i].value && places[f].latency_ms <= places[i].latency_ms &&
                           places[f].size_mb <= places[i].size_mb
                       ? 1
                       : 0;
    const bool kept = std::find(front.begin(), front.end(), i) != front.end();
    EXPECT_EQ(beaten_by == 0, kept) << i;
  }
}

}  // namespace
}  // namespace sightline::search
