#include "modules/restorer.h"

#include <fmt/format.h>

#include <cmath>

namespace sightline::modules {
namespace {

constexpr float middle = 127.5F;                // of the levels, and half their range
constexpr float least_log = -12, most_log = 2;  // of the variance: 0.3 to 347 levels
constexpr float first_log = -5;                 // about 10 levels
constexpr float small = 0.1F;                   // of the weights that a block, and the net, ends with: at first little is changed

Result<void> check_options(const RestorerOptions& options) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  constexpr std::int64_t longest_side = 4096, most_maps = 512;
  for (const std::int64_t side : {options.height, options.width})
    if (side < restorer_step || side > longest_side || side % restorer_step != 0)
      return usage(fmt::format("a restorer of {}×{} pixels; both sides are multiples of {} up to {}", options.width, options.height,
                               restorer_step, longest_side));
  if (options.channels != 1 && options.channels != 3) return usage(fmt::format("{} channels; a picture has 1 or 3", options.channels));
  if (options.scale != 1 && options.scale != 2 && options.scale != 4)
    return usage(fmt::format("a restorer that makes pictures {} times as large; 1, 2 and 4 are possible", options.scale));
  if (options.maps < 2 || options.maps > most_maps)
    return usage(fmt::format("a restorer of {} maps; 2 to {} are possible", options.maps, most_maps));
  return {};
}

class Net {
 public:
  explicit Net(std::uint64_t seed) : builder(seed) {}

  std::string block(const std::string& x) {
    const std::int64_t maps = builder.shape_of(x)[1];
    const std::string gate = builder.clip(builder.conv(x, maps, {.bias = true}), -1, 1);
    const std::string gated = builder.mul(builder.conv(x, maps, {.bias = true}), gate);
    return builder.add(x, quiet(builder.conv(gated, maps, {.kernel = 1, .bias = true})));
  }
  std::string blocks(std::string x, int count) {
    for (int i = 0; i < count; ++i) x = block(x);
    return x;
  }
  std::string half(const std::string& x, std::int64_t maps) {
    return builder.conv(x, maps, {.kernel = 2, .stride = 2, .padding = 0, .bias = true});
  }
  // N×C·f²×H×W → N×C×fH×fW
  std::string unfolded(const std::string& x, std::int64_t factor) {
    return builder.node("DepthToSpace", {x}, {{"blocksize", factor}, {"mode", std::string("CRD")}});
  }
  std::string doubled(const std::string& x, std::int64_t maps) { return unfolded(builder.conv(x, 4 * maps, {.kernel = 1}), 2); }
  // Remembers that this convolution begins with small weights.
  std::string quiet(std::string convolution) {
    quiet_.push_back(convolution);
    return convolution;
  }
  void quieten(graph::Graph& graph) const {
    for (const graph::Node& node : graph.nodes)
      for (const std::string& each : quiet_)
        if (node.op_type == "Conv" && node.outputs[0] == each)
          for (float& weight : graph.initializers.at(node.inputs[1]).values<float>()) weight *= small;
  }

  graph::Builder builder;

 private:
  std::vector<std::string> quiet_;
};

}  // namespace

Result<graph::Graph> build_restorer(const RestorerOptions& options) {
  SIGHTLINE_CHECK(check_options(options));
  Net net(options.seed);
  graph::Builder& builder = net.builder;
  const auto channels = static_cast<std::size_t>(options.channels);
  const std::int64_t maps = options.maps, unfold = options.scale == 1 ? 2 : options.scale;
  // Shapes behind the lines: input 1 channel, 64×64, the output as large.
  const std::string x = builder.image_input(options.height, options.width, options.channels, std::vector(channels, middle),
                                            std::vector(channels, middle));  // N×1×64×64
  const std::string folded = options.scale == 1 ? builder.conv(x, maps, {.kernel = 4, .stride = 2, .padding = 1, .bias = true})
                                                : builder.conv(x, maps, {.bias = true});  // N×32×32×32
  const std::string fine = net.blocks(folded, 2);                                         // N×32×32×32
  const std::string coarse = net.blocks(net.half(fine, 2 * maps), 2);                     // N×64×16×16
  std::string y = net.blocks(net.half(coarse, 4 * maps), 2);                              // N×128×8×8
  y = net.blocks(builder.add(net.doubled(y, 2 * maps), coarse), 2);                       // N×64×16×16
  y = net.blocks(builder.add(net.doubled(y, maps), fine), 2);                             // N×32×32×32
  const std::string change =
      net.unfolded(net.quiet(builder.conv(y, options.channels * unfold * unfold, {.bias = true})), unfold);  // N×1×64×64
  const std::string spread = builder.conv(y, unfold * unfold, {.bias = true});
  builder.rename(builder.clip(net.unfolded(spread, unfold), least_log, most_log), log_variance);  // N×1×64×64
  std::string base = x;
  if (options.scale > 1)
    base = builder.node("Resize",
                        {x, "",
                         builder.constant("enlarge.scales", Tensor::of<float>({4}, {1, 1, static_cast<float>(options.scale),
                                                                                    static_cast<float>(options.scale)}))},
                        {{"mode", std::string("linear")}, {"coordinate_transformation_mode", std::string("half_pixel")}});
  builder.rename(builder.add(base, change), restored_picture);
  const std::string levels = builder.constant("levels", Tensor::of<float>({1}, {middle}));
  builder.rename(builder.add(builder.mul(restored_picture, levels), levels), "restored");
  // exp(log variance / 2) in levels
  const std::string deviation = builder.node("Exp", {builder.scale(log_variance, 0.5F, "half")});
  builder.rename(builder.scale(builder.mul(deviation, levels), 1.0F, deviation_factor), "deviation");
  SIGHTLINE_TRY(graph::Graph graph, builder.finish({"restored", "deviation"}, {restored_picture, log_variance}));
  net.quieten(graph);
  for (const graph::Node& node : graph.nodes)
    if (node.op_type == "Conv" && node.outputs[0] == spread) {
      Tensor& bias = graph.initializers.at(node.inputs[2]);
      bias = Tensor::filled(bias.shape(), first_log);
      for (float& weight : graph.initializers.at(node.inputs[1]).values<float>()) weight *= small;
    }
  return graph;
}

}  // namespace sightline::modules
