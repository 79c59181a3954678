// compress: any ONNX file in fewer bits, and what that does to its answers.
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <set>

#include "app/cli/model_source.h"
#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "dataset/import.h"
#include "evaluation/compression.h"
#include "package/metadata.h"
#include "runtime/quantizer.h"

namespace sightline::cli {
namespace {

constexpr std::int64_t batch_size = 16;
constexpr std::size_t batches_for_effects = 2;
constexpr double share_of_noise = 0.1;

struct Options {
  std::string model, data, calibration, precision = "int8", method = "percentile", output;
  int images = 256, threads = 0;
  double tolerance = 0.5;
};

// Pictures to calibrate with and others to compare answers on; with labels where there are any.
struct Pictures {
  dataset::Manifest manifest;  // samples of split train calibrate, those of split test are compared; empty classes: no labels
  std::size_t unreadable = 0;
};

// Of an unlabelled folder (or of labelled pictures that come without a split) every second picture calibrates.
void share_out(dataset::Manifest& manifest) {
  for (std::size_t i = 0; i < manifest.samples.size(); ++i)
    manifest.samples[i].split = i % 2 == 0 ? dataset::Split::train : dataset::Split::test;
}

Result<Pictures> find_pictures(const Options& options) {
  Pictures pictures;
  if (!options.data.empty()) {
    demand::Data data;
    data.path = options.data;
    data.max_rejected = 1;
    SIGHTLINE_TRY(pictures.manifest, dataset::import_data(data, {.group_by = demand::GroupBy::none}));
    pictures.unreadable = pictures.manifest.rejected.size();
    if (!pictures.manifest.given_test) share_out(pictures.manifest);
    return pictures;
  }
  pictures.manifest.root = absolute_path(options.calibration);
  SIGHTLINE_TRY(const auto files, list_files(options.calibration, [](const std::string&, const std::string&) {}));
  const dataset::SampleReader reader(pictures.manifest.root);
  for (const std::string& file : files) {
    SIGHTLINE_CHECK(check_interrupt());
    if (pictures.manifest.samples.size() >= 2 * static_cast<std::size_t>(options.images)) break;
    if (reader.read(file).ok()) {
      pictures.manifest.samples.push_back({.path = file});
    } else {
      ++pictures.unreadable;
    }
  }
  if (pictures.manifest.samples.size() < 2)
    return Error{ErrorKind::not_found, fmt::format("{} holds fewer than two pictures that can be read", options.calibration)};
  share_out(pictures.manifest);
  return pictures;
}

// As many pictures of the split as are wanted, spread evenly, as the network takes them.
Result<std::vector<runtime::Batch>> batches_of(const Pictures& pictures, dataset::Split split, std::size_t most,
                                               const package::Description& description) {
  std::vector<std::string> paths;
  for (const dataset::Sample& sample : pictures.manifest.samples)
    if (sample.split == split) paths.push_back(sample.path);
  const std::size_t count = std::min(paths.size(), most);
  const std::size_t together = description.input.one_by_one ? 1 : batch_size;
  const dataset::SampleReader reader(pictures.manifest.root);
  const package::Preprocessing& wanted = description.preprocessing;
  std::vector<runtime::Batch> batches;
  for (std::size_t begin = 0; begin < count; begin += together) {
    SIGHTLINE_CHECK(check_interrupt());
    const std::size_t end = std::min(count, begin + together);
    Tensor batch(Dtype::u8, {static_cast<std::int64_t>(end - begin), wanted.height, wanted.width, wanted.channels});
    for (std::size_t i = begin; i < end; ++i) {
      SIGHTLINE_TRY(const image::Image picture, reader.read(paths[i * paths.size() / count]));
      const auto row = static_cast<std::int64_t>(i - begin);
      const Tensor one = package::prepare_picture(picture, wanted);
      std::ranges::copy(one.bytes(), batch.rows(row, row + 1).data());
    }
    batches.push_back({package::network_input(batch, description.input)});
  }
  return batches;
}

struct Compressed {
  graph::Graph graph;
  std::vector<std::string> kept;  // layers that stay real numbers
  std::size_t layers = 0;
};

Result<Compressed> compress_graph(const graph::Graph& graph, std::span<const runtime::Batch> batches, const Options& options) {
  Compressed result{.graph = graph};
  if (options.precision != "bf16") {
    runtime::QuantizerOptions how{.threads = options.threads};
    enum_from(options.method, how.method);
    SIGHTLINE_TRY(const runtime::Quantizer quantizer, runtime::Quantizer::create(graph, batches, how));
    std::set<std::string> kept;
    if (options.precision == "mixed") {
      SIGHTLINE_TRY(const auto effects, quantizer.effects(batches.first(std::min(batches.size(), batches_for_effects))));
      kept = runtime::layers_to_keep(effects, share_of_noise);
    }
    SIGHTLINE_TRY(result.graph, quantizer.quantize(kept));
    result.kept.assign(kept.begin(), kept.end());
    result.layers = quantizer.layers().size();
  }
  result.graph.metadata["sightline_precision"] = options.precision;
  return result;
}

// The loss of top1 on the pictures that did not calibrate.
Result<evaluation::Loss> loss_of(const std::string& before, const std::string& after, const Pictures& pictures, int threads) {
  SIGHTLINE_TRY(package::Model reference, package::Model::open(before, {.threads = threads}));
  SIGHTLINE_TRY(package::Model candidate, package::Model::open(after, {.threads = threads}));
  SIGHTLINE_TRY(const auto wanted, evaluation::answer(reference, pictures.manifest, dataset::Split::test, false, threads));
  SIGHTLINE_TRY(const auto got, evaluation::answer(candidate, pictures.manifest, dataset::Split::test, false, threads));
  return evaluation::paired_loss(wanted.probabilities, got.probabilities, wanted.labels, "top1");
}

Result<int> compress(const Options& options, Console& console) {
  if (options.data.empty() == options.calibration.empty())
    return Error{ErrorKind::usage, "say what the model will see: --calibration DIR with pictures, or --data DIR with labelled ones"};
  if (options.output.empty()) return Error{ErrorKind::usage, "--output FILE.onnx is missing"};
  if (options.images < 2) return Error{ErrorKind::usage, "--images must be at least 2"};
  if (options.threads < 0) return Error{ErrorKind::usage, "--threads must not be negative"};
  if (path_exists(options.output))
    return Error{ErrorKind::conflict, fmt::format("{}: exists already; name another path, or remove it", options.output)};
  SIGHTLINE_TRY(const FoundModel found, find_model(console, options.model));
  const std::string file = found.kind == FoundModel::Kind::onnx ? found.path : found.path + "/1/model.onnx";
  SIGHTLINE_TRY(const graph::Graph graph, graph::read_onnx(file));
  SIGHTLINE_TRY(const package::Description description, package::describe_input(graph, file));
  for (const std::string& remark : description.remarks) console.warn("{}: {}", found.name, remark);
  SIGHTLINE_TRY(const Pictures pictures, find_pictures(options));
  if (pictures.unreadable > 0)
    console.warn("{} could not be read and {} left out", plural(pictures.unreadable, "file"), pictures.unreadable == 1 ? "is" : "are");
  const auto most = static_cast<std::size_t>(options.images);
  SIGHTLINE_TRY(const auto seen, batches_of(pictures, dataset::Split::train, most, description));
  SIGHTLINE_TRY(const auto unseen, batches_of(pictures, dataset::Split::test, most, description));
  if (seen.empty() || unseen.empty()) return Error{ErrorKind::not_found, "there are no pictures left to compare the answers on"};
  SIGHTLINE_TRY(const Compressed compressed, compress_graph(graph, seen, options));
  SIGHTLINE_TRY(const std::string bytes, graph::serialize_onnx(compressed.graph));
  SIGHTLINE_CHECK(make_directories(std::filesystem::path(absolute_path(options.output)).parent_path().string()));
  SIGHTLINE_CHECK(write_file(options.output, bytes));

  // What was written is judged, not what was meant.
  SIGHTLINE_TRY(const graph::Graph written, graph::read_onnx(options.output));
  const auto precision = options.precision == "int8" ? runtime::Precision::f32 : runtime::Precision::bf16;  // as a package computes
  SIGHTLINE_TRY(const runtime::Agreement agreed, runtime::agreement(written, graph, unseen, options.threads, precision));
  SIGHTLINE_TRY(const std::string original, read_file(file));
  Json document{{"model", json_of(found)},        {"output", absolute_path(options.output)}, {"precision", options.precision},
                {"bytes", bytes.size()},          {"bytes_before", original.size()},         {"layers", compressed.layers},
                {"kept_in_f32", compressed.kept}, {"same_best", agreed.same_best},           {"rows", agreed.rows}};
  document["signal_to_noise_db"] = std::isfinite(agreed.signal_to_noise_db) ? Json(agreed.signal_to_noise_db) : Json(nullptr);
  console.say("{}  {}, {} instead of {}", options.output, options.precision, human_bytes(bytes.size()), human_bytes(original.size()));
  if (compressed.layers > 0)
    console.say("integers in {} of {}", compressed.layers - compressed.kept.size(), plural(compressed.layers, "layer"));
  if (!compressed.kept.empty()) console.say("kept in bf16 or f32: {}", join(compressed.kept, ", "));
  console.say("on pictures that it was not calibrated with: the same best answer in {:.2f}% of {}, signal to noise {:.1f} dB",
              100 * agreed.same_best, plural(static_cast<std::uint64_t>(agreed.rows), "row"), agreed.signal_to_noise_db);
  int code = 0;
  if (!options.data.empty()) {
    SIGHTLINE_TRY(const evaluation::Loss loss, loss_of(file, options.output, pictures, options.threads));
    const bool within = loss.interval.high <= options.tolerance;
    console.say("top1 {:.4f} instead of {:.4f}: loses {:.2f} points (95% interval {:.2f} to {:.2f}), {} the tolerance of {:g}",
                loss.candidate, loss.reference, loss.points, loss.interval.low, loss.interval.high, within ? "within" : "which is beyond",
                options.tolerance);
    document["loss"] = {{"metric", "top1"},      {"before", loss.reference},           {"after", loss.candidate},
                        {"points", loss.points}, {"interval", to_json(loss.interval)}, {"within_tolerance", within}};
    if (!within) {
      SIGHTLINE_CHECK(remove_all(options.output));
      console.say("refused: {} was taken away again; --precision mixed or --method {} may do better", options.output,
                  options.method == "entropy" ? "percentile" : "entropy");
      code = exit_code_of(ErrorKind::refused);
    }
  }
  console.document(document);
  return code;
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("MODEL", options->model, model_help);
  arguments.option("--output", options->output, "FILE", "the ONNX file to write; it must not exist");
  arguments.option("--data", options->data, "DIR",
                   "labelled pictures: ranges come from the training split, the loss from the test split (or half and half)");
  arguments.option("--calibration", options->calibration, "DIR",
                   "pictures without labels: every second one calibrates, answers are compared on the others");
  arguments.option("--precision", options->precision, "PRECISION",
                   "mixed keeps the layers in bf16 (where the processor has it, else f32) that integers hurt most",
                   {"int8", "mixed", "bf16"});
  arguments.option("--method", options->method, "METHOD", "how int8 chooses ranges", {"percentile", "entropy"});
  arguments.option("--tolerance", options->tolerance, "POINTS", "with --data: what top1 may lose; beyond it the file is refused");
  arguments.option("--images", options->images, "N", "pictures to calibrate with, and as many to compare on");
  arguments.option("--threads", options->threads, "N", "cores to use; 0: all that this process may use");
  return [options](Console& console) { return compress(*options, console); };
}

constexpr std::array examples{
    Example{"sightline compress resnet50.onnx --calibration photos/ --output resnet50-int8.onnx",
            "any ONNX file, judged by its own answers"},
    Example{"sightline compress apparel --data /usr/share/datasets/fashion-mnist --output apparel-int8.onnx",
            "refused when it loses more than half a point"},
    Example{"sightline compress net.onnx --calibration photos/ --precision mixed --output net-mixed.onnx", "the worst layers stay f32"},
};

}  // namespace

constexpr Verb compress_verb{
    .name = "compress",
    .group = Group::use,
    .summary = "an ONNX file in int8, mixed or bf16, and what that costs",
    .details =
        "int8 and mixed write standard ONNX QDQ (opset 13 or later), which other engines run too: weights s8 with a scale for each output "
        "channel, values with one scale, biases corrected. bf16 is the same f32 network with a key in its metadata that our runtime obeys. "
        "What was written is opened again and compared with the original on pictures that it was not calibrated with. A release gets its "
        "precision in `sightline build` (demand: compress); this is for files. Exit code 8 when the loss is beyond the tolerance.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
