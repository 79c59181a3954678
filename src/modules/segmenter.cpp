#include "modules/segmenter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "modules/backbones.h"
#include "modules/decoder.h"
#include "modules/detector.h"
#include "modules/modules.h"

namespace sightline::modules {
namespace {

// Channels of the decoder at strides 16, 8, 4 and 2.
constexpr std::array<std::int64_t, 4> widths{128, 96, 64, 32};

std::string doubled(graph::Builder& builder, const std::string& x) {
  return builder.node("Resize", {x, "", builder.constant("upsample.scales", Tensor::of<float>({4}, {1, 1, 2, 2}))},
                      {{"mode", std::string("linear")}, {"coordinate_transformation_mode", std::string("half_pixel")}});
}

Result<void> check_options(const SegmenterOptions& options, const Backbone& backbone) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  if (backbone.append_stages == nullptr) {
    std::string those;
    for (const Backbone& each : backbones())
      if (each.append_stages != nullptr) those += fmt::format("{}{}", those.empty() ? "" : ", ", each.name);
    return usage(
        fmt::format("a segmenter wants a backbone with maps at strides 2 to 32, which {} has not; these have: {}", backbone.name, those));
  }
  SIGHTLINE_CHECK(check_picture(backbone, {options.height, options.width, options.channels, options.mean, options.deviation}));
  if (options.height % coarsest_stride != 0 || options.width % coarsest_stride != 0)
    return usage(fmt::format("a segmenter's sides are multiples of {}, not {}×{}", coarsest_stride, options.width, options.height));
  if (options.classes < 1 || options.classes > most_pixel_classes)
    return usage(fmt::format("a segmenter of {} classes; 1 to {} are possible", options.classes, most_pixel_classes));
  return {};
}

}  // namespace

Result<graph::Graph> build_segmenter(const SegmenterOptions& options) {
  SIGHTLINE_TRY(const Backbone* backbone, find_backbone(options.backbone));
  SIGHTLINE_CHECK(check_options(options, *backbone));
  graph::Builder builder(options.seed);
  const std::string x = builder.image_input(options.height, options.width, options.channels, options.mean, options.deviation);
  const std::vector<std::string> stages = backbone->append_stages(builder, x);
  const std::string y = append_decoder(builder, stages, widths);
  std::vector<std::string> last, serving{"class_scores"}, training{pixel_logits};
  const auto answer = [&](std::int64_t channels, const char* name) {
    last.push_back(builder.conv(y, channels, {.kernel = 1, .bias = true}));  // N×channels×H/2×W/2
    builder.rename(doubled(builder, last.back()), name);                     // N×channels×H×W
  };
  answer(options.classes + 1, pixel_logits);
  builder.rename(builder.softmax(pixel_logits, 1), "class_scores");
  if (options.instances) {
    answer(2, instance_logits);
    builder.rename(builder.sigmoid(instance_logits), "instance_maps");
    serving.emplace_back("instance_maps");
    training.emplace_back(instance_logits);
  }
  SIGHTLINE_TRY(graph::Graph graph, builder.finish(serving, training));
  say_little_at_first(graph, last);
  mark_backbone(graph, stages.back());
  return graph;
}

}  // namespace sightline::modules
