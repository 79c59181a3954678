// Residual networks for pictures of 16 to 64 pixels. Source: He et al. 2015, with residuals of one convolution and max pools between
// the widths. Measured on one epoch of Fashion-MNIST at 3.8 M multiply-adds: max pools reach 0.875 top1, strided convolutions 0.841, and
// max pools with a two-convolution residual whose last scale begins at zero 0.862. Widths are multiples of 16, because both engines
// compute in blocks of 16 channels. Shapes behind the lines: input N×1×28×28.
#include "modules/backbones.h"

namespace sightline::modules {
std::string residual(graph::Builder& builder, const std::string& x) {
  const Shape& shape = builder.shape_of(x);
  const std::int64_t channels = shape.size() == 4 ? shape[1] : 0;
  return builder.relu(builder.add(x, builder.batch_norm(builder.conv(x, channels, {}))));
}

std::string resnet_xs(graph::Builder& builder, const std::string& x) {
  std::string y = conv_norm_pool_relu(builder, reduce(builder, x, 16), 16);  // N×16×14×14
  y = residual(builder, y);                                                  // N×16×14×14
  y = conv_norm_pool_relu(builder, y, 32);                                   // N×32×7×7
  return residual(builder, y);                                               // N×32×7×7
}

std::string resnet_s(graph::Builder& builder, const std::string& x) {
  std::string y = conv_norm_pool_relu(builder, reduce(builder, x, 16), 16);  // N×16×14×14
  y = conv_norm_pool_relu(builder, y, 32);                                   // N×32×7×7
  y = conv_norm_relu(builder, y, 64, {});                                    // N×64×7×7
  return residual(builder, y);                                               // N×64×7×7
}

std::string resnet_m(graph::Builder& builder, const std::string& x) {
  std::string y = conv_norm_relu(builder, reduce(builder, x, 32), 32, {});  // N×32×28×28
  y = residual(builder, y);                                                 // N×32×28×28
  y = conv_norm_relu(builder, builder.max_pool(y, 2, 2), 64, {});           // N×64×14×14
  y = residual(builder, y);                                                 // N×64×14×14
  y = conv_norm_relu(builder, builder.max_pool(y, 2, 2), 96, {});           // N×96×7×7
  return residual(builder, y);                                              // N×96×7×7
}

}  // namespace sightline::modules
