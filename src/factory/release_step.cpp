// release: the gate's decision, the report, and, when it passes, a version in the registry with its folder.
#include <fmt/chrono.h>

#include <ctime>

#include "base/text.h"
#include "evaluation/evaluation.h"
#include "evaluation/report.h"
#include "factory/build.h"
#include "factory/escalation_steps.h"
#include "factory/step_inputs.h"
#include "package/package.h"

namespace sightline::factory {
namespace {

template <class T>
Result<T> read_json_input(line::StepContext& context, const std::string& name) {
  SIGHTLINE_TRY(const std::string text, context.read_input(name));
  SIGHTLINE_TRY(const Json json, parse_json(text, name));
  return struct_from_json<T>(json, name);
}

// The release that this package competes with: the one in force, or its predecessor when this package is already the one in force (a build
// that was killed between releasing and logging is decided again).
Result<std::optional<store::Release>> competitor(const store::Registry& registry, const std::string& name, const Digest& package) {
  SIGHTLINE_TRY(std::optional<store::Release> in_force, registry.release(name));
  if (!in_force || in_force->package != package) return in_force;
  SIGHTLINE_TRY(const std::vector<store::Release> all, registry.releases(name));
  std::optional<store::Release> before;
  for (const store::Release& release : all) {
    if (release.version < in_force->version && (!before || release.version > before->version)) before = release;
  }
  return before;
}

std::string card_text(const demand::Demand& demand, const evaluation::Evaluation& evaluation, const evaluation::Verdict& verdict,
                      const evaluation::Compression& compression, const Json& lineage) {
  std::string text = fmt::format("# {}\n\n{}\n\n", demand.name, verdict.sentence);
  text += fmt::format("Measured with the packaged model on {} untouched test images:\n\n",
                      human_count(static_cast<std::uint64_t>(evaluation::measured_of(evaluation).pictures)));
  for (const auto& [metric, value] : evaluation::told_values(evaluation))
    text += fmt::format("- {} {:.4f}{}\n", metric, value, evaluation::interval_text(evaluation, metric));
  if (evaluation.calibration_error_before > 0)
    text += fmt::format("- calibration error before temperature scaling {:.4f}\n", evaluation.calibration_error_before);
  text +=
      fmt::format("- latency at batch 1 after decoding: p50 {:.3f} ms, p95 {:.3f} ms, p99 {:.3f} ms on {}\n", evaluation.latency.p50,
                  evaluation.latency.p95, evaluation.latency.p99, plural(static_cast<std::uint64_t>(evaluation.latency.threads), "core"));
  text += fmt::format("- size {}\n\n", human_bytes(evaluation.size_bytes));
  if (evaluation.decisions) {
    text += "## Decisions\n\n";
    for (const std::string& sentence : evaluation.decisions->sentences) text += fmt::format("- {}\n", sentence);
    text += "\n";
  }
  if (!compression.candidates.empty()) {
    text += fmt::format("## Precision\n\n{}.\n\n", compression.sentence);
    for (const evaluation::CompressionCandidate& each : compression.candidates)
      text += fmt::format("- **{}** {}\n", each.precision, each.sentence);
    for (const std::string& remark : compression.remarks) text += fmt::format("- {}\n", remark);
    text += "\n";
  }
  if (lineage.contains("choice") && lineage["choice"].is_array()) {
    text += "## Choice\n\n";
    for (const Json& sentence : lineage["choice"]) text += fmt::format("- {}\n", sentence.get<std::string>());
    text += "\n";
  }
  text += fmt::format("## Data\n\nOrigin: {}. Licence: {}. Classes: {}.\n\n", demand.data.origin, demand.data.licence,
                      join(evaluation.classes, ", "));
  text += fmt::format("## Recipe\n\n```json\n{}\n```\n", json_text(lineage.value("recipe", Json::object()), 2));
  return text;
}

}  // namespace

namespace {

// How the recipe was chosen, and the history of what is in force by it.
Result<void> add_account(line::StepContext& context, evaluation::ReportInput& report) {
  SIGHTLINE_TRY(std::optional<std::string> account, judged(context, "account"));
  if (!account) {
    SIGHTLINE_TRY(account, context.read_input(context.has_input("account of pilot") ? "account of pilot" : "account"));
  }
  SIGHTLINE_TRY(const std::vector<Reached> rungs, parse_account(*account));
  for (const Reached& rung : rungs)
    report.rungs.push_back({.name = words_for(rung.rung),
                            .metric = rung.metric,
                            .value = rung.value,
                            .interval = rung.interval,
                            .seconds = rung.seconds,
                            .kept = rung.kept,
                            .sentences = {rung.sentence, rung.decision}});
  Json sentences = Json::array();
  for (const Reached& rung : rungs)
    for (const std::string* sentence : {&rung.sentence, &rung.decision})
      if (!sentence->empty()) sentences.push_back(*sentence);
  context.figure("choice", sentences);
  SIGHTLINE_TRY(const std::optional<std::string> history, judged(context, "history"));
  if (!history) return {};
  SIGHTLINE_TRY(const Json told, parse_json(*history, "history"));
  if (told.contains("epochs")) report.history = told;
  return {};
}

}  // namespace

line::Step release_step(const BuildContext& build) {
  line::Step step{.name = "release", .version = 2, .says = "decide at the gate, write the report, release"};
  step.parameters = {{"name", build.demand.name}, {"target", to_json(build.demand.target)}, {"limits", to_json(build.demand.limits)}};
  step.inputs = {{.name = "package", .step = "compress", .output = "package"},
                 {.name = "compression", .step = "compress", .output = "compression"},
                 {.name = "evaluation", .step = "evaluate", .output = "evaluation"},
                 {.name = "audit", .step = "audit", .output = "audit"},
                 {.name = "history", .step = build.trained_step(), .output = "history"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  if (build.classifies())
    step.inputs.insert(step.inputs.begin() + 4, {.name = "suspects", .step = build.suspects_step(), .output = "suspects"});
  if (build.options.point > 0) step.parameters["point"] = build.options.point;
  if (build.searches()) step.inputs.push_back({.name = "search", .step = "search", .output = "search"});
  if (build.escalates()) {
    step.inputs.push_back({.name = "account", .step = "judge", .output = "account"});
    step.inputs.push_back({.name = "account of pilot", .step = "pilot", .output = "account", .optional = true});
    add_judged_inputs(step, {"history", "account"});
  }
  step.outputs = {"verdict"};
  if (build.options.report) {
    step.outputs.emplace_back("report");
  } else {
    step.parameters["report"] = false;
  }
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    store::Workspace& workspace = context.workspace();
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    evaluation::ReportInput report;
    report.demand = build.demand;
    report.manifest = &manifest;
    SIGHTLINE_TRY(report.evaluation, read_json_input<evaluation::Evaluation>(context, "evaluation"));
    SIGHTLINE_TRY(report.compression, read_json_input<evaluation::Compression>(context, "compression"));
    SIGHTLINE_TRY(report.audit, read_json_input<dataset::Audit>(context, "audit"));
    if (build.classifies()) {
      SIGHTLINE_TRY(const std::string suspects_text, context.read_input("suspects"));
      SIGHTLINE_TRY(const Json suspects, parse_json(suspects_text, "suspects"));
      SIGHTLINE_CHECK(from_json(suspects, report.suspects, "suspects"));
    }
    SIGHTLINE_TRY(const std::string history, context.read_input("history"));
    SIGHTLINE_TRY(report.history, parse_json(history, "history"));
    if (build.searches()) {
      SIGHTLINE_TRY(const std::string text, context.read_input("search"));
      SIGHTLINE_TRY(const Json document, parse_json(text, "search"));
      SIGHTLINE_TRY(report.search, struct_from_json<evaluation::SearchReport>(document.at("report"), "search"));
    }
    if (build.escalates()) SIGHTLINE_CHECK(add_account(context, report));
    report.created = fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)));

