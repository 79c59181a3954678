#include "modules/imported.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>

#include "base/random.h"
#include "base/text.h"
#include "modules/cuts.h"

namespace sightline::modules {
namespace {

using graph::Attribute;
using graph::Graph;
using graph::Node;

constexpr std::int64_t usual_side = 224, largest_side = 4096, most_features = 65536;
// What torchvision's and timm's networks expect, on the 0..255 scale.
constexpr std::array imagenet_mean{123.675F, 116.28F, 103.53F}, imagenet_deviation{58.395F, 57.12F, 57.375F};

// Names that begin with "features." are ours as well.
constexpr std::array reserved{"image",           "image.real",    "image.planes", "image.turned",       "image.mean", "image.centred",
                              "image.deviation", "image.swapped", "features",     "image.normalised",   "logits",     "logits.scaled",
                              "probabilities",   head_weight,     head_bias,      "inverse_temperature"};

Node node_of(const std::string& op, std::vector<std::string> inputs, const std::string& output,
             std::map<std::string, Attribute> attributes = {}) {
  return {
      .name = output, .op_type = op, .inputs = std::move(inputs), .outputs = {output}, .attributes = std::move(attributes), .domain = ""};
}

// Gives another name to what is called like something that is about to be added, `cuts` among it.
void make_room(Graph& graph, std::vector<std::string>& cuts) {
  std::set<std::string> taken;
  for (const Node& node : graph.nodes) taken.insert(node.outputs.begin(), node.outputs.end());
  for (const auto& [name, tensor] : graph.initializers) taken.insert(name);
  for (const auto& input : graph.inputs) taken.insert(input.name);
  std::set<std::string> unwanted(reserved.begin(), reserved.end());
  for (const std::string& name : taken)
    if (name.starts_with("features.")) unwanted.insert(name);
  for (const std::string& name : unwanted) {
    if (!taken.contains(name)) continue;
    std::string other = "imported." + name;
    while (taken.contains(other)) other += "_";
    taken.insert(other);
    for (Node& node : graph.nodes) {
      std::replace(node.inputs.begin(), node.inputs.end(), name, other);
      std::replace(node.outputs.begin(), node.outputs.end(), name, other);
    }
    for (auto& input : graph.inputs)
      if (input.name == name) input.name = other;
    if (auto held = graph.initializers.extract(name); !held.empty()) {
      held.key() = other;
      graph.initializers.insert(std::move(held));
    }
    std::ranges::replace(cuts, name, other);
  }
}

// --- the picture ---

struct Picture {
  bool floating = true, channels_first = true;
  std::int64_t side = 0, channels = 0;
};

// Frees the batch and fixes height and width of the only input.
Result<Picture> settle_input(Graph& graph, const std::string& file, const ImportOptions& options, std::vector<std::string>& reasons) {
  if (graph.inputs.size() != 1)
    return Error{ErrorKind::unsupported,
                 fmt::format("{}: a network with one input, the picture, is wanted; this one has {}", file, graph.inputs.size())};
  graph::ValueInfo& input = graph.inputs[0];
  const auto refuse = [&](const std::string& why) {
    return Error{ErrorKind::unsupported,
                 fmt::format("{}: the input \"{}\" is {} {}; {}", file, input.name, name_of(input.dtype), to_string(input.shape), why)};
  };
  if (input.shape.size() != 4 || (input.dtype != Dtype::f32 && input.dtype != Dtype::u8))
    return refuse("f32 or u8 pictures with four axes are wanted");
  const auto depth = [&](std::size_t axis) { return input.shape[axis] == 1 || input.shape[axis] == 3; };
  if (!depth(1) && !depth(3)) return refuse("1 or 3 channels are wanted in the second or the last axis");
  Picture picture;
  picture.floating = input.dtype == Dtype::f32;
  picture.channels_first = depth(1) && (picture.floating || !depth(3));
  picture.channels = input.shape[picture.channels_first ? 1 : 3];
  const std::size_t height = picture.channels_first ? 2 : 1;
  if (input.shape[0] > 1) return refuse("its batch is fixed; export it with a free batch, or a batch of one");
  for (const std::size_t axis : {height, height + 1}) {
    if (input.shape[axis] >= 0) continue;
    input.shape[axis] = options.side > 0 ? options.side : usual_side;
    if (axis == height)
      reasons.push_back(
          fmt::format("input side {}: the graph leaves it free{}", input.shape[axis], options.side > 0 ? ", the demand says so" : ""));
  }
  if (input.shape[height] != input.shape[height + 1]) return refuse("square pictures are wanted");
  picture.side = input.shape[height];
  if (picture.side < 8 || picture.side > largest_side) return refuse(fmt::format("sides of 8 to {} are wanted", largest_side));
  input.shape[0] = -1;
  return picture;
}

// A graph that was exported for one picture says so in constant Reshapes.
void free_batch(Graph& graph) {
  std::map<std::string, Tensor> replaced;
  for (Node& node : graph.nodes) {
    if (node.op_type != "Reshape" || node.inputs.size() < 2 || node.integer("allowzero", 0) != 0) continue;
    const auto found = graph.initializers.find(node.inputs[1]);
    if (found == graph.initializers.end() || found->second.dtype() != Dtype::i64 || found->second.count() < 1) continue;
    const auto sizes = static_cast<const Tensor&>(found->second).values<std::int64_t>();
    if (sizes[0] != 1) continue;
    Tensor target = found->second.copy();
    target.values<std::int64_t>()[0] = 0;  // as the input has it
    const std::string name = node.outputs[0] + ".target";
    if (graph.initializers.contains(name)) continue;
    replaced[name] = target;
    node.inputs[1] = name;
  }
  graph.initializers.merge(replaced);
}

// --- its normalisation ---

std::vector<float> numbers_of(const std::string& text) {
  std::string clean = text;
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return c == ',' || c == '[' || c == ']'; }, ' ');
  std::vector<float> numbers;
  for (const std::string& word : split(clean, ' ')) {
    float number = 0;
    if (word.empty()) continue;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (code != std::errc{} || end != word.data() + word.size() || !std::isfinite(number)) return {};
    numbers.push_back(number);
  }
  return numbers;
}

