// gc, fsck, backup, restore: looking after a workspace.
#include "line/maintenance.h"

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "base/text.h"

namespace sightline::cli {
namespace {

struct MaintenanceArguments {
  std::string path;
  bool dry_run = false, repair = false;
};

Result<int> run_gc(Console& console, const MaintenanceArguments& arguments) {
  SIGHTLINE_TRY(store::Workspace workspace, existing_workspace(console));
  SIGHTLINE_TRY(const std::uint64_t freed, line::collect_garbage(workspace, arguments.dry_run));
  console.document({{"bytes", freed}, {"dry_run", arguments.dry_run}});
  console.say("{} {}", arguments.dry_run ? "would free" : "freed", human_bytes(freed));
  return 0;
}

Result<int> run_fsck(Console& console, const MaintenanceArguments& arguments) {
  SIGHTLINE_TRY(store::Workspace workspace, existing_workspace(console));
  SIGHTLINE_TRY(const std::vector<store::Problem> problems, line::fsck(workspace, arguments.repair));
  Json list = Json::array();
  for (const store::Problem& problem : problems) {
    list.push_back({{"what", problem.what}, {"remedy", problem.remedy}});
    console.say("{}\n    {}", console.paint(Colour::red, problem.what), problem.remedy);
  }
  console.document({{"problems", list}});
  if (problems.empty()) console.say("everything in {} verifies", workspace.root());
  return problems.empty() ? 0 : exit_code_of(ErrorKind::invalid_data);
}

Result<int> run_backup(Console& console, const MaintenanceArguments& arguments) {
  SIGHTLINE_TRY(const store::Workspace workspace, existing_workspace(console));
  SIGHTLINE_CHECK(store::backup(workspace, arguments.path));
  console.document({{"backup", arguments.path}});
  console.say("{} was copied to {}; `sightline restore {}` brings it back", workspace.root(), arguments.path, arguments.path);
  return 0;
}

Result<int> run_restore(Console& console, const MaintenanceArguments& arguments) {
  const std::string root = workspace_root(console);
  SIGHTLINE_CHECK(store::restore(arguments.path, root));
  console.document({{"workspace", root}});
  console.say("{} was restored from {}", root, arguments.path);
  return 0;
}

Action declare_gc(Arguments& arguments) {
  auto values = std::make_shared<MaintenanceArguments>();
  arguments.flag("--dry-run", values->dry_run, "only say what would be freed");
  return [values](Console& console) { return run_gc(console, *values); };
}
Action declare_fsck(Arguments& arguments) {
  auto values = std::make_shared<MaintenanceArguments>();
  arguments.flag("--repair", values->repair, "put bad blobs aside and drop bad log lines, so that their steps run again");
  return [values](Console& console) { return run_fsck(console, *values); };
}
template <Result<int> (*run)(Console&, const MaintenanceArguments&)>
Action declare_path(Arguments& arguments) {
  auto values = std::make_shared<MaintenanceArguments>();
  arguments.positional("DIR", values->path, "the backup folder");
  return [values](Console& console) { return run(console, *values); };
}

constexpr Example gc_examples[] = {{"sightline gc --dry-run", "what could be freed"},
                                   {"sightline gc", "free what neither a release nor the next build needs"}};
constexpr Example fsck_examples[] = {{"sightline fsck", "hash every blob, check registry and log"},
                                     {"sightline fsck --repair", "and put aside what is broken"}};
constexpr Example backup_examples[] = {{"sightline backup /mnt/usb/apparel", "a consistent copy, also while builds run"}};
constexpr Example restore_examples[] = {{"sightline restore /mnt/usb/apparel", "into a workspace that does not exist yet"}};

}  // namespace

constexpr Verb gc_verb{"gc",
                       Group::look_after,
                       "free disk space that nothing refers to",
                       "Removes blobs and work folders that neither a release nor the last build of a demand refers to.",
                       gc_examples,
                       declare_gc};
constexpr Verb fsck_verb{"fsck",
                         Group::look_after,
                         "verify everything in the workspace",
                         "Hashes every blob, checks the registry and the step log. Exit code 3 when something is wrong.",
                         fsck_examples,
                         declare_fsck};
constexpr Verb backup_verb{
    "backup",        Group::look_after,       "copy the workspace", "A consistent copy of blobs, registry and log, also while builds run.",
    backup_examples, declare_path<run_backup>};
constexpr Verb restore_verb{
    "restore",        Group::look_after,        "bring a backup back", "Into the workspace folder, which must not exist or be empty.",
    restore_examples, declare_path<run_restore>};

}  // namespace sightline::cli
