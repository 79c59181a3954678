// probe and choose: a foreign network's head is fitted on its frozen features first; what fine-tuning made of it is only taken when it
// answers better on the validation pictures.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "dataset/packed_set.h"
#include "factory/build.h"
#include "factory/recipe.h"
#include "factory/step_inputs.h"
#include "graph/graph.h"
#include "heads/linear.h"
#include "modules/imported.h"
#include "runtime/session.h"

namespace sightline::factory {
namespace {

// Features are computed in batches of one size: what the runtime answers may depend on it in the last bits.
constexpr std::int64_t batch = 16;
// Of the logistic head, on standardised features; the validation pictures choose.
constexpr std::array penalties{1e-4, 1e-3, 1e-2, 1e-1};
constexpr double usual_penalty = 1e-2;

Tensor rows_of(const Tensor& all, const std::vector<std::int64_t>& rows, std::size_t first, std::size_t count) {
  Shape shape = all.shape();
  shape[0] = static_cast<std::int64_t>(count);
  Tensor some(all.dtype(), shape);
  const std::size_t bytes = all.byte_count() / static_cast<std::size_t>(all.dim(0));
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = static_cast<std::size_t>(rows[std::min(first + i, rows.size() - 1)]);  // the last batch is filled up
    std::copy_n(all.data() + row * bytes, bytes, some.data() + i * bytes);
  }
  return some;
}

// What `output` of the graph is for these pictures: f32 rows×D.
Result<Tensor> answers_of(const graph::Graph& graph, const std::string& output, const Tensor& pixels, const std::vector<std::int64_t>& rows,
                          int threads, Progress* progress) {
  graph::Graph asked = graph;
  SIGHTLINE_TRY(const auto values, graph::infer_shapes(graph));
  asked.outputs = {{output, Dtype::f32, values.at(output).shape, {}}};
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph::serving_graph(asked), {.threads = threads}));
  const std::int64_t width = values.at(output).shape[1];
  Tensor all(Dtype::f32, {static_cast<std::int64_t>(rows.size()), width});
  for (std::size_t first = 0; first < rows.size(); first += batch) {
    SIGHTLINE_CHECK(check_interrupt());
    SIGHTLINE_TRY(const Tensor answer, session.run(rows_of(pixels, rows, first, batch)));
    const std::size_t count = std::min<std::size_t>(batch, rows.size() - first);
    std::copy_n(answer.values<float>().begin(), count * static_cast<std::size_t>(width),
                all.values<float>().begin() + static_cast<std::ptrdiff_t>(first * static_cast<std::size_t>(width)));
    if (progress != nullptr) progress->advance(count);
  }
  return all;
}

std::vector<std::int32_t> labels_of(const dataset::PackedSet& set, const std::vector<std::int64_t>& rows) {
  std::vector<std::int32_t> labels;
  for (const std::int64_t row : rows) labels.push_back(set.labels()[static_cast<std::size_t>(row)]);
  return labels;
}

struct Scores {
  double top1 = 0, loss = 0;
  std::int64_t right = 0, count = 0;
};
// scores: f32 N×K, before the softmax.
Scores judge(const Tensor& scores, const std::vector<std::int32_t>& labels) {
  Scores result;
  const auto classes = static_cast<std::size_t>(scores.dim(1));
  const auto values = scores.values<float>();
  double loss = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = values.subspan(i * classes, classes);
    const auto best = std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float score : row) sum += std::exp(static_cast<double>(score - *best));
    loss += std::log(sum) + *best - row[static_cast<std::size_t>(labels[i])];
    result.right += best - row.begin() == labels[i] ? 1 : 0;
  }
  result.count = static_cast<std::int64_t>(labels.size());
  if (result.count > 0) {
    result.top1 = static_cast<double>(result.right) / static_cast<double>(result.count);
    result.loss = loss / static_cast<double>(result.count);
  }
  return result;
}

}  // namespace

