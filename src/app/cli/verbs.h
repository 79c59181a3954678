// The verbs of `sightline`: one file each, one row each in the table (verbs.cpp). Help, completion and the documents read the rows.
//
// To add one: write NAME.cpp that defines `constexpr Verb name_verb{…}` as declared below, and add it to the table.
#pragma once

#include <functional>
#include <span>

#include "app/cli/arguments.h"
#include "app/cli/console.h"
#include "base/result.h"

namespace sightline::cli {

struct Example {
  const char* command;
  const char* says;  // what it does
};

// Runs the verb after its arguments have been filled; gives the exit code.
using Action = std::function<Result<int>(Console&)>;

enum class Group { make, use, look_after, machine };

struct Verb {
  const char* name;
  Group group;
  const char* summary;  // one line
  const char* details;  // paragraphs for its help page
  std::span<const Example> examples;
  // Declares the arguments and gives the action, which owns the variables that they fill.
  Action (*declare)(Arguments&);
};

const char* title_of(Group group);         // "Make a model"
std::span<const Verb* const> all_verbs();  // in the order of the help page
const Verb* find_verb(std::string_view name);
// Declares --json, --quiet, … on a verb's arguments.
void declare_globals(Arguments& arguments, Console& console);

extern const Verb init_verb, data_verb, plan_verb, build_verb, fleet_verb, backbone_verb, explain_verb;
extern const Verb list_verb, show_verb, compare_verb, rollback_verb, release_verb, gc_verb, fsck_verb, backup_verb, restore_verb;
extern const Verb predict_verb, serve_verb, token_verb, eval_verb, export_verb, bench_verb, compress_verb, onnx_verb;
extern const Verb ui_verb, modules_verb, doctor_verb, completion_verb, help_verb;

}  // namespace sightline::cli
