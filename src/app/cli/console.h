// The one place where verbs print. Results go to stdout: text for a person, or one JSON document with --json. Remarks, warnings and
// progress go to stderr, so that stdout stays data. Colours only on a terminal.
#pragma once

#include <fmt/format.h>

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace sightline::cli {

enum class Colour { bold, dim, red, green, yellow, cyan };

struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool json = false;          // --json: stdout holds one JSON document and nothing else
  bool quiet = false;         // --quiet: no remarks, no progress
  bool colour_out = false;    // stdout is a terminal that wants colours
  bool colour_err = false;    // likewise stderr
  std::string workspace{};    // --workspace, "" when not given
  bool no_colour = false;     // --no-colour
  bool show_help = false;     // --help
  bool show_version = false;  // --version

  // Text of the result: a line on stdout; nothing with --json.
  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) const {
    if (!json) write_line(fmt::format(format, std::forward<Args>(args)...));
  }
  // A remark on stderr that is not part of the result; nothing with --json or --quiet.
  template <class... Args>
  void remark(fmt::format_string<Args...> format, Args&&... args) const {
    if (!json && !quiet) write_remark(fmt::format(format, std::forward<Args>(args)...));
  }
  // "warning: …" on stderr; also with --json and --quiet.
  template <class... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) const {
    write_warning(fmt::format(format, std::forward<Args>(args)...));
  }
  // A table on stdout with a bold header (base/text.h table); nothing with --json.
  void table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) const;
  // The result with --json; nothing without. Bytes that are not UTF-8 are replaced.
  void document(const Json& json_document) const;
  // One JSON object on a line of its own, whether --json is given or not (--jsonl).
  void json_line(const Json& object) const;
  // "error: …" on stderr, or {"error":{"kind":…,"message":…}} on stdout with --json. Gives the exit code.
  int fail(const Error& error) const;

  // For stdout.
  std::string paint(Colour colour, std::string_view text) const;

 private:
  void write_line(const std::string& text) const;
  void write_remark(const std::string& text) const;
  void write_warning(const std::string& text) const;
};

}  // namespace sightline::cli
