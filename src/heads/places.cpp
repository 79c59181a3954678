#include "heads/places.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "heads/appending.h"

namespace sightline::heads {

namespace {

constexpr const char* threshold_name = "anomaly.threshold";
constexpr const char* threshold_key = "sightline_anomaly_threshold";
constexpr double blur_reach = 3;  // standard deviations

// ONNX computes the new size as floor(old · scale): the least factor from which that is the size that is meant.
float factor_for(std::int64_t from, std::int64_t to) {
  float factor = static_cast<float>(to) / static_cast<float>(from);
  while (std::floor(factor * static_cast<float>(from)) < static_cast<float>(to)) factor = std::nextafter(factor, 2 * factor);
  return factor;
}

std::string resized(Appender& append, const std::string& map, const Shape& from, std::int64_t height, std::int64_t width,
                    const std::string& name) {
  if (from[2] == height && from[3] == width) return map;
  const std::string scales = append.constant(name, Tensor::of<float>({4}, {1, 1, factor_for(from[2], height), factor_for(from[3], width)}));
  return append.node("Resize", {map, "", scales},
                     {{"mode", std::string("linear")}, {"coordinate_transformation_mode", std::string("half_pixel")}});
}

// Rows of independent normal numbers whose squares sum to 1 on average over what they project.
Tensor random_projection(std::int64_t to, std::int64_t from, std::uint64_t seed) {
  Tensor weight(Dtype::f32, {to, from, 1, 1});
  Random random(seed, 0x706c61636573ULL);
  const double scale = 1 / std::sqrt(static_cast<double>(to));
  for (float& value : weight.values<float>()) value = static_cast<float>(scale * random.normal());
  return weight;
}

std::vector<float> gaussian_taps(double deviation) {
  const auto reach = static_cast<std::int64_t>(std::ceil(blur_reach * deviation));
  std::vector<float> taps;
  double sum = 0;
  for (std::int64_t i = -reach; i <= reach; ++i) sum += std::exp(-0.5 * static_cast<double>(i * i) / (deviation * deviation));
  for (std::int64_t i = -reach; i <= reach; ++i)
    taps.push_back(static_cast<float>(std::exp(-0.5 * static_cast<double>(i * i) / (deviation * deviation)) / sum));
  return taps;
}

// The edge is repeated outwards, so that a border is as near to its neighbours as everything else.
std::string blurred(Appender& append, const std::string& map, double deviation) {
  const std::vector<float> taps = gaussian_taps(deviation);
  const auto length = static_cast<std::int64_t>(taps.size()), reach = length / 2;
  const std::string pads = append.constant("blur_pads", Tensor::of<std::int64_t>({8}, {0, 0, reach, reach, 0, 0, reach, reach}));
  const std::string padded = append.node("Pad", {map, pads}, {{"mode", std::string("edge")}});
  const std::string across = append.constant("blur_across", Tensor::of({1, 1, 1, length}, taps));
  const std::string down = append.constant("blur_down", Tensor::of({1, 1, length, 1}, taps));
  return append.node("Conv", {append.node("Conv", {padded, across}), down});
}

// distance / (distance + threshold)
std::string as_score(Appender& append, const std::string& distance, const std::string& threshold, const char* name) {
  return append.node("Div", {distance, append.node("Add", {distance, threshold})}, {}, name);
}

// N×1×h×w → N
void append_mean_of_largest(Appender& append, graph::Graph& graph, const Shape& shape, std::int64_t count) {
  const std::string flat =
      append.node("Reshape", {distances_value, append.constant("flat", Tensor::of<std::int64_t>({2}, {0, shape[2] * shape[3]}))});
  const std::string how_many = append.constant("how_many", Tensor::of<std::int64_t>({1}, {count}));
  const std::string largest = "anomaly.largest";
  graph.nodes.push_back({largest, "TopK", {flat, how_many}, {largest, largest + ".places"}, {{"axis", std::int64_t{1}}}, ""});
  append.node("ReduceMean", {largest}, {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{0}}}, picture_distance);
}

Result<void> check_threshold(double threshold) {
  if (threshold > 0 && std::isfinite(threshold)) return {};
  return Error{ErrorKind::invalid_data, fmt::format("a threshold of {} is not above 0", threshold)};
}

}  // namespace

