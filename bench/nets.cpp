#include "bench/nets.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>

#include "base/random.h"
#include "runtime/session.h"

namespace sightline::bench {
namespace {

constexpr std::array table{
    Net{"mobilenet-v2", "Sandler et al. 2018", 224, 3'504'872, 300.8e6, 13, mobilenet_v2},
    Net{"mobilenet-v3-small", "Howard et al. 2019", 224, 2'542'856, 56.5e6, 17, mobilenet_v3_small},
    Net{"resnet-18", "He et al. 2016", 224, 11'689'512, 1.814e9, 13, resnet_18},
    Net{"squeezenet-1.1", "Iandola et al. 2016", 224, 1'235'496, 349e6, 13, squeezenet},
    Net{"shufflenet-v2", "Ma et al. 2018", 224, 2'278'604, 145e6, 13, shufflenet_v2},
    Net{"efficientnet-b0", "Tan and Le 2019", 224, 5'288'548, 386e6, 13, efficientnet_b0},
    Net{"regnet-x-400mf", "Radosavovic et al. 2020", 224, 5'495'976, 414e6, 13, regnet_x_400mf},
    Net{"yolo-s", "YOLOv5s, release 6, raw maps of its three heads", 416, 7'235'389, 3.486e9, 13, yolo_s},
    Net{"u-net", "Ronneberger et al. 2015; 32 channels, normalised (Buda et al. 2019); multiplications counted here", 256, 7'763'041,
        12.07e9, 13, u_net},
    Net{"mobilefacenet", "Chen et al. 2018", 112, 993'000, 221e6, 13, mobilefacenet},
};

double squares_of(const Tensor& tensor) {
  double sum = 0;
  for (const float value : tensor.values<float>()) sum += static_cast<double>(value) * static_cast<double>(value);
  return sum;
}

void draw(Tensor& tensor, Random& random, double mean, double deviation, bool uniform) {
  tensor = tensor.copy();
  for (float& value : tensor.values<float>())
    value = static_cast<float>(mean + deviation * (uniform ? random.uniform(-1, 1) : random.normal()));
}

// Mean square of what an operator makes of values with mean square one (standard normal ones where it matters).
double gain_of(const graph::Node& node) {
  static const std::map<std::string, double> gains{{"Relu", 0.5},
                                                   {"Clip", 0.5},
                                                   {"PRelu", 0.53},
                                                   {"HardSwish", 0.33},
                                                   {"MaxPool", 1.5},
                                                   {"ReduceMean", 0.35},
                                                   {"GlobalAveragePool", 0.35}};
  const auto found = gains.find(node.op_type);
  return found == gains.end() ? 1.0 : found->second;
}

void scale_weights(graph::Graph& graph, std::uint64_t seed) {
  Random random(seed, 0x6e657473ULL);
  std::map<std::string, double> squares;  // of each value, the mean; what is not known counts as one
  const auto of = [&](const std::string& name) { return squares.contains(name) ? squares[name] : 1.0; };
  for (graph::Node& node : graph.nodes) {
    double result = of(node.inputs[0]) * gain_of(node);
    if (node.op_type == "Conv" || node.op_type == "ConvTranspose" || node.op_type == "Gemm") {
      Tensor& weight = graph.initializers.at(node.inputs[1]);
      // Squares that each output sums over.
      double terms = squares_of(weight);
      if (node.op_type == "ConvTranspose") {
        const auto strides = node.integers("strides");
        terms /= static_cast<double>(weight.dim(1) * strides[0] * strides[1]);
      } else {
        terms /= static_cast<double>(weight.dim(0));
      }
      const auto factor = static_cast<float>(1 / std::sqrt(terms * result));
      for (float& value : weight.values<float>()) value *= factor;
      if (node.inputs.size() > 2) draw(graph.initializers.at(node.inputs[2]), random, 0, 0.1, false);
      result = 1;
    } else if (node.op_type == "BatchNormalization") {
      draw(graph.initializers.at(node.inputs[1]), random, 1, 0.2, true);
      draw(graph.initializers.at(node.inputs[2]), random, 0, 0.1, false);
      result = 1;
    } else if (node.op_type == "Sigmoid" || node.op_type == "HardSigmoid") {
      result = 0.29;  // the curve ends the influence of what came before
    } else if (node.op_type == "Add") {
      result += of(node.inputs[1]);
    } else if (node.op_type == "Mul") {
      result *= of(node.inputs[1]);
    } else if (node.op_type == "Concat") {
      result = 0;
      for (const std::string& part : node.inputs) result += of(part) / static_cast<double>(node.inputs.size());
    }
    for (const std::string& output : node.outputs) squares[output] = result;
  }
}

// The graph with every BatchNormalization as training computes it, from the batch itself; its outputs are the means and variances.
graph::Graph normalising_graph(const graph::Graph& graph, std::int64_t batch) {
  graph::Graph measured = graph;
  measured.opset = 13;
  measured.inputs[0].shape[0] = batch;
  measured.outputs.clear();
  measured.nodes.clear();
  for (const graph::Node& node : graph.nodes) {
    if (node.op_type != "BatchNormalization") {
      measured.nodes.push_back(node);
      continue;
    }
    const std::string& result = node.outputs[0];
    const std::string name = result + "/batch";
    const auto add = [&](const char* op_type, const std::vector<std::string>& inputs, const std::string& output,
                         std::map<std::string, graph::Attribute> attributes = {}) {
      measured.nodes.push_back({output, op_type, inputs, {output}, std::move(attributes), ""});
      return output;
    };
    const auto constant = [&](const std::string& key, const Tensor& values) {
      measured.initializers[key] = values.reshaped({1, values.count(), 1, 1});
      return key;
    };
    const auto mean_of = [&](const std::string& value, const std::string& output) {
      measured.outputs.push_back({output, Dtype::f32, {}});
      // Over the picture first: that is a pooling, which is fast.
      const std::string each =
          add("ReduceMean", {value}, output + "/each", {{"axes", std::vector<std::int64_t>{2, 3}}, {"keepdims", std::int64_t{1}}});
      return add("ReduceMean", {each}, output, {{"axes", std::vector<std::int64_t>{0}}, {"keepdims", std::int64_t{1}}});
    };
    const std::string centred = add("Sub", {node.inputs[0], mean_of(node.inputs[0], name + ".mean")}, name + ".centred");
    const std::string variance = mean_of(add("Mul", {centred, centred}, name + ".square"), name + ".variance");
    const std::string above = constant(name + ".epsilon", Tensor::filled({1}, node.real("epsilon", 1e-5F)));
    const std::string deviation = add("Sqrt", {add("Add", {variance, above}, name + ".above")}, name + ".deviation");
    const std::string normal = add("Div", {centred, deviation}, name + ".normal");
    const std::string scale = constant(name + ".scale", graph.initializers.at(node.inputs[1]));
    const std::string bias = constant(name + ".bias", graph.initializers.at(node.inputs[2]));
    add("Add", {add("Mul", {normal, scale}, name + ".scaled"), bias}, result);
  }
  return measured;
}

Result<void> measure_statistics(graph::Graph& graph, std::uint64_t seed) {
  constexpr std::int64_t batch = 8;
  const graph::Graph measured = normalising_graph(graph, batch);
  if (measured.outputs.empty()) return {};
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(measured));
  Shape shape = graph.inputs[0].shape;
  shape[0] = batch;
  Tensor noise(Dtype::f32, shape);
  Random random(seed, 0x6e6f697365ULL);
  draw(noise, random, 0, 1, false);
  SIGHTLINE_TRY(const std::vector<Tensor> statistics, session.run(std::span(&noise, 1)));
  std::size_t next = 0;
  for (const graph::Node& node : graph.nodes) {
    if (node.op_type != "BatchNormalization") continue;
    for (const std::size_t slot : {3, 4}) {
      const Tensor& found = statistics[next++];
      graph.initializers[node.inputs[slot]] = found.reshaped({found.count()}).copy();
    }
  }
  return {};
}

}  // namespace

std::span<const Net> nets() { return table; }

Result<void> settle(graph::Graph& graph, std::uint64_t seed) {
  scale_weights(graph, seed);
  return measure_statistics(graph, seed);
}

Result<graph::Graph> unsettled_net(const Net& net, std::uint64_t seed) {
  graph::Builder builder(seed);
  const std::string image = builder.input("image", Dtype::f32, {-1, 3, net.side, net.side});
  Values outputs = net.build(builder, image);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::string name = outputs.size() == 1 ? "output" : fmt::format("output_{}", i);
    builder.rename(outputs[i], name);
    outputs[i] = name;
  }
  auto graph = builder.finish(outputs, {});
  if (!graph.ok()) return graph.error().in(net.name);
  graph->name = net.name;
  graph->opset = net.opset;
  return graph;
}

Result<graph::Graph> build_net(const Net& net, std::uint64_t seed) {
  SIGHTLINE_TRY(graph::Graph graph, unsettled_net(net, seed));
  if (auto status = settle(graph, seed); !status.ok()) return status.error().in(net.name);
  return graph;
}

}  // namespace sightline::bench
