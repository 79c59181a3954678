#include "line/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace sightline::line {
namespace {
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Step step_of(Json parameters, Json environment = Json::object()) {
  Step step;
  step.name = "train";
  step.parameters = std::move(parameters);
  step.environment = std::move(environment);
  return step;
}
StepRecord record_of(Json parameters, Json environment = Json::object()) {
  StepRecord record;
  record.parameters = std::move(parameters);
  record.environment = std::move(environment);
  return record;
}

TEST(Explain, NamesTheKeyInsideNestedParameters) {
  EXPECT_THAT(differences(step_of({{"optimizer", {{"kind", "sgd"}, {"rate", 0.2}}}}), {},
                          record_of({{"optimizer", {{"kind", "sgd"}, {"rate", 0.1}}}})),
              ElementsAre("parameter \"optimizer.rate\" changed from 0.1 to 0.2"));
}

TEST(Explain, NewAndGoneParameters) {
  EXPECT_THAT(differences(step_of({{"mixup", 0.2}}), {}, record_of({{"crop", true}})),
              ElementsAre("parameter \"crop\" is gone (it was true)", "parameter \"mixup\" is new (0.2)"));
}

TEST(Explain, NothingChanged) { EXPECT_THAT(differences(step_of({{"a", 1}}), {}, record_of({{"a", 1}})), IsEmpty()); }

TEST(Explain, Inputs) {
  Step step = step_of(Json::object());
  step.describe_change = [](const std::string& input, const Digest& before, const Digest& after) {
    return input + " went from " + before + " to " + after;
  };
  StepRecord before = record_of(Json::object());
  before.inputs = {{"a", "1"}, {"b", "1"}, {"gone", "1"}};
  EXPECT_THAT(differences(step, {{"a", "1"}, {"b", "2"}, {"new", "1"}}, before),
              ElementsAre("input \"b\" changed: b went from 1 to 2", "input \"new\" is new", "input \"gone\" is gone"));
  step.describe_change = [](const std::string&, const Digest&, const Digest&) -> std::string { throw std::runtime_error("lost"); };
  EXPECT_THAT(differences(step, {{"a", "1"}, {"b", "2"}, {"gone", "1"}}, before), ElementsAre("input \"b\" changed"));
}

TEST(Explain, ManyReasonsAreCutShort) {
  const std::string sentence = why_it_runs(step_of({{"a", 2}, {"b", 2}, {"c", 2}, {"d", 2}, {"e", 2}}), {}, [] {
    static const StepRecord before = record_of({{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}});
    return &before;
  }());
  EXPECT_EQ(
      sentence,
      "runs because parameter \"a\" changed from 1 to 2; parameter \"b\" changed from 1 to 2; parameter \"c\" changed from 1 to 2; and 2 "
      "things more changed");
}

TEST(Explain, LongValuesAreCutBetweenLetters) {
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "ä";
  const std::vector<std::string> found = differences(step_of({{"names", umlauts}}), {}, record_of({{"names", "a"}}));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].ends_with("ä…")) << found[0];
  EXPECT_LT(found[0].size(), 150U);
}

TEST(Explain, NeverRan) { EXPECT_EQ(why_it_runs(step_of({{"a", 2}}), {}, nullptr), "runs because it never ran here"); }

}  // namespace
}  // namespace sightline::line
