// Ranges on distributions whose answer is known; bias correction; the effect of layers; graphs of old opsets give the same numbers in new
// words.
#include "runtime/quantizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "graph/builder.h"
#include "graph/operators.h"
#include "runtime/reference_test.h"

namespace sightline::runtime {
namespace {

using graph::Builder;
using graph::Graph;

Tensor noise(const Shape& shape, std::uint64_t seed, double least = -1, double most = 1) {
  Random random(seed);
  Tensor tensor(Dtype::f32, shape);
  for (float& v : tensor.values<float>()) v = static_cast<float>(random.uniform(least, most));
  return tensor;
}

std::vector<float> draws(std::size_t count, auto draw) {
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(draw());
  return values;
}

TEST(Calibration, PercentilesOfAUniformDistribution) {
  Random random(1);
  Histogram histogram;
  // In pieces that grow, so that the bins do.
  for (const double most : {0.125, 0.5, 1.0, 4.0}) ASSERT_TRUE(histogram.add(draws(100'000, [&] { return random.uniform(-most, most); })));
  EXPECT_EQ(histogram.count(), 400'000);
  EXPECT_NEAR(histogram.greatest(), 4, 1e-3);
  EXPECT_NEAR(histogram.percentile(1), 4, 1e-3);
  // A quarter of all reaches to 4, so 99% of all is 96% of that quarter.
  EXPECT_NEAR(histogram.percentile(0.99), 4 * 0.96, 0.02);
  EXPECT_NEAR(histogram.percentile(0.75), 0.8, 0.02);  // 2/4 of all are below 1/2, and t · (1 + 1/4) / 4 of the others below t
}

TEST(Calibration, PercentileLeavesAFewOutliersOut) {
  Random random(2);
  Histogram histogram;
  std::vector<float> values = draws(1'000'000, [&] { return random.normal(); });
  values.insert(values.end(), {300.0F, -500.0F, 400.0F});
  ASSERT_TRUE(histogram.add(values));
  EXPECT_EQ(histogram.percentile(1), 500);
  EXPECT_NEAR(histogram.percentile(0.9999), 3.89, 0.4);  // two-sided normal quantile; a bin is 0.3 wide
}

TEST(Calibration, EntropyKeepsTheWholeOfAUniformDistribution) {
  Random random(3);
  Histogram histogram;
  ASSERT_TRUE(histogram.add(draws(1'000'000, [&] { return random.uniform(-3, 3); })));
  EXPECT_NEAR(histogram.entropy_range(128), 3, 0.1);
  EXPECT_NEAR(histogram.entropy_range(256), 3, 0.1);
}

TEST(Calibration, EntropyCutsALongTailOff) {
  Random random(4);
  Histogram histogram;
  std::vector<float> values = draws(1'000'000, [&] { return random.normal(); });
  for (int i = 0; i < 20; ++i) values.push_back(static_cast<float>(10 + i));
  ASSERT_TRUE(histogram.add(values));
  EXPECT_GT(histogram.entropy_range(128), 2.5F);
  EXPECT_LT(histogram.entropy_range(128), 8.0F);
}

TEST(Calibration, EntropyIsNotFooledByASpike) {
  Random random(9);
  Histogram histogram;
  std::vector<float> values = draws(100'000, [&] { return random.uniform(0, 10); });
  values.insert(values.end(), 200'000, 0.731F);
  ASSERT_TRUE(histogram.add(values));
  EXPECT_GT(histogram.entropy_range(256), 9.9F);
}

TEST(Calibration, NothingButZeros) {
  Histogram histogram;
  ASSERT_TRUE(histogram.add(std::vector<float>(100, 0.0F)));
  EXPECT_EQ(histogram.percentile(0.99), 0);
  EXPECT_EQ(histogram.entropy_range(128), 0);
  ASSERT_TRUE(histogram.add(std::vector<float>(100, 2.0F)));
  EXPECT_EQ(histogram.percentile(0.5), 2.0F * 1.25F / Histogram::bins);  // the zeros lie in the first bin
  EXPECT_EQ(histogram.percentile(0.9), 2);
}

TEST(Calibration, WhatIsNotFiniteIsRefused) {
  Histogram histogram;
  EXPECT_FALSE(histogram.add(std::vector<float>{1, std::nanf("")}));
  EXPECT_FALSE(histogram.add(std::vector<float>{1, INFINITY}));
  EXPECT_EQ(histogram.count(), 0);
}

// u8 pictures → a small residual net with everything that is particular: depthwise, a gate, pools, a transposed convolution, a product.
Graph mixed_net(std::uint64_t seed = 7) {
  Builder b(seed);
  std::string x = b.input("x", Dtype::f32, {-1, 3, 16, 16});
  x = b.relu(b.batch_norm(b.conv(x, 16, {.bias = true})));
  std::string y = b.clip(b.batch_norm(b.conv(x, 16, {.groups = 16})), 0, 6);
  y = b.batch_norm(b.conv(y, 16, {.kernel = 1}));
  x = b.relu(b.add(x, y));
  x = b.max_pool(x, 2, 2);
  x = b.silu(b.conv(x, 24, {.groups = 2, .bias = true}));
  x = b.relu(b.conv_transpose(x, 8, 2, 2));
  x = b.flatten(b.global_average_pool(b.concat({x, b.relu(b.conv(x, 8, {.bias = true}))})));
  const std::string y2 = b.linear(x, 10);
  b.rename(y2, "scores");
  auto graph = b.finish({"scores"}, {});
  EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().message);
  return graph.ok() ? *graph : Graph{};
}

std::vector<Batch> pictures(int batches, std::uint64_t seed = 21) {
  std::vector<Batch> all;
  for (int i = 0; i < batches; ++i) all.push_back({noise({8, 3, 16, 16}, seed + static_cast<std::uint64_t>(i))});
  return all;
}

TEST(Quantizer, IntegersStayCloseToTheRealNet) {
  const Graph net = mixed_net();
  const std::vector<Batch> seen = pictures(4), unseen = pictures(2, 99);
  for (const RangeMethod method : {RangeMethod::percentile, RangeMethod::entropy}) {
    auto quantizer = Quantizer::create(net, seen, {.method = method, .threads = 1});
    ASSERT_TRUE(quantizer.ok()) << quantizer.error().message;
    EXPECT_EQ(quantizer->layers().size(), 7U);
    const auto integer = quantizer->quantize();
    ASSERT_TRUE(integer.ok()) << integer.error().message;
    const auto close = agreement(*integer, net, unseen, 1);
    ASSERT_TRUE(close.ok()) << close.error().message;
    EXPECT_GT(close->signal_to_noise_db, 20) << enum_name(method);
    EXPECT_EQ(close->rows, 16);
  }
}

// The mean by which integers shift a layer goes into its bias: what is left over calibration data must be a small part.
TEST(Quantizer, BiasCorrectionTakesTheMeanErrorOut) {
  Builder b(12);
  const std::string x = b.input("x", Dtype::f32, {-1, 4, 10, 10});
  b.rename(b.conv(x, 32, {.kernel = 1, .bias = true}), "y");
  const Graph net = *b.finish({"y"}, {});
  std::vector<Batch> batches;
  for (std::uint64_t i = 0; i < 4; ++i) batches.push_back({noise({8, 4, 10, 10}, 31 + i, 0.2, 3)});  // a mean far from zero
  const auto mean_error = [&](bool corrected) {
    auto quantizer = Quantizer::create(net, batches, {.percentile = 1, .correct_bias = corrected, .threads = 1});
    EXPECT_TRUE(quantizer.ok());
    const Graph integer = *quantizer->quantize();
    Session ours = *Session::create(integer, {.threads = 1}), exact = *Session::create(net, {.threads = 1});
    std::vector<double> sums(32);
    for (const Batch& batch : batches) {
      const Tensor got = (*ours.run(batch))[0], wanted = (*exact.run(batch))[0];
      for (std::size_t i = 0; i < static_cast<std::size_t>(got.count()); ++i)
        sums[i / 100 % 32] += static_cast<double>(got.values<float>()[i]) - static_cast<double>(wanted.values<float>()[i]);
    }
    double sum = 0;
    for (const double each : sums) sum += std::abs(each) / (4 * 8 * 100);
    return sum / 32;
  };
  const double before = mean_error(false), after = mean_error(true);
  EXPECT_GT(before, 1e-4);
  EXPECT_LT(after, before / 5);
}

// Half of all pixels are one background value, as in many pictures: entropy alone would cut everything else off.
TEST(Quantizer, WhatComesBeforeTheFirstLayerKeepsItsWholeRange) {
  Builder b(15);
  const std::string x = b.input("x", Dtype::f32, {-1, 1, 16, 16});
  b.rename(b.conv(x, 8, {.bias = true}), "y");
  const Graph net = *b.finish({"y"}, {});
  std::vector<Batch> batches{{noise({16, 1, 16, 16}, 51, -0.8, 2)}};
  auto pixels = batches[0][0].values<float>();
  for (std::size_t i = 0; i < pixels.size(); i += 2) pixels[i] = -0.8F;
  for (const RangeMethod method : {RangeMethod::percentile, RangeMethod::entropy}) {
    const auto quantizer = Quantizer::create(net, batches, {.method = method, .threads = 1});
    ASSERT_TRUE(quantizer.ok()) << quantizer.error().message;
    EXPECT_GT(agreement(*quantizer->quantize(), net, batches, 1)->signal_to_noise_db, 30) << enum_name(method);
  }
}

TEST(Quantizer, EffectsFindTheLayerThatIntegersHurt) {
  Builder b(13);
  std::string x = b.input("x", Dtype::f32, {-1, 8, 8, 8});
  x = b.relu(b.conv(x, 8, {.bias = true}));
  x = b.relu(b.conv(x, 8, {.bias = true}));
  b.rename(b.conv(x, 8, {.bias = true}), "y");
  Graph net = *b.finish({"y"}, {});
  // One input channel of the second layer is a thousand times larger than the others, and counts a thousand times less.
  const std::string first = net.nodes[0].inputs[1], second = net.nodes[2].inputs[1];
  auto large = net.initializers.at(first).values<float>();
  for (std::size_t i = 0; i < 72; ++i) large[i] *= 1000;
  auto small = net.initializers.at(second).values<float>();
  for (std::size_t o = 0; o < 8; ++o)
    for (std::size_t k = 0; k < 9; ++k) small[o * 72 + k] /= 1000;
  std::vector<Batch> batches{{noise({8, 8, 8, 8}, 41)}, {noise({8, 8, 8, 8}, 42)}};
  auto quantizer = Quantizer::create(net, batches, {.percentile = 1, .threads = 1});
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().message;
  const auto effects = quantizer->effects(batches);
  ASSERT_TRUE(effects.ok()) << effects.error().message;
  ASSERT_EQ(effects->size(), 3U);
  EXPECT_LT((*effects)[1].signal_to_noise_db, 10);
  EXPECT_GT((*effects)[0].signal_to_noise_db, 25);
  EXPECT_GT((*effects)[2].signal_to_noise_db, 25);
  const std::set<std::string> kept = layers_to_keep(*effects, 0.1);
  EXPECT_THAT(kept, testing::ElementsAre((*effects)[1].layer));
  const auto all = agreement(*quantizer->quantize(), net, batches, 1), mixed = agreement(*quantizer->quantize(kept), net, batches, 1);
  EXPECT_GT(mixed->signal_to_noise_db, all->signal_to_noise_db + 15);
}

TEST(Quantizer, WhatCannotBeQuantisedSaysWhy) {
  const std::vector<Batch> batches = pictures(1);
  const Graph integer = *Quantizer::create(mixed_net(), batches, {.threads = 1})->quantize();
  const auto twice = Quantizer::create(integer, batches);
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(twice.error().message, testing::HasSubstr("already"));
  Builder b(1);
  const std::string x = b.relu(b.input("x", Dtype::f32, {-1, 3, 16, 16}));
  const auto nothing = Quantizer::create(*b.finish({x}, {}), batches);
  ASSERT_FALSE(nothing.ok());
  EXPECT_THAT(nothing.error().message, testing::HasSubstr("nothing to quantise"));
  EXPECT_EQ(Quantizer::create(mixed_net(), {}).error().kind, ErrorKind::usage);
  std::vector<Batch> bad = pictures(1);
  bad[0][0].values<float>()[5] = std::nanf("");
  EXPECT_EQ(Quantizer::create(mixed_net(), bad).error().kind, ErrorKind::invalid_data);
}

// --- old opsets in the words of opset 13 ---

struct Old {
  const char* what;
  std::int64_t opset;
  std::vector<graph::Node> nodes;
  std::map<std::string, Tensor> constants;
};

TEST(RaiseOpset, EveryRespelledOperatorGivesTheSameNumbers) {
  using Ints = std::vector<std::int64_t>;
  const std::vector<Old> cases{
      {"Clip", 9, {{"n", "Clip", {"x"}, {"y"}, {{"min", -0.5F}, {"max", 0.25F}}, ""}}, {}},
      {"Clip from below", 9, {{"n", "Clip", {"x"}, {"y"}, {{"min", -0.5F}}, ""}}, {}},
      {"Softmax over three axes", 11, {{"n", "Softmax", {"x"}, {"y"}, {}, ""}}, {}},
      {"LogSoftmax over the last", 11, {{"n", "LogSoftmax", {"x"}, {"y"}, {{"axis", std::int64_t{3}}}, ""}}, {}},
      {"Pad", 9, {{"n", "Pad", {"x"}, {"y"}, {{"pads", Ints{0, 0, 1, 2, 0, 0, 0, 1}}, {"value", 0.5F}}, ""}}, {}},
      {"Slice", 9, {{"n", "Slice", {"x"}, {"y"}, {{"starts", Ints{1, 0}}, {"ends", Ints{3, 2}}, {"axes", Ints{1, 2}}}, ""}}, {}},
      {"ReduceSum", 11, {{"n", "ReduceSum", {"x"}, {"y"}, {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{0}}}, ""}}, {}},
      {"Unsqueeze and Squeeze",
       11,
       {{"a", "Unsqueeze", {"x"}, {"w"}, {{"axes", Ints{1}}}, ""}, {"n", "Squeeze", {"w"}, {"y"}, {{"axes", Ints{1}}}, ""}},
       {}},
      {"Split",
       11,
       {{"a", "Split", {"x"}, {"u", "v"}, {{"axis", std::int64_t{1}}, {"split", Ints{1, 3}}}, ""}, {"n", "Relu", {"v"}, {"y"}, {}, ""}},
       {}},
      {"Upsample 7", 7, {{"n", "Upsample", {"x"}, {"y"}, {{"mode", "nearest"}, {"scales", std::vector<float>{1, 1, 2, 2}}}, ""}}, {}},
      {"Upsample 9", 9, {{"n", "Upsample", {"x", "s"}, {"y"}, {{"mode", "linear"}}, ""}}, {{"s", Tensor::of<float>({4}, {1, 1, 2, 2})}}},
      {"Resize 10",
       10,
       {{"n", "Resize", {"x", "s"}, {"y"}, {{"mode", "nearest"}}, ""}},
       {{"s", Tensor::of<float>({4}, {1, 1, 1.5F, 1.5F})}}},
      {"Scatter",
       9,
       {{"n", "Scatter", {"x", "i", "u"}, {"y"}, {{"axis", std::int64_t{3}}}, ""}},
       {{"i", Tensor::zeros(Dtype::i64, {2, 4, 6, 1})}, {"u", Tensor::filled({2, 4, 6, 1}, 9)}}},
      {"TopK", 9, {{"n", "TopK", {"x"}, {"y", "places"}, {{"k", std::int64_t{2}}, {"axis", std::int64_t{1}}}, ""}}, {}},
  };
  for (const Old& old : cases) {
    Graph graph;
    graph.opset = old.opset;
    graph.nodes = old.nodes;
    graph.initializers = old.constants;
    graph.inputs = {{"x", Dtype::f32, {2, 4, 6, 6}, {}}};
    const auto values = graph::infer_shapes(graph);
    ASSERT_TRUE(values.ok()) << old.what << ": " << values.error().message;
    graph.outputs = {values->at("y")};
    const auto raised = graph::raise_opset(graph, 13);
    ASSERT_TRUE(raised.ok()) << old.what << ": " << raised.error().message;
    EXPECT_EQ(raised->opset, 13);
    EXPECT_TRUE(graph::serialize_onnx(*raised).ok()) << old.what;
    const Tensor x = noise({2, 4, 6, 6}, 3);
    auto before = Session::create(graph, {.threads = 1}), after = Session::create(*raised, {.threads = 1});
    ASSERT_TRUE(before.ok()) << old.what << ": " << before.error().message;
    ASSERT_TRUE(after.ok()) << old.what << ": " << after.error().message;
    EXPECT_LE(relative_difference(*after->run(x), *before->run(x)), 1e-6) << old.what;
  }
  EXPECT_EQ(graph::raise_opset(Graph{}, 17)->opset, 17);
  EXPECT_EQ(graph::raise_opset(Graph{}, 18).error().kind, ErrorKind::unsupported);
}

}  // namespace
}  // namespace sightline::runtime
