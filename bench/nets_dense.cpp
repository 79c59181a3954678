// Nets that answer for places in the picture: a detector and a segmenter.
#include "bench/nets.h"

namespace sightline::bench {
namespace {

using graph::Builder;
using graph::ConvOptions;

std::string conv_silu(Builder& builder, const std::string& x, std::int64_t channels, const ConvOptions& options) {
  return builder.silu(builder.batch_norm(builder.conv(x, channels, options)));
}

// Half of the channels through residual bottlenecks, half around them (Wang et al. 2020, "CSPNet").
std::string cross_stage(Builder& builder, const std::string& x, std::int64_t channels, int count, bool residual = true) {
  const std::int64_t half = channels / 2;
  std::string deep = conv_silu(builder, x, half, {.kernel = 1});
  for (int i = 0; i < count; ++i) {
    const std::string y = conv_silu(builder, conv_silu(builder, deep, half, {.kernel = 1}), half, {});
    deep = residual ? builder.add(deep, y) : y;
  }
  const std::string around = conv_silu(builder, x, half, {.kernel = 1});
  return conv_silu(builder, builder.concat({deep, around}), channels, {.kernel = 1});
}

// Three maxima of growing windows beside the input (spatial pyramid, one after the other).
std::string pyramid(Builder& builder, const std::string& x, std::int64_t channels) {
  Values scales{conv_silu(builder, x, channels / 2, {.kernel = 1})};
  for (int i = 0; i < 3; ++i) scales.push_back(builder.max_pool(scales.back(), 5, 1, 2));
  return conv_silu(builder, builder.concat(scales), channels, {.kernel = 1});
}

std::string conv_twice(Builder& builder, std::string x, std::int64_t channels) {
  for (int i = 0; i < 2; ++i) x = builder.relu(builder.batch_norm(builder.conv(x, channels, {})));
  return x;
}

}  // namespace

Values yolo_s(Builder& builder, const std::string& image) {
  std::string x = conv_silu(builder, image, 32, {.kernel = 6, .stride = 2, .padding = 2});                // N×32×208×208
  x = cross_stage(builder, conv_silu(builder, x, 64, {.stride = 2}), 64, 1);                              // N×64×104×104
  const std::string fine = cross_stage(builder, conv_silu(builder, x, 128, {.stride = 2}), 128, 2);       // N×128×52×52
  const std::string middle = cross_stage(builder, conv_silu(builder, fine, 256, {.stride = 2}), 256, 3);  // N×256×26×26
  x = cross_stage(builder, conv_silu(builder, middle, 512, {.stride = 2}), 512, 1);                       // N×512×13×13
  const std::string top = conv_silu(builder, pyramid(builder, x, 512), 256, {.kernel = 1});               // N×256×13×13
  x = cross_stage(builder, builder.concat({builder.upsample_nearest(top, 2), middle}), 256, 1, false);    // N×256×26×26
  const std::string half = conv_silu(builder, x, 128, {.kernel = 1});                                     // N×128×26×26
  const std::string small = cross_stage(builder, builder.concat({builder.upsample_nearest(half, 2), fine}), 128, 1, false);
  const std::string medium = cross_stage(builder, builder.concat({conv_silu(builder, small, 128, {.stride = 2}), half}), 256, 1, false);
  const std::string large = cross_stage(builder, builder.concat({conv_silu(builder, medium, 256, {.stride = 2}), top}), 512, 1, false);
  constexpr std::int64_t answers = 3 * (4 + 1 + 80);  // anchors × (box, object, classes)
  Values heads;
  for (const std::string& map : {small, medium, large}) heads.push_back(builder.conv(map, answers, {.kernel = 1, .bias = true}));
  return heads;
}

Values u_net(Builder& builder, const std::string& image) {
  Values left;
  std::string x = image;
  for (const std::int64_t channels : {32, 64, 128, 256}) {
    left.push_back(conv_twice(builder, x, channels));  // N×32×256×256 … N×256×32×32
    x = builder.max_pool(left.back(), 2, 2);
  }
  x = conv_twice(builder, x, 512);  // N×512×16×16
  for (const std::int64_t channels : {256, 128, 64, 32}) {
    x = conv_twice(builder, builder.concat({builder.conv_transpose(x, channels, 2, 2), left.back()}), channels);
    left.pop_back();
  }
  return {builder.sigmoid(builder.conv(x, 1, {.kernel = 1, .bias = true}))};  // N×1×256×256
}

}  // namespace sightline::bench
