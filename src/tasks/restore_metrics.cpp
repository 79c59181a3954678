#include "tasks/restore_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tasks/degradation.h"
#include "tasks/restore.h"

namespace sightline::tasks {
namespace {

constexpr int window = 11, middle = window / 2;
constexpr double window_deviation = 1.5, range = 255;

std::array<double, window> window_weights() {
  std::array<double, window> weights{};
  double sum = 0;
  for (int i = 0; i < window; ++i) {
    const double away = i - middle;
    weights[static_cast<std::size_t>(i)] = std::exp(-away * away / (2 * window_deviation * window_deviation));
    sum += weights[static_cast<std::size_t>(i)];
  }
  for (double& each : weights) each /= sum;
  return weights;
}

// Weighted means over the windows that lie within, one a place.
std::vector<double> window_means(const std::vector<double>& values, int width, int height) {
  static const std::array<double, window> weights = window_weights();
  const int across = width - window + 1, down = height - window + 1;
  std::vector<double> rows(static_cast<std::size_t>(across) * static_cast<std::size_t>(height)),
      means(static_cast<std::size_t>(across) * static_cast<std::size_t>(down));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < across; ++x) {
      double sum = 0;
      for (int k = 0; k < window; ++k) sum += weights[static_cast<std::size_t>(k)] * values[static_cast<std::size_t>(y * width + x + k)];
      rows[static_cast<std::size_t>(y * across + x)] = sum;
    }
  for (int y = 0; y < down; ++y)
    for (int x = 0; x < across; ++x) {
      double sum = 0;
      for (int k = 0; k < window; ++k) sum += weights[static_cast<std::size_t>(k)] * rows[static_cast<std::size_t>((y + k) * across + x)];
      means[static_cast<std::size_t>(y * across + x)] = sum;
    }
  return means;
}

double ssim_of_plane(const std::vector<double>& a, const std::vector<double>& b, int width, int height) {
  constexpr double c1 = 0.01 * range * 0.01 * range, c2 = 0.03 * range * 0.03 * range;
  std::vector<double> aa(a.size()), bb(a.size()), ab(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    aa[i] = a[i] * a[i];
    bb[i] = b[i] * b[i];
    ab[i] = a[i] * b[i];
  }
  const auto mean_a = window_means(a, width, height), mean_b = window_means(b, width, height), mean_aa = window_means(aa, width, height),
             mean_bb = window_means(bb, width, height), mean_ab = window_means(ab, width, height);
  double sum = 0;
  for (std::size_t i = 0; i < mean_a.size(); ++i) {
    const double square_a = mean_a[i] * mean_a[i], square_b = mean_b[i] * mean_b[i], both = mean_a[i] * mean_b[i];
    sum += (2 * both + c1) * (2 * (mean_ab[i] - both) + c2) /
           ((square_a + square_b + c1) * (mean_aa[i] - square_a + mean_bb[i] - square_b + c2));
  }
  return sum / static_cast<double>(mean_a.size());
}

// Pixels by the deviation that is expected: cells of equal ratio from a quarter of a level on.
constexpr std::size_t cells = 16;
std::size_t cell_of(double deviation) {
  constexpr double first = 0.25;
  return static_cast<std::size_t>(std::clamp(2 * std::log2(std::max(deviation, first) / first), 0.0, static_cast<double>(cells - 1)));
}

struct Measured {
  double psnr = 0, ssim = 0, psnr_shown = 0, ssim_shown = 0;
  double values = 0, within = 0;                             // counts
  std::array<double, cells> count{}, expected{}, squared{};  // sums of squares, by cell
};

Measured measure(const Case& one) {
  Measured measured;
  const Tensor &given = one.truth.restored, &got = one.prediction.restored;
  // What was not answered as it should be is as wrong as can be; the length of this row still counts.
  if (!given.defined() || !got.defined() || given.shape() != got.shape()) return measured;
  const image::Image truth = picture_of(given), answer = picture_of(got);
  measured.psnr = psnr(truth, answer);
  measured.ssim = ssim(truth, answer);
  if (one.shown.defined()) {
    image::Image shown = picture_of(one.shown);
    if (const int scale = truth.width / std::max(shown.width, 1); scale > 1) shown = image_of(enlarged(planes_of(shown), scale));
    if (shown.pixels.size() == truth.pixels.size()) {
      measured.psnr_shown = psnr(truth, shown);
      measured.ssim_shown = ssim(truth, shown);
    }
  }
  if (!one.prediction.deviation.defined()) return measured;
  const auto deviations = one.prediction.deviation.values<float>();
  const auto channels = static_cast<std::size_t>(truth.channels);
  for (std::size_t i = 0; i < truth.pixels.size(); ++i) {
    const double deviation = static_cast<double>(deviations[i / channels]), off = std::abs(truth.pixels[i] - answer.pixels[i]);
    const std::size_t cell = cell_of(deviation);
    measured.values += 1;
    measured.within += off <= 2 * deviation ? 1 : 0;
    measured.count[cell] += 1;
    measured.expected[cell] += deviation * deviation;
    measured.squared[cell] += off * off;
  }
  return measured;
}

class RestoreMeter final : public Meter {
 public:
  void add(const Case& one) override { all_.push_back(measure(one)); }

