// build, plan, explain: the verbs of the line.
#include "factory/build.h"

#include <algorithm>
#include <filesystem>

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "dataset/corrections.h"
#include "demand/demand.h"

namespace sightline::cli {
namespace {

struct BuildArguments {
  std::string demand;
};

std::string figures_of(const line::StepRecord& record) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : record.figures.items()) {
    if (value.is_array() || value.is_object() || name == "sentence") continue;
    if (value.is_string() && value.get_ref<const std::string&>().empty()) continue;
    const std::string text = name == "size_bytes" && value.is_number_unsigned() ? human_bytes(value.get<std::uint64_t>())
                             : value.is_number_float()                          ? fmt::format("{:.4g}", value.get<double>())
                             : value.is_number_unsigned()                       ? human_count(value.get<std::uint64_t>())
                             : value.is_string()                                ? value.get<std::string>()
                                                                                : json_text(value);
    parts.push_back((name == "size_bytes" ? "size" : name) + " " + text);
  }
  return join(parts, ", ");
}

void tell_step(const Console& console, const line::Planned& planned, const line::StepRecord* finished) {
  if (planned.decision == line::Decision::skip) {
    // What is skipped because another step was needs no line of its own.
    if (!planned.sentence.ends_with("\" was")) console.remark("  {:<13} {}", planned.step, planned.sentence);
    return;
  }
  if (finished == nullptr) return;
  if (planned.decision == line::Decision::reuse) {
    console.remark("  {:<13} reused", planned.step);
  } else {
    console.remark("  {:<13} {:>8}  {}", planned.step, human_seconds(finished->seconds), figures_of(*finished));
  }
}

Json steps_document(const std::vector<line::StepRecord>& steps) {
  Json list = Json::array();
  for (const line::StepRecord& step : steps)
    list.push_back(
        {{"step", step.step}, {"key", step.key}, {"seconds", step.seconds}, {"sentence", step.sentence}, {"figures", step.figures}});
  return list;
}

Result<int> run_build(Console& console, const BuildArguments& arguments) {
  SIGHTLINE_TRY(const demand::Demand demand, demand::read_demand(arguments.demand));
  SIGHTLINE_TRY(store::Workspace workspace, store::Workspace::open(workspace_root(console, arguments.demand)));
  ProgressStyle style = progress_style();
  style.transient = true;
  set_progress_style(style);
  bool announced = false;
  const auto on_step = [&](const line::Planned& planned, const line::StepRecord* finished) {
    const bool works = planned.decision == line::Decision::run || planned.decision == line::Decision::unknown;
    if (works && !announced) {
      console.remark("building {} in {}", demand.name, workspace.root());
      announced = true;
    }
    if (announced) tell_step(console, planned, finished);
  };
  SIGHTLINE_TRY(const factory::BuildOutcome outcome,
                factory::build(demand, workspace, {.progress = !console.json && !console.quiet, .journal = true}, on_step));

  const std::string report = workspace.root() + "/reports/" + demand.name + ".html";
  SIGHTLINE_CHECK(make_directories(workspace.root() + "/reports"));
  SIGHTLINE_TRY(const std::string html, workspace.blobs().get(outcome.report));
  if (outcome.ran_anything || !path_exists(report)) SIGHTLINE_CHECK(write_file(report, html));
  const std::string folder = outcome.version > 0 ? workspace.release_folder(demand.name, outcome.version) : "";
  console.document({{"name", demand.name},
                    {"ran_anything", outcome.ran_anything},
                    {"released", outcome.released},
                    {"version", outcome.version},
                    {"sentence", outcome.sentence},
                    {"outlook", to_json(outcome.outlook)},
                    {"package", outcome.package},
                    {"package_folder", folder},
                    {"report", report},
                    {"steps", steps_document(outcome.steps)}});
  if (!outcome.ran_anything) {
    console.say("nothing to do: no image, label, setting or program has changed since the last build");
    console.say("{}", outcome.sentence);
    return 0;
  }
  console.say("{}", console.paint(outcome.released ? Colour::green : Colour::red, outcome.sentence));
  for (const std::string& sentence : outcome.outlook) console.say("  - {}", sentence);
  if (outcome.released) console.say("package  {}", folder);
  console.say("report   {}", report);
  if (outcome.released) {
    const std::string where =
        console.workspace.empty() && workspace.root() == absolute_path(".sightline") ? "" : " --workspace " + workspace.root();
    console.say("try      sightline predict {}{} IMAGE", demand.name, where);
  }
  return outcome.released ? 0 : exit_code_of(ErrorKind::refused);
}

