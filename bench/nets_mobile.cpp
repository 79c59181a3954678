// Nets for small devices: depthwise convolutions, gates, shuffled channels.
#include <algorithm>

#include "bench/nets.h"

namespace sightline::bench {
namespace {

using graph::Builder;
using graph::ConvOptions;
using Activation = std::string (*)(Builder&, const std::string&);

std::string none(Builder&, const std::string& x) { return x; }
std::string relu(Builder& builder, const std::string& x) { return builder.relu(x); }
std::string relu6(Builder& builder, const std::string& x) { return builder.clip(x, 0, 6); }
std::string silu(Builder& builder, const std::string& x) { return builder.silu(x); }
std::string hard_swish(Builder& builder, const std::string& x) { return builder.hard_swish(x); }
std::string prelu(Builder& builder, const std::string& x) { return builder.prelu(x, 0.25F); }

std::string conv_norm(Builder& builder, const std::string& x, std::int64_t channels, const ConvOptions& options, Activation activation) {
  return activation(builder, builder.batch_norm(builder.conv(x, channels, options)));
}

std::int64_t channels_of(const Builder& builder, const std::string& x) {
  const Shape& shape = builder.shape_of(x);
  return shape.size() > 1 ? shape[1] : 0;
}

// Mean over the picture, two 1×1 convolutions, a gate for every channel (Hu et al. 2018).
std::string squeeze_excite(Builder& builder, const std::string& x, std::int64_t squeezed, Activation activation, bool hard) {
  const std::int64_t channels = channels_of(builder, x);
  std::string gate = builder.conv(builder.global_average_pool(x), squeezed, {.kernel = 1, .bias = true});  // N×S×1×1
  gate = builder.conv(activation(builder, gate), channels, {.kernel = 1, .bias = true});                   // N×C×1×1
  return builder.mul(x, hard ? builder.hard_sigmoid(gate) : builder.sigmoid(gate));
}

struct Block {
  std::int64_t kernel = 3, expanded = 0, channels = 0, stride = 1;
  std::int64_t squeezed = 0;  // channels of the gate; 0: no gate
  Activation activation = relu6, squeeze_activation = relu;
  bool hard_gate = false;
};

// 1×1 to `expanded` channels, depthwise, gate, 1×1 to `channels`; added to x where the shape stays.
std::string inverted_residual(Builder& builder, const std::string& x, const Block& block) {
  const std::int64_t input = channels_of(builder, x);
  std::string y = block.expanded == input ? x : conv_norm(builder, x, block.expanded, {.kernel = 1}, block.activation);
  y = conv_norm(builder, y, block.expanded, {.kernel = block.kernel, .stride = block.stride, .groups = block.expanded}, block.activation);
  if (block.squeezed > 0) y = squeeze_excite(builder, y, block.squeezed, block.squeeze_activation, block.hard_gate);
  y = conv_norm(builder, y, block.channels, {.kernel = 1}, none);
  return block.stride == 1 && input == block.channels ? builder.add(x, y) : y;
}

// As in the reference code: to a multiple of 8, but never less than nine tenths.
std::int64_t multiple_of_8(std::int64_t channels) {
  const std::int64_t rounded = std::max<std::int64_t>(8, (channels + 4) / 8 * 8);
  return rounded * 10 < channels * 9 ? rounded + 8 : rounded;
}

// One half of the channels stays, the other goes through 1×1, depthwise, 1×1; with stride 2 both are convolved.
std::string shuffle_unit(Builder& builder, const std::string& x, std::int64_t channels, std::int64_t stride) {
  const std::int64_t half = channels / 2;
  std::string stays = x, goes = x;
  if (stride == 1) {
    const Values halves = builder.split(x, {half, half});
    stays = halves[0];
    goes = halves[1];
  } else {
    const std::int64_t input = channels_of(builder, x);
    stays = conv_norm(builder, x, input, {.stride = stride, .groups = input}, none);
    stays = conv_norm(builder, stays, half, {.kernel = 1}, relu);
  }
  goes = conv_norm(builder, goes, half, {.kernel = 1}, relu);
  goes = conv_norm(builder, goes, half, {.stride = stride, .groups = half}, none);
  goes = conv_norm(builder, goes, half, {.kernel = 1}, relu);
  return builder.channel_shuffle(builder.concat({stays, goes}), 2);
}

}  // namespace

Values mobilenet_v2(Builder& builder, const std::string& image) {
  struct Stage {
    std::int64_t expansion, channels, count, stride;
  };
  std::string x = conv_norm(builder, image, 32, {.stride = 2}, relu6);  // N×32×112×112
  for (const Stage& stage : {Stage{1, 16, 1, 1}, Stage{6, 24, 2, 2}, Stage{6, 32, 3, 2}, Stage{6, 64, 4, 2}, Stage{6, 96, 3, 1},
                             Stage{6, 160, 3, 2}, Stage{6, 320, 1, 1}}) {
    for (std::int64_t i = 0; i < stage.count; ++i) {
      x = inverted_residual(builder, x,
                            {.expanded = channels_of(builder, x) * stage.expansion,
                             .channels = stage.channels,
                             .stride = i == 0 ? stage.stride : 1,
                             .activation = relu6});
    }
  }
  x = conv_norm(builder, x, 1280, {.kernel = 1}, relu6);                       // N×1280×7×7
  x = builder.dropout(builder.flatten(builder.global_average_pool(x)), 0.2F);  // N×1280
  return {builder.linear(x, 1000)};
}

Values mobilenet_v3_small(Builder& builder, const std::string& image) {
  struct Row {
    std::int64_t kernel, expanded, channels;
    bool gate, swish;
    std::int64_t stride;
  };
  std::string x = conv_norm(builder, image, 16, {.stride = 2}, hard_swish);  // N×16×112×112
  for (const Row& row :
       {Row{3, 16, 16, true, false, 2}, Row{3, 72, 24, false, false, 2}, Row{3, 88, 24, false, false, 1}, Row{5, 96, 40, true, true, 2},
        Row{5, 240, 40, true, true, 1}, Row{5, 240, 40, true, true, 1}, Row{5, 120, 48, true, true, 1}, Row{5, 144, 48, true, true, 1},
        Row{5, 288, 96, true, true, 2}, Row{5, 576, 96, true, true, 1}, Row{5, 576, 96, true, true, 1}}) {
    x = inverted_residual(builder, x,
                          {.kernel = row.kernel,
                           .expanded = row.expanded,
                           .channels = row.channels,
                           .stride = row.stride,
                           .squeezed = row.gate ? multiple_of_8(row.expanded / 4) : 0,
                           .activation = row.swish ? hard_swish : relu,
                           .hard_gate = true});
  }
  x = conv_norm(builder, x, 576, {.kernel = 1}, hard_swish);  // N×576×7×7
  x = builder.hard_swish(builder.linear(builder.flatten(builder.global_average_pool(x)), 1024));
  return {builder.linear(builder.dropout(x, 0.2F), 1000)};
}

Values efficientnet_b0(Builder& builder, const std::string& image) {
  struct Stage {
    std::int64_t expansion, kernel, stride, channels, count;
  };
  std::string x = conv_norm(builder, image, 32, {.stride = 2}, silu);  // N×32×112×112
  for (const Stage& stage : {Stage{1, 3, 1, 16, 1}, Stage{6, 3, 2, 24, 2}, Stage{6, 5, 2, 40, 2}, Stage{6, 3, 2, 80, 3},
                             Stage{6, 5, 1, 112, 3}, Stage{6, 5, 2, 192, 4}, Stage{6, 3, 1, 320, 1}}) {
    for (std::int64_t i = 0; i < stage.count; ++i) {
      const std::int64_t input = channels_of(builder, x);
      x = inverted_residual(builder, x,
                            {.kernel = stage.kernel,
                             .expanded = input * stage.expansion,
                             .channels = stage.channels,
                             .stride = i == 0 ? stage.stride : 1,
                             .squeezed = input / 4,
                             .activation = silu,
                             .squeeze_activation = silu});
    }
  }
  x = conv_norm(builder, x, 1280, {.kernel = 1}, silu);  // N×1280×7×7
  return {builder.linear(builder.dropout(builder.flatten(builder.global_average_pool(x)), 0.2F), 1000)};
}

Values shufflenet_v2(Builder& builder, const std::string& image) {
  struct Stage {
    std::int64_t channels, count;
  };
  std::string x = builder.max_pool(conv_norm(builder, image, 24, {.stride = 2}, relu), 3, 2, 1);  // N×24×56×56
  for (const Stage& stage : {Stage{116, 4}, Stage{232, 8}, Stage{464, 4}}) {
    for (std::int64_t i = 0; i < stage.count; ++i) x = shuffle_unit(builder, x, stage.channels, i == 0 ? 2 : 1);
  }
  x = conv_norm(builder, x, 1024, {.kernel = 1}, relu);  // N×1024×7×7
  x = builder.node("ReduceMean", {x}, {{"axes", std::vector<std::int64_t>{2, 3}}, {"keepdims", std::int64_t{0}}});
  return {builder.linear(x, 1000)};
}

Values mobilefacenet(Builder& builder, const std::string& image) {
  struct Stage {
    std::int64_t expansion, channels, count, stride;
  };
  std::string x = conv_norm(builder, image, 64, {.stride = 2}, prelu);  // N×64×56×56
  x = conv_norm(builder, x, 64, {.groups = 64}, prelu);
  for (const Stage& stage : {Stage{2, 64, 5, 2}, Stage{4, 128, 1, 2}, Stage{2, 128, 6, 1}, Stage{4, 128, 1, 2}, Stage{2, 128, 2, 1}}) {
    for (std::int64_t i = 0; i < stage.count; ++i) {
      x = inverted_residual(builder, x,
                            {.expanded = channels_of(builder, x) * stage.expansion,
                             .channels = stage.channels,
                             .stride = i == 0 ? stage.stride : 1,
                             .activation = prelu});
    }
  }
  x = conv_norm(builder, x, 512, {.kernel = 1}, prelu);                              // N×512×7×7
  x = conv_norm(builder, x, 512, {.kernel = 7, .groups = 512, .padding = 0}, none);  // N×512×1×1
  return {builder.flatten(conv_norm(builder, x, 128, {.kernel = 1}, none))};         // N×128
}

}  // namespace sightline::bench
