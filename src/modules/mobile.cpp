// Inverted residuals. Sources: Sandler et al. 2018 (the block), Howard et al. 2019 (Hard-Swish). The only backbone with depthwise
// convolutions, which are cheap to serve and slow to train on a CPU. Shapes behind the lines: input N×1×28×28.
#include "modules/backbones.h"

namespace sightline::modules {
namespace {

// 1×1 to `expansion` times the channels, depthwise 3×3, 1×1 to `channels`; added to x where the shape stays.
std::string inverted_residual(graph::Builder& builder, const std::string& x, std::int64_t channels, std::int64_t expansion,
                              std::int64_t stride) {
  const Shape shape = builder.shape_of(x);
  const std::int64_t input = shape.size() == 4 ? shape[1] : 0;
  const std::int64_t wide = input * expansion;
  std::string y = expansion == 1 ? x : builder.hard_swish(builder.batch_norm(builder.conv(x, wide, {.kernel = 1})));
  y = builder.hard_swish(builder.batch_norm(builder.conv(y, wide, {.stride = stride, .groups = wide})));
  y = builder.batch_norm(builder.conv(y, channels, {.kernel = 1}));
  return stride == 1 && input == channels ? builder.add(x, y) : y;
}

}  // namespace

std::string mobile_s(graph::Builder& builder, const std::string& x) {
  std::string y = conv_norm_relu(builder, reduce(builder, x, 16), 16, {});             // N×16×28×28
  y = inverted_residual(builder, y, 24, 1, 2);                                         // N×24×14×14
  y = inverted_residual(builder, y, 24, 3, 1);                                         // N×24×14×14
  y = inverted_residual(builder, y, 40, 3, 2);                                         // N×40×7×7
  y = inverted_residual(builder, y, 40, 3, 1);                                         // N×40×7×7
  y = inverted_residual(builder, y, 40, 3, 1);                                         // N×40×7×7
  return builder.hard_swish(builder.batch_norm(builder.conv(y, 160, {.kernel = 1})));  // N×160×7×7
}

}  // namespace sightline::modules
