#include "tasks/detect_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/json.h"
#include "base/random.h"
#include "tasks/detect_matches.h"
#include "tasks/golden_for_test.h"

namespace sightline::tasks {
namespace {

using annotation::Object;

std::vector<std::string> names(std::size_t count) {
  std::vector<std::string> result;
  for (std::size_t k = 0; k < count; ++k) result.push_back("class " + std::to_string(k));
  return result;
}

std::vector<std::int64_t> all_of(std::size_t count) {
  std::vector<std::int64_t> places(count);
  std::iota(places.begin(), places.end(), 0);
  return places;
}

// ---- against tests/golden/detect_golden.py, to the last bit ----

std::vector<Object> objects_from(const Json& rows, bool truth) {
  std::vector<Object> objects;
  for (const Json& row : rows) {
    Object& object = objects.emplace_back();
    object.label = row[0].get<std::int32_t>();
    object.box = {row[1].get<double>(), row[2].get<double>(), row[3].get<double>(), row[4].get<double>()};
    if (truth) {
      const int flags = row[5].get<int>();
      object.crowd = (flags & 1) != 0;
      object.difficult = (flags & 2) != 0;
    } else {
      object.score = row[5].get<double>();
    }
  }
  return objects;
}

TEST(DetectMetrics, EqualTheGoldenNumbersToTheLastBit) {
  const auto json = read_json_file("tests/golden/detect.json");
  ASSERT_TRUE(json.ok()) << json.error().message;
  ASSERT_EQ((*json)["cases"].size(), 11U);
  for (const Json& each : (*json)["cases"]) {
    SCOPED_TRACE(each["name"].get<std::string>());
    const auto meter = detect_meter(names(each["classes"].get<std::size_t>()));
    for (const Json& picture : each["pictures"])
      meter->add({.truth = {objects_from(picture["truth"], true)}, .prediction = {objects_from(picture["found"], false)}});
    expect_figures(meter->figures(all_of(each["pictures"].size()), false), each["figures"], 0);
    // A picture that is chosen twice counts as two pictures, and the order of the choice decides between equal scores.
    expect_figures(meter->figures(each["chosen"].get<std::vector<std::int64_t>>(), false), each["figures_of_chosen"], 0);
  }
}

// ---- by hand: one rule each. What is right exactly has a precision of 1 less one digit of the last place (docs/detect.md) ----

Object box(double left, double top, double right, double bottom, double score = 1, std::int32_t label = 0) {
  return {.label = label, .box = {left, top, right, bottom}, .score = score};
}
Object crowd(double left, double top, double right, double bottom) {
  Object object = box(left, top, right, bottom);
  object.crowd = true;
  return object;
}
Object difficult(double left, double top, double right, double bottom) {
  Object object = box(left, top, right, bottom);
  object.difficult = true;
  return object;
}

struct Picture {
  std::vector<Object> truth, found;
};
Figures figures_of(const std::vector<Picture>& pictures, std::size_t classes = 1, bool curves = false) {
  const auto meter = detect_meter(names(classes));
  for (const Picture& picture : pictures) meter->add({.truth = {picture.truth}, .prediction = {picture.found}});
  return meter->figures(all_of(pictures.size()), curves);
}
double value_of(const Figures& figures, const std::string& name) {
  const auto found = figures.values.find(name);
  return found == figures.values.end() ? std::nan("") : found->second;
}

TEST(DetectMetrics, ThresholdsAreNumPysToTheLastBit) {
  // np.linspace(.5, .95, 10): the ninth is not the number nearest to 0.9 but the one below.
  const std::array<double, kOverlaps> expected{
      0x1.0p-1, 0x1.199999999999ap-1, 0x1.3333333333333p-1, 0x1.4cccccccccccdp-1, 0x1.6666666666666p-1,
      0x1.8p-1, 0x1.999999999999ap-1, 0x1.b333333333333p-1, 0x1.cccccccccccccp-1, 0x1.e666666666666p-1};
  EXPECT_EQ(kOverlapThresholds, expected);
}

TEST(DetectMetrics, OneObjectFoundIsAllThereIs) {
  const Figures figures = figures_of({{{box(0, 0, 50, 50)}, {box(0, 0, 50, 50, 0.7)}}});
  EXPECT_DOUBLE_EQ(value_of(figures, "mAP50"), 1);
  EXPECT_EQ(value_of(figures, "AR100"), 1);
  EXPECT_EQ(value_of(figures, "AR_medium"), 1);  // 2500 square pixels
  EXPECT_EQ(figures.values.count("AR_small"), 0U);
  EXPECT_EQ(figures.values.count("mAP50-95_large"), 0U);
  EXPECT_EQ(figures.per_class[0].values.at("score"), 0.7);
  EXPECT_EQ(figures.per_class[0].values.at("f1"), 1);
}

TEST(DetectMetrics, AnOverlapOnTheThresholdIsEnough) {
  // 3/4 of 100×100: right at 0.50 to 0.75, six of ten thresholds.
  const Figures figures = figures_of({{{box(0, 0, 100, 100)}, {box(0, 0, 100, 75, 0.5)}}});
  EXPECT_DOUBLE_EQ(value_of(figures, "mAP75"), 1);
  EXPECT_DOUBLE_EQ(value_of(figures, "AR100"), 0.6);
  EXPECT_DOUBLE_EQ(value_of(figures, "mAP50-95"), 0.6);
}

TEST(DetectMetrics, OneObjectIsMetOnce) {
  // The better of two boxes takes the object although the other fits better; the other is wrong. Right, wrong: precision 1 up to recall 1.
  const std::vector<Object> truth{box(0, 0, 100, 100)};
  EXPECT_DOUBLE_EQ(value_of(figures_of({{truth, {box(0, 0, 100, 80, 0.9), box(0, 0, 100, 100, 0.8)}}}), "mAP50"), 1);
  // At 0.85 the better one misses, the other is the second of two: precision 1/2.
  const Figures figures = figures_of({{truth, {box(0, 0, 100, 80, 0.9), box(0, 0, 100, 100, 0.8)}}});
  EXPECT_DOUBLE_EQ(value_of(figures, "mAP50-95"), (7 * 1 + 3 * 0.5) / 10);
}

TEST(DetectMetrics, ABoxTakesTheObjectThatItFitsBestAndTheLaterOfEquals) {
  // Both objects overlap the first box alike (50/70): it takes the second, which leaves the first one to a box that meets only that.
  const std::vector<Object> truth{box(0, 0, 100, 60), box(0, 20, 100, 80)};
  const std::vector<Object> found{box(0, 10, 100, 70, 0.9), box(0, 0, 100, 60, 0.8)};
  EXPECT_EQ(value_of(figures_of({{truth, found}}), "AR100"), (5 * 1.0 + 5 * 0.5) / 10);  // 0.714 reaches 0.50 to 0.70
}

TEST(DetectMetrics, WhatLiesInACrowdIsNeitherRightNorWrong) {
  // Three boxes lie in the crowd (all of each, though a small part of the crowd): not counted, however many.
  const std::vector<Object> truth{box(0, 0, 50, 50), crowd(100, 100, 300, 300)};
  std::vector<Object> found{box(100, 100, 120, 120, 0.9), box(150, 150, 170, 170, 0.9), box(280, 280, 300, 300, 0.9),
                            box(0, 0, 50, 50, 0.1)};
  EXPECT_DOUBLE_EQ(value_of(figures_of({{truth, found}}), "mAP50"), 1);
  EXPECT_EQ(figures_of({{truth, found}}).count, 1);
  // A box with a third of itself in the crowd is wrong.
  found[0] = box(80, 100, 110, 120, 0.9);
  EXPECT_DOUBLE_EQ(value_of(figures_of({{truth, found}}), "mAP50"), 0.5);
}

TEST(DetectMetrics, AnIgnoredObjectIsMetOnceAndOnlyWhereNothingElseIs) {
  // As with an object of another size: one box is not counted, a second one on it is wrong.
  const std::vector<Object> truth{difficult(0, 0, 50, 50), box(100, 100, 150, 150)};
  const Object right = box(100, 100, 150, 150, 0.1);
  EXPECT_DOUBLE_EQ(value_of(figures_of({{truth, {box(0, 0, 50, 50, 0.9), right}}}), "mAP50"), 1);
  EXPECT_DOUBLE_EQ(value_of(figures_of({{truth, {box(0, 0, 50, 50, 0.9), box(0, 0, 50, 50, 0.8), right}}}), "mAP50"), 0.5);
  // A box on both takes the one that is to be found, even where the ignored one fits better and stands first.
  const std::vector<Object> both{difficult(0, 0, 100, 100), box(0, 0, 100, 60)};
  EXPECT_DOUBLE_EQ(value_of(figures_of({{both, {box(0, 0, 100, 100, 0.9)}}}), "mAP50"), 1);
}

TEST(DetectMetrics, SizesBelongToBothRangesOnTheirBorder) {
  const Figures figures = figures_of({{{box(0, 0, 32, 32), box(100, 100, 196, 196)}, {box(0, 0, 32, 32, 0.9)}}});
  EXPECT_EQ(value_of(figures, "AR_small"), 1);     // 32×32
  EXPECT_EQ(value_of(figures, "AR_medium"), 0.5);  // 32×32 and 96×96
  EXPECT_EQ(value_of(figures, "AR_large"), 0);     // 96×96
}

TEST(DetectMetrics, BoxesOfAnotherSizeAreWrongOnlyWhereTheyMeetNothing) {
  // Small range: the large box meets nothing and is not small, so it does not count; the small wrong one does. Over all both are wrong.
  const std::vector<Object> truth{box(0, 0, 20, 20)};
  const std::vector<Object> found{box(100, 100, 300, 300, 0.9), box(50, 50, 60, 60, 0.8), box(0, 0, 20, 20, 0.7)};
  const Figures figures = figures_of({{truth, found}});
  EXPECT_DOUBLE_EQ(value_of(figures, "mAP50"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(value_of(figures, "mAP50-95_small"), 0.5);
  // A large box that meets the small object is right in the small range.
  EXPECT_DOUBLE_EQ(value_of(figures_of({{{box(0, 0, 32, 30)}, {box(0, 0, 32, 33, 0.5)}}}), "AR_small"), 0.9);  // 30/33 = 0.909
}

TEST(DetectMetrics, OnlyTheBestBoxesOfAPictureAndClassCount) {
  std::vector<Object> truth, found;
  for (int i = 0; i < 120; ++i) {
    truth.push_back(box(i * 10, 0, i * 10 + 8, 8));
    found.push_back(box(i * 10, 0, i * 10 + 8, 8, 0.5));  // all equal: the first ones given
  }
  const Figures figures = figures_of({{truth, found}});
  EXPECT_DOUBLE_EQ(value_of(figures, "AR1"), 1.0 / 120);
  EXPECT_DOUBLE_EQ(value_of(figures, "AR10"), 10.0 / 120);
  EXPECT_DOUBLE_EQ(value_of(figures, "AR100"), 100.0 / 120);
  // 84 of 101 recalls are reached, 0 to 0.83; the best precision there is that of 100 right ones.
  EXPECT_DOUBLE_EQ(value_of(figures, "mAP50"), 84.0 / 101);
  // The cut is per picture: the same objects on twelve pictures are all found.
  std::vector<Picture> pictures(12);
  for (std::size_t i = 0; i < 120; ++i) {
    pictures[i / 10].truth.push_back(truth[i]);
    pictures[i / 10].found.push_back(found[i]);
  }
  EXPECT_EQ(value_of(figures_of(pictures), "AR10"), 1);
}

TEST(DetectMetrics, EqualScoresStandInTheOrderOfTheirPictures) {
  const Picture right{{box(0, 0, 50, 50)}, {box(0, 0, 50, 50, 0.5)}}, wrong{{}, {box(0, 0, 50, 50, 0.5)}};
  EXPECT_DOUBLE_EQ(value_of(figures_of({right, wrong}), "mAP50"), 1);
  EXPECT_DOUBLE_EQ(value_of(figures_of({wrong, right}), "mAP50"), 0.5);
  // With one score for both there is one place to cut: precision 1/2 in either order.
  EXPECT_EQ(figures_of({right, wrong}).per_class[0].values.at("precision"), 0.5);
}

TEST(DetectMetrics, PrecisionIsTheBestOfWhatFollows) {
  // Right, wrong, right, right of 4 objects: precisions 1, 1/2, 2/3, 3/4 at recalls 1/4, 1/4, 1/2, 3/4. Recalls 0 to 0.25: 1 (26 of them),
  // 0.26 to 0.75: 3/4 (50), beyond: 0.
  std::vector<Object> truth;
  for (int i = 0; i < 4; ++i) truth.push_back(box(100 * i, 0, 100 * i + 50, 50));
  const std::vector<Object> found{box(0, 0, 50, 50, 0.9), box(0, 300, 50, 350, 0.8), box(100, 0, 150, 50, 0.7), box(200, 0, 250, 50, 0.6)};
  const Figures figures = figures_of({{truth, found}}, 1, true);
  EXPECT_DOUBLE_EQ(value_of(figures, "mAP50"), (26 * 1 + 50 * 0.75) / 101);
  ASSERT_EQ(figures.curves.size(), 1U);
  ASSERT_EQ(figures.curves[0].lines.size(), 1U);
  const Line& line = figures.curves[0].lines[0];
  EXPECT_EQ(line.x.size(), 101U);
  EXPECT_DOUBLE_EQ(line.y[25], 1);
  EXPECT_DOUBLE_EQ(line.y[26], 0.75);
  EXPECT_DOUBLE_EQ(line.y[75], 0.75);
  EXPECT_EQ(line.y[76], 0);
  // F1 is largest at 0.6: 2·3 / (4 + 4).
  const auto& values = figures.per_class[0].values;
  EXPECT_EQ(values.at("score"), 0.6);
  EXPECT_EQ(values.at("f1"), 0.75);
  EXPECT_EQ(values.at("precision"), 0.75);
  EXPECT_EQ(values.at("recall"), 0.75);
}

TEST(DetectMetrics, ClassesWithoutObjectsDoNotCount) {
  // What is found of a class that is nowhere is not wrong in any figure; a class that is there and not found counts 0.
  const Figures figures = figures_of({{{box(0, 0, 50, 50)}, {box(0, 0, 50, 50, 0.9), box(0, 0, 50, 50, 0.9, 1)}}}, 2, true);
  EXPECT_DOUBLE_EQ(value_of(figures, "mAP50"), 1);
  EXPECT_TRUE(figures.per_class[1].values.empty());
  EXPECT_EQ(figures.curves[0].lines.size(), 1U);
  const Figures missed = figures_of({{{box(0, 0, 50, 50), box(0, 0, 50, 50, 1, 1)}, {box(0, 0, 50, 50, 0.9)}}}, 2);
  EXPECT_DOUBLE_EQ(value_of(missed, "mAP50"), 0.5);
  EXPECT_EQ(missed.per_class[1].values.at("recall"), 0);
  EXPECT_EQ(missed.per_class[1].values.count("precision"), 0U);
}

TEST(DetectMetrics, WithoutObjectsNothingIsMeasured) {
  const Figures figures = figures_of({{{}, {box(0, 0, 50, 50, 0.9)}}, {{crowd(0, 0, 9, 9)}, {}}, {{}, {}}}, 2, true);
  EXPECT_EQ(figures.pictures, 3);
  EXPECT_EQ(figures.count, 0);
  EXPECT_TRUE(figures.values.empty());
  EXPECT_TRUE(detect_meter(names(2))->figures({}, true).values.empty());
  EXPECT_TRUE(detect_meter({})->figures({}, true).values.empty());
}

TEST(DetectMetrics, WhatWasAddedLaterCountsToo) {
  const auto meter = detect_meter(names(1));
  meter->add({.truth = {{box(0, 0, 50, 50)}}, .prediction = {{box(0, 0, 50, 50, 0.9)}}});
  EXPECT_DOUBLE_EQ(value_of(meter->figures(all_of(1), false), "mAP50"), 1);
  meter->add({.truth = {{box(0, 0, 50, 50)}}, .prediction = {}});
  EXPECT_DOUBLE_EQ(value_of(meter->figures(all_of(2), false), "AR100"), 0.5);
}

TEST(DetectMetrics, WrongnessIsTakenAtTheBestScore) {
  const auto meter = detect_meter(names(2));
  const Object object = box(0, 0, 50, 50);
  meter->add({.truth = {{object}}, .prediction = {{box(0, 0, 50, 50, 0.4)}}});                             // right
  meter->add({.truth = {{object}}, .prediction = {{box(0, 0, 50, 50, 0.5), box(200, 0, 250, 50, 0.4)}}});  // one right, one wrong
  meter->add({.truth = {{object}}, .prediction = {{box(200, 0, 250, 50, 0.3)}}});  // missed; 0.3 is below the best, 0.4
  meter->add({.truth = {}, .prediction = {{box(200, 0, 250, 50, 0.3)}}});          // nothing there, nothing said
  meter->add(
      {.truth = {{object}}, .prediction = {{box(0, 0, 50, 50, 0.4), box(0, 0, 50, 50, 0.6, 1)}}});  // another class, never there: 0.5
  EXPECT_EQ(meter->wrongness(0), 0);
  EXPECT_DOUBLE_EQ(meter->wrongness(1), 1 - 2.0 / 3);
  EXPECT_EQ(meter->wrongness(2), 1);
  EXPECT_EQ(meter->wrongness(3), 0);
  EXPECT_DOUBLE_EQ(meter->wrongness(4), 1 - 2.0 / 3);
}

TEST(DetectMetrics, MeansAreRoundedAsNumPyRoundsThem) {
  // np.mean(1 / np.arange(1, n + 1)) of NumPy 1.24; adding one after another gives other digits from 1010 on.
  const auto mean = [](std::size_t n) {
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = 1 / static_cast<double>(i + 1);
    return numpy_mean(values);
  };
  EXPECT_EQ(mean(0), 0);
  EXPECT_EQ(mean(7), 0x1.7b4c470d956b9p-2);
  EXPECT_EQ(mean(100), 0x1.a8f330fce2bdbp-5);
  EXPECT_EQ(mean(1010), 0x1.e65b2556996ddp-8);
  EXPECT_EQ(mean(20200), 0x1.1048b40b88e23p-11);
}

}  // namespace
}  // namespace sightline::tasks
