#include "factory/backbone_precision.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/temporary_folder.h"
#include "base/text.h"
#include "factory/feature_sources.h"
#include "image/image.h"
#include "package/metadata.h"
#include "runtime/quantizer.h"
#include "runtime/session.h"

namespace sightline::factory {
namespace {

using runtime::Batch;

constexpr std::int64_t batch_size = 16;
constexpr std::size_t batches_for_effects = 2;
// So much of the noise of integers may be left in a mixed net, the lighter one first (as the compress step has it).
constexpr double shares_of_noise[] = {0.3, 0.05};
constexpr double most_db = 200;  // instead of infinity
constexpr int turns = 7, turn_runs = 15, warm_up = 10;
constexpr std::array<const char*, 5> precisions{"f32", "bf16", "mixed", "int8", "auto"};

// Pictures of the folder, spread evenly over it, as the network takes them; files that hold none are passed over.
Result<std::vector<Batch>> pictures_of(const std::string& folder, std::int64_t most, const CutNetwork& network) {
  SIGHTLINE_TRY(const std::vector<std::string> files, list_files(folder, [](const std::string&, const std::string&) {}));
  const graph::ValueInfo& input = network.graph.inputs[0];
  const package::Preprocessing preprocessing{
      .width = static_cast<int>(input.shape[2]), .height = static_cast<int>(input.shape[1]), .channels = static_cast<int>(input.shape[3])};
  const std::size_t count = std::min(files.size(), static_cast<std::size_t>(most));
  std::vector<Tensor> pictures;
  for (std::size_t i = 0; i < count; ++i) {
    SIGHTLINE_CHECK(check_interrupt());
    SIGHTLINE_TRY(const std::string bytes, read_file(folder + "/" + files[i * files.size() / count]));
    const auto picture = image::decode(std::as_bytes(std::span(bytes)), {.channels = preprocessing.channels});
    if (picture.ok()) pictures.push_back(package::prepare_picture(*picture, preprocessing));
  }
  if (pictures.empty())
    return Error{ErrorKind::usage, fmt::format("{}: no picture in it could be read; name a folder of pictures like those that the "
                                               "backbone will see (--pictures)",
                                               folder)};
  std::vector<Batch> batches;
  for (std::size_t begin = 0; begin < pictures.size(); begin += batch_size) {
    const std::size_t end = std::min(begin + batch_size, pictures.size());
    Shape shape = pictures[0].shape();
    shape[0] = static_cast<std::int64_t>(end - begin);
    Tensor batch(Dtype::u8, shape);
    for (std::size_t i = begin; i < end; ++i)
      std::ranges::copy(pictures[i].bytes(),
                        batch.rows(static_cast<std::int64_t>(i - begin), static_cast<std::int64_t>(i - begin) + 1).data());
    batches.push_back({std::move(batch)});
  }
  return batches;
}

struct Candidate {
  CutNetwork network;
  PrecisionTried tried;
  runtime::Session session;
};

class Lightening {
 public:
  Lightening(const CutNetwork& network, std::vector<Batch> batches, int threads)
      : network_(network), batches_(std::move(batches)), threads_(threads) {}

  // True when its features agree.
  Result<bool> attempt(const char* precision, graph::Graph graph) {
    CutNetwork lighter{std::move(graph), network_.about};
    lighter.about.precision = precision;
    const runtime::Precision numbers = features::computed_in(lighter.about);
    SIGHTLINE_TRY(const runtime::Agreement agreement, runtime::agreement(lighter.graph, network_.graph, batches_, threads_, numbers));
    SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(lighter.graph, {.threads = threads_, .precision = numbers}));
    const TemporaryFolder folder;
    if (folder.path().empty()) return system_error("cannot make a folder for", network_.about.file);
    SIGHTLINE_CHECK(features::write_backbone(lighter.graph, lighter.about, folder.path()));
    std::error_code problem;
    const std::uintmax_t bytes = std::filesystem::file_size(folder.path() + "/" + features::weights_file, problem);
    if (problem) return system_error("cannot read", folder.path());
    PrecisionTried tried{.precision = precision, .agreement_db = std::min(agreement.signal_to_noise_db, most_db), .bytes = bytes};
    tried.agrees = tried.agreement_db >= least_agreement_db;
    const bool agrees = tried.agrees;
    candidates_.push_back({std::move(lighter), std::move(tried), std::move(session)});
    return agrees;
  }

