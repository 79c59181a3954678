#include "line/explain.h"

#include <fmt/format.h>

#include <exception>
#include <set>

#include "base/text.h"

namespace sightline::line {
namespace {

constexpr std::size_t most_reasons = 3, longest_value = 60;

std::string shown(const Json& value) {
  std::string text = json_text(value);
  if (text.size() <= longest_value) return text;
  std::size_t cut = longest_value;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0U) == 0x80U) --cut;
  return text.substr(0, cut) + "…";
}

// Goes down into objects, so that the one key that changed is named: "optimizer.rate".
void compare(const std::string& what, const std::string& path, const Json& before, const Json& now, std::vector<std::string>& found) {
  if (before == now) return;
  if (!before.is_object() || !now.is_object()) {
    found.push_back(fmt::format("{} \"{}\" changed from {} to {}", what, path, shown(before), shown(now)));
    return;
  }
  std::set<std::string> keys;
  for (const auto& [key, value] : before.items()) keys.insert(key);
  for (const auto& [key, value] : now.items()) keys.insert(key);
  for (const std::string& key : keys) {
    const std::string inner = path.empty() ? key : path + "." + key;
    if (!before.contains(key)) {
      found.push_back(fmt::format("{} \"{}\" is new ({})", what, inner, shown(now[key])));
    } else if (!now.contains(key)) {
      found.push_back(fmt::format("{} \"{}\" is gone (it was {})", what, inner, shown(before[key])));
    } else {
      compare(what, inner, before[key], now[key], found);
    }
  }
}

std::string described(const Step& step, const std::string& input, const Digest& before, const Digest& now) {
  if (!step.describe_change) return "";
  try {
    return step.describe_change(input, before, now);
  } catch (const std::exception&) {  // words are not worth a failed build
    return "";
  }
}

}  // namespace

std::vector<std::string> differences(const Step& step, const std::map<std::string, Digest>& inputs, const StepRecord& before) {
  std::vector<std::string> found;
  if (step.version != before.version) found.push_back(fmt::format("the step's version went from {} to {}", before.version, step.version));
  compare("parameter", "", before.parameters, step.parameters, found);
  for (const auto& [name, digest] : inputs) {
    const auto was = before.inputs.find(name);
    if (was == before.inputs.end()) {
      found.push_back(fmt::format("input \"{}\" is new", name));
    } else if (was->second != digest) {
      const std::string words = described(step, name, was->second, digest);
      found.push_back(fmt::format("input \"{}\" changed{}{}", name, words.empty() ? "" : ": ", words));
    }
  }
  for (const auto& [name, digest] : before.inputs) {
    if (!inputs.contains(name)) found.push_back(fmt::format("input \"{}\" is gone", name));
  }
  compare("its environment's", "", before.environment, step.environment, found);
  return found;
}

std::string why_it_runs(const Step& step, const std::map<std::string, Digest>& inputs, const StepRecord* before) {
  if (before == nullptr) return "runs because it never ran here";
  std::vector<std::string> reasons = differences(step, inputs, *before);
  if (reasons.empty()) return "runs because its last record is of another format";
  const std::size_t more = reasons.size() - std::min(reasons.size(), most_reasons);
  reasons.resize(reasons.size() - more);
  return "runs because " + join(reasons, "; ") + (more > 0 ? fmt::format("; and {} more changed", plural(more, "thing")) : "");
}

}  // namespace sightline::line
