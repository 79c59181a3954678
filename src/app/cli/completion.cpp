#include <array>

#include "app/cli/help.h"
#include "app/cli/verbs.h"
#include "base/text.h"

namespace sightline::cli {
namespace {

std::vector<std::string> option_words(const Verb& verb) {
  std::vector<std::string> words;
  for (const Argument& argument : arguments_of(verb)) {
    if (argument.positional) continue;
    words.push_back(argument.name);
    if (!argument.short_name.empty()) words.push_back(argument.short_name);
  }
  return words;
}

// What a positional argument may be besides a file: its choices; for MODEL the names of the releases in ./.sightline.
std::string positional_words(const Verb& verb, const char* released) {
  std::vector<std::string> words;
  for (const Argument& argument : arguments_of(verb)) {
    if (!argument.positional) continue;
    for (const std::string& choice : argument.choices) words.push_back(choice);
    if (argument.name == "MODEL" || argument.name == "NAME") words.emplace_back(released);
    if (argument.name == "VERB")
      for (const std::string& name : verb_names()) words.push_back(name);
  }
  return join(words, " ");
}

constexpr const char* released_posix = "$(ls .sightline/releases 2>/dev/null)";
constexpr const char* released_fish = "(ls .sightline/releases 2>/dev/null)";

std::string for_bash() {
  std::string cases;
  for (const Verb* verb : all_verbs()) {
    cases += fmt::format("    {}) options=\"{}\"; words=\"{}\" ;;\n", verb->name, join(option_words(*verb), " "),
                         positional_words(*verb, released_posix));
  }
  return fmt::format(
      R"(# bash completion of sightline; to use it: sightline completion bash > ~/.local/share/bash-completion/completions/sightline
_sightline() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" verb="" options="" words="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) ;; *) verb="$word"; break ;; esac
  done
  case "$verb" in
    "") COMPREPLY=($(compgen -W "{} --help --version --json" -- "$current")); return ;;
{}  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current")) ;;
  esac
}}
complete -o filenames -F _sightline sightline
)",
      join(verb_names(), " "), cases);
}

// Inside single quotes of zsh and fish.
std::string quoted(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string for_zsh() {
  std::string verbs, cases;
  for (const Verb* verb : all_verbs()) {
    verbs += fmt::format("    '{}:{}'\n", verb->name, quoted(verb->summary, ":"));
    cases += fmt::format("    {}) _arguments", verb->name);
    for (const Argument& argument : arguments_of(*verb)) {
      if (argument.positional) continue;
      const std::string value = argument.value.empty()     ? ""
                                : argument.choices.empty() ? fmt::format(":{}:_files", argument.value)
                                                           : fmt::format(":{}:({})", argument.value, join(argument.choices, " "));
      const std::string help = quoted(argument.help, "[]:");
      cases += fmt::format(" '{}[{}]{}'", argument.name, help, value);
      if (!argument.short_name.empty()) cases += fmt::format(" '{}[{}]{}'", argument.short_name, help, value);
    }
    const std::string words = positional_words(*verb, released_posix);
    cases += words.empty() ? " '*:file:_files'" : fmt::format(" \"*:what:_alternative 'words:word:({})' 'files:file:_files'\"", words);
    cases += " ;;\n";
  }
  return fmt::format(R"(#compdef sightline
# zsh completion of sightline; to use it: sightline completion zsh > a folder of $fpath/_sightline
_sightline() {{
  local -a verbs=(
{}  )
  if (( CURRENT == 2 )); then _describe 'verb' verbs; return; fi
  local verb="$words[2]"
  shift words; (( CURRENT-- ))
  case "$verb" in
{}  esac
}}
_sightline "$@"
)",
                     verbs, cases);
}

std::string for_fish() {
  std::string text = "# fish completion of sightline; to use it: sightline completion fish > ~/.config/fish/completions/sightline.fish\n";
  for (const Verb* verb : all_verbs()) {
    text += fmt::format("complete -c sightline -n __fish_use_subcommand -f -a {} -d '{}'\n", verb->name, quoted(verb->summary, "\\"));
    const std::string here = fmt::format("complete -c sightline -n '__fish_seen_subcommand_from {}'", verb->name);
    const std::string words = positional_words(*verb, released_fish);
    if (!words.empty()) text += fmt::format("{} -a \"{}\"\n", here, words);
    for (const Argument& argument : arguments_of(*verb)) {
      if (argument.positional) continue;
      text += fmt::format("{} -l {}", here, argument.name.substr(2));
      if (!argument.short_name.empty()) text += fmt::format(" -s {}", argument.short_name.substr(1));
      if (!argument.value.empty()) text += " -r";
      if (!argument.choices.empty()) text += fmt::format(" -f -a '{}'", join(argument.choices, " "));
      text += fmt::format(" -d '{}'\n", quoted(argument.help, "\\"));
    }
  }
  return text;
}

Action declare(Arguments& arguments) {
  auto shell = std::make_shared<std::string>();
  arguments.positional("SHELL", *shell, "the shell to complete in", true, {"bash", "zsh", "fish"});
  return [shell](Console& console) -> Result<int> {
    const std::string script = *shell == "bash" ? for_bash() : *shell == "zsh" ? for_zsh() : for_fish();
    console.document({{"shell", *shell}, {"script", script}});
    if (!console.json) console.out << script;
    return 0;
  };
}

constexpr std::array examples{
    Example{"source <(sightline completion bash)", "complete verbs, options and released names in this bash"},
    Example{"sightline completion fish > ~/.config/fish/completions/sightline.fish", "for every fish from now on"},
};

}  // namespace

constexpr Verb completion_verb{.name = "completion",
                               .group = Group::machine,
                               .summary = "print a script that lets your shell complete verbs and options",
                               .details = "",
                               .examples = examples,
                               .declare = declare};

}  // namespace sightline::cli
