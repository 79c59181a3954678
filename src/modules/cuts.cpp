#include "modules/cuts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/text.h"

namespace sightline::modules {
namespace {

using graph::Graph;
using graph::Node;
using Values = std::map<std::string, graph::ValueInfo>;

// Fewer are colours, or what the first nodes make of them.
constexpr std::int64_t least_channels = 8;

const Shape* map_of(const Values& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end() || found->second.dtype != Dtype::f32 || found->second.shape.size() != 4) return nullptr;
  return &found->second.shape;
}

std::map<std::string, const Node*> makers_of(const Graph& graph) {
  std::map<std::string, const Node*> maker;
  for (const Node& node : graph.nodes)
    for (const std::string& output : node.outputs) maker[output] = &node;
  return maker;
}

std::set<std::string> needed_for(const Graph& graph, const std::string& value) {
  std::set<std::string> needed{value};
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node)
    if (std::ranges::any_of(node->outputs, [&](const std::string& output) { return needed.contains(output); }))
      needed.insert(node->inputs.begin(), node->inputs.end());
  return needed;
}

// The maps that layers on the way to `until` read and answer with half the side, the largest side first. Where several do at one side (the
// two ways of a residual block) the one with the most channels, of these the last.
std::vector<std::string> halved_maps(const Graph& graph, const Values& values, const std::string& until) {
  constexpr std::array halving{"Conv", "MaxPool", "AveragePool"};
  const std::set<std::string> needed = needed_for(graph, until);
  std::map<std::int64_t, std::string, std::greater<>> by_side;
  for (const Node& node : graph.nodes) {
    if (std::ranges::find(halving, node.op_type) == halving.end() || !needed.contains(node.outputs[0])) continue;
    const Shape* from = map_of(values, node.inputs[0]);
    const Shape* to = map_of(values, node.outputs[0]);
    if (from == nullptr || to == nullptr || (*from)[1] < least_channels) continue;
    const std::int64_t before = (*from)[2], after = (*to)[2];
    if (after < 2 || 2 * after > before + 2 || 3 * after < before) continue;
    std::string& held = by_side[before];
    if (held.empty() || (*map_of(values, held))[1] <= (*from)[1]) held = node.inputs[0];
  }
  std::vector<std::string> maps;
  for (const auto& [side, name] : by_side) maps.push_back(name);
  return maps;
}

bool has_places(const Values& values, const std::string& name) {
  const Shape& shape = values.at(name).shape;
  return shape.size() >= 3 && std::count_if(shape.begin() + 1, shape.end(), [](std::int64_t size) { return size != 1; }) > 1;
}

// Where the network averaged the map whose average `value` is.
std::optional<std::string> before_pool(const Graph& graph, const Values& values, const std::string& value) {
  constexpr std::array shapers{"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Transpose"};
  constexpr std::array pools{"GlobalAveragePool", "ReduceMean", "AveragePool"};
  const auto maker = makers_of(graph);
  std::string at = value;
  for (auto found = maker.find(at); found != maker.end(); found = maker.find(at)) {
    const Node& node = *found->second;
    at = node.inputs[0];
    if (std::ranges::find(pools, node.op_type) != pools.end() && map_of(values, at) != nullptr && has_places(values, at)) return at;
    if (std::ranges::find(shapers, node.op_type) == shapers.end()) break;
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<CutLayer>> find_cuts(const Graph& graph, const Values& values, const std::string& file,
                                        const std::vector<std::string>& wanted, Neck neck) {
  std::vector<std::string> words = wanted;
  if (words.empty()) return Error{ErrorKind::usage, file + ": no cut is named; write auto, or words like [early, middle, last]"};
  const bool all = std::ranges::find(words, "all") != words.end();
  if (all && words.size() > 1) return Error{ErrorKind::usage, file + ": the cut \"all\" stands alone"};
  if (all) words = {"early", "middle", "last"};
  std::ranges::replace(words, std::string("auto"), std::string("last"));
  const auto is_word = [](const std::string& word) { return word == "early" || word == "middle" || word == "last"; };

  std::optional<FeatureLayer> last;
  std::vector<std::string> halved;
  if (std::ranges::any_of(words, is_word)) {
    SIGHTLINE_TRY(last, find_feature_layer(graph, values, file));
    halved = halved_maps(graph, values, last->value);
  }
  std::vector<CutLayer> cuts;
  for (const std::string& word : words) {
    CutLayer cut{.name = word, .layer = {}};
    if (word == "last") {
      cut.layer = *last;
    } else if (is_word(word)) {
      const std::size_t back = word == "middle" ? 1 : 2;
      if (halved.size() < back) {
        if (all) continue;
        return Error{ErrorKind::usage,
                     fmt::format("{}: it has no cut \"{}\": on the way to its features the side of a map of {} channels or more halves {}; "
                                 "name a value of the file, or leave it out",
                                 file, word, least_channels, halved.empty() ? "nowhere" : "only once (which is \"middle\")")};
      }
      const std::string& map = halved[halved.size() - back];
      cut.layer = {map, fmt::format("the map that is halved {} (\"{}\")", back == 1 ? "last" : "last but one", map)};
    } else {
      SIGHTLINE_TRY(cut.layer, named_feature_layer(graph, values, file, word));
    }
    const auto twice = std::ranges::find(cuts, cut.layer.value, [](const CutLayer& each) { return each.layer.value; });
    if (twice != cuts.end()) {
      if (all) continue;
      return Error{ErrorKind::usage,
                   fmt::format("{}: \"{}\" and \"{}\" are the same value, \"{}\"; name it once", file, twice->name, word, cut.layer.value)};
    }
    if (neck != Neck::average && !has_places(values, cut.layer.value)) {
      const std::optional<std::string> map = before_pool(graph, values, cut.layer.value);
      if (!map)
        return Error{
            ErrorKind::usage,
            fmt::format("{}: recipe.neck {} and the cut \"{}\" do not go together: \"{}\" is one vector per picture already, and not "
                        "the average of a map; leave recipe.neck out, or cut at a map (recipe.cut: middle)",
                        file, enum_name(neck), word, cut.layer.value)};
      cut.layer = {*map, fmt::format("{}, before it is averaged (\"{}\")", cut.layer.reason, *map)};
    }
    cuts.push_back(std::move(cut));
  }
  return cuts;
}

}  // namespace sightline::modules
