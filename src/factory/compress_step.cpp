// compress: the package in fewer bits, measured on validation images; the fastest whose loss is within the tolerance goes on, else the
// package as it came.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "evaluation/compression.h"
#include "factory/build.h"
#include "factory/step_inputs.h"
#include "package/layout.h"
#include "package/package.h"
#include "runtime/quantizer.h"

namespace sightline::factory {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t calibration_batch = 32;
constexpr std::size_t batches_for_effects = 2;
// Mixed nets, the lighter one first: so much of the noise of integers may be left.
constexpr double shares_of_noise[] = {0.3, 0.05};
constexpr int turns = 7, turn_runs = 30, warm_up = 20;

// Training images spread evenly over the split, as the network takes them.
Result<std::vector<runtime::Batch>> calibration_batches(const package::Model& model, const dataset::Manifest& manifest, std::int64_t most) {
  std::vector<std::size_t> train;
  for (std::size_t i = 0; i < manifest.samples.size(); ++i)
    if (manifest.samples[i].split == dataset::Split::train) train.push_back(i);
  const std::size_t count = std::min(train.size(), static_cast<std::size_t>(most));
  const dataset::SampleReader reader(manifest.root);
  std::vector<runtime::Batch> batches;
  const package::Preprocessing& input = model.preprocessing();
  for (std::size_t begin = 0; begin < count; begin += calibration_batch) {
    SIGHTLINE_CHECK(check_interrupt());
    const std::size_t images = std::min<std::size_t>(calibration_batch, count - begin);
    Tensor batch(Dtype::u8, {static_cast<std::int64_t>(images), input.height, input.width, input.channels});
    for (std::size_t i = 0; i < images; ++i) {
      SIGHTLINE_TRY(const image::Image picture, reader.read(manifest.samples[train[(begin + i) * train.size() / count]].path));
      const tasks::Task& task = model.task_row();
      Tensor one;
      if (model.tiled()) {  // a piece of what it will be shown
        annotation::Annotation truth;
        image::Image shown = image::convert_channels(picture, input.channels);
        if (task.show != nullptr) {
          SIGHTLINE_TRY(shown, task.show(shown, std::to_string(begin + i), {model.labels(), model.graph().metadata}, truth));
        }
        const Tensor pieces = model.pieces(shown);
        const std::int64_t which = static_cast<std::int64_t>(begin + i) % pieces.dim(0);
        one = pieces.rows(which, which + 1);
      } else {
        one = model.prepare(picture);
      }
      std::ranges::copy(one.bytes(), batch.rows(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1).data());
    }
    batches.push_back({std::move(batch)});
  }
  return batches;
}

struct Tried {
  std::string folder;
  package::Model model;
  evaluation::CompressionCandidate candidate;
};

class Compressing {
 public:
  Compressing(const BuildContext& build, line::StepContext& context, const dataset::Manifest& manifest)
      : build_(build), context_(context), manifest_(manifest) {
    compression_.wanted = build.demand.compress.precision;
    compression_.metric = build.demand.target.metric;
    compression_.tolerance = build.demand.compress.tolerance;
    compression_.method = build.demand.compress.method;
  }

  // Gives the folder of the package that is kept.
  Result<std::string> run(const std::string& folder) {
    const std::string& wanted = compression_.wanted;
    SIGHTLINE_TRY(contents_, package::read_contents(folder));
    SIGHTLINE_TRY(package::Model reference, package::Model::open(folder, {.threads = build_.threads}));
    if (reference.precision() != package::Precision::f32) {  // the backbone's, which all that are built on it share
      compression_.precision = enum_name(reference.precision());
      compression_.remarks.push_back(fmt::format("nothing was tried: the backbone is in {} already", compression_.precision));
      compression_.sentence = fmt::format("ships {}: {}", compression_.precision, compression_.remarks.back());
      return folder;
    }
    tried_.push_back({folder, std::move(reference), {.precision = "f32"}});
    const auto is_validation = [](const dataset::Sample& sample) { return sample.split == dataset::Split::validation; };
    if (std::ranges::none_of(manifest_.samples, is_validation)) {
      compression_.remarks.emplace_back("nothing was tried: there are no validation images to judge by");
      compression_.sentence = "ships f32: " + compression_.remarks.back();
      return folder;
    }
    if (reference_is_from_good()) {
      compression_.remarks.emplace_back(
          "nothing was tried: validation images are good ones, which do not tell how much worse fewer bits find what is not, and the "
          "threshold holds for distances in f32 only");
      compression_.sentence = "ships f32: " + compression_.remarks.back();
      return folder;
    }
    compression_.validation_images = std::ranges::count_if(manifest_.samples, is_validation);
    SIGHTLINE_CHECK(judge(tried_[0]));
    if (wanted == "auto" || wanted == "int8" || wanted == "mixed") SIGHTLINE_CHECK(try_integers());
    if (wanted == "auto" || wanted == "bf16") SIGHTLINE_CHECK(try_bf16());
    SIGHTLINE_CHECK(measure_latency());
    for (const Tried& each : tried_) compression_.candidates.push_back(each.candidate);
    evaluation::decide(compression_);
    for (const Tried& each : tried_)
      if (each.candidate.precision == compression_.precision && (each.candidate.precision != "mixed" || &each == last_mixed()))
        return each.folder;
    return Error{ErrorKind::internal, "no candidate was kept"};
  }

