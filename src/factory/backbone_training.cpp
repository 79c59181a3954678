#include "factory/backbone_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <span>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/version.h"
#include "dataset/drawn_pictures.h"
#include "dataset/packed_set.h"
#include "dataset/picture_set.h"
#include "dataset/views.h"
#include "factory/backbone.h"
#include "factory/recipe.h"
#include "factory/shipped.h"
#include "factory/step_inputs.h"
#include "features/backbone.h"
#include "graph/graph.h"
#include "line/worker.h"
#include "modules/imported.h"
#include "modules/modules.h"
#include "runtime/session.h"
#include "weights/write.h"

namespace sightline::factory {
namespace {

// Pictures are kept in memory while views of them are drawn; longer sides hold nothing that a view would show.
constexpr int largest_side = 320;
// The teacher is asked in batches of one size: what the runtime answers may depend on it in the last bits.
constexpr std::int64_t batch = 16;
// What a kill may cost.
constexpr std::int64_t views_per_block = 512;
// One view in so many tells how the learning goes.
constexpr std::int64_t views_per_validation = 50;
// What the net expects: the middle and a typical deviation of pictures.
constexpr float mean = 127.5F, deviation = 64.0F;
constexpr const char* drawn_name = "drawn";

struct Found {
  const PictureSet* set = nullptr;
  dataset::PictureListing listing;
};

std::string below(const std::string& data, const std::string& path) { return path.starts_with('/') ? path : data + "/" + path; }

Result<std::vector<Found>> find_pictures(const BackboneTraining& training) {
  std::vector<Found> found;
  for (const PictureSet& set : training.recipe.pictures) {
    const std::string path = below(training.data, set.path);
    if (!path_exists(path)) {
      log_warning("the set {} is left out: there is no {} (--data says where the recipe's paths begin)", set.name, path);
      continue;
    }
    std::optional<std::string> list;
    if (set.list) list = below(training.data, *set.list);
    SIGHTLINE_TRY(dataset::PictureListing listing, dataset::list_picture_set(path, list, set.most));
    found.push_back({&set, std::move(listing)});
  }
  if (found.empty() && training.recipe.views.drawn == 0)
    return Error{ErrorKind::not_found,
                 fmt::format("none of the recipe's sets lies in {}; --data says where its paths begin", training.data)};
  return found;
}

demand::Demand teacher_demand(const BackboneTraining& training) {
  const Teacher& teacher = training.recipe.teacher;
  demand::Demand demand;
  demand.backbone = demand::Backbone{
      .onnx = below(training.data, teacher.onnx), .cut = {teacher.cut}, .licence = teacher.licence, .origin = teacher.origin};
  return demand;
}

// The teacher as the runtime runs it.
class Asked {
 public:
  static Result<Asked> open(const BackboneTraining& training) {
    SIGHTLINE_TRY(const CutNetwork cut, cut_network(teacher_demand(training)));
    Asked asked;
    asked.side_ = static_cast<int>(cut.graph.inputs[0].shape[1]);
    asked.channels_ = static_cast<int>(cut.graph.inputs[0].shape[3]);
    asked.width_ = cut.graph.outputs[0].shape[1];
    const runtime::Options exact{.threads = training.threads};
    SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(cut.graph, exact));
    asked.session_ = std::make_unique<runtime::Session>(std::move(session));
    if (runtime::processor_has_bf16()) {
      runtime::Options fast = exact;
      fast.precision = runtime::Precision::bf16;
      SIGHTLINE_TRY(runtime::Session quick, runtime::Session::create(cut.graph, fast));
      asked.quick_ = std::make_unique<runtime::Session>(std::move(quick));
    }
    return asked;
  }

  std::int64_t width() const { return width_; }
  bool quick() const { return quick_ != nullptr; }

  // f32 rows×D; at most `batch` views.
  Result<Tensor> features(const std::vector<image::Image>& views) const { return run(quick_ != nullptr ? *quick_ : *session_, views); }

