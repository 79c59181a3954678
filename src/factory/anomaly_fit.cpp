// The step that keeps good places: which sight is taken is tried on drawn faults, then all good pictures are looked at, and the threshold
// comes from those that nothing was fitted on.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/text.h"
#include "factory/anomaly.h"
#include "factory/blemishes.h"
#include "factory/step_inputs.h"
#include "graph/builder.h"
#include "heads/gaussian_field.h"
#include "heads/memory_bank.h"
#include "heads/places.h"
#include "package/metadata.h"
#include "runtime/session.h"

namespace sightline::factory {
namespace {

constexpr std::int64_t batch = 8;        // fixed, so that it decides no bits
constexpr std::size_t block = 64;        // pictures whose places are kept together while the step runs
constexpr std::size_t most_tried = 160;  // good pictures that a trial is fitted on
constexpr std::size_t most_judged = 64;  // others, that faults are drawn onto
constexpr std::size_t faults = 128;      // about so many in all
constexpr double most_bytes = 1.2e9;     // of places that are held at once
constexpr double blur_at_224 = 4;        // pixels (Defard et al. 2021)
constexpr double default_false_alarms = 0.05;
constexpr std::array shares{0.0, 0.01, 0.03};

struct Fitting {
  const BuildContext& build;
  const dataset::Manifest& manifest;
  modules::Recipe recipe;
  Light light;
  std::string work_folder;
};

// u8 1×H×W×C each. Errors name the sample.
Result<std::vector<Tensor>> prepared(const Fitting& fitting, std::span<const std::int64_t> samples) {
  const dataset::SampleReader reader(fitting.manifest.root);
  const package::Preprocessing wanted{
      .width = fitting.recipe.side, .height = fitting.recipe.side, .channels = fitting.recipe.channels, .fit = fitting.build.task->fit};
  std::vector<Tensor> pictures(samples.size());
  SIGHTLINE_CHECK(parallel_for(
      samples.size(),
      [&](std::size_t i) -> Result<void> {
        const dataset::Sample& sample = fitting.manifest.samples[static_cast<std::size_t>(samples[i])];
        Digest digest;
        SIGHTLINE_TRY(const image::Image picture, reader.read_and_digest(sample.path, {.channels = wanted.channels}, &digest));
        if (digest != sample.digest)
          return Error{ErrorKind::invalid_data,
                       fmt::format("{}/{}: it is not what it was when it was imported; build again", fitting.manifest.root, sample.path)};
        pictures[i] = package::prepare_picture(picture, wanted);
        return {};
      },
      fitting.build.threads));
  return pictures;
}

// The graph's only output for all of them, as one tensor.
Result<Tensor> answers_to(runtime::Session& session, std::span<const Tensor> pictures) {
  Tensor all;
  for (std::size_t begin = 0; begin < pictures.size(); begin += batch) {
    SIGHTLINE_CHECK(check_interrupt());
    const std::size_t count = std::min<std::size_t>(batch, pictures.size() - begin);
    Shape shape = pictures[begin].shape();
    shape[0] = static_cast<std::int64_t>(count);
    Tensor input(pictures[begin].dtype(), shape);
    for (std::size_t i = 0; i < count; ++i)
      std::memcpy(input.bytes().data() + i * pictures[begin].byte_count(), pictures[begin + i].bytes().data(),
                  pictures[begin].byte_count());
    SIGHTLINE_TRY(const Tensor answer, session.run(input));
    if (!all.defined()) {
      Shape whole = answer.shape();
      whole[0] = static_cast<std::int64_t>(pictures.size());
      all = Tensor(Dtype::f32, whole);
    }
    const auto first = static_cast<std::int64_t>(begin);
    std::ranges::copy(answer.values<float>(), all.rows(first, first + answer.dim(0)).values<float>().begin());
  }
  return all;
}

Result<runtime::Session> session_of(const Fitting& fitting, const graph::Graph& graph) {
  return runtime::Session::create(graph, {.threads = fitting.build.threads});
}

// Places of samples, block after block; what a killed run has written is read again.
Result<Tensor> places_of(const Fitting& fitting, const graph::Graph& graph, std::span<const std::int64_t> samples, Progress& progress) {
  SIGHTLINE_TRY(runtime::Session session, session_of(fitting, graph));
  SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(graph));
  const std::string name = sha256_of(onnx).substr(0, 16);
  Shape shape = graph.outputs[0].shape;
  shape[0] = static_cast<std::int64_t>(samples.size());
  Tensor all(Dtype::f32, shape);
  for (std::size_t begin = 0; begin < samples.size(); begin += block) {
    const std::size_t count = std::min(block, samples.size() - begin);
    Tensor part = all.rows(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(begin + count));
    const std::string file = fmt::format("{}/places-{}-{}-{}", fitting.work_folder, name, samples[begin], count);
    if (const Result<std::string> kept = path_exists(file) ? read_file(file) : Result<std::string>(std::string());
        kept.ok() && kept->size() == part.byte_count()) {
      std::memcpy(part.bytes().data(), kept->data(), kept->size());
    } else {
      SIGHTLINE_TRY(const std::vector<Tensor> pictures, prepared(fitting, samples.subspan(begin, count)));
      SIGHTLINE_TRY(const Tensor places, answers_to(session, pictures));
      std::memcpy(part.bytes().data(), places.bytes().data(), places.byte_count());
      SIGHTLINE_CHECK(write_file(file, {reinterpret_cast<const char*>(places.bytes().data()), places.byte_count()}));
    }
    progress.advance(count);
  }
  return all;
}

// Evenly spread over the samples, at most so many.
std::vector<std::int64_t> spread_over(const std::vector<std::int64_t>& samples, std::size_t most) {
  const std::size_t count = std::min(most, samples.size());
  std::vector<std::int64_t> chosen;
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(samples[i * samples.size() / count]);
  return chosen;
}

Result<graph::Graph> keeping(const graph::Graph& places, GoodPlaces kept, const Tensor& good, heads::MemoryBankOptions options) {
  if (kept == GoodPlaces::gaussian_field || kept == GoodPlaces::pooled_field) {
    SIGHTLINE_TRY(const heads::GaussianField field,
                  heads::fit_gaussian_field(good, kept == GoodPlaces::pooled_field ? heads::Spread::pooled : heads::Spread::per_place));
    return heads::append_gaussian_field(places, field);
  }
  options.by_place = kept == GoodPlaces::placed_bank;
  SIGHTLINE_TRY(const heads::MemoryBank bank, heads::fit_memory_bank(good, options));
  return heads::append_memory_bank(places, bank);
}

// Of the k largest of each picture's places.
std::vector<double> picture_distances(const Tensor& distances, double share) {
  const std::int64_t places = distances.count() / distances.dim(0), count = heads::places_in(share, places);
  std::vector<double> result;
  for (std::int64_t n = 0; n < distances.dim(0); ++n) {
    const auto row = distances.rows(n, n + 1).values<float>();
    std::vector<float> sorted(row.begin(), row.end());
    std::ranges::nth_element(sorted, sorted.begin() + (count - 1), std::greater<>());
    result.push_back(std::accumulate(sorted.begin(), sorted.begin() + count, 0.0) / static_cast<double>(count));
  }
  return result;
}

// Share of pairs whose second has the larger distance, half for equals.
double auroc(const std::vector<double>& good, const std::vector<double>& bad) {
  double right = 0;
  for (const double b : bad) {
    for (const double g : good) right += b > g ? 1 : b == g ? 0.5 : 0;
  }
  return right / (static_cast<double>(good.size()) * static_cast<double>(bad.size()));
}

double megabytes(const graph::Graph& graph) {
  double bytes = 0;
  for (const auto& [name, weight] : graph.initializers) bytes += static_cast<double>(weight.byte_count());
  return bytes / 1e6;
}

// A graph that begins with places of this shape.
Result<graph::Graph> from_places(const Tensor& places) {
  graph::Builder builder(0);
  builder.input(heads::places_value, Dtype::f32, {-1, places.dim(1), places.dim(2), places.dim(3)});
  return builder.finish({builder.node("Identity", {heads::places_value})}, {});
}

std::vector<GoodPlaces> wanted_ways(const demand::Demand& demand) {
  std::vector<GoodPlaces> ways{GoodPlaces::gaussian_field, GoodPlaces::placed_bank, GoodPlaces::memory_bank, GoodPlaces::pooled_field};
  GoodPlaces pinned{};
  if (demand.recipe.head && enum_from(*demand.recipe.head, pinned)) ways = {pinned};
  return ways;
}

// Every way to keep good places of these, on faults drawn onto other good pictures.
Result<std::vector<Trial>> try_ways(const Fitting& fitting, bool even, int around, std::span<const Tensor> fitted,
                                    std::span<const Tensor> judged, std::span<const Tensor> faulty) {
  SIGHTLINE_TRY(const graph::Graph graph, places_graph(*fitting.build.start, fitting.recipe.side, even, fitting.light, around));
  SIGHTLINE_TRY(runtime::Session session, session_of(fitting, graph));
  SIGHTLINE_TRY(const Tensor good, answers_to(session, fitted));
  SIGHTLINE_TRY(const Tensor others, answers_to(session, judged));
  SIGHTLINE_TRY(const Tensor bad, answers_to(session, faulty));
  const auto singly = [](const Tensor& places) {
    std::vector<Tensor> each;
    for (std::int64_t n = 0; n < places.dim(0); ++n) each.push_back(places.rows(n, n + 1));
    return each;
  };
  SIGHTLINE_TRY(const graph::Graph begin, from_places(good));
  std::vector<Trial> trials;
  for (const GoodPlaces kept : wanted_ways(fitting.build.demand)) {
    SIGHTLINE_CHECK(check_interrupt());
    const heads::MemoryBankOptions small{.most = 512, .candidates = 20'000, .seed = static_cast<std::uint64_t>(fitting.build.demand.seed)};
    SIGHTLINE_TRY(const graph::Graph measuring, keeping(begin, kept, good, small));
    SIGHTLINE_TRY(runtime::Session distances, session_of(fitting, measuring));
    SIGHTLINE_TRY(const Tensor of_good, answers_to(distances, singly(others)));
    SIGHTLINE_TRY(const Tensor of_bad, answers_to(distances, singly(bad)));
    for (const double share : shares)
      trials.push_back({.sight = {.even = even, .around = around, .kept = kept, .share = share},
                        .drawn_auroc = auroc(picture_distances(of_good, share), picture_distances(of_bad, share)),
                        .size_mb = megabytes(measuring)});
  }
  return trials;
}

// All sights that are tried, the best first. What a killed run has tried is read again.
Result<std::vector<Trial>> try_sights(const Fitting& fitting, const std::vector<std::int64_t>& train) {
  std::vector<std::int64_t> order = train;
  Random(static_cast<std::uint64_t>(fitting.build.demand.seed), 0x747279ULL).shuffle(order);
  const std::size_t judge = std::clamp<std::size_t>(order.size() / 4, 2, most_judged);
  SIGHTLINE_TRY(const std::vector<Tensor> judged, prepared(fitting, std::span(order).first(judge)));
  SIGHTLINE_TRY(const std::vector<Tensor> fitted,
                prepared(fitting, std::span(order).subspan(judge, std::min(most_tried, order.size() - judge))));
  const std::size_t each = std::clamp<std::size_t>((faults + judge - 1) / judge, 2, 12);
  std::vector<Tensor> faulty(judge * each);
  SIGHTLINE_CHECK(parallel_for(faulty.size(), [&](std::size_t i) -> Result<void> {
    faulty[i] = with_blemish(judged[i % judge], fitted, Random::mix(static_cast<std::uint64_t>(fitting.build.demand.seed) + i));
    return {};
  }));
  std::vector<Trial> trials;
  Progress progress("try", 4, "");
  for (const bool even : {false, true}) {
    for (const int around : {1, 3}) {
      const std::string file = fmt::format("{}/trials-{}-{}.json", fitting.work_folder, even ? "even" : "plain", around);
      std::vector<Trial> tried;
      const Result<Json> kept = path_exists(file) ? read_json_file(file) : Result<Json>(Json());
      if (!kept.ok() || !from_json(*kept, tried, "trials").ok() || tried.empty()) {
        SIGHTLINE_TRY(tried, try_ways(fitting, even, around, fitted, judged, faulty));
        SIGHTLINE_CHECK(write_file(file, json_text(to_json(tried))));
      }
      trials.insert(trials.end(), tried.begin(), tried.end());
      progress.advance();
    }
  }
  progress.finish();
  std::ranges::stable_sort(trials, [](const Trial& a, const Trial& b) { return a.drawn_auroc > b.drawn_auroc; });
  return trials;
}

std::string words_for(const Sight& sight) {
  return fmt::format("{}{}, {}, {}", enum_name(sight.kept), sight.around > 1 ? fmt::format(" of {0}×{0} places", sight.around) : "",
                     sight.even ? "pictures brought to one mean and contrast" : "pictures as they are",
                     sight.share > 0 ? fmt::format("a picture is the mean of its farthest {:g}% of places", 100 * sight.share)
                                     : std::string("a picture is its farthest place"));
}

struct Fitted {
  graph::Graph graph;  // with its threshold
  heads::Alarm alarm;
};

Result<graph::Graph> fit_sight(const Fitting& fitting, const Sight& sight, const std::vector<std::int64_t>& train) {
  SIGHTLINE_TRY(const graph::Graph places,
                places_graph(*fitting.build.start, fitting.recipe.side, sight.even, fitting.light, sight.around));
  Progress progress("look at good pictures", train.size(), "image");
  SIGHTLINE_TRY(const Tensor good, places_of(fitting, places, train, progress));
  progress.finish();
  SIGHTLINE_TRY(const graph::Graph measuring,
                keeping(places, sight.kept, good, {.seed = static_cast<std::uint64_t>(fitting.build.demand.seed)}));
  return heads::append_scores(
      measuring,
      {.height = fitting.recipe.side, .width = fitting.recipe.side, .blur = blur_at_224 * fitting.recipe.side / 224, .share = sight.share});
}

Result<Fitted> with_alarm(const Fitting& fitting, const graph::Graph& scored, const std::vector<std::int64_t>& held) {
  graph::Graph distances = scored;
  distances.outputs = {{heads::picture_distance, Dtype::f32, {-1}, {}}};
  distances.training_outputs.clear();
  SIGHTLINE_TRY(runtime::Session session, session_of(fitting, graph::serving_graph(distances)));
  std::vector<double> good;
  for (std::size_t begin = 0; begin < held.size(); begin += block) {
    SIGHTLINE_TRY(const std::vector<Tensor> pictures,
                  prepared(fitting, std::span(held).subspan(begin, std::min(block, held.size() - begin))));
    SIGHTLINE_TRY(const Tensor answers, answers_to(session, pictures));
    for (const float distance : answers.values<float>()) good.push_back(static_cast<double>(distance));
  }
  Fitted fitted;
  const demand::Alarm wanted = fitting.build.demand.alarm.value_or(demand::Alarm{.false_alarms = default_false_alarms});
  SIGHTLINE_TRY(fitted.alarm, heads::alarm_of(good, wanted.false_alarms));
  SIGHTLINE_TRY(fitted.graph, heads::with_threshold(scored, fitted.alarm.threshold));
  return fitted;
}

std::string words_for(const heads::Alarm& alarm, double wanted) {
  std::string text = fmt::format(
      "the threshold is what {} that nothing was fitted on say: a further one, taken the same way, is an alarm with probability at most "
      "{:.4g}",
      plural(static_cast<std::uint64_t>(alarm.count), "good picture"), alarm.false_alarm_rate);
  if (alarm.false_alarm_rate > wanted)
    text +=
        fmt::format("; for the {:g} that the demand wants {:.0f} of them are needed (split.validation)", wanted, std::ceil(1 / wanted) - 1);
  return text;
}

// The usual light of good pictures.
Light light_of(const dataset::Manifest& manifest, const std::vector<std::int64_t>& samples) {
  Light light{.mean = 0, .deviation = 0};
  for (const std::int64_t i : samples) {
    light.mean += manifest.samples[static_cast<std::size_t>(i)].mean / static_cast<double>(samples.size());
    light.deviation += manifest.samples[static_cast<std::size_t>(i)].deviation / static_cast<double>(samples.size());
  }
  return light;
}

Result<void> fit(const BuildContext& build, line::StepContext& context) {
  SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
  SIGHTLINE_TRY(const modules::Recipe recipe, read_recipe(context));
  Fitting fitting{.build = build, .manifest = manifest, .recipe = recipe, .work_folder = context.work_folder()};
  std::vector<std::int64_t> train = samples_of(manifest, {dataset::Split::train});
  const std::vector<std::int64_t> held = samples_of(manifest, {dataset::Split::validation});
  fitting.light = light_of(manifest, train);
  SIGHTLINE_TRY(const std::vector<Trial> trials, try_sights(fitting, train));

  std::vector<std::string> reasons;
  SIGHTLINE_TRY(const graph::Graph backbone, places_graph(*build.start, recipe.side, false, {}, 1));
  const std::int64_t grid = backbone.outputs[0].shape[1] * backbone.outputs[0].shape[2] * backbone.outputs[0].shape[3];
  const auto most = static_cast<std::size_t>(most_bytes / (4.0 * static_cast<double>(grid)));
  if (train.size() > most) {
    reasons.push_back(fmt::format("{} of {} good pictures are kept: more places are not held at once", most, train.size()));
    train = spread_over(train, most);
  }
  for (const Trial& trial : trials) {
    SIGHTLINE_TRY(const graph::Graph scored, fit_sight(fitting, trial.sight, train));
    SIGHTLINE_TRY(const std::string broken, broken_limit(build.demand, graph::serving_graph(scored), recipe, build.threads));
    if (!broken.empty()) {
      reasons.push_back(fmt::format("not {}: {}", words_for(trial.sight), broken));
      continue;
    }
    SIGHTLINE_TRY(const Fitted fitted, with_alarm(fitting, scored, held));
    reasons.push_back(fmt::format("{}: of {} sights it tells drawn faults from good pictures best (AUROC {:.3f}), and keeps the limits",
                                  words_for(trial.sight), trials.size(), trial.drawn_auroc));
    for (const GoodPlaces other : wanted_ways(build.demand)) {
      const auto best = std::ranges::find_if(trials, [&](const Trial& each) { return each.sight.kept == other; });
      if (best != trials.end() && other != trial.sight.kept)
        reasons.push_back(fmt::format("{} at its best: {:.3f}", enum_name(other), best->drawn_auroc));
    }
    const double wanted = build.demand.alarm.value_or(demand::Alarm{.false_alarms = default_false_alarms}).false_alarms;
    reasons.push_back(words_for(fitted.alarm, wanted));
    context.figure("head", enum_name(trial.sight.kept));
    context.figure("drawn_auroc", trial.drawn_auroc);
    context.figure("promised_false_alarms", fitted.alarm.false_alarm_rate);
    context.figure("good_pictures", train.size());
    context.figure("reasons", to_json(reasons));
    SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(fitted.graph));
    SIGHTLINE_CHECK(context.put("model", onnx));
    return context.put("history", json_text({{"choice", to_json(reasons)},
                                             {"trials", to_json(trials)},
                                             {"sight", to_json(trial.sight)},
                                             {"alarm",
                                              {{"threshold", fitted.alarm.threshold},
                                               {"false_alarm_rate", fitted.alarm.false_alarm_rate},
                                               {"good_pictures", fitted.alarm.count}}}}));
  }
  return Error{ErrorKind::refused,
               fmt::format("no way to keep good places keeps the limits: {}; raise limits.size_mb or limits.latency_ms, or "
                           "lower recipe.side",
                           join(reasons, "; "))};
}

}  // namespace

line::Step good_places_step(const BuildContext& build) {
  line::Step step{.name = "fit", .version = 1, .says = "keep what good pictures look like, choose the threshold"};
  step.parameters = {{"head", to_json(build.demand.recipe.head)},
                     {"alarm", to_json(build.demand.alarm)},
                     {"limits", to_json(build.demand.limits)},
                     {"seed", build.demand.seed}};
  step.environment = machine_environment(build.threads);
  step.inputs = {{.name = "recipe", .step = "recipe", .output = "recipe"},
                 {.name = "manifest", .step = "split", .output = "manifest"},
                 {.name = "starting weights", .digest = build.start ? build.start->digest : Digest()}};
  step.outputs = {"model", "history"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> { return fit(build, context); };
  return step;
}

}  // namespace sightline::factory
