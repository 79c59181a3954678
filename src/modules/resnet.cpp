// Residual networks of basic blocks for pictures of 16 to 64 pixels. Source: He et al. 2015. Widths are multiples of 16, because both
// engines compute in blocks of 16 channels. Shapes behind the lines: input N×1×28×28.
#include "modules/backbones.h"

namespace sightline::modules {
namespace {

// relu(x + normalised convolutions of x). Where the shape changes, the shortcut is a 1×1 convolution. The last scale begins at zero, so
// that the block begins as its shortcut (Goyal et al. 2017, Accurate, Large Minibatch SGD, section 5.1).
std::string block(graph::Builder& builder, const std::string& x, std::int64_t channels, std::int64_t stride) {
  std::string y = conv_norm_relu(builder, x, channels, {.stride = stride});
  y = builder.batch_norm(builder.conv(y, channels, {}), 0.0F);
  const Shape& shape = builder.shape_of(x);
  const bool same = stride == 1 && shape.size() == 4 && shape[1] == channels;
  const std::string shortcut = same ? x : builder.batch_norm(builder.conv(x, channels, {.kernel = 1, .stride = stride}));
  return builder.relu(builder.add(y, shortcut));
}

}  // namespace

std::string resnet_xs(graph::Builder& builder, const std::string& x) {
  std::string y = stem(builder, x, 16);  // N×16×28×28
  y = block(builder, y, 16, 2);          // N×16×14×14
  return block(builder, y, 32, 2);       // N×32×7×7
}

std::string resnet_s(graph::Builder& builder, const std::string& x) {
  std::string y = stem(builder, x, 16);  // N×16×28×28
  y = block(builder, y, 32, 2);          // N×32×14×14
  return block(builder, y, 48, 2);       // N×48×7×7
}

std::string resnet_m(graph::Builder& builder, const std::string& x) {
  std::string y = stem(builder, x, 16);  // N×16×28×28
  y = block(builder, y, 32, 1);          // N×32×28×28
  y = block(builder, y, 64, 2);          // N×64×14×14
  return block(builder, y, 96, 2);       // N×96×7×7
}

}  // namespace sightline::modules
