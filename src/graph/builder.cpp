#include "graph/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/operators.h"

namespace sightline::graph {
namespace {

const Shape kNoShape;

std::string hint_of(const std::string& op_type) {
  std::string hint;
  for (std::size_t i = 0; i < op_type.size(); ++i) {
    const char c = op_type[i];
    if (c >= 'A' && c <= 'Z') {
      if (i > 0 && op_type[i - 1] >= 'a') hint += '_';
      hint += static_cast<char>(c - 'A' + 'a');
    } else {
      hint += c;
    }
  }
  return hint;
}

Tensor normal_tensor(Random& random, Shape shape, double deviation) {
  Tensor tensor(Dtype::f32, std::move(shape));
  for (float& value : tensor.values<float>()) value = static_cast<float>(random.normal() * deviation);
  return tensor;
}

}  // namespace

Builder::Builder(std::uint64_t seed) : random_(seed, 0x6772617068ULL) {}

std::string Builder::fresh(const std::string& hint) { return fmt::format("{}_{}", hint, ++counters_[hint]); }

std::string Builder::constant(const std::string& hint, Tensor value) {
  // The first of a hint takes it as it is, so that a caller can choose a name.
  std::string name = hint;
  while (values_.contains(name)) name = fresh(hint);
  values_[name] = {name, value.dtype(), value.shape()};
  graph_.initializers[name] = std::move(value);
  return name;
}

void Builder::complain(std::string what) {
  if (first_error_.empty()) first_error_ = std::move(what);
}

std::string Builder::node(const std::string& op_type, const std::vector<std::string>& inputs, std::map<std::string, Attribute> attributes) {
  return append(op_type, inputs, std::move(attributes), 1)[0];
}

std::vector<std::string> Builder::append(const std::string& op_type, const std::vector<std::string>& inputs,
                                         std::map<std::string, Attribute> attributes, std::size_t outputs) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < outputs; ++i) {
    do {
      names.resize(i);
      names.push_back(fresh(hint_of(op_type)));
    } while (values_.contains(names[i]));
  }
  graph_.nodes.push_back({names[0], op_type, inputs, names, std::move(attributes), ""});
  const Node& made = graph_.nodes.back();
  std::vector<Typed> types(outputs);
  const auto infer = [&]() -> Result<void> {
    const Operator* row = find_operator(made);
    if (row == nullptr) return Error{ErrorKind::unsupported, fmt::format("{}: unknown operator", describe(made))};
    Call call{graph_, made, {}, Constants(graph_, &values_)};
    for (const std::string& input : inputs) {
      const auto found = values_.find(input);
      if (!input.empty() && found == values_.end()) return fault(made, fmt::format("there is no value \"{}\"", input));
      call.inputs.push_back(input.empty() ? nullptr : &found->second);
    }
    for (int i = 0; i < row->least_inputs; ++i) {
      if (call.input(static_cast<std::size_t>(i)) == nullptr) return fault(made, fmt::format("input {} is missing", i));
    }
    SIGHTLINE_TRY(const std::vector<Typed> inferred, row->infer(call));
    if (inferred.size() < outputs) return fault(made, fmt::format("it cannot have {} outputs", outputs));
    for (std::size_t i = 0; i < outputs; ++i) {
      if (!known_count(inferred[i].shape)) return fault(made, "its output is too large");
      types[i] = inferred[i];
    }
    return {};
  };
  if (first_error_.empty()) {
    if (auto status = infer(); !status.ok()) complain(status.error().message);
  }
  for (std::size_t i = 0; i < outputs; ++i) values_[names[i]] = {names[i], types[i].dtype, types[i].shape};
  return names;
}

const Shape& Builder::shape_of(const std::string& value) const {
  const auto found = values_.find(value);
  return found == values_.end() ? kNoShape : found->second.shape;
}