std::string metadata_of(const Graph& graph, const std::string& key) {
  for (const std::string& name : {key, "model_info " + key})
    if (const auto found = graph.metadata.find(name); found != graph.metadata.end()) return found->second;
  return "";
}

// The largest constant that is taken away from the picture before anything else happens to it, and the largest that it is divided by;
// nothing when the first nodes do not normalise.
struct Inside {
  float taken = 0, divided = 1;
};
std::optional<Inside> normalisation_inside(const Graph& graph) {
  Inside inside;
  bool any = false;
  std::string value = graph.inputs[0].name;
  for (const Node& node : graph.nodes) {  // in topological order
    if (node.inputs.empty() || std::find(node.inputs.begin(), node.inputs.end(), value) == node.inputs.end()) continue;
    const bool moves = node.op_type == "Transpose" || node.op_type == "Cast" || node.op_type == "Identity";
    const bool computes = node.op_type == "Sub" || node.op_type == "Add" || node.op_type == "Mul" || node.op_type == "Div";
    if (!moves && !computes) break;
    if (computes) {
      const std::string& other = node.inputs[node.inputs[0] == value ? 1 : 0];
      const auto found = graph.initializers.find(other);
      if (found == graph.initializers.end() || found->second.dtype() != Dtype::f32 || found->second.count() < 1 ||
          found->second.count() > 4)
        break;
      const auto numbers = static_cast<const Tensor&>(found->second).values<float>();
      const float largest =
          std::abs(*std::max_element(numbers.begin(), numbers.end(), [](float a, float b) { return std::abs(a) < std::abs(b); }));
      if (node.op_type == "Sub" || node.op_type == "Add") inside.taken = std::max(inside.taken, largest);
      if (node.op_type == "Div") inside.divided *= largest;
      if (node.op_type == "Mul" && largest > 0) inside.divided /= largest;
      any = true;
    }
    value = node.outputs[0];
  }
  return any ? std::optional(inside) : std::nullopt;
}

