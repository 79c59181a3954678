// JSON to and from structs with a field list (base/fields.h). Written objects keep nlohmann's sorted keys, so that dump() is
// canonical: equal structs give equal text, and the text can be hashed.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"

namespace sightline {

using Json = nlohmann::json;

// Errors: invalid_data with `source` and the byte where the text breaks. Duplicate keys and more than 128 levels
// of nesting are refused (copying and printing a value recurse).
Result<Json> parse_json(std::string_view text, const std::string& source);
Result<Json> read_json_file(const std::string& path);
// The canonical text. File names need not be UTF-8, JSON must be: what is not becomes U+FFFD (dump() alone would throw).
inline std::string json_text(const Json& value, int indent = -1) { return value.dump(indent, ' ', false, Json::error_handler_t::replace); }

inline Json to_json(bool value) { return value; }
inline Json to_json(double value) { return value; }
inline Json to_json(float value) { return value; }
inline Json to_json(std::int64_t value) { return value; }
inline Json to_json(std::uint64_t value) { return value; }
inline Json to_json(int value) { return value; }
inline Json to_json(const std::string& value) { return value; }
inline Json to_json(const Json& value) { return value; }
template <NamedEnum T>
Json to_json(T value) {
  return enum_name(value);
}
template <HasFields T>
Json to_json(const T& value);
template <class T>
Json to_json(const std::optional<T>& value) {
  return value ? to_json(*value) : Json(nullptr);
}
template <class T>
Json to_json(const std::vector<T>& values) {
  Json array = Json::array();
  for (const T& value : values) array.push_back(to_json(value));
  return array;
}
template <class T>
Json to_json(const std::map<std::string, T>& values) {
  Json object = Json::object();
  for (const auto& [key, value] : values) object[key] = to_json(value);
  return object;
}
template <HasFields T>
Json to_json(const T& value) {
  Json object = Json::object();
  for_each_field<T>([&](const auto& f) { object[f.name] = to_json(value.*(f.member)); });
  return object;
}

namespace json_detail {
Error wrong_type(const std::string& where, const char* wanted, const Json& got);
}

// Reads into `value`; keys that are missing keep their default, unknown keys are an error that names the path ("target.metric").
inline Result<void> from_json(const Json& json, Json& value, const std::string&) {
  value = json;
  return {};
}
inline Result<void> from_json(const Json& json, bool& value, const std::string& where) {
  if (!json.is_boolean()) return json_detail::wrong_type(where, "true or false", json);
  value = json.get<bool>();
  return {};
}
inline Result<void> from_json(const Json& json, std::string& value, const std::string& where) {
  if (!json.is_string()) return json_detail::wrong_type(where, "a string", json);
  value = json.get<std::string>();
  return {};
}
template <class T>
requires std::is_arithmetic_v<T> Result<void> from_json(const Json& json, T& value, const std::string& where) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!json.is_number()) return json_detail::wrong_type(where, "a number", json);
    value = json.get<T>();
  } else {
    if (!json.is_number_integer()) return json_detail::wrong_type(where, "an integer", json);
    const bool too_big = json.is_number_unsigned()
                             ? json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<T>::max())
                             : json.get<std::int64_t>() > 0 && static_cast<std::uint64_t>(json.get<std::int64_t>()) >
                                                                   static_cast<std::uint64_t>(std::numeric_limits<T>::max());
    const bool too_small =
        !json.is_number_unsigned() && json.get<std::int64_t>() < static_cast<std::int64_t>(std::numeric_limits<T>::min());
    if (too_big || too_small) return json_detail::wrong_type(where, "an integer in range", json);
    value = json.get<T>();
  }
  return {};
}
template <NamedEnum T>
Result<void> from_json(const Json& json, T& value, const std::string& where) {
  if (!json.is_string() || !enum_from(json.get<std::string>(), value)) return json_detail::wrong_type(where, "one of its names", json);
  return {};
}
template <HasFields T>
Result<void> from_json(const Json& json, T& value, const std::string& where);
template <class T>
Result<void> from_json(const Json& json, std::optional<T>& value, const std::string& where) {
  if (json.is_null()) {
    value.reset();
    return {};
  }
  return from_json(json, value.emplace(), where);
}
template <class T>
Result<void> from_json(const Json& json, std::vector<T>& values, const std::string& where) {
  if (!json.is_array()) return json_detail::wrong_type(where, "a list", json);
  values.clear();
  for (const Json& each : json) {
    T value{};
    SIGHTLINE_CHECK(from_json(each, value, fmt::format("{}[{}]", where, values.size())));
    values.push_back(std::move(value));
  }
  return {};
}
template <class T>
Result<void> from_json(const Json& json, std::map<std::string, T>& values, const std::string& where) {
  if (!json.is_object()) return json_detail::wrong_type(where, "an object", json);
  values.clear();
  for (const auto& [key, each] : json.items()) SIGHTLINE_CHECK(from_json(each, values[key], where + "." + key));
  return {};
}
template <HasFields T>
Result<void> from_json(const Json& json, T& value, const std::string& where) {
  if (!json.is_object()) return json_detail::wrong_type(where, "an object", json);
  std::size_t known = 0;
  std::optional<Error> error;
  for_each_field<T>([&](const auto& f) {
    const auto found = json.find(f.name);
    if (error || found == json.end()) return;
    ++known;
    if (auto status = from_json(*found, value.*(f.member), where.empty() ? f.name : where + "." + f.name); !status.ok())
      error = status.error();
  });
  if (error) return *error;
  if (known != json.size()) {
    for (const auto& [key, each] : json.items()) {
      bool found = false;
      for_each_field<T>([&](const auto& f) { found = found || key == f.name; });
      if (!found)
        return Error{ErrorKind::invalid_data, fmt::format("unknown key \"{}\" in {}", key, where.empty() ? "the document" : where)};
    }
  }
  return {};
}

template <class T>
Result<T> struct_from_json(const Json& json, const std::string& where = "") {
  T value{};
  SIGHTLINE_CHECK(from_json(json, value, where));
  return value;
}

}  // namespace sightline
