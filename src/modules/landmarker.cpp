#include "modules/landmarker.h"

#include <fmt/format.h>

#include <array>

#include "modules/backbones.h"
#include "modules/decoder.h"
#include "modules/detector.h"
#include "modules/modules.h"

namespace sightline::modules {
namespace {

constexpr std::array<std::int64_t, 3> widths{128, 96, 64};  // of the decoder at strides 16, 8 and 4

Result<void> check_options(const LandmarkerOptions& options, const Backbone& backbone) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  if (backbone.append_stages == nullptr)
    return usage(fmt::format("a landmarker wants a backbone with maps at strides 2 to 32, which {} has not", backbone.name));
  SIGHTLINE_CHECK(check_picture(backbone, {options.height, options.width, options.channels, options.mean, options.deviation}));
  if (options.height % coarsest_stride != 0 || options.width % coarsest_stride != 0)
    return usage(fmt::format("a landmarker's sides are multiples of {}, not {}×{}", coarsest_stride, options.width, options.height));
  if (options.landmarks < 1 || options.landmarks > most_landmarks)
    return usage(fmt::format("a landmarker of {} points; 1 to {} are possible", options.landmarks, most_landmarks));
  return {};
}

}  // namespace

Result<graph::Graph> build_landmarker(const LandmarkerOptions& options) {
  SIGHTLINE_TRY(const Backbone* backbone, find_backbone(options.backbone));
  SIGHTLINE_CHECK(check_options(options, *backbone));
  graph::Builder builder(options.seed);
  const std::string x = builder.image_input(options.height, options.width, options.channels, options.mean, options.deviation);
  const std::vector<std::string> stages = backbone->append_stages(builder, x);
  const std::string y = append_decoder(builder, stages, widths);                                  // N×64×H/4×W/4
  builder.rename(builder.conv(y, options.landmarks, {.kernel = 1, .bias = true}), place_logits);  // N×K×H/4×W/4
  const std::int64_t rows = options.height / landmark_stride, columns = options.width / landmark_stride;
  const auto reshaped = [&](const std::string& from, const Tensor& shape) {
    return builder.node("Reshape", {from, builder.constant("heat_maps.shape", shape)});
  };
  const std::string flat = reshaped(place_logits, Tensor::of<std::int64_t>({3}, {0, options.landmarks, rows * columns}));
  builder.rename(reshaped(builder.softmax(flat), Tensor::of<std::int64_t>({4}, {0, options.landmarks, rows, columns})), heat_maps);
  SIGHTLINE_TRY(graph::Graph graph, builder.finish({heat_maps}, {place_logits}));
  say_little_at_first(graph, std::array{std::string(place_logits)});
  mark_backbone(graph, stages.back());
  return graph;
}

}  // namespace sightline::modules