  Figures figures(std::span<const std::int64_t> chosen, bool curves) const override {
    Measured sum;
    for (const std::int64_t i : chosen) {
      const Measured& each = all_[static_cast<std::size_t>(i)];
      sum.psnr += each.psnr;
      sum.ssim += each.ssim;
      sum.psnr_shown += each.psnr_shown;
      sum.ssim_shown += each.ssim_shown;
      sum.values += each.values;
      sum.within += each.within;
      for (std::size_t k = 0; k < cells; ++k) {
        sum.count[k] += each.count[k];
        sum.expected[k] += each.expected[k];
        sum.squared[k] += each.squared[k];
      }
    }
    Figures figures;
    figures.pictures = figures.count = std::ssize(chosen);
    if (chosen.empty()) return figures;
    const auto count = static_cast<double>(chosen.size());
    figures.values = {{"psnr", sum.psnr / count},
                      {"ssim", sum.ssim / count},
                      {"psnr_shown", sum.psnr_shown / count},
                      {"ssim_shown", sum.ssim_shown / count},
                      {"psnr_gain", (sum.psnr - sum.psnr_shown) / count},
                      {"ssim_gain", (sum.ssim - sum.ssim_shown) / count}};
    if (sum.values > 0) {
      double expected = 0, squared = 0;
      for (std::size_t k = 0; k < cells; ++k) {
        expected += sum.expected[k];
        squared += sum.squared[k];
      }
      figures.values["within_two_deviations"] = sum.within / sum.values;
      figures.values["deviation"] = std::sqrt(expected / sum.values);
      figures.values["error"] = std::sqrt(squared / sum.values);
    }
    if (!curves) return figures;
    Line line{.name = "", .x = {}, .y = {}};
    for (std::size_t k = 0; k < cells; ++k) {
      constexpr double enough = 100;
      if (sum.count[k] < enough) continue;
      line.x.push_back(std::sqrt(sum.expected[k] / sum.count[k]));
      line.y.push_back(std::sqrt(sum.squared[k] / sum.count[k]));
    }
    if (line.x.size() > 1)
      figures.curves.push_back({.title = "How far off, by how far the model expects to be",
                                .x = "expected deviation (levels)",
                                .y = "root mean square error (levels)",
                                .lines = {std::move(line)}});
    return figures;
  }

  double wrongness(std::int64_t place) const override { return std::clamp(1 - all_[static_cast<std::size_t>(place)].ssim, 0.0, 1.0); }

 private:
  std::vector<Measured> all_;
};

}  // namespace

double psnr(const image::Image& a, const image::Image& b) {
  double squared = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) squared += (a.pixels[i] - b.pixels[i]) * (a.pixels[i] - b.pixels[i]);
  if (squared == 0) return most_psnr;
  return std::min(most_psnr, 10 * std::log10(range * range * static_cast<double>(a.pixels.size()) / squared));
}

double ssim(const image::Image& a, const image::Image& b) {
  if (a.width < window || a.height < window) return a.pixels == b.pixels ? 1 : 0;
  const auto channels = static_cast<std::size_t>(a.channels);
  double sum = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    std::vector<double> one, other;
    for (std::size_t i = c; i < a.pixels.size(); i += channels) {
      one.push_back(a.pixels[i]);
      other.push_back(b.pixels[i]);
    }
    sum += ssim_of_plane(one, other, a.width, a.height);
  }
  return sum / static_cast<double>(channels);
}

std::unique_ptr<Meter> restore_meter(const std::vector<std::string>& /*classes*/) { return std::make_unique<RestoreMeter>(); }

}  // namespace sightline::tasks
