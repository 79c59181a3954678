// Rungs that are trained: what goes into the last stages is computed once and they are tuned on it; the whole net is tuned on pictures; a
// net of ours is trained from nothing. A judge behind each lets it answer the validation pictures beside what was there before.
#include <fmt/format.h>

#include "dataset/packed_set.h"
#include "evaluation/compression.h"
#include "evaluation/cross_validation.h"
#include "factory/escalation_account.h"
#include "factory/pictures_through.h"
#include "factory/recipe.h"
#include "factory/step_inputs.h"
#include "factory/tail.h"
#include "factory/tuning.h"
#include "graph/graph.h"
#include "heads/choose.h"
#include "modules/modules.h"
#include "modules/training_spec.h"

namespace sightline::factory {
namespace {

using dataset::Split;

constexpr double tail_share = 0.6;  // of the budget's seconds, for training the last stages

// What a judge before left: "" and {} while the head on the features is in force.
Result<std::string> left_by_judge(line::StepContext& context, const std::string& output) {
  SIGHTLINE_TRY(const std::optional<std::string> text, judged(context, output));
  return text.value_or(output == "model" ? "" : "{}");
}

// The net in force, or the head on the frozen backbone fitted without the validation pictures.
Result<graph::Graph> reference_of(const BuildContext& build, line::StepContext& context, const dataset::Manifest& manifest) {
  SIGHTLINE_TRY(const InForce now, in_force(context));
  if (!now.model.empty()) return graph::parse_onnx(now.model, "the model in force");
  SIGHTLINE_TRY(const auto source, source_of(build, context, now.backbone));
  return head_without_validation(build, *source, manifest);
}

// What the rung made, beside the reference on the same validation pictures; the better of the two goes on.
Result<void> put_judged(const BuildContext& build, line::StepContext& context, const dataset::Manifest& manifest, Rung rung,
                        const graph::Graph& trained, double seconds, Account& account, Prospect& brought) {
  SIGHTLINE_TRY(const graph::Graph reference, reference_of(build, context, manifest));
  const std::vector<std::int64_t> validation = samples_of(manifest, {Split::validation});
  const std::vector<std::int32_t> labels = labels_of(manifest, validation);
  SIGHTLINE_TRY(const Tensor before, answers_to_pictures(reference, "probabilities", manifest, validation, build.threads, nullptr));
  SIGHTLINE_TRY(const Tensor after, answers_to_pictures(trained, "probabilities", manifest, validation, build.threads, nullptr));
  SIGHTLINE_TRY(const auto estimate, evaluation::cross_validated(std::span(&after, 1), labels, groups_of(manifest, validation)));
  const demand::Target& target = build.demand.target;
  Reached reached = reached_by(rung, target, estimate, "of the validation part");
  SIGHTLINE_TRY(const evaluation::Loss loss, evaluation::paired_loss(before, after, labels, reached.metric));
  brought.gain = -loss.points / 100;
  brought.interval = {-loss.interval.high / 100, -loss.interval.low / 100};
  reached.seconds = seconds;
  reached.kept = brought.gain > 0;
  reached.sentence =
      fmt::format("{}; what was there before has {:.4f} of the same pictures, so the difference is {:+.1f} points ({:+.1f} to {:+.1f}): {}",
                  sentence_of(target, reached), loss.reference, 100 * brought.gain, 100 * brought.interval.low, 100 * brought.interval.high,
                  reached.kept ? "it is kept" : "it is rejected");
  context.figure("gain", brought.gain);
  context.figure("kept", reached.kept);
  context.figure("value", reached.value);
  SIGHTLINE_TRY(std::string model, left_by_judge(context, "model"));
  SIGHTLINE_TRY(std::string history, left_by_judge(context, "history"));
  if (reached.kept) {
    SIGHTLINE_TRY(model, graph::serialize_onnx(trained));
    SIGHTLINE_TRY(const std::string text, context.read_input("trained history"));
    SIGHTLINE_TRY(Json told, parse_json(text, "history"));
    told["rung"] = to_json(rung);
    told["choice"] = reached.sentence;
    history = json_text(told, 1);
  }
  account.push_back(std::move(reached));
  SIGHTLINE_CHECK(context.put("model", model));
  return context.put("history", history);
}

// Inputs and outputs that the judges of trained rungs have in common.
line::Step judge_of(const BuildContext& build, const std::string& name, const std::string& says, const std::string& data,
                    const std::string& trained, const std::string& account_from) {
  line::Step step{.name = name, .version = 1, .says = says};
  step.parameters = {{"target", to_json(build.demand.target)}, {"budget", to_json(build.demand.budget)}, {"seed", build.demand.seed}};
  step.environment = machine_environment(build.threads);
  step.environment["heads"] = heads::version;
  step.inputs = {{.name = "backbone", .step = "head", .output = "backbone"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"},
                 {.name = "account", .step = account_from, .output = "account"},
                 {.name = "data", .step = data, .output = "graph"},
                 {.name = "trained", .step = trained, .output = "model"},
                 {.name = "trained history", .step = trained, .output = "history"},
                 {.name = "cuts", .step = "cuts", .output = "backbone", .optional = true}};
  add_earlier_judges(step, name, {"model", "history"});
  step.outputs = {"model", "history", "account"};
  step.describe_change = describe_manifest_change(build);
  return step;
}

line::Step training_step(const BuildContext& build, const Worker& worker, const std::string& name, const std::string& data,
                         const std::string& says) {
  line::Step step{.name = name, .version = 1, .says = says};
  step.parameters = {{"seed", build.demand.seed}};
  step.environment = machine_environment(build.threads);
  step.late_environment = [worker]() -> Result<Json> {
    SIGHTLINE_TRY(const std::string version, worker.version());
    return Json{{"worker", version}};
  };
  step.inputs = {{.name = "graph", .step = data, .output = "graph"},
                 {.name = "images", .step = data, .output = "images"},
                 {.name = "recipe", .step = data, .output = "recipe"}};
  step.outputs = {"model", "history"};
  step.body = [build, worker, name](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const std::string program, worker.program());
    modules::TrainingSpec spec;
    SIGHTLINE_TRY(spec.recipe, read_recipe(context));
    spec.graph = context.input_path("graph");
    spec.data = context.input_path("images");
    spec.seed = build.demand.seed;
    spec.threads = build.threads;
    SIGHTLINE_CHECK(train_with_worker(context, program, spec, name));
    SIGHTLINE_TRY(Json history, read_json_file(spec.output + "/history.json"));
    history["recipe"] = to_json(spec.recipe);
    SIGHTLINE_CHECK(context.put_file("model", spec.output + "/model.onnx"));
    return context.put("history", json_text(history, 1));
  };
  return step;
}

Result<void> put_graph_and_recipe(line::StepContext& context, const graph::Graph& graph, const modules::Recipe& recipe) {
  SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(graph));
  SIGHTLINE_CHECK(context.put("graph", onnx));
  return context.put("recipe", json_text(to_json(recipe), 2));
}

// The pictures as the net takes them, its graph and its recipe.
Result<void> put_training(line::StepContext& context, const dataset::Manifest& manifest, const ChosenRecipe& chosen) {
  context.figure("side", chosen.recipe.side);
  context.figure("reasons", to_json(chosen.reasons));
  const std::string path = context.work_folder() + "/images";
  SIGHTLINE_CHECK(
      dataset::pack(manifest, {.width = chosen.recipe.side, .height = chosen.recipe.side, .channels = chosen.recipe.channels}, path));
  SIGHTLINE_CHECK(context.put_file("images", path));
  return put_graph_and_recipe(context, chosen.graph, chosen.recipe);
}

line::Step tail_data_step(const BuildContext& build) {
  line::Step step{.name = "tail-data", .version = 1, .says = "compute once what goes into the last stages"};
  step.parameters = {{"balanced", is_balanced(build.demand)},
                     {"budget", to_json(build.demand.budget)},
                     {"pins", to_json(build.demand.recipe)},
                     {"seed", build.demand.seed}};
  step.environment = machine_environment(build.threads);
  step.environment["heads"] = heads::version;
  step.inputs = {{.name = "backbone", .step = "backbone", .output = "backbone"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  step.outputs = {"images", "graph", "recipe", "whole"};
  step.skipped_by = line::Verdict{"judge-cuts", "unwanted"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const auto source, source_of(build, context));
    SIGHTLINE_TRY(const graph::Graph whole, head_without_validation(build, *source, manifest));
    SIGHTLINE_TRY(const TailData data, tail_data(build, manifest, whole));
    context.figure("cut", data.cut);
    context.figure("rows", data.rows.dim(0));
    context.figure("share", data.share);
    context.figure("reasons", Json::array({data.sentence}));
    const std::string path = context.work_folder() + "/images";
    SIGHTLINE_CHECK(dataset::pack_rows(data.rows, data.labels, data.splits, manifest.classes, path));
    SIGHTLINE_CHECK(context.put_file("images", path));
    SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(whole));
    SIGHTLINE_CHECK(context.put("whole", onnx));
    return put_graph_and_recipe(context, data.graph, tail_recipe(build.demand, data.views, tail_share * seconds_of(build.demand.budget)));
  };
  return step;
}

line::Step judge_tail_step(const BuildContext& build) {
  line::Step step = judge_of(build, "judge-tail", "see what tuning the last stages brought", "tail-data", "tail", "judge-cuts");
  step.inputs.push_back({.name = "initial", .step = "tail-data", .output = "whole"});
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(Account account, read_account(context, "account"));
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const graph::Graph initial, graph::read_onnx(context.input_path("initial")));
    SIGHTLINE_TRY(const graph::Graph tail, graph::read_onnx(context.input_path("trained")));
    Prospect brought;
    SIGHTLINE_CHECK(put_judged(build, context, manifest, Rung::tail, with_weights_of(initial, tail),
                               seconds_behind(context, {"data", "trained"}), account, brought));
    // The pace of the tail says that of the whole net.
    const Json trained = context.maker("trained")->figures, data = context.maker("data")->figures;
    const double seconds =
        seconds_of_whole(trained.value("training_seconds", 0.0), trained.value("steps", 0.0) * tail_recipe(build.demand, 1, 0).batch,
                         data.value("share", 1.0), static_cast<double>(samples_of(manifest, {Split::train}).size()));
    say_what_is_next(build, context, account, prospect_of_whole(brought.gain, brought.interval, seconds));
    return put_account(context, account);
  };
  return step;
}

