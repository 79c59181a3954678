#include "tasks/anomaly_metrics.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <optional>

#include "image/image.h"
#include "tasks/anomaly.h"

namespace sightline::tasks {

namespace {

constexpr std::size_t kLevels = 65536;     // of map values
constexpr double kMostFalse = 0.3;         // where the area under the per-region overlap ends
constexpr std::size_t kCurvePoints = 200;  // at most, of a drawn line

// What one picture's pixels of one level add.
struct PixelLevel {
  std::uint16_t level = 0;
  std::uint32_t good = 0, bad = 0;
  double covered = 0;  // of its regions: the share of each that has this level, summed
};

struct Picture {
  bool good = true;
  std::int32_t label = -1;
  double score = 0;
  std::vector<PixelLevel> levels;  // ascending
  std::int64_t regions = 0;
};

std::uint16_t level_of(float value) {
  return static_cast<std::uint16_t>(std::lround(std::clamp(static_cast<double>(value > 0 ? value : 0.0F), 0.0, 1.0) * (kLevels - 1)));
}

// mask: empty where everything is good.
void add_pixels(Picture& picture, std::span<const float> map, std::span<const std::uint8_t> mask, std::int64_t rows, std::int64_t columns) {
  std::vector<std::int32_t> regions;
  std::vector<double> shares;  // of a region that one of its pixels is, by region
  if (!mask.empty()) {
    auto [places, count] = regions_of(mask, rows, columns);
    regions = std::move(places);
    picture.regions = count;
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(count) + 1);
    for (const std::int32_t region : regions) ++sizes[static_cast<std::size_t>(region)];
    for (const std::int64_t size : sizes) shares.push_back(size > 0 ? 1 / static_cast<double>(size) : 0);
  }
  std::vector<PixelLevel> all(kLevels);
  for (std::size_t i = 0; i < map.size(); ++i) {
    PixelLevel& level = all[level_of(map[i])];
    if (regions.empty() || regions[i] == 0) {
      ++level.good;
    } else {
      ++level.bad;
      level.covered += shares[static_cast<std::size_t>(regions[i])];
    }
  }
  for (std::size_t l = 0; l < kLevels; ++l) {
    if (all[l].good + all[l].bad == 0) continue;
    all[l].level = static_cast<std::uint16_t>(l);
    picture.levels.push_back(all[l]);
  }
}

// One score and how many good and bad ones have it.
struct Step {
  double score = 0;
  double good = 0, bad = 0;
};

// highest first
std::optional<double> area_under_roc(std::span<const Step> steps) {
  double good = 0, bad = 0, area = 0;
  for (const Step& step : steps) {
    area += step.good * (bad + step.bad / 2);  // the bad ones that stand before, and half of equals
    good += step.good;
    bad += step.bad;
  }
  if (good == 0 || bad == 0) return std::nullopt;
  return area / (good * bad);
}

std::optional<double> average_precision(std::span<const Step> steps) {
  double all = 0, good = 0, bad = 0, sum = 0;
  for (const Step& step : steps) all += step.bad;
  if (all == 0) return std::nullopt;
  for (const Step& step : steps) {
    good += step.good;
    bad += step.bad;
    sum += step.bad / all * (bad / (good + bad));
  }
  return sum;
}

struct Pixels {
  std::vector<Step> steps;      // highest first, those that occur
  std::vector<double> covered;  // beside steps
  double good = 0, bad = 0, regions = 0;
};

// The points of the per-region overlap curve: share of good pixels that are taken for bad, mean share of the regions that is found.
Line overlap_curve(const Pixels& pixels) {
  Line curve{.name = "all defects", .x = {0}, .y = {0}};
  double good = 0, covered = 0;
  for (std::size_t i = 0; i < pixels.steps.size(); ++i) {
    good += pixels.steps[i].good;
    covered += pixels.covered[i];
    curve.x.push_back(good / pixels.good);
    curve.y.push_back(covered / pixels.regions);
  }
  return curve;
}

// Of a line whose x rises, by trapezia from 0 to `most`; cut there.
double area_up_to(Line& line, double most) {
  double area = 0;
  for (std::size_t i = 1; i < line.x.size(); ++i) {
    const double width = line.x[i] - line.x[i - 1];
    if (line.x[i] <= most) {
      area += width * (line.y[i] + line.y[i - 1]) / 2;
      continue;
    }
    const double inside = most - line.x[i - 1], height = line.y[i - 1] + (line.y[i] - line.y[i - 1]) * inside / width;
    area += inside * (line.y[i - 1] + height) / 2;
    line.x.resize(i + 1);
    line.y.resize(i + 1);
    line.x[i] = most;
    line.y[i] = height;
    break;
  }
  return area;
}

// Every so manieth point, and the last.
Line thinned(const Line& line) {
  const std::size_t stride = (line.x.size() + kCurvePoints - 1) / kCurvePoints;
  if (stride <= 1) return line;
  Line thin{.name = line.name};
  for (std::size_t i = 0; i < line.x.size(); ++i) {
    if (i % stride != 0 && i + 1 != line.x.size()) continue;
    thin.x.push_back(line.x[i]);
    thin.y.push_back(line.y[i]);
  }
  return thin;
}

Line roc(std::span<const Step> steps) {
  Line line{.name = "pictures", .x = {0}, .y = {0}};
  double good = 0, bad = 0, all_good = 0, all_bad = 0;
  for (const Step& step : steps) {
    all_good += step.good;
    all_bad += step.bad;
  }
  for (const Step& step : steps) {
    line.x.push_back((good += step.good) / all_good);
    line.y.push_back((bad += step.bad) / all_bad);
  }
  return line;
}

class AnomalyMeter final : public Meter {
 public:
  explicit AnomalyMeter(std::vector<std::string> names) : names_(std::move(names)) {}

