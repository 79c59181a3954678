// modules: the parts that models are put together from. Every row comes from the table of its kind.
#include "modules/modules.h"

#include <algorithm>
#include <array>

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "base/files.h"
#include "base/text.h"
#include "heads/kinds.h"
#include "modules/detector.h"
#include "modules/embedder.h"
#include "modules/landmarker.h"
#include "modules/reader.h"
#include "modules/segmenter.h"
#include "modules/training_parts.h"

namespace sightline::cli {
namespace {

struct Options {
  std::string kind;
  int side = 32, channels = 3, classes = 10, features = 1280;
};

struct Module {
  std::string kind, name, in, out;
  std::int64_t parameters = 0, flops = 0;
  std::string description, source, pin;  // pin: what a demand writes
  static constexpr auto fields() {
    return std::tuple{field("kind", &Module::kind),
                      field("name", &Module::name),
                      field("in", &Module::in),
                      field("out", &Module::out),
                      field("parameters", &Module::parameters),
                      field("flops", &Module::flops),
                      field("description", &Module::description),
                      field("source", &Module::source),
                      field("pin", &Module::pin)};
  }
};

constexpr std::array kinds{"backbone", "network", "neck", "head", "detector", "net", "loss", "augmentation", "optimizer", "schedule"};

std::string human_flops(std::int64_t flops) {
  if (flops == 0) return "";
  const double millions = static_cast<double>(flops) / 1e6;
  return fmt::format("{:.{}f}", millions, millions >= 100 ? 0 : millions >= 1 ? 1 : 3);
}

// The nets of ours, at the side that is asked for or the least that suits them.
Result<void> add_backbones(const Options& options, std::vector<Module>& modules) {
  for (const modules::Backbone& backbone : modules::backbones()) {
    const int side = std::max(options.side, backbone.least_side);
    const auto channels = static_cast<std::size_t>(options.channels);
    modules::ClassifierOptions wanted{.backbone = backbone.name,
                                      .height = side,
                                      .width = side,
                                      .channels = options.channels,
                                      .classes = options.classes,
                                      .mean = std::vector<float>(channels, 127.5F),
                                      .deviation = std::vector<float>(channels, 64.0F)};
    SIGHTLINE_TRY(const graph::Graph graph, modules::build_classifier(wanted));
    SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(graph));
    graph::Builder builder(0);
    const std::string x = builder.input("x", Dtype::f32, {-1, options.channels, side, side});
    const Shape out = builder.shape_of(backbone.append(builder, x));
    modules.push_back({.kind = "backbone",
                       .name = backbone.name,
                       .in = fmt::format("f32 N×{}×{}×{}", options.channels, side, side),
                       .out = fmt::format("f32 N×{}×{}×{}", out[1], out[2], out[3]),
                       .parameters = cost.parameters,
                       .flops = cost.flops,
                       .description = backbone.description,
                       .source = backbone.source,
                       .pin = fmt::format("recipe: {{backbone: {}}}", backbone.name)});
  }
  return {};
}

// Those that were imported into the workspace, where there is one.
Result<void> add_networks(const Console& console, std::vector<Module>& modules) {
  if (!path_exists(workspace_root(console))) return {};
  SIGHTLINE_TRY(store::Workspace workspace, existing_workspace(console));
  SIGHTLINE_TRY(const std::vector<store::Backbone> all, workspace.registry().backbones());
  for (const store::Backbone& each : all) {
    std::vector<std::string> cuts;
    for (const Json& cut : each.about.value("cuts", Json::array()))
      cuts.push_back(fmt::format("{} {}", cut.value("name", ""), cut.value("width", 0)));
    const auto side = each.figures.value("side", 0);
    modules.push_back({.kind = "network",
                       .name = each.name,
                       .in = fmt::format("u8 N×{0}×{0}×C", side),
                       .out = fmt::format("f32 N×{}", each.figures.value("features", 0)),
                       .parameters = each.figures.value("parameters", std::int64_t{0}),
                       .flops = static_cast<std::int64_t>(each.figures.value("mflops", 0.0) * 1e6),
                       .description = fmt::format("imported; its features: {}", join(cuts, ", ")),
                       .source = fmt::format("{}; {}", each.about.value("origin", ""), each.about.value("licence", "")),
                       .pin = fmt::format("backbone: {{name: {}}}", each.name)});
  }
  return {};
}

void add_heads(const Options& options, std::vector<Module>& modules) {
  const std::string in = fmt::format("f32 N×{}", options.features), out = fmt::format("f32 N×{}", options.classes);
  const heads::HeadCost linear = heads::cost_of(heads::Kind::ridge, options.features, options.classes);
  modules.push_back({"head", "linear", in, out, linear.parameters, linear.flops, "trained by gradients, together with the rest of the net",
                     "", "recipe: {head: linear}"});
  for (const heads::KindRow& row : heads::kinds()) {
    const heads::HeadCost cost = heads::cost_of(row.kind, options.features, options.classes);
    modules.push_back({"head", enum_name(row.kind), in, out, cost.parameters, cost.flops,
                       fmt::format("{}{}", row.description, row.competes ? "" : "; only when it is named"), row.source,
                       fmt::format("recipe: {{head: {}}}, with a frozen backbone", enum_name(row.kind))});
  }
}

// What a detector has behind its backbone, for pictures of the side that is asked for, in steps of its coarsest map.
Result<void> add_detector_parts(const Options& options, std::vector<Module>& modules) {
  constexpr std::int64_t step = modules::coarsest_stride;
  const std::int64_t side = (options.side + step - 1) / step * step;
  const auto ports = [](const auto& values) {
    std::vector<std::string> words;
    for (const auto& value : values) words.push_back(to_string(value.shape));
    return "f32 " + join(words, ", ");
  };
  for (const modules::DetectorPart& part : modules::detector_parts()) {
    SIGHTLINE_TRY(const graph::Graph graph, modules::detector_part(part, side, side, options.classes));
    SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(graph));
    modules.push_back({.kind = "detector",
                       .name = part.name,
                       .in = ports(graph.inputs),
                       .out = ports(graph.outputs),
                       .parameters = cost.parameters,
                       .flops = cost.flops,
                       .description = part.description,
                       .source = part.source,
                       .pin = "task: detect"});
  }
  return {};
}