  // Keeps bf16 only where it says what f32 says of these views. Gives the least cosine.
  Result<double> compare(const std::vector<image::Image>& views) {
    constexpr double least_cosine = 0.998;
    double least = 1;
    for (std::size_t first = 0; quick_ != nullptr && first < views.size(); first += batch) {
      const std::vector<image::Image> some(views.begin() + static_cast<std::ptrdiff_t>(first),
                                           views.begin() + static_cast<std::ptrdiff_t>(std::min(first + batch, views.size())));
      SIGHTLINE_TRY(const Tensor exact, run(*session_, some));
      SIGHTLINE_TRY(const Tensor rounded, run(*quick_, some));
      const auto columns = static_cast<std::size_t>(width_);
      for (std::size_t i = 0; i < some.size(); ++i) {
        double product = 0, a2 = 0, b2 = 0;
        for (std::size_t k = 0; k < columns; ++k) {
          const double a = exact.values<float>()[i * columns + k], b = rounded.values<float>()[i * columns + k];
          product += a * b;
          a2 += a * a;
          b2 += b * b;
        }
        if (a2 > 0 || b2 > 0) least = std::min(least, product / std::sqrt(std::max(a2, 1e-30) * std::max(b2, 1e-30)));
      }
    }
    if (least < least_cosine) quick_.reset();
    return least;
  }

 private:
  Result<Tensor> run(runtime::Session& session, const std::vector<image::Image>& views) const {
    Tensor pixels = Tensor::zeros(Dtype::u8, {batch, side_, side_, channels_});  // the last batch is filled up
    const std::size_t bytes = pixels.byte_count() / static_cast<std::size_t>(batch);
    for (std::size_t i = 0; i < views.size(); ++i) {
      const image::Image fitted = image::convert_channels(image::resize(views[i], side_, side_), channels_);
      std::copy_n(reinterpret_cast<const std::byte*>(fitted.pixels.data()), bytes, pixels.data() + i * bytes);
    }
    return session.run(pixels);
  }

