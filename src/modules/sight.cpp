// The net of the backbone that is shipped (docs/backbones.md): residuals of one convolution as in resnet.cpp, for pictures of about 96
// pixels. Plain 3×3 convolutions only, in widths that both engines like; strides instead of pools, because the features are averaged over
// few places at the end. Source: He et al. 2015. Shapes behind the lines: input N×3×96×96.
#include "modules/backbones.h"

namespace sightline::modules {

std::vector<std::string> sight_s_stages(graph::Builder& builder, const std::string& x) {
  const std::string half = conv_norm_relu(builder, x, 32, {.stride = 2});                                // N×32×48×48
  const std::string quarter = residual(builder, conv_norm_relu(builder, half, 64, {.stride = 2}));       // N×64×24×24
  std::string y = conv_norm_relu(builder, quarter, 96, {.stride = 2});                                   // N×96×12×12
  const std::string eighth = residual(builder, residual(builder, y));                                    // N×96×12×12
  const std::string sixteenth = residual(builder, conv_norm_relu(builder, eighth, 192, {.stride = 2}));  // N×192×6×6
  y = conv_norm_relu(builder, sixteenth, 320, {.stride = 2});                                            // N×320×3×3
  return {half, quarter, eighth, sixteenth, residual(builder, y)};                                       // N×320×3×3
}

std::vector<std::string> sight_s_pyramid(graph::Builder& builder, const std::string& x) {
  const std::vector<std::string> stages = sight_s_stages(builder, x);
  return {stages.begin() + 2, stages.end()};
}

std::string sight_s(graph::Builder& builder, const std::string& x) {
  return conv_norm_relu(builder, sight_s_pyramid(builder, x).back(), 768, {.kernel = 1});  // N×768×3×3
}

}  // namespace sightline::modules