  void add(const Case& one) override {
    Picture& picture = pictures_.emplace_back();
    picture.good = one.truth.score <= kAlarm;
    picture.label = one.truth.label;
    picture.score = one.prediction.score;
    assert(!std::isnan(picture.score));
    const Tensor &mask = one.truth.mask, &map = one.prediction.score_map;
    if (!map.defined() || map.count() == 0 || (!mask.defined() && !picture.good)) return;
    const std::int64_t rows = mask.defined() ? mask.dim(0) : one.height, columns = mask.defined() ? mask.dim(1) : one.width;
    if (rows < 1 || columns < 1) return;
    const auto large = image::resize_map(map.values<float>(), static_cast<int>(map.dim(1)), static_cast<int>(map.dim(0)),
                                         static_cast<int>(columns), static_cast<int>(rows));
    add_pixels(picture, large, mask.defined() ? mask.values<std::uint8_t>() : std::span<const std::uint8_t>(), rows, columns);
  }

  Figures figures(std::span<const std::int64_t> chosen, bool curves) const override;

  double wrongness(std::int64_t place) const override {
    const Picture& picture = pictures_[static_cast<std::size_t>(place)];
    return picture.good ? picture.score : 1 - picture.score;
  }

 private:
  // Of pictures that are good, and those that are not and of this kind (-1: of any), highest first.
  std::vector<Step> steps_of(std::span<const std::int64_t> chosen, std::int32_t kind) const;
  Pixels pixels_of(std::span<const std::int64_t> chosen) const;

