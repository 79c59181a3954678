#include "tasks/attributes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tasks/attributes_metrics.h"
#include "tasks/golden_for_test.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using annotation::Attribute;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> labels{"damaged", "colour: blue", "colour: red"};

std::vector<Attribute> attributes_of(const std::string& said, const std::vector<double>& scores = {}) {
  std::vector<Attribute> attributes;
  for (std::size_t i = 0; i < said.size(); ++i)
    attributes.push_back({said[i] == '1'   ? Attribute::yes
                          : said[i] == '0' ? Attribute::no
                                           : Attribute::unknown,
                          scores.empty() ? (said[i] == '1' ? 1.0 : 0.0) : scores[i]});
  return attributes;
}

Case case_of(const std::string& truth, const std::string& said, const std::vector<double>& scores) {
  Case one;
  one.truth.attributes = attributes_of(truth);
  one.prediction.attributes = attributes_of(said, scores);
  return one;
}

Figures all_of(const Meter& meter, std::int64_t count) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  return meter.figures(all, true);
}

// ---- against tests/golden/attributes_golden.py ----

TEST(AttributesMetrics, AreThoseOfTheReference) {
  const auto json = read_json_file("tests/golden/attributes.json");
  ASSERT_TRUE(json.ok()) << json.error().message;
  const auto names = json->at("labels").get<std::vector<std::string>>();
  for (const Json& each : json->at("cases")) {
    const auto meter = attributes_meter(names);
    for (const Json& picture : each.at("pictures"))
      meter->add(case_of(picture.at("truth"), picture.at("said"), picture.at("scores").get<std::vector<double>>()));
    expect_values(all_of(*meter, std::ssize(each.at("pictures"))).values, each.at("figures"), 1e-12);
    expect_values(meter->figures(each.at("chosen").get<std::vector<std::int64_t>>(), false).values, each.at("of_chosen"), 1e-12);
  }
}

// ---- by hand ----

TEST(AttributesMetrics, WhatNobodySaidCountsNowhere) {
  const auto meter = attributes_meter(labels);
  meter->add(case_of("1??", "110", {0.9, 0.8, 0.2}));
  meter->add(case_of("0??", "110", {0.8, 0.8, 0.2}));
  meter->add(case_of("?01", "001", {0.1, 0.3, 0.7}));
  const Figures figures = all_of(*meter, 3);
  // damaged: ranked yes, no: precision 1 at recall 1, and of the two that are said one is right. red: one picture, right. blue: nobody has
  // it.
  EXPECT_DOUBLE_EQ(figures.values.at("mAP"), 1);
  EXPECT_DOUBLE_EQ(figures.values.at("macro_f1"), (2.0 / 3 + 1) / 2);
  EXPECT_DOUBLE_EQ(figures.values.at("accuracy"), (0.5 + 1) / 2);
  EXPECT_EQ(figures.per_class[1].count, 0);
  EXPECT_TRUE(figures.per_class[1].values.empty());
  EXPECT_EQ(figures.curves.size(), 2U);
  EXPECT_EQ(meter->wrongness(0), 0);
  EXPECT_EQ(meter->wrongness(1), 1);
  EXPECT_EQ(meter->wrongness(2), 0);
}

TEST(AttributesMetrics, NothingKnownGivesNoFigures) {
  const auto meter = attributes_meter(labels);
  meter->add(case_of("???", "100", {0.9, 0.3, 0.7}));
  EXPECT_TRUE(all_of(*meter, 1).values.empty());
  EXPECT_EQ(meter->wrongness(0), 0);
}

// ---- outputs ----

Outputs outputs_of(const std::vector<float>& probabilities, const std::vector<float>& margins) {
  const auto n = static_cast<std::int64_t>(probabilities.size()) / 3;
  return {{"probabilities", Tensor::of<float>({n, 3}, probabilities)}, {"margins", Tensor::of<float>({n, 3}, margins)}};
}

TEST(Attributes, AreSaidWhereTheMarginIsNotBelowZero) {
  const std::vector<image::Placement> placements(2);
  const auto answers = decode_attributes(outputs_of({0.4F, 0.7F, 0.3F, 0.1F, 0.2F, 0.8F}, {0.1F, 0, -0.4F, -0.2F, -0.6F, 0}), placements);
  ASSERT_TRUE(answers.ok()) << answers.error().message;
  EXPECT_EQ((*answers)[0].attributes[0].said, Attribute::yes);
  EXPECT_EQ((*answers)[1].attributes[0].said, Attribute::no);
  const Told told = tell_attributes((*answers)[0], labels);
  EXPECT_EQ(told.json.at("said"), Json::parse(R"(["damaged", "colour: blue"])"));
  EXPECT_THAT(told.rows[0], ElementsAre("damaged", "yes", "0.400"));
  EXPECT_THAT(told.rows[1], ElementsAre("colour", "blue", "0.700"));
  EXPECT_THAT(tell_attributes((*answers)[1], labels).rows[0], ElementsAre("damaged", "no", "0.900"));
}

TEST(Attributes, OutputsOfOtherShapesAreRefused) {
  const std::vector<image::Placement> placements(1);
  EXPECT_THAT(decode_attributes({}, placements).error().message, HasSubstr("no output \"probabilities\""));
  EXPECT_THAT(decode_attributes(outputs_of({0.4F, 0.7F, 1.5F}, {0, 0, 0}), placements).error().message, HasSubstr("a probability of 1.5"));
  EXPECT_THAT(decode_attributes(outputs_of({0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}), placements).error().message,
              HasSubstr("1 picture in the batch"));
  const std::map<std::string, std::pair<Dtype, Shape>> two{{"probabilities", {Dtype::f32, {-1, 2}}}, {"margins", {Dtype::f32, {-1, 2}}}};
  EXPECT_THAT(check_attributes_outputs(two, 3).error().message, HasSubstr("there are 3 labels"));
  EXPECT_TRUE(check_attributes_outputs(two, 2).ok());
}

TEST(Attributes, AreDrawnAsFarAsThereIsRoom) {
  image::Image picture{.width = 80, .height = 40, .channels = 3, .pixels = std::vector<std::uint8_t>(std::size_t{80} * 40 * 3, 200)};
  const std::vector<std::uint8_t> before = picture.pixels;
  Annotation annotation;
  annotation.attributes = attributes_of("1111111", {1, 1, 1, 1, 1, 1, 1});
  draw_attributes(picture, annotation, {"a", "b", "c", "d", "e", "f", "g"});
  EXPECT_NE(picture.pixels, before);
  annotation.attributes = attributes_of("???");
  draw_attributes_truth(picture, annotation, labels);
}

}  // namespace
}  // namespace sightline::tasks
