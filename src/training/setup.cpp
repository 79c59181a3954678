#include "training/setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/json.h"
#include "base/machine.h"
#include "modules/detector.h"
#include "tasks/degradation.h"

namespace sightline::training {
namespace {

Result<void> check_recipe(const modules::Recipe& recipe) {
  const auto wrong = [](const std::string& what) { return Error{ErrorKind::usage, "recipe: " + what}; };
  if (!recipe.epochs && !recipe.minutes) return wrong("give epochs or minutes");
  if (recipe.epochs && *recipe.epochs < 1) return wrong("epochs must be at least 1");
  if (recipe.minutes && !(*recipe.minutes > 0 && *recipe.minutes < 1e6)) return wrong("minutes must be above 0");
  if (recipe.batch < 2) return wrong("batch must be at least 2 (a single sample has no batch statistics)");
  struct Range {
    const char* name;
    double value, low, high;  // [low, high)
  };
  const double large = 1e30;
  for (const Range& range : {Range{"learning_rate", recipe.learning_rate, 0, large}, Range{"momentum", recipe.momentum, 0, 1},
                             Range{"weight_decay", recipe.weight_decay, 0, large}, Range{"warmup", recipe.warmup, 0, 1},
                             Range{"label_smoothing", recipe.label_smoothing, 0, 1}, Range{"weight_average", recipe.weight_average, 0, 1},
                             Range{"clip", recipe.clip, 0, large}, Range{"backbone_rate", recipe.backbone_rate, 0, large},
                             Range{"margin", recipe.margin, 0, large}, Range{"scale", recipe.scale, 1e-6, large},
                             Range{"pair_weight", recipe.pair_weight, 0, large}}) {
    if (!(range.value >= range.low && range.value < range.high))
      return wrong(fmt::format("{} is {}; it must be at least {}{}", range.name, range.value, range.low,
                               range.high < large ? fmt::format(" and below {}", range.high) : ""));
  }
  if (recipe.frozen_layers < 0) return wrong("frozen_layers must not be negative");
  if (recipe.pictures_per_identity < 1) return wrong("pictures_per_identity must be at least 1");
  if (recipe.patience < 0) return wrong("patience must not be negative");
  return {};
}

// Graph and set must speak of the same pictures.
Result<void> check_input(const Setup& setup) {
  const graph::Graph& graph = setup.graph;
  const auto wrong = [&](const std::string& what) { return Error{ErrorKind::invalid_data, fmt::format("{}: {}", setup.spec.graph, what)}; };
  const Tensor pixels = setup.set->pixels();
  if (graph.inputs.size() != 1)
    return wrong(fmt::format("a graph with {} inputs cannot be trained on pictures; one is wanted", graph.inputs.size()));
  const graph::ValueInfo& input = graph.inputs[0];
  // What undoes a degradation learns on crops of the pictures, whatever its own size is.
  const bool crops = graph.metadata.contains(tasks::restoration_key) && input.shape.size() == 4;
  const Shape wanted{-1, crops ? input.shape[1] : pixels.dim(1), crops ? input.shape[2] : pixels.dim(2), pixels.dim(3)};
  const bool fits = input.dtype == Dtype::u8 && input.shape.size() == 4 &&
                    std::equal(wanted.begin() + 1, wanted.end(), input.shape.begin() + 1,
                               [](std::int64_t have, std::int64_t want) { return want < 0 || want == have; });
  if (!fits)
    return wrong(fmt::format("the input \"{}\" is {} {}, the pictures of {} are u8 {}", input.name, name_of(input.dtype),
                             to_string(input.shape), setup.spec.data, to_string(wanted)));
  return {};
}

// The learned initializers of the layer that makes the logits, a bias that is added behind it included.
std::set<std::string> head_of(const graph::Graph& graph, const std::string& logits) {
  std::map<std::string, const graph::Node*> maker;
  for (const graph::Node& node : graph.nodes)
    for (const std::string& output : node.outputs) maker[output] = &node;
  const auto roles = graph::roles_of(graph);
  std::set<std::string> head;
  bool weights = false;
  for (std::string value = logits; !weights && maker.contains(value);) {
    const graph::Node& node = *maker.at(value);
    value.clear();
    for (const std::string& input : node.inputs) {
      const auto role = roles.find(input);
      if (role == roles.end() && value.empty()) value = input;
      if (role == roles.end() || role->second == graph::Role::constant) continue;
      head.insert(input);
      weights = weights || role->second == graph::Role::weight;
    }
  }
  return head;
}

// How many layers the graph says are its backbone's.
std::optional<int> backbone_layers(const graph::Graph& graph) {
  const auto found = graph.metadata.find(modules::backbone_layers_key);
  int count = 0;
  if (found == graph.metadata.end()) return std::nullopt;
  const auto [end, code] = std::from_chars(found->second.data(), found->second.data() + found->second.size(), count);
  return code == std::errc() && count > 0 ? std::optional(count) : std::nullopt;
}

// Layers are counted by the nodes that have weights; what stands behind one (a normalisation, a slope) belongs to it.
void choose_rates(Setup& setup) {
  const modules::Recipe& recipe = setup.spec.recipe;
  const std::optional<int> backbone = backbone_layers(setup.graph);
  const std::set<std::string> head = backbone ? std::set<std::string>() : head_of(setup.graph, setup.objective->outputs()[0]);
  const auto roles = graph::roles_of(setup.graph);
  int layer = 0;
  for (const graph::Node& node : setup.graph.nodes) {
    bool weights = false;
    for (const std::string& input : node.inputs) {
      const auto role = roles.find(input);
      if (role == roles.end() || role->second == graph::Role::constant || head.contains(input)) continue;
      if (role->second == graph::Role::weight && node.op_type != "PRelu" && !weights) {
        weights = true;
        ++layer;
      }
      const bool frozen = layer <= recipe.frozen_layers && recipe.frozen_layers > 0;
      if (frozen) setup.frozen.insert(input);
      const double rate = backbone && layer > *backbone ? 1 : recipe.backbone_rate;
      if (frozen || rate != 1) setup.rates[input] = frozen ? 0 : rate;
    }
  }
}

Result<Samples> samples_of(const dataset::PackedSet& set, dataset::Split split, const modules::TrainingSpec& spec) {
  const std::string& path = spec.data;
  for (const std::string& name : spec.leave_out)
    if (std::find(set.classes().begin(), set.classes().end(), name) == set.classes().end())
      return Error{ErrorKind::usage, fmt::format("leave_out: {} has no class \"{}\"", path, name)};
  Samples samples;
  const Tensor pixels = set.pixels();
  samples.shape = {static_cast<int>(pixels.dim(1)), static_cast<int>(pixels.dim(2)), static_cast<int>(pixels.dim(3))};
  samples.pixels = reinterpret_cast<const std::uint8_t*>(pixels.data());
  samples.labels = set.labels();
  samples.targets = set.targets();
  samples.chosen = set.indices_of(split);
  const auto classes = static_cast<std::int32_t>(set.classes().size());
  for (const std::int64_t sample : samples.chosen) {
    const std::int32_t label = samples.labels[static_cast<std::size_t>(sample)];
    if (label < 0 || label >= classes)
      return Error{ErrorKind::invalid_data, fmt::format("{}: sample {} has label {} of {} classes", path, sample, label, classes)};
  }
  std::erase_if(samples.chosen, [&](std::int64_t sample) {
    const auto label = static_cast<std::size_t>(samples.labels[static_cast<std::size_t>(sample)]);
    return std::find(spec.leave_out.begin(), spec.leave_out.end(), set.classes()[label]) != spec.leave_out.end();
  });
  return samples;
}

Digest fingerprint_of(const modules::TrainingSpec& spec, const dataset::PackedSet& set, const Digest& graph_digest) {
  constexpr std::size_t most_pixels = std::size_t{4} << 20U;
  const Tensor pixels = set.pixels();
  Sha256 sum;
  sum.add_field("training 2")
      .add_field(spec.task)
      .add_field(json_text(to_json(spec.recipe)))
      .add_field(std::to_string(spec.seed))
      .add_field(graph_digest);
  sum.add_field(json_text(to_json(spec.leave_out)));
  sum.add_field(to_string(pixels.shape())).add_field(json_text(to_json(set.classes())));
  sum.add(std::as_bytes(set.labels())).add(std::as_bytes(set.splits()));
  sum.add(pixels.bytes().first(std::min(most_pixels, pixels.byte_count())));
  const auto targets = std::as_bytes(set.targets());
  sum.add(targets.first(std::min(most_pixels, targets.size())));
  sum.add(std::as_bytes(set.first_objects())).add(std::as_bytes(set.objects()));
  sum.add(std::as_bytes(set.first_symbols())).add(std::as_bytes(set.symbols()));
  for (const std::int64_t sample : set.has_masks() ? set.indices_of(dataset::Split::train) : std::vector<std::int64_t>())
    sum.add(std::as_bytes(set.mask_of(sample))).add(std::as_bytes(set.instances_of(sample)));
  return sum.finish();
}

}  // namespace

Result<Setup> set_up(const modules::TrainingSpec& spec) {
  for (const auto& [name, value] :
       {std::pair{"graph", &spec.graph}, {"data", &spec.data}, {"output", &spec.output}, {"checkpoint", &spec.checkpoint}})
    if (value->empty()) return Error{ErrorKind::usage, fmt::format("the specification lacks \"{}\"", name)};
  SIGHTLINE_CHECK(check_recipe(spec.recipe));
  Setup setup;
  setup.spec = spec;
  setup.threads = spec.threads > 0 ? spec.threads : usable_cores();
  SIGHTLINE_TRY(setup.graph, graph::read_onnx(spec.graph));
  SIGHTLINE_TRY(const Digest graph_digest, sha256_of_file(spec.graph));
  SIGHTLINE_TRY(dataset::PackedSet set, dataset::PackedSet::open(spec.data));
  setup.set = std::make_unique<dataset::PackedSet>(std::move(set));
  SIGHTLINE_TRY(const auto values, graph::infer_shapes(setup.graph));
  SIGHTLINE_CHECK(check_input(setup));
  SIGHTLINE_TRY(setup.training, samples_of(*setup.set, dataset::Split::train, spec));
  SIGHTLINE_TRY(setup.validation, samples_of(*setup.set, dataset::Split::validation, spec));
  if (setup.training.count() < 2)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} has {} training samples; at least 2 are needed", spec.data, setup.training.count())};
  SIGHTLINE_TRY(setup.objective, make_objective({spec, setup.graph, values, *setup.set, setup.training, setup.validation}));
  choose_rates(setup);
  if (spec.recipe.patience > 0 && setup.validation.count() == 0)
    return Error{ErrorKind::usage, "recipe: patience needs validation samples, and the set has none"};
  setup.fingerprint = fingerprint_of(spec, *setup.set, graph_digest);
  return setup;
}

}  // namespace sightline::training
