// release: another point of a search, later.
#include <memory>

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "factory/release_point.h"

namespace sightline::cli {
namespace {

struct ReleaseArguments {
  std::string name;
  int point = 0;
};

Result<int> list_points(Console& console, const std::string& name, const store::Workspace& workspace) {
  SIGHTLINE_TRY(const factory::SearchPoints found, factory::points_of_search(name, workspace));
  console.document({{"name", name}, {"metric", found.metric}, {"points", to_json(found.points)}, {"sentences", to_json(found.sentences)}});
  std::vector<std::vector<std::string>> rows;
  for (const evaluation::SearchPoint& point : found.points)
    rows.push_back({std::to_string(point.number), point.name, fmt::format("{:.4f}", point.value), fmt::format("{:.2f}", point.latency_ms),
                    fmt::format("{:.2f}", point.size_mb), fmt::format("{:.1f}", point.memory_mb), point.chosen ? "taken" : ""});
  console.table({"point", "model", found.metric, "p95 ms", "MB", "MB held", ""}, rows);
  console.say("\n`sightline release {} --point NUMBER` packages, measures and releases one", name);
  return 0;
}

Result<int> run_release(Console& console, const ReleaseArguments& arguments) {
  SIGHTLINE_TRY(store::Workspace workspace, existing_workspace(console));
  if (arguments.point == 0) return list_points(console, arguments.name, workspace);
  const auto on_step = [&](const line::Planned& planned, const line::StepRecord* finished) {
    if (finished != nullptr && planned.decision != line::Decision::reuse)
      console.remark("  {:<13} {:>8}", planned.step, human_seconds(finished->seconds));
  };
  SIGHTLINE_TRY(const factory::BuildOutcome outcome,
                factory::release_point(arguments.name, arguments.point, workspace, {.progress = !console.json && !console.quiet}, on_step));
  const std::string report = fmt::format("{}/reports/{}-point-{}.html", workspace.root(), arguments.name, arguments.point);
  SIGHTLINE_CHECK(make_directories(workspace.root() + "/reports"));
  SIGHTLINE_TRY(const std::string html, workspace.blobs().get(outcome.report));
  SIGHTLINE_CHECK(write_file(report, html));
  const std::string folder = outcome.version > 0 ? workspace.release_folder(arguments.name, outcome.version) : "";
  console.document({{"name", arguments.name},
                    {"point", arguments.point},
                    {"released", outcome.released},
                    {"version", outcome.version},
                    {"sentence", outcome.sentence},
                    {"package", outcome.package},
                    {"package_folder", folder},
                    {"report", report}});
  console.say("{}", console.paint(outcome.released ? Colour::green : Colour::red, outcome.sentence));
  if (outcome.released) console.say("package  {}", folder);
  console.say("report   {}", report);
  return outcome.released ? 0 : exit_code_of(ErrorKind::refused);
}

Action declare_release(Arguments& arguments) {
  auto values = std::make_shared<ReleaseArguments>();
  arguments.positional("MODEL", values->name, "the name of a demand that was built with search");
  arguments.option("--point", values->point, "NUMBER", "the point to release; without it the points are listed");
  return [values](Console& console) { return run_release(console, *values); };
}

constexpr Example release_examples[] = {{"sightline release apparel", "what the last search kept: accuracy, latency, size"},
                                        {"sightline release apparel --point 2", "package, evaluate and gate one of them"}};

}  // namespace

constexpr Verb release_verb{
    "release",
    Group::make,
    "another point of a search",
    "A search keeps every model that no other beats in accuracy, latency and size at once. One of them is packaged, "
    "evaluated on the test pictures and judged at the gate. It does not compete with the release in force: who asks "
    "for a faster or smaller one gives something up on purpose.\n"
    "Exit code 8 when the gate refuses the model.",
    release_examples,
    declare_release};

}  // namespace sightline::cli