std::string Builder::image_input(std::int64_t height, std::int64_t width, std::int64_t channels, const std::vector<float>& mean,
                                 const std::vector<float>& deviation) {
  const auto count = static_cast<std::size_t>(std::clamp<std::int64_t>(channels, 0, 1024));
  const bool sensible = height > 0 && width > 0 && channels > 0 && mean.size() == count && deviation.size() == count &&
                        std::ranges::all_of(deviation, [](float d) { return d > 0.0F && std::isfinite(d); });
  if (!sensible) {
    complain(fmt::format("image input {}×{}×{} with {} means and {} positive deviations", height, width, channels, mean.size(),
                         deviation.size()));
    return "";
  }
  std::string name = "image";
  while (values_.contains(name)) name = fresh("image");
  input(name, Dtype::u8, {-1, height, width, channels});
  const std::string real = node("Cast", {name}, {{"to", onnx_dtype(Dtype::f32)}});                          // N×H×W×C
  const std::string planes = node("Transpose", {real}, {{"perm", std::vector<std::int64_t>{0, 3, 1, 2}}});  // N×C×H×W
  const Shape per_channel{1, channels, 1, 1};
  const std::string centred = node("Sub", {planes, constant(name + ".mean", Tensor::of<float>(per_channel, mean))});
  return node("Div", {centred, constant(name + ".deviation", Tensor::of<float>(per_channel, deviation))});
}

std::string Builder::input(const std::string& name, Dtype dtype, const Shape& shape) {
  if (name.empty() || values_.contains(name) || !known_count(shape)) complain(fmt::format("input \"{}\" ({})", name, to_string(shape)));
  graph_.inputs.push_back({name, dtype, shape});
  values_[name] = graph_.inputs.back();
  return name;
}

std::string Builder::conv(const std::string& x, std::int64_t channels, const ConvOptions& options) {
  const Shape& input = shape_of(x);
  const std::int64_t k = options.kernel;
  const bool sensible = input.size() == 4 && input[1] > 0 && channels > 0 && k > 0 && options.groups > 0 &&
                        input[1] % options.groups == 0 && channels % options.groups == 0;
  if (!sensible) {
    complain(fmt::format("convolution of \"{}\" ({}) to {} channels in {} groups", x, to_string(input), channels, options.groups));
    return "";
  }
  const std::string name = fmt::format("conv_{}", counters_["conv"] + 1);  // what node() will call it
  // Kaiming normal, fan out: He et al. 2015, "Delving Deep into Rectifiers". A group's fan is its own.
  const std::int64_t fan = channels / options.groups * k * k;
  const auto fan_out = static_cast<double>(fan);
  std::vector<std::string> inputs{
      x, constant(name + ".weight", normal_tensor(random_, {channels, input[1] / options.groups, k, k}, std::sqrt(2.0 / fan_out)))};
  if (options.bias) inputs.push_back(constant(name + ".bias", Tensor::zeros(Dtype::f32, {channels})));
  const std::int64_t pad = options.padding >= 0 ? options.padding : (k - 1) / 2 * options.dilation;
  return node("Conv", inputs,
              {{"kernel_shape", std::vector<std::int64_t>{k, k}},
               {"strides", std::vector<std::int64_t>{options.stride, options.stride}},
               {"dilations", std::vector<std::int64_t>{options.dilation, options.dilation}},
               {"pads", std::vector<std::int64_t>{pad, pad, pad, pad}},
               {"group", options.groups}});
}

std::string Builder::conv_transpose(const std::string& x, std::int64_t channels, std::int64_t kernel, std::int64_t stride) {
  const Shape& shape = shape_of(x);
  if (shape.size() != 4 || shape[1] < 1 || channels < 1 || kernel < 1 || stride < 1) {
    complain(fmt::format("transposed convolution of \"{}\" ({}) to {} channels", x, to_string(shape), channels));
    return "";
  }
  const std::string name = fmt::format("conv_transpose_{}", counters_["conv_transpose"] + 1);
  // Every output pixel is a sum over the input channels and kernel²/stride² taps.
  const double taps = static_cast<double>(kernel * kernel) / static_cast<double>(stride * stride);
  const double deviation = std::sqrt(2.0 / (static_cast<double>(shape[1]) * taps));
  const std::string weight = constant(name + ".weight", normal_tensor(random_, {shape[1], channels, kernel, kernel}, deviation));
  return node("ConvTranspose", {x, weight, constant(name + ".bias", Tensor::zeros(Dtype::f32, {channels}))},
              {{"kernel_shape", std::vector<std::int64_t>{kernel, kernel}}, {"strides", std::vector<std::int64_t>{stride, stride}}});
}

