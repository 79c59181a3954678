// A CSV file with a header: a column of paths, a column of labels, and if wanted one called split and any others to group by.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/files.h"
#include "base/text.h"
#include "dataset/csv.h"
#include "dataset/picture_table.h"

namespace sightline::dataset {
namespace {

// The table beside the pictures whose first row names a file that is there.
std::string table_of(const Source& source) {
  const bool wants_label = source.attributes.empty();
  return find_table(
      source, [&](const std::vector<std::string>& header) { return !wants_label || find_column(header, label_columns).has_value(); }, true);
}

}  // namespace

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
  const auto picture = find_column(header, path_columns);
  if (!any || !picture) return files;  // list_csv says what is wrong with it
  while (true) {
    SIGHTLINE_TRY(const bool more, reader.next(row));
    if (!more) break;
    if (row.size() <= *picture) continue;
    const std::string path = path_inside(trim(row[*picture]), root);
    if (!path.empty() && path_exists(root + "/" + path)) files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

bool looks_like_csv(const Source& source) { return !source.labels.empty() || !table_of(source).empty(); }

Result<Listing> list_csv(const Source& source, const demand::SplitPlan& plan) {
  const std::string file = source.labels.empty() ? table_of(source) : source.labels;
  if (file.empty()) {
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: no CSV file with the columns path and label whose first row names a file that is there; name the file as "
                             "data.labels in the demand",
                             source.root)};
  }
  SIGHTLINE_TRY(const PictureTable table, open_table(source, file, plan));
  const auto label = find_column(table.header, label_columns);
  if (!label && source.attributes.empty()) {
    Error error = table.no_column("label");
    error.message += "; for several questions about each picture name their columns in data.attributes";
    return error;
  }
  std::vector<std::size_t> asked;
  for (const std::string& name : source.attributes) {
    const auto found = std::ranges::find(table.header, name);
    if (found == table.header.end()) return table.no_column(name);
    asked.push_back(static_cast<std::size_t>(found - table.header.begin()));
  }
  const auto read = [&](const std::vector<std::string>& row, Entry& entry) {
    for (const std::size_t column : asked) entry.cells.push_back(trim(row[column]));
    if (asked.empty()) entry.class_name = trim(row[*label]);
    return asked.empty() && entry.class_name.empty() ? "no label" : "";
  };
  const auto said = [](const Entry& entry) { return entry.cells.empty() ? entry.class_name : join(entry.cells, ", "); };
  return list_table(table, source, {"the table of labels", read, said});
}

}  // namespace sightline::dataset
