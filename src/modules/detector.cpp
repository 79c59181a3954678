#include "modules/detector.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "modules/backbones.h"
#include "modules/modules.h"

namespace sightline::modules {
namespace {

constexpr std::array<std::int64_t, 3> strides{8, 16, 32};
constexpr std::int64_t map_width = 64;  // channels of the neck and of the head
constexpr std::int64_t most_classes = 10'000;

// What a point says at first: of every class this little (Lin et al. 2017, so that the many empty points do not rule the first steps), and
// a box of about five strides, by bins that weigh e^(-1/3) of the one before.
constexpr float first_score = 0.01F, first_deviation = 0.01F, first_slope = 1.0F / 3;

constexpr std::array parts{
    DetectorPart{"pan", "neck: three maps of 64 channels, each knowing what the coarser and the finer ones saw",
                 "Liu et al. 2018, arXiv:1803.01534; Lin et al. 2017, arXiv:1612.03144"},
    DetectorPart{"points", "head: class and box of every place of three maps, in branches of their own",
                 "Tian et al. 2019, arXiv:1904.01355; Li et al. 2020, arXiv:2006.04388"},
};

// c8, c16, c32 → three maps N×64 of the same sizes: down from the coarsest, then up from the finest.
std::vector<std::string> append_pan(graph::Builder& builder, const std::vector<std::string>& maps) {
  const auto fuse = [&](const std::string& a, const std::string& b) { return conv_norm_relu(builder, builder.add(a, b), map_width, {}); };
  std::vector<std::string> sides;
  for (const std::string& map : maps) sides.push_back(conv_norm_relu(builder, map, map_width, {.kernel = 1}));
  const std::string middle = fuse(sides[1], builder.upsample_nearest(sides[2], 2));  // N×64×H/16×W/16
  const std::string fine = fuse(sides[0], builder.upsample_nearest(middle, 2));      // N×64×H/8×W/8
  const std::string up = fuse(middle, conv_norm_relu(builder, fine, map_width, {.stride = 2}));
  return {fine, up, fuse(sides[2], conv_norm_relu(builder, up, map_width, {.stride = 2}))};
}

struct Head {
  std::string classes, boxes;                         // N×P×K, N×P×64
  std::vector<std::string> last_classes, last_boxes;  // the convolutions that make them
};

Head append_points(graph::Builder& builder, const std::vector<std::string>& maps, std::int64_t classes) {
  Head head;
  const auto branch = [&](const std::string& map, std::int64_t channels, std::vector<std::string>& last) {
    std::string y = map;
    for (int i = 0; i < 2; ++i) y = conv_norm_relu(builder, y, map_width, {});  // N×64×h×w
    y = builder.conv(y, channels, {.kernel = 1, .bias = true});                 // N×channels×h×w
    last.push_back(y);
    const Shape shape = builder.shape_of(y);
    if (shape.size() != 4) return y;  // the builder has complained
    y = builder.node("Transpose", {y}, {{"perm", std::vector<std::int64_t>{0, 2, 3, 1}}});
    const std::vector<std::int64_t> rows{-1, shape[2] * shape[3], channels};
    return builder.node("Reshape", {y, builder.constant("points.shape", Tensor::of<std::int64_t>({3}, rows))});  // N×hw×channels
  };
  std::vector<std::string> class_rows, box_rows;
  for (const std::string& map : maps) {
    class_rows.push_back(branch(map, classes, head.last_classes));
    box_rows.push_back(branch(map, 4 * box_bins, head.last_boxes));
  }
  builder.rename(builder.concat(class_rows, 1), class_logits);
  builder.rename(builder.concat(box_rows, 1), box_logits);
  head.classes = class_logits;
  head.boxes = box_logits;
  return head;
}

// Edges = centre ∓ expected distance · stride.
void append_decoding(graph::Builder& builder, const Head& head, std::int64_t height, std::int64_t width) {
  const std::vector<AnchorPoint> points = anchor_points(height, width);
  const auto count = static_cast<std::int64_t>(points.size());
  std::vector<float> centres, steps, bins;
  for (const AnchorPoint& point : points) {
    centres.insert(centres.end(), {point.x, point.y, point.x, point.y});
    steps.insert(steps.end(), {-point.stride, -point.stride, point.stride, point.stride});
  }
  for (std::int64_t i = 0; i < box_bins; ++i) bins.push_back(static_cast<float>(i));
  const std::vector<std::int64_t> apart{-1, count, 4, box_bins};
  std::string y = builder.node("Reshape", {head.boxes, builder.constant("bins.shape", Tensor::of<std::int64_t>({4}, apart))});
  // A product with a vector would do, but its constant would be taken for a weight and learned.
  y = builder.mul(builder.softmax(y, 3), builder.constant("bins", Tensor::of<float>({box_bins}, bins)));  // N×P×4×16
  const std::string last = builder.constant("bins.axis", Tensor::of<std::int64_t>({1}, std::vector<std::int64_t>{3}));
  y = builder.node("ReduceSum", {y, last}, {{"keepdims", std::int64_t{0}}});  // N×P×4, strides
  y = builder.mul(y, builder.constant("points.steps", Tensor::of<float>({1, count, 4}, steps)));
  builder.rename(builder.add(y, builder.constant("points.centres", Tensor::of<float>({1, count, 4}, centres))), "boxes");
  builder.rename(builder.sigmoid(builder.node("Transpose", {head.classes}, {{"perm", std::vector<std::int64_t>{0, 2, 1}}})), "scores");
  const std::string most = builder.constant("nms_most", Tensor::of<std::int64_t>({1}, std::vector<std::int64_t>{most_per_class}));
  const std::string overlap = builder.constant("nms_overlap", Tensor::filled({1}, suppress_overlap));
  const std::string score = builder.constant("nms_score", Tensor::filled({1}, least_score));
  // Its boxes are (y, x, y, x), ours (x, y, x, y): overlaps are the same.
  builder.rename(builder.node("NonMaxSuppression", {"boxes", "scores", most, overlap, score}), "selected");
}

const graph::Node* maker_of(const graph::Graph& graph, const std::string& value) {
  for (const graph::Node& node : graph.nodes)
    if (std::ranges::find(node.outputs, value) != node.outputs.end()) return &node;
  return nullptr;
}

// Small weights, and biases by the index of the channel, for the convolutions that make these values.
template <class Bias>
void begin_with(graph::Graph& graph, const std::vector<std::string>& values, Bias bias) {
  for (const std::string& value : values) {
    const graph::Node& conv = *maker_of(graph, value);
    Tensor& weight = graph.initializers.at(conv.inputs[1]);
    const float factor = first_deviation / std::sqrt(2.0F / static_cast<float>(weight.dim(0)));  // the builder's is √(2/fan out)
    for (float& each : weight.values<float>()) each *= factor;
    const auto biases = graph.initializers.at(conv.inputs[2]).values<float>();
    for (std::size_t i = 0; i < biases.size(); ++i) biases[i] = bias(i);
  }
}

Result<void> check_options(const DetectorOptions& options, const Backbone& backbone) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  if (backbone.append_pyramid == nullptr) {
    std::string those;
    for (const Backbone& each : backbones())
      if (each.append_pyramid != nullptr) those += fmt::format("{}{}", those.empty() ? "" : ", ", each.name);
    return usage(fmt::format("a detector wants a backbone with maps at strides 8, 16 and 32, which {} has not; these have: {}",
                             backbone.name, those));
  }
  SIGHTLINE_CHECK(check_picture(backbone, {options.height, options.width, options.channels, options.mean, options.deviation}));
  if (options.height % coarsest_stride != 0 || options.width % coarsest_stride != 0)
    return usage(fmt::format("a detector's sides are multiples of {}, not {}×{}", coarsest_stride, options.width, options.height));
  if (options.classes < 1 || options.classes > most_classes)
    return usage(fmt::format("a detector of {} classes; 1 to {} are possible", options.classes, most_classes));
  return {};
}

}  // namespace

