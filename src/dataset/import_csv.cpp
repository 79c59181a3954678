// A CSV file with a header: a column of paths, a column of labels, and if wanted one called split and any others to group by.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

#include "base/files.h"
#include "base/text.h"
#include "dataset/csv.h"
#include "dataset/importers.h"

namespace sightline::dataset {
namespace {

struct Columns {
  std::optional<std::size_t> path, label, split;
};

Columns columns_of(const std::vector<std::string>& header) {
  return {find_column(header, path_columns), find_column(header, label_columns), find_column(header, split_columns)};
}

bool is_table(std::string_view file) {
  const std::string name = lower_case(file);
  return name.ends_with(".csv") || name.ends_with(".tsv");
}

// The table beside the pictures whose first row names a file that is there.
std::optional<std::string> find_table(const Source& source) {
  const bool wants_label = source.attributes.empty();
  for (const std::string& file : source.files) {
    if (file.find('/') != std::string::npos || !is_table(file)) continue;
    const auto text = read_file(source.root + "/" + file);
    if (!text.ok()) continue;
    CsvReader reader(*text, file);
    std::vector<std::string> header, row;
    if (auto more = reader.next(header); !more.ok() || !*more) continue;
    const Columns columns = columns_of(header);
    if (!columns.path || (wants_label && !columns.label)) continue;
    if (auto more = reader.next(row); !more.ok() || !*more || row.size() != header.size()) continue;
    if (std::binary_search(source.files.begin(), source.files.end(), trim(row[*columns.path]))) return file;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> find_column(const std::vector<std::string>& header, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (lower_case(trim(header[i])) == name) return i;
    }
  }
  return std::nullopt;
}

std::string path_inside(std::string path, const std::string& root) {
  if (path.starts_with(root + "/")) path.erase(0, root.size() + 1);
  std::string clean;
  for (const std::string& part : split(path, '/')) {
    if (part == "..") return "";
    if (part.empty() || part == ".") {
      if (part.empty() && clean.empty()) return "";  // an absolute path elsewhere
      continue;
    }
    clean += (clean.empty() ? "" : "/") + part;
  }
  return clean;
}

Result<std::vector<std::string>> files_of_table(const std::string& table, const std::string& root) {
  SIGHTLINE_TRY(const std::string text, read_file(table));
  CsvReader reader(text, table);
  std::vector<std::string> header, row, files;
  SIGHTLINE_TRY(const bool any, reader.next(header));
  const Columns columns = columns_of(header);
  if (!any || !columns.path) return files;  // list_csv says what is wrong with it
  while (true) {
    SIGHTLINE_TRY(const bool more, reader.next(row));
    if (!more) break;
    if (row.size() <= *columns.path) continue;
    const std::string path = path_inside(trim(row[*columns.path]), root);
    if (!path.empty() && path_exists(root + "/" + path)) files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

bool looks_like_csv(const Source& source) { return !source.labels.empty() || find_table(source).has_value(); }

Result<Listing> list_csv(const Source& source, const demand::SplitPlan& plan) {
  std::string table = source.labels;
  if (table.empty()) table = find_table(source).value_or("");
  if (table.empty()) {
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: no CSV file with the columns path and label whose first row names a file that is there; name the file as "
                             "data.labels in the demand",
                             source.root)};
  }
  const bool elsewhere = table.starts_with('/');
  const std::string table_path = elsewhere ? table : source.root + "/" + table;
  if (elsewhere) table = table.substr(table.rfind('/') + 1);
  SIGHTLINE_TRY(const std::string text, read_file(table_path));
  CsvReader reader(text, table_path);
  std::vector<std::string> header, row;
  SIGHTLINE_TRY(const bool any, reader.next(header));
  if (!any) return Error{ErrorKind::invalid_data, table_path + ": the file is empty; a header such as path,label is needed"};
  for (std::string& name : header) name = trim(name);
  const Columns columns = columns_of(header);
  const auto no_column = [&](const std::string& wanted) {
    return Error{ErrorKind::invalid_data, fmt::format("{}:1: no column \"{}\"; the columns are {}{}", table_path, wanted,
                                                      join(header, ", "), did_you_mean(wanted, header))};
  };
  if (!columns.path) return no_column("path");
  if (!columns.label && source.attributes.empty()) {
    Error error = no_column("label");
    error.message += "; for several questions about each picture name their columns in data.attributes";
    return error;
  }
  std::vector<std::size_t> asked;
  for (const std::string& name : source.attributes) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) return no_column(name);
    asked.push_back(static_cast<std::size_t>(found - header.begin()));
  }
  std::optional<std::size_t> group;
  if (plan.group_by == demand::GroupBy::column) {
    const std::string wanted = plan.column.value_or("");
    const auto found = std::find(header.begin(), header.end(), wanted);
    if (found == header.end())
      return Error{ErrorKind::invalid_data, fmt::format("{}:1: split.column is \"{}\", but the columns are {}{}", table_path, wanted,
                                                        join(header, ", "), did_you_mean(wanted, header))};
    group = static_cast<std::size_t>(found - header.begin());
  }

