#include "modules/modules.h"

#include <algorithm>
#include <array>

#include "app/cli/verbs.h"
#include "base/text.h"

namespace sightline::cli {
namespace {

struct Options {
  int side = 32, channels = 3, classes = 10;
};

std::string human_flops(std::int64_t flops) {
  const auto value = static_cast<double>(flops);
  return value >= 1e9 ? fmt::format("{:.2f} G", value / 1e9) : fmt::format("{:.1f} M", value / 1e6);
}

Result<int> list(const Options& options, Console& console) {
  if (options.side < 1 || options.side > 4096 || (options.channels != 1 && options.channels != 3) || options.classes < 2)
    return Error{ErrorKind::usage, "--side is 1 to 4096, --channels 1 or 3, --classes at least 2"};
  std::vector<std::vector<std::string>> rows;
  Json document = Json::array();
  for (const modules::Backbone& backbone : modules::backbones()) {
    const int side = std::max(options.side, backbone.least_side);
    const auto channels = static_cast<std::size_t>(options.channels);
    SIGHTLINE_TRY(const graph::Graph graph, modules::build_classifier({.backbone = backbone.name,
                                                                       .height = side,
                                                                       .width = side,
                                                                       .channels = options.channels,
                                                                       .classes = options.classes,
                                                                       .mean = std::vector<float>(channels, 127.5F),
                                                                       .deviation = std::vector<float>(channels, 64.0F)}));
    SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(graph));
    rows.push_back({backbone.name, human_count(static_cast<std::uint64_t>(cost.parameters)), human_flops(cost.flops), std::to_string(side),
                    backbone.description});
    document.push_back({{"name", backbone.name},
                        {"description", backbone.description},
                        {"source", backbone.source},
                        {"least_side", backbone.least_side},
                        {"side", side},
                        {"parameters", cost.parameters},
                        {"flops", cost.flops}});
  }
  console.table({"backbone", "parameters", "FLOPs", "side", "what it is"}, rows);
  console.document({{"channels", options.channels}, {"classes", options.classes}, {"backbones", document}});
  return 0;
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.option("--side", options->side, "PIXELS", "height and width of the input that the figures are for");
  arguments.option("--channels", options->channels, "C", "1 for grey, 3 for RGB");
  arguments.option("--classes", options->classes, "K", "number of classes");
  return [options](Console& console) { return list(*options, console); };
}

constexpr std::array examples{
    Example{"sightline modules", "the backbones that a demand may name under recipe: backbone"},
    Example{"sightline modules --side 64 --classes 100", "what they cost for larger pictures and more classes"},
};

}  // namespace

constexpr Verb modules_verb{
    .name = "modules",
    .group = Group::machine,
    .summary = "list the backbones, with their parameters and operations",
    .details =
        "FLOPs are for one picture; a multiplication and an addition count as two. A backbone that wants larger pictures is "
        "counted at its smallest side.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