  std::unique_ptr<runtime::Session> session_, quick_;
  int side_ = 0, channels_ = 3;
  std::int64_t width_ = 0;
};

struct Progressed {
  std::int64_t done = 0;
  static constexpr auto fields() { return std::tuple{field("done", &Progressed::done)}; }
};

// What the weights were made of, for their metadata.
Json ingredients(const BackboneTraining& training, const std::vector<Found>& found, const std::vector<dataset::ViewSource>& sources) {
  Json list = Json::array();
  for (std::size_t i = 0; i < found.size(); ++i) {
    Sha256 content;
    for (const image::Image& picture : sources[i].pictures) content.add(std::as_bytes(std::span(picture.pixels)));
    const PictureSet& set = *found[i].set;
    list.push_back({{"name", set.name},
                    {"pictures", sources[i].pictures.size()},
                    {"share", set.share},
                    {"licence", set.licence},
                    {"origin", set.origin},
                    {"pixels_sha256", content.finish()}});
  }
  if (training.recipe.views.drawn > 0)
    list.push_back(
        {{"name", drawn_name}, {"share", training.recipe.views.drawn}, {"licence", "none needed"}, {"origin", "drawn by this program"}});
  return list;
}

Result<std::vector<dataset::ViewSource>> read_sources(const BackboneTraining& training, const std::vector<Found>& found) {
  std::vector<dataset::ViewSource> sources;
  for (const Found& each : found) {
    SIGHTLINE_TRY(std::vector<image::Image> pictures, dataset::read_picture_set(each.listing, largest_side, training.threads));
    sources.push_back({.name = each.set->name, .share = each.set->share, .pictures = std::move(pictures)});
  }
  if (training.recipe.views.drawn > 0) sources.push_back({.name = drawn_name, .share = training.recipe.views.drawn, .pictures = {}});
  return sources;
}

// Draws views [first, end), asks the teacher, writes both.
Result<void> fill_block(const BackboneTraining& training, const std::vector<dataset::ViewSource>& sources, const Asked& teacher,
                        const dataset::PackedWriter& file, std::int64_t first, std::int64_t end, Progress& progress) {
  const BackboneRecipe& recipe = training.recipe;
  std::vector<image::Image> views(static_cast<std::size_t>(end - first));
  SIGHTLINE_CHECK(parallel_for(
      views.size(),
      [&](std::size_t i) -> Result<void> {
        views[i] =
            dataset::draw_view(sources, recipe.views.side, static_cast<std::uint64_t>(recipe.seed), static_cast<std::uint64_t>(first) + i);
        return {};
      },
      training.threads));
  for (std::size_t at = 0; at < views.size(); at += batch) {
    SIGHTLINE_CHECK(check_interrupt());
    const std::size_t count = std::min<std::size_t>(batch, views.size() - at);
    const std::vector<image::Image> some(views.begin() + static_cast<std::ptrdiff_t>(at),
                                         views.begin() + static_cast<std::ptrdiff_t>(at + count));
    SIGHTLINE_TRY(const Tensor said, teacher.features(some));
    const auto width = static_cast<std::size_t>(teacher.width());
    for (std::size_t i = 0; i < count; ++i) {
      const image::Image small = image::resize(some[i], recipe.side, recipe.side);
      SIGHTLINE_CHECK(file.write(first + static_cast<std::int64_t>(at + i), small.pixels, said.values<float>().subspan(i * width, width)));
    }
    progress.advance(count);
  }
  return file.sync();
}

line::Step views_step(const BackboneTraining& training, const std::vector<Found>& found, const Digest& teacher_digest) {
  line::Step step{.name = "views", .version = 1, .says = "draw views and ask the teacher what it sees in them"};
  Json sets = Json::array();
  for (const Found& each : found)
    sets.push_back({{"name", each.set->name}, {"share", each.set->share}, {"licence", each.set->licence}, {"origin", each.set->origin}});
  step.parameters = {{"sets", sets},
                     {"views", to_json(training.recipe.views)},
                     {"side", training.recipe.side},
                     {"cut", training.recipe.teacher.cut},
                     {"seed", training.recipe.seed}};
  step.environment = machine_environment(training.threads);
  step.environment["views"] = dataset::views_version;
  step.environment["drawn"] = dataset::drawn_version;
  step.environment["import"] = modules::import_version;
  step.inputs = {{.name = "teacher", .digest = teacher_digest}};
  for (const Found& each : found) step.inputs.push_back({.name = each.set->name, .digest = each.listing.digest});
  step.outputs = {"views", "ingredients"};
  step.body = [training, found](line::StepContext& context) -> Result<void> {
    const BackboneRecipe& recipe = training.recipe;
    SIGHTLINE_TRY(const std::vector<dataset::ViewSource> sources, read_sources(training, found));
    SIGHTLINE_TRY(Asked teacher, Asked::open(training));
    const auto seed = static_cast<std::uint64_t>(recipe.seed);
    std::vector<std::int32_t> labels;
    std::vector<dataset::Split> splits;
    for (std::int64_t i = 0; i < recipe.views.count; ++i) {
      labels.push_back(static_cast<std::int32_t>(dataset::source_of_view(sources, seed, static_cast<std::uint64_t>(i))));
      splits.push_back(i % views_per_validation == 0 ? dataset::Split::validation : dataset::Split::train);
    }
    dataset::PackedSizes sizes{.height = recipe.side, .width = recipe.side, .channels = 3, .targets = teacher.width(), .classes = {}};
    for (const dataset::ViewSource& source : sources) sizes.classes.push_back(source.name);
    constexpr std::int64_t compared = 64;
    std::vector<image::Image> first_views;
    for (std::int64_t i = 0; i < std::min(compared, recipe.views.count); ++i)
      first_views.push_back(dataset::draw_view(sources, recipe.views.side, seed, static_cast<std::uint64_t>(i)));
    SIGHTLINE_TRY(const double cosine, teacher.compare(first_views));
    context.figure("teacher_precision", teacher.quick() ? "bf16" : "f32");
    context.figure("bf16_least_cosine", cosine);

    const std::string path = context.work_folder() + "/views", place = context.work_folder() + "/done.json";
    Progressed progressed;
    if (path_exists(path) && path_exists(place)) {
      SIGHTLINE_TRY(const Json json, read_json_file(place));
      SIGHTLINE_TRY(progressed, struct_from_json<Progressed>(json, place));
    }
    SIGHTLINE_TRY(const dataset::PackedWriter file, dataset::PackedWriter::open(path, sizes, labels, splits));
    Progress progress("views", static_cast<std::uint64_t>(recipe.views.count), "view");
    progress.set(static_cast<std::uint64_t>(progressed.done));
    while (progressed.done < recipe.views.count) {
      const std::int64_t end = std::min(progressed.done + views_per_block, recipe.views.count);
      SIGHTLINE_CHECK(fill_block(training, sources, teacher, file, progressed.done, end, progress));
      progressed.done = end;
      SIGHTLINE_CHECK(write_file(place, json_text(to_json(progressed))));
    }
    progress.finish();
    context.figure("views", recipe.views.count);
    SIGHTLINE_TRY(const dataset::PackedSet check, dataset::PackedSet::open(path));
    static_cast<void>(check);
    SIGHTLINE_CHECK(context.put("ingredients", json_text(ingredients(training, found, sources), 1)));
    return context.put_file("views", path);
  };
  return step;
}

line::Step distil_step(const BackboneTraining& training, const std::string& worker, const std::string& version) {
  line::Step step{.name = "distil", .version = 1, .says = "learn to say what the teacher says"};
  step.parameters = {{"net", training.recipe.net},
                     {"training", to_json(training.recipe.training)},
                     {"leave_out", to_json(training.recipe.leave_out)},
                     {"seed", training.recipe.seed}};
  step.environment = machine_environment(training.threads);
  step.environment["worker"] = version;
  step.environment["modules"] = modules::version;
  step.inputs = {{.name = "views", .step = "views", .output = "views"}};
  step.outputs = {"model", "history"};
  step.body = [training, worker](line::StepContext& context) -> Result<void> {
    const BackboneRecipe& recipe = training.recipe;
    SIGHTLINE_TRY(const dataset::PackedSet set, dataset::PackedSet::open(context.input_path("views")));
    // The classifier's layer is the one that speaks the teacher's language: a number of its features instead of a class.
    SIGHTLINE_TRY(const graph::Graph graph, modules::build_classifier({.backbone = recipe.net,
                                                                       .height = recipe.side,
                                                                       .width = recipe.side,
                                                                       .channels = 3,
                                                                       .classes = set.target_width(),
                                                                       .mean = {mean, mean, mean},
                                                                       .deviation = {deviation, deviation, deviation},
                                                                       .seed = static_cast<std::uint64_t>(recipe.seed)}));
    SIGHTLINE_TRY(const std::string initial, graph::serialize_onnx(graph));
    modules::TrainingSpec spec;
    spec.recipe = recipe.training;
    spec.recipe.backbone = recipe.net;
    spec.recipe.side = recipe.side;
    spec.graph = context.work_folder() + "/initial.onnx";
    SIGHTLINE_CHECK(write_file(spec.graph, initial));
    spec.data = context.input_path("views");
    spec.output = context.work_folder() + "/output";
    spec.checkpoint = context.work_folder() + "/checkpoint";
    spec.leave_out = recipe.leave_out;
    spec.seed = recipe.seed;
    spec.threads = training.threads;
    Progress progress("distil", 0);
    std::string last_epoch;
    const auto on_event = [&](const Json& event) {
      const std::string kind = event.value("event", "");
      if (kind == "epoch") {
        last_epoch = fmt::format("  validation loss {:.4f}", event.value("validation_loss", 0.0));
        context.figure("validation_loss", event.value("validation_loss", 0.0));
      }
      if (kind == "progress") {
        progress.set_total(event.value("steps", std::uint64_t{0}));
        progress.set(event.value("step", std::uint64_t{0}), progress_note(event, last_epoch));
      }
      if (kind == "done") {
        context.figure("training_seconds", event.value("seconds", 0.0));
        context.figure("steps", event.value("steps", std::int64_t{0}));
      }
    };
    SIGHTLINE_CHECK(line::run_worker(worker, to_json(spec), context.work_folder() + "/spec.json", on_event));
    progress.finish(trim(last_epoch));
    SIGHTLINE_CHECK(context.put_file("model", spec.output + "/model.onnx"));
    return context.put_file("history", spec.output + "/history.json");
  };
  return step;
}

line::Step backbone_file_step(const BackboneTraining& training, const Digest& teacher) {
  line::Step step{.name = "backbone", .version = 1, .says = "keep the weights, without the layer that speaks to the teacher"};
  const BackboneRecipe recipe = training.recipe;
  step.parameters = {
      {"name", recipe.name}, {"net", recipe.net}, {"licence", recipe.licence}, {"origin", recipe.origin}, {"recipe", to_json(recipe)}};
  step.inputs = {{.name = "teacher", .digest = teacher},
                 {.name = "model", .step = "distil", .output = "model"},
                 {.name = "ingredients", .step = "views", .output = "ingredients"},
                 {.name = "history", .step = "distil", .output = "history"}};
  step.outputs = {"weights"};
  step.body = [recipe, teacher](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const graph::Graph model, graph::read_onnx(context.input_path("model")));
    SIGHTLINE_TRY(const std::string made_of, context.read_input("ingredients"));
    SIGHTLINE_TRY(const std::string history_text, context.read_input("history"));
    SIGHTLINE_TRY(const Json history, parse_json(history_text, "history.json"));
    const auto roles = graph::roles_of(model);
    // The last Gemm is the layer that is thrown away.
    std::set<std::string> dropped;
    for (const graph::Node& node : model.nodes)
      if (node.op_type == "Gemm") dropped = {node.inputs.begin() + 1, node.inputs.end()};
    std::vector<weights::NamedTensor> tensors;
    for (const auto& [name, tensor] : model.initializers) {
      const auto role = roles.find(name);
      if (role == roles.end() || role->second == graph::Role::constant || dropped.contains(name)) continue;
      if (role->second == graph::Role::weight) {  // normalisation stays exact: it is small, and its variances may be
        SIGHTLINE_TRY(Tensor half, weights::to_f16(tensor));
        tensors.push_back({name, std::move(half)});
      } else {
        tensors.push_back({name, tensor});
      }
    }
    const std::string recipe_text = json_text(to_json(recipe));
    const std::map<std::string, std::string> metadata = {
        {shipped_keys::name, recipe.name},
        {shipped_keys::net, recipe.net},
        {shipped_keys::side, std::to_string(recipe.used_at.value_or(recipe.side))},
        {shipped_keys::channels, "3"},
        {shipped_keys::mean, fmt::format("{:g}", mean)},
        {shipped_keys::scale, fmt::format("{:g}", deviation)},
        {"licence", recipe.licence},
        {"origin", recipe.origin},
        {"recipe", recipe_text},
        {"recipe_digest", sha256_of(recipe_text)},
        {"ingredients", made_of},
        {"teacher",
         json_text(Json{
             {"file", recipe.teacher.onnx}, {"digest", teacher}, {"licence", recipe.teacher.licence}, {"origin", recipe.teacher.origin}})},
        {"steps", fmt::format("{}", history.value("steps", std::int64_t{0}))},
        {"program", fmt::format("sightline {}", version)}};
    SIGHTLINE_TRY(const std::string file, weights::serialize_safetensors(tensors, metadata));
    context.figure("size_bytes", file.size());
    return context.put("weights", file);
  };
  return step;
}

}  // namespace

