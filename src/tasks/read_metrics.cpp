#include "tasks/read_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"

namespace sightline::tasks {
namespace {

constexpr std::size_t bins = 10, most_confusions = 20;

struct Pair {
  std::string given, answered;
};

struct Read {
  bool right = false, among = false;
  std::int64_t length = 0, distance = 0;
  double confidence = 0;
  std::vector<Pair> pairs;
};

class ReadMeter final : public Meter {
 public:
  explicit ReadMeter(const std::vector<std::string>& classes) : classes_(classes) {
    for (std::size_t k = 0; k < classes.size(); ++k) place_of_[classes[k]] = k;
  }

  void add(const Case& one) override {
    Read read;
    read.right = one.prediction.text == one.truth.text;
    for (std::size_t i = 0; i < std::min<std::size_t>(5, one.prediction.readings.size()); ++i)
      read.among = read.among || one.prediction.readings[i].text == one.truth.text;
    if (!one.prediction.readings.empty()) read.confidence = one.prediction.readings[0].probability;
    for (auto& [given, answered] : align_texts(one.truth.text, one.prediction.text)) {
      read.length += given.empty() ? 0 : 1;
      read.distance += given == answered ? 0 : 1;
      read.pairs.push_back({std::move(given), std::move(answered)});
    }
    reads_.push_back(std::move(read));
  }

  Figures figures(std::span<const std::int64_t> chosen, bool curves) const override {
    Figures figures;
    figures.pictures = std::ssize(chosen);
    std::int64_t right = 0, among = 0, distance = 0;
    double sure = 0;
    std::array<double, bins> count{}, hits{}, confidence{};
    std::vector<std::int64_t> given(classes_.size()), answered(classes_.size()), both(classes_.size());
    std::map<std::pair<std::string, std::string>, std::int64_t> confused;
    for (const std::int64_t place : chosen) {
      const Read& read = reads_[static_cast<std::size_t>(place)];
      right += read.right ? 1 : 0;
      among += read.among ? 1 : 0;
      figures.count += read.length;
      distance += read.distance;
      sure += read.confidence;
      const std::size_t bin = std::min(bins - 1, static_cast<std::size_t>(read.confidence * bins));
      count[bin] += 1;
      hits[bin] += read.right ? 1 : 0;
      confidence[bin] += read.confidence;
      if (!curves) continue;  // what only people look at
      for (const Pair& pair : read.pairs) {
        tally(pair.given, given);
        tally(pair.answered, answered);
        if (pair.given == pair.answered)
          tally(pair.given, both);
        else
          ++confused[{pair.given, pair.answered}];
      }
    }
    if (chosen.empty()) return figures;
    const auto pictures = static_cast<double>(chosen.size());
    figures.values["text_accuracy"] = static_cast<double>(right) / pictures;
    figures.values["top5"] = static_cast<double>(among) / pictures;
    if (figures.count > 0) figures.values["character_accuracy"] = 1 - static_cast<double>(distance) / static_cast<double>(figures.count);
    figures.values["confidence"] = sure / pictures;
    double off = 0;
    Line line{"", {}, {}};
    for (std::size_t b = 0; b < bins; ++b) {
      if (count[b] == 0) continue;
      off += std::abs(hits[b] - confidence[b]) / pictures;
      line.x.push_back(confidence[b] / count[b]);
      line.y.push_back(hits[b] / count[b]);
    }
    figures.values["calibration_error"] = off;
    if (!curves) return figures;
    for (std::size_t k = 0; k < classes_.size(); ++k) {
      ClassValues& one = figures.per_class.emplace_back();
      one.name = classes_[k];
      one.count = given[k];
      if (given[k] > 0) one.values["recall"] = static_cast<double>(both[k]) / static_cast<double>(given[k]);
      if (answered[k] > 0) one.values["precision"] = static_cast<double>(both[k]) / static_cast<double>(answered[k]);
    }
    figures.curves.push_back({.title = "How sure, how often right", .x = "probability", .y = "share read right", .lines = {line}});
    for (const auto& [pair, times] : confused) figures.confusions.push_back({pair.first, pair.second, times});
    std::stable_sort(figures.confusions.begin(), figures.confusions.end(),
                     [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
    if (figures.confusions.size() > most_confusions) figures.confusions.resize(most_confusions);
    return figures;
  }

  double wrongness(std::int64_t place) const override {
    const Read& read = reads_[static_cast<std::size_t>(place)];
    return read.right ? 0 : std::min(1.0, static_cast<double>(read.distance) / static_cast<double>(std::max<std::int64_t>(read.length, 1)));
  }

 private:
  void tally(const std::string& symbol, std::vector<std::int64_t>& counts) const {
    if (const auto found = place_of_.find(symbol); found != place_of_.end()) ++counts[found->second];
  }

  std::vector<std::string> classes_;
  std::map<std::string, std::size_t> place_of_;
  std::vector<Read> reads_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> align_texts(const std::string& truth, const std::string& answer) {
  const std::vector<std::string> a = characters_of(truth), b = characters_of(answer);
  const std::size_t width = b.size() + 1;
  std::vector<std::int64_t> cost((a.size() + 1) * width);
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      std::int64_t& best = cost[i * width + j];
      if (i == 0 || j == 0) {
        best = static_cast<std::int64_t>(i + j);
        continue;
      }
      best = std::min(
          {cost[(i - 1) * width + j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), cost[(i - 1) * width + j] + 1, cost[i * width + j - 1] + 1});
    }
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  std::size_t i = a.size(), j = b.size();
  while (i > 0 || j > 0) {
    const std::int64_t here = cost[i * width + j];
    if (i > 0 && j > 0 && here == cost[(i - 1) * width + j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)) {
      pairs.emplace_back(a[--i], b[--j]);
    } else if (i > 0 && here == cost[(i - 1) * width + j] + 1) {
      pairs.emplace_back(a[--i], "");
    } else {
      pairs.emplace_back("", b[--j]);
    }
  }
  std::reverse(pairs.begin(), pairs.end());
  return pairs;
}

std::unique_ptr<Meter> read_meter(const std::vector<std::string>& classes) { return std::make_unique<ReadMeter>(classes); }

}  // namespace sightline::tasks
