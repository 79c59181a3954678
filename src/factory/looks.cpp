#include "factory/looks.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/machine.h"
#include "factory/feature_sources.h"
#include "factory/mirror.h"
#include "factory/recipe.h"
#include "features/looks.h"
#include "graph/graph.h"
#include "heads/head.h"

namespace sightline::factory {
namespace {

// A net that was made for larger pictures sees what there is to see, and twice its side costs more than a head in seconds may.
constexpr int largest_own_side = 128;
// Above, the last cut alone is good and an eigendecomposition of all columns takes too long.
constexpr std::size_t most_samples = 1000;
constexpr double most_operations = 9e12;  // of all looks at all samples, straight and mirrored: about a minute of two cores
constexpr int most_enlarged = 3;

// The larger side that half of the samples have at least.
int usual_side(const dataset::Manifest& manifest, const std::vector<std::int64_t>& samples) {
  std::vector<int> sides;
  sides.reserve(samples.size());
  for (const std::int64_t i : samples) {
    const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(i)];
    sides.push_back(std::max(sample.width, sample.height));
  }
  const auto middle = sides.begin() + static_cast<std::ptrdiff_t>(sides.size() / 2);
  std::ranges::nth_element(sides, middle);
  return *middle;
}

}  // namespace

Result<std::string> limit_broken_by(const BuildContext& build, const features::Backbone& backbone, int classes) {
  if (!build.demand.limits.latency_ms && !build.demand.limits.size_mb) return std::string();
  // Known before anything is fitted: a linear head of zeros takes as long and as much room as any.
  heads::Head head;
  head.features = backbone.dimensions;
  head.linear = {Tensor::zeros(Dtype::f32, {classes, backbone.dimensions}), Tensor::zeros(Dtype::f32, {classes})};
  SIGHTLINE_TRY(const graph::Graph graph, heads::append_head(backbone.graph, features::value, head));
  modules::Recipe recipe;
  recipe.backbone = backbone.about.file;
  recipe.side = backbone.side;
  recipe.channels = backbone.channels;
  return broken_limit(build.demand, graph::serving_graph(graph), recipe, build.threads, features::computed_in(backbone.about));
}

Result<std::vector<Look>> dearer_looks(const BuildContext& build, const features::FeatureSource& source, const dataset::Manifest& manifest,
                                       const std::vector<std::int64_t>& samples, const store::Workspace& workspace, Tensor& own) {
  const features::Backbone& backbone = source.backbone();
  std::vector<Look> looks;
  if (build.demand.recipe.side || demand::cuts_of(build.demand)[0] != "auto" || backbone.about.precision != "f32" ||
      backbone.side > largest_own_side || samples.empty() || samples.size() > most_samples)
    return looks;
  const int usual = usual_side(manifest, samples);
  std::vector<int> sides{backbone.side};
  std::string names = std::to_string(backbone.side);
  double operations = 0;
  for (const int times : {2, 3}) {
    if (times * backbone.side > most_enlarged * usual) break;
    sides.push_back(times * backbone.side);
    SIGHTLINE_TRY(std::optional<features::Backbone> look, features::looking_at(backbone, sides));
    if (!look) break;
    SIGHTLINE_TRY(const graph::Cost cost, graph::cost_of(look->graph));
    operations += 2 * static_cast<double>(cost.flops) * static_cast<double>(samples.size());
    SIGHTLINE_TRY(const std::string broken, limit_broken_by(build, *look, static_cast<int>(manifest.classes.size())));
    if (operations > most_operations || !broken.empty()) break;
    names += fmt::format(", {}", sides.back());
    looks.push_back({*std::move(look), fmt::format("sides of {} pixels together", names), {}, {}});
  }
  if (looks.empty()) return looks;
  SIGHTLINE_TRY(const std::optional<std::string> harm, harm_of_mirroring(manifest, build.demand.seed));
  if (harm) return std::vector<Look>();
  std::optional<Progress> progress;
  if (build.options.progress) progress.emplace("larger sides", (2 * looks.size() + 1) * samples.size(), "images");
  SIGHTLINE_TRY(own, mirrored_features_of(source, manifest, samples, progress ? &*progress : nullptr));
  for (Look& look : looks) {
    SIGHTLINE_TRY(const auto seen, features::FeatureSource::open(look.backbone, workspace.root() + "/features", usable_cores()));
    SIGHTLINE_TRY(look.features, features_of(*seen, manifest, samples, progress ? &*progress : nullptr));
    SIGHTLINE_TRY(look.mirrored, mirrored_features_of(*seen, manifest, samples, progress ? &*progress : nullptr));
  }
  if (progress) progress->finish();
  return looks;
}

}  // namespace sightline::factory