std::string Appender::node(const std::string& op_type, std::vector<std::string> inputs, std::map<std::string, graph::Attribute> attributes,
                           std::string output) {
  if (output.empty()) output = fmt::format("{}.{}", prefix_, ++count_);
  graph_->nodes.push_back({output, op_type, std::move(inputs), {output}, std::move(attributes), ""});
  return output;
}

std::string Appender::constant(const std::string& name, Tensor value) {
  std::string full = prefix_ + "." + name;
  graph_->initializers[full] = std::move(value);
  return full;
}

Result<Shape> shape_of_map(const graph::Graph& graph, const std::string& value) {
  SIGHTLINE_TRY(const auto shapes, graph::infer_shapes(graph));
  const auto found = shapes.find(value);
  if (found == shapes.end()) return Error{ErrorKind::not_found, fmt::format("the graph has no value \"{}\"", value)};
  const Shape& shape = found->second.shape;
  if (shape.size() != 4 || found->second.dtype != Dtype::f32 ||
      std::any_of(shape.begin() + 1, shape.end(), [](std::int64_t n) { return n < 1; }))
    return Error{ErrorKind::invalid_data, fmt::format("\"{}\" is {} {}, but a map f32 N×C×h×w of known size is needed", value,
                                                      name_of(found->second.dtype), to_string(shape))};
  return shape;
}

Result<graph::Graph> ending_at(graph::Graph graph, const std::string& value) {
  SIGHTLINE_TRY(const auto shapes, graph::infer_shapes(graph));
  const auto found = shapes.find(value);
  if (found == shapes.end()) return Error{ErrorKind::not_found, fmt::format("the graph has no value \"{}\"", value)};
  graph.outputs = {{value, found->second.dtype, found->second.shape, {}}};
  graph.training_outputs.clear();
  return graph::serving_graph(graph);
}

Result<graph::Graph> append_places(const graph::Graph& backbone, const std::vector<std::string>& maps, const PlaceOptions& options) {
  if (maps.empty() || options.dimensions < 1 || options.around < 1 || options.around % 2 == 0)
    return Error{ErrorKind::invalid_data, "places want at least one map, one dimension, and an odd neighbourhood"};
  std::vector<Shape> shapes;
  std::size_t finest = 0;
  std::int64_t channels = 0;
  for (const std::string& map : maps) {
    SIGHTLINE_TRY(shapes.emplace_back(), shape_of_map(backbone, map));
    if (shapes.back()[2] * shapes.back()[3] > shapes[finest][2] * shapes[finest][3]) finest = shapes.size() - 1;
    channels += shapes.back()[1];
  }
  graph::Graph graph = backbone;
  Appender append(graph, "places");
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < maps.size(); ++i) {
    const std::int64_t reach = options.around / 2;
    const std::string averaged = reach == 0 ? maps[i]
                                            : append.node("AveragePool", {maps[i]},
                                                          {{"kernel_shape", std::vector<std::int64_t>{options.around, options.around}},
                                                           {"pads", std::vector<std::int64_t>{reach, reach, reach, reach}},
                                                           {"count_include_pad", std::int64_t{0}}});
    parts.push_back(resized(append, averaged, shapes[i], shapes[finest][2], shapes[finest][3], fmt::format("scales_{}", i)));
  }
  std::string joined = parts.size() == 1 ? parts[0] : append.node("Concat", parts, {{"axis", std::int64_t{1}}});
  if (channels > options.dimensions) {
    const std::string weight = append.constant("projection", random_projection(options.dimensions, channels, options.seed));
    append.node("Conv", {joined, weight}, {}, places_value);
  } else {
    append.node("Identity", {joined}, {}, places_value);
  }
  return ending_at(std::move(graph), places_value);
}

std::int64_t places_in(double share, std::int64_t places) {
  return std::clamp<std::int64_t>(std::llround(share * static_cast<double>(places)), 1, places);
}

