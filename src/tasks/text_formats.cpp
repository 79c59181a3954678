#include "tasks/text_formats.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/json.h"
#include "base/text.h"

namespace sightline::tasks {
namespace {

bool is_letter(const std::string& symbol) { return symbol.size() == 1 && symbol[0] >= 'A' && symbol[0] <= 'Z'; }
bool is_digit(const std::string& symbol) { return symbol.size() == 1 && symbol[0] >= '0' && symbol[0] <= '9'; }
bool is_either(const std::string& symbol) { return is_letter(symbol) || is_digit(symbol); }
bool is_any(const std::string& /*symbol*/) { return true; }
// What may stand between the letters of a plate and be left out of its text.
bool is_separator(const std::string& character) {
  return character.size() == 1 && !is_either(character) && !(character[0] >= 'a' && character[0] <= 'z');
}

// A place of a format.
struct Place {
  bool (*kind)(const std::string&) = nullptr;  // of the symbols that may stand there, or
  std::vector<std::string> among;              // these
};

Result<std::vector<Place>> places_of(const std::string& format) {
  const auto wrong = [&](const char* what) { return Error{ErrorKind::invalid_data, fmt::format("the format \"{}\" {}", format, what)}; };
  std::vector<Place> places;
  const std::vector<std::string> characters = characters_of(format);
  for (std::size_t i = 0; i < characters.size(); ++i) {
    const std::string& character = characters[i];
    Place& place = places.emplace_back();
    if (character == "A") {
      place.kind = is_letter;
    } else if (character == "9") {
      place.kind = is_digit;
    } else if (character == "*") {
      place.kind = is_either;
    } else if (character == "?") {
      place.kind = is_any;
    } else if (character == "\\") {
      if (++i == characters.size()) return wrong("ends in \\, behind which a character is wanted");
      place.among = {characters[i]};
    } else if (character == "[") {
      for (++i; i < characters.size() && characters[i] != "]"; ++i) place.among.push_back(characters[i]);
      if (i == characters.size()) return wrong("opens [ and does not close it");
      if (place.among.empty()) return wrong("has [] with nothing in it");
    } else {
      place.among = {character};
    }
  }
  if (places.empty()) return wrong("is empty");
  return places;
}

}  // namespace

Result<void> TextFormats::check(const std::string& format) {
  const auto places = places_of(format);
  return places.ok() ? Result<void>() : places.error();
}

Result<TextFormats> TextFormats::parse(const StatedFormats& stated, const std::vector<std::string>& symbols) {
  TextFormats formats;
  if (stated.formats.size() + stated.words.size() > most)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} formats and words; at most {} are possible", stated.formats.size() + stated.words.size(), most)};
  const auto add = [&](const std::string& text, const std::vector<Place>& places, bool separators) -> Result<void> {
    std::vector<Set>& sets = formats.formats_.emplace_back();
    for (const Place& place : places) {
      Set set(symbols.size());
      for (std::size_t k = 0; k < symbols.size(); ++k)
        set[k] = place.kind != nullptr ? place.kind(symbols[k]) : std::ranges::find(place.among, symbols[k]) != place.among.end();
      if (std::ranges::find(set, true) != set.end()) {
        sets.push_back(std::move(set));
      } else if (!separators || place.among.size() != 1 || !is_separator(place.among[0])) {
        return Error{ErrorKind::invalid_data, fmt::format("\"{}\" wants {}, which is no symbol of the texts that were learned", text,
                                                          place.kind != nullptr ? "a letter or digit" : join(place.among, " or "))};
      }
    }
    if (sets.empty()) return Error{ErrorKind::invalid_data, fmt::format("\"{}\" is made of separators alone", text)};
    return {};
  };
  for (const std::string& format : stated.formats) {
    SIGHTLINE_TRY(const std::vector<Place> places, places_of(format));
    SIGHTLINE_CHECK(add(format, places, true));
  }
  for (const std::string& word : stated.words) {
    std::vector<Place> places;
    for (const std::string& character : characters_of(word)) places.push_back({nullptr, {character}});
    SIGHTLINE_CHECK(add(word, places, false));
  }
  return formats;
}

Result<TextFormats> TextFormats::of_metadata(const std::map<std::string, std::string>& metadata, const std::vector<std::string>& symbols) {
  const auto found = metadata.find(text_formats_key);
  if (found == metadata.end()) return TextFormats();
  SIGHTLINE_TRY(const Json json, parse_json(found->second, text_formats_key));
  SIGHTLINE_TRY(const StatedFormats stated, struct_from_json<StatedFormats>(json, text_formats_key));
  return parse(stated, symbols);
}

TextFormats::Open TextFormats::all() const {
  Open open(formats_.size());
  std::iota(open.begin(), open.end(), 0U);
  return open;
}

TextFormats::Open TextFormats::after(const Open& open, std::size_t length, std::int32_t symbol) const {
  Open still;
  for (const std::uint32_t i : open)
    if (length < formats_[i].size() && formats_[i][length][static_cast<std::size_t>(symbol)]) still.push_back(i);
  return still;
}

bool TextFormats::complete(const Open& open, std::size_t length) const {
  return !restricts() || std::ranges::any_of(open, [&](std::uint32_t i) { return formats_[i].size() == length; });
}

}  // namespace sightline::tasks
