// Comma-separated values after RFC 4180: quoted fields may hold the separator, line breaks and doubled quotes. Also read: a byte order
// mark, LF line ends, blank lines (skipped), and ";" or tab as the separator. Internal to this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sightline::dataset {

class CsvReader {
 public:
  // Borrows text. The separator is the one of , ; and tab that the first line holds most often.
  CsvReader(std::string_view text, std::string source);

  // The next record into fields; false at the end. Errors: invalid_data with file and line.
  Result<bool> next(std::vector<std::string>& fields);
  std::size_t line() const { return record_line_; }  // where the record began
  const std::string& source() const { return source_; }

 private:
  Error broken(std::size_t line, const char* message) const;

  std::string_view text_;
  std::string source_;
  char separator_ = ',';
  std::size_t at_ = 0, line_ = 1, record_line_ = 1;
};

}  // namespace sightline::dataset
