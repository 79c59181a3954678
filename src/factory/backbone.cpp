#include "factory/backbone.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "base/machine.h"
#include "base/temporary_folder.h"
#include "base/text.h"
#include "factory/backbone_precision.h"
#include "factory/recipe.h"
#include "factory/shipped.h"
#include "modules/imported.h"
#include "modules/modules.h"
#include "runtime/session.h"
#include "weights/mapping.h"
#include "weights/weights.h"

namespace sightline::factory {
namespace {

constexpr int usual_side = 224, latency_runs = 50, warm_up = 10;
constexpr std::int64_t most_features_of_several_cuts = 4096;

// p50 at batch 1, milliseconds.
Result<double> latency_of(const CutNetwork& network, int threads) {
  SIGHTLINE_TRY(runtime::Session session,
                runtime::Session::create(network.graph, {.threads = threads, .precision = features::computed_in(network.about)}));
  Shape shape = network.graph.inputs[0].shape;
  shape[0] = 1;
  const Tensor picture = Tensor::zeros(Dtype::u8, shape);
  std::vector<double> milliseconds;
  for (int run = -warm_up; run < latency_runs; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    SIGHTLINE_CHECK(session.run(picture));
    if (run >= 0) milliseconds.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(milliseconds.begin(), milliseconds.begin() + latency_runs / 2, milliseconds.end());
  return milliseconds[latency_runs / 2];
}

std::vector<features::Cut> cuts_of(const modules::ImportedClassifier& imported) {
  std::vector<features::Cut> cuts;
  for (const modules::ImportedCut& cut : imported.cuts) cuts.push_back({cut.name, cut.at, cut.value, cut.width});
  return cuts;
}

// A net of ours with the file's weights, cut like any other.
Result<CutNetwork> net_with_weights(const BackboneImport& wanted) {
  SIGHTLINE_TRY(const NetWithWeights net, read_net(wanted));
  SIGHTLINE_TRY(modules::ImportedClassifier imported,
                modules::import_classifier(
                    graph::serving_graph(net.graph), wanted.file,
                    {.cuts = wanted.cuts[0] == "auto" ? std::vector<std::string>{"all"} : wanted.cuts, .neck = wanted.neck, .classes = 2}));
  CutNetwork cut;
  imported.graph.outputs = {{features::value, Dtype::f32, {-1, imported.features}, {}}};
  cut.graph = graph::fold_batch_norm(graph::serving_graph(imported.graph));
  cut.about = net.about;
  cut.about.cuts = cuts_of(imported);
  cut.about.reasons = imported.reasons;
  cut.about.reasons.insert(cut.about.reasons.begin(),
                           fmt::format("weights of {} on the net {}: {}", cut.about.file, *wanted.net, net.sentence));
  return cut;
}

}  // namespace

Result<NetWithWeights> read_net(const BackboneImport& wanted) {
  modules::ClassifierOptions options;
  options.backbone = *wanted.net;
  options.height = options.width = wanted.side > 0 ? wanted.side : usual_side;
  options.channels = wanted.channels;
  options.classes = 2;
  const auto floats = [&](const std::vector<double>& list, float otherwise) {
    std::vector<float> values(list.begin(), list.end());
    if (values.empty()) values = {otherwise};
    if (values.size() == 1) values.assign(static_cast<std::size_t>(std::max(wanted.channels, 1)), values[0]);
    return values;
  };
  options.mean = floats(wanted.mean, 127.5F);
  options.deviation = floats(wanted.scale, 127.5F);
  NetWithWeights net;
  net.mean = options.mean;
  net.deviation = options.deviation;
  SIGHTLINE_TRY(net.graph, modules::build_classifier(options));
  SIGHTLINE_TRY(const weights::WeightFile file, weights::read_weights(wanted.file));
  SIGHTLINE_TRY(const weights::Mapping mapping, weights::map_weights(file, wanted.file, net.graph));
  net.sentence = mapping.sentence();
  net.about.file = wanted.file.substr(wanted.file.rfind('/') + 1);
  SIGHTLINE_TRY(net.about.file_digest, sha256_of_file(wanted.file));
  for (const char* key : {"licence", "license"})
    if (const auto found = file.metadata.find(key); found != file.metadata.end()) net.about.licence = found->second;
  for (const char* key : {"origin", "source"})
    if (const auto found = file.metadata.find(key); found != file.metadata.end()) net.about.origin = found->second;
  return net;
}

Result<features::Backbone> with_wanted_cuts(const features::Backbone& backbone, const demand::Demand& demand, bool tuned) {
  if (demand.recipe.neck)
    return Error{
        ErrorKind::usage,
        fmt::format("recipe.neck {0} and the backbone {1} do not go together: how its places are brought together was settled when "
                    "it was imported; leave recipe.neck out, or import it with `sightline backbone import --neck {0}`",
                    *demand.recipe.neck, backbone.about.file)};
  const std::vector<std::string> cuts = demand::cuts_of(demand);
  const bool last = std::ranges::find(backbone.about.cuts, "last", &features::Cut::name) != backbone.about.cuts.end();
  if (cuts[0] == "all" || (cuts[0] == "auto" && !(tuned && last))) return backbone;
  return features::with_cuts(backbone, cuts[0] == "auto" ? std::vector<std::string>{"last"} : cuts);
}

Result<CutNetwork> cut_network(const demand::Demand& demand) {
  const std::string& path = *demand.backbone->onnx;
  // Where more may be tuned than the head, earlier layers have a rung of their own (escalation_steps.cpp).
  const bool tuned = demand.backbone->freeze == demand::Freeze::automatic;
  SIGHTLINE_TRY(const graph::Graph source, graph::read_onnx(path));
  if (features::is_backbone(source)) {  // cut already
    SIGHTLINE_TRY(const features::Backbone made, features::read_backbone(std::filesystem::path(path).parent_path().string()));
    SIGHTLINE_TRY(features::Backbone backbone, with_wanted_cuts(made, demand, tuned));
    if (demand.recipe.side) {
      SIGHTLINE_TRY(backbone, features::seen_at(backbone, *demand.recipe.side));
    }
    if (demand.backbone->licence) backbone.about.licence = *demand.backbone->licence;
    if (demand.backbone->origin) backbone.about.origin = *demand.backbone->origin;
    return CutNetwork{std::move(backbone.graph), std::move(backbone.about)};
  }
  // Heads choose among cuts (frozen_steps.cpp), so that all are wanted, unless they would be too many numbers for a fit in closed form.
  demand::Demand whole = demand;
  const bool choose = !tuned && demand::cuts_of(demand)[0] == "auto";
  if (choose) whole.recipe.cut = {"all"};
  SIGHTLINE_TRY(modules::ImportedClassifier imported, import_network(whole, 2));
  if (choose && imported.cuts.size() > 1 && imported.features > most_features_of_several_cuts) {
    SIGHTLINE_TRY(imported, import_network(demand, 2));
  }
  CutNetwork cut;
  imported.graph.outputs = {{features::value, Dtype::f32, {-1, imported.features}, {}}};
  cut.graph = graph::serving_graph(imported.graph);
  SIGHTLINE_TRY(const Json lineage, backbone_lineage(demand));
  SIGHTLINE_TRY(cut.about, struct_from_json<features::About>(lineage));
  cut.about.cuts = cuts_of(imported);
  cut.about.reasons = imported.reasons;
  return cut;
}

Result<store::Backbone> import_backbone(const BackboneImport& wanted, store::Workspace& workspace, int threads) {
  SIGHTLINE_CHECK(store::check_release_name(wanted.name));
  CutNetwork cut;
  if (wanted.net) {
    SIGHTLINE_TRY(cut, net_with_weights(wanted));
  } else {
    demand::Demand demand;
    demand.backbone = demand::Backbone{.onnx = wanted.file, .cut = wanted.cuts, .freeze = demand::Freeze::backbone};
    if (wanted.neck != modules::Neck::average) demand.recipe.neck = enum_name(wanted.neck);
    if (!wanted.mean.empty()) demand.backbone->mean = wanted.mean;
    if (!wanted.scale.empty()) demand.backbone->scale = wanted.scale;
    if (wanted.side > 0) demand.recipe.side = wanted.side;
    SIGHTLINE_TRY(cut, cut_network(demand));
  }
  if (wanted.licence) cut.about.licence = *wanted.licence;
  if (wanted.origin) cut.about.origin = *wanted.origin;
  SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(cut.graph));  // of its products, whatever they are computed in
  SIGHTLINE_TRY(LighterNetwork lighter, in_precision(cut, wanted.precision, wanted.pictures, wanted.most_pictures, threads));
  cut = std::move(lighter.network);