const char* decision_word(line::Decision decision) {
  switch (decision) {
    case line::Decision::reuse: return "reuse";
    case line::Decision::run: return "run";
    case line::Decision::skip: return "skip";
    case line::Decision::unknown: return "run";
  }
  return "";
}

Result<int> run_plan(Console& console, const BuildArguments& arguments) {
  SIGHTLINE_TRY(const demand::Demand demand, demand::read_demand(arguments.demand));
  SIGHTLINE_TRY(store::Workspace workspace, store::Workspace::open(workspace_root(console, arguments.demand)));
  SIGHTLINE_TRY(std::vector<line::Step> steps, factory::build_steps(demand, workspace));
  line::Line line(workspace, demand.name, std::move(steps));
  SIGHTLINE_TRY(const std::vector<line::Planned> planned, line.plan());
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows;
  double expected = 0;
  for (const line::Planned& p : planned) {
    list.push_back({{"step", p.step},
                    {"says", p.says},
                    {"decision", decision_word(p.decision)},
                    {"sentence", p.sentence},
                    {"expected_seconds", p.expected_seconds}});
    const bool runs = p.decision != line::Decision::reuse && p.decision != line::Decision::skip;
    if (runs) expected += p.expected_seconds;
    rows.push_back(
        {p.step, decision_word(p.decision), runs && p.expected_seconds > 0 ? human_seconds(p.expected_seconds) : "", p.says, p.sentence});
  }
  console.document({{"name", demand.name}, {"steps", list}, {"expected_seconds", expected}});
  console.table({"step", "would", "took", "what it does", "why"}, rows);
  if (expected > 0) console.say("\nabout {} by the last times", human_seconds(expected));
  return 0;
}

