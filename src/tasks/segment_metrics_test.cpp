#include "tasks/segment_metrics.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tasks/golden_for_test.h"

namespace sightline::tasks {
namespace {

constexpr double tolerance = 1e-12;  // of the sums' last bits: the script's fractions are exact

using Rows = std::vector<std::vector<int>>;

template <class T>
Tensor tensor_of(const Rows& rows) {
  std::vector<T> values;
  for (const auto& row : rows)
    for (const int value : row) values.push_back(static_cast<T>(value));
  return Tensor::of<T>({std::ssize(rows), std::ssize(rows.front())}, values);
}

annotation::Annotation annotation_of(const Rows& mask, const Rows& instances = {}) {
  annotation::Annotation annotation;
  annotation.mask = tensor_of<std::uint8_t>(mask);
  if (instances.empty()) return annotation;
  annotation.instances = tensor_of<std::int32_t>(instances);
  const auto numbers = std::as_const(annotation.instances).values<std::int32_t>();
  annotation.objects.resize(static_cast<std::size_t>(*std::max_element(numbers.begin(), numbers.end())));
  return annotation;
}

Rows rows_of(const Json& json) { return json.is_null() ? Rows() : json.get<Rows>(); }

std::vector<std::string> names(int count) {
  std::vector<std::string> all;
  for (int k = 0; k < count; ++k) all.push_back(std::to_string(k));
  return all;
}

TEST(SegmentMetrics, AreThoseOfTheGoldenScript) {
  const auto golden = read_json_file("tests/golden/segment.json");
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  for (const Json& one : golden->at("cases")) {
    const auto meter = segment_meter(names(one.at("classes")));
    for (const Json& picture : one.at("pictures"))
      meter->add({annotation_of(rows_of(picture.at("truth")), rows_of(picture.at("given"))),
                  annotation_of(rows_of(picture.at("found")), rows_of(picture.at("found_objects")))});
    std::vector<std::int64_t> all(one.at("pictures").size());
    std::iota(all.begin(), all.end(), 0);
    expect_figures(meter->figures(all, false), one.at("figures"), tolerance);
    expect_figures(meter->figures(one.at("chosen").get<std::vector<std::int64_t>>(), false), one.at("chosen_figures"), tolerance);
  }
}

double value_of(const Figures& figures, const char* name) {
  const auto found = figures.values.find(name);
  return found == figures.values.end() ? -1 : found->second;
}

// Class 1 has 4 pixels, 3 of them found and 1 more where there is background; class 2 has 2, of which one is not judged, and none is found.
TEST(SegmentMetrics, CountPixels) {
  const auto meter = segment_meter({"a", "b"});
  meter->add({annotation_of({{1, 1, 0}, {1, 1, 2}, {0, 0, 255}}), annotation_of({{1, 1, 1}, {1, 0, 0}, {0, 0, 1}})});
  const std::vector<std::int64_t> all{0};
  const Figures figures = meter->figures(all, false);
  EXPECT_EQ(figures.count, 5);
  EXPECT_DOUBLE_EQ(value_of(figures, "mIoU"), (3.0 / 5 + 0) / 2);      // both 3, either 4 + 4 - 3
  EXPECT_DOUBLE_EQ(value_of(figures, "dice"), (2 * 3.0 / 8 + 0) / 2);  // twice both over 4 + 4
  EXPECT_DOUBLE_EQ(value_of(figures, "pixel_accuracy"), 5.0 / 8);      // 3 of class 1 and 2 of background
  EXPECT_DOUBLE_EQ(value_of(figures, "mIoU_background"), (3.0 / 5 + 0 + 2.0 / 5) / 3);
  EXPECT_DOUBLE_EQ(meter->wrongness(0), 1 - (3.0 / 5) / 2);
}

// A line of ten pixels on a picture of ten by six, found two rows lower: each pixel lies within two pixels; three rows lower: none does.
TEST(SegmentMetrics, ABorderMayBeTwoPixelsAway) {
  for (const auto& [lower, expected] : {std::pair{2, 1.0}, {3, 0.0}}) {
    Rows truth(6, std::vector<int>(10, 0)), found = truth;
    truth[1] = found[static_cast<std::size_t>(1 + lower)] = std::vector<int>(10, 1);
    const auto meter = segment_meter({"a"});
    meter->add({annotation_of(truth), annotation_of(found)});
    const std::vector<std::int64_t> all{0};
    EXPECT_EQ(value_of(meter->figures(all, false), "boundary_f1"), expected) << lower;
  }
}

// Two objects of four pixels. Of the first three are found and one more (overlap 3/5: right up to 0.55); the second is missed, and
// something is found where nothing is. Right / (right + wrong + missed): 1/3 at 0.50 and 0.55, else 0.
TEST(SegmentMetrics, CountObjects) {
  const Rows given{{1, 1, 0, 0, 2, 2}, {1, 1, 0, 0, 2, 2}, {0, 0, 0, 0, 0, 0}},
      found{{1, 1, 1, 0, 0, 0}, {1, 0, 0, 0, 0, 0}, {0, 0, 0, 2, 0, 0}};
  const auto mask = [](Rows rows) {
    for (auto& row : rows)
      for (int& value : row) value = value > 0 ? 1 : 0;
    return rows;
  };
  const auto meter = segment_meter({"cell"});
  meter->add({annotation_of(mask(given), given), annotation_of(mask(found), found)});
  const Rows nothing(3, std::vector<int>(6, 0));
  meter->add({annotation_of(nothing, nothing), annotation_of(nothing, nothing)});  // nothing to find, nothing found: not counted
  const std::vector<std::int64_t> all{0, 1};
  const Figures figures = meter->figures(all, true);
  EXPECT_EQ(figures.count, 2);
  EXPECT_DOUBLE_EQ(value_of(figures, "mask_ap50"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(value_of(figures, "mask_ap"), 2.0 / 3 / 10);
  EXPECT_DOUBLE_EQ(value_of(figures, "count_error"), 0);
  ASSERT_EQ(figures.curves.size(), 1U);
  EXPECT_EQ(figures.curves[0].lines[0].x.size(), 10U);
  EXPECT_DOUBLE_EQ(meter->wrongness(0), 1 - 1.0 / 3);
  EXPECT_EQ(meter->wrongness(1), 0);
}

TEST(SegmentMetrics, WhatIsOfAnotherSizeFoundNothing) {
  const auto meter = segment_meter({"a"});
  meter->add({annotation_of({{1, 1}, {0, 0}}), annotation_of({{1, 1, 1}})});
  const std::vector<std::int64_t> all{0};
  EXPECT_EQ(value_of(meter->figures(all, false), "mIoU"), 0);
  EXPECT_TRUE(segment_meter({"a"})->figures({}, true).values.empty());
}

}  // namespace
}  // namespace sightline::tasks