// The nets of tasks that are no classifiers, each as a whole.
Result<void> add_nets(const Options& options, std::vector<Module>& modules) {
  constexpr std::int64_t step = modules::coarsest_stride, line_height = 32;
  const std::int64_t side = (options.side + step - 1) / step * step, channels = options.channels, count = options.classes;
  const std::vector<float> mean(static_cast<std::size_t>(channels), 127.5F), deviation(mean.size(), 64.0F);
  const auto add = [&](const char* name, const char* task, const char* description, const char* source,
                       Result<graph::Graph> built) -> Result<void> {
    SIGHTLINE_TRY(const graph::Graph graph, std::move(built));
    SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(graph));
    std::vector<std::string> outputs;
    for (const auto& output : graph.outputs) outputs.push_back(fmt::format("{} {}", output.name, to_string(output.shape)));
    modules.push_back({.kind = "net",
                       .name = name,
                       .in = "u8 " + to_string(graph.inputs[0].shape),
                       .out = "f32 " + join(outputs, ", "),
                       .parameters = cost.parameters,
                       .flops = cost.flops,
                       .description = description,
                       .source = source,
                       .pin = fmt::format("task: {}", task)});
    return {};
  };
  SIGHTLINE_CHECK(add("segmenter", "segment", "what stands at each pixel, and where objects end",
                      "Ronneberger et al. 2015, Lin et al. 2017",
                      modules::build_segmenter({.height = side,
                                                .width = side,
                                                .channels = channels,
                                                .classes = count,
                                                .instances = true,
                                                .mean = mean,
                                                .deviation = deviation})));
  SIGHTLINE_CHECK(
      add("landmarker", "landmarks", "where each named point lies", "Tompson et al. 2014, Nibali et al. 2018",
          modules::build_landmarker(
              {.height = side, .width = side, .channels = channels, .landmarks = count, .mean = mean, .deviation = deviation})));
  SIGHTLINE_CHECK(
      add("embedder", "embed", "a vector by which identities are told apart", "Deng et al. 2019",
          modules::build_embedder({.side = side, .channels = channels, .identities = count, .mean = mean, .deviation = deviation})));
  return add(
      "reader", "read", "a line of text, column by column", "Zherzdev and Gruzdev 2018, Graves et al. 2006",
      modules::build_reader(
          {.height = line_height, .width = 3 * line_height, .channels = channels, .symbols = count, .mean = mean, .deviation = deviation}));
}

