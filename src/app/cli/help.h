// The help pages, made from the table of verbs.
#pragma once

#include <string>
#include <vector>

#include "app/cli/verbs.h"

namespace sightline::cli {

void print_start_page(const Console& console);
void print_verb_page(const Console& console, const Verb& verb);
void print_version(const Console& console);

// "sightline predict [options] MODEL IMAGE…"
std::string usage_of(const Verb& verb);
// What stands below an error of usage: how the verb is called and where help is. nullptr: no verb was recognised.
std::string advice_for(const Verb* verb);
std::vector<std::string> verb_names();
// The verb's own arguments, then the global ones.
std::vector<Argument> arguments_of(const Verb& verb);

}  // namespace sightline::cli
