// Which samples must not be torn apart, as the split plan says it.
#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "base/parallel.h"
#include "base/text.h"
#include "dataset/importers.h"

namespace sightline::dataset {
namespace {

// Group names from paths by the demand's regular expression. The matcher that never backtracks is asked for: the pattern comes from a
// person, and (a+)+$ on a long name would otherwise take for ever.
class GroupPattern {
 public:
  static Result<GroupPattern> compile(const std::string& text) {
    GroupPattern pattern;
    try {
      auto flags = std::regex::ECMAScript;
#ifdef __GLIBCXX__
      flags |= std::regex_constants::__polynomial;
#endif
      if (text.size() > longest) throw std::regex_error(std::regex_constants::error_complexity);
      pattern.regex_.assign(text, flags);
    } catch (const std::regex_error& e) {
      return Error{
          ErrorKind::invalid_data,
          fmt::format("split.pattern \"{}\" is no regular expression that can be used (back references cannot): {}", text, e.what())};
    }
    return pattern;
  }
  // "" when the path does not match.
  std::string group_of(const std::string& path) const {
    if (path.size() > longest) return "";
    std::smatch match;
    if (!std::regex_search(path, match, regex_)) return "";
    return match.size() > 1 ? match[1].str() : match[0].str();
  }

 private:
  static constexpr std::size_t longest = 1024;
  std::regex regex_;
};

}  // namespace

Result<void> fill_groups(const Listing& listing, const demand::SplitPlan& plan, std::vector<Sample>& samples) {
  if (plan.group_by == demand::GroupBy::pattern) {
    if (!plan.pattern) return Error{ErrorKind::invalid_data, "split.group_by is pattern, but split.pattern is not given"};
    SIGHTLINE_TRY(const GroupPattern pattern, GroupPattern::compile(*plan.pattern));
    SIGHTLINE_CHECK(parallel_for(
        samples.size(),
        [&](std::size_t i) {
          samples[i].group = pattern.group_of(listing.entries[i].path);
          return Result<void>();
        },
        0, 64));
    if (!samples.empty() && std::all_of(samples.begin(), samples.end(), [](const Sample& s) { return s.group.empty(); }))
      return Error{ErrorKind::invalid_data, fmt::format("split.pattern \"{}\" matches none of the {}, for example {}", *plan.pattern,
                                                        plural(samples.size(), "path"), listing.entries.front().path)};
    return {};
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (plan.group_by == demand::GroupBy::folder) samples[i].group = listing.entries[i].folder;
    if (plan.group_by == demand::GroupBy::column) samples[i].group = listing.entries[i].column;
  }
  return {};
}

}  // namespace sightline::dataset