struct Normalisation {
  std::vector<float> mean, deviation;  // per channel, on the 0..255 scale
};
Result<Normalisation> normalisation_of(const Graph& graph, const Picture& picture, const std::string& file, const ImportOptions& options,
                                       std::vector<std::string>& reasons) {
  const auto channels = static_cast<std::size_t>(picture.channels);
  const auto spread = [&](std::vector<float> list, float otherwise) {
    if (list.empty()) list = {otherwise};
    if (list.size() == 1) list.assign(channels, list[0]);
    return list;
  };
  Normalisation result;
  const std::vector<float> mean = numbers_of(metadata_of(graph, "mean_values")), scale = numbers_of(metadata_of(graph, "scale_values"));
  if (!options.mean.empty() || !options.deviation.empty()) {
    result = {spread(options.mean, 0), spread(options.deviation, 1)};
    reasons.push_back(fmt::format("pixels are normalised by mean {:g} and scale {:g}: the demand says so", fmt::join(result.mean, ", "),
                                  fmt::join(result.deviation, ", ")));
  } else if (!mean.empty() || !scale.empty()) {
    result = {spread(mean, 0), spread(scale, 1)};
    reasons.push_back(fmt::format("pixels are normalised by mean {:g} and scale {:g}: the file's metadata say so",
                                  fmt::join(result.mean, ", "), fmt::join(result.deviation, ", ")));
  } else if (const auto inside = normalisation_inside(graph)) {
    // What is taken away, or divided by, tells which scale the pixels are on.
    const bool bytes = inside->taken > 2 || inside->divided > 8;
    result = {spread({}, 0), spread({}, bytes ? 1.0F : 255.0F)};
    reasons.push_back(fmt::format("pixels enter as 0 to {}: the graph normalises them itself", bytes ? "255" : "1"));
  } else if (picture.channels == 3) {
    result = {{imagenet_mean.begin(), imagenet_mean.end()}, {imagenet_deviation.begin(), imagenet_deviation.end()}};
    reasons.emplace_back(
        "pixels are normalised by ImageNet's mean and deviation, which is an assumption: neither the graph nor its metadata say how; state "
        "backbone.mean and backbone.scale when it was trained otherwise");
  } else {
    result = {{127.5F}, {127.5F}};
    reasons.emplace_back(
        "pixels are normalised to -1 to 1, which is an assumption: neither the graph nor its metadata say how; state backbone.mean and "
        "backbone.scale");
  }
  if (result.mean.size() != channels || result.deviation.size() != channels)
    return Error{ErrorKind::usage, fmt::format("{}: {} means and {} scales for {} channels; give one, or one per channel", file,
                                               result.mean.size(), result.deviation.size(), channels)};
  if (!std::all_of(result.deviation.begin(), result.deviation.end(), [](float value) { return value > 0; }))
    return Error{ErrorKind::usage, file + ": a scale must be above 0"};
  return result;
}

// u8 N×H×W×C → what the graph's input was. Returns the nodes; the old input's name is their last output.
Result<std::vector<Node>> picture_nodes(Graph& graph, const Picture& picture, const std::string& file, const ImportOptions& options,
                                        std::vector<std::string>& reasons) {
  const std::string old = graph.inputs[0].name;
  std::vector<Node> nodes;
  std::string value = "image";
  const auto add = [&](const std::string& op, std::vector<std::string> inputs, const std::string& output,
                       std::map<std::string, Attribute> attributes = {}) {
    nodes.push_back(node_of(op, std::move(inputs), output, std::move(attributes)));
    value = output;
  };
  if (picture.floating) {
    SIGHTLINE_TRY(const Normalisation normalisation, normalisation_of(graph, picture, file, options, reasons));
    add("Cast", {value}, "image.real", {{"to", std::int64_t{1}}});
    if (picture.channels_first) add("Transpose", {value}, "image.planes", {{"perm", std::vector<std::int64_t>{0, 3, 1, 2}}});
    const Shape per_channel = picture.channels_first ? Shape{1, picture.channels, 1, 1} : Shape{1, 1, 1, picture.channels};
    graph.initializers["image.mean"] = Tensor::of(per_channel, normalisation.mean);
    graph.initializers["image.deviation"] = Tensor::of(per_channel, normalisation.deviation);
    const std::string reversed = metadata_of(graph, "reverse_input_channels");
    if (picture.channels == 3 && (reversed == "True" || reversed == "true" || reversed == "YES" || reversed == "1")) {
      graph.initializers["image.swapped"] = Tensor::of({3}, std::vector<std::int64_t>{2, 1, 0});
      add("Gather", {value, "image.swapped"}, "image.turned", {{"axis", std::int64_t{picture.channels_first ? 1 : 3}}});
      reasons.emplace_back("blue comes first: the file's metadata say so (reverse_input_channels)");
    }
    add("Sub", {value, "image.mean"}, "image.centred");
    add("Div", {value, "image.deviation"}, "image.normalised");
  } else if (picture.channels_first) {
    add("Transpose", {value}, "image.planes", {{"perm", std::vector<std::int64_t>{0, 3, 1, 2}}});
  }
  if (nodes.empty()) {
    for (Node& node : graph.nodes) std::replace(node.inputs.begin(), node.inputs.end(), old, std::string("image"));
  } else {
    nodes.back().outputs[0] = old;
  }
  graph.inputs = {{"image", Dtype::u8, {-1, picture.side, picture.side, picture.channels}, {}}};
  return nodes;
}

