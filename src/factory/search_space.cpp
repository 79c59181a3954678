#include "factory/search_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "base/files.h"
#include "base/text.h"
#include "factory/backbone.h"
#include "factory/recipe.h"
#include "factory/shipped.h"
#include "features/backbone.h"
#include "heads/head.h"
#include "modules/modules.h"
#include "package/metadata.h"
#include "package/package.h"
#include "runtime/precision.h"
#include "runtime/quantizer.h"
#include "runtime/session.h"

namespace sightline::factory {
namespace {

// Nets that are trained from random weights, the usual one first.
constexpr std::array nets{"resnet-s", "resnet-xs", "resnet-m"};
// How a candidate's pictures are altered in training: what choose_augmentation takes, more of it, nothing.
constexpr std::array augmentations{"usual", "strong", "none"};
// A backbone is also looked through at these shares of its own side; its features may be as good for a fraction of the work, or better.
constexpr std::array side_shares{0.71, 0.5, 1.41};
constexpr int side_step = 16, least_side = 32, most_side = 256;

// What a backbone in f32 is also computed in.
constexpr std::array lighter_precisions{"bf16", "int8"};
constexpr std::size_t calibration_pictures = 64, calibration_batch = 16;

constexpr int warm_up = 10, latency_runs = 60;
constexpr std::int64_t hidden_units = 1024;

// Of the graph that a candidate runs.
std::string key_of(const search::Candidate& candidate) {
  return fmt::format("{} {} {} {}", candidate.backbone, candidate.side, candidate.cut, candidate.precision);
}

// What its session rounds to: integers stand in the graph.
runtime::Precision precision_of(const search::Candidate& candidate) {
  return features::computed_in(features::About{.precision = candidate.precision});
}

bool has_hidden(const search::Candidate& candidate) {
  return candidate.approach == search::Approach::frozen && candidate.head == "random_features";
}

// A head of zeros: it takes as long and as much room as any of its kind.
heads::Head empty_head(std::int64_t features, int classes, bool hidden) {
  heads::Head head;
  head.features = features;
  if (hidden) {
    head.kind = heads::Kind::random_features;
    head.projection = {Tensor::zeros(Dtype::f32, {hidden_units, features}), Tensor::zeros(Dtype::f32, {hidden_units}),
                       heads::Activation::relu};
  }
  head.linear = {Tensor::zeros(Dtype::f32, {classes, hidden ? hidden_units : features}), Tensor::zeros(Dtype::f32, {classes})};
  return head;
}

}  // namespace

Result<std::vector<SearchBackbone>> search_backbones(const demand::Demand& demand, store::Workspace& workspace, const Digest& demands_file,
                                                     int threads) {
  std::vector<SearchBackbone> found;
  if (demand.backbone && demand.backbone->onnx) {
    const std::string& path = *demand.backbone->onnx;
    const std::string file = path.substr(path.rfind('/') + 1);
    found.push_back({.name = file == features::graph_file ? "the backbone" : file, .tree = {}, .identity = demands_file});
    return found;
  }
  if (demand.backbone || demand.recipe.backbone) return found;  // weights for a net of ours, or such a net
  for (const ShippedBackbone& each : shipped_backbones()) SIGHTLINE_CHECK(find_workspace_backbone(each.name, workspace, threads));
  SIGHTLINE_TRY(const std::vector<store::Backbone> all, workspace.registry().backbones());
  for (const store::Backbone& each : all) found.push_back({.name = each.name, .tree = each.tree, .identity = each.tree});
  std::ranges::stable_partition(found, [](const SearchBackbone& each) { return each.name == default_backbone_name; });
  return found;
}

Result<std::unique_ptr<SearchSpace>> SearchSpace::open(const BuildContext& build, store::Workspace& workspace,
                                                       const dataset::Manifest& manifest, const std::vector<SearchBackbone>& backbones,
                                                       bool trains, const std::string& folder) {
  std::unique_ptr<SearchSpace> space(new SearchSpace(build, workspace, manifest, folder));
  const demand::Demand& demand = build.demand;
  search::Material material;
  material.trains = trains && !(demand.backbone && demand.backbone->freeze == demand::Freeze::backbone);
  for (const SearchBackbone& each : backbones) {
    const std::string path = fmt::format("{}/backbone-{}", folder, space->folders_.size());
    SIGHTLINE_CHECK(remove_all(path));
    if (each.tree.empty()) {
      SIGHTLINE_TRY(const CutNetwork cut, cut_network(demand));
      SIGHTLINE_CHECK(make_directories(path));
      SIGHTLINE_CHECK(features::write_backbone(cut.graph, cut.about, path));
      SIGHTLINE_TRY(space->trees_[each.name], workspace.blobs().put_tree(path));
    } else {
      SIGHTLINE_CHECK(workspace.blobs().materialize(each.tree, path));
      space->trees_[each.name] = each.tree;
    }
    SIGHTLINE_TRY(features::Backbone read, features::read_backbone(path));
    if (!each.tree.empty() && demand::cuts_of(demand)[0] != "auto") {
      SIGHTLINE_TRY(read, with_wanted_cuts(read, demand, false));
      SIGHTLINE_CHECK(remove_all(path));
      SIGHTLINE_CHECK(make_directories(path));
      SIGHTLINE_CHECK(features::write_backbone(read.graph, read.about, path));
      SIGHTLINE_TRY(space->trees_[each.name], workspace.blobs().put_tree(path));
    }
    const std::string& precision = read.about.precision;
    space->folders_[each.name] = path;
    SIGHTLINE_TRY(std::vector<int> sides, space->sides_of(read));
    search::Source source{.name = each.name, .sides = std::move(sides), .precisions = {precision}, .tunable = precision == "f32"};
    if (read.about.cuts.size() > 1 && demand::cuts_of(demand)[0] == "auto") source.cuts = {read.about.cuts.back().name, search::all_cuts};
    if (precision == "f32") source.precisions.insert(source.precisions.end(), lighter_precisions.begin(), lighter_precisions.end());
    if (!runtime::processor_has_bf16()) std::erase(source.precisions, "bf16");
    material.backbones.push_back(std::move(source));
  }
  if (!demand.backbone || demand.backbone->weights) {
    demand::Demand plain = demand;
    plain.limits = {};
    plain.recipe.augmentation = "none";  // not asked here
    if (!plain.recipe.backbone) plain.recipe.backbone = nets[0];
    SIGHTLINE_TRY(const ChosenRecipe usual, choose_recipe(plain, manifest, build.threads));
    std::vector<std::string> names(nets.begin(), nets.end());
    if (demand.recipe.backbone) names = {*demand.recipe.backbone};
    for (const std::string& name : names) material.nets.push_back({name, {usual.recipe.side}});
  }
  material.augmentations = {augmentations.begin(), augmentations.end()};
  if (demand.recipe.augmentation) material.augmentations = {*demand.recipe.augmentation};
  if (demand.recipe.learning_rate) material.rates = {1};
  if (demand.recipe.head) material.heads = {*demand.recipe.head};
  space->candidates_ = search::candidates_of(material);
  return space;
}

Result<std::vector<int>> SearchSpace::sides_of(const features::Backbone& backbone) const {
  if (const auto pinned = build_.demand.recipe.side) {
    SIGHTLINE_CHECK(features::seen_at(backbone, *pinned));
    return std::vector<int>{*pinned};
  }
  std::vector<int> sides{backbone.side};
  for (const double share : side_shares) {
    const int side = static_cast<int>(std::lround(backbone.side * share / side_step)) * side_step;
    if (side < least_side || side > most_side || std::find(sides.begin(), sides.end(), side) != sides.end()) continue;
    if (features::seen_at(backbone, side).ok()) sides.push_back(side);
  }
  return sides;
}

Result<const SearchSpace::Sided*> SearchSpace::backbone(const search::Candidate& candidate) {
  const std::string key = key_of(candidate);
  if (const auto found = opened_.find(key); found != opened_.end()) return &found->second;
  const std::string& own = folders_.at(candidate.backbone);
  SIGHTLINE_TRY(features::Backbone read, features::read_backbone(own));
  const bool cuts = candidate.cut != search::usual_cut && candidate.cut != search::all_cuts;
  if (cuts) {
    SIGHTLINE_TRY(read, features::with_cuts(read, {candidate.cut}));
  }
  Sided sided{.folder = own, .tree = trees_.at(candidate.backbone), .source = nullptr};
  if (cuts || read.side != candidate.side || read.about.precision != candidate.precision) {
    sided.folder = fmt::format("{}-{}", own, opened_.size());
    SIGHTLINE_CHECK(remove_all(sided.folder));
    SIGHTLINE_CHECK(make_directories(sided.folder));
    SIGHTLINE_TRY(const features::Backbone seen, features::seen_at(read, candidate.side));
    features::About about = seen.about;
    graph::Graph graph = seen.graph;
    if (read.about.precision != candidate.precision && candidate.precision == "int8") {
      SIGHTLINE_TRY(graph, quantized(graph));
    }
    about.precision = candidate.precision;
    SIGHTLINE_CHECK(features::write_backbone(graph, about, sided.folder));
    SIGHTLINE_TRY(sided.tree, workspace_.blobs().put_tree(sided.folder));
  }
  SIGHTLINE_TRY(sided.source, build_.sources->of(workspace_, sided.tree));
  return &(opened_[key] = std::move(sided));
}

Result<graph::Graph> SearchSpace::quantized(const graph::Graph& graph) const {
  std::vector<std::size_t> training;
  for (std::size_t i = 0; i < manifest_.samples.size(); ++i)
    if (manifest_.samples[i].split == dataset::Split::train) training.push_back(i);
  const std::size_t count = std::min(training.size(), calibration_pictures);
  const int side = static_cast<int>(graph.inputs[0].shape[1]), channels = static_cast<int>(graph.inputs[0].shape[3]);
  const dataset::SampleReader reader(manifest_.root);
  std::vector<runtime::Batch> batches;
  for (std::size_t first = 0; first < count; first += calibration_batch) {
    const std::size_t some = std::min(calibration_batch, count - first);
    Tensor batch(Dtype::u8, {static_cast<std::int64_t>(some), side, side, channels});
    for (std::size_t i = 0; i < some; ++i) {
      SIGHTLINE_TRY(const image::Image picture, reader.read(manifest_.samples[training[(first + i) * training.size() / count]].path));
      const Tensor one = package::prepare_picture(picture, {.width = side, .height = side, .channels = channels});
      std::ranges::copy(one.bytes(), batch.rows(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1).data());
    }
    batches.push_back({std::move(batch)});
  }
  SIGHTLINE_TRY(const runtime::Quantizer quantizer, runtime::Quantizer::create(graph, batches, {.threads = build_.threads}));
  return quantizer.quantize();
}

Result<std::string> SearchSpace::augmentation_of(const std::string& name) {
  if (name != "usual" && name != "strong") return name;
  if (!usual_augmentation_) {
    ChosenRecipe chosen;
    demand::Demand open = build_.demand;
    open.recipe.augmentation.reset();
    SIGHTLINE_CHECK(choose_augmentation(open, manifest_, chosen));
    usual_augmentation_ = enum_name(chosen.recipe.augmentation);
  }
  if (name == "usual") return *usual_augmentation_;
  return std::string(*usual_augmentation_ == "none" || usual_augmentation_->ends_with("unflipped") ? "strong_unflipped" : "strong");
}

Result<ChosenRecipe> SearchSpace::recipe(const search::Candidate& candidate, int epochs) {
  demand::Demand demand = build_.demand;
  demand.limits = {};
  demand.budget = {.epochs = epochs, .minutes = {}};
  SIGHTLINE_TRY(demand.recipe.augmentation, augmentation_of(candidate.augmentation));
  Result<ChosenRecipe> chosen = Error{};
  if (candidate.approach == search::Approach::scratch) {
    demand.recipe.backbone = candidate.backbone;
    demand.recipe.side = candidate.side;
    chosen = choose_recipe(demand, manifest_, build_.threads);
  } else {
    SIGHTLINE_TRY(const Sided* sided, backbone(candidate));
    demand.recipe.side.reset();
    demand.recipe.backbone.reset();
    demand.recipe.cut.reset();  // it is cut already
    demand.backbone = demand::Backbone{.onnx = sided->folder + "/" + features::graph_file,
                                       .freeze = candidate.depth == search::Depth::last ? demand::Freeze::early : demand::Freeze::none};
    chosen = choose_imported_recipe(demand, manifest_, build_.threads);
  }
  if (chosen.ok()) chosen->recipe.learning_rate *= candidate.rate;
  return chosen;
}

Result<graph::Graph> SearchSpace::graph_of(const search::Candidate& candidate) {
  if (candidate.approach == search::Approach::scratch) {
    search::Candidate plain = candidate;
    plain.augmentation = "none";  // does not change the graph
    SIGHTLINE_TRY(const ChosenRecipe chosen, recipe(plain, 1));
    return graph::serving_graph(chosen.graph);
  }
  SIGHTLINE_TRY(const Sided* sided, backbone(candidate));
  const features::Backbone& read = sided->source->backbone();
  SIGHTLINE_TRY(const graph::Graph joined,
                heads::append_head(read.graph, features::value, empty_head(read.dimensions, classes(), has_hidden(candidate))));
  return graph::serving_graph(joined);
}

Result<search::Admission> SearchSpace::admit(const search::Candidate& candidate) {
  const std::string key = key_of(candidate) + (has_hidden(candidate) ? " hidden" : "");
  if (!costs_.contains(key)) {
    SIGHTLINE_TRY(const graph::Graph graph, graph_of(candidate));
    SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(graph));
    SIGHTLINE_TRY(runtime::Session session,
                  runtime::Session::create(graph, {.threads = build_.threads, .precision = precision_of(candidate)}));
    if (!picture_) {
      SIGHTLINE_TRY(picture_, dataset::SampleReader(manifest_.root).read(manifest_.samples.at(0).path));
    }
    const package::Preprocessing preprocessing{
        .width = candidate.side, .height = candidate.side, .channels = static_cast<int>(graph.inputs[0].shape[3])};
    std::vector<double> milliseconds;
    for (int run = -warm_up; run < latency_runs; ++run) {
      const auto begin = std::chrono::steady_clock::now();
      const Tensor prepared = package::prepare_picture(*picture_, preprocessing);
      SIGHTLINE_CHECK(session.run(prepared));
      if (run >= 0) milliseconds.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    }
    std::sort(milliseconds.begin(), milliseconds.end());
    const runtime::Memory memory = session.memory();
    costs_[key] = {.latency_ms = milliseconds[milliseconds.size() * 95 / 100],
                   .size_mb = static_cast<double>(onnx.size()) / 1e6,
                   .memory_mb = static_cast<double>(memory.weights + memory.arena) / 1e6};
  }
  search::Admission admission{.cost = costs_.at(key), .refusal = {}};
  const demand::Limits& limits = build_.demand.limits;
  if (limits.size_mb && admission.cost.size_mb > *limits.size_mb)
    admission.refusal = fmt::format("it takes {:.2f} MB of {:g}", admission.cost.size_mb, *limits.size_mb);
  else if (limits.latency_ms && admission.cost.latency_ms > *limits.latency_ms)
    admission.refusal = fmt::format("it takes {:.2f} ms of {:g} here", admission.cost.latency_ms, *limits.latency_ms);
  return admission;
}

}  // namespace sightline::factory
