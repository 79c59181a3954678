#include "factory/escalation_steps.h"

#include <fmt/format.h>

#include "base/text.h"
#include "evaluation/cross_validation.h"
#include "factory/escalation_account.h"
#include "factory/step_inputs.h"
#include "factory/tail.h"
#include "factory/tuning.h"
#include "features/backbone.h"
#include "heads/choose.h"
#include "heads/head.h"
#include "modules/imported.h"

namespace sightline::factory {
namespace {

using dataset::Split;

Result<Reached> reached_by_head(const BuildContext& build, line::StepContext& context, Rung rung) {
  SIGHTLINE_TRY(const std::string text, context.read_input("history"));
  SIGHTLINE_TRY(const Json history, parse_json(text, "history of the head"));
  SIGHTLINE_TRY(const auto estimate, struct_from_json<evaluation::CrossValidated>(history.at("estimate"), "estimate"));
  Reached reached = reached_by(rung, build.demand.target, estimate, "out of fold");
  reached.seconds = seconds_behind(context, {"history"});
  reached.sentence = sentence_of(build.demand.target, reached);
  return reached;
}

line::Step judge_head_step(const BuildContext& build) {
  line::Step step{.name = "judge", .version = 1, .says = "see whether the head is enough"};
  step.parameters = {{"target", to_json(build.demand.target)}};
  step.inputs = {{.name = "history", .step = "head", .output = "history"}};
  step.outputs = {"account"};
  step.body = [build](line::StepContext& context) -> Result<void> {
    Account account(1);
    SIGHTLINE_TRY(account[0], reached_by_head(build, context, Rung::head));
    say_what_is_next(build, context, account, std::nullopt);
    return put_account(context, account);
  };
  return step;
}

// --- a head that also reads earlier places of the network ---

line::Step cuts_step(const BuildContext& build) {
  line::Step step{.name = "cuts", .version = 1, .says = "let the backbone also tell what earlier layers see of each quarter"};
  step.environment = {{"import", modules::import_version}};
  step.inputs = {{.name = "backbone", .step = "backbone", .output = "backbone"}};
  step.outputs = {"backbone"};
  step.skipped_by = line::Verdict{"judge", "unwanted"};
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const auto source, source_of(build, context));
    std::optional<Wide> wide;  // of a backbone in integers every cut would be another graph of integers
    if (source->backbone().about.precision == "f32") {
      SIGHTLINE_TRY(wide, with_quarters(source->backbone().graph));
    }
    features::About about = source->backbone().about;
    if (wide) {
      std::vector<std::string> names(wide->cuts.begin(), wide->cuts.end() - 1);
      about.cuts.clear();
      for (std::size_t i = 0; i < wide->cuts.size(); ++i)
        about.cuts.push_back({.name = wide->cuts[i], .at = wide->cuts[i], .value = wide->cuts[i], .width = wide->widths[i]});
      about.reasons.push_back(fmt::format("beside the features, the quarters of {}", join(names, ", ")));
    }
    context.figure("cuts", wide ? wide->cuts.size() : 1);
    context.figure("widths", to_json(wide ? wide->widths : std::vector<std::int64_t>{source->backbone().dimensions}));
    SIGHTLINE_TRY(const std::string folder, context.fresh_folder("backbone"));
    SIGHTLINE_CHECK(features::write_backbone(wide ? wide->graph : source->backbone().graph, about, folder));
    return context.put_folder("backbone", folder);
  };
  return step;
}