    const Digest package = context.input("package");
    SIGHTLINE_TRY(const auto tree, workspace.blobs().tree(package));
    const auto lineage_file = tree.find("1/lineage.json");
    if (lineage_file == tree.end()) return Error{ErrorKind::internal, "the package holds no 1/lineage.json"};
    SIGHTLINE_TRY(const std::string lineage_text, workspace.blobs().get(lineage_file->second));
    SIGHTLINE_TRY(report.lineage, parse_json(lineage_text, "lineage.json"));

    if (!report.compression.candidates.empty()) report.lineage["compression"] = to_json(report.compression);

    SIGHTLINE_TRY(const std::optional<store::Release> rival, competitor(workspace.registry(), build.demand.name, package));
    std::optional<evaluation::Evaluation> in_force;
    if (rival) report.lineage["parent"] = {{"version", rival->version}, {"package", rival->package}};
    if (rival && build.options.point == 0) {  // a point that a person asks for was chosen: what it gives up is on purpose
      SIGHTLINE_TRY(const std::string text, workspace.blobs().get(rival->evaluation));
      SIGHTLINE_TRY(const Json json, parse_json(text, "the evaluation of the release in force"));
      SIGHTLINE_TRY(in_force, struct_from_json<evaluation::Evaluation>(json));
    }
    report.verdict = evaluation::gate(build.demand, report.evaluation, in_force);

    SIGHTLINE_CHECK(context.put("verdict", json_text(to_json(report.verdict))));
    Digest page;
    if (build.options.report) {
      SIGHTLINE_TRY(const std::string html, evaluation::write_report(report));
      SIGHTLINE_CHECK(context.put("report", html));
      page = sha256_of(html);
    }
    context.figure("released", report.verdict.release);
    context.figure("sentence", report.verdict.sentence);
    if (!report.verdict.release) return {};

    store::Release release;
    release.name = build.demand.name;
    release.in_force = true;
    release.package = package;
    release.evaluation = context.input("evaluation");
    release.report = page;
    release.figures = {{"p95_ms", report.evaluation.latency.p95}, {"size_bytes", report.evaluation.size_bytes}};
    release.figures.update(to_json(evaluation::measured_of(report.evaluation).values));
    release.lineage = report.lineage;
    SIGHTLINE_TRY(const std::vector<store::Run> runs, workspace.registry().runs(build.demand.name));
    for (const store::Run& run : runs) release.run = std::max(release.run, run.id);
    SIGHTLINE_TRY(const std::int64_t version, workspace.registry().add_release(release));
    release.version = version;
    context.figure("version", version);
    SIGHTLINE_TRY(const std::string folder, workspace.ensure_release_folder(release));
    return package::write_card(folder, card_text(build.demand, report.evaluation, report.verdict, report.compression, report.lineage));
  };
  return step;
}

}  // namespace sightline::factory