line::Step whole_data_step(const BuildContext& build) {
  line::Step step{.name = "whole-data", .version = 1, .says = "decode and resize the images once, for the whole net"};
  step.parameters = {{"budget", to_json(build.demand.budget)}, {"pins", to_json(build.demand.recipe)}, {"seed", build.demand.seed}};
  step.inputs = {{.name = "manifest", .step = build.manifest_step(), .output = "manifest"},
                 {.name = "account", .step = "judge-tail", .output = "account"},
                 {.name = "initial", .step = "tail-data", .output = "whole"},
                 {.name = "tail", .step = "tail", .output = "model"}};
  step.outputs = {"images", "graph", "recipe"};
  step.skipped_by = line::Verdict{"judge-tail", "unwanted"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const Account account, read_account(context, "account"));
    ChosenRecipe chosen;
    SIGHTLINE_TRY(chosen.graph, graph::read_onnx(context.input_path("initial")));
    if (account.back().kept) {
      SIGHTLINE_TRY(const graph::Graph tail, graph::read_onnx(context.input_path("tail")));
      chosen.graph = with_weights_of(chosen.graph, tail);
    }
    SIGHTLINE_CHECK(choose_whole(build.demand, manifest, seconds_left(build.demand, account), chosen));
    return put_training(context, manifest, chosen);
  };
  return step;
}

