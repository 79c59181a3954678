#include "app/cli/help.h"

#include <algorithm>
#include <array>
#include <iostream>

#include "base/text.h"

namespace sightline::cli {
namespace {

constexpr std::size_t page_width = 96;

constexpr const char* what_it_is =
    "A production line for computer-vision models. Say what must be seen and how well, point at images; Sightline checks the data, "
    "trains, packages and measures a model, and releases it when it is good enough.";

constexpr std::array begin_with{
    Example{"sightline init photos/", "look at a folder of images and write a demand for it"},
    Example{"sightline build demand.yaml", "build, measure and release the model"},
    Example{"sightline predict NAME picture.jpg", "ask it"},
};

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// Paragraphs are kept; every line after the first is indented.
std::string wrapped(std::string_view text, std::size_t indent) {
  std::string out;
  const std::string margin(indent, ' ');
  bool first = true;
  for (const std::string& paragraph : split(text, '\n')) {
    if (!first) out += "\n" + (paragraph.empty() ? "" : margin);
    first = false;
    std::size_t column = indent;
    bool start = true;
    for (const std::string& word : split(paragraph, ' ')) {
      const std::size_t width = width_of(word);
      if (!start && column + 1 + width > page_width) {
        out += "\n" + margin;
        column = indent;
        start = true;
      }
      out += (start ? "" : " ") + word;
      column += width + (start ? 0 : 1);
      start = false;
    }
  }
  return out;
}

void print_rows(const Console& console, const std::vector<std::pair<std::string, std::string>>& rows, Colour colour) {
  std::size_t widest = 0;
  for (const auto& [left, right] : rows) widest = std::max(widest, width_of(left));
  widest = std::min<std::size_t>(widest, 44);
  for (const auto& [left, right] : rows) {
    const std::string margin(widest + 4, ' ');
    const bool fits = width_of(left) <= widest;
    const std::string gap = fits ? std::string(widest + 2 - width_of(left), ' ') : "\n" + margin;
    console.out << "  " << console.paint(colour, left) << gap << wrapped(right, margin.size()) << '\n';
  }
}

void print_heading(const Console& console, std::string_view text) { console.out << '\n' << console.paint(Colour::bold, text) << '\n'; }

std::string spelled(const Argument& argument) {
  if (argument.positional) return argument.name + (argument.repeated ? "…" : "");
  return (argument.short_name.empty() ? "" : argument.short_name + ", ") + argument.name +
         (argument.value.empty() ? "" : " " + argument.value);
}

std::string explained(const Argument& argument) {
  std::string text = argument.help;
  if (!argument.choices.empty()) text += fmt::format(" ({})", join(argument.choices, ", "));
  if (!argument.otherwise.empty()) text += fmt::format(" [{}]", argument.otherwise);
  return text;
}

Json json_of(const Argument& argument) {
  return {
      {"name", argument.name},         {"short", argument.short_name}, {"value", argument.value},           {"help", argument.help},
      {"default", argument.otherwise}, {"choices", argument.choices},  {"positional", argument.positional}, {"required", argument.required},
      {"repeated", argument.repeated}};
}

Json json_of(const Verb& verb) {
  Json examples = Json::array();
  for (const Example& example : verb.examples) examples.push_back({{"command", example.command}, {"says", example.says}});
  Json arguments = Json::array();
  for (const Argument& argument : arguments_of(verb)) arguments.push_back(json_of(argument));
  return {{"name", verb.name},       {"group", title_of(verb.group)}, {"summary", verb.summary}, {"usage", usage_of(verb)},
          {"details", verb.details}, {"arguments", arguments},        {"examples", examples}};
}

}  // namespace

std::vector<std::string> verb_names() {
  std::vector<std::string> names;
  for (const Verb* verb : all_verbs()) names.emplace_back(verb->name);
  return names;
}

std::vector<Argument> arguments_of(const Verb& verb) {
  Console nowhere{.in = std::cin, .out = std::cout, .err = std::cerr};
  Arguments arguments;
  const Action owner = verb.declare(arguments);
  declare_globals(arguments, nowhere);
  return arguments.declared();
}

std::string usage_of(const Verb& verb) {
  std::string options, positionals;
  for (const Argument& argument : arguments_of(verb)) {
    if (argument.positional) {
      const std::string text = spelled(argument);
      positionals += argument.required ? " " + text : " [" + text + "]";
    } else if (!argument.global) {
      options = " [options]";
    }
  }
  return fmt::format("sightline {}{}{}", verb.name, options, positionals);
}

std::string advice_for(const Verb* verb) {
  if (verb == nullptr) return "`sightline help` lists the verbs.\n";
  return fmt::format("usage: {}\n`sightline help {}` shows its options and examples.\n", usage_of(*verb), verb->name);
}

void print_version(const Console& console) {
  console.say("sightline {}", SIGHTLINE_VERSION);
  console.document({{"version", SIGHTLINE_VERSION}});
}

void print_start_page(const Console& console) {
  if (console.json) {
    Json verbs = Json::array();
    for (const Verb* verb : all_verbs()) verbs.push_back(json_of(*verb));
    console.document({{"version", SIGHTLINE_VERSION}, {"what", what_it_is}, {"verbs", verbs}});
    return;
  }
  console.out << console.paint(Colour::bold, "sightline") << ' ' << SIGHTLINE_VERSION << '\n' << wrapped(what_it_is, 0) << '\n';
  print_heading(console, "To begin");
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Example& example : begin_with) rows.emplace_back(example.command, example.says);
  print_rows(console, rows, Colour::cyan);
  for (const Group group : {Group::make, Group::use, Group::look_after, Group::machine}) {
    rows.clear();
    for (const Verb* verb : all_verbs()) {
      if (verb->group == group) rows.emplace_back(verb->name, verb->summary);
    }
    if (rows.empty()) continue;
    print_heading(console, title_of(group));
    print_rows(console, rows, Colour::cyan);
  }
  console.out << "\n`sightline help VERB` shows the options of a verb, with examples.\n";
}

