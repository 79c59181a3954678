// A CSV table whose rows speak of pictures: what its importers share. Every row and every file beside it is accounted for. Internal to this
// folder.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dataset/importers.h"

namespace sightline::dataset {

// A table that is open, its header read.
struct PictureTable {
  std::string path, name;  // of the file, and as reasons call it
  bool elsewhere = false;  // outside of the folder: what it does not name is not looked at
  std::string content;
  std::vector<std::string> header;  // trimmed
  std::size_t picture = 0;          // column of the paths
  std::optional<std::size_t> split, group;
  // Error invalid_data naming the columns that there are.
  Error no_column(const std::string& wanted) const;
};
// file: relative to the root, or absolute. Errors: not_found, io; invalid_data: no header, no column of paths, no split.column.
Result<PictureTable> open_table(const Source& source, const std::string& file, const demand::SplitPlan& plan);

struct RowMeaning {
  const char* what;  // "the table of labels"
  // Gives the entry what the row says (its path, split and groups are there); a reason where that cannot be used.
  std::function<std::string(const std::vector<std::string>& row, Entry& entry)> read;
  std::function<std::string(const Entry& entry)> said;  // in words: two rows that say the same of a picture are one
};
// Errors invalid_data: rows of another length than the header, a split that is none.
Result<Listing> list_table(const PictureTable& table, const Source& source, const RowMeaning& meaning);

// The first table beside the pictures, or the one that is named, whose header is such; "" where there is none. first_row: its first row
// names a file that is there.
std::string find_table(const Source& source, const std::function<bool(const std::vector<std::string>& header)>& fits, bool first_row);

// Columns that say which part of the picture is meant, in pixels.
struct PartColumns {
  std::array<std::optional<std::size_t>, 4> at;  // left, top, width, height
  bool complete() const;
};
PartColumns part_columns(const std::vector<std::string>& header);
// "#253,218,130,29", as Sample::path has it; "" where the numbers are no part of any picture.
std::string part_of(const std::vector<std::string>& row, const PartColumns& columns);

}  // namespace sightline::dataset