  std::vector<std::string> names_;
  std::vector<Picture> pictures_;
};

std::vector<Step> AnomalyMeter::steps_of(std::span<const std::int64_t> chosen, std::int32_t kind) const {
  std::vector<const Picture*> order;
  for (const std::int64_t place : chosen) {
    const Picture& picture = pictures_[static_cast<std::size_t>(place)];
    if (picture.good || kind < 0 || picture.label == kind) order.push_back(&picture);
  }
  std::sort(order.begin(), order.end(), [](const Picture* a, const Picture* b) { return a->score > b->score; });
  std::vector<Step> steps;
  for (const Picture* picture : order) {
    if (steps.empty() || steps.back().score != picture->score) steps.push_back({.score = picture->score});
    (picture->good ? steps.back().good : steps.back().bad) += 1;
  }
  return steps;
}

Pixels AnomalyMeter::pixels_of(std::span<const std::int64_t> chosen) const {
  Pixels pixels;
  std::vector<Step> all(kLevels);
  std::vector<double> covered(kLevels);
  for (const std::int64_t place : chosen) {
    const Picture& picture = pictures_[static_cast<std::size_t>(place)];
    pixels.regions += static_cast<double>(picture.regions);
    for (const PixelLevel& level : picture.levels) {
      all[level.level].good += level.good;
      all[level.level].bad += level.bad;
      covered[level.level] += level.covered;
    }
  }
  for (std::size_t l = kLevels; l-- > 0;) {
    if (all[l].good + all[l].bad == 0) continue;
    pixels.good += all[l].good;
    pixels.bad += all[l].bad;
    pixels.steps.push_back({static_cast<double>(l), all[l].good, all[l].bad});
    pixels.covered.push_back(covered[l]);
  }
  return pixels;
}

Figures AnomalyMeter::figures(std::span<const std::int64_t> chosen, bool curves) const {
  Figures figures{.pictures = static_cast<std::int64_t>(chosen.size())};
  const auto put = [](std::map<std::string, double>& values, const char* name, const std::optional<double>& value) {
    if (value) values[name] = *value;
  };
  const auto put_rates = [](std::map<std::string, double>& values, std::span<const Step> steps, bool false_alarms) {
    double good = 0, bad = 0, false_alarm = 0, found = 0;
    for (const Step& step : steps) {
      good += step.good;
      bad += step.bad;
      if (step.score <= kAlarm) continue;
      false_alarm += step.good;
      found += step.bad;
    }
    if (bad > 0) values["detection_rate"] = found / bad;
    if (good > 0 && false_alarms) values["false_alarm_rate"] = false_alarm / good;
  };
  const std::vector<Step> steps = steps_of(chosen, -1);
  put(figures.values, "image_auroc", area_under_roc(steps));
  put(figures.values, "average_precision", average_precision(steps));
  put_rates(figures.values, steps, true);

  const Pixels pixels = pixels_of(chosen);
  put(figures.values, "pixel_auroc", area_under_roc(pixels.steps));
  std::optional<Line> overlap;
  if (pixels.regions > 0 && pixels.good > 0) {
    overlap = overlap_curve(pixels);
    figures.values["aupro"] = area_up_to(*overlap, kMostFalse) / kMostFalse;
  }

  for (std::size_t k = 0; k < names_.size(); ++k) {
    const std::vector<Step> own = steps_of(chosen, static_cast<std::int32_t>(k));
    ClassValues& kind = figures.per_class.emplace_back(ClassValues{.name = names_[k]});
    for (const Step& step : own) kind.count += static_cast<std::int64_t>(step.bad);
    if (kind.count == 0) continue;
    put(kind.values, "image_auroc", area_under_roc(own));
    put_rates(kind.values, own, false);
  }
  for (const Step& step : steps) figures.count += static_cast<std::int64_t>(step.bad);
  if (curves && figures.values.contains("image_auroc"))
    figures.curves.push_back(
        {"Pictures that are not good, against false alarms", "false alarm rate", "detection rate", {thinned(roc(steps))}});
  if (curves && overlap)
    figures.curves.push_back(
        {"Defects' pixels, against good ones taken for bad", "share of good pixels", "mean share of a defect", {thinned(*overlap)}});
  return figures;
}

}  // namespace

std::unique_ptr<Meter> anomaly_meter(const std::vector<std::string>& classes) { return std::make_unique<AnomalyMeter>(classes); }

std::pair<std::vector<std::int32_t>, std::int32_t> regions_of(std::span<const std::uint8_t> mask, std::int64_t rows, std::int64_t columns) {
  assert(static_cast<std::int64_t>(mask.size()) == rows * columns);
  std::vector<std::int32_t> regions(mask.size());
  std::int32_t count = 0;
  std::vector<std::int64_t> open;
  for (std::int64_t start = 0; start < rows * columns; ++start) {
    if (mask[static_cast<std::size_t>(start)] == 0 || regions[static_cast<std::size_t>(start)] != 0) continue;
    regions[static_cast<std::size_t>(start)] = ++count;
    open.push_back(start);
    while (!open.empty()) {
      const std::int64_t y = open.back() / columns, x = open.back() % columns;
      open.pop_back();
      for (std::int64_t v = std::max<std::int64_t>(0, y - 1); v <= std::min(rows - 1, y + 1); ++v) {
        for (std::int64_t u = std::max<std::int64_t>(0, x - 1); u <= std::min(columns - 1, x + 1); ++u) {
          const auto place = static_cast<std::size_t>(v * columns + u);
          if (mask[place] == 0 || regions[place] != 0) continue;
          regions[place] = count;
          open.push_back(v * columns + u);
        }
      }
    }
  }
  return {std::move(regions), count};
}

}  // namespace sightline::tasks
