// Several cuts of a foreign network in one graph, through the runtime: each cut's numbers are those that the network has there.
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "graph/builder.h"
#include "heads/choose.h"
#include "modules/imported.h"
#include "runtime/session.h"

namespace sightline {
namespace {

// Three halvings; "wide" is what "middle" means, and has some negative values.
graph::Graph net() {
  graph::Builder b(7);
  std::string x = b.relu(b.conv(b.input("input", Dtype::f32, {-1, 3, 24, 24}), 10, {.bias = true}));
  x = b.relu(b.conv(b.max_pool(x, 2, 2), 12, {.bias = true}));
  b.rename(b.conv(x, 14, {.bias = true}), "wide");
  x = b.relu(b.conv("wide", 20, {.stride = 2, .bias = true}));
  b.rename(x, "map");
  b.rename(b.flatten(b.global_average_pool("map")), "pooled");
  auto graph = b.finish({b.softmax(b.linear("pooled", 4))}, {});
  graph->metadata = {{"mean_values", "127.5"}, {"scale_values", "64"}};
  return *graph;
}

Tensor pictures() {
  Tensor tensor(Dtype::u8, {3, 24, 24, 3});
  Random random(5);
  for (auto& each : tensor.values<std::uint8_t>()) each = static_cast<std::uint8_t>(random.below(256));
  return tensor;
}

modules::ImportedClassifier imported(const std::vector<std::string>& cuts, modules::Neck neck = modules::Neck::average) {
  auto result = modules::import_classifier(net(), "net.onnx", {.cuts = cuts, .neck = neck, .classes = 2});
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return *std::move(result);
}

Tensor value_of(const modules::ImportedClassifier& model, const std::string& value) {
  graph::Graph asked = model.graph;
  asked.training_outputs.clear();
  asked.outputs = {{value, Dtype::f32, graph::infer_shapes(asked)->at(value).shape, {}}};
  auto session = runtime::Session::create(graph::serving_graph(asked));
  EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message);
  auto answer = session->run(pictures());
  EXPECT_TRUE(answer.ok());
  return *answer;
}

TEST(SeveralCuts, StandOneBehindTheOtherInOnePass) {
  const modules::ImportedClassifier all = imported({"early", "middle", "last"});
  ASSERT_EQ(all.cuts.size(), 3U);
  EXPECT_EQ(all.features, 10 + 14 + 20);
  const Tensor together = value_of(all, modules::features_value);
  std::int64_t begin = 0;
  for (const modules::ImportedCut& cut : all.cuts) {
    const Tensor alone = value_of(imported({cut.name}), modules::features_value);
    ASSERT_EQ(alone.dim(1), cut.width) << cut.name;
    const Tensor inside = value_of(all, cut.value);
    for (std::int64_t i = 0; i < 3; ++i) {
      for (std::int64_t j = 0; j < cut.width; ++j) {
        const float wanted = alone.values<float>()[static_cast<std::size_t>(i * cut.width + j)];
        EXPECT_NEAR(together.values<float>()[static_cast<std::size_t>(i * all.features + begin + j)], wanted, 1e-5) << cut.name;
        EXPECT_NEAR(inside.values<float>()[static_cast<std::size_t>(i * cut.width + j)], wanted, 1e-5) << cut.name;
      }
    }
    begin += cut.width;
  }
}

TEST(Necks, BringPlacesTogetherAsTheySay) {
  const Tensor map = value_of(imported({"middle"}), "wide");
  const std::int64_t channels = map.dim(1), places = map.dim(2) * map.dim(3);
  struct Case {
    modules::Neck neck;
    double (*of)(std::span<const float>);
  };
  const Case cases[] = {
      {modules::Neck::average,
       [](std::span<const float> values) {
         double sum = 0;
         for (const float value : values) sum += value;
         return sum / static_cast<double>(values.size());
       }},
      {modules::Neck::max, [](std::span<const float> values) { return static_cast<double>(*std::ranges::max_element(values)); }},
      {modules::Neck::generalised_mean,
       [](std::span<const float> values) {
         double sum = 0;
         for (const float value : values) sum += std::pow(std::max(1e-6, static_cast<double>(value)), 3);
         return std::cbrt(sum / static_cast<double>(values.size()));
       }},
  };
  for (const Case& each : cases) {
    const Tensor vectors = value_of(imported({"middle"}, each.neck), modules::features_value);
    ASSERT_EQ(vectors.shape(), (Shape{3, channels}));
    for (std::int64_t i = 0; i < 3 * channels; ++i)
      EXPECT_NEAR(vectors.values<float>()[static_cast<std::size_t>(i)],
                  each.of(map.values<float>().subspan(static_cast<std::size_t>(i * places), static_cast<std::size_t>(places))), 1e-4)
          << enum_name(each.neck);
  }
}

TEST(SeveralCuts, AHeadOnOneOfThemAnswersAsFittedAndOneOnAllToo) {
  const modules::ImportedClassifier all = imported({"all"});
  std::vector<std::int64_t> widths;
  for (const modules::ImportedCut& cut : all.cuts) widths.push_back(cut.width);
  // The class is written in the first cut alone: that head wins which reads it.
  Tensor features(Dtype::f32, {90, all.features});
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < 90; ++i) {
    Random random(11, static_cast<std::uint64_t>(i));
    labels.push_back(static_cast<std::int32_t>(i % 3));
    for (std::int64_t j = 0; j < all.features; ++j)
      features.values<float>()[static_cast<std::size_t>(i * all.features + j)] =
          static_cast<float>(random.normal() + (j < widths[0] && j % 3 == i % 3 ? 2 : 0));
  }
  const auto choice = heads::choose_head(features, labels, {}, 3, {.cut_widths = widths, .cut_sets = {{"last", {2}}, {"all", {0, 1, 2}}}});
  ASSERT_TRUE(choice.ok()) << choice.error().message;
  EXPECT_EQ(choice->cut_set, 1U) << choice->sentence;
  EXPECT_EQ(choice->candidates.size(), 8U);
  EXPECT_EQ(choice->candidates[0].cuts, "last");
  EXPECT_NE(choice->sentence.find("on all"), std::string::npos) << choice->sentence;
  EXPECT_TRUE(choice->head.columns.empty());