Result<graph::Graph> append_scores(const graph::Graph& graph, const ScoreOptions& options) {
  SIGHTLINE_CHECK(check_threshold(options.threshold));
  SIGHTLINE_TRY(const Shape shape, shape_of_map(graph, distances_value));
  if (shape[1] != 1 || options.height < 1 || options.width < 1 || options.blur < 0 || !(options.share >= 0 && options.share <= 1))
    return Error{ErrorKind::invalid_data, fmt::format("scores of distances {} at {}×{} pixels, blurred by {}, make no sense",
                                                      to_string(shape), options.height, options.width, options.blur)};
  graph::Graph result = graph;
  Appender append(result, "anomaly");
  std::string map = resized(append, distances_value, shape, options.height, options.width, "scales");
  if (options.blur > 0) map = blurred(append, map, options.blur);
  const std::string threshold = append.constant("threshold", Tensor::of<float>({1}, {static_cast<float>(options.threshold)}));
  if (options.share > 0) {
    append_mean_of_largest(append, result, shape, places_in(options.share, shape[2] * shape[3]));
  } else {
    append.node("ReduceMax", {map}, {{"axes", std::vector<std::int64_t>{1, 2, 3}}, {"keepdims", std::int64_t{0}}}, picture_distance);
  }
  const std::string axis = append.constant("channel", Tensor::of<std::int64_t>({1}, {1}));
  const std::string flat = append.node("Squeeze", {map, axis});
  as_score(append, flat, threshold, anomaly_map);
  as_score(append, picture_distance, threshold, anomaly_score);
  result.outputs = {{anomaly_score, Dtype::f32, {-1}, {}}, {anomaly_map, Dtype::f32, {-1, options.height, options.width}, {}}};
  result.training_outputs = {picture_distance};
  result.metadata[threshold_key] = fmt::format("{}", options.threshold);
  SIGHTLINE_CHECK(graph::check(result));
  return result;
}

Result<graph::Graph> with_threshold(const graph::Graph& graph, double threshold) {
  SIGHTLINE_CHECK(check_threshold(threshold));
  if (!graph.initializers.contains(threshold_name))
    return Error{ErrorKind::invalid_data, fmt::format("the graph has no \"{}\": it is no anomaly detector of ours", threshold_name)};
  graph::Graph result = graph;
  result.initializers[threshold_name] = Tensor::of<float>({1}, {static_cast<float>(threshold)});
  result.metadata[threshold_key] = fmt::format("{}", threshold);
  return result;
}

Result<Alarm> alarm_of(const std::vector<double>& good_distances, double rate) {
  if (!(rate > 0 && rate < 1)) return Error{ErrorKind::usage, fmt::format("a false alarm rate of {} is not between 0 and 1", rate)};
  if (good_distances.empty()) return Error{ErrorKind::invalid_data, "a threshold wants good pictures that the model was not fitted on"};
  std::vector<double> sorted = good_distances;
  if (std::any_of(sorted.begin(), sorted.end(), [](double d) { return !std::isfinite(d) || d < 0; }))
    return Error{ErrorKind::invalid_data, "a good picture's distance is not a number from 0 on"};
  std::sort(sorted.begin(), sorted.end());
  const auto n = static_cast<std::int64_t>(sorted.size());
  constexpr double rounding = 1e-9;  // 0.9 · 10 is 9 places, not ten
  const std::int64_t wanted =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil((1 - rate) * static_cast<double>(n + 1) - rounding)));
  const std::int64_t place = std::min(wanted, n);
  return Alarm{sorted[static_cast<std::size_t>(place - 1)], 1 - static_cast<double>(place) / static_cast<double>(n + 1), n};
}

Tensor descriptions_of(const Tensor& places) {
  const std::int64_t pictures = places.dim(0), dimensions = places.dim(1), count = places.dim(2) * places.dim(3);
  Tensor rows(Dtype::f32, {pictures * count, dimensions});
  const auto from = places.values<float>();
  const auto to = rows.values<float>();
  for (std::int64_t n = 0; n < pictures; ++n) {
    for (std::int64_t d = 0; d < dimensions; ++d) {
      const float* channel = from.data() + (n * dimensions + d) * count;
      for (std::int64_t p = 0; p < count; ++p) to[static_cast<std::size_t>((n * count + p) * dimensions + d)] = channel[p];
    }
  }
  return rows;
}

}  // namespace sightline::heads
