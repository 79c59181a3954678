// Pictures with a text each: a CSV file with a column of paths and one of texts. Where x, y, w and h say so in pixels, the text stands in
// that part of the picture, and the part is the sample.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <unordered_map>

#include "base/files.h"
#include "base/text.h"
#include "dataset/csv.h"
#include "dataset/importers.h"
#include "dataset/numbers.h"

namespace sightline::dataset {
namespace {

constexpr std::array<std::string_view, 4> text_names{"text", "plate", "transcription", "plate_text"};
constexpr std::array<std::array<std::string_view, 3>, 4> part_names{
    {{"x", "left", "x_min"}, {"y", "top", "y_min"}, {"w", "width", "box_width"}, {"h", "height", "box_height"}}};
constexpr std::size_t longest_text = 256;

struct Columns {
  std::optional<std::size_t> path, text, label, split;
  std::array<std::optional<std::size_t>, 4> part;
  bool has_part() const {
    return std::ranges::all_of(part, [](const auto& each) { return each.has_value(); });
  }
};

Columns columns_of(const std::vector<std::string>& header) {
  Columns columns{.path = find_column(header, path_columns),
                  .text = find_column(header, text_names),
                  .label = find_column(header, label_columns),
                  .split = find_column(header, split_columns),
                  .part = {}};
  for (std::size_t i = 0; i < 4; ++i) columns.part[i] = find_column(header, part_names[i]);
  return columns;
}

// The first table beside the pictures, or the one that is named, whose columns are those of texts; with_labels: it may have one of classes
// as well.
std::optional<std::string> find_table(const Source& source, bool with_labels) {
  std::vector<std::string> tables = source.files;
  if (!source.labels.empty()) tables = {source.labels};
  for (const std::string& file : tables) {
    const std::string name = lower_case(file);
    if (source.labels.empty() && (file.find('/') != std::string::npos || !(name.ends_with(".csv") || name.ends_with(".tsv")))) continue;
    const auto text = read_file(file.starts_with('/') ? file : source.root + "/" + file);
    if (!text.ok()) continue;
    CsvReader reader(*text, file);
    std::vector<std::string> header;
    if (auto more = reader.next(header); !more.ok() || !*more) continue;
    const Columns columns = columns_of(header);
    if (columns.path && columns.text && (with_labels || !columns.label)) return file;
  }
  return std::nullopt;
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

// "#253,218,130,29"; "" where the numbers are no part of any picture.
std::string part_of(const std::vector<std::string>& row, const Columns& columns) {
  std::string text;
  for (std::size_t i = 0; i < 4; ++i) {
    double value = 0;
    if (!read_number(trim(row[*columns.part[i]]), value) || value < 0 || value > 1e6 || (i >= 2 && std::lround(value) < 1)) return "";
    text += fmt::format("{}{}", i == 0 ? '#' : ',', std::lround(value));
  }
  return text;
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

bool looks_like_texts(const Source& source) { return source.attributes.empty() && find_table(source, false).has_value(); }

Result<Listing> list_texts(const Source& source, const demand::SplitPlan& plan) {
  std::string table = source.labels;
  if (table.empty()) table = find_table(source, true).value_or("");
  if (table.empty())
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: no CSV file with the columns path and text; name the file as data.labels in the demand", source.root)};
  const bool elsewhere = table.starts_with('/');
  const std::string table_path = elsewhere ? table : source.root + "/" + table;
  if (elsewhere) table = table.substr(table.rfind('/') + 1);
  std::set<std::string> symbols;
  if (!source.symbols.empty()) {
    SIGHTLINE_TRY(symbols, symbols_of(source.symbols));
  }
  SIGHTLINE_TRY(const std::string content, read_file(table_path));
  CsvReader reader(content, table_path);
  std::vector<std::string> header, row;
  SIGHTLINE_TRY(const bool any, reader.next(header));
  if (!any) return Error{ErrorKind::invalid_data, table_path + ": the file is empty; a header such as path,text is needed"};
  for (std::string& name : header) name = trim(name);
  const Columns columns = columns_of(header);
  for (const auto& [column, wanted] : {std::pair{columns.path, "path"}, std::pair{columns.text, "text"}})
    if (!column)
      return Error{ErrorKind::invalid_data, fmt::format("{}:1: no column \"{}\"; the columns are {}{}", table_path, wanted,
                                                        join(header, ", "), did_you_mean(wanted, header))};
  std::optional<std::size_t> group;
  if (plan.group_by == demand::GroupBy::column) {
    const auto found = std::find(header.begin(), header.end(), plan.column.value_or(""));
    if (found == header.end())
      return Error{ErrorKind::invalid_data, fmt::format("{}:1: split.column is \"{}\", but the columns are {}", table_path,
                                                        plan.column.value_or(""), join(header, ", "))};
    group = static_cast<std::size_t>(found - header.begin());
  }

  Listing listing;
  std::unordered_map<std::string, std::size_t> entry_of;  // by path and part
  std::vector<bool> mentioned(source.files.size(), false);
  while (true) {
    SIGHTLINE_TRY(const bool more, reader.next(row));
    if (!more) break;
    const auto broken = [&](const std::string& message) {
      return Error{ErrorKind::invalid_data, fmt::format("{}:{}: {}", table_path, reader.line(), message)};
    };
    if (row.size() != header.size()) return broken(fmt::format("{} where the header has {}", plural(row.size(), "field"), header.size()));
    const std::string written = trim(row[*columns.path]), text = trim(row[*columns.text]);
    const auto refuse = [&](const std::string& reason, Loss loss) {
      listing.refused.push_back({written, fmt::format("{} (line {} of {})", reason, reader.line(), table), loss});
    };
    const std::string file = path_inside(written, source.root);
    if (file.empty()) {
      refuse(written.empty() ? "no path" : "outside the folder", Loss::picture);
      continue;
    }
    const auto found = std::lower_bound(source.files.begin(), source.files.end(), file);
    if (found == source.files.end() || *found != file) {
      refuse("no such file", Loss::picture);
      continue;
    }
    mentioned[static_cast<std::size_t>(found - source.files.begin())] = true;
    const std::string part = columns.has_part() ? part_of(row, columns) : "";
    if (columns.has_part() && part.empty()) {
      refuse("x, y, w and h are no part of a picture", Loss::picture);
      continue;
    }
    if (const std::string fault = fault_of(text, symbols, source.symbols); !fault.empty()) {
      refuse(fault, Loss::picture);
      continue;
    }
    Entry entry{.path = file + part, .class_name = {}, .text = text, .split = Split::train, .folder = {}, .column = {}};
    if (columns.split) {
      const std::string name = trim(row[*columns.split]);
      if (!name.empty() && !split_from(name, entry.split))
        return broken(fmt::format("the split \"{}\" is none of train, validation, test", name));
    }
    if (group) entry.column = trim(row[*group]);
    if (const std::size_t slash = file.rfind('/'); slash != std::string::npos) entry.folder = file.substr(0, slash);
    if (const auto [at, added] = entry_of.emplace(entry.path, listing.entries.size()); added) {
      listing.entries.push_back(std::move(entry));
    } else {
      const Entry& first = listing.entries[at->second];
      const bool same = first.text == text && first.split == entry.split;
      refuse(same ? "listed twice" : fmt::format("listed again as \"{}\", before as \"{}\"", text, first.text),
             same ? Loss::none : Loss::picture);
    }
  }
  for (std::size_t i = 0; i < mentioned.size() && !elsewhere; ++i) {
    if (mentioned[i]) continue;
    const std::string& file = source.files[i];
    const std::string side = side_file_reason(file);
    listing.refused.push_back({file, file == table ? "the table of texts" : side.empty() ? "not in " + table : side, Loss::none});
  }
  return listing;
}

}  // namespace sightline::dataset
