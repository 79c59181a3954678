// What only moves channels is one step, and moves them to the right place.
#include "runtime/channel_moves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "graph/builder.h"
#include "runtime/reference_test.h"
#include "runtime/scheduler.h"
#include "runtime/session.h"
#include "runtime/verified_steps_test.h"

namespace sightline::runtime {
namespace {

using graph::Builder;
using graph::Graph;

// Two convolutions, joined, shuffled in groups, cut, convolved again.
sightline::Result<Graph> shuffle_unit(std::int64_t left, std::int64_t right, std::int64_t groups, const std::vector<std::int64_t>& parts) {
  Builder b(1);
  const std::string x = b.input("x", Dtype::f32, {-1, 16, 9, 7});
  const std::string joined = b.concat({b.relu(b.conv(x, left, {})), b.relu(b.conv(x, right, {}))});
  std::vector<std::string> outputs;
  for (const std::string& part : b.split(b.channel_shuffle(joined, groups), parts)) outputs.push_back(b.conv(part, 16, {}));
  return b.finish(outputs, {});
}

TEST(ChannelMoves, AShuffleBetweenConvolutionsIsOneStep) {
  struct Case {
    std::int64_t left, right, groups;
    std::vector<std::int64_t> parts;
  };
  for (const Case& c : {Case{58, 58, 2, {58, 58}}, Case{20, 22, 3, {10, 32}}, Case{16, 32, 4, {17, 30, 1}}, Case{24, 24, 16, {48}}}) {
    for (const std::int64_t images : {1, 3}) {
      const auto types = verified_steps(shuffle_unit(c.left, c.right, c.groups, c.parts), {images, 16, 9, 7}, 2, 1e-5);
      if (!has_channel_blocks()) continue;
      EXPECT_THAT(types, testing::Contains("Concat+Reshape+Transpose+Reshape+Split")) << c.left;
      EXPECT_THAT(types, testing::Not(testing::Contains("Split"))) << c.left;
    }
  }
}

TEST(ChannelMoves, WhatIsAskedForInBetweenIsThere) {
  Builder b(1);
  const std::string x = b.input("x", Dtype::f32, {-1, 16, 6, 6});
  const std::string joined = b.concat({b.conv(x, 10, {}), b.conv(x, 14, {})});
  const std::string shuffled = b.channel_shuffle(joined, 2);
  const std::vector<std::string> halves = b.split(shuffled, {12, 12});
  const auto types = verified_steps(b.finish({joined, shuffled, b.conv(halves[1], 16, {}), halves[0]}, {}), {2, 16, 6, 6}, 2, 1e-5);
  if (has_channel_blocks()) {
    EXPECT_THAT(types, testing::Contains("Concat"));
  }
}

// Of one image whole blocks are cut without a step, also where one half is summed into (in place elsewhere) while the other is still read.
TEST(ChannelMoves, WholeBlocksAreCutWhereTheyLie) {
  for (const std::int64_t images : {1, 2}) {
    Builder b(1);
    const std::string x = b.input("x", Dtype::f32, {-1, 16, 6, 6});
    const std::vector<std::string> halves = b.split(b.relu(b.conv(x, 48, {})), {32, 16});
    const std::string sum = b.relu(b.add(b.conv(halves[0], 16, {}), halves[1]));
    const std::string both = b.concat({halves[0], halves[1], sum});
    const auto types = verified_steps(b.finish({b.conv(both, 16, {}), sum}, {}), {images, 16, 6, 6}, 2, 1e-5);
    if (!has_channel_blocks()) continue;
    EXPECT_EQ(std::ranges::count(types, "Split"), images == 1 ? 0 : 1);
  }
  Builder b(1);
  const std::string x = b.input("x", Dtype::f32, {-1, 16, 6, 6});
  std::vector<std::string> outputs;
  for (const std::string& part : b.split(b.relu(b.conv(x, 64, {})), {20, 24, 20})) outputs.push_back(b.conv(part, 16, {}));
  const auto types = verified_steps(b.finish(outputs, {}), {1, 16, 6, 6}, 2, 1e-5);
  EXPECT_EQ(std::ranges::count(types, "Split"), 1);
  if (has_channel_blocks()) {
    EXPECT_LE(std::ranges::count(types, "reorder"), 4);  // of the input and of the outputs
  }
}

// A Transpose that moves the picture, a Reshape that mixes it with channels, a Split of rows: the Concat is one step, the rest is not ours.
TEST(ChannelMoves, OtherMovesStayWhatTheyAre) {
  for (int kind = 0; kind < 3; ++kind) {
    Builder b(1);
    const std::string x = b.input("x", Dtype::f32, {-1, 16, 6, 6});
    const std::string joined = b.concat({b.conv(x, 10, {}), b.conv(x, 14, {})});  // N×24×6×6
    std::vector<std::string> outputs;
    if (kind == 0) outputs = {b.node("Transpose", {joined}, {{"perm", std::vector<std::int64_t>{0, 1, 3, 2}}})};
    if (kind == 1) outputs = {b.node("Reshape", {joined, b.constant("mixed", Tensor::of<std::int64_t>({4}, {-1, 12, 12, 6}))})};
    if (kind == 2) outputs = b.split(joined, {4, 2}, 2);
    verified_steps(b.finish(outputs, {}), {2, 16, 6, 6}, 2, 1e-5);
  }
}

// Large enough to be shared by threads.
TEST(ChannelMoves, SharedByThreadsTheResultIsTheSame) {
  if (!has_channel_blocks()) return;
  std::vector<ChannelOrigin> origins;
  for (std::int64_t c = 0; c < 20; ++c) origins.push_back({static_cast<std::size_t>(c % 2), (c * 7) % 40});
  constexpr std::int64_t images = 2, pixels = 5000, blocks = 3;
  const Tensor a = noise({images, blocks, pixels, 16}), b = noise({images, blocks, pixels, 16});
  const std::vector<const float*> from{a.values<float>().data(), b.values<float>().data()};
  Tensor to(Dtype::f32, {images, 2, pixels, 16});
  Scheduler scheduler(3);
  scheduler.together(3, [&] { move_channels(channel_blocks(origins), from, {48, 48}, to.values<float>().data(), images, pixels); });
  for (std::int64_t n = 0; n < images; ++n)
    for (std::int64_t c = 0; c < 32; ++c)
      for (std::int64_t p = 0; p < pixels; ++p) {
        const auto at = [&](std::int64_t of, std::int64_t channel) {
          return static_cast<std::size_t>(((n * of + channel / 16) * pixels + p) * 16 + channel % 16);
        };
        const float wanted =
            c < 20 ? from[origins[static_cast<std::size_t>(c)].source][at(blocks, origins[static_cast<std::size_t>(c)].channel)] : 0.0F;
        ASSERT_EQ(to.values<float>()[at(2, c)], wanted) << n << " " << c << " " << p;
      }
}

}  // namespace
}  // namespace sightline::runtime
