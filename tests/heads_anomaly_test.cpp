// Anomaly detectors as one graph, through the runtime: what is fitted on places answers in the graph as it does alone, and finds what is
// not like the good pictures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "base/random.h"
#include "graph/builder.h"
#include "heads/gaussian_field.h"
#include "heads/memory_bank.h"
#include "heads/places.h"
#include "runtime/session.h"

namespace sightline {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kSide = 32;

struct Tolerance {
  double distance = 2e-3;  // of the largest: a root of a difference of squares in f32
  double score = 2e-3;
} constexpr kTolerance;

// Two maps, 8×8 and 4×4.
graph::Graph backbone() {
  graph::Builder b(3);
  std::string x = b.image_input(kSide, kSide, 1, {127.5F}, {64});
  x = b.relu(b.conv(b.max_pool(b.relu(b.conv(x, 8, {.bias = true})), 2, 2), 10, {.stride = 2, .bias = true}));
  b.rename(x, "fine");
  b.rename(b.relu(b.conv("fine", 14, {.stride = 2, .bias = true})), "coarse");
  auto graph = b.finish({b.softmax(b.linear(b.flatten(b.global_average_pool("coarse")), 3))}, {});
  EXPECT_TRUE(graph.ok());
  return *graph;
}

// Stripes with some noise; with a blot in some.
Tensor pictures(std::int64_t count, std::uint64_t seed, bool blots) {
  Tensor tensor(Dtype::u8, {count, kSide, kSide, 1});
  Random random(seed);
  auto* value = tensor.values<std::uint8_t>().data();
  for (std::int64_t n = 0; n < count; ++n) {
    const double phase = random.uniform() * 6;
    for (std::int64_t y = 0; y < kSide; ++y) {
      for (std::int64_t x = 0; x < kSide; ++x) {
        const bool blot = blots && (y - 14) * (y - 14) + (x - 16) * (x - 16) < 16;
        *value++ = static_cast<std::uint8_t>(
            std::clamp(blot ? 250.0 : 120 + 40 * std::sin(0.8 * static_cast<double>(x) + phase) + 8 * random.normal(), 0.0, 255.0));
      }
    }
  }
  return tensor;
}

Tensor run(const graph::Graph& graph, const Tensor& input) {
  auto session = runtime::Session::create(graph::serving_graph(graph));
  EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message);
  auto answer = session->run(input);
  EXPECT_TRUE(answer.ok()) << (answer.ok() ? "" : answer.error().message);
  return *answer;
}

struct Answers {
  Tensor score, map;
};
Answers scored(const graph::Graph& graph, const Tensor& input) {
  auto session = runtime::Session::create(graph::serving_graph(graph));
  EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message);
  auto answers = session->run(std::span(&input, 1));
  EXPECT_TRUE(answers.ok()) << (answers.ok() ? "" : answers.error().message);
  return {(*answers)[0], (*answers)[1]};
}

void expect_near(const Tensor& got, const Tensor& wanted, double relative) {
  ASSERT_EQ(got.shape(), wanted.shape());
  double largest = 0;
  for (const float value : wanted.values<float>()) largest = std::max(largest, static_cast<double>(std::abs(value)));
  for (std::size_t i = 0; i < static_cast<std::size_t>(got.count()); ++i)
    ASSERT_NEAR(got.values<float>()[i], wanted.values<float>()[i], relative * largest) << i;
}

graph::Graph with_places(std::int64_t dimensions = 16) {
  const auto graph = heads::append_places(backbone(), {"coarse", "fine"}, {.dimensions = dimensions, .seed = 1});
  EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().message);
  return *graph;
}

TEST(Places, StandOnTheFinestGridAndAreProjectedWhereTheyAreTooMany) {
  const Tensor input = pictures(2, 1, false);
  EXPECT_EQ(run(with_places(), input).shape(), (Shape{2, 16, 8, 8}));
  const Tensor whole = run(with_places(24), input);
  EXPECT_EQ(whole.shape(), (Shape{2, 24, 8, 8}));  // as they are, the coarse map first
  // The fine map is averaged over the neighbours that there are.
  graph::Graph fine_graph = backbone();
  fine_graph.outputs = {{"fine", Dtype::f32, {-1, 10, 8, 8}, {}}};
  const Tensor fine = run(fine_graph, input);
  const auto at = [](const Tensor& map, std::int64_t channel, std::int64_t y, std::int64_t x) {
    return map.values<float>()[static_cast<std::size_t>((channel * 8 + y) * 8 + x)];
  };
  const float corner = (at(fine, 2, 0, 0) + at(fine, 2, 0, 1) + at(fine, 2, 1, 0) + at(fine, 2, 1, 1)) / 4;
  EXPECT_NEAR(at(whole, 14 + 2, 0, 0), corner, 1e-5);
  const auto alone = heads::append_places(backbone(), {"fine"}, {.around = 1});
  ASSERT_TRUE(alone.ok()) << alone.error().message;
  EXPECT_EQ(at(run(*alone, input), 2, 3, 3), at(fine, 2, 3, 3));
}

