// Classifiers of dense and grouped convolutions.
#include "bench/nets.h"

namespace sightline::bench {
namespace {

using graph::Builder;
using graph::ConvOptions;

std::string conv_norm(Builder& builder, const std::string& x, std::int64_t channels, const ConvOptions& options) {
  return builder.batch_norm(builder.conv(x, channels, options));
}

std::string classify(Builder& builder, const std::string& x) {
  return builder.linear(builder.flatten(builder.global_average_pool(x)), 1000);
}

// x itself, or a 1×1 convolution where the shape changes.
std::string shortcut(Builder& builder, const std::string& x, std::int64_t channels, std::int64_t stride) {
  const bool same = stride == 1 && builder.shape_of(x)[1] == channels;
  return same ? x : conv_norm(builder, x, channels, {.kernel = 1, .stride = stride});
}

std::string basic_block(Builder& builder, const std::string& x, std::int64_t channels, std::int64_t stride) {
  std::string y = builder.relu(conv_norm(builder, x, channels, {.stride = stride}));
  y = conv_norm(builder, y, channels, {});
  return builder.relu(builder.add(y, shortcut(builder, x, channels, stride)));
}

std::string regnet_block(Builder& builder, const std::string& x, std::int64_t channels, std::int64_t stride) {
  constexpr std::int64_t group_width = 16;
  std::string y = builder.relu(conv_norm(builder, x, channels, {.kernel = 1}));
  y = builder.relu(conv_norm(builder, y, channels, {.stride = stride, .groups = channels / group_width}));
  y = conv_norm(builder, y, channels, {.kernel = 1});
  return builder.relu(builder.add(y, shortcut(builder, x, channels, stride)));
}

std::string halve(Builder& builder, const std::string& x) {
  return builder.node(
      "MaxPool", {x},
      {{"kernel_shape", std::vector<std::int64_t>{3, 3}}, {"strides", std::vector<std::int64_t>{2, 2}}, {"ceil_mode", std::int64_t{1}}});
}

// 1×1 to few channels, then 1×1 and 3×3 side by side.
std::string fire(Builder& builder, const std::string& x, std::int64_t squeezed, std::int64_t expanded) {
  const std::string few = builder.relu(builder.conv(x, squeezed, {.kernel = 1, .bias = true}));
  const std::string one = builder.relu(builder.conv(few, expanded, {.kernel = 1, .bias = true}));
  const std::string three = builder.relu(builder.conv(few, expanded, {.kernel = 3, .bias = true}));
  return builder.concat({one, three});
}

}  // namespace

Values resnet_18(Builder& builder, const std::string& image) {
  std::string x = builder.relu(conv_norm(builder, image, 64, {.kernel = 7, .stride = 2}));  // N×64×112×112
  x = builder.max_pool(x, 3, 2, 1);                                                         // N×64×56×56
  for (const std::int64_t channels : {64, 128, 256, 512}) {
    x = basic_block(builder, x, channels, channels == 64 ? 1 : 2);
    x = basic_block(builder, x, channels, 1);
  }
  return {classify(builder, x)};
}

Values regnet_x_400mf(Builder& builder, const std::string& image) {
  struct Stage {
    std::int64_t channels, count;
  };
  std::string x = builder.relu(conv_norm(builder, image, 32, {.stride = 2}));  // N×32×112×112
  for (const Stage& stage : {Stage{32, 1}, Stage{64, 2}, Stage{160, 7}, Stage{400, 12}}) {
    for (std::int64_t i = 0; i < stage.count; ++i) x = regnet_block(builder, x, stage.channels, i == 0 ? 2 : 1);
  }
  return {classify(builder, x)};
}

Values squeezenet(Builder& builder, const std::string& image) {
  std::string x = builder.relu(builder.conv(image, 64, {.stride = 2, .padding = 0, .bias = true}));  // N×64×111×111
  x = fire(builder, fire(builder, halve(builder, x), 16, 64), 16, 64);                               // N×128×55×55
  x = fire(builder, fire(builder, halve(builder, x), 32, 128), 32, 128);                             // N×256×27×27
  x = fire(builder, fire(builder, halve(builder, x), 48, 192), 48, 192);                             // N×384×13×13
  x = fire(builder, fire(builder, x, 64, 256), 64, 256);                                             // N×512×13×13
  x = builder.relu(builder.conv(builder.dropout(x, 0.5F), 1000, {.kernel = 1, .bias = true}));
  return {builder.flatten(builder.global_average_pool(x))};
}

}  // namespace sightline::bench
