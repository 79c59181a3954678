// The backbones and the parts that they share. Each is one function in the file of its family and one row of the table in
// backbones.cpp (docs/adding-a-backbone.md).
#pragma once

#include <string>
#include <vector>

#include "graph/builder.h"
#include "modules/modules.h"

namespace sightline::modules {

// f32 N×C×H×W → feature map, as struct Backbone in modules.h says.
std::string plain_s(graph::Builder& builder, const std::string& x);
std::string plain_m(graph::Builder& builder, const std::string& x);
std::string resnet_xs(graph::Builder& builder, const std::string& x);
std::string resnet_s(graph::Builder& builder, const std::string& x);
std::string resnet_m(graph::Builder& builder, const std::string& x);
std::string mobile_s(graph::Builder& builder, const std::string& x);
std::string sight_s(graph::Builder& builder, const std::string& x);
// The maps that it is made of at strides 8, 16 and 32: N×96×H/8×W/8, N×192×H/16×W/16, N×320×H/32×W/32.
std::vector<std::string> sight_s_pyramid(graph::Builder& builder, const std::string& x);
// Those and the finer ones before them, strides 2 to 32: N×32×H/2×W/2, N×64×H/4×W/4, and as above.
std::vector<std::string> sight_s_stages(graph::Builder& builder, const std::string& x);

// What the picture is like that a net of ours shall read.
struct PictureInput {
  std::int64_t height = 0, width = 0, channels = 0;
  std::span<const float> mean, deviation;  // per channel, on the 0..255 scale
};
// Error usage: channels, sides that are not the backbone's, a normalisation that makes no sense.
Result<void> check_picture(const Backbone& backbone, const PictureInput& picture);

// Convolution, batch normalisation, ReLU.
std::string conv_norm_relu(graph::Builder& builder, const std::string& x, std::int64_t channels, const graph::ConvOptions& options);

// Convolution (3×3), batch normalisation, 2×2 max pool, ReLU: N×C×H×W → N×channels×⌊H/2⌋×⌊W/2⌋. ReLU and max pool change places at no
// difference to the result, and ReLU then has a quarter of the work.
std::string conv_norm_pool_relu(graph::Builder& builder, const std::string& x, std::int64_t channels);

// relu(x + normalised 3×3 convolution of x); the shape stays.
std::string residual(graph::Builder& builder, const std::string& x);

// Brings pictures of more than 40 pixels a side down: each halving is a 3×3 convolution with stride 2 to `channels`, so that a backbone
// for small pictures costs sane amounts on large ones. Smaller ones pass as they are. N×3×224×224 → 112 → 56 → N×channels×28×28.
std::string reduce(graph::Builder& builder, const std::string& x, std::int64_t channels);

}  // namespace sightline::modules