  const evaluation::Compression& outcome() const { return compression_; }

 private:
  bool reference_is_from_good() const { return tried_[0].model.task_row().from_good; }
  const Tried* last_mixed() const {
    const Tried* last = nullptr;
    for (const Tried& each : tried_)
      if (each.candidate.precision == "mixed") last = &each;
    return last;
  }

  // Asks the model about the validation images: the loss against the first one that was asked, and the size.
  Result<void> judge(Tried& tried) {
    evaluation::Loss loss;
    if (tried.model.annotates()) {
      SIGHTLINE_TRY(const evaluation::Annotated said,
                    evaluation::annotate(tried.model, manifest_, dataset::Split::validation, false, build_.threads));
      auto meter = evaluation::meter_of(tried.model, said, manifest_, dataset::Split::validation);
      const tasks::Meter& reference = meter_ == nullptr ? *meter : *meter_;
      SIGHTLINE_TRY(loss, evaluation::paired_loss(reference, *meter, meter->units(compression_.validation_images), compression_.metric));
      if (meter_ == nullptr) meter_ = std::move(meter);
    } else {
      SIGHTLINE_TRY(evaluation::Answers said,
                    evaluation::answer(tried.model, manifest_, dataset::Split::validation, false, build_.threads));
      const Tensor& reference = answers_.labels.empty() ? said.probabilities : answers_.probabilities;
      SIGHTLINE_TRY(loss, evaluation::paired_loss(reference, said.probabilities, said.labels, compression_.metric));
      if (answers_.labels.empty()) answers_ = std::move(said);
    }
    tried.candidate.metric = loss.candidate;
    tried.candidate.loss = loss.points;
    tried.candidate.interval = loss.interval;
    SIGHTLINE_TRY(tried.candidate.size_bytes, package::shipped_size(tried.folder));
    return {};
  }

  // Writes, opens and judges a package. True when it stays within the tolerance.
  Result<bool> attempt(package::Precision precision, graph::Graph graph, const Json& how) {
    package::Contents contents = contents_;
    contents.graph = std::move(graph);
    contents.precision = precision;
    contents.lineage["precision"] = how;
    contents.lineage["precision"]["precision"] = enum_name(precision);
    SIGHTLINE_TRY(const std::string parent, context_.fresh_folder(fmt::format("candidate-{}", tried_.size())));
    const std::string folder = parent + "/" + contents_.name;
    SIGHTLINE_CHECK(package::write_package(contents, folder));
    SIGHTLINE_TRY(package::Model model, package::Model::open(folder, {.threads = build_.threads}));
    tried_.push_back({folder, std::move(model), {.precision = enum_name(precision)}});
    SIGHTLINE_CHECK(judge(tried_.back()));
    return evaluation::within_tolerance(tried_.back().candidate, compression_.tolerance);
  }

  Result<void> try_integers() {
    SIGHTLINE_TRY(const std::vector<runtime::Batch> batches,
                  calibration_batches(tried_[0].model, manifest_, build_.demand.compress.calibration_images));
    for (const runtime::Batch& batch : batches) compression_.calibration_images += batch[0].dim(0);
    runtime::QuantizerOptions options{.threads = build_.threads};
    enum_from(compression_.method, options.method);
    auto quantizer = runtime::Quantizer::create(contents_.graph, batches, options);
    if (!quantizer.ok() && quantizer.error().kind == ErrorKind::unsupported) {
      compression_.remarks.push_back("int8 was not tried: " + quantizer.error().message);
      return {};
    }
    if (!quantizer.ok()) return quantizer.error();
    Json how{{"method", compression_.method}, {"calibration_images", compression_.calibration_images}};
    if (compression_.wanted != "mixed") {
      SIGHTLINE_TRY(graph::Graph integer, quantizer->quantize());
      SIGHTLINE_TRY(const bool good, attempt(package::Precision::int8, std::move(integer), how));
      if (good) {
        compression_.remarks.emplace_back("mixed was not tried: int8 alone is within the tolerance");
        return {};
      }
      if (compression_.wanted == "int8") return {};
    }
    const std::span<const runtime::Batch> few = std::span(batches).first(std::min(batches.size(), batches_for_effects));
    SIGHTLINE_TRY(const std::vector<runtime::LayerEffect> effects, quantizer->effects(few));
    std::size_t before = 0;
    for (const double share : shares_of_noise) {
      const std::set<std::string> kept = runtime::layers_to_keep(effects, share);
      if (kept.size() == before) continue;  // the same net again
      before = kept.size();
      how["kept_in_f32"] = std::vector<std::string>(kept.begin(), kept.end());
      SIGHTLINE_TRY(graph::Graph mixed, quantizer->quantize(kept));
      // Only the last mixed net is a candidate.
      if (last_mixed() != nullptr) tried_.pop_back();
      SIGHTLINE_TRY(const bool good, attempt(package::Precision::mixed, std::move(mixed), how));
      compression_.remarks.push_back(fmt::format("mixed keeps {} of {} layers in bf16 or f32 ({})", kept.size(), effects.size(),
                                                 join(std::vector<std::string>(kept.begin(), kept.end()), ", ")));
      if (good) break;
    }
    if (before == 0) compression_.remarks.emplace_back("mixed was not tried: no layer stands out");
    return {};
  }