// --- the head ---

// Brings places together, flattens: the new nodes end in `name`. Gives the width.
std::int64_t add_vector(Graph& graph, const std::string& cut, const Shape& shape, Neck neck, const std::string& name) {
  std::string value = cut;
  const bool places = std::count_if(shape.begin() + 1, shape.end(), [](std::int64_t size) { return size != 1; }) > 1;
  std::int64_t width = std::accumulate(shape.begin() + 1, shape.end(), std::int64_t{1}, std::multiplies<>());
  if (places) {
    const bool tokens = shape.size() == 3;
    width = shape[tokens ? 2 : 1];
    append_neck(graph, neck, value, tokens, name + ".pooled");
    value = name + ".pooled";
  }
  graph.nodes.push_back(node_of("Flatten", {value}, name, {{"axis", std::int64_t{1}}}));
  return width;
}

// Each cut as a vector, all of them one behind the other in "features".
void add_features(Graph& graph, const std::vector<std::string>& values, const std::vector<Shape>& shapes, Neck neck,
                  ImportedClassifier& result) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < values.size(); ++i) {
    ImportedCut& cut = result.cuts[i];
    const bool word = cut.name == "early" || cut.name == "middle" || cut.name == "last";
    cut.value = values.size() == 1 ? features_value : fmt::format("{}.{}", features_value, word ? cut.name : std::to_string(i + 1));
    cut.width = add_vector(graph, values[i], shapes[i], neck, cut.value);
    result.features += cut.width;
    parts.push_back(cut.value);
  }
  if (parts.size() > 1) graph.nodes.push_back(node_of("Concat", parts, features_value, {{"axis", std::int64_t{1}}}));
}

void add_head(Graph& graph, std::int64_t features, const ImportOptions& options) {
  std::string value = features_value;
  if (options.dropout > 0) {
    if (graph.opset >= 12) {
      graph.initializers["features.ratio"] = Tensor::of({}, std::vector<float>{options.dropout});
      graph.nodes.push_back(node_of("Dropout", {value, "features.ratio"}, "features.dropped"));
    } else {
      graph.nodes.push_back(node_of("Dropout", {value}, "features.dropped", {{"ratio", options.dropout}}));
    }
    value = "features.dropped";
  }
  Tensor weight(Dtype::f32, {options.classes, features});
  Random random(options.seed, 0x68656164ULL);
  for (float& each : weight.values<float>()) each = static_cast<float>(random.normal() / std::sqrt(static_cast<double>(features)));
  graph.initializers[head_weight] = std::move(weight);
  graph.initializers[head_bias] = Tensor::filled({options.classes}, 0);
  graph.initializers["inverse_temperature"] = Tensor::filled({1}, 1);
  graph.nodes.push_back(node_of("Gemm", {value, head_weight, head_bias}, "logits", {{"transB", std::int64_t{1}}}));
  graph.nodes.push_back(node_of("Mul", {"logits", "inverse_temperature"}, "logits.scaled"));
  graph.nodes.push_back(node_of("Softmax", {"logits.scaled"}, "probabilities", {{"axis", std::int64_t{1}}}));
  graph.outputs = {{"probabilities", Dtype::f32, {-1, options.classes}, {}}};
  graph.training_outputs = {"logits"};
}