TEST(Places, AreRefusedWhereThereAreNone) {
  const auto unknown = heads::append_places(backbone(), {"finer"});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().kind, ErrorKind::not_found);
  const std::string vector = backbone().outputs[0].name;
  const auto flat = heads::append_places(backbone(), {vector});
  ASSERT_FALSE(flat.ok());
  EXPECT_THAT(flat.error().message, HasSubstr("a map f32 N×C×h×w of known size is needed"));
  EXPECT_FALSE(heads::append_places(backbone(), {}).ok());
  EXPECT_FALSE(heads::append_places(backbone(), {"fine"}, {.around = 2}).ok());
}

TEST(MemoryBank, AnswersInTheGraphAsItDoesAlone) {
  const graph::Graph places = with_places();
  const auto bank = heads::fit_memory_bank(run(places, pictures(12, 1, false)), {.least = 40, .most = 40});
  ASSERT_TRUE(bank.ok()) << bank.error().message;
  EXPECT_EQ(bank->members.shape(), (Shape{40, 16}));
  const auto graph = heads::append_memory_bank(places, *bank);
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  const Tensor input = pictures(5, 2, true);
  expect_near(run(*graph, input), heads::distances_to(*bank, run(places, input)), kTolerance.distance);
}

TEST(MemoryBank, ByPlaceEachIsMeasuredAgainstItsOwnMeanAndSpread) {
  const graph::Graph places = with_places();
  const Tensor good = run(places, pictures(20, 1, false));
  const auto bank = heads::fit_memory_bank(good, {.least = 40, .most = 40, .by_place = true});
  ASSERT_TRUE(bank.ok()) << bank.error().message;
  ASSERT_EQ(bank->place_mean.shape(), (Shape{1, 16, 8, 8}));
  double mean = 0, square = 0;  // channel 3 at row 2, column 5
  const std::int64_t at = 3 * 64 + 2 * 8 + 5;
  for (std::int64_t n = 0; n < 20; ++n) {
    const auto value = static_cast<double>(good.values<float>()[static_cast<std::size_t>(n * 16 * 64 + at)]);
    mean += value / 20;
    square += value * value / 20;
  }
  EXPECT_NEAR(bank->place_mean.values<float>()[static_cast<std::size_t>(at)], mean, 1e-4);
  EXPECT_NEAR(1 / bank->place_scale.values<float>()[static_cast<std::size_t>(at)], std::sqrt(square - mean * mean), 1e-3);
  const auto graph = heads::append_memory_bank(places, *bank);
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  const Tensor input = pictures(5, 2, true);
  expect_near(run(*graph, input), heads::distances_to(*bank, run(places, input)), kTolerance.distance);
}

TEST(Anomaly, AShareOfThePlacesIsTheMeanOfTheLargest) {
  const graph::Graph places = with_places();
  const auto bank = heads::fit_memory_bank(run(places, pictures(12, 1, false)), {.least = 40, .most = 40});
  ASSERT_TRUE(bank.ok());
  const auto distances = heads::append_memory_bank(places, *bank);
  ASSERT_TRUE(distances.ok());
  EXPECT_EQ(heads::places_in(0.05, 64), 3);
  EXPECT_EQ(heads::places_in(0, 64), 1);
  const auto graph = heads::append_scores(*distances, {.height = kSide, .width = kSide, .threshold = 2, .share = 0.05});
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  const Tensor input = pictures(4, 2, true);
  const Tensor each = run(*distances, input), score = scored(*graph, input).score;
  for (std::int64_t n = 0; n < 4; ++n) {
    std::vector<float> row(each.values<float>().begin() + n * 64, each.values<float>().begin() + (n + 1) * 64);
    std::sort(row.begin(), row.end(), std::greater<>());
    const double distance = (static_cast<double>(row[0]) + static_cast<double>(row[1]) + static_cast<double>(row[2])) / 3;
    EXPECT_NEAR(score.values<float>()[static_cast<std::size_t>(n)], distance / (distance + 2), kTolerance.score);
  }
  EXPECT_FALSE(heads::append_scores(*distances, {.height = kSide, .width = kSide, .share = 1.5}).ok());
}

TEST(GaussianField, AnswersInTheGraphAsItDoesAlone) {
  const graph::Graph places = with_places();
  const Tensor good = run(places, pictures(40, 1, false)), input = pictures(3, 2, true);
  for (const heads::Spread spread : {heads::Spread::pooled, heads::Spread::per_place}) {
    SCOPED_TRACE(enum_name(spread));
    const auto field = heads::fit_gaussian_field(good, spread);
    ASSERT_TRUE(field.ok()) << field.error().message;
    const auto graph = heads::append_gaussian_field(places, *field);
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    expect_near(run(*graph, input), heads::distances_to(*field, run(places, input)), kTolerance.distance);
  }
}

