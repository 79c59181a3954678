#include "tasks/landmarks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/json.h"
#include "tasks/golden_for_test.h"
#include "tasks/landmarks_metrics.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using annotation::Landmark;
using testing::HasSubstr;

std::vector<float> gaussian_map(double x, double y, std::int64_t rows, std::int64_t columns) {
  std::vector<double> values;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      values.push_back(std::exp(-(std::pow(static_cast<double>(c) + 0.5 - x, 2) + std::pow(static_cast<double>(r) + 0.5 - y, 2)) / 2));
  const double total = std::accumulate(values.begin(), values.end(), 0.0);
  std::vector<float> map;
  for (const double value : values) map.push_back(static_cast<float>(value / total));
  return map;
}

// ---- against tests/golden/landmarks_golden.py ----

TEST(Landmarks, APeakIsFoundBetweenTheCells) {
  const auto json = read_json_file("tests/golden/landmarks.json");
  ASSERT_TRUE(json.ok()) << json.error().message;
  for (const Json& each : (*json)["peaks"]) {
    const std::int64_t rows = each["rows"].get<std::int64_t>(), columns = each["columns"].get<std::int64_t>();
    const double x = each["x"].get<double>(), y = each["y"].get<double>();
    const Peak peak = peak_of(gaussian_map(x, y, rows, columns), rows, columns);
    EXPECT_NEAR(peak.x, x, 0.01) << each;
    EXPECT_NEAR(peak.y, y, 0.01) << each;
    EXPECT_NEAR(peak.share, each["share"].get<double>(), 1e-5);
  }
}

TEST(Landmarks, FiguresAreThoseOfTheirDefinitions) {
  const auto json = read_json_file("tests/golden/landmarks.json");
  ASSERT_TRUE(json.ok()) << json.error().message;
  for (const Json& each : (*json)["metrics"]) {
    const auto names = each["names"].get<std::vector<std::string>>();
    const auto meter = landmarks_meter(names);
    std::vector<std::int64_t> all;
    for (const Json& picture : each["pictures"]) {
      Case one{.width = picture["width"].get<int>(), .height = picture["height"].get<int>()};
      for (const Json& point : picture["truth"])
        one.truth.landmarks.push_back({point[2].get<std::int8_t>(), point[0].get<double>(), point[1].get<double>()});
      for (const Json& point : picture["answer"])
        one.prediction.landmarks.push_back({Landmark::visible, point[0].get<double>(), point[1].get<double>()});
      meter->add(one);
      all.push_back(std::ssize(all));
    }
    const Figures figures = meter->figures(all, true);
    expect_figures(figures, each["figures"], 1e-9);
    const Figures twice = meter->figures(std::vector<std::int64_t>{0, 0}, false);
    EXPECT_EQ(twice.pictures, 2);
    EXPECT_DOUBLE_EQ(twice.values.at("nme"), meter->figures(std::vector<std::int64_t>{0}, false).values.at("nme"));
  }
}

TEST(Landmarks, WhatIsNotAnsweredIsAsWrongAsCanBe) {
  const auto meter = landmarks_meter({"tip"});
  meter->add({.truth = {.landmarks = {{Landmark::visible, 5, 5}}}, .prediction = {}, .width = 30, .height = 40});
  EXPECT_DOUBLE_EQ(meter->figures(std::vector<std::int64_t>{0}, false).values.at("error_px"), 50);
  EXPECT_DOUBLE_EQ(meter->wrongness(0), 1);
  meter->add({.truth = {}, .prediction = {}, .width = 30, .height = 40});  // nothing was said of it
  EXPECT_TRUE(meter->figures(std::vector<std::int64_t>{1}, true).values.empty());
}

// ---- answers ----

