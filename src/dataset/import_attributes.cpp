#include "dataset/import_attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "annotation/attributes.h"
#include "base/text.h"

namespace sightline::dataset {
namespace {

using annotation::Attribute;

enum class Kind { yes_or_no, tags, values };

std::optional<bool> yes_or_no(const std::string& cell) {
  constexpr std::array yes{"1", "yes", "true"}, no{"0", "no", "false"};
  const std::string word = lower_case(cell);
  if (std::ranges::find(yes, word) != yes.end()) return true;
  if (std::ranges::find(no, word) != no.end()) return false;
  return std::nullopt;
}

std::set<std::string> tags_of(const std::string& cell) {
  std::set<std::string> tags;
  for (const std::string& part : split(cell, ';'))
    if (std::string tag = trim(part); !tag.empty()) tags.insert(std::move(tag));
  return tags;
}

struct Column {
  std::string name;
  Kind kind = Kind::values;
  std::map<std::string, std::size_t> values;  // tags, or values: where their labels stand
  std::size_t first = 0;
};

Error wrong(const std::string& column, const std::string& what) {
  return {ErrorKind::invalid_data, fmt::format("data.attributes: column \"{}\": {}", column, what)};
}

Result<Column> read_column(const std::string& name, const std::vector<const std::string*>& cells) {
  Column column{.name = name};
  if (name.find(annotation::value_mark) != std::string::npos) return wrong(name, "a colon with a space stands in its name; rename it");
  std::set<std::string> said;
  bool all = true, any_tags = false;
  for (const std::string* cell : cells) {
    if (cell->empty()) continue;
    all = all && yes_or_no(*cell).has_value();
    any_tags = any_tags || cell->find(';') != std::string::npos;
    said.insert(*cell);
  }
  if (said.empty()) return wrong(name, "every cell is empty; leave it out");
  if (all) {
    column.kind = Kind::yes_or_no;
    const bool yes = std::ranges::any_of(said, [](const std::string& cell) { return *yes_or_no(cell); });
    const bool no = std::ranges::any_of(said, [](const std::string& cell) { return !*yes_or_no(cell); });
    if (!yes || !no)
      return wrong(name, fmt::format("all that it says is \"{}\", and nothing can be learnt from that; leave it out", *said.begin()));
    return column;
  }
  column.kind = any_tags ? Kind::tags : Kind::values;
  if (any_tags) {
    std::set<std::string> tags;
    for (const std::string& cell : said) tags.merge(tags_of(cell));
    said = std::move(tags);
  }
  for (const std::string& value : said) {
    if (any_tags && value.find(annotation::value_mark) != std::string::npos)
      return wrong(name, fmt::format("a colon with a space stands in the tag \"{}\"; rename it", value));
    column.values.emplace(value, column.values.size());
  }
  if (!any_tags && said.size() < 2)
    return wrong(name, fmt::format("all that it says is \"{}\", and nothing can be learnt from that; leave it out", *said.begin()));
  return column;
}

void say(const Column& column, const std::string& cell, std::vector<Attribute>& attributes) {
  if (cell.empty()) return;
  const auto put = [&](std::size_t at, bool yes) {
    attributes[column.first + at] = {yes ? Attribute::yes : Attribute::no, yes ? 1.0 : 0.0};
  };
  if (column.kind == Kind::yes_or_no) return put(0, *yes_or_no(cell));
  const std::set<std::string> said = column.kind == Kind::tags ? tags_of(cell) : std::set<std::string>{cell};
  for (const auto& [value, at] : column.values) put(at, said.contains(value));
}

}  // namespace

Result<std::vector<std::string>> fill_attributes(const std::vector<std::string>& columns, const Listing& listing,
                                                 std::vector<Sample>& samples, const std::vector<std::string>& reasons) {
  std::vector<std::string> labels;
  std::vector<Column> read;
  std::map<std::string, std::string> column_of;  // a label's
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::vector<const std::string*> cells;
    for (std::size_t i = 0; i < samples.size(); ++i)
      if (reasons[i].empty()) cells.push_back(&listing.entries[i].cells[c]);
    SIGHTLINE_TRY(Column column, read_column(columns[c], cells));
    column.first = labels.size();
    if (column.kind == Kind::yes_or_no) labels.push_back(column.name);
    for (const auto& [value, at] : column.values)
      labels.push_back(column.kind == Kind::tags ? value : annotation::label_of_value(column.name, value));
    for (std::size_t l = column.first; l < labels.size(); ++l) {
      labels[l] = as_utf8(labels[l]);
      const auto [found, added] = column_of.emplace(labels[l], column.name);
      if (!added)
        return wrong(column.name, fmt::format("\"{}\" stands in column \"{}\" as well; rename one of them", labels[l], found->second));
    }
    read.push_back(std::move(column));
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!reasons[i].empty()) continue;
    std::vector<Attribute>& attributes = samples[i].annotation.attributes;
    attributes.assign(labels.size(), {});
    for (std::size_t c = 0; c < read.size(); ++c) say(read[c], listing.entries[i].cells[c], attributes);
  }
  return labels;
}

}  // namespace sightline::dataset