  // Where only the last is told apart, it stays alone, whatever all of them together would do.
  for (std::int64_t i = 0; i < 90; ++i)
    for (std::int64_t j = 0; j < all.features; ++j) {
      float& value = features.values<float>()[static_cast<std::size_t>(i * all.features + j)];
      if (j < widths[0] && j % 3 == i % 3) value -= 2;
      if (j >= widths[0] + widths[1] && j % 3 == i % 3) value += 2;
    }
  const auto second = heads::choose_head(features, labels, {}, 3, {.cut_widths = widths, .cut_sets = {{"last", {2}}, {"all", {0, 1, 2}}}});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->cut_set, 0U) << second->sentence;
  EXPECT_EQ(static_cast<std::int64_t>(second->head.columns.size()), widths[2]);
  EXPECT_EQ(second->head.columns.front(), widths[0] + widths[1]);

  for (const heads::Head& head : {choice->head, second->head}) {
    const auto graph = heads::append_head(all.graph, modules::features_value, head);
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    auto session = runtime::Session::create(graph::serving_graph(*graph));
    ASSERT_TRUE(session.ok());
    const auto answer = session->run(pictures());
    ASSERT_TRUE(answer.ok());
    const Tensor wanted = heads::probabilities_of(head, value_of(all, modules::features_value));
    for (std::size_t i = 0; i < wanted.values<float>().size(); ++i)
      EXPECT_NEAR(answer->values<float>()[i], wanted.values<float>()[i], 1e-5);
  }
}

}  // namespace
}  // namespace sightline
