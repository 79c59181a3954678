// The graph of several heads answers as the heads do.
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "heads/attribute_heads.h"
#include "runtime/session.h"

namespace sightline::heads {
namespace {

Tensor normal(const Shape& shape, std::uint64_t seed) {
  Random random(seed);
  Tensor tensor(Dtype::f32, shape);
  for (float& value : tensor.values<float>()) value = static_cast<float>(random.normal());
  return tensor;
}

Head head_of(std::int64_t classes, std::int64_t features, double temperature, std::uint64_t seed) {
  Head head;
  head.linear = {normal({classes, features}, seed), normal({classes}, seed + 1)};
  head.temperature = temperature;
  head.features = features;
  return head;
}

TEST(AttributeHeads, AnswerAsEachHeadAlone) {
  constexpr std::int64_t features = 5, pictures = 4;
  const std::vector<Head> heads{head_of(2, features, 0.7, 1), head_of(2, features, 1.3, 2), head_of(3, features, 0.5, 3),
                                head_of(2, features, 1, 4)};
  std::vector<AttributeHead> parts;
  for (std::size_t i = 0; i < heads.size(); ++i) parts.push_back(attribute_head(heads[i], heads[i].classes() == 2));
  parts[1].threshold = 0.2;
  const auto graph = attributes_graph(parts, "features");
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  auto session = runtime::Session::create(*graph, {});
  ASSERT_TRUE(session.ok()) << session.error().message;
  const Tensor x = normal({pictures, features}, 9);
  const auto answers = session->run(std::span(&x, 1));
  ASSERT_TRUE(answers.ok()) << answers.error().message;
  const auto probabilities = (*answers)[0].values<float>(), margins = (*answers)[1].values<float>();
  constexpr std::size_t labels = 6;
  for (std::size_t i = 0; i < pictures; ++i) {
    std::size_t label = 0;
    for (std::size_t h = 0; h < heads.size(); ++h) {
      const Tensor expected = probabilities_of(heads[h], x);
      const auto classes = static_cast<std::size_t>(heads[h].classes());
      const auto row = expected.values<float>().subspan(i * classes, classes);
      if (classes == 2) {
        EXPECT_NEAR(probabilities[i * labels + label], row[1], 1e-5);
        EXPECT_NEAR(margins[i * labels + label], row[1] - parts[h].threshold, 1e-5);
        ++label;
        continue;
      }
      const float most = *std::ranges::max_element(row);
      for (std::size_t v = 0; v < classes; ++v, ++label) {
        EXPECT_NEAR(probabilities[i * labels + label], row[v], 1e-5);
        EXPECT_NEAR(margins[i * labels + label], row[v] - most, 1e-5);
        EXPECT_EQ(margins[i * labels + label] >= 0, row[v] == most);
      }
    }
  }
}

TEST(AttributeHeads, OneQuestionNeedsNoSplit) {
  const AttributeHead yes = attribute_head(head_of(2, 3, 1, 5), true);
  const auto graph = attributes_graph(std::span(&yes, 1), "features");
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  EXPECT_EQ(graph->outputs[0].shape, (Shape{-1, 1}));
}

TEST(AttributeHeads, OfOtherFeaturesAreRefused) {
  const std::vector<AttributeHead> heads{attribute_head(head_of(2, 3, 1, 5), true), attribute_head(head_of(2, 4, 1, 6), true)};
  EXPECT_FALSE(attributes_graph(heads, "features").ok());
  EXPECT_FALSE(attributes_graph({}, "features").ok());
}

}  // namespace
}  // namespace sightline::heads