// Of a rung whose step left the whole net; what follows it is not predicted from it.
line::Step judge_net_step(const BuildContext& build, Rung rung, const std::string& name, const std::string& trained,
                          const std::string& account_from, const std::string& says) {
  line::Step step = judge_of(build, name, says, trained + "-data", trained, account_from);
  step.body = [build, rung](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(Account account, read_account(context, "account"));
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const graph::Graph net, graph::read_onnx(context.input_path("trained")));
    Prospect brought;
    SIGHTLINE_CHECK(put_judged(build, context, manifest, rung, net, seconds_behind(context, {"data", "trained"}), account, brought));
    say_what_is_next(build, context, account, std::nullopt);
    return put_account(context, account);
  };
  return step;
}

// --- a net of ours, from nothing ---

line::Step scratch_pilot_step(const BuildContext& build) {
  line::Step step{.name = "scratch-pilot", .version = 1, .says = "predict what training from scratch brings"};
  step.parameters = {{"target", to_json(build.demand.target)}, {"budget", to_json(build.demand.budget)}, {"seed", build.demand.seed}};
  step.environment = machine_environment(build.threads);
  step.environment["heads"] = heads::version;
  step.inputs = {{.name = "manifest", .step = build.manifest_step(), .output = "manifest"},
                 {.name = "account of pilot", .step = "pilot", .output = "account"}};
  add_earlier_judges(step, "judge-scratch", {"account"});
  step.outputs = {"account"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const std::optional<std::string> text, judged(context, "account"));
    Account account;
    if (text) {
      SIGHTLINE_TRY(account, parse_account(*text));
    } else {
      SIGHTLINE_TRY(account, read_account(context, "account of pilot"));
    }
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    std::string unwanted;
    if (meets(build.demand.target, best_of(account))) {
      unwanted = sentence_of_met(build.demand.target, best_of(account));  // said already
    } else if (build.demand.target.at_least == 0 && !build.by_default) {
      unwanted = "no target is stated, and the demand names its backbone";  // what goes without saying
    } else if (samples_of(manifest, {Split::validation}).size() < least_validation) {
      unwanted = fmt::format("there are fewer than {} validation pictures to judge another net by", least_validation);
      add_decision(account.back(), unwanted);
    } else {
      SIGHTLINE_TRY(const double without_network, accuracy_without_network(build, manifest));
      context.figure("without_network", without_network);
      const Prospect prospect = prospect_of_scratch(without_network, best_of(account).value);
      const Decision decision = decide(build.demand.target, best_of(account), prospect, seconds_left(build.demand, account));
      if (!decision.next) unwanted = decision.sentence;
      add_decision(account.back(), decision.sentence);
    }
    context.figure("unwanted", unwanted);
    return put_account(context, account);
  };
  return step;
}

