// What is fused for speed gives the reference's numbers, and is really fused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "graph/builder.h"
#include "runtime/onednn.h"
#include "runtime/reference_test.h"
#include "runtime/session.h"
#include "runtime/verified_steps_test.h"

namespace sightline::runtime {
namespace {

using graph::Builder;
using graph::Graph;

std::string hard_gate(Builder& b, const std::string& x) { return b.node("HardSigmoid", {x}, {{"alpha", 1.0F / 6}, {"beta", 0.5F}}); }

TEST(Fusion, GatesAreOneFunction) {
  Builder b(1);
  const std::string x = b.input("x", Dtype::f32, {-1, 16, 9, 9});
  const std::string soft = b.silu(b.conv(x, 16, {.bias = true}));
  const std::string y = b.conv(soft, 16, {.groups = 16, .bias = true});
  const std::string hard = b.node("Mul", {hard_gate(b, y), y});
  const std::string added = b.silu(b.add(b.conv(hard, 16, {}), soft));
  EXPECT_THAT(verified_steps(b.finish({added}, {}), {2, 16, 9, 9}),
              testing::AllOf(testing::Contains("Conv+Sigmoid+Mul"), testing::Contains("Conv+HardSigmoid+Mul"),
                             testing::Contains("Conv+Add+Sigmoid+Mul"), testing::Not(testing::Contains("Sigmoid"))));
}

// Gates that must stay: read by somebody else, wanted outside, another slope, a product with something else.
TEST(Fusion, OtherGatesStayWhatTheyAre) {
  Builder b(2);
  const std::string x = b.input("x", Dtype::f32, {-1, 16, 9, 9});
  const std::string first = b.conv(x, 16, {.bias = true});
  const std::string gate = b.sigmoid(first);
  const std::string product = b.mul(first, gate);
  const std::string second = b.conv(product, 16, {.bias = true});
  const std::string steep = b.mul(second, b.node("HardSigmoid", {second}));  // alpha 0.2
  const std::string third = b.conv(steep, 16, {.bias = true});
  const std::string crossed = b.mul(b.sigmoid(third), x);
  const std::string fourth = b.conv(crossed, 16, {.bias = true});
  const std::string doubled = b.add(b.silu(fourth), fourth);  // three readers
  // The crossed product alone is one step: a convolution, its Sigmoid, times something else.
  EXPECT_THAT(verified_steps(b.finish({doubled, gate}, {}), {2, 16, 9, 9}), testing::Contains("Conv+Sigmoid+Mul").Times(testing::Le(1)));
}

// A gate behind arithmetic and behind a normalisation, which look at their followers in their own ways.
TEST(Fusion, GatesBehindOtherHeads) {
  Builder b(4);
  const std::string x = b.input("x", Dtype::f32, {-1, 16, 9, 9});
  const std::string scaled = b.silu(b.mul(x, b.constant("s", Tensor::of<float>({1, 1, 1}, {1.5F}))));
  const std::string summed = b.silu(b.node("Sub", {scaled, x}));
  const std::string multiplied = b.mul(b.node("HardSigmoid", {summed}), summed);
  const std::string normalised = b.silu(b.batch_norm(b.max_pool(multiplied, 3, 1, 1)));
  (void)verified_steps(b.finish({b.silu(b.flatten(normalised))}, {}), {2, 16, 9, 9});
}

// Whatever layout the convolutions like, doubling and joining their results reorders nothing between them.
TEST(Fusion, UpsampledAndJoinedInTheLayoutOfTheConvolutions) {
  Builder b(5);
  const std::string x = b.input("x", Dtype::f32, {-1, 16, 8, 10});
  const std::string coarse = b.upsample_nearest(b.relu(b.conv(b.conv(x, 32, {.stride = 2}), 32, {.kernel = 1})), 2);
  const std::string fine = b.conv(x, 32, {.kernel = 1});
  const auto steps = verified_steps(b.finish({b.conv(b.concat({coarse, fine}), 16, {.kernel = 1})}, {}), {2, 16, 8, 10});
  EXPECT_THAT(steps, testing::AllOf(testing::Contains("Resize").Times(1), testing::Contains("Concat").Times(1)));
  EXPECT_LE(std::ranges::count(steps, "reorder"), 3);  // what comes in, for either reader, and what goes out
}

// Convolutions of all kinds, gates with odd numbers of channels and slopes hand blocks of channels to each other.
TEST(Fusion, NothingIsReorderedBetweenConvolutions) {
  Builder b(6);
  const std::string x = b.input("x", Dtype::f32, {-1, 3, 20, 20});
  const std::string stem = b.relu(b.conv(x, 24, {.stride = 2, .bias = true}));
  const std::string wide = b.relu(b.conv(stem, 48, {.kernel = 1}));
  const std::string grouped = b.prelu(b.conv(wide, 48, {.groups = 3}), 0.25F);
  const std::string deep = b.relu(b.conv(grouped, 40, {.kernel = 1}));
  const std::string each = b.silu(b.conv(deep, 40, {.groups = 40}));
  const std::string few = b.relu(b.conv(b.global_average_pool(each), 10, {.kernel = 1, .bias = true}));
  const std::string gated = b.mul(each, b.sigmoid(b.conv(few, 40, {.kernel = 1, .bias = true})));
  const std::string y = b.global_average_pool(b.relu(b.conv(b.conv(gated, 32, {}), 32, {})));
  const auto steps = verified_steps(b.finish({y}, {}), {2, 3, 20, 20});
  if (has_channel_blocks()) {
    EXPECT_THAT(steps, testing::Not(testing::Contains("reorder")));
  }
}

// What is joined was written where it belongs.
TEST(Fusion, JoinedWithoutAStep) {
  Builder b(7);
  const std::string x = b.input("x", Dtype::f32, {-1, 3, 24, 24});
  const std::string stem = b.relu(b.conv(x, 16, {.bias = true}));
  const std::string one = b.relu(b.conv(stem, 32, {.kernel = 1, .bias = true}));
  const std::string three = b.relu(b.conv(stem, 16, {.bias = true}));
  const std::string fire = b.concat({one, three});
  std::string residual = b.silu(b.conv(fire, 16, {.kernel = 1}));
  for (int i = 0; i < 2; ++i) residual = b.add(residual, b.silu(b.conv(b.silu(b.conv(residual, 16, {.kernel = 1})), 16, {})));
  const std::string crossed = b.concat({residual, b.conv(fire, 16, {.kernel = 1})});
  const std::string pooled = b.max_pool(crossed, 3, 1, 1);
  const std::string pyramid = b.concat({crossed, pooled, b.max_pool(pooled, 3, 1, 1)});
  const auto graph = b.finish({b.global_average_pool(b.conv(pyramid, 16, {.kernel = 1}))}, {});
  const auto steps = verified_steps(graph, {1, 3, 24, 24});
  // `crossed` is itself joined of two, so that it has to be copied into the pyramid.
  if (has_channel_blocks()) {
    EXPECT_EQ(std::ranges::count(steps, "Concat"), 1);
  }
  (void)verified_steps(graph, {3, 3, 24, 24});
}

// A batch is computed image by image where an image is large, with the steps, the bits and the memory of one.
TEST(Fusion, BatchesOfLargeImagesAreThatManyImages) {
  Builder b(9);
  const std::string x = b.input("x", Dtype::f32, {-1, 3, 96, 96});
  const std::string stem = b.relu(b.conv(x, 32, {.bias = true}));
  const std::string joined = b.concat({b.relu(b.conv(stem, 32, {})), b.relu(b.conv(stem, 16, {.kernel = 1}))});
  const auto graph = b.finish({b.global_average_pool(b.conv(joined, 16, {.kernel = 1}))}, {});
  auto session = Session::create(*graph, {.threads = 1});
  ASSERT_TRUE(session.ok());
  const Tensor images = noise({5, 3, 96, 96});
  std::vector<Tensor> alone;
  for (std::int64_t i = 0; i < 5; ++i) alone.push_back(*session->run(images.rows(i, i + 1)));
  const std::size_t arena = session->memory().arena, weights = session->memory().weights;
  const auto together = session->run(images);
  ASSERT_TRUE(together.ok());
  for (std::int64_t i = 0; i < 5; ++i) EXPECT_TRUE(together->rows(i, i + 1).same_as(alone[static_cast<std::size_t>(i)])) << i;
  EXPECT_EQ(session->memory().arena, arena);
  EXPECT_EQ(session->memory().weights, weights);
}

// A decoder's doubling is a 1×1 convolution and written where it is joined.
TEST(Fusion, DoublingIsAPointwiseConvolution) {
  Builder b(10);
  const std::string x = b.input("x", Dtype::f32, {-1, 3, 24, 24});
  const std::string fine = b.relu(b.conv(x, 16, {}));
  const std::string up = b.conv_transpose(b.conv(b.max_pool(fine, 2, 2), 32, {}), 32, 2, 2);
  const auto graph = b.finish({b.global_average_pool(b.conv(b.concat({b.relu(up), fine}), 16, {.kernel = 1}))}, {});
  const auto steps = verified_steps(graph, {1, 3, 24, 24});
  EXPECT_THAT(steps, testing::Contains("ConvTranspose+Relu"));
  if (has_channel_blocks()) {
    EXPECT_THAT(steps, testing::AllOf(testing::Contains("reorder").Times(4), testing::Not(testing::Contains("Concat"))));
  }
}

// Winograd's algorithm cannot gate its result: the gate is one step of its own, in place, and a sum goes on from there.
TEST(Fusion, GatesBehindWinograd) {
  Builder b(11);
  const std::string x = b.input("x", Dtype::f32, {-1, 32, 14, 14});
  const std::string first = b.silu(b.conv(x, 48, {.bias = true}));
  const std::string second = b.add(b.silu(b.conv(first, 48, {.bias = true})), first);
  const std::string third = b.conv(second, 32, {.bias = true});
  const std::string hard = b.node("Mul", {b.node("HardSigmoid", {third}, {{"alpha", 1.0F / 6}, {"beta", 0.5F}}), third});
  const auto steps = verified_steps(b.finish({hard}, {}), {1, 32, 14, 14});
  if (has_channel_blocks()) {
    EXPECT_THAT(steps, testing::AllOf(testing::Contains("Conv").Times(3), testing::Contains("Sigmoid+Mul"),
                                      testing::Contains("Sigmoid+Mul+Add"), testing::Contains("HardSigmoid+Mul")));
  }
}

// oneDNN has F(2×2) for one image only: it runs once for each image of a batch, with bias, function and residual sum.
TEST(Fusion, WinogradImageByImage) {
  Builder b(13);
  const std::string x = b.input("x", Dtype::f32, {-1, 32, 14, 14});
  const std::string first = b.relu(b.conv(x, 48, {.bias = true}));
  const std::string inner = b.relu(b.conv(first, 48, {.kernel = 1, .bias = true}));
  const std::string second = b.relu(b.add(b.conv(inner, 48, {.bias = true}), first));
  const std::string third = b.silu(b.conv(second, 64, {.bias = true}));
  const std::string joined = b.concat({third, b.prelu(b.conv(second, 48, {}), 0.3F)});
  const auto steps = verified_steps(b.finish({b.conv(joined, 16, {.kernel = 1}), second}, {}), {3, 32, 14, 14});
  if (has_channel_blocks()) {
    EXPECT_THAT(steps, testing::AllOf(testing::Contains("Conv+Relu").Times(4), testing::Contains("Conv+Add+Relu").Times(3),
                                      testing::Contains("Sigmoid+Mul").Times(1)));
  }
}

// Swish over many numbers is a pass of our own, a residual sum with it: where the result lies, which may be its seat in a Concat, or where
// the residual lies when nobody reads it again.
TEST(Fusion, SwishIsAPassWithTheSum) {
  for (const std::int64_t images : {1, 2}) {
    for (const bool read_again : {false, true}) {
      Builder b(12);
      const std::string x = b.input("x", Dtype::f32, {-1, 16, 20, 20});
      const std::vector<std::string> halves = b.split(b.silu(b.conv(x, 32, {.kernel = 1, .bias = true})), {16, 16});
      const std::string inner = b.silu(b.conv(halves[1], 16, {.groups = 16}));
      const std::string sum = b.add(read_again ? halves[1] : inner, b.silu(b.conv(inner, 16, {.kernel = 1})));
      const std::string odd = b.silu(b.conv(sum, 20, {.stride = 2}));  // blocks that are partly padding
      const std::string joined = b.concat({halves[0], sum, read_again ? halves[1] : inner});
      const auto steps = verified_steps(b.finish({b.conv(joined, 16, {}), odd, b.silu(b.conv(joined, 16, {}))}, {}), {images, 16, 20, 20});
      EXPECT_THAT(steps, testing::Contains("Sigmoid+Mul+Add"));
      EXPECT_THAT(steps, testing::Contains("Sigmoid+Mul").Times(testing::Ge(3)));
    }
  }
}

// Seats that cannot be taken: odd channels, the caller's input, one value at two places, two values that would sit in one place.
TEST(Fusion, JoinedByCopyingWhereItMust) {
  Builder b(8);
  const std::string x = b.input("x", Dtype::f32, {-1, 16, 10, 10});
  const std::string a = b.conv(x, 16, {}), c = b.conv(x, 24, {.kernel = 1}), d = b.conv(a, 16, {});
  const std::string odd = b.conv(b.concat({c, a}), 16, {.kernel = 1});
  const std::string twice = b.conv(b.concat({d, d, x}), 16, {.kernel = 1});
  // The sum would be written where `e` lies, which is read again afterwards.
  const std::string e = b.conv(d, 16, {});
  const std::string sum = b.add(e, b.conv(e, 16, {}));
  const std::string late = b.conv(b.concat({sum, odd}), 16, {.kernel = 1});
  const std::string y = b.add(b.add(late, b.conv(e, 16, {})), twice);
  const auto graph = b.finish({y, b.concat({a, sum}), e}, {});
  (void)verified_steps(graph, {1, 16, 10, 10});
  (void)verified_steps(graph, {2, 16, 10, 10});
}

// Two functions of one kind in a row, with numbers of their own: oneDNN would give both those of the first.
TEST(Fusion, FunctionsOfOneKindKeepTheirNumbers) {
  Builder b(6);
  const std::string x = b.input("x", Dtype::f32, {-1, 16, 9, 9});
  const auto number = [&](const std::string& name, float value) { return b.constant(name, Tensor::of<float>({}, {value})); };
  std::string y = b.mul(b.conv(x, 32, {.bias = true}), number("a", 0.5F));
  y = b.add(b.relu(b.add(y, number("b", 0.1F))), number("c", -0.3F));
  y = b.conv(y, 32, {.kernel = 1});
  y = b.node("LeakyRelu", {b.node("LeakyRelu", {y}, {{"alpha", 0.5F}})}, {{"alpha", 0.1F}});
  (void)verified_steps(b.finish({y}, {}), {2, 16, 9, 9});
}

TEST(Fusion, WinogradAgreesAloneAndInABatch) {
  Builder b(3);
  const std::string x = b.input("x", Dtype::f32, {-1, 64, 27, 30});
  const auto graph = b.finish({b.relu(b.conv(x, 64, {.bias = true}))}, {});
  EXPECT_THAT(verified_steps(graph, {1, 64, 27, 30}), testing::Contains("Conv+Relu"));
  auto session = Session::create(*graph, {.threads = 1});
  ASSERT_TRUE(session.ok());
  const Tensor both = noise({2, 64, 27, 30});
  const auto together = session->run(both);
  ASSERT_TRUE(together.ok());
  for (std::int64_t i = 0; i < 2; ++i) {
    const auto alone = session->run(both.rows(i, i + 1));
    ASSERT_TRUE(alone.ok());
    EXPECT_LE(relative_difference(*alone, together->rows(i, i + 1)), 1e-5);
  }
}

}  // namespace
}  // namespace sightline::runtime
