// The net of the backbone that is shipped (docs/backbones.md): residuals of one convolution as in resnet.cpp, for pictures of about 96
// pixels. Plain 3×3 convolutions only, in widths that both engines like; strides instead of pools, because the features are averaged over
// few places at the end. Source: He et al. 2015. Shapes behind the lines: input N×3×96×96.
#include "modules/backbones.h"

namespace sightline::modules {

std::vector<std::string> sight_s_pyramid(graph::Builder& builder, const std::string& x) {
  std::string y = conv_norm_relu(builder, x, 32, {.stride = 2});       // N×32×48×48
  y = conv_norm_relu(builder, y, 64, {.stride = 2});                   // N×64×24×24
  y = residual(builder, y);                                            // N×64×24×24
  y = conv_norm_relu(builder, y, 96, {.stride = 2});                   // N×96×12×12
  const std::string eighth = residual(builder, residual(builder, y));  // N×96×12×12
  y = conv_norm_relu(builder, eighth, 192, {.stride = 2});             // N×192×6×6
  const std::string sixteenth = residual(builder, y);                  // N×192×6×6
  y = conv_norm_relu(builder, sixteenth, 320, {.stride = 2});          // N×320×3×3
  return {eighth, sixteenth, residual(builder, y)};                    // N×320×3×3
}

std::string sight_s(graph::Builder& builder, const std::string& x) {
  return conv_norm_relu(builder, sight_s_pyramid(builder, x).back(), 768, {.kernel = 1});  // N×768×3×3
}

}  // namespace sightline::modules