line::Step pilot_step(const BuildContext& build) {
  line::Step step{.name = "pilot", .version = 1, .says = "predict what a head on earlier layers as well brings"};
  step.parameters = {{"target", to_json(build.demand.target)}, {"budget", to_json(build.demand.budget)}, {"seed", build.demand.seed}};
  step.environment = machine_environment(build.threads);
  step.environment["heads"] = heads::version;
  step.inputs = {{.name = "backbone", .step = "head", .output = "backbone"},
                 {.name = "cuts", .step = "cuts", .output = "backbone"},
                 {.name = "account", .step = "judge", .output = "account"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  step.outputs = {"account"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(Account account, read_account(context, "account"));
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const auto source, source_of(build, context));
    SIGHTLINE_TRY(const auto wide, source_of(build, context, "cuts"));
    std::vector<std::int64_t> widths;
    SIGHTLINE_CHECK(from_json(context.maker("cuts")->figures.at("widths"), widths, "widths"));
    double seconds_each = 0;
    SIGHTLINE_TRY(const Prospect prospect, pilot_cuts(build, *source, *wide, widths, manifest, seconds_each));
    context.figure("seconds_each", seconds_each);
    context.figure("gain", prospect.gain);
    context.figure("gain_low", prospect.interval.low);
    context.figure("gain_high", prospect.interval.high);
    say_what_is_next(build, context, account, prospect);
    return put_account(context, account);
  };
  return step;
}

line::Step cuts_head_step(const BuildContext& build) {
  line::Step step = head_step_on(build, "cuts-head", "cuts");
  step.says = "fit the head on what several layers say of the pictures";
  step.skipped_by = line::Verdict{"pilot", "unwanted"};
  return step;
}

line::Step judge_cuts_step(const BuildContext& build) {
  line::Step step{.name = "judge-cuts", .version = 1, .says = "see what the head on several cuts brought"};
  step.parameters = {{"target", to_json(build.demand.target)}, {"budget", to_json(build.demand.budget)}};
  step.inputs = {{.name = "history", .step = "cuts-head", .output = "history"},
                 {.name = "backbone", .step = "backbone", .output = "backbone"},
                 {.name = "account", .step = "pilot", .output = "account"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  step.outputs = {"model", "history", "account"};
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(Account account, read_account(context, "account"));
    SIGHTLINE_TRY(Reached reached, reached_by_head(build, context, Rung::cuts));
    const double gain = reached.value - account.back().value;
    reached.kept = gain > 0;
    reached.sentence +=
        fmt::format("; that is {:+.1f} points on the same pictures: {}", 100 * gain, reached.kept ? "it is kept" : "it is rejected");
    SIGHTLINE_CHECK(context.put("model", reached.kept ? several_cuts : ""));
    SIGHTLINE_CHECK(context.put("history", "{}"));
    context.figure("gain", gain);
    context.figure("kept", reached.kept);
    account.push_back(reached);

    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const auto source, source_of(build, context));
    std::optional<Parts> parts;  // what is in integers is not tuned
    if (source->backbone().about.precision == "f32") {
      SIGHTLINE_TRY(parts, split_network(source->backbone().graph));
    }
    if (meets(build.demand.target, best_of(account)) || (parts && samples_of(manifest, {Split::validation}).size() >= least_validation)) {
      const evaluation::Interval interval{reached.interval.low - reached.value + gain, reached.interval.high - reached.value + gain};
      std::optional<Prospect> prospect;
      if (parts) {
        const auto pictures = static_cast<double>(samples_of(manifest, {Split::train}).size());
        prospect = prospect_of_tail(
            gain, interval, seconds_of_tail(build.demand, *parts, context.maker("account")->figures.value("seconds_each", 0.0), pictures));
      }
      say_what_is_next(build, context, account, prospect);
    } else {
      const std::string why = parts ? fmt::format("there are fewer than {} validation pictures to judge a tuned net by", least_validation)
                                    : "the network has no last stages that could be tuned alone";
      add_decision(account.back(), why);
      context.figure("unwanted", why);
      context.figure("reasons", Json::array({account.back().sentence, why}));
    }
    return put_account(context, account);
  };
  return step;
}

}  // namespace

std::vector<line::Step> escalation_steps(const BuildContext& build, const Worker& worker) {
  std::vector<line::Step> steps{judge_head_step(build), cuts_step(build), pilot_step(build), cuts_head_step(build), judge_cuts_step(build)};
  for (line::Step& step : training_rungs(build, worker)) steps.push_back(std::move(step));
  return steps;
}

}  // namespace sightline::factory
