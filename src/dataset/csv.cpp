#include "dataset/csv.h"

#include <fmt/format.h>

#include <algorithm>

namespace sightline::dataset {

CsvReader::CsvReader(std::string_view text, std::string source) : text_(text), source_(std::move(source)) {
  if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  const std::string_view first = text_.substr(0, text_.find('\n'));
  for (const char candidate : {';', '\t'}) {
    if (std::count(first.begin(), first.end(), candidate) > std::count(first.begin(), first.end(), separator_)) separator_ = candidate;
  }
}

Error CsvReader::broken(std::size_t line, const char* message) const {
  return {ErrorKind::invalid_data, fmt::format("{}:{}: {}", source_, line, message)};
}

Result<bool> CsvReader::next(std::vector<std::string>& fields) {
  fields.clear();
  while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) line_ += text_[at_++] == '\n' ? 1 : 0;
  record_line_ = line_;
  if (at_ >= text_.size()) return false;
  while (true) {
    std::string& field = fields.emplace_back();
    if (at_ < text_.size() && text_[at_] == '"') {
      const std::size_t opened = line_;
      ++at_;
      while (true) {
        if (at_ >= text_.size()) return broken(opened, "a quote is opened and never closed");
        const char c = text_[at_++];
        if (c == '"') {
          if (at_ >= text_.size() || text_[at_] != '"') break;
          ++at_;
        }
        if (c == '\n') ++line_;
        field += c;
      }
      if (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r')
        return broken(line_, "text after a closing quote (a quote inside a quoted field is written twice)");
    } else {
      const std::size_t begin = at_;
      while (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
      field = text_.substr(begin, at_ - begin);
    }
    if (field.find('\0') != std::string::npos) return broken(line_, "a zero byte: this is no text");
    if (at_ >= text_.size()) return true;
    const char c = text_[at_];
    if (c == separator_) {
      ++at_;
      continue;
    }
    if (c == '\r') ++at_;
    if (at_ < text_.size() && text_[at_] == '\n') {
      ++at_;
      ++line_;
    } else if (c == '\r') {
      ++line_;  // a lone CR, as very old programs write it
    }
    return true;
  }
}

}  // namespace sightline::dataset
