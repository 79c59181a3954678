#include "tasks/embed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/json.h"
#include "base/random.h"
#include "tasks/embed_metrics.h"
#include "tasks/golden_for_test.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using testing::HasSubstr;

struct Tolerance {
  double figure = 1e-6;  // cosines are f32, their halves stand in thresholds
} constexpr kTolerance;

std::vector<std::int64_t> all_of(std::int64_t count) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

Case picture(std::int32_t identity, std::vector<float> embedding, const std::string& group = "") {
  Case one{.width = 4, .height = 4, .group = group};
  one.truth.label = identity;
  one.prediction.embedding = std::move(embedding);
  return one;
}

// ---- against tests/golden/embed_golden.py ----

TEST(EmbedMetrics, EqualTheGoldenNumbers) {
  const auto json = read_json_file("tests/golden/embed.json");
  ASSERT_TRUE(json.ok()) << json.error().message;
  ASSERT_EQ((*json)["cases"].size(), 6U);
  for (const Json& each : (*json)["cases"]) {
    SCOPED_TRACE(each["name"].get<std::string>());
    const auto meter = embed_meter({});
    for (const Json& one : each["pictures"])
      meter->add(picture(one["label"].get<std::int32_t>(), one["embedding"].get<std::vector<float>>(), one["group"]));
    std::vector<annotation::Pair> pairs;
    for (const Json& pair : each["pairs"]) pairs.push_back({pair[0], pair[1], pair[2]});
    meter->compare(pairs);
    const auto check = [&](std::span<const std::int64_t> chosen, const Json& expected) {
      const Figures figures = meter->figures(chosen, false);
      expect_figures(figures, expected, kTolerance.figure);
      EXPECT_EQ(figures.pictures, expected["pictures"].get<std::int64_t>());
    };
    check(all_of(meter->units(0)), each["figures"]);
    check(each["chosen"].get<std::vector<std::int64_t>>(), each["figures_of_chosen"]);
  }
}

// ---- small enough for paper ----