TEST(Landmarks, AnswersLieInThePicturesFrame) {
  // A picture of 200×100 letterboxed into 64×64: halved and more, with bars above and below.
  const image::Placement place = image::placement_of(200, 100, 64, 64, image::Fit::fit);
  const std::vector<std::string> classes{"left", "right"};
  Outputs outputs;
  Tensor maps(Dtype::f32, {1, 2, 16, 16});
  const std::vector<std::array<double, 2>> wanted{{37.5, 61.25}, {180, 9}};
  for (std::size_t k = 0; k < 2; ++k) {
    const double x = (wanted[k][0] * place.scale_x + place.offset_x) / landmark_cell,
                 y = (wanted[k][1] * place.scale_y + place.offset_y) / landmark_cell;
    std::ranges::copy(gaussian_map(x, y, 16, 16), maps.values<float>().begin() + static_cast<std::ptrdiff_t>(k * 256));
  }
  outputs["heat_maps"] = maps;
  const std::map<std::string, std::string> metadata;
  const auto answers = decode_landmarks(outputs, std::span(&place, 1), {classes, metadata});
  ASSERT_TRUE(answers.ok()) << answers.error().message;
  ASSERT_EQ((*answers)[0].landmarks.size(), 2U);
  for (std::size_t k = 0; k < 2; ++k) {
    const Landmark& point = (*answers)[0].landmarks[k];
    EXPECT_NEAR(point.x, wanted[k][0], 1);
    EXPECT_NEAR(point.y, wanted[k][1], 1);
    EXPECT_GT(point.score, 0.9);
  }
  const Told told = tell_landmarks((*answers)[0], classes);
  EXPECT_EQ(told.json["landmarks"][1]["name"], "right");
  EXPECT_EQ(told.rows.size(), 2U);
  // A map that says nothing has no sure peak, and one in the bars is drawn to the picture's edge.
  for (float& each : maps.values<float>()) each = 1.0F / 256;
  const auto unsure = decode_landmarks(outputs, std::span(&place, 1), {classes, metadata});
  ASSERT_TRUE(unsure.ok());
  EXPECT_LT((*unsure)[0].landmarks[0].score, 0.1);
  EXPECT_EQ((*unsure)[0].landmarks[0].y, 0);
}

TEST(Landmarks, SaysWhichOutputsItWants) {
  EXPECT_TRUE(check_landmarks_outputs({{"heat_maps", {Dtype::f32, {-1, 5, 24, 24}}}}, 5).ok());
  EXPECT_THAT(check_landmarks_outputs({}, 5).error().message, HasSubstr("no output \"heat_maps\""));
  EXPECT_THAT(check_landmarks_outputs({{"heat_maps", {Dtype::f32, {-1, 4, 24, 24}}}}, 5).error().message, HasSubstr("f32 N×5×h×w"));
  EXPECT_FALSE(check_landmarks_outputs({{"heat_maps", {Dtype::u8, {-1, 5, 24, 24}}}}, 5).ok());
  const image::Placement place = image::placement_of(32, 32, 32, 32, image::Fit::fit);
  Tensor maps = Tensor::zeros(Dtype::f32, {1, 1, 8, 8});
  maps.values<float>()[3] = NAN;
  const std::vector<std::string> classes{"tip"};
  const std::map<std::string, std::string> metadata;
  EXPECT_EQ(decode_landmarks({{"heat_maps", maps}}, std::span(&place, 1), {classes, metadata}).error().kind, ErrorKind::invalid_data);
  EXPECT_EQ(decode_landmarks({{"heat_maps", maps}}, {}, {classes, metadata}).error().kind, ErrorKind::invalid_data);
}

TEST(Landmarks, DotsAndCrossesStandWhereThePointsAre) {
  image::Image picture{.width = 60, .height = 60, .channels = 3, .pixels = std::vector<std::uint8_t>(60 * 60 * 3, 128)};
  const Annotation annotation{.landmarks = {{Landmark::visible, 20.5, 30.5, 0.9}, {Landmark::unknown, 5, 5, 0.9}}};
  const auto red_at = [&](int x, int y) { return picture.pixels[static_cast<std::size_t>(3 * (y * 60 + x))]; };
  const image::Colour colour = image::class_colour(0);
  draw_landmarks(picture, annotation, {"a", "b"});
  EXPECT_EQ(red_at(20, 30), colour.red);
  EXPECT_EQ(red_at(5, 5), 128);
  EXPECT_EQ(red_at(40, 30), 128);
  std::ranges::fill(picture.pixels, 128);
  draw_landmarks_truth(picture, annotation, {"a", "b"});
  EXPECT_EQ(red_at(20, 30), colour.red);
  EXPECT_EQ(red_at(5, 5), 128);
}

}  // namespace
}  // namespace sightline::tasks