  Listing listing;
  std::unordered_map<std::string, std::size_t> entry_of;  // by path
  std::vector<bool> mentioned(source.files.size(), false);
  while (true) {
    SIGHTLINE_TRY(const bool more, reader.next(row));
    if (!more) break;
    const auto broken = [&](const std::string& message) {
      return Error{ErrorKind::invalid_data, fmt::format("{}:{}: {}", table_path, reader.line(), message)};
    };
    if (row.size() != header.size()) return broken(fmt::format("{} where the header has {}", plural(row.size(), "field"), header.size()));
    const std::string written = trim(row[*columns.path]);
    const std::string label = asked.empty() ? trim(row[*columns.label]) : "";
    const auto refuse = [&](const std::string& reason, Loss loss) {
      listing.refused.push_back({written, fmt::format("{} (line {} of {})", reason, reader.line(), table), loss});
    };
    const std::string path = path_inside(written, source.root);
    if (path.empty()) {
      refuse(written.empty() ? "no path" : "outside the folder", Loss::picture);
      continue;
    }
    const auto file = std::lower_bound(source.files.begin(), source.files.end(), path);
    const bool exists = file != source.files.end() && *file == path;
    if (exists) mentioned[static_cast<std::size_t>(file - source.files.begin())] = true;
    Entry entry{.path = path, .class_name = label, .split = Split::train, .folder = {}, .column = {}};
    if (columns.split) {
      const std::string name = trim(row[*columns.split]);
      if (!name.empty() && !split_from(name, entry.split))
        return broken(fmt::format("the split \"{}\" is none of train, validation, test", name));
    }
    if (group) entry.column = trim(row[*group]);
    for (const std::size_t column : asked) entry.cells.push_back(trim(row[column]));
    if (const std::size_t slash = path.rfind('/'); slash != std::string::npos) entry.folder = path.substr(0, slash);
    if (!exists) {
      refuse("no such file", Loss::picture);
    } else if (asked.empty() && label.empty()) {
      refuse("no label", Loss::picture);
    } else if (const auto [at, added] = entry_of.emplace(path, listing.entries.size()); added) {
      listing.entries.push_back(std::move(entry));
    } else {
      const Entry& first = listing.entries[at->second];
      const bool same = first.class_name == label && first.cells == entry.cells && first.split == entry.split;
      const auto said = [](const Entry& each) { return each.cells.empty() ? each.class_name : join(each.cells, ", "); };
      refuse(same ? "listed twice" : fmt::format("listed again as {}, before as {}", said(entry), said(first)),
             same ? Loss::none : Loss::picture);
    }
  }
  for (std::size_t i = 0; i < mentioned.size() && !elsewhere; ++i) {
    if (mentioned[i]) continue;
    const std::string& file = source.files[i];
    const std::string side = side_file_reason(file);
    listing.refused.push_back({file, file == table ? "the table of labels" : side.empty() ? "not in " + table : side, Loss::none});
  }
  return listing;
}

}  // namespace sightline::dataset
