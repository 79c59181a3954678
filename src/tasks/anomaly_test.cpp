#include "tasks/anomaly.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/json.h"
#include "tasks/anomaly_metrics.h"
#include "tasks/golden_for_test.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using testing::HasSubstr;

struct Tolerance {
  double figure = 1e-12;  // whole numbers counted, f64 sums in another order
} constexpr kTolerance;

// ---- against tests/golden/anomaly_golden.py ----

Case case_from(const Json& picture, std::int64_t rows, std::int64_t columns) {
  Case one{.width = static_cast<int>(columns), .height = static_cast<int>(rows)};
  one.truth.label = picture["label"].get<std::int32_t>();
  one.truth.score = picture["bad"].get<bool>() ? 1 : 0;
  one.prediction.score = picture["score"].get<double>();
  if (!picture["mask"].is_null()) {
    one.truth.mask = Tensor(Dtype::u8, {rows, columns});
    auto* out = one.truth.mask.values<std::uint8_t>().data();
    for (const Json& row : picture["mask"])
      for (const Json& value : row) *out++ = value.get<std::uint8_t>();
  }
  if (!picture["map"].is_null()) {
    one.prediction.score_map = Tensor(Dtype::f32, {rows, columns});
    auto* out = one.prediction.score_map.values<float>().data();
    for (const Json& row : picture["map"])
      for (const Json& value : row) *out++ = static_cast<float>(value.get<double>() / 65535);
  }
  return one;
}

TEST(AnomalyMetrics, EqualTheGoldenNumbers) {
  const auto json = read_json_file("tests/golden/anomaly.json");
  ASSERT_TRUE(json.ok()) << json.error().message;
  ASSERT_EQ((*json)["cases"].size(), 7U);
  for (const Json& each : (*json)["cases"]) {
    SCOPED_TRACE(each["name"].get<std::string>());
    const auto meter = anomaly_meter(std::vector<std::string>(each["kinds"].get<std::size_t>(), "kind"));
    for (const Json& picture : each["pictures"])
      meter->add(case_from(picture, each["rows"].get<std::int64_t>(), each["columns"].get<std::int64_t>()));
    std::vector<std::int64_t> all(each["pictures"].size());
    std::iota(all.begin(), all.end(), 0);
    expect_figures(meter->figures(all, false), each["figures"], kTolerance.figure);
    expect_figures(meter->figures(each["chosen"].get<std::vector<std::int64_t>>(), false), each["figures_of_chosen"], kTolerance.figure);
  }
}

// ---- by hand ----

TEST(AnomalyMetrics, RegionsHangTogetherOverCorners) {
  const std::vector<std::uint8_t> mask{1, 0, 0, 1,  //
                                       0, 1, 0, 0,  //
                                       0, 0, 0, 9};
  const auto [regions, count] = regions_of(mask, 3, 4);
  EXPECT_EQ(count, 3);
  EXPECT_EQ(regions, (std::vector<std::int32_t>{1, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 3}));
  EXPECT_EQ(regions_of({}, 0, 4).second, 0);
}

TEST(AnomalyMetrics, ASmallDefectCountsAsMuchAsALargeOne) {
  // One defect of 1 pixel, missed, and one of 3, found before any good pixel: pixels 3 of 4, regions 1 of 2. The missed pixel has the level
  // of all good ones, so that it is found only where every good pixel is lost: at 0.3 the line has risen by 0.3 of the way from 1/2 to 1.
  Case one{.width = 5, .height = 2};
  one.truth.score = 1;
  one.truth.mask = Tensor::of<std::uint8_t>({2, 5}, {1, 1, 1, 0, 0, 0, 0, 0, 0, 1});
  one.prediction.score_map = Tensor::of<float>({2, 5}, {1, 1, 1, 0, 0, 0, 0, 0, 0, 0});
  const auto meter = anomaly_meter({"good", "scratch"});
  meter->add(one);
  const std::vector<std::int64_t> chosen{0};
  const Figures figures = meter->figures(chosen, true);
  EXPECT_NEAR(figures.values.at("aupro"), 0.5 + 0.5 * 0.3 / 2, 1e-12);
  EXPECT_NEAR(figures.values.at("pixel_auroc"), (3 * 1 + 1 * 0.5) / 4, 1e-12);
  EXPECT_EQ(figures.values.count("image_auroc"), 0U);  // no good picture
  ASSERT_EQ(figures.curves.size(), 1U);
  EXPECT_NEAR(figures.curves[0].lines[0].x.back(), 0.3, 1e-12);
}

