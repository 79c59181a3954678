#include "app/cli/verbs.h"

#include <array>
#include <string_view>

namespace sightline::cli {
namespace {

// One row per verb, group by group.
constexpr std::array verbs{
    &init_verb,    &data_verb,   &plan_verb,    &build_verb,      &fleet_verb,    &backbone_verb, &explain_verb, &release_verb,
    &predict_verb, &serve_verb,  &token_verb,   &eval_verb,       &bench_verb,    &compress_verb, &onnx_verb,    &export_verb,
    &ui_verb,      &list_verb,   &show_verb,    &compare_verb,    &rollback_verb, &fsck_verb,     &gc_verb,      &backup_verb,
    &restore_verb, &doctor_verb, &modules_verb, &completion_verb, &help_verb,
};

}  // namespace

const char* title_of(Group group) {
  switch (group) {
    case Group::make: return "Make a model";
    case Group::use: return "Use it";
    case Group::look_after: return "Look after what you have";
    case Group::machine: return "This machine and this program";
  }
  return "";
}

std::span<const Verb* const> all_verbs() { return verbs; }

const Verb* find_verb(std::string_view name) {
  for (const Verb* verb : verbs) {
    if (name == verb->name) return verb;
  }
  return nullptr;
}

void declare_globals(Arguments& arguments, Console& console) {
  arguments.begin_globals();
  arguments.flag("--json", console.json, "print one JSON document instead of text");
  arguments.flag("-q,--quiet", console.quiet, "no progress and no remarks");
  arguments.option("--workspace", console.workspace, "DIR", "the workspace folder (default: .sightline)");
  arguments.flag("--no-colour", console.no_colour, "no colours on a terminal either (NO_COLOR does the same)");
  arguments.flag("--version", console.show_version, "print the version");
  arguments.flag("-h,--help", console.show_help, "this page");
}

}  // namespace sightline::cli