std::vector<AnchorPoint> anchor_points(std::int64_t height, std::int64_t width) {
  std::vector<AnchorPoint> points;
  for (const std::int64_t stride : strides) {
    const auto step = static_cast<float>(stride);
    for (std::int64_t y = 0; y < height / stride; ++y)
      for (std::int64_t x = 0; x < width / stride; ++x)
        points.push_back({(static_cast<float>(x) + 0.5F) * step, (static_cast<float>(y) + 0.5F) * step, step});
  }
  return points;
}

Result<graph::Graph> build_detector(const DetectorOptions& options) {
  SIGHTLINE_TRY(const Backbone* backbone, find_backbone(options.backbone));
  SIGHTLINE_CHECK(check_options(options, *backbone));
  graph::Builder builder(options.seed);
  const std::string x = builder.image_input(options.height, options.width, options.channels, options.mean, options.deviation);
  const std::vector<std::string> maps = backbone->append_pyramid(builder, x);
  const Head head = append_points(builder, append_pan(builder, maps), options.classes);
  append_decoding(builder, head, options.height, options.width);
  SIGHTLINE_TRY(graph::Graph graph, builder.finish({"boxes", "scores", "selected"}, {class_logits, box_logits}));
  begin_with(graph, head.last_classes, [](std::size_t) { return -std::log((1 - first_score) / first_score); });
  begin_with(graph, head.last_boxes, [](std::size_t i) { return -first_slope * static_cast<float>(i % box_bins); });
  mark_backbone(graph, maps.back());
  return graph;
}

std::span<const DetectorPart> detector_parts() { return parts; }

Result<graph::Graph> detector_part(const DetectorPart& part, std::int64_t height, std::int64_t width, std::int64_t classes) {
  SIGHTLINE_TRY(const Backbone* backbone, find_backbone(DetectorOptions{}.backbone));
  graph::Builder sizes(0), builder(0);
  const std::vector<std::string> maps = backbone->append_pyramid(sizes, sizes.input("x", Dtype::f32, {-1, 3, height, width}));
  const bool neck = std::string_view(part.name) == parts[0].name;
  std::vector<std::string> inputs;
  for (std::size_t i = 0; i < maps.size(); ++i) {
    Shape shape = sizes.shape_of(maps[i]);
    if (!neck) shape[1] = map_width;
    inputs.push_back(builder.input(fmt::format("stride_{}", strides[i]), Dtype::f32, shape));
  }
  if (neck) return builder.finish(append_pan(builder, inputs), {});
  append_points(builder, inputs, classes);
  return builder.finish({class_logits, box_logits}, {});
}

}  // namespace sightline::modules