  Result<void> try_bf16() {
    if (!runtime::processor_has_bf16()) {
      compression_.remarks.emplace_back("bf16 was not tried: this processor has no instructions for it");
      return {};
    }
    SIGHTLINE_CHECK(attempt(package::Precision::bf16, contents_.graph, Json::object()));
    return {};
  }

  // The network alone at batch 1, all candidates by turns: the same machine varies by a factor of two within minutes.
  Result<void> measure_latency() {
    const package::Preprocessing& input = contents_.preprocessing;
    const Tensor picture = Tensor::zeros(Dtype::u8, {1, input.height, input.width, input.channels});
    std::vector<std::vector<double>> milliseconds(tried_.size());
    for (int turn = 0; turn < turns; ++turn) {
      for (std::size_t i = 0; i < tried_.size(); ++i) {
        SIGHTLINE_CHECK(check_interrupt());
        for (int run = turn == 0 ? -warm_up : 0; run < turn_runs; ++run) {
          const auto begin = Clock::now();
          SIGHTLINE_CHECK(tried_[i].model.session().run(std::span(&picture, 1)));
          if (run >= 0) milliseconds[i].push_back(1e3 * std::chrono::duration<double>(Clock::now() - begin).count());
        }
      }
    }
    for (std::size_t i = 0; i < tried_.size(); ++i) {
      std::ranges::nth_element(milliseconds[i], milliseconds[i].begin() + static_cast<std::ptrdiff_t>(milliseconds[i].size() / 2));
      tried_[i].candidate.latency_ms = milliseconds[i][milliseconds[i].size() / 2];
    }
    return {};
  }

  const BuildContext& build_;
  line::StepContext& context_;
  const dataset::Manifest& manifest_;
  package::Contents contents_;
  evaluation::Answers answers_;          // of f32
  std::unique_ptr<tasks::Meter> meter_;  // likewise, of models that annotate
  std::vector<Tried> tried_;             // f32 first
  evaluation::Compression compression_;
};

}  // namespace

line::Step compress_step(const BuildContext& build) {
  line::Step step{
      .name = "compress", .version = 2, .says = "try fewer bits on validation images, keep the fastest that loses too little to count"};
  const demand::Compress& compress = build.demand.compress;
  step.parameters = {{"precision", compress.precision}};
  step.inputs = {{.name = "package", .step = "package", .output = "package"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  step.outputs = {"package", "compression"};
  // A package that goes on as it came depends on nothing else.
  if (compress.precision != "f32") {
    step.parameters = to_json(compress);
    step.parameters["metric"] = build.demand.target.metric;
    step.environment = machine_environment(build.threads);
  }
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const std::string parent, context.fresh_folder("f32"));
    const std::string folder = parent + "/" + build.demand.name;
    SIGHTLINE_CHECK(context.workspace().blobs().materialize(context.input("package"), folder));
    evaluation::Compression outcome;
    std::string kept = folder;
    if (build.demand.compress.precision == "f32") {
      SIGHTLINE_TRY(const Json lineage, read_json_file(folder + "/" + package::lineage_file));
      outcome.precision = lineage.value("weights", Json::object()).value("precision", "f32");  // of a frozen backbone
      outcome.sentence = fmt::format("ships {}, as it came: the demand wants nothing tried", outcome.precision);
    } else {
      SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
      Compressing compressing(build, context, manifest);
      SIGHTLINE_TRY(kept, compressing.run(folder));
      outcome = compressing.outcome();
      std::vector<std::string> reasons;
      for (const evaluation::CompressionCandidate& each : outcome.candidates) reasons.push_back(each.precision + " " + each.sentence);
      reasons.insert(reasons.end(), outcome.remarks.begin(), outcome.remarks.end());
      context.figure("reasons", to_json(reasons));
    }
    context.figure("precision", outcome.precision);
    context.figure("sentence", outcome.sentence);
    SIGHTLINE_CHECK(context.put("compression", json_text(to_json(outcome))));
    SIGHTLINE_TRY(const auto files, context.workspace().blobs().tree(context.input("package")));
    return context.put_folder("package", kept, files);
  };
  return step;
}

}  // namespace sightline::factory