  // int8, or where that is too coarse mixed nets.
  Result<void> try_integers(bool whole, bool mixed) {
    SIGHTLINE_TRY(const runtime::Quantizer quantizer, runtime::Quantizer::create(network_.graph, batches_, {.threads = threads_}));
    if (whole) {
      SIGHTLINE_TRY(graph::Graph integers, quantizer.quantize());
      SIGHTLINE_TRY(const bool agrees, attempt("int8", std::move(integers)));
      if (agrees) return {};
    }
    if (!mixed) return {};
    SIGHTLINE_TRY(const std::vector<runtime::LayerEffect> effects,
                  quantizer.effects(std::span(batches_).first(std::min(batches_.size(), batches_for_effects))));
    for (const double share : shares_of_noise) {
      SIGHTLINE_TRY(graph::Graph partly, quantizer.quantize(runtime::layers_to_keep(effects, share)));
      SIGHTLINE_TRY(const bool agrees, attempt("mixed", std::move(partly)));
      if (agrees) return {};
    }
    return {};
  }

  // Medians at batch 1, by turns.
  Result<void> measure() {
    Shape shape = network_.graph.inputs[0].shape;
    shape[0] = 1;
    const Tensor picture = Tensor::zeros(Dtype::u8, shape);
    std::vector<std::vector<double>> milliseconds(candidates_.size());
    for (int turn = 0; turn < turns; ++turn)
      for (std::size_t i = 0; i < candidates_.size(); ++i)
        for (int run = turn == 0 ? -warm_up : 0; run < turn_runs; ++run) {
          SIGHTLINE_CHECK(check_interrupt());
          const auto begin = std::chrono::steady_clock::now();
          SIGHTLINE_CHECK(candidates_[i].session.run(picture));
          if (run >= 0)
            milliseconds[i].push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
        }
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      auto& all = milliseconds[i];
      std::ranges::nth_element(all, all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2));
      candidates_[i].tried.p50_ms = all[all.size() / 2];
    }
    return {};
  }

  // The fastest whose features agree; without `may_stay` one of fewer bits than f32.
  Result<LighterNetwork> best(bool may_stay) {
    LighterNetwork outcome;
    const Candidate* taken = nullptr;
    for (const Candidate& each : candidates_) {
      outcome.tried.push_back(each.tried);
      const bool counts = each.tried.agrees && (may_stay || each.tried.precision != "f32");
      if (counts && (taken == nullptr || each.tried.p50_ms < taken->tried.p50_ms)) taken = &each;
    }
    if (taken == nullptr) {
      const PrecisionTried& last = candidates_.back().tried;
      return Error{ErrorKind::refused,
                   fmt::format("in {} its features are only {:.1f} dB above their difference from those in f32 ({:.0f} wanted); take "
                               "--precision auto, mixed or bf16",
                               last.precision, last.agreement_db, least_agreement_db)};
    }
    outcome.network = taken->network;
    for (const PrecisionTried& each : outcome.tried)
      outcome.network.about.reasons.push_back(fmt::format(
          "{}{}: {:.2f} ms, {:.1f} MB, features {}", each.precision,
          &each - outcome.tried.data() == taken - candidates_.data() ? ", taken" : "", each.p50_ms, static_cast<double>(each.bytes) / 1e6,
          each.precision == "f32" ? "as they are" : fmt::format("{:.1f} dB above their difference from f32", each.agreement_db)));
    return outcome;
  }

 private:
  const CutNetwork& network_;
  std::vector<Batch> batches_;
  int threads_;
  std::vector<Candidate> candidates_;
};

}  // namespace

Result<LighterNetwork> in_precision(const CutNetwork& network, const std::string& wanted, const std::string& pictures, std::int64_t most,
                                    int threads) {
  if (std::ranges::find(precisions, wanted) == precisions.end())
    return Error{ErrorKind::usage, fmt::format("there is no precision \"{}\"{}; {}", wanted,
                                               did_you_mean(wanted, {precisions.begin(), precisions.end()}), "see --help")};
  if (wanted == "f32") return LighterNetwork{network, {}};
  if (network.about.precision != "f32")
    return Error{ErrorKind::unsupported,
                 fmt::format("{} is in {} already; import the network that it was made from", network.about.file, network.about.precision)};
  if (pictures.empty())
    return Error{ErrorKind::usage, "which pictures shall it be tried on? --pictures FOLDER, of pictures like those that it will see"};
  const bool has_bf16 = runtime::processor_has_bf16();
  if (wanted == "bf16" && !has_bf16)
    return Error{ErrorKind::unsupported, "this processor has no instructions for bf16; take --precision int8 or f32"};
  SIGHTLINE_TRY(std::vector<Batch> batches, pictures_of(pictures, most, network));
  const bool all = wanted == "auto";
  Lightening lightening(network, std::move(batches), threads);
  SIGHTLINE_CHECK(lightening.attempt("f32", network.graph));
  if (all || wanted == "bf16") {
    if (has_bf16) SIGHTLINE_CHECK(lightening.attempt("bf16", network.graph));
  }
  if (wanted != "bf16") SIGHTLINE_CHECK(lightening.try_integers(all || wanted == "int8", all || wanted == "mixed"));
  SIGHTLINE_CHECK(lightening.measure());
  return lightening.best(all);
}

}  // namespace sightline::factory
