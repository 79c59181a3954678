// What texts may look like: plate formats such as AA-999, and words. Readings that are none of them are not given.
//
//   A  a Latin capital letter     9  a digit     *  either     ?  any symbol     [京沪津]  one of these     \A  the letter A itself
// Every other character stands for itself. Where it is no letter, no digit and no symbol of the model it is a separator that people write
// and the data leave out: AA-999 is then AB123.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"

namespace sightline::tasks {

// As a demand states them and a package keeps them, as JSON under this key of the graph's metadata.
inline constexpr const char* text_formats_key = "sightline_text_formats";
struct StatedFormats {
  std::vector<std::string> formats, words;
  bool empty() const { return formats.empty() && words.empty(); }
  static constexpr auto fields() {
    return std::tuple{
        field("formats", &StatedFormats::formats, "like AA-999: A a letter, 9 a digit, * either, ? any symbol, [...] one of these"),
        field("words", &StatedFormats::words, "texts as they stand")};
  }
};

class TextFormats {
 public:
  static constexpr std::size_t most = 10'000;  // formats and words together

  TextFormats() = default;  // everything is allowed
  // Error invalid_data: the format that cannot be read, or wants what is no symbol of the model.
  static Result<TextFormats> parse(const StatedFormats& stated, const std::vector<std::string>& symbols);
  // Whether `format` can be read at all. Error invalid_data.
  static Result<void> check(const std::string& format);
  // What a graph's metadata state; everything is allowed where they say nothing.
  static Result<TextFormats> of_metadata(const std::map<std::string, std::string>& metadata, const std::vector<std::string>& symbols);

  bool restricts() const { return !formats_.empty(); }
  // Which formats a text so far may still become: all of the empty one; then those that allow `symbol` behind `length` others.
  using Open = std::vector<std::uint32_t>;
  Open all() const;
  Open after(const Open& open, std::size_t length, std::int32_t symbol) const;
  // Whether a text of this length is one of them as a whole.
  bool complete(const Open& open, std::size_t length) const;

 private:
  using Set = std::vector<bool>;           // which symbols may stand at a place
  std::vector<std::vector<Set>> formats_;  // place by place
};

}  // namespace sightline::tasks
