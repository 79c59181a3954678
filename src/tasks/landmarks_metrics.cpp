#include "tasks/landmarks_metrics.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "annotation/landmarks.h"

namespace sightline::tasks {
namespace {

using annotation::Landmark;

constexpr double kFar = 0.1, kNear = 0.05;

struct Missed {
  std::size_t point = 0;
  double error = 0;  // in units of the picture
};
struct Measured {
  std::vector<Missed> points;
  double mean = 0, pixels = 0;  // mean error, and summed distance in pixels
};

class LandmarksMeter final : public Meter {
 public:
  explicit LandmarksMeter(const std::vector<std::string>& classes) : classes_(classes), eyes_(annotation::eyes_among(classes)) {}

  void add(const Case& one) override {
    Measured& measured = pictures_.emplace_back();
    const std::vector<Landmark>& truth = one.truth.landmarks;
    const double unit = unit_of(one);
    for (std::size_t k = 0; k < truth.size(); ++k) {
      if (truth[k].said == Landmark::unknown) continue;
      // What is not answered is as wrong as can be: as far as the picture reaches.
      const bool answered = k < one.prediction.landmarks.size();
      const double apart = answered ? std::hypot(one.prediction.landmarks[k].x - truth[k].x, one.prediction.landmarks[k].y - truth[k].y)
                                    : std::hypot(one.width, one.height);
      measured.points.push_back({k, apart / unit});
      measured.pixels += apart;
      measured.mean += apart / unit;
    }
    if (!measured.points.empty()) measured.mean /= static_cast<double>(measured.points.size());
  }

  Figures figures(std::span<const std::int64_t> chosen, bool curves) const override {
    Figures figures{.pictures = std::ssize(chosen)};
    std::vector<std::int64_t> count(classes_.size()), close(classes_.size());
    std::vector<double> error(classes_.size());
    std::vector<double> means;
    double pixels = 0;
    std::int64_t far = 0, near = 0;
    for (const std::int64_t i : chosen) {
      const Measured& measured = pictures_[static_cast<std::size_t>(i)];
      if (measured.points.empty()) continue;
      means.push_back(measured.mean);
      pixels += measured.pixels;
      for (const Missed& each : measured.points) {
        ++count[each.point];
        error[each.point] += each.error;
        close[each.point] += each.error <= kFar ? 1 : 0;
        far += each.error <= kFar ? 1 : 0;
        near += each.error <= kNear ? 1 : 0;
        ++figures.count;
      }
    }
    if (means.empty()) return figures;
    const auto points = static_cast<double>(figures.count), pictures = static_cast<double>(means.size());
    double sum = 0, area = 0;
    std::int64_t right = 0;
    for (const double mean : means) {
      sum += mean;
      area += std::max(0.0, kFar - mean);  // under the share of pictures whose error is at most e, for e from 0 to kFar
      right += mean <= kFar ? 1 : 0;
    }
    figures.values = {{"nme", sum / pictures},
                      {"error_px", pixels / points},
                      {"pck_0.1", static_cast<double>(far) / points},
                      {"pck_0.05", static_cast<double>(near) / points},
                      {"success_0.1", static_cast<double>(right) / pictures},
                      {"auc_0.1", area / pictures / kFar}};
    if (!curves) return figures;
    for (std::size_t k = 0; k < classes_.size(); ++k) {
      ClassValues& one = figures.per_class.emplace_back();
      one.name = classes_[k];
      one.count = count[k];
      if (count[k] == 0) continue;
      one.values = {{"nme", error[k] / static_cast<double>(count[k])},
                    {"pck_0.1", static_cast<double>(close[k]) / static_cast<double>(count[k])}};
    }
    figures.curves.push_back(errors_curve(std::move(means)));
    return figures;
  }

  double wrongness(std::int64_t place) const override { return std::min(1.0, pictures_[static_cast<std::size_t>(place)].mean); }

 private:
  double unit_of(const Case& one) const {
    const std::vector<Landmark>& truth = one.truth.landmarks;
    const auto known = [&](std::size_t k) { return k < truth.size() && truth[k].said != Landmark::unknown; };
    if (eyes_ && known(eyes_->first) && known(eyes_->second)) {
      const Landmark &left = truth[eyes_->first], &right = truth[eyes_->second];
      if (const double apart = std::hypot(left.x - right.x, left.y - right.y); apart > 0) return apart;
    }
    double least_x = INFINITY, least_y = INFINITY, most_x = -INFINITY, most_y = -INFINITY;
    for (std::size_t k = 0; k < truth.size(); ++k) {
      if (!known(k)) continue;
      least_x = std::min(least_x, truth[k].x);
      most_x = std::max(most_x, truth[k].x);
      least_y = std::min(least_y, truth[k].y);
      most_y = std::max(most_y, truth[k].y);
    }
    const double diagonal = most_x >= least_x ? std::hypot(most_x - least_x, most_y - least_y) : 0;
    const double whole = std::max(1.0, std::hypot(one.width, one.height));
    return (diagonal > 0 ? diagonal : whole) / std::numbers::sqrt2;
  }

  static Curve errors_curve(std::vector<double> means) {
    std::ranges::sort(means);
    constexpr int steps = 40;
    constexpr double most = 2 * kFar;
    Line line{"", {}, {}};
    for (int s = 0; s <= steps; ++s) {
      const double error = most * s / steps;
      line.x.push_back(error);
      line.y.push_back(static_cast<double>(std::ranges::upper_bound(means, error) - means.begin()) / static_cast<double>(means.size()));
    }
    return {.title = "Pictures by their mean error", .x = "mean error, in units", .y = "share of pictures", .lines = {line}};
  }

  std::vector<std::string> classes_;
  std::optional<std::pair<std::size_t, std::size_t>> eyes_;
  std::vector<Measured> pictures_;
};

}  // namespace

std::unique_ptr<Meter> landmarks_meter(const std::vector<std::string>& classes) { return std::make_unique<LandmarksMeter>(classes); }

}  // namespace sightline::tasks