Result<int> list(const Options& options, Console& console) {
  if (options.side < 1 || options.side > 4096 || (options.channels != 1 && options.channels != 3) || options.classes < 2 ||
      options.features < 1)
    return Error{ErrorKind::usage, "--side is 1 to 4096, --channels 1 or 3, --classes at least 2, --features at least 1"};
  std::vector<Module> modules;
  SIGHTLINE_CHECK(add_backbones(options, modules));
  SIGHTLINE_CHECK(add_networks(console, modules));
  for (const modules::NeckRow& row : modules::necks())
    modules.push_back({"neck", enum_name(row.neck), "f32 N×F×h×w", "f32 N×F", 0, 0, row.description, row.source,
                       fmt::format("recipe: {{neck: {}}}", enum_name(row.neck))});
  add_heads(options, modules);
  SIGHTLINE_CHECK(add_detector_parts(options, modules));
  SIGHTLINE_CHECK(add_nets(options, modules));
  struct Parts {
    const char *kind, *in, *out;
    std::span<const modules::TrainingPart> rows;
  };
  const std::array parts{Parts{"loss", "f32 N×K, labels", "f32", modules::losses()},
                         Parts{"augmentation", "u8 H×W×C", "u8 H×W×C", modules::augmentations()},
                         Parts{"optimizer", "gradients", "weights", modules::optimizers()},
                         Parts{"schedule", "share of the steps", "share of the rate", modules::schedules()}};
  for (const Parts& part : parts)
    for (const modules::TrainingPart& row : part.rows)
      modules.push_back({part.kind, row.name, part.in, part.out, 0, 0, row.description, row.source,
                         fmt::format("recipe: {{{}: {}}}", part.kind, row.name)});

  if (!options.kind.empty()) std::erase_if(modules, [&](const Module& module) { return module.kind != options.kind; });
  std::vector<std::vector<std::string>> rows;
  for (const Module& each : modules)
    rows.push_back({each.kind, each.name, fmt::format("{} → {}", each.in, each.out),
                    each.parameters == 0 ? "" : human_count(static_cast<std::uint64_t>(each.parameters)), human_flops(each.flops),
                    each.description, each.source});
  if (!rows.empty()) console.table({"kind", "name", "takes → gives", "parameters", "MFLOP", "what it is", "source"}, rows);
  if (rows.empty()) console.say("none here; `sightline backbone import FILE` brings a network into the workspace");
  console.document({{"side", options.side},
                    {"channels", options.channels},
                    {"classes", options.classes},
                    {"features", options.features},
                    {"modules", to_json(modules)}});
  return 0;
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("KIND", options->kind,
                       "only these: backbone, network, neck, head, detector, net, loss, augmentation, optimizer or schedule", false,
                       {kinds.begin(), kinds.end()});
  arguments.option("--side", options->side, "PIXELS", "height and width of the input that the figures are for");
  arguments.option("--channels", options->channels, "C", "1 for grey, 3 for RGB");
  arguments.option("--classes", options->classes, "K", "number of classes");
  arguments.option("--features", options->features, "D", "numbers that a head reads");
  return [options](Console& console) { return list(*options, console); };
}

constexpr std::array examples{
    Example{"sightline modules", "every part that a demand may name"},
    Example{"sightline modules backbone --side 64 --classes 100", "what our nets cost for larger pictures and more classes"},
    Example{"sightline modules head --features 2048 --json", "what heads on 2,048 features cost, as JSON"},
};

}  // namespace

constexpr Verb modules_verb{
    .name = "modules",
    .group = Group::machine,
    .summary = "list the parts that models are put together from",
    .details =
        "Backbones (nets of ours, and networks of the workspace), necks, heads, what detectors have of both, losses, augmentations, "
        "optimisers and schedules: what goes "
        "in and comes out, parameters, operations, where they come from. A demand pins any of them under recipe. Operations are for one "
        "picture; a multiplication and an addition count as two; a backbone is counted with its classifier, and one that wants larger "
        "pictures at its smallest side.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
