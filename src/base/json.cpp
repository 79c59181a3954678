#include "base/json.h"

#include <set>

#include "base/files.h"

namespace sightline {

namespace {
constexpr int deepest = 128;
struct TooDeep {};
}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& source) {
  std::vector<std::set<std::string>> open_objects;
  std::string duplicate;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > deepest) throw TooDeep{};
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key && !open_objects.back().insert(parsed.get<std::string>()).second)
      duplicate = parsed.get<std::string>();
    return true;
  };
  try {
    Json json = Json::parse(text, watch);
    if (!duplicate.empty()) return Error{ErrorKind::invalid_data, fmt::format("{}: the key \"{}\" stands twice", source, duplicate)};
    return json;
  } catch (const TooDeep&) {
    return Error{ErrorKind::invalid_data, fmt::format("{}: nested deeper than {} levels", source, deepest)};
  } catch (const Json::exception& e) {
    return Error{ErrorKind::invalid_data, fmt::format("{}: not valid JSON: {}", source, e.what())};
  }
}

Result<Json> read_json_file(const std::string& path) {
  SIGHTLINE_TRY(const std::string text, read_file(path));
  return parse_json(text, path);
}

Error json_detail::wrong_type(const std::string& where, const char* wanted, const Json& got) {
  return {ErrorKind::invalid_data,
          fmt::format("{} must be {}, not {}", where.empty() ? "the document" : where, wanted, json_text(got).substr(0, 60))};
}

}  // namespace sightline
