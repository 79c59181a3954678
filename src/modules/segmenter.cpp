#include "modules/segmenter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "modules/backbones.h"
#include "modules/detector.h"
#include "modules/modules.h"

namespace sightline::modules {
namespace {

// Channels of the decoder at strides 16, 8, 4 and 2.
constexpr std::array<std::int64_t, 4> widths{128, 96, 64, 32};
constexpr float first_deviation = 0.01F;  // of the last weights: at first every class is about as probable at every pixel

// The maps at strides 2 to 32 → N×32×H/2×W/2.
std::string append_decoder(graph::Builder& builder, const std::vector<std::string>& stages) {
  std::string y = stages.back();  // N×320×H/32×W/32
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const std::string& side = stages[stages.size() - 2 - i];
    y = builder.upsample_nearest(conv_norm_relu(builder, y, widths[i], {.kernel = 1}), 2);
    y = builder.add(y, conv_norm_relu(builder, side, widths[i], {.kernel = 1}));
    y = conv_norm_relu(builder, y, widths[i], {});  // N×128×H/16, N×96×H/8, N×64×H/4, N×32×H/2
  }
  return residual(builder, y);
}

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
  const std::string y = append_decoder(builder, stages);
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
  std::int64_t layers = 0;
  bool within = true;
  for (const graph::Node& node : graph.nodes) {
    if (node.op_type == "Conv" && within) ++layers;
    if (node.outputs[0] == stages.back()) within = false;
    if (std::ranges::find(last, node.outputs[0]) == last.end()) continue;
    Tensor& weight = graph.initializers.at(node.inputs[1]);
    const float factor = first_deviation / std::sqrt(2.0F / static_cast<float>(weight.dim(0)));  // the builder's is √(2/fan out)
    for (float& each : weight.values<float>()) each *= factor;
  }
  graph.metadata[backbone_layers_key] = std::to_string(layers);
  return graph;
}

}  // namespace sightline::modules
