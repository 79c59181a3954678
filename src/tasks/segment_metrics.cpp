#include "tasks/segment_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

namespace sightline::tasks {
namespace {

using annotation::unjudged_pixel;
using Pixels = std::span<const std::uint8_t>;

constexpr std::size_t kOverlaps = 10;  // 0.50, 0.55, …, 0.95

double overlap_at(std::size_t i) { return 0.5 + 0.05 * static_cast<double>(i); }

// Of one class: pixels of borders, found and given, and how many of each lie near one of the other.
struct Border {
  std::int64_t found = 0, found_right = 0, given = 0, given_met = 0;
  void operator+=(const Border& other) {
    found += other.found;
    found_right += other.found_right;
    given += other.given;
    given_met += other.given_met;
  }
};

struct Picture {
  std::vector<std::int64_t> confusion;  // given × found, background first
  std::vector<Border> borders;          // of each class
  bool apart = false;                   // objects are told apart
  std::int64_t given = 0, found = 0;    // objects
  std::array<std::int64_t, kOverlaps> right{};
};

struct Size {
  std::int64_t height = 0, width = 0;
};

// Pixels of the class that have one of another class beside them, over an edge.
std::vector<std::int64_t> border_of(Pixels mask, Pixels truth, const Size& size, std::uint8_t label) {
  std::vector<std::int64_t> border;
  const auto other = [&](std::int64_t at) {
    const auto place = static_cast<std::size_t>(at);
    return truth[place] != unjudged_pixel && mask[place] != label;
  };
  for (std::int64_t y = 0; y < size.height; ++y) {
    for (std::int64_t x = 0; x < size.width; ++x) {
      const std::int64_t at = y * size.width + x;
      if (mask[static_cast<std::size_t>(at)] != label || truth[static_cast<std::size_t>(at)] == unjudged_pixel) continue;
      if ((x > 0 && other(at - 1)) || (x + 1 < size.width && other(at + 1)) || (y > 0 && other(at - size.width)) ||
          (y + 1 < size.height && other(at + size.width)))
        border.push_back(at);
    }
  }
  return border;
}

// How many of `border` lie within the tolerance of a pixel of `of`.
std::int64_t near(const std::vector<std::int64_t>& border, const std::vector<std::int64_t>& of, const Size& size,
                  std::vector<bool>& marked) {
  marked.assign(marked.size(), false);
  for (const std::int64_t at : of) {
    const std::int64_t x = at % size.width, y = at / size.width;
    for (std::int64_t dy = -kBorderTolerance; dy <= kBorderTolerance; ++dy)
      for (std::int64_t dx = -kBorderTolerance; dx <= kBorderTolerance; ++dx)
        if (dx * dx + dy * dy <= kBorderTolerance * kBorderTolerance && x + dx >= 0 && x + dx < size.width && y + dy >= 0 &&
            y + dy < size.height)
          marked[static_cast<std::size_t>(at + dy * size.width + dx)] = true;
  }
  return std::ranges::count_if(border, [&](std::int64_t at) { return marked[static_cast<std::size_t>(at)]; });
}

void add_objects(const Case& one, Picture& picture) {
  picture.apart = one.truth.instances.defined();
  if (!picture.apart) return;
  picture.given = std::ssize(one.truth.objects);
  picture.found = std::ssize(one.prediction.objects);
  if (!one.prediction.instances.defined() || one.prediction.instances.shape() != one.truth.instances.shape()) return;
  const auto given = one.truth.instances.values<std::int32_t>(), found = one.prediction.instances.values<std::int32_t>();
  std::vector<std::int64_t> given_size(static_cast<std::size_t>(picture.given) + 1),
      found_size(static_cast<std::size_t>(picture.found) + 1);
  std::unordered_map<std::int64_t, std::int64_t> both;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] < 0 || given[i] > picture.given || found[i] < 0 || found[i] > picture.found) continue;
    ++given_size[static_cast<std::size_t>(given[i])];
    ++found_size[static_cast<std::size_t>(found[i])];
    if (given[i] > 0 && found[i] > 0) ++both[static_cast<std::int64_t>(given[i]) * (picture.found + 1) + found[i]];
  }
  for (const auto& [pair, common] : both) {
    const auto a = static_cast<std::size_t>(pair / (picture.found + 1)), b = static_cast<std::size_t>(pair % (picture.found + 1));
    if (one.truth.objects[a - 1].label != one.prediction.objects[b - 1].label) continue;
    const double overlap = static_cast<double>(common) / static_cast<double>(given_size[a] + found_size[b] - common);
    // Above one half a pair is the only one of both.
    for (std::size_t t = 0; t < kOverlaps; ++t) picture.right[t] += overlap > overlap_at(t) ? 1 : 0;
  }
}