  SIGHTLINE_TRY(const FileLock lock, workspace.lock_for_building());
  const TemporaryFolder folder;
  if (folder.path().empty()) return system_error("cannot make a folder for", wanted.file);
  SIGHTLINE_CHECK(features::write_backbone(cut.graph, cut.about, folder.path()));
  store::Backbone backbone{.name = wanted.name, .tree = {}, .created = {}, .about = to_json(cut.about), .figures = {}};
  SIGHTLINE_TRY(backbone.tree, workspace.blobs().put_tree(folder.path()));
  SIGHTLINE_TRY(const double milliseconds, latency_of(cut, threads));
  backbone.figures = {{"features", cut.graph.outputs[0].shape[1]},
                      {"side", cut.graph.inputs[0].shape[1]},
                      {"parameters", cost.parameters},
                      {"mflops", std::round(static_cast<double>(cost.flops) / 1e4) / 100},
                      {"precision", cut.about.precision},
                      {"p50_ms", milliseconds},
                      {"threads", threads}};
  SIGHTLINE_CHECK(workspace.registry().put_backbone(backbone));
  SIGHTLINE_CHECK(workspace.ensure_backbone_folder(backbone));
  return backbone;
}

Result<demand::Demand> with_backbone_file(const demand::Demand& demand, store::Workspace& workspace) {
  if (!demand.backbone || !demand.backbone->name) return demand;
  SIGHTLINE_TRY(const std::optional<store::Backbone> found, find_workspace_backbone(*demand.backbone->name, workspace, usable_cores()));
  if (!found) {
    SIGHTLINE_TRY(const std::vector<store::Backbone> all, workspace.registry().backbones());
    std::vector<std::string> names;
    for (const store::Backbone& each : all) names.push_back(each.name);
    for (const ShippedBackbone& each : shipped_backbones()) names.push_back(each.name);
    return Error{ErrorKind::not_found,
                 fmt::format("backbone.name: there is no backbone \"{}\" in {}{}; `sightline backbone import` brings one",
                             *demand.backbone->name, workspace.root(), did_you_mean(*demand.backbone->name, names))};
  }
  SIGHTLINE_TRY(const std::string folder, workspace.ensure_backbone_folder(*found));
  demand::Demand with_file = demand;
  with_file.backbone->onnx = folder + "/" + features::graph_file;
  with_file.backbone->name.reset();
  if (!with_file.backbone->licence) with_file.backbone->licence = found->about.value("licence", "not stated");
  if (!with_file.backbone->origin) with_file.backbone->origin = found->about.value("origin", "not stated");
  return with_file;
}

}  // namespace sightline::factory