Result<int> run_explain(Console& console, const BuildArguments& arguments) {
  SIGHTLINE_TRY(const demand::Demand demand, demand::read_demand(arguments.demand));
  SIGHTLINE_TRY(store::Workspace workspace, existing_workspace(console, arguments.demand));
  SIGHTLINE_TRY(const line::StepLog log, line::StepLog::open(workspace.root() + "/steps.log"));
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const line::StepRecord& record : log.records()) {
    if (record.pipeline != demand.name) continue;
    list.push_back(to_json(record));
    rows.push_back({record.started, record.step, human_seconds(record.seconds), record.sentence});
  }
  if (rows.empty()) return Error{ErrorKind::not_found, fmt::format("no step of \"{}\" ever ran in {}", demand.name, workspace.root())};
  SIGHTLINE_TRY(const std::vector<dataset::Correction> revisions,
                dataset::read_corrections(dataset::corrections_path(workspace.root(), demand.name)));
  const std::vector<dataset::Correction> corrections = dataset::corrections_in_force(revisions);
  console.document({{"name", demand.name}, {"steps", list}, {"corrections", to_json(corrections)}});
  console.table({"when", "step", "took", "why it ran"}, rows);
  if (!corrections.empty()) console.say("\nlabels corrected by hand:");
  for (const dataset::Correction& each : corrections)
    console.say("  - {}: {} -> {} (revision {}, {})", each.path, each.from, each.to, each.revision, each.when);
  if (const line::StepRecord* import = log.last(demand.name, "import");
      import != nullptr && import->figures.contains("corrections_left_out")) {
    console.say("\ncorrections that no longer fit:");
    for (const Json& sentence : import->figures["corrections_left_out"]) console.say("  - {}", sentence.get<std::string>());
  }
  const bool imports = demand.backbone && (demand.backbone->onnx || demand.backbone->name);
  const bool frozen =
      imports && (demand.backbone->freeze == demand::Freeze::backbone || demand.backbone->freeze == demand::Freeze::automatic);
  struct Chosen {
    const char *step, *title;
    bool taken;
  };
  for (const auto& [step, title, taken] : {Chosen{"recipe", "why this recipe:", !frozen},
                                           {"search", "why this model:", demand.search.has_value()},
                                           {"choose", "why this model:", imports && !frozen},
                                           {"backbone", "how the backbone is read:", frozen},
                                           {"head", "why this head:", frozen}}) {
    const line::StepRecord* record = log.last(demand.name, step);
    if (record == nullptr || !taken || !record->figures.contains("reasons")) continue;
    console.say("\n{}", title);
    for (const Json& reason : record->figures["reasons"]) console.say("  - {}", reason.get<std::string>());
    if (!record->figures.contains("weights")) continue;
    console.say("\nwhat the file of weights gave:");
    for (const Json& line : record->figures["weights"]) console.say("  {}", line.get<std::string>());
  }
  if (const line::StepRecord* release = log.last(demand.name, "release"); release != nullptr && release->figures.contains("choice")) {
    console.say("\nhow the recipe was chosen:");
    for (const Json& sentence : release->figures["choice"]) console.say("  - {}", sentence.get<std::string>());
  }
  if (const line::StepRecord* compress = log.last(demand.name, "compress"); compress != nullptr && compress->figures.contains("reasons")) {
    console.say("\nwhy this precision:");
    for (const Json& reason : compress->figures["reasons"]) console.say("  - {}", reason.get<std::string>());
  }
  return 0;
}

template <Result<int> (*run)(Console&, const BuildArguments&)>
Action declare(Arguments& arguments) {
  auto values = std::make_shared<BuildArguments>();
  arguments.positional("DEMAND", values->demand, "the demand file (YAML); `sightline init DIR` writes one");
  return [values](Console& console) { return run(console, *values); };
}

constexpr Example build_examples[] = {
    {"sightline build apparel.yaml", "from images to a gated release; only what changed is done"},
    {"sightline build apparel.yaml --json", "the outcome as one JSON document"},
    {"sightline build apparel.yaml --workspace /data/ws", "keep blobs and releases elsewhere"},
};
constexpr Example plan_examples[] = {{"sightline plan apparel.yaml", "what a build would do, and why, without doing it"}};
constexpr Example explain_examples[] = {
    {"sightline explain apparel.yaml", "why each step ran, and why this recipe and this precision were chosen"}};

}  // namespace

constexpr Verb build_verb{
    "build",
    Group::make,
    "from a demand to a measured, gated release",
    "Runs the line: import, split, audit, recipe, pack, label-errors, train, package, compress, evaluate, release (and probe and "
    "choose around train when the demand brings a network; with its backbone frozen: import, audit, backbone, head, package, "
    "compress, evaluate, release; with search: import, split, audit, search, package, compress, evaluate, release). A step whose inputs, "
    "settings and program are those of an earlier run is not run again. Ctrl-C "
    "stops at a safe point; the same command goes on from there.\n"
    "Exit code 8 when the gate refuses the model.",
    build_examples,
    declare<run_build>};
constexpr Verb plan_verb{"plan",
                         Group::make,
                         "what a build would run, and why",
                         "Decides for every step whether it would run or be reused, and says why. Runs nothing.",
                         plan_examples,
                         declare<run_plan>};
constexpr Verb explain_verb{"explain",
                            Group::make,
                            "why each step ran or was reused",
                            "The history of a demand's steps, with the sentence that each decision left.",
                            explain_examples,
                            declare<run_explain>};

}  // namespace sightline::cli