double precision_at(const Picture& picture, std::size_t overlap) {
  const std::int64_t all = picture.given + picture.found - picture.right[overlap];
  return static_cast<double>(picture.right[overlap]) / static_cast<double>(all);
}

// Sums over the chosen pictures.
struct Totals {
  std::vector<std::int64_t> confusion;
  std::vector<Border> borders;
  std::int64_t objects = 0, apart = 0, with_objects = 0, counted = 0;
  std::array<double, kOverlaps> precision{};  // over pictures where there is or was found anything
  double count_error = 0;                     // over pictures with objects
};

struct ClassPixels {
  std::int64_t both = 0, given = 0, found = 0;
};
ClassPixels pixels_of(const std::vector<std::int64_t>& confusion, std::size_t side, std::size_t k) {
  ClassPixels pixels{.both = confusion[k * side + k]};
  for (std::size_t other = 0; other < side; ++other) {
    pixels.given += confusion[k * side + other];
    pixels.found += confusion[other * side + k];
  }
  return pixels;
}

double share(std::int64_t part, std::int64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

class SegmentMeter final : public Meter {
 public:
  explicit SegmentMeter(const std::vector<std::string>& classes) : classes_(classes) {}

  void add(const Case& one) override {
    Picture& picture = pictures_.emplace_back();
    const std::size_t side = classes_.size() + 1;
    picture.confusion.assign(side * side, 0);
    picture.borders.resize(classes_.size());
    if (!one.truth.mask.defined()) return;
    const Pixels truth = one.truth.mask.values<std::uint8_t>();
    const bool answered = one.prediction.mask.defined() && one.prediction.mask.shape() == one.truth.mask.shape();
    const std::vector<std::uint8_t> nothing(answered ? 0 : truth.size(), 0);
    const Pixels found = answered ? one.prediction.mask.values<std::uint8_t>() : Pixels(nothing);
    for (std::size_t i = 0; i < truth.size(); ++i)
      if (truth[i] < side) ++picture.confusion[truth[i] * side + std::min<std::size_t>(found[i], side - 1)];
    const Size size{one.truth.mask.dim(0), one.truth.mask.dim(1)};
    std::vector<bool> marked(truth.size());
    for (std::size_t k = 0; k < classes_.size(); ++k) {
      const auto label = static_cast<std::uint8_t>(k + 1);
      const ClassPixels pixels = pixels_of(picture.confusion, side, k + 1);
      if (pixels.given + pixels.found == 0) continue;
      const std::vector<std::int64_t> given_border = border_of(truth, truth, size, label),
                                      found_border = border_of(found, truth, size, label);
      picture.borders[k] = {.found = std::ssize(found_border),
                            .found_right = near(found_border, given_border, size, marked),
                            .given = std::ssize(given_border),
                            .given_met = near(given_border, found_border, size, marked)};
    }
    add_objects(one, picture);
  }

  Figures figures(std::span<const std::int64_t> chosen, bool curves) const override {
    const Totals totals = sum(chosen);
    Figures figures{.pictures = std::ssize(chosen)};
    add_classes(totals, figures);
    if (totals.apart > 0) {
      figures.count = totals.objects;
      add_object_values(totals, curves, figures);
    }
    return figures;
  }

  double wrongness(std::int64_t place) const override {
    const Picture& picture = pictures_[static_cast<std::size_t>(place)];
    if (picture.apart) return picture.given + picture.found == 0 ? 0 : 1 - precision_at(picture, 0);
    const std::size_t side = classes_.size() + 1;
    double sum = 0;
    int present = 0;
    for (std::size_t k = 1; k < side; ++k) {
      const ClassPixels pixels = pixels_of(picture.confusion, side, k);
      if (pixels.given + pixels.found == 0) continue;
      sum += share(pixels.both, pixels.given + pixels.found - pixels.both);
      ++present;
    }
    return present == 0 ? 0 : 1 - sum / present;
  }

 private:
  Totals sum(std::span<const std::int64_t> chosen) const {
    const std::size_t side = classes_.size() + 1;
    Totals totals;
    totals.confusion.assign(side * side, 0);
    totals.borders.resize(classes_.size());
    for (const std::int64_t place : chosen) {
      const Picture& picture = pictures_[static_cast<std::size_t>(place)];
      for (std::size_t i = 0; i < totals.confusion.size(); ++i) totals.confusion[i] += picture.confusion[i];
      for (std::size_t k = 0; k < totals.borders.size(); ++k) totals.borders[k] += picture.borders[k];
      if (!picture.apart) continue;
      ++totals.apart;
      totals.objects += picture.given;
      if (picture.given + picture.found > 0) {
        ++totals.counted;
        for (std::size_t t = 0; t < kOverlaps; ++t) totals.precision[t] += precision_at(picture, t);
      }
      if (picture.given > 0) {
        ++totals.with_objects;
        totals.count_error += std::abs(share(picture.found - picture.given, picture.given));
      }
    }
    return totals;
  }

  void add_classes(const Totals& totals, Figures& figures) const {
    const std::size_t side = classes_.size() + 1;
    double iou = 0, dice = 0, f1 = 0, iou_background = 0;
    int present = 0, bordered = 0;
    std::int64_t right = 0, all = 0;
    for (std::size_t k = 0; k < side; ++k) {
      const ClassPixels pixels = pixels_of(totals.confusion, side, k);
      right += pixels.both;
      all += pixels.given;
      const std::int64_t either = pixels.given + pixels.found - pixels.both;
      if (k == 0) {
        iou_background = either > 0 ? share(pixels.both, either) : 1;
        continue;
      }
      ClassValues& values = figures.per_class.emplace_back(ClassValues{.name = classes_[k - 1], .count = pixels.given, .values = {}});
      figures.count += pixels.given;
      if (either == 0) continue;
      ++present;
      iou += values.values["IoU"] = share(pixels.both, either);
      dice += values.values["dice"] = share(2 * pixels.both, pixels.given + pixels.found);
      if (pixels.found > 0) values.values["precision"] = share(pixels.both, pixels.found);
      if (pixels.given > 0) values.values["recall"] = share(pixels.both, pixels.given);
      const Border& border = totals.borders[k - 1];
      if (border.found + border.given == 0) continue;
      const double precision = border.found > 0 ? share(border.found_right, border.found) : 0,
                   recall = border.given > 0 ? share(border.given_met, border.given) : 0;
      ++bordered;
      f1 += values.values["boundary_f1"] = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
    }
    if (present > 0) {
      figures.values["mIoU"] = iou / present;
      figures.values["dice"] = dice / present;
      figures.values["mIoU_background"] = (iou + iou_background) / (present + 1);
    }
    if (bordered > 0) figures.values["boundary_f1"] = f1 / bordered;
    if (all > 0) figures.values["pixel_accuracy"] = share(right, all);
  }

  static void add_object_values(const Totals& totals, bool curves, Figures& figures) {
    if (totals.counted > 0) {
      double mean = 0;
      Line line{.name = "", .x = {}, .y = {}};
      for (std::size_t t = 0; t < kOverlaps; ++t) {
        const double precision = totals.precision[t] / static_cast<double>(totals.counted);
        mean += precision / kOverlaps;
        line.x.push_back(overlap_at(t));
        line.y.push_back(precision);
      }
      figures.values["mask_ap"] = mean;
      figures.values["mask_ap50"] = line.y.front();
      if (curves)
        figures.curves.push_back({"right objects of all", "overlap that is asked for (IoU)", "right / (right + wrong + missed)", {line}});
    }
    if (totals.with_objects > 0) figures.values["count_error"] = totals.count_error / static_cast<double>(totals.with_objects);
  }

  std::vector<std::string> classes_;
  std::vector<Picture> pictures_;
};

}  // namespace

std::unique_ptr<Meter> segment_meter(const std::vector<std::string>& classes) { return std::make_unique<SegmentMeter>(classes); }

}  // namespace sightline::tasks
