// Plain stacks of convolutions and max pools. Source: Simonyan and Zisserman 2014, with batch normalisation. Shapes behind the lines:
// input N×1×28×28.
#include "modules/backbones.h"

namespace sightline::modules {

std::string plain_s(graph::Builder& builder, const std::string& x) {
  std::string y = conv_norm_pool_relu(builder, reduce(builder, x, 16), 16);  // N×16×14×14
  y = conv_norm_pool_relu(builder, y, 32);                                   // N×32×7×7
  y = conv_norm_relu(builder, y, 64, {});                                    // N×64×7×7
  return conv_norm_relu(builder, y, 64, {});                                 // N×64×7×7
}

std::string plain_m(graph::Builder& builder, const std::string& x) {
  std::string y = conv_norm_relu(builder, reduce(builder, x, 32), 32, {});  // N×32×28×28
  y = conv_norm_pool_relu(builder, y, 32);                                  // N×32×14×14
  y = conv_norm_relu(builder, y, 64, {});                                   // N×64×14×14
  y = conv_norm_pool_relu(builder, y, 64);                                  // N×64×7×7
  y = conv_norm_relu(builder, y, 96, {});                                   // N×96×7×7
  return conv_norm_relu(builder, y, 96, {});                                // N×96×7×7
}

}  // namespace sightline::modules