// On a circle, by the angle in degrees.
std::vector<float> at(double degrees) {
  const double angle = degrees * 3.14159265358979323846 / 180;
  return {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
}

TEST(EmbedMetrics, TwoIdentitiesByHand) {
  // A at 0° and 60°, B at 90° and 100°. Genuine: 60° apart (0.5) and 10° (0.985). Impostors: 90, 100, 30 and 40° (0, -0.17, 0.87, 0.77).
  const auto meter = embed_meter({"A", "B"});
  for (const auto& [who, angle] : {std::pair{0, 0.0}, {0, 60.0}, {1, 90.0}, {1, 100.0}}) meter->add(picture(who, at(angle)));
  ASSERT_EQ(meter->units(4), 2);
  const Figures figures = meter->figures(all_of(2), true);
  // 0.985 is above all four impostors, 0.5 above two: 6 of 8.
  EXPECT_NEAR(figures.values.at("roc_auc"), 6.0 / 8, 1e-9);
  // From the top: (0, ½) after 0.985; 0.87 and 0.77 make it (¼, ½), (½, ½): equal there.
  EXPECT_NEAR(figures.values.at("equal_error_rate"), 0.5, 1e-9);
  // Nearest of A's pictures: of 0° 60° (own), of 60° 90° (other); of B's each other.
  EXPECT_NEAR(figures.values.at("rank1"), 3.0 / 4, 1e-9);
  EXPECT_NEAR(figures.values.at("rank5"), 1, 1e-9);
  EXPECT_EQ(figures.values.at("genuine_pairs"), 2);
  EXPECT_EQ(figures.values.at("impostor_pairs"), 4);
  EXPECT_FALSE(figures.values.contains("tar_at_fmr_1e-2")) << "4 impostors say nothing of 1 in 100";
  EXPECT_EQ(figures.curves.size(), 2U);
  // B twice and A not at all: pairs of B only, no impostors.
  const std::vector<std::int64_t> twice{1, 1};
  const Figures of_b = meter->figures(twice, false);
  EXPECT_EQ(of_b.count, 2);
  EXPECT_FALSE(of_b.values.contains("roc_auc"));
  EXPECT_NEAR(of_b.values.at("rank1"), 1, 1e-9);
  // The genuine pair of A is the worst, then the impostors 60° and 90°.
  const std::vector<JudgedPair> worst = meter->worst_pairs(2);
  ASSERT_EQ(worst.size(), 2U);
  EXPECT_TRUE(worst[0].same);
  EXPECT_EQ(worst[0].first, 0);
  EXPECT_EQ(worst[0].second, 1);
  EXPECT_FALSE(worst[1].same);
  EXPECT_NEAR(worst[1].score, std::cos(30 * 3.14159265358979 / 180), 1e-6);
  EXPECT_GT(meter->wrongness(1), 0.5);  // 60° takes 90° for its own
  EXPECT_LT(meter->wrongness(0), 0.5);
}

TEST(EmbedMetrics, TheThresholdComesFromTheOtherFolds) {
  // Fold 1: genuine 10°, impostor 80°. Fold 2: genuine 70°, impostor 85°. By fold 2 alone the highest best threshold is halfway between 70°
  // and the next higher cosine below which both are told: cos 70° = 0.342 and cos 80° = 0.174: 0.258; right in fold 1 as well. By fold 1
  // alone it is halfway between cos 10° and cos 70°: 0.663; the genuine pair of fold 2 is then refused.
  const auto meter = embed_meter({});
  const auto pair = [&](std::int32_t a, std::int32_t b, double apart) {
    meter->add(picture(a, at(0)));
    meter->add(picture(b, at(apart)));
  };
  pair(0, 0, 10);
  pair(1, 2, 80);
  pair(3, 3, 70);
  pair(4, 5, 85);
  meter->compare(std::vector<annotation::Pair>{{0, 1, 1}, {2, 3, 1}, {4, 5, 2}, {6, 7, 2}});
  const Figures figures = meter->figures(all_of(meter->units(8)), false);
  EXPECT_NEAR(figures.values.at("verification_accuracy"), 0.75, 1e-9);  // 1 and ½
  EXPECT_NEAR(figures.values.at("verification_error"), 0.25, 1e-9);     // deviation √⅛ over √2
  EXPECT_NEAR(figures.values.at("threshold"), (0.25783 + 0.66341) / 2, 1e-4);
}

TEST(EmbedMetrics, StatesARateWhereThirtyImpostorsMayBeAccepted) {
  Random random(5);
  const auto meter = embed_meter({});
  // 79 identities of one picture and one of two: 81·80/2 - 1 = 3,239 impostors.
  for (std::int32_t i = 0; i < 81; ++i) {
    std::vector<float> embedding(16);
    for (float& value : embedding) value = static_cast<float>(random.normal() / 4);
    meter->add(picture(std::min(i, 79), embedding));
  }
  const Figures figures = meter->figures(all_of(meter->units(81)), false);
  EXPECT_TRUE(figures.values.contains("tar_at_fmr_1e-2"));
  EXPECT_FALSE(figures.values.contains("tar_at_fmr_1e-3"));
}

TEST(EmbedMetrics, PairsOfPicturesThatAreNotThereDoNotCount) {
  const auto meter = embed_meter({});
  meter->add(picture(0, at(0)));
  meter->add(picture(-1, at(1)));  // of nobody
  meter->add(picture(0, {}));      // without an answer
  meter->add(picture(1, at(90)));
  meter->compare(std::vector<annotation::Pair>{{0, 1, 1}, {0, 2, 2}, {0, 9, 2}});
  EXPECT_EQ(meter->units(4), 2);
  const Figures figures = meter->figures(all_of(2), true);
  EXPECT_EQ(figures.pictures, 2);
  EXPECT_EQ(figures.count, 0);
  EXPECT_TRUE(figures.curves.empty());
  EXPECT_EQ(meter->wrongness(3), 0);
}

// ---- outputs ----

TEST(Embed, ReadsWhatTheRowSaysAndNothingElse) {
  const auto message = [](const std::map<std::string, std::pair<Dtype, Shape>>& outputs) {
    const auto status = check_embed_outputs(outputs, 1);
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(message({{"embedding", {Dtype::f32, {-1, 128}}}}), "");
  EXPECT_EQ(message({{"fc1", {Dtype::f32, {-1, 128, 1, 1}}}}), "") << "somebody else's only output";
  EXPECT_THAT(message({{"a", {Dtype::f32, {-1, 4}}}, {"b", {Dtype::f32, {-1, 4}}}}),
              HasSubstr("2 outputs and none is called \"embedding\""));
  EXPECT_THAT(message({{"embedding", {Dtype::f32, {-1, 4, 7}}}}), HasSubstr("embedding"));
  EXPECT_THAT(message({{"embedding", {Dtype::i64, {-1, 4}}}}), HasSubstr("i64"));
}

TEST(Embed, AnswersAreOfUnitLength) {
  Outputs outputs;
  outputs["embedding"] = Tensor::of<float>({2, 2}, {3, 4, 0, -2});
  const std::vector<image::Placement> placements(2);
  const auto answers = decode_embed(outputs, placements);
  ASSERT_TRUE(answers.ok()) << answers.error().message;
  EXPECT_EQ((*answers)[0].embedding, (std::vector<float>{0.6F, 0.8F}));
  EXPECT_EQ((*answers)[1].embedding, (std::vector<float>{0, -1}));
  EXPECT_EQ(decode_embed(outputs, std::span(placements).first(1)).error().kind, ErrorKind::invalid_data);
  outputs["embedding"].values<float>()[2] = 0;
  outputs["embedding"].values<float>()[3] = 0;
  EXPECT_THAT(decode_embed(outputs, placements).error().message, HasSubstr("points nowhere"));
  outputs["embedding"].values<float>()[3] = NAN;
  EXPECT_THAT(decode_embed(outputs, placements).error().message, HasSubstr("not finite"));
}

TEST(Embed, TheNearestComeFirstAndEqualsInTheirOrder) {
  const std::vector<std::vector<float>> points{at(0), at(90), at(10), {}, at(-10), at(45)};
  const std::vector<Neighbour> found = nearest(points, 0, 3);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].place, 2U);
  EXPECT_EQ(found[1].place, 4U);
  EXPECT_EQ(found[2].place, 5U);
  std::vector<float> a(19), b(19);
  std::iota(a.begin(), a.end(), 1.0F);
  std::iota(b.begin(), b.end(), -9.0F);
  EXPECT_EQ(cosine(a, b), std::inner_product(a.begin(), a.end(), b.begin(), 0.0F));
}

