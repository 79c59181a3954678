#include "app/cli/run.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <new>

#include "app/cli/help.h"
#include "app/cli/verbs.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"

namespace sightline::cli {
namespace {

// Where the verb stands among the words: the first that is neither an option nor the value of the one global option that takes one.
std::size_t position_of_verb(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--workspace") {
      ++i;
    } else if (words[i].empty() || words[i][0] != '-') {
      return i;
    }
  }
  return words.size();
}

// Asked before parsing, so that a command line that does not parse still gets help, or its error as JSON.
bool has_flag(const std::vector<std::string>& words, std::string_view name, std::string_view short_name = "") {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::any_of(words.begin(), end,
                     [&](const std::string& word) { return word == name || (!short_name.empty() && word == short_name); });
}

int fail_with_usage(const Console& console, const Error& error, const Verb* verb) {
  const int code = console.fail(error);
  if (!console.json) console.err << advice_for(verb);
  return code;
}

void settle_style(Console& console) {
  console.colour_out = &console.out == &std::cout && !console.no_colour && colours_wanted(STDOUT_FILENO);
  console.colour_err = &console.err == &std::cerr && !console.no_colour && colours_wanted(STDERR_FILENO);
  set_progress_style({.quiet = console.json || console.quiet});
  set_log_level(console.json || console.quiet ? LogLevel::warning : LogLevel::info);
}

int run_words(std::vector<std::string> words, Console& console) {
  console.json = has_flag(words, "--json");
  console.quiet = has_flag(words, "--quiet", "-q");
  console.no_colour = has_flag(words, "--no-colour");
  settle_style(console);

  const std::size_t at = position_of_verb(words);
  const Verb* verb = nullptr;
  if (at < words.size()) {
    verb = find_verb(words[at]);
    if (verb == nullptr) {
      return fail_with_usage(
          console, {ErrorKind::usage, fmt::format("there is no verb \"{}\"{}", words[at], did_you_mean(words[at], verb_names()))}, nullptr);
    }
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
  }
  if (has_flag(words, "--help", "-h")) {
    verb == nullptr ? print_start_page(console) : print_verb_page(console, *verb);
    return 0;
  }

  Arguments arguments;
  const Action action = verb != nullptr ? verb->declare(arguments) : Action{};
  declare_globals(arguments, console);
  if (const auto status = arguments.parse(words); !status.ok()) return fail_with_usage(console, status.error(), verb);
  settle_style(console);
  if (console.show_version) {
    print_version(console);
    return 0;
  }
  if (verb == nullptr) {
    print_start_page(console);
    return 0;
  }
  const Result<int> code = action(console);
  if (code.ok()) return *code;
  return code.error().kind == ErrorKind::usage ? fail_with_usage(console, code.error(), verb) : console.fail(code.error());
}

}  // namespace

int run(const std::vector<std::string>& words, std::istream& in, std::ostream& out, std::ostream& err) {
  Console console{.in = in, .out = out, .err = err};
  int code = 0;
  try {
    code = run_words(words, console);
  } catch (const std::bad_alloc&) {
    code = console.fail({ErrorKind::io, "not enough memory; close other programs, or work with fewer or smaller images at once"});
  } catch (const std::exception& exception) {
    code =
        console.fail({ErrorKind::internal, fmt::format("{}; this is a mistake in Sightline: please report it with the command line and the "
                                                       "output of `sightline doctor`",
                                                       exception.what())});
  }
  out.flush();
  if (!out.good() && code == 0) {
    err << "error: the output could not be written: is the disk full, or the reader of the pipe gone?\n";
    code = exit_code_of(ErrorKind::io);
  }
  return code;
}

}  // namespace sightline::cli