Result<std::vector<line::Step>> backbone_training_steps(const BackboneTraining& training, store::Workspace& workspace) {
  SIGHTLINE_TRY(const modules::Backbone* net, modules::find_backbone(training.recipe.net));
  static_cast<void>(net);
  const demand::Demand teacher = teacher_demand(training);
  if (!path_exists(*teacher.backbone->onnx))
    return Error{ErrorKind::not_found,
                 fmt::format("there is no teacher {}; --data says where the recipe's paths begin", *teacher.backbone->onnx)};
  SIGHTLINE_TRY(const Digest teacher_digest, backbone_digest(teacher));
  SIGHTLINE_TRY(const std::vector<Found> found, find_pictures(training));
  SIGHTLINE_TRY(const std::string worker, line::find_worker("sightline-train"));
  SIGHTLINE_TRY(const std::string version, worker_version(worker, workspace));
  std::vector<line::Step> steps;
  steps.push_back(views_step(training, found, teacher_digest));
  steps.push_back(distil_step(training, worker, version));
  steps.push_back(backbone_file_step(training, teacher_digest));
  return steps;
}

Result<TrainedBackbone> train_backbone(const BackboneTraining& training, store::Workspace& workspace, const line::Line::OnStep& on_step) {
  SIGHTLINE_TRY(std::vector<line::Step> steps, backbone_training_steps(training, workspace));
  std::vector<std::string> names;
  for (const line::Step& step : steps) names.push_back(step.name);
  line::Line line(workspace, "backbone-" + training.recipe.name, std::move(steps));
  SIGHTLINE_CHECK(line.run(on_step));
  TrainedBackbone trained;
  trained.ran_anything = line.ran_anything();
  SIGHTLINE_TRY(trained.weights, line.output("backbone", "weights"));
  trained.path = workspace.blobs().path_of(trained.weights);
  for (const std::string& name : names)
    if (const line::StepRecord* record = line.record(name)) trained.steps.push_back(*record);
  return trained;
}

}  // namespace sightline::factory
