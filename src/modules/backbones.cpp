#include "modules/backbones.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/text.h"
#include "modules/modules.h"

namespace sightline::modules {
namespace {

constexpr std::int64_t kLargestUnreduced = 40, kLargestSide = 4096;

constexpr const char* kResnet = "He et al. 2015, Deep Residual Learning for Image Recognition";

// The figures in the descriptions are those of the 10-class classifier; backbones_test.cpp recomputes them.
constexpr Backbone kBackbones[] = {
    {"plain-s", "convolutions and max pools, the simplest; 28×28×1: 61 k parameters, 7.5 MFLOP",
     "Simonyan and Zisserman 2014, Very Deep Convolutional Networks", 8, plain_s},
    {"plain-m", "convolutions and max pools, two a stage; 28×28×1: 204 k parameters, 50.3 MFLOP",
     "Simonyan and Zisserman 2014, Very Deep Convolutional Networks", 8, plain_m},
    {"resnet-xs", "residual, for the tightest latency; 28×28×1: 17 k parameters, 3.9 MFLOP", kResnet, 8, resnet_xs},
    {"resnet-s", "residual, the default: minutes of training on two cores; 28×28×1: 61 k parameters, 7.5 MFLOP", kResnet, 8, resnet_s},
    {"resnet-m", "residual, wide at full resolution: for budgets of 20 minutes and more; 28×28×1: 204 k parameters, 50.4 MFLOP", kResnet, 8,
     resnet_m},
    {"mobile-s", "inverted residuals: few operations when served, slow to train on a CPU; 28×28×1: 41 k parameters, 6.2 MFLOP",
     "Sandler et al. 2018, MobileNetV2; Howard et al. 2019, MobileNetV3 (Hard-Swish)", 16, mobile_s},
    {"sight-s", "residual, for pictures of about 96 pixels: the net of the shipped backbone; 28×28×1: 2505 k parameters, 20.1 MFLOP",
     kResnet, 16, sight_s, sight_s_pyramid, sight_s_stages},
};

}  // namespace

std::span<const Backbone> backbones() { return kBackbones; }

Result<const Backbone*> find_backbone(const std::string& name) {
  std::vector<std::string> names;
  for (const Backbone& each : kBackbones) {
    if (name == each.name) return &each;
    names.emplace_back(each.name);
  }
  return Error{ErrorKind::not_found,
               fmt::format("there is no backbone \"{}\"{}; there are {}", name, did_you_mean(name, names), join(names, ", "))};
}

Result<void> check_picture(const Backbone& backbone, const PictureInput& picture) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  if (picture.channels != 1 && picture.channels != 3) return usage(fmt::format("{} channels; a picture has 1 or 3", picture.channels));
  const auto [least, most] = std::minmax(picture.height, picture.width);
  if (least < backbone.least_side || most > kLargestSide)
    return usage(fmt::format("the backbone {} is for pictures of {} to {} pixels a side, not {}×{}", backbone.name, backbone.least_side,
                             kLargestSide, picture.width, picture.height));
  const auto channels = static_cast<std::size_t>(picture.channels);
  if (picture.mean.size() != channels || picture.deviation.size() != channels)
    return usage(fmt::format("{} means and {} deviations for {} channels", picture.mean.size(), picture.deviation.size(), channels));
  if (!std::ranges::all_of(picture.mean, [](float m) { return std::isfinite(m); }) ||
      !std::ranges::all_of(picture.deviation, [](float d) { return std::isfinite(d) && d > 0.0F; }))
    return usage("means must be finite, and deviations finite and above 0");
  return {};
}

std::string conv_norm_relu(graph::Builder& builder, const std::string& x, std::int64_t channels, const graph::ConvOptions& options) {
  return builder.relu(builder.batch_norm(builder.conv(x, channels, options)));
}

std::string conv_norm_pool_relu(graph::Builder& builder, const std::string& x, std::int64_t channels) {
  return builder.relu(builder.max_pool(builder.batch_norm(builder.conv(x, channels, {})), 2, 2));
}

std::string reduce(graph::Builder& builder, const std::string& x, std::int64_t channels) {
  const auto large = [&](const std::string& value) {
    const Shape& shape = builder.shape_of(value);
    return shape.size() == 4 && std::max(shape[2], shape[3]) > kLargestUnreduced;
  };
  std::string y = x;
  while (large(y)) y = conv_norm_relu(builder, y, channels, {.stride = 2});
  return y;
}

}  // namespace sightline::modules
