// What a verb takes from the command line. A verb declares its arguments once; parsing, help and shell completion read the same
// declaration. Only arguments.cpp includes CLI11, so that a verb compiles in a moment.
//
//   arguments.positional("MODEL", options->model, "released name, package folder or .onnx file");
//   arguments.option("-k,--top", options->top, "K", "how many classes to print");
//   arguments.flag("--jsonl", options->lines, "one JSON object a line");
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"

namespace sightline::cli {

struct Argument {
  std::string name;        // "--top", or "MODEL" for a positional one
  std::string short_name;  // "-k", or ""
  std::string value;       // how help calls its value, "" for a flag
  std::string help;
  std::string otherwise;  // the default as text, "" when there is none worth saying
  std::vector<std::string> choices;
  bool positional = false, required = false, repeated = false;
  bool global = false;  // understood by every verb
};

// What is declared must live until parse() has returned.
class Arguments {
 public:
  Arguments();
  ~Arguments();
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  // Positional arguments are filled in the order of their declaration; a list takes all that is left.
  void positional(const char* name, std::string& value, const char* help, bool required = true,
                  const std::vector<std::string>& choices = {});
  void positional(const char* name, std::vector<std::string>& values, const char* help, bool required = true);

  // names: "--top" or "-k,--top". The value that the variable has now is the default that help shows.
  void option(const char* names, std::string& value, const char* value_name, const char* help,
              const std::vector<std::string>& choices = {});
  void option(const char* names, int& value, const char* value_name, const char* help);
  void option(const char* names, std::int64_t& value, const char* value_name, const char* help);
  void option(const char* names, double& value, const char* value_name, const char* help);
  void option(const char* names, std::optional<std::int64_t>& value, const char* value_name, const char* help);
  void option(const char* names, std::optional<double>& value, const char* value_name, const char* help);
  void option(const char* names, std::vector<std::string>& values, const char* value_name, const char* help);  // may be given repeatedly
  void flag(const char* names, bool& value, const char* help);

  const std::vector<Argument>& declared() const { return declared_; }
  // What is declared after this is understood by every verb: help lists it apart.
  void begin_globals() { globals_ = true; }

  // Without the program's name and the verb. Error usage: an unknown option (with its nearest match), a missing or surplus argument, a
  // value of the wrong type or not among the choices.
  Result<void> parse(const std::vector<std::string>& words);

 private:
  struct Parser;
  Argument& declare(const char* names, const char* value_name, const char* help);
  Result<void> unknown_word() const;

  std::unique_ptr<Parser> parser_;
  std::vector<Argument> declared_;
  std::vector<std::function<Result<void>()>> checks_;
  bool globals_ = false;
};

}  // namespace sightline::cli
