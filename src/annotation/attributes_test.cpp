#include "annotation/attributes.h"

#include <gtest/gtest.h>

namespace sightline::annotation {
namespace {

TEST(Attributes, LabelsOfOneQuestionStandTogether) {
  const std::vector<Question> questions = questions_of({"damaged", "colour: red", "colour: blue", "size: large", "size: small", "wet"});
  ASSERT_EQ(questions.size(), 4U);
  EXPECT_EQ(questions[0].name, "damaged");
  EXPECT_FALSE(questions[0].exclusive);
  EXPECT_EQ(questions[1].name, "colour");
  EXPECT_TRUE(questions[1].exclusive);
  EXPECT_EQ(questions[1].first, 1U);
  EXPECT_EQ(questions[1].count, 2U);
  EXPECT_EQ(questions[2].first, 3U);
  EXPECT_EQ(questions[3].name, "wet");
  EXPECT_EQ(questions[3].first, 5U);
}

TEST(Attributes, ValuesMayHoldTheMark) {
  const std::vector<Question> questions = questions_of({label_of_value("code", "a: b"), label_of_value("code", "c")});
  ASSERT_EQ(questions.size(), 1U);
  EXPECT_EQ(questions[0].name, "code");
}

}  // namespace
}  // namespace sightline::annotation
