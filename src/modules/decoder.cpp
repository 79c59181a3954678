#include "modules/decoder.h"

#include <algorithm>
#include <cmath>

#include "modules/backbones.h"

namespace sightline::modules {

std::string append_decoder(graph::Builder& builder, const std::vector<std::string>& stages, std::span<const std::int64_t> widths) {
  std::string y = stages.back();
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const std::string& side = stages[stages.size() - 2 - i];
    y = builder.upsample_nearest(conv_norm_relu(builder, y, widths[i], {.kernel = 1}), 2);
    y = builder.add(y, conv_norm_relu(builder, side, widths[i], {.kernel = 1}));
    y = conv_norm_relu(builder, y, widths[i], {});
  }
  return residual(builder, y);
}

void say_little_at_first(graph::Graph& graph, std::span<const std::string> values) {
  constexpr float first_deviation = 0.01F;
  for (const graph::Node& node : graph.nodes) {
    if (std::ranges::find(values, node.outputs[0]) == values.end()) continue;
    Tensor& weight = graph.initializers.at(node.inputs[1]);
    const float factor = first_deviation / std::sqrt(2.0F / static_cast<float>(weight.dim(0)));  // the builder's is √(2/fan out)
    for (float& each : weight.values<float>()) each *= factor;
  }
}

}  // namespace sightline::modules