std::string Builder::batch_norm(const std::string& x, float scale) {
  const Shape& input = shape_of(x);
  if (input.size() < 2 || input[1] < 1) {
    complain(fmt::format("batch normalisation of \"{}\" ({})", x, to_string(input)));
    return "";
  }
  const Shape per_channel{input[1]};
  const std::string name = fmt::format("batch_normalization_{}", counters_["batch_normalization"] + 1);
  return node("BatchNormalization",
              {x, constant(name + ".scale", Tensor::filled(per_channel, scale)), constant(name + ".bias", Tensor::filled(per_channel, 0)),
               constant(name + ".mean", Tensor::filled(per_channel, 0)), constant(name + ".variance", Tensor::filled(per_channel, 1))},
              {{"epsilon", 1e-5F}});
}

std::string Builder::relu(const std::string& x) { return node("Relu", {x}); }
std::string Builder::clip(const std::string& x, float least, float greatest) {
  return node("Clip", {x, constant("clip.min", Tensor::filled({}, least)), constant("clip.max", Tensor::filled({}, greatest))});
}
std::string Builder::prelu(const std::string& x, float slope) {
  const Shape& shape = shape_of(x);
  if (shape.size() < 2 || shape[1] < 1) {
    complain(fmt::format("PReLU of \"{}\" ({})", x, to_string(shape)));
    return "";
  }
  Shape per_channel(shape.size() - 1, 1);
  per_channel[0] = shape[1];
  const std::string name = fmt::format("prelu_{}.slope", ++counters_["prelu.slope"]);
  return node("PRelu", {x, constant(name, Tensor::filled(per_channel, slope))});
}
std::string Builder::sigmoid(const std::string& x) { return node("Sigmoid", {x}); }
std::string Builder::silu(const std::string& x) { return mul(x, sigmoid(x)); }
std::string Builder::hard_swish(const std::string& x) { return node("HardSwish", {x}); }
// ONNX's default slope is 0.2; 1/6 is the one that HardSwish is made of (Howard et al. 2019).
std::string Builder::hard_sigmoid(const std::string& x) { return node("HardSigmoid", {x}, {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}}); }
std::string Builder::add(const std::string& a, const std::string& b) { return node("Add", {a, b}); }
std::string Builder::mul(const std::string& a, const std::string& b) { return node("Mul", {a, b}); }

std::string Builder::max_pool(const std::string& x, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  return node("MaxPool", {x},
              {{"kernel_shape", std::vector<std::int64_t>{kernel, kernel}},
               {"strides", std::vector<std::int64_t>{stride, stride}},
               {"pads", std::vector<std::int64_t>(4, padding)}});
}

std::string Builder::average_pool(const std::string& x, std::int64_t kernel, std::int64_t stride) {
  return node("AveragePool", {x},
              {{"kernel_shape", std::vector<std::int64_t>{kernel, kernel}}, {"strides", std::vector<std::int64_t>{stride, stride}}});
}

std::string Builder::global_average_pool(const std::string& x) { return node("GlobalAveragePool", {x}); }
std::string Builder::flatten(const std::string& x) { return node("Flatten", {x}, {{"axis", std::int64_t{1}}}); }

std::string Builder::concat(const std::vector<std::string>& parts, std::int64_t axis) { return node("Concat", parts, {{"axis", axis}}); }

std::vector<std::string> Builder::split(const std::string& x, const std::vector<std::int64_t>& sizes, std::int64_t axis) {
  if (sizes.empty()) {
    complain(fmt::format("split of \"{}\" into nothing", x));
    return {};
  }
  const std::string parts = constant("split.sizes", Tensor::of<std::int64_t>({static_cast<std::int64_t>(sizes.size())}, sizes));
  return append("Split", {x, parts}, {{"axis", axis}}, sizes.size());
}

