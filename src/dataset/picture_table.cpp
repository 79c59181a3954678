#include "dataset/picture_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/files.h"
#include "base/text.h"
#include "dataset/csv.h"
#include "dataset/numbers.h"

namespace sightline::dataset {
namespace {

constexpr std::array<std::array<std::string_view, 3>, 4> part_names{
    {{"x", "left", "x_min"}, {"y", "top", "y_min"}, {"w", "width", "box_width"}, {"h", "height", "box_height"}}};

bool is_table(std::string_view file) {
  const std::string name = lower_case(file);
  return name.ends_with(".csv") || name.ends_with(".tsv");
}

std::string place_of(const Source& source, const std::string& file) { return file.starts_with('/') ? file : source.root + "/" + file; }

}  // namespace

std::optional<std::size_t> find_column(const std::vector<std::string>& header, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (lower_case(trim(header[i])) == name) return i;
    }
  }
  return std::nullopt;
}

Error PictureTable::no_column(const std::string& wanted) const {
  return {ErrorKind::invalid_data,
          fmt::format("{}:1: no column \"{}\"; the columns are {}{}", path, wanted, join(header, ", "), did_you_mean(wanted, header))};
}

Result<PictureTable> open_table(const Source& source, const std::string& file, const demand::SplitPlan& plan) {
  PictureTable table{.path = place_of(source, file), .name = file, .elsewhere = file.starts_with('/')};
  if (table.elsewhere) table.name = file.substr(file.rfind('/') + 1);
  SIGHTLINE_TRY(table.content, read_file(table.path));
  CsvReader reader(table.content, table.path);
  SIGHTLINE_TRY(const bool any, reader.next(table.header));
  if (!any) return Error{ErrorKind::invalid_data, table.path + ": the file is empty; a header such as path,label is needed"};
  for (std::string& name : table.header) name = trim(name);
  const auto picture = find_column(table.header, path_columns);
  if (!picture) return table.no_column("path");
  table.picture = *picture;
  table.split = find_column(table.header, split_columns);
  if (plan.group_by == demand::GroupBy::column) {
    const std::string wanted = plan.column.value_or("");
    const auto found = std::ranges::find(table.header, wanted);
    if (found == table.header.end())
      return Error{ErrorKind::invalid_data, fmt::format("{}:1: split.column is \"{}\", but the columns are {}{}", table.path, wanted,
                                                        join(table.header, ", "), did_you_mean(wanted, table.header))};
    table.group = static_cast<std::size_t>(found - table.header.begin());
  }
  return table;
}

Result<Listing> list_table(const PictureTable& table, const Source& source, const RowMeaning& meaning) {
  CsvReader reader(table.content, table.path);
  std::vector<std::string> row;
  SIGHTLINE_TRY(const bool header, reader.next(row));
  static_cast<void>(header);
  Listing listing;
  std::unordered_map<std::string, std::size_t> entry_of;  // by path and part
  std::vector<bool> mentioned(source.files.size(), false);
  while (true) {
    SIGHTLINE_TRY(const bool more, reader.next(row));
    if (!more) break;
    const auto broken = [&](const std::string& message) {
      return Error{ErrorKind::invalid_data, fmt::format("{}:{}: {}", table.path, reader.line(), message)};
    };
    if (row.size() != table.header.size())
      return broken(fmt::format("{} where the header has {}", plural(row.size(), "field"), table.header.size()));
    const std::string written = trim(row[table.picture]);
    const auto refuse = [&](const std::string& reason, Loss loss) {
      listing.refused.push_back({written, fmt::format("{} (line {} of {})", reason, reader.line(), table.name), loss});
    };
    const std::string path = path_inside(written, source.root);
    if (path.empty()) {
      refuse(written.empty() ? "no path" : "outside the folder", Loss::picture);
      continue;
    }
    const auto file = std::ranges::lower_bound(source.files, path);
    const bool exists = file != source.files.end() && *file == path;
    if (exists) mentioned[static_cast<std::size_t>(file - source.files.begin())] = true;
    Entry entry{.path = path, .class_name = {}, .text = {}, .split = Split::train, .folder = {}, .column = {}};
    if (table.split) {
      const std::string name = trim(row[*table.split]);
      if (!name.empty() && !split_from(name, entry.split))
        return broken(fmt::format("the split \"{}\" is none of train, validation, test", name));
    }
    if (table.group) entry.column = trim(row[*table.group]);
    if (const std::size_t slash = path.rfind('/'); slash != std::string::npos) entry.folder = path.substr(0, slash);
    if (const std::string reason = exists ? meaning.read(row, entry) : "no such file"; !reason.empty()) {
      refuse(reason, Loss::picture);
      continue;
    }
    entry.line = reader.line();
    if (const auto [at, added] = entry_of.emplace(entry.path, listing.entries.size()); added) {
      listing.entries.push_back(std::move(entry));
    } else {
      const Entry& first = listing.entries[at->second];
      const bool same = meaning.said(first) == meaning.said(entry) && first.split == entry.split;
      refuse(same ? "listed twice" : fmt::format("listed again as {}, before as {}", meaning.said(entry), meaning.said(first)),
             same ? Loss::none : Loss::picture);
    }
  }
  for (std::size_t i = 0; i < mentioned.size() && !table.elsewhere; ++i) {
    if (mentioned[i]) continue;
    const std::string& file = source.files[i];
    const std::string side = side_file_reason(file);
    listing.refused.push_back({file, file == table.name ? meaning.what : side.empty() ? "not in " + table.name : side, Loss::none});
  }
  return listing;
}

std::string find_table(const Source& source, const std::function<bool(const std::vector<std::string>& header)>& fits, bool first_row) {
  const bool named = !source.labels.empty();
  for (const std::string& file : named ? std::vector{source.labels} : source.files) {
    if (!named && (file.find('/') != std::string::npos || !is_table(file))) continue;
    const auto text = read_file(place_of(source, file));
    if (!text.ok()) continue;
    CsvReader reader(*text, file);
    std::vector<std::string> header, row;
    if (auto more = reader.next(header); !more.ok() || !*more) continue;
    for (std::string& name : header) name = trim(name);
    const auto path = find_column(header, path_columns);
    if (!path || !fits(header)) continue;
    if (!first_row) return file;
    if (auto more = reader.next(row); !more.ok() || !*more || row.size() != header.size()) continue;
    if (std::ranges::binary_search(source.files, trim(row[*path]))) return file;
  }
  return "";
}

bool PartColumns::complete() const {
  return std::ranges::all_of(at, [](const auto& each) { return each.has_value(); });
}

PartColumns part_columns(const std::vector<std::string>& header) {
  PartColumns columns;
  for (std::size_t i = 0; i < columns.at.size(); ++i) columns.at[i] = find_column(header, part_names[i]);
  return columns;
}

std::string part_of(const std::vector<std::string>& row, const PartColumns& columns) {
  std::string text;
  for (std::size_t i = 0; i < columns.at.size(); ++i) {
    double value = 0;
    if (!read_number(trim(row[*columns.at[i]]), value) || value < 0 || value > 1e6 || (i >= 2 && std::lround(value) < 1)) return "";
    text += fmt::format("{}{}", i == 0 ? '#' : ',', std::lround(value));
  }
  return text;
}

}  // namespace sightline::dataset
