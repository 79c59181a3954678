// One flat struct a line, driven by its field list (base/fields.h): base/json.h's tree would take seconds for 100,000 lines. Members are
// strings, numbers and named enums. Internal to this folder.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

#include "base/fields.h"
#include "base/result.h"
#include "base/text.h"

namespace sightline::dataset {

void append_json_string(std::string& out, std::string_view text);

inline void append_json_value(std::string& out, const std::string& value) { append_json_string(out, value); }
template <class T>
requires std::is_arithmetic_v<T>
void append_json_value(std::string& out, T value) {
  char buffer[40];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}
template <NamedEnum T>
void append_json_value(std::string& out, T value) {
  append_json_string(out, enum_name(value));
}

// What stands behind the fields, where there is anything: `"key":…` pieces, of which only the caller knows the form.
inline void append_json_tail(std::string& out, std::string_view tail) {
  out.resize(out.size() - 2);
  out += ',';
  out += tail;
  out += "}\n";
}

template <HasFields T>
void append_json_line(std::string& out, const T& value) {
  char before = '{';
  for_each_field<T>([&](const auto& f) {
    out += before;
    out += '"';
    out += f.name;
    out += "\":";
    append_json_value(out, value.*(f.member));
    before = ',';
  });
  out += "}\n";
}

// Walks over one line. Each function returns false when the text is not what it wants.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : at_(line.data()), end_(line.data() + line.size()) {}
  bool take(char c);  // after white space
  bool peek(char c);
  bool at_end();
  bool read(std::string& value);
  template <class T>
  requires std::is_arithmetic_v<T>
  bool read(T& value) {
    skip_space();
    const auto [next, error] = std::from_chars(at_, end_, value);
    if (error != std::errc()) return false;
    at_ = next;
    if constexpr (std::is_floating_point_v<T>) return std::isfinite(value);
    // 1.5 or 1e9 is not a whole number.
    return at_ == end_ || (*at_ != '.' && *at_ != 'e' && *at_ != 'E');
  }
  template <NamedEnum T>
  bool read(T& value) {
    std::string name;
    return read(name) && enum_from(name, value);
  }

 private:
  void skip_space();
  bool read_escape(std::string& value);
  bool read_unit(unsigned& unit);

  const char* at_;
  const char* end_;
};

// Reads the value of a key that is no field; unknown: there is no such key, broken: its value is not usable.
enum class Tail { known, unknown, broken };
struct NoTail {
  Tail operator()(std::string_view /*key*/, LineReader& /*reader*/) const { return Tail::unknown; }
};

// All fields must be there, once, and no others but those that `tail` knows. The error has no place: the caller knows file and line.
template <HasFields T, class ReadTail = NoTail>
Result<void> parse_json_line(std::string_view line, T& value, const ReadTail& tail = {}) {
  constexpr std::size_t count = std::tuple_size_v<decltype(T::fields())>;
  const auto broken = [](std::string message) { return Error{ErrorKind::invalid_data, std::move(message)}; };
  LineReader reader(line);
  if (!reader.take('{')) return broken("not an object");
  std::uint64_t seen = 0;
  std::string key;
  do {
    if (!reader.read(key) || !reader.take(':')) return broken("not valid JSON");
    std::size_t index = 0;
    bool known = false, readable = false, twice = false;
    for_each_field<T>([&](const auto& f) {
      if (!known && key == f.name) {
        known = true;
        twice = (seen >> index & 1U) != 0;
        seen |= std::uint64_t{1} << index;
        readable = reader.read(value.*(f.member));
      }
      ++index;
    });
    if (!known) {
      const Tail more = tail(key, reader);
      if (more == Tail::broken) return broken(fmt::format("\"{}\" has no usable value", key));
      if (more == Tail::known) continue;
      std::vector<std::string> names;
      for_each_field<T>([&](const auto& f) { names.emplace_back(f.name); });
      return broken(fmt::format("unknown key \"{}\"{}", key, did_you_mean(key, names)));
    }
    if (twice) return broken(fmt::format("the key \"{}\" stands twice", key));
    if (!readable) return broken(fmt::format("\"{}\" has no usable value", key));
  } while (reader.take(','));
  if (!reader.take('}') || !reader.at_end()) return broken("not valid JSON");
  if (seen != (std::uint64_t{1} << count) - 1) {
    std::string missing;
    std::size_t index = 0;
    for_each_field<T>([&](const auto& f) {
      if ((seen >> index++ & 1U) == 0 && missing.empty()) missing = f.name;
    });
    return broken(fmt::format("\"{}\" is missing", missing));
  }
  return {};
}

}  // namespace sightline::dataset
