#include "app/cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/text.h"

namespace sightline::cli {

struct Arguments::Parser {
  CLI::App app;
};

Arguments::Arguments() : parser_(std::make_unique<Parser>()) { parser_->app.set_help_flag(); }
Arguments::~Arguments() = default;

Argument& Arguments::declare(const char* names, const char* value_name, const char* help) {
  Argument argument{.name = names, .short_name = "", .value = value_name, .help = help, .otherwise = "", .choices = {}};
  argument.global = globals_;
  const std::vector<std::string> parts = split(names, ',');
  if (parts.size() == 2) {
    argument.short_name = parts[0];
    argument.name = parts[1];
  }
  return declared_.emplace_back(std::move(argument));
}

namespace {

Result<void> check_choice(const std::string& name, const std::string& value, const std::vector<std::string>& choices) {
  if (choices.empty() || value.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return {};
  return Error{ErrorKind::usage,
               fmt::format("{}: \"{}\" is not one of {}{}", name, value, join(choices, ", "), did_you_mean(value, choices))};
}

}  // namespace

void Arguments::positional(const char* name, std::string& value, const char* help, bool required, const std::vector<std::string>& choices) {
  Argument& argument = declare(name, name, help);
  argument.positional = true;
  argument.required = required;
  argument.choices = choices;
  argument.otherwise = value;
  parser_->app.add_option(name, value)->required(required);
  checks_.emplace_back([name, &value, choices] { return check_choice(name, value, choices); });
}

void Arguments::positional(const char* name, std::vector<std::string>& values, const char* help, bool required) {
  Argument& argument = declare(name, name, help);
  argument.positional = argument.repeated = true;
  argument.required = required;
  parser_->app.add_option(name, values)->required(required);
}

void Arguments::option(const char* names, std::string& value, const char* value_name, const char* help,
                       const std::vector<std::string>& choices) {
  Argument& argument = declare(names, value_name, help);
  argument.choices = choices;
  argument.otherwise = value;
  parser_->app.add_option(names, value);
  checks_.emplace_back([name = argument.name, &value, choices] { return check_choice(name, value, choices); });
}

void Arguments::option(const char* names, int& value, const char* value_name, const char* help) {
  declare(names, value_name, help).otherwise = std::to_string(value);
  parser_->app.add_option(names, value);
}

void Arguments::option(const char* names, std::int64_t& value, const char* value_name, const char* help) {
  declare(names, value_name, help).otherwise = std::to_string(value);
  parser_->app.add_option(names, value);
}

void Arguments::option(const char* names, double& value, const char* value_name, const char* help) {
  declare(names, value_name, help).otherwise = fmt::format("{}", value);
  parser_->app.add_option(names, value);
}

void Arguments::option(const char* names, std::optional<std::int64_t>& value, const char* value_name, const char* help) {
  declare(names, value_name, help);
  parser_->app.add_option_function<std::int64_t>(names, [&value](const std::int64_t& given) { value = given; });
}

void Arguments::option(const char* names, std::optional<double>& value, const char* value_name, const char* help) {
  declare(names, value_name, help);
  parser_->app.add_option_function<double>(names, [&value](const double& given) { value = given; });
}

void Arguments::option(const char* names, std::vector<std::string>& values, const char* value_name, const char* help) {
  declare(names, value_name, help).repeated = true;
  parser_->app.add_option(names, values)->expected(1, 1 << 20)->allow_extra_args(false);
}

void Arguments::flag(const char* names, bool& value, const char* help) {
  declare(names, "", help);
  parser_->app.add_flag(names, value);
}

Result<void> Arguments::unknown_word() const {
  std::vector<std::string> known;
  for (const Argument& argument : declared_) {
    if (argument.positional) continue;
    known.push_back(argument.name);
    if (!argument.short_name.empty()) known.push_back(argument.short_name);
  }
  const std::vector<std::string> left = parser_->app.remaining();
  for (const std::string& word : left) {
    if (word.size() < 2 || word[0] != '-' || word == "--") continue;
    const std::string option = word.substr(0, word.find('='));
    return Error{ErrorKind::usage, fmt::format("unknown option {}{}", option, did_you_mean(option, known))};
  }
  for (const std::string& word : left) {
    if (word != "--") return Error{ErrorKind::usage, fmt::format("unexpected argument \"{}\"", word)};
  }
  return {};
}

Result<void> Arguments::parse(const std::vector<std::string>& words) {
  try {
    parser_->app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes them from the back
  } catch (const CLI::ParseError& error) {
    SIGHTLINE_CHECK(unknown_word());  // says more than the missing argument that often follows from it
    return Error{ErrorKind::usage, error.what()};
  }
  for (const auto& check : checks_) SIGHTLINE_CHECK(check());
  return {};
}

}  // namespace sightline::cli
