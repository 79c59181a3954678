// Chooses the side, and builds the net that describes places.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "factory/anomaly.h"
#include "factory/shipped.h"
#include "graph/builder.h"
#include "heads/places.h"
#include "modules/detector.h"
#include "modules/modules.h"

namespace sightline::factory {
namespace {

constexpr const char* net = "sight-s";
constexpr int coarsest = 16;  // of the strides that are read
constexpr std::array sides{64, 96, 128, 192, 256, 320};
constexpr std::int64_t dimensions = 96;

// x · (usual deviation / its own) about the usual mean: a lamp that ages, or another exposure, is nothing amiss.
std::string evened(graph::Builder& builder, const std::string& x, double mean, double deviation) {
  const std::map<std::string, graph::Attribute> over_all{{"axes", std::vector<std::int64_t>{1, 2, 3}}, {"keepdims", std::int64_t{1}}};
  const auto number = [&](const char* name, double value) {
    return builder.constant(name, Tensor::of<float>({1}, {static_cast<float>(value)}));
  };
  const std::string centred = builder.node("Sub", {x, builder.node("ReduceMean", {x}, over_all)});
  const std::string variance = builder.node("ReduceMean", {builder.node("Mul", {centred, centred})}, over_all);
  const std::string own = builder.node("Sqrt", {builder.node("Add", {variance, number("even.least", 1e-4)})});
  const std::string same = builder.node("Div", {centred, own});
  return builder.node("Add", {builder.node("Mul", {same, number("even.deviation", deviation)}), number("even.mean", mean)});
}

}  // namespace

Result<graph::Graph> places_graph(const StartingWeights& start, int side, bool even, const Light& light, int around) {
  SIGHTLINE_TRY(const BackboneImport stated, import_of_weights(start.file));
  SIGHTLINE_TRY(const NetWithWeights begun, read_net(stated));
  SIGHTLINE_TRY(const modules::Backbone* backbone, modules::find_backbone(start.name));
  if (backbone->append_pyramid == nullptr)
    return Error{ErrorKind::unsupported, fmt::format("{} has no maps at several strides", start.name)};
  graph::Builder builder(0);
  std::string x = builder.image_input(side, side, stated.channels, begun.mean, begun.deviation);
  if (even) {  // in the units of the net's input, whose channels are alike enough
    double shift = 0, scale = 0;
    for (std::size_t c = 0; c < begun.mean.size(); ++c) {
      shift += static_cast<double>(begun.mean[c]) / static_cast<double>(begun.mean.size());
      scale += static_cast<double>(begun.deviation[c]) / static_cast<double>(begun.mean.size());
    }
    x = evened(builder, x, (light.mean - shift) / scale, std::max(light.deviation, 1.0) / scale);
  }
  const std::vector<std::string> maps = backbone->append_pyramid(builder, x);
  SIGHTLINE_TRY(graph::Graph graph, builder.finish(maps, {}));
  graph.metadata[modules::backbone_layers_key] =
      std::to_string(std::ranges::count(graph.nodes, std::string("Conv"), &graph::Node::op_type));
  SIGHTLINE_CHECK(modules::adopt_backbone(graph, begun.graph));
  graph.metadata.erase(modules::backbone_layers_key);
  return heads::append_places(graph::fold_batch_norm(graph), {maps[0], maps[1]}, {.around = around, .dimensions = dimensions});
}

Result<void> check_anomaly_pins(const demand::Demand& demand) {
  if (demand.recipe.backbone && *demand.recipe.backbone != net)
    return Error{ErrorKind::usage,
                 fmt::format("recipe.backbone: places are described by {}, not by \"{}\"; leave it out", net, *demand.recipe.backbone)};
  if (demand.recipe.side && *demand.recipe.side % coarsest != 0)
    return Error{ErrorKind::usage, fmt::format("recipe.side: {} is no multiple of {}, which the maps need; take {}", *demand.recipe.side,
                                               coarsest, (*demand.recipe.side / coarsest + 1) * coarsest)};
  return {};
}

Result<void> check_anomaly_data(const dataset::Manifest& manifest) {
  if (!dataset::holds_objects(manifest)) return {};
  return Error{
      ErrorKind::invalid_data,
      fmt::format("{}: the {} annotations say what is where in a picture, and task: anomaly wants good pictures; write task: detect, "
                  "or bring a folder of good ones",
                  manifest.root, manifest.format)};
}

Result<ChosenRecipe> choose_anomaly_recipe(const demand::Demand& demand, const dataset::Manifest& manifest,
                                           const std::optional<StartingWeights>& start, int threads) {
  if (!start)
    return Error{
        ErrorKind::not_found,
        fmt::format("{} is not installed, and places are described by it: install share/sightline/backbones, or name its folder as "
                    "SIGHTLINE_BACKBONES",
                    net)};
  ChosenRecipe chosen;
  modules::Recipe& recipe = chosen.recipe;
  recipe.backbone = net;
  recipe.channels = 3;
  if (demand.recipe.side) {
    recipe.side = *demand.recipe.side;
    chosen.reasons.push_back(fmt::format("input side {}: the demand says so", recipe.side));
  } else {
    std::vector<int> longer;
    for (const dataset::Sample& sample : manifest.samples) longer.push_back(std::max(sample.width, sample.height));
    std::ranges::nth_element(longer, longer.begin() + std::ssize(longer) / 2);
    const int usual = longer[longer.size() / 2];
    recipe.side = sides.front();
    for (const int each : sides)
      if (each <= usual) recipe.side = each;
    chosen.reasons.push_back(
        fmt::format("input side {}: the longer side of the pictures is {} pixels in the median, and {} is the most without being asked",
                    recipe.side, usual, sides.back()));
  }
  SIGHTLINE_TRY(chosen.graph, places_graph(*start, recipe.side, false, {}, 1));
  chosen.reasons.push_back(fmt::format("{} as it is ({}): maps at strides 8 and 16, {} numbers a place", net, start->licence, dimensions));
  SIGHTLINE_TRY(const std::string broken, broken_limit(demand, chosen.graph, recipe, threads));
  if (!broken.empty())
    return Error{ErrorKind::refused,
                 fmt::format("the backbone at side {} breaks a limit: {}; lower recipe.side, or raise the limit", recipe.side, broken)};
  return chosen;
}

}  // namespace sightline::factory
