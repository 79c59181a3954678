#include "dataset/lfw_pairs.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "base/files.h"
#include "base/text.h"

namespace sightline::dataset {
namespace {

constexpr std::int64_t most_folds = 1000, most_pairs = 10'000'000;
constexpr std::int64_t ambiguous = -2;

std::vector<std::string> fields_of(const std::string& line) {
  const char apart = line.find('\t') != std::string::npos ? '\t' : ' ';
  std::vector<std::string> fields;
  for (const std::string& field : split(line, apart))
    if (std::string text = trim(field); !text.empty()) fields.push_back(std::move(text));
  return fields;
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && value >= 0 ? std::optional(value) : std::nullopt;
}

// The number at the end of a file's name.
std::optional<std::int64_t> number_of_picture(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  const std::string stem = name.substr(0, name.rfind('.'));
  const std::size_t last = stem.find_last_not_of("0123456789");
  return number_of(std::string_view(stem).substr(last == std::string::npos ? 0 : last + 1));
}

class Pictures {
 public:
  explicit Pictures(const Manifest& manifest) {
    for (std::size_t k = 0; k < manifest.classes.size(); ++k) label_of_.emplace(manifest.classes[k], static_cast<int>(k));
    for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
      const auto number = number_of_picture(manifest.samples[i].path);
      if (!number) continue;
      const auto [found, fresh] = place_.emplace(std::pair(manifest.samples[i].label, *number), static_cast<std::int64_t>(i));
      if (!fresh) found->second = ambiguous;
    }
  }
  // Its place among the samples, or -1 and why there is none.
  std::int64_t find(const std::string& name, const std::string& number, std::string& reason) const {
    const auto label = label_of_.find(name);
    if (label == label_of_.end()) {
      reason = fmt::format("nobody is called \"{}\"", name);
      return -1;
    }
    const auto place = place_.find(std::pair(label->second, number_of(number).value_or(-1)));
    if (place == place_.end()) reason = fmt::format("\"{}\" has no picture {}", name, number);
    if (place != place_.end() && place->second == ambiguous) reason = fmt::format("\"{}\" has several pictures {}", name, number);
    return reason.empty() ? place->second : -1;
  }

 private:
  std::map<std::string, int> label_of_;
  std::map<std::pair<int, std::int64_t>, std::int64_t> place_;
};

}  // namespace

Result<void> read_pairs(const std::string& path, double max_rejected, Manifest& manifest) {
  SIGHTLINE_TRY(const std::string text, read_file(path));
  std::vector<std::string> lines = split(text, '\n');
  while (!lines.empty() && trim(lines.back()).empty()) lines.pop_back();
  const auto broken = [&](std::size_t line, const std::string& what) {
    return Error{ErrorKind::invalid_data, fmt::format("{}:{}: {}", path, line, what)};
  };
  const std::vector<std::string> header = lines.empty() ? std::vector<std::string>() : fields_of(lines.front());
  const auto first = header.empty() || header.size() > 2 ? std::nullopt : number_of(header.front());
  const auto second = header.size() == 2 ? number_of(header.back()) : first;
  if (!first || !second || *second < 1 || *second > most_pairs || (header.size() == 2 && (*first < 1 || *first > most_folds)))
    return broken(1, "the first line of a file of pairs says how many folds and how many pairs of either kind in each, like 10<tab>300");
  const std::int64_t folds = header.size() == 2 ? *first : 1, each = *second;
  if (static_cast<std::int64_t>(lines.size()) - 1 != 2 * folds * each)
    return broken(lines.size(), fmt::format("{} behind the first line, which says that there are {} ({} × 2 × {})",
                                            plural(lines.size() - 1, "line"), 2 * folds * each, folds, each));

  const Pictures pictures(manifest);
  const std::string file = path.substr(path.rfind('/') + 1);
  std::vector<std::string> lost;
  for (std::int64_t i = 0; i < 2 * folds * each; ++i) {
    const auto line = static_cast<std::size_t>(i) + 2;
    const bool same = i % (2 * each) < each;
    const auto fold = static_cast<std::int32_t>(i / (2 * each)) + 1;
    const std::vector<std::string> fields = fields_of(lines[line - 1]);
    if (fields.size() != (same ? 3U : 4U))
      return broken(line, fmt::format("{} where {} of fold {} stands, which has {}", plural(fields.size(), "field"),
                                      same ? "a pair of one name" : "a pair of two names", fold,
                                      same ? "3: name, number, number" : "4: name, number, name, number"));
    std::string reason;
    annotation::Pair pair{.first = pictures.find(fields[0], fields[1], reason), .second = -1, .fold = fold};
    if (reason.empty()) pair.second = pictures.find(same ? fields[0] : fields[2], fields.back(), reason);
    if (reason.empty() && pair.first == pair.second) reason = "a picture beside itself";
    if (reason.empty() && !same && fields[0] == fields[2]) reason = "a pair of two names has the same name twice";
    if (reason.empty()) {
      manifest.pairs.push_back(pair);
    } else {
      lost.push_back(fmt::format("{}:{}: {}", file, line, reason));
      manifest.rejected.push_back({fmt::format("{}:{}", file, line), reason});
    }
  }
  if (static_cast<double>(lost.size()) <= max_rejected * static_cast<double>(2 * folds * each)) return {};
  constexpr std::size_t shown = 5;
  std::string list;
  for (std::size_t i = 0; i < std::min(shown, lost.size()); ++i) list += "\n  " + lost[i];
  if (lost.size() > shown) list += fmt::format("\n  and {} more", lost.size() - shown);
  return Error{ErrorKind::invalid_data, fmt::format("{}: {} of {} pairs cannot be made, and data.max_rejected allows {:g}%:{}", path,
                                                    lost.size(), 2 * folds * each, max_rejected * 100, list)};
}

}  // namespace sightline::dataset