line::Step scratch_data_step(const BuildContext& build) {
  line::Step step{.name = "scratch-data", .version = 1, .says = "choose a net of ours, decode and resize the images once"};
  step.parameters = recipe_parameters(build.demand);
  step.environment = {{"modules", modules::version}};
  step.inputs = {{.name = "manifest", .step = build.manifest_step(), .output = "manifest"},
                 {.name = "account", .step = "scratch-pilot", .output = "account"}};
  step.outputs = {"images", "graph", "recipe"};
  step.skipped_by = line::Verdict{"scratch-pilot", "unwanted"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const Account account, read_account(context, "account"));
    demand::Demand demand = build.demand;
    demand.backbone.reset();
    if (!demand.budget.epochs) demand.budget.minutes = whole_tenths(seconds_left(build.demand, account));
    SIGHTLINE_TRY(const ChosenRecipe chosen, choose_recipe(demand, manifest, build.threads));
    return put_training(context, manifest, chosen);
  };
  return step;
}

}  // namespace

std::vector<line::Step> training_rungs(const BuildContext& build, const Worker& worker) {
  return {tail_data_step(build),
          training_step(build, worker, "tail", "tail-data", "tune the last stages"),
          judge_tail_step(build),
          whole_data_step(build),
          training_step(build, worker, "whole", "whole-data", "tune the whole net"),
          judge_net_step(build, Rung::whole, "judge-whole", "whole", "judge-tail", "see what tuning the whole net brought"),
          scratch_pilot_step(build),
          scratch_data_step(build),
          training_step(build, worker, "scratch", "scratch-data", "train from scratch"),
          judge_net_step(build, Rung::scratch, "judge-scratch", "scratch", "scratch-pilot", "see what training from scratch brought")};
}

}  // namespace sightline::factory