TEST(AnomalyMetrics, MapsAreBroughtToTheMasksSize) {
  Case one{.width = 4, .height = 4};
  one.truth.score = 1;
  one.truth.mask = Tensor::of<std::uint8_t>({4, 4}, {1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  one.prediction.score_map = Tensor::of<float>({2, 2}, {1, 0, 0, 0});
  const auto meter = anomaly_meter({"good", "hole"});
  meter->add(one);
  const std::vector<std::int64_t> chosen{0};
  EXPECT_EQ(meter->figures(chosen, false).values.at("pixel_auroc"), 1);  // 1, 0.75, 0.75, 0.56 inside; 0.25 and less outside
}

TEST(AnomalyMetrics, WhatIsNotMaskedSaysNothingOfPixels) {
  Case bad{.width = 2, .height = 2};
  bad.truth.score = 1;
  bad.prediction.score = 0.75;
  bad.prediction.score_map = Tensor::filled({2, 2}, 0.75F);
  Case good = bad;
  good.truth.score = 0;
  good.prediction.score = 0.25;
  const auto meter = anomaly_meter({});
  meter->add(bad);
  meter->add(good);
  const std::vector<std::int64_t> chosen{0, 1, 1};
  const Figures figures = meter->figures(chosen, true);
  EXPECT_EQ(figures.pictures, 3);
  EXPECT_EQ(figures.values.at("image_auroc"), 1);
  EXPECT_EQ(figures.values.count("pixel_auroc"), 0U);
  EXPECT_EQ(figures.values.count("aupro"), 0U);
  EXPECT_EQ(figures.curves.size(), 1U);
  EXPECT_EQ(meter->wrongness(0), 0.25);
  EXPECT_EQ(meter->wrongness(1), 0.25);
  EXPECT_TRUE(meter->figures({}, true).values.empty());
}

// ---- outputs ----

std::map<std::string, std::pair<Dtype, Shape>> signatures() {
  return {{"anomaly_score", {Dtype::f32, {-1}}}, {"anomaly_map", {Dtype::f32, {-1, 224, 224}}}};
}

TEST(Anomaly, OutputsThatDoNotFitAreNamed) {
  EXPECT_TRUE(check_anomaly_outputs(signatures(), 3).ok());
  auto outputs = signatures();
  outputs.erase("anomaly_map");
  EXPECT_THAT(check_anomaly_outputs(outputs, 3).error().message, HasSubstr("no output \"anomaly_map\""));
  outputs = signatures();
  outputs["anomaly_score"].second = {-1, 1};
  EXPECT_THAT(check_anomaly_outputs(outputs, 3).error().message, HasSubstr("output \"anomaly_score\" is f32 N×1"));
  EXPECT_EQ(check_anomaly_outputs(outputs, 3).error().kind, ErrorKind::unsupported);
}

TEST(Anomaly, TheMapIsThatPartWhichShowsThePicture) {
  Outputs outputs;
  outputs["anomaly_score"] = Tensor::of<float>({2}, {0.75F, 0.25F});
  outputs["anomaly_map"] = Tensor(Dtype::f32, {2, 4, 4});
  auto map = outputs["anomaly_map"].values<float>();
  for (std::size_t i = 0; i < map.size(); ++i) map[i] = static_cast<float>(i % 16) / 16;
  const std::vector<image::Placement> placements{image::placement_of(80, 40, 4, 4, image::Fit::fit),    // rows 1 and 2
                                                 image::placement_of(80, 40, 4, 4, image::Fit::crop)};  // the middle half
  const auto decoded = decode_anomaly(outputs, placements);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ((*decoded)[0].score, 0.75);
  EXPECT_TRUE((*decoded)[0].score_map.same_as(
      Tensor::of<float>({2, 4}, {4. / 16, 5. / 16, 6. / 16, 7. / 16, 8. / 16, 9. / 16, 10. / 16, 11. / 16})));
  const Tensor& cropped = (*decoded)[1].score_map;
  EXPECT_EQ(cropped.shape(), (Shape{4, 8}));
  EXPECT_EQ(cropped.values<float>()[0], 0);  // not seen
  EXPECT_EQ(cropped.values<float>()[3], 1.0F / 16);
  EXPECT_EQ(cropped.values<float>()[7], 0);

  EXPECT_THAT(decode_anomaly(outputs, std::span(placements).first(1)).error().message, HasSubstr("1 picture in the batch"));
  outputs["anomaly_score"].values<float>()[1] = NAN;
  EXPECT_EQ(decode_anomaly(outputs, placements).error().kind, ErrorKind::invalid_data);
}

TEST(Anomaly, DrawnWhereItIsAndUntouchedWhereItIsNot) {
  image::Image picture{200, 200, 3, std::vector<std::uint8_t>(120000, 100)};
  Annotation found{.score = 0.9};
  found.score_map = Tensor::zeros(Dtype::f32, {4, 4});
  found.score_map.values<float>()[15] = 1;
  draw_anomaly(picture, found, {"good", "scratch"});
  const auto at = [&](int x, int y) { return picture.pixels[static_cast<std::size_t>(y * 200 + x) * 3]; };
  EXPECT_EQ(at(100, 100), 100);
  EXPECT_GT(at(190, 190), 200);  // yellow
  Annotation truth{.label = 1, .score = 1};
  truth.mask = Tensor::zeros(Dtype::u8, {200, 200});
  for (int y = 60; y < 90; ++y)
    for (int x = 60; x < 90; ++x) truth.mask.values<std::uint8_t>()[static_cast<std::size_t>(y * 200 + x)] = 255;
  draw_anomaly_truth(picture, truth, {"good", "scratch"});
  EXPECT_EQ(at(60, 75), image::class_colour(1).red);
  EXPECT_EQ(at(59, 75), 100);
  EXPECT_EQ(at(75, 75), 100);
  EXPECT_EQ(at(1, 199), 24);  // the bar with the kind
}

TEST(Anomaly, WhatIsAboveTheAlarmIsToldWithItsPlace) {
  annotation::Annotation said{.score = 0.8};
  said.score_map = Tensor::of<float>({3, 4}, {0, 0.6F, 0, 0,  //
                                              0, 0, 0.7F, 0,  // hangs together over the corner
                                              0.9F, 0, 0, 0.5F});
  said.objects = alarmed_regions(said, 40, 60);
  ASSERT_EQ(said.objects.size(), 2U);
  EXPECT_EQ(said.objects[0].box, (annotation::Box{0, 40, 10, 60}));
  EXPECT_NEAR(said.objects[0].score, 0.9, 1e-6);
  EXPECT_EQ(said.objects[1].box, (annotation::Box{10, 0, 30, 40}));
  EXPECT_NEAR(said.objects[1].score, 0.7, 1e-6);
  EXPECT_EQ(alarmed_regions(said, 40, 60, 1).size(), 1U);
  EXPECT_TRUE(alarmed_regions({}, 40, 60).empty());
  const Told told = tell_anomaly(said, {"good"});
  EXPECT_TRUE(told.json.at("alarm").get<bool>());
  EXPECT_EQ(told.json.at("where").size(), 2U);
  ASSERT_EQ(told.rows.size(), 2U);
  for (const auto& row : told.rows) EXPECT_EQ(row.size(), kAnomalyColumns.size());
}

TEST(Anomaly, TheRowOfTheTableIsWhole) {
  const auto task = find_task("anomaly");
  ASSERT_TRUE(task.ok());
  EXPECT_STREQ((*task)->metrics.front().name, "image_auroc");
  const auto meter = (*task)->meter({"good", "hole"});
  Case good{.width = 2, .height = 2}, bad{.width = 2, .height = 2};
  good.prediction.score_map = Tensor::zeros(Dtype::f32, {2, 2});
  bad.truth = {.label = 1, .score = 1, .mask = Tensor::of<std::uint8_t>({2, 2}, {0, 0, 0, 1})};
  bad.prediction = {.score = 1, .score_map = Tensor::filled({2, 2}, 1)};
  meter->add(good);
  meter->add(bad);
  const std::vector<std::int64_t> chosen{0, 1};
  const Figures figures = meter->figures(chosen, false);
  for (const Metric& metric : (*task)->metrics) EXPECT_EQ(figures.values.count(metric.name), 1U) << metric.name;
}

}  // namespace
}  // namespace sightline::tasks