TEST(Anomaly, OneGraphTellsBlotsFromGoodPicturesAndSaysWhere) {
  const graph::Graph places = with_places();
  const Tensor good = run(places, pictures(40, 1, false));
  const auto bank = heads::fit_memory_bank(good, {.least = 100, .most = 100});
  const auto field = heads::fit_gaussian_field(good, heads::Spread::pooled);
  ASSERT_TRUE(bank.ok() && field.ok());
  for (const auto& distances : {heads::append_memory_bank(places, *bank), heads::append_gaussian_field(places, *field)}) {
    SCOPED_TRACE(distances->nodes.back().name + " of " + distances->nodes[distances->nodes.size() - 2].op_type);
    ASSERT_TRUE(distances.ok());
    const auto raw = heads::append_scores(*distances, {.height = kSide, .width = kSide, .blur = 2});
    ASSERT_TRUE(raw.ok()) << raw.error().message;
    EXPECT_EQ(raw->training_outputs, std::vector<std::string>{heads::picture_distance});
    // The threshold from other good pictures; with 1 as threshold a score s says a distance of s / (1 - s).
    graph::Graph largest = *raw;
    largest.outputs = {{heads::picture_distance, Dtype::f32, {-1}, {}}};
    const Tensor held_out = run(largest, pictures(60, 3, false));
    const auto alarm = heads::alarm_of({held_out.values<float>().begin(), held_out.values<float>().end()}, 0.05);
    ASSERT_TRUE(alarm.ok());
    EXPECT_NEAR(alarm->false_alarm_rate, 0.05, 0.01);
    const auto graph = heads::with_threshold(*raw, alarm->threshold);
    ASSERT_TRUE(graph.ok());

    const Tensor input = pictures(20, 4, true);
    const Answers answers = scored(*graph, input);
    EXPECT_EQ(answers.score.shape(), (Shape{20}));
    EXPECT_EQ(answers.map.shape(), (Shape{20, kSide, kSide}));
    int located = 0;
    for (std::size_t n = 0; n < 20; ++n) {
      EXPECT_GT(answers.score.values<float>()[n], 0.5F);
      const auto map = answers.map.values<float>().subspan(n * kSide * kSide, kSide * kSide);
      const auto place = std::max_element(map.begin(), map.end()) - map.begin();
      // Within a blot's radius and one place of the grid.
      located += std::abs(place / kSide - 14) <= 8 && std::abs(place % kSide - 16) <= 8 ? 1 : 0;
      EXPECT_NEAR(map[static_cast<std::size_t>(place)], answers.score.values<float>()[n], kTolerance.score);
    }
    EXPECT_GE(located, 15);  // a network of random weights sees a picture's corner oddly
    int alarms = 0;
    const Tensor others = scored(*graph, pictures(100, 5, false)).score;
    for (const float score : others.values<float>()) alarms += score > 0.5F ? 1 : 0;
    EXPECT_LT(alarms, 15);
  }
}

TEST(Anomaly, BatchesAnswerAsPicturesDo) {
  const graph::Graph places = with_places();
  const auto field = heads::fit_gaussian_field(run(places, pictures(20, 1, false)), heads::Spread::per_place);
  ASSERT_TRUE(field.ok());
  const auto distances = heads::append_gaussian_field(places, *field);
  ASSERT_TRUE(distances.ok());
  const auto graph = heads::append_scores(*distances, {.height = kSide, .width = kSide});
  ASSERT_TRUE(graph.ok());
  const Tensor input = pictures(3, 7, true);
  const Tensor together = scored(*graph, input).score;
  for (std::int64_t n = 0; n < 3; ++n)
    EXPECT_NEAR(scored(*graph, input.rows(n, n + 1)).score.values<float>()[0], together.values<float>()[static_cast<std::size_t>(n)], 1e-5);
}

TEST(Anomaly, PartsThatDoNotFitAreRefused) {
  const graph::Graph places = with_places();
  const auto bank = heads::fit_memory_bank(Tensor::filled({2, 5, 3, 3}, 1));
  ASSERT_TRUE(bank.ok());
  EXPECT_EQ(bank->members.dim(0), 1);  // all places are the same
  EXPECT_THAT(heads::append_memory_bank(places, *bank).error().message, HasSubstr("5 dimensions does not fit"));
  EXPECT_EQ(heads::append_memory_bank(backbone(), *bank).error().kind, ErrorKind::not_found);
  const auto field = heads::fit_gaussian_field(Tensor::filled({2, 16, 3, 3}, 1), heads::Spread::per_place);
  ASSERT_TRUE(field.ok());
  EXPECT_THAT(heads::append_gaussian_field(places, *field).error().message, HasSubstr("on 3×3 places does not fit"));
  EXPECT_FALSE(heads::append_scores(places, {.height = kSide, .width = kSide}).ok());
  EXPECT_FALSE(heads::with_threshold(places, 1).ok());
  const auto measured = heads::append_memory_bank(places, *heads::fit_memory_bank(Tensor::filled({2, 16, 3, 3}, 1)));
  ASSERT_TRUE(measured.ok());
  EXPECT_FALSE(heads::append_scores(*measured, {.height = kSide, .width = kSide, .threshold = 0}).ok());
  EXPECT_FALSE(heads::append_scores(*measured, {.height = 0, .width = kSide}).ok());
}

}  // namespace
}  // namespace sightline