std::string Builder::channel_shuffle(const std::string& x, std::int64_t groups) {
  const Shape shape = shape_of(x);
  if (shape.size() != 4 || groups < 1 || shape[1] % groups != 0) {
    complain(fmt::format("shuffle of \"{}\" ({}) in {} groups", x, to_string(shape), groups));
    return "";
  }
  const auto reshape = [&](const std::string& value, const std::vector<std::int64_t>& sizes) {
    const auto count = static_cast<std::int64_t>(sizes.size());
    return node("Reshape", {value, constant("shuffle.shape", Tensor::of<std::int64_t>({count}, sizes))});
  };
  const std::string grouped = reshape(x, {-1, groups, shape[1] / groups, shape[2], shape[3]});                    // N×G×C/G×H×W
  const std::string turned = node("Transpose", {grouped}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3, 4}}});  // N×C/G×G×H×W
  return reshape(turned, {-1, shape[1], shape[2], shape[3]});
}

std::string Builder::upsample_nearest(const std::string& x, std::int64_t factor) {
  const auto scale = static_cast<float>(factor);
  return node("Resize", {x, "", constant("upsample.scales", Tensor::of<float>({4}, {1, 1, scale, scale}))},
              {{"mode", std::string("nearest")},
               {"nearest_mode", std::string("floor")},
               {"coordinate_transformation_mode", std::string("asymmetric")}});
}

std::string Builder::dropout(const std::string& x, float ratio) {
  const std::string share = constant("dropout.ratio", Tensor::filled({}, ratio));
  return node("Dropout", {x, share});
}

std::string Builder::linear(const std::string& x, std::int64_t features) {
  const Shape& input = shape_of(x);
  if (input.size() != 2 || input[1] < 1 || features < 1) {
    complain(fmt::format("linear layer of \"{}\" ({}) to {} features", x, to_string(input), features));
    return "";
  }
  const std::string name = fmt::format("gemm_{}", counters_["gemm"] + 1);
  // Fan out would make logits of a few classes far too large at the start: here the fan is the input's.
  const double deviation = std::sqrt(1.0 / static_cast<double>(input[1]));
  const std::string weight = constant(name + ".weight", normal_tensor(random_, {features, input[1]}, deviation));
  const std::string bias = constant(name + ".bias", Tensor::zeros(Dtype::f32, {features}));
  return node("Gemm", {x, weight, bias}, {{"transB", std::int64_t{1}}});
}

std::string Builder::scale(const std::string& x, float factor, const std::string& initializer_name) {
  return node("Mul", {x, constant(initializer_name, Tensor::filled({}, factor))});
}

std::string Builder::softmax(const std::string& x, std::int64_t axis) { return node("Softmax", {x}, {{"axis", axis}}); }

void Builder::rename(const std::string& value, const std::string& name) {
  if (value == name) return;
  const auto found = values_.find(value);
  if (found == values_.end() || name.empty() || values_.contains(name)) {
    complain(fmt::format("\"{}\" cannot be renamed to \"{}\"", value, name));
    return;
  }
  ValueInfo info = found->second;
  info.name = name;
  values_.erase(found);
  values_[name] = info;
  for (ValueInfo& input : graph_.inputs) {
    if (input.name == value) input.name = name;
  }
  if (auto tensor = graph_.initializers.extract(value); !tensor.empty()) {
    tensor.key() = name;
    graph_.initializers.insert(std::move(tensor));
  }
  for (Node& each : graph_.nodes) {
    std::ranges::replace(each.inputs, value, name);
    std::ranges::replace(each.outputs, value, name);
  }
}

Result<Graph> Builder::finish(const std::vector<std::string>& outputs, const std::vector<std::string>& training_outputs) {
  if (!first_error_.empty()) return Error{ErrorKind::internal, "the graph was built wrongly: " + first_error_};
  for (const std::string& name : outputs) {
    const auto found = values_.find(name);
    if (found == values_.end()) return Error{ErrorKind::internal, fmt::format("the output \"{}\" was never built", name)};
    graph_.outputs.push_back(found->second);
  }
  graph_.training_outputs = training_outputs;
  if (auto status = check(graph_); !status.ok())
    return Error{ErrorKind::internal, "the graph was built wrongly: " + status.error().message};
  return std::move(graph_);
}

}  // namespace sightline::graph