// Keeps what `values` need.
void keep_until(Graph& graph, const std::vector<std::string>& values) {
  std::set<std::string> needed(values.begin(), values.end());
  std::vector<Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (std::none_of(node->outputs.begin(), node->outputs.end(),
                     [&](const std::string& name) { return !name.empty() && needed.contains(name); }))
      continue;
    needed.insert(node->inputs.begin(), node->inputs.end());
    kept.push_back(std::move(*node));
  }
  graph.nodes.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
  std::erase_if(graph.initializers, [&](const auto& each) { return !needed.contains(each.first); });
}

}  // namespace

Result<ImportedClassifier> import_classifier(const Graph& source, const std::string& file, const ImportOptions& options) {
  if (options.classes < 2) return Error{ErrorKind::usage, fmt::format("a classifier of {} classes", options.classes)};
  ImportedClassifier result;
  Graph graph = source;
  graph.training_outputs.clear();
  SIGHTLINE_TRY(const Picture picture, settle_input(graph, file, options, result.reasons));
  if (source.inputs[0].shape[0] == 1) free_batch(graph);
  auto values = graph::infer_shapes(graph);
  if (!values.ok()) return values.error().in(file);

  SIGHTLINE_TRY(const std::vector<CutLayer> found, find_cuts(graph, *values, file, options.cuts, options.neck));
  std::vector<std::string> cuts;
  std::vector<Shape> shapes;
  for (const CutLayer& cut : found) {
    const std::string& value = cut.layer.value;
    shapes.push_back(values->at(value).shape);
    if (shapes.back()[0] >= 0)
      return Error{ErrorKind::unsupported, fmt::format("{}: \"{}\" is {}, whatever the batch; export the network with a free batch", file,
                                                       value, to_string(shapes.back()))};
    cuts.push_back(value);
    result.cuts.push_back({.name = cut.name, .at = value, .value = "", .width = 0});
  }
  keep_until(graph, cuts);
  make_room(graph, cuts);
  std::vector<std::string> about_picture;
  SIGHTLINE_TRY(std::vector<Node> before, picture_nodes(graph, picture, file, options, about_picture));
  graph.nodes.insert(graph.nodes.begin(), std::make_move_iterator(before.begin()), std::make_move_iterator(before.end()));
  add_features(graph, cuts, shapes, options.neck, result);
  if (result.features < 1 || result.features > most_features)
    return Error{ErrorKind::unsupported,
                 fmt::format("{}: {} features at \"{}\"; 1 to {} are wanted", file, result.features, join(cuts, ", "), most_features)};
  for (std::size_t i = 0; i < found.size(); ++i)
    result.reasons.push_back(fmt::format("features{}: {}, {} numbers", found.size() > 1 ? " (" + found[i].name + ")" : "",
                                         found[i].layer.reason, result.cuts[i].width));
  if (options.neck != Neck::average)
    result.reasons.push_back(fmt::format("places are brought together by {}: the demand says so", enum_name(options.neck)));
  result.reasons.insert(result.reasons.end(), about_picture.begin(), about_picture.end());
  add_head(graph, result.features, options);
  graph.metadata.clear();
  graph.name = "imported";

  result.normalised =
      std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) { return node.op_type.ends_with("Normalization"); });
  if (!result.normalised) result.reasons.emplace_back("its normalisation is folded into the weights: it is tuned with care");
  result.side = static_cast<int>(picture.side);
  result.channels = static_cast<int>(picture.channels);
  if (auto status = graph::check(graph); !status.ok()) return status.error().in(file);
  if (auto inferred = graph::infer_shapes(graph); !inferred.ok()) return inferred.error().in(file);
  result.graph = std::move(graph);
  return result;
}

}  // namespace sightline::modules