void print_verb_page(const Console& console, const Verb& verb) {
  if (console.json) {
    console.document(json_of(verb));
    return;
  }
  console.out << console.paint(Colour::bold, fmt::format("sightline {}", verb.name)) << ": " << verb.summary << "\n\n";
  console.out << console.paint(Colour::bold, "usage:") << ' ' << usage_of(verb) << '\n';
  if (*verb.details != '\0') console.out << '\n' << wrapped(verb.details, 0) << '\n';

  std::vector<std::pair<std::string, std::string>> positionals, options, globals;
  for (const Argument& argument : arguments_of(verb)) {
    auto& rows = argument.global ? globals : argument.positional ? positionals : options;
    rows.emplace_back(spelled(argument), explained(argument));
  }
  const auto section = [&](const char* title, const auto& rows) {
    if (rows.empty()) return;
    print_heading(console, title);
    print_rows(console, rows, Colour::cyan);
  };
  section("Arguments", positionals);
  section("Options", options);
  section("Options of every verb", globals);
  print_heading(console, "Examples");
  for (const Example& example : verb.examples)
    console.out << "  " << console.paint(Colour::cyan, example.command) << "\n      " << wrapped(example.says, 6) << '\n';
}

namespace {

Action declare_help(Arguments& arguments) {
  auto name = std::make_shared<std::string>();
  arguments.positional("VERB", *name, "the verb to explain; without it: all of them, in a line each", false);
  return [name](Console& console) -> Result<int> {
    if (name->empty()) {
      print_start_page(console);
      return 0;
    }
    const Verb* verb = find_verb(*name);
    if (verb == nullptr) return Error{ErrorKind::usage, fmt::format("there is no verb \"{}\"{}", *name, did_you_mean(*name, verb_names()))};
    print_verb_page(console, *verb);
    return 0;
  };
}

constexpr std::array help_examples{
    Example{"sightline help", "what there is, by purpose"},
    Example{"sightline help predict", "the options of one verb, with examples"},
};

}  // namespace

constexpr Verb help_verb{.name = "help",
                         .group = Group::machine,
                         .summary = "explain a verb, or list them all",
                         .details = "With --json the page is a JSON document: verbs, arguments, defaults and examples.",
                         .examples = help_examples,
                         .declare = declare_help};

}  // namespace sightline::cli
