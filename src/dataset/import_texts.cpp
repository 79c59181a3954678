// Pictures with a text each: a CSV file with a column of paths and one of texts. Where x, y, w and h say so in pixels, the text stands in
// that part of the picture, and the part is the sample.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/files.h"
#include "base/text.h"
#include "dataset/picture_table.h"

namespace sightline::dataset {
namespace {

constexpr std::array<std::string_view, 4> text_names{"text", "plate", "transcription", "plate_text"};
constexpr std::size_t longest_text = 256;

// with_labels: the table may have a column of classes as well.
std::string table_of(const Source& source, bool with_labels) {
  return find_table(
      source,
      [&](const std::vector<std::string>& header) {
        return find_column(header, text_names) && (with_labels || !find_column(header, label_columns));
      },
      false);
}

// One symbol a line; white space is none. Error invalid_data names the line.
Result<std::set<std::string>> symbols_of(const std::string& file) {
  SIGHTLINE_TRY(const std::vector<std::string> symbols, read_symbols(file));
  return std::set<std::string>(symbols.begin(), symbols.end());
}

// "" when the text can be learned.
std::string fault_of(const std::string& text, const std::set<std::string>& symbols, const std::string& symbols_file) {
  if (text.empty()) return "no text";
  if (as_utf8(text) != text) return "the text is not UTF-8";
  const std::vector<std::string> characters = characters_of(text);
  if (characters.size() > longest_text) return fmt::format("a text of {} symbols; {} are possible", characters.size(), longest_text);
  for (const std::string& symbol : characters) {
    if (symbol.size() == 1 && (static_cast<unsigned char>(symbol[0]) < 0x20 || symbol[0] == 0x7F))
      return fmt::format("the text has a control character ({:#04x})", static_cast<unsigned>(symbol[0]));
    if (!symbols.empty() && !symbols.contains(symbol))
      return fmt::format("the text \"{}\" has the symbol \"{}\", which {} does not list", text, symbol,
                         symbols_file.substr(symbols_file.rfind('/') + 1));
  }
  return "";
}

}  // namespace

Result<std::vector<std::string>> read_symbols(const std::string& file) {
  SIGHTLINE_TRY(const std::string content, read_file(file));
  std::vector<std::string> symbols;
  std::size_t number = 0;
  for (const std::string& line : split(content, '\n')) {
    ++number;
    const std::string symbol = trim(line);
    if (symbol.empty()) continue;
    if (character_length(symbol) != symbol.size())
      return Error{ErrorKind::invalid_data, fmt::format("{}:{}: one symbol a line is wanted, not \"{}\"", file, number, as_utf8(symbol))};
    if (std::ranges::find(symbols, symbol) != symbols.end())
      return Error{ErrorKind::invalid_data, fmt::format("{}:{}: \"{}\" stands there twice", file, number, symbol)};
    symbols.push_back(symbol);
  }
  return symbols;
}

bool looks_like_texts(const Source& source) { return source.attributes.empty() && !table_of(source, false).empty(); }

Result<Listing> list_texts(const Source& source, const demand::SplitPlan& plan) {
  const std::string file = source.labels.empty() ? table_of(source, true) : source.labels;
  if (file.empty())
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: no CSV file with the columns path and text; name the file as data.labels in the demand", source.root)};
  std::set<std::string> symbols;
  if (!source.symbols.empty()) {
    SIGHTLINE_TRY(symbols, symbols_of(source.symbols));
  }
  SIGHTLINE_TRY(const PictureTable table, open_table(source, file, plan));
  const auto text = find_column(table.header, text_names);
  if (!text) return table.no_column("text");
  const PartColumns columns = part_columns(table.header);
  const auto read = [&](const std::vector<std::string>& row, Entry& entry) -> std::string {
    entry.text = trim(row[*text]);
    const std::string part = columns.complete() ? part_of(row, columns) : "";
    if (columns.complete() && part.empty()) return "x, y, w and h are no part of a picture";
    entry.path += part;
    return fault_of(entry.text, symbols, source.symbols);
  };
  const auto said = [](const Entry& entry) { return fmt::format("\"{}\"", entry.text); };
  return list_table(table, source, {"the table of texts", read, said});
}

}  // namespace sightline::dataset