TEST(Embed, NeighboursStandBesideWhatWasAskedAbout) {
  const image::Image dark{30, 30, 3, std::vector<std::uint8_t>(2700, 50)}, light{60, 60, 1, std::vector<std::uint8_t>(3600, 200)};
  const std::vector<Tile> tiles{{&dark, "asked.png"}, {&light, "0.91 other.png"}};
  const image::Image sheet = draw_neighbours(tiles, 64);
  EXPECT_EQ(sheet.width, 64 + 4 + 16 + 64);
  EXPECT_GT(sheet.height, 64);
  const auto pixel = [&](int x, int y) { return sheet.pixels[static_cast<std::size_t>(y * sheet.width + x) * 3]; };
  EXPECT_EQ(pixel(32, 32), 50);
  EXPECT_EQ(pixel(64 + 20 + 32, 32), 200);
  EXPECT_EQ(pixel(70, 32), 24);  // the gap
}

TEST(Embed, TheRowOfTheTableIsWhole) {
  const auto task = find_task("embed");
  ASSERT_TRUE(task.ok());
  EXPECT_TRUE((*task)->open_classes);
  EXPECT_STREQ((*task)->metrics.front().name, "verification_accuracy");
  const auto meter = (*task)->meter({});
  Random random(1);
  for (std::int32_t i = 0; i < 300; ++i) {
    std::vector<float> embedding(4);
    for (float& value : embedding) value = static_cast<float>(random.normal());
    meter->add(picture(i / 2, embedding));
  }
  const Figures figures = meter->figures(all_of(meter->units(300)), false);
  for (const Metric& metric : (*task)->metrics) EXPECT_EQ(figures.values.count(metric.name), 1U) << metric.name;
  const Told told = (*task)->tell(Annotation{.embedding = {1, 0}}, {});
  EXPECT_EQ(told.json, (Json{{"embedding", {1, 0}}}));
  EXPECT_EQ(told.rows.front().size(), (*task)->columns.size());
}

}  // namespace
}  // namespace sightline::tasks
