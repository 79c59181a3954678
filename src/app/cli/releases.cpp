// list, show, compare, rollback: what has been released.
#include <algorithm>
#include <filesystem>

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "base/text.h"
#include "evaluation/comparison.h"
#include "store/release_name.h"

namespace sightline::cli {
namespace {

Result<store::Release> find_release(const store::Workspace& workspace, const std::string& text) {
  SIGHTLINE_TRY(const store::ReleaseName reference, store::parse_release_name(text));
  SIGHTLINE_TRY(const std::optional<store::Release> release, workspace.registry().release(reference.name, reference.version));
  if (release) return *release;
  SIGHTLINE_TRY(const std::vector<store::Release> all, workspace.registry().releases());
  std::vector<std::string> names;
  for (const store::Release& each : all) {
    names.push_back(each.name);
    if (each.name == reference.name && reference.version == 0)
      return Error{
          ErrorKind::not_found,
          fmt::format("{} has releases, but none is in force; name one, like {}:{}, or put it in force with `sightline rollback {}:{}`",
                      each.name, each.name, each.version, each.name, each.version)};
    if (each.name == reference.name)
      return Error{ErrorKind::not_found,
                   fmt::format("{} has no version {}; `sightline list {}` shows them", reference.name, reference.version, reference.name)};
  }
  return Error{ErrorKind::not_found,
               fmt::format("no release is called \"{}\" in {}{}", reference.name, workspace.root(), did_you_mean(reference.name, names))};
}

std::string figure(const Json& figures, const char* key, int digits) {
  return figures.contains(key) && figures[key].is_number() ? fmt::format("{:.{}f}", figures[key].get<double>(), digits) : "";
}

// The first of the task's metrics that was measured: "top1 0.9263".
std::string lead_figure(const Json& figures) {
  for (const tasks::Task& task : tasks::all_tasks())
    for (const tasks::Metric& metric : task.metrics)
      if (const std::string value = figure(figures, metric.name, 4); !value.empty()) return fmt::format("{} {}", metric.name, value);
  return "";
}

Result<int> run_list(Console& console, const std::string& name) {
  SIGHTLINE_TRY(const store::Workspace workspace, existing_workspace(console));
  SIGHTLINE_TRY(const std::vector<store::Release> releases, workspace.registry().releases(name));
  SIGHTLINE_TRY(const std::vector<store::Run> runs, workspace.registry().runs(name));
  console.document({{"releases", to_json(releases)}, {"runs", to_json(runs)}});
  std::vector<std::vector<std::string>> rows;
  for (const store::Release& release : releases) {
    const Json& figures = release.figures;
    rows.push_back({release.name, std::to_string(release.version), release.in_force ? "in force" : "", lead_figure(figures),
                    figure(figures, "p95_ms", 2),
                    figures.contains("size_bytes") && figures["size_bytes"].is_number_unsigned()
                        ? human_bytes(figures["size_bytes"].get<std::uint64_t>())
                        : "",
                    release.created, release.package.substr(0, 12)});
  }
  if (rows.empty()) {
    console.say("nothing has been released in {} yet", workspace.root());
  } else {
    console.table({"name", "version", "state", "figure", "p95 ms", "size", "created", "package"}, rows);
  }
  const auto last = std::max_element(runs.begin(), runs.end(), [](const store::Run& a, const store::Run& b) { return a.id < b.id; });
  if (last != runs.end() && last->outcome != "released")
    console.say("\nlast run: {} ({}): {}", last->demand, last->outcome, last->sentence);
  return 0;
}

Result<evaluation::Evaluation> evaluation_of(const store::Workspace& workspace, const store::Release& release) {
  SIGHTLINE_TRY(const std::string text, workspace.blobs().get(release.evaluation));
  SIGHTLINE_TRY(const Json json, parse_json(text, "the evaluation of " + release.name));
  return struct_from_json<evaluation::Evaluation>(json);
}

Result<int> run_show(Console& console, const std::string& reference) {
  SIGHTLINE_TRY(const store::Workspace workspace, existing_workspace(console));
  SIGHTLINE_TRY(const store::Release release, find_release(workspace, reference));
  SIGHTLINE_TRY(const evaluation::Evaluation evaluation, evaluation_of(workspace, release));
  SIGHTLINE_TRY(const std::string folder, workspace.ensure_release_folder(release));
  Json document = to_json(release);
  document["folder"] = folder;
  document["evaluation_figures"] = to_json(evaluation);
  console.document(document);
  console.say("{} version {}{}, released {}", console.paint(Colour::bold, release.name), release.version,
              release.in_force ? " (in force)" : "", release.created);
  console.say("  folder      {}\n  package     {}", folder, release.package);
  for (const auto& [metric, value] : evaluation::told_values(evaluation))
    console.say("  {:<17} {:.4f}{}", metric, value, evaluation::interval_text(evaluation, metric));
  if (evaluation.calibration_error_before > 0)
    console.say("  (calibration error before temperature scaling {:.4f})", evaluation.calibration_error_before);
  console.say("  latency     p50 {:.3f} ms, p95 {:.3f} ms, p99 {:.3f} ms", evaluation.latency.p50, evaluation.latency.p95,
              evaluation.latency.p99);
  console.say("  size        {}", human_bytes(evaluation.size_bytes));
  console.say("  lineage     {}", json_text(release.lineage));
  return 0;
}

Result<int> run_compare(Console& console, const std::string& a_text, const std::string& b_text) {
  SIGHTLINE_TRY(const store::Workspace workspace, existing_workspace(console));
  SIGHTLINE_TRY(const store::Release a, find_release(workspace, a_text));
  SIGHTLINE_TRY(const store::Release b, find_release(workspace, b_text));
  SIGHTLINE_TRY(const evaluation::Evaluation ea, evaluation_of(workspace, a));
  SIGHTLINE_TRY(const evaluation::Evaluation eb, evaluation_of(workspace, b));
  SIGHTLINE_TRY(const std::vector<evaluation::ComparedFigure> figures, evaluation::compare_figures(ea, eb, a_text, b_text));
  const std::string name_a = fmt::format("{}:{}", a.name, a.version);
  const std::string name_b = fmt::format("{}:{}", b.name, b.version);
  std::vector<std::vector<std::string>> rows;
  Json document = {{"a", name_a}, {"b", name_b}, {"figures", Json::object()}, {"lineage_differs", Json::array()}};
  for (const evaluation::ComparedFigure& row : figures) {
    rows.push_back({row.name, fmt::format("{:.{}f}", row.a, row.digits), fmt::format("{:.{}f}", row.b, row.digits),
                    fmt::format("{:+.{}f}", row.b - row.a, row.digits)});
    document["figures"][row.name] = {{"a", row.a}, {"b", row.b}, {"difference", row.b - row.a}};
  }
  const auto told = [](const Json& value) { return value.is_null() ? std::string("(none)") : json_text(value); };
  std::vector<std::string> differs;
  for (const evaluation::LineageDifference& each : evaluation::compare_lineages(a.lineage, b.lineage))
    differs.push_back(fmt::format("{}: {} -> {}", each.key, told(each.a), told(each.b)));
  document["lineage_differs"] = differs;
  console.document(document);
  console.table({"", name_a, name_b, "difference"}, rows);
  if (evaluation::measured_of(ea).pictures != evaluation::measured_of(eb).pictures)
    console.warn("the test sets differ in size ({} and {} images): the figures are not comparable", evaluation::measured_of(ea).pictures,
                 evaluation::measured_of(eb).pictures);
  console.say("\n{}", differs.empty() ? "the lineage is the same" : "lineage:");
  for (const std::string& line : differs) console.say("  {}", line);
  return 0;
}

Result<int> run_rollback(Console& console, const std::string& reference) {
  SIGHTLINE_TRY(store::Workspace workspace, existing_workspace(console));
  SIGHTLINE_TRY(store::ReleaseName wanted, store::parse_release_name(reference));
  SIGHTLINE_TRY(const std::optional<store::Release> now, workspace.registry().release(wanted.name));
  if (wanted.version == 0) {
    SIGHTLINE_TRY(const std::vector<store::Release> all, workspace.registry().releases(wanted.name));
    for (const store::Release& each : all) {
      if (!now || each.version < now->version) wanted.version = std::max(wanted.version, each.version);
    }
    if (wanted.version == 0)
      return Error{ErrorKind::not_found,
                   fmt::format("{} has no earlier version to go back to; `sightline list` shows what there is", wanted.name)};
  }
  SIGHTLINE_TRY(const store::Release target, find_release(workspace, fmt::format("{}:{}", wanted.name, wanted.version)));
  SIGHTLINE_TRY(const std::string folder, workspace.ensure_release_folder(target));
  SIGHTLINE_CHECK(workspace.registry().set_in_force(target.name, target.version));
  console.document({{"name", target.name}, {"version", target.version}, {"before", now ? now->version : 0}, {"folder", folder}});
  console.say("{} is version {} now (was {})", target.name, target.version, now ? std::to_string(now->version) : "not in force");
  return 0;
}

template <Result<int> (*run)(Console&, const std::string&), bool required>
Action declare_one(Arguments& arguments) {
  auto value = std::make_shared<std::string>();
  arguments.positional("NAME", *value, "a released name, or NAME:VERSION", required);
  return [value](Console& console) { return run(console, *value); };
}

Action declare_compare(Arguments& arguments) {
  auto values = std::make_shared<std::pair<std::string, std::string>>();
  arguments.positional("A", values->first, "a release: NAME or NAME:VERSION");
  arguments.positional("B", values->second, "another");
  return [values](Console& console) { return run_compare(console, values->first, values->second); };
}

constexpr Example list_examples[] = {{"sightline list", "every release of this workspace"},
                                     {"sightline list apparel --json", "one model's releases and runs as JSON"}};
constexpr Example show_examples[] = {{"sightline show apparel", "the release in force: figures, folder, lineage"},
                                     {"sightline show apparel:2", "a certain version"}};
constexpr Example compare_examples[] = {{"sightline compare apparel:1 apparel:2", "figures and lineage side by side"}};
constexpr Example rollback_examples[] = {{"sightline rollback apparel", "put the version before the one in force back in force"},
                                         {"sightline rollback apparel:1", "or a certain one"}};

}  // namespace

constexpr Verb list_verb{"list",
                         Group::look_after,
                         "releases and runs",
                         "Every release of the workspace with its figures; the last run when it did not release.",
                         list_examples,
                         declare_one<run_list, false>};
constexpr Verb show_verb{"show",
                         Group::look_after,
                         "one release: figures, folder, lineage",
                         "What a release measured, where its folder is, and what it was made from.",
                         show_examples,
                         declare_one<run_show, true>};
constexpr Verb compare_verb{
    "compare",        Group::look_after, "two releases side by side", "Figures with their differences, and what differs in the lineage.",
    compare_examples, declare_compare};
constexpr Verb rollback_verb{"rollback",
                             Group::look_after,
                             "put an earlier version back in force",
                             "Nothing is deleted: the registry points to the earlier version.",
                             rollback_examples,
                             declare_one<run_rollback, true>};

}  // namespace sightline::cli
