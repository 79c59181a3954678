#include "factory/blemishes.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/random.h"

namespace sightline::factory {
namespace {

constexpr double least_contrast = 8;  // levels: a blank picture's faults are seen as well

class Drawing {
 public:
  Drawing(const Tensor& picture, std::uint64_t seed)
      : random_(seed, 0x626c656dULL), height_(picture.dim(1)), width_(picture.dim(2)), channels_(picture.dim(3)) {
    for (const std::uint8_t level : picture.values<std::uint8_t>()) levels_.push_back(static_cast<double>(level));
    double sum = 0, squares = 0;
    for (const double level : levels_) sum += level;
    const double mean = sum / static_cast<double>(levels_.size());
    for (const double level : levels_) squares += (level - mean) * (level - mean);
    contrast_ = std::max(least_contrast, std::sqrt(squares / static_cast<double>(levels_.size())));
  }

  void draw(std::span<const Tensor> donors) {
    switch (random_.below(donors.empty() ? 3 : 4)) {
      case 0: return scratch();
      case 1: return spot();
      case 2: return smear();
      default: return put_in(donors[random_.below(donors.size())]);
    }
  }

  Tensor finish() const {
    Tensor picture(Dtype::u8, {1, height_, width_, channels_});
    std::ranges::transform(levels_, picture.values<std::uint8_t>().begin(),
                           [](double level) { return static_cast<std::uint8_t>(std::lround(std::clamp(level, 0.0, 255.0))); });
    return picture;
  }

 private:
  double side() const { return static_cast<double>(std::min(height_, width_)); }
  // Pixels, as a share of the side between these, evenly by its logarithm.
  std::int64_t length(double least, double most) {
    const double share = std::exp(random_.uniform(std::log(least), std::log(most)));
    return std::clamp<std::int64_t>(std::llround(share * side()), 2, std::min(height_, width_) - 1);
  }
  std::int64_t place(std::int64_t room) { return static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(room))); }
  double strength() { return (random_.below(2) == 0 ? -1 : 1) * random_.uniform(0.7, 2.5) * contrast_; }
  double& at(std::int64_t y, std::int64_t x, std::int64_t c) { return levels_[static_cast<std::size_t>((y * width_ + x) * channels_ + c)]; }
  void add(std::int64_t y, std::int64_t x, double by) {
    for (std::int64_t c = 0; c < channels_; ++c) at(y, x, c) += by;
  }

  void put_in(const Tensor& donor) {
    const std::int64_t tall = length(0.04, 0.2), wide = length(0.04, 0.2);
    const std::int64_t top = place(height_ - tall), left = place(width_ - wide), from_top = place(height_ - tall),
                       from_left = place(width_ - wide);
    const double brighter = random_.uniform(-0.5, 0.5) * contrast_;
    const auto levels = donor.values<std::uint8_t>();
    for (std::int64_t y = 0; y < tall; ++y) {
      for (std::int64_t x = 0; x < wide; ++x) {
        for (std::int64_t c = 0; c < channels_; ++c)
          at(top + y, left + x, c) =
              brighter + static_cast<double>(levels[static_cast<std::size_t>(((from_top + y) * width_ + from_left + x) * channels_ + c)]);
      }
    }
  }

  // Five points of a line that bends a little.
  void scratch() {
    std::vector<std::pair<double, double>> points{
        {random_.uniform(0, static_cast<double>(width_)), random_.uniform(0, static_cast<double>(height_))}};
    double direction = random_.uniform(0, 2 * std::numbers::pi);
    const double piece = static_cast<double>(length(0.08, 0.4)) / 4, half = side() / 256 * random_.uniform(0.7, 2.5), by = strength();
    for (int i = 0; i < 4; ++i) {
      direction += random_.uniform(-0.5, 0.5);
      points.emplace_back(points.back().first + piece * std::cos(direction), points.back().second + piece * std::sin(direction));
    }
    const auto distance = [&](double x, double y) {
      double least = 1e9;
      for (std::size_t i = 1; i < points.size(); ++i) {
        const auto [ax, ay] = points[i - 1];
        const double dx = points[i].first - ax, dy = points[i].second - ay;
        const double along = std::clamp(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0.0, 1.0);
        least = std::min(least, std::hypot(x - ax - along * dx, y - ay - along * dy));
      }
      return least;
    };
    blend([&](double x, double y) { return std::clamp(half + 0.5 - distance(x, y), 0.0, 1.0); }, by);
  }

  void spot() {
    const double x0 = random_.uniform(0, static_cast<double>(width_)), y0 = random_.uniform(0, static_cast<double>(height_)),
                 radius = static_cast<double>(length(0.01, 0.06)), flat = random_.uniform(0.5, 1), by = strength(),
                 soft = std::max(0.5, 0.2 * radius);
    blend([&](double x, double y) { return 1 / (1 + std::exp((std::hypot(x - x0, (y - y0) / flat) - radius) / soft)); }, by);
  }

  // How much of `by` a pixel's centre takes, 0 to 1.
  template <class Cover>
  void blend(const Cover& cover, double by) {
    for (std::int64_t y = 0; y < height_; ++y) {
      for (std::int64_t x = 0; x < width_; ++x) {
        const double share = cover(static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5);
        if (share > 1e-3) add(y, x, share * by);
      }
    }
  }

  // Each pixel of a patch becomes the mean of what lies around it.
  void smear() {
    const std::int64_t tall = length(0.06, 0.25), wide = length(0.06, 0.25), top = place(height_ - tall), left = place(width_ - wide),
                       reach = std::max<std::int64_t>(1, std::llround(side() / 256 * random_.uniform(2, 6)));
    const std::vector<double> before = levels_;
    for (std::int64_t y = top; y < top + tall; ++y) {
      for (std::int64_t x = left; x < left + wide; ++x) {
        for (std::int64_t c = 0; c < channels_; ++c) {
          double sum = 0;
          int count = 0;
          for (std::int64_t v = std::max<std::int64_t>(0, y - reach); v <= std::min(height_ - 1, y + reach); ++v) {
            for (std::int64_t u = std::max<std::int64_t>(0, x - reach); u <= std::min(width_ - 1, x + reach); ++u, ++count)
              sum += before[static_cast<std::size_t>((v * width_ + u) * channels_ + c)];
          }
          at(y, x, c) = sum / count;
        }
      }
    }
  }

  Random random_;
  std::int64_t height_, width_, channels_;
  std::vector<double> levels_;
  double contrast_ = 0;
};

}  // namespace

Tensor with_blemish(const Tensor& picture, std::span<const Tensor> donors, std::uint64_t seed) {
  Drawing drawing(picture, seed);
  drawing.draw(donors);
  return drawing.finish();
}

}  // namespace sightline::factory