line::Step probe_step(const BuildContext& build) {
  line::Step step{.name = "probe", .version = 1, .says = "fit the head on the backbone's features"};
  step.environment = machine_environment(build.threads);
  step.inputs = {{.name = "graph", .step = "recipe", .output = "graph"}, {.name = "images", .step = "pack", .output = "images"}};
  step.outputs = {"model", "history"};
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(graph::Graph graph, graph::read_onnx(context.input_path("graph")));
    SIGHTLINE_TRY(const dataset::PackedSet set, dataset::PackedSet::open(context.input_path("images")));
    const std::vector<std::int64_t> training = set.indices_of(dataset::Split::train),
                                    validation = set.indices_of(dataset::Split::validation);
    Progress progress("probe", training.size() + validation.size());
    SIGHTLINE_TRY(const Tensor features, answers_of(graph, modules::features_value, set.pixels(), training, build.threads, &progress));
    SIGHTLINE_TRY(const Tensor held_out, answers_of(graph, modules::features_value, set.pixels(), validation, build.threads, &progress));
    const std::vector<std::int32_t> labels = labels_of(set, training), wanted = labels_of(set, validation);
    const auto classes = static_cast<int>(set.classes().size());

    heads::LinearHead best;
    Scores best_scores;
    double best_penalty = 0;
    for (const double penalty : penalties) {
      if (validation.empty() && penalty != usual_penalty) continue;
      SIGHTLINE_TRY(heads::LinearHead head, heads::fit_logistic(features, labels, classes, penalty));
      const Scores scores = validation.empty() ? Scores{} : judge(heads::scores_of(head, held_out), wanted);
      if (best_penalty > 0 && scores.loss >= best_scores.loss) continue;
      best = std::move(head);
      best_scores = scores;
      best_penalty = penalty;
    }
    progress.finish();
    context.figure("features", features.dim(1));
    context.figure("penalty", best_penalty);
    context.figure("validation_top1", best_scores.top1);
    graph.initializers[modules::head_weight] = best.weight;
    graph.initializers[modules::head_bias] = best.bias;
    SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(graph));
    SIGHTLINE_CHECK(context.put("model", onnx));
    const Json history = {
        {"schedule", nullptr},
        {"epochs", Json::array()},
        {"probe", {{"penalty", best_penalty}, {"validation_top1", best_scores.top1}, {"validation_loss", best_scores.loss}}}};
    return context.put("history", json_text(history, 1));
  };
  return step;
}

line::Step choose_step(const BuildContext& build) {
  line::Step step{.name = "choose", .version = 1, .says = "take the tuned network, or its probe when that is better"};
  step.environment = machine_environment(build.threads);
  step.inputs = {{.name = "probe", .step = "probe", .output = "model"},
                 {.name = "probed", .step = "probe", .output = "history"},
                 {.name = "tuned", .step = "train", .output = "model"},
                 {.name = "history", .step = "train", .output = "history"},
                 {.name = "images", .step = "pack", .output = "images"}};
  step.outputs = {"model", "history"};
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::PackedSet set, dataset::PackedSet::open(context.input_path("images")));
    const std::vector<std::int64_t> validation = set.indices_of(dataset::Split::validation);
    const std::vector<std::int32_t> labels = labels_of(set, validation);
    std::array<Scores, 2> scores;  // of the probe and of the tuned one, by the same engine
    const std::array inputs{"probe", "tuned"};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      SIGHTLINE_TRY(const graph::Graph graph, graph::read_onnx(context.input_path(inputs[i])));
      SIGHTLINE_TRY(const Tensor logits, answers_of(graph, "logits", set.pixels(), validation, build.threads, nullptr));
      scores[i] = judge(logits, labels);
    }
    const auto& [probe, tuned] = scores;
    // As many right answers with a smaller loss is better too.
    const bool better = validation.empty() || tuned.right > probe.right || (tuned.right == probe.right && tuned.loss < probe.loss);
    const std::string sentence = validation.empty()
                                     ? "the tuned network is taken unseen: there are no validation pictures"
                                     : fmt::format(
                                           "the {}: on {} the tuned network has {:.4f} right (loss {:.4f}), the linear probe on its frozen "
                                           "features {:.4f} (loss {:.4f})",
                                           better ? "tuned network is taken" : "tuned network is rejected and its linear probe taken",
                                           plural(labels.size(), "validation picture"), tuned.top1, tuned.loss, probe.top1, probe.loss);
    context.figure("taken", better ? "tuned" : "probe");
    context.figure("probe_top1", probe.top1);
    context.figure("tuned_top1", tuned.top1);
    context.figure("reasons", Json::array({sentence}));
    SIGHTLINE_TRY(const std::string model, context.read_input(better ? "tuned" : "probe"));
    SIGHTLINE_CHECK(context.put("model", model));
    SIGHTLINE_TRY(const std::string text, context.read_input("history"));
    SIGHTLINE_TRY(Json history, parse_json(text, "history.json"));
    SIGHTLINE_TRY(const std::string probed_text, context.read_input("probed"));
    SIGHTLINE_TRY(const Json probed, parse_json(probed_text, "history of the probe"));
    history["probe"] = probed.value("probe", Json::object());
    history["choice"] = sentence;
    return context.put("history", json_text(history, 1));
  };
  return step;
}

}  // namespace sightline::factory
