// fleet: many demands as one job.
#include "factory/fleet.h"

#include <map>
#include <memory>

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "demand/fleet.h"

namespace sightline::cli {
namespace {

struct FleetArguments {
  std::string file, only;
  int jobs = 0;
};

Result<int> run_fleet(Console& console, const FleetArguments& arguments) {
  SIGHTLINE_TRY(const demand::Fleet fleet, demand::read_fleet(arguments.file));
  SIGHTLINE_TRY(store::Workspace workspace, store::Workspace::open(workspace_root(console, arguments.file)));
  factory::FleetOptions options{.jobs = arguments.jobs, .only = {}};
  for (const std::string& name : split(arguments.only, ','))
    if (!trim(name).empty()) options.only.push_back(trim(name));
  console.remark("building the fleet {}: {} in {}", fleet.name,
                 plural(options.only.empty() ? fleet.demands.size() : options.only.size(), "demand"), workspace.root());
  SIGHTLINE_TRY(const factory::FleetOutcome outcome, factory::build_fleet(fleet, workspace, options));

  // A part of the fleet has a page of its own: the whole one stays.
  const std::string folder = workspace.root() + "/fleets",
                    stem = fmt::format("{}/{}{}", folder, fleet.name, options.only.empty() ? "" : "-only");
  const std::string page = stem + ".html";
  SIGHTLINE_CHECK(make_directories(folder));
  SIGHTLINE_CHECK(write_file(page, factory::fleet_page(fleet, outcome, utc_now())));
  std::map<std::string, std::size_t> counts;
  std::size_t ran = 0, chance = 0, measured = 0;
  Json rows = Json::array();
  for (const factory::FleetRow& row : outcome.rows) {
    ++counts[row.outcome];
    ran += row.ran ? 1 : 0;
    measured += row.outcome == "failed" ? 0 : 1;
    chance += row.outcome != "failed" && !row.excludes_chance ? 1 : 0;
    rows.push_back(to_json(row));
  }
  SIGHTLINE_CHECK(write_file(stem + ".json", json_text({{"name", fleet.name}, {"rows", rows}}, 1) + "\n"));
  console.document({{"name", fleet.name},
                    {"rows", rows},
                    {"released", counts["released"]},
                    {"refused", counts["refused"]},
                    {"failed", counts["failed"]},
                    {"ran", ran},
                    {"not_above_chance", chance},
                    {"pictures", outcome.pictures},
                    {"features_computed", outcome.computed},
                    {"features_reused", outcome.reused},
                    {"seconds", outcome.seconds},
                    {"page", page}});
  constexpr std::size_t shown = 10;
  std::size_t told = 0;
  for (const factory::FleetRow& row : outcome.rows) {
    if (row.outcome != "failed" || told++ >= shown) continue;
    console.say("{} {}: {}", console.paint(Colour::red, "failed"), row.name, row.sentence);
  }
  if (counts["failed"] > shown) console.say("… and {} more; the page lists them", counts["failed"] - shown);
  console.say("{} released, {} refused at the gate, {} failed in {} ({} had something to do)",
              console.paint(Colour::green, human_count(counts["released"])), human_count(counts["refused"]), human_count(counts["failed"]),
              human_seconds(outcome.seconds), human_count(ran));
  if (chance > 0) console.say("{} of {} are not shown to beat chance on their test pictures", human_count(chance), human_count(measured));
  console.say("summary  {}", page);
  return counts["failed"] > 0 ? exit_code_of(ErrorKind::invalid_data) : 0;
}

Action declare_fleet(Arguments& arguments) {
  auto values = std::make_shared<FleetArguments>();
  arguments.positional("FLEET", values->file, "the fleet's file (YAML)");
  arguments.option("--only", values->only, "NAMES", "only these demands, separated by commas");
  arguments.option("--jobs", values->jobs, "N", "demands built side by side; 0: as many as cores");
  return [values](Console& console) { return run_fleet(console, *values); };
}

constexpr Example fleet_examples[] = {
    {"sightline fleet fleet.yaml", "build every demand of the fleet; only what changed is done"},
    {"sightline fleet fleet.yaml --only screws,nuts", "two of them"},
};

}  // namespace

constexpr Verb fleet_verb{
    "fleet",
    Group::make,
    "from many demands to as many models, as one job",
    "Builds every demand of a fleet file: those that it lists, and those that a pattern makes of files. Pictures that demands share are "
    "decoded once, features of a shared frozen backbone are computed once, packages share its weights. A demand that fails is listed "
    "and harms no other. Ctrl-C stops at a safe point; the same command goes on from there. Writes one summary page. "
    "Exit code 0 when no demand failed; demands that the gate refuses are no failures.",
    fleet_examples,
    declare_fleet};

}  // namespace sightline::cli
