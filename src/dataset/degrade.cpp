#include "dataset/degrade.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

namespace sightline::dataset {
namespace {

constexpr double pi = std::numbers::pi, white = 255;

using Matrix = std::array<double, 9>;  // row by row

// From the unit square to the quadrangle; the determinant is 0 where there is none.
Matrix from_square(const Corners& c) {
  const auto d = [&](std::size_t i, std::size_t j, std::size_t axis) { return c[i][axis] - c[j][axis]; };
  const double sum_x = c[0][0] - c[1][0] + c[2][0] - c[3][0], sum_y = c[0][1] - c[1][1] + c[2][1] - c[3][1];
  const double whole = d(1, 2, 0) * d(3, 2, 1) - d(3, 2, 0) * d(1, 2, 1);
  if (whole == 0) return {};
  const double g = (sum_x * d(3, 2, 1) - d(3, 2, 0) * sum_y) / whole, h = (d(1, 2, 0) * sum_y - sum_x * d(1, 2, 1)) / whole;
  return {
      d(1, 0, 0) + g * c[1][0], d(3, 0, 0) + h * c[3][0], c[0][0], d(1, 0, 1) + g * c[1][1], d(3, 0, 1) + h * c[3][1], c[0][1], g, h, 1};
}

// Up to a factor, which does not matter here.
Matrix inverse(const Matrix& m) {
  return {m[4] * m[8] - m[5] * m[7], m[2] * m[7] - m[1] * m[8], m[1] * m[5] - m[2] * m[4],
          m[5] * m[6] - m[3] * m[8], m[0] * m[8] - m[2] * m[6], m[2] * m[3] - m[0] * m[5],
          m[3] * m[7] - m[4] * m[6], m[1] * m[6] - m[0] * m[7], m[0] * m[4] - m[1] * m[3]};
}

bool is_convex(const Corners& c) {
  for (std::size_t i = 0; i < 4; ++i) {
    const auto &a = c[i], &b = c[(i + 1) % 4], &e = c[(i + 2) % 4];
    if ((b[0] - a[0]) * (e[1] - b[1]) - (b[1] - a[1]) * (e[0] - b[0]) <= 0) return false;
  }
  return true;
}

std::array<double, 3> at(const image::Image& picture, double x, double y) {
  const double px = std::clamp(x - 0.5, 0.0, picture.width - 1.0), py = std::clamp(y - 0.5, 0.0, picture.height - 1.0);
  const int left = static_cast<int>(px), top = static_cast<int>(py);
  const int right = std::min(left + 1, picture.width - 1), bottom = std::min(top + 1, picture.height - 1);
  const double across = px - left, down = py - top;
  std::array<double, 3> colour{};
  const auto value = [&](int column, int row, std::size_t k) {
    return static_cast<double>(
        picture.pixels[static_cast<std::size_t>(row) * picture.row_bytes() + static_cast<std::size_t>(column) * 3 + k]);
  };
  for (std::size_t k = 0; k < 3; ++k) {
    const double upper = value(left, top, k) * (1 - across) + value(right, top, k) * across;
    const double lower = value(left, bottom, k) * (1 - across) + value(right, bottom, k) * across;
    colour[k] = upper * (1 - down) + lower * down;
  }
  return colour;
}

// Three values a pixel.
struct Picture {
  int width = 0, height = 0;
  std::vector<float> values;
};

// Sums of shifted copies; what lies beyond the edge is the edge.
Picture blurred(const Picture& source, std::span<const std::array<double, 3>> taps) {  // x, y, weight
  Picture result{source.width, source.height, std::vector<float>(source.values.size())};
  const auto row = static_cast<std::size_t>(source.width) * 3;
  for (const auto& [shift_x, shift_y, weight] : taps) {
    for (int y = 0; y < source.height; ++y) {
      const double from_y = std::clamp(y + shift_y, 0.0, source.height - 1.0);
      const int top = static_cast<int>(from_y), bottom = std::min(top + 1, source.height - 1);
      const auto down = static_cast<float>(from_y - top);
      const float *upper = source.values.data() + static_cast<std::size_t>(top) * row,
                  *lower = source.values.data() + static_cast<std::size_t>(bottom) * row;
      float* to = result.values.data() + static_cast<std::size_t>(y) * row;
      for (int x = 0; x < source.width; ++x, to += 3) {
        const double from_x = std::clamp(x + shift_x, 0.0, source.width - 1.0);
        const auto left = static_cast<std::size_t>(from_x), right = std::min(left + 1, static_cast<std::size_t>(source.width) - 1);
        const auto across = static_cast<float>(from_x - static_cast<double>(left)), share = static_cast<float>(weight);
        for (std::size_t k = 0; k < 3; ++k) {
          const float above = upper[left * 3 + k] * (1 - across) + upper[right * 3 + k] * across;
          const float below = lower[left * 3 + k] * (1 - across) + lower[right * 3 + k] * across;
          to[k] += share * (above * (1 - down) + below * down);
        }
      }
    }
  }
  return result;
}

std::vector<std::array<double, 3>> gaussian(double deviation, bool across) {
  std::vector<std::array<double, 3>> taps;
  const int reach = std::max(1, static_cast<int>(std::ceil(2.5 * deviation)));
  double sum = 0;
  for (int i = -reach; i <= reach; ++i) {
    const double weight = std::exp(-0.5 * i * i / (deviation * deviation));
    taps.push_back({across ? i : 0.0, across ? 0.0 : i, weight});
    sum += weight;
  }
  for (auto& tap : taps) tap[2] /= sum;
  return taps;
}

}  // namespace

image::Image lay_over(const image::Image& thing, const image::Image& ground, const Corners& corners) {
  if (!is_convex(corners)) return ground;
  const auto length = [&](std::size_t i, std::size_t j) {
    return std::hypot(corners[i][0] - corners[j][0], corners[i][1] - corners[j][1]);
  };
  // About two pixels of the thing for each of the result: more would be skipped, and flicker.
  const int width = std::clamp(static_cast<int>(2 * std::max(length(0, 1), length(3, 2))), 1, thing.width);
  const int height = std::clamp(static_cast<int>(2 * std::max(length(0, 3), length(1, 2))), 1, thing.height);
  const image::Image small = image::resize(thing, width, height);
  const Matrix back = inverse(from_square(corners));
  image::Image result = ground;
  for (int y = 0; y < ground.height; ++y) {
    for (int x = 0; x < ground.width; ++x) {
      std::array<double, 3> sum{};
      int covered = 0;
      for (int part = 0; part < 4; ++part) {
        const double px = x + 0.25 + 0.5 * (part % 2), py = y + (part < 2 ? 0.25 : 0.75);
        const double depth = back[6] * px + back[7] * py + back[8];
        const double u = (back[0] * px + back[1] * py + back[2]) / depth, v = (back[3] * px + back[4] * py + back[5]) / depth;
        if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) continue;
        ++covered;
        const std::array<double, 3> colour = at(small, u * small.width, v * small.height);
        for (std::size_t k = 0; k < 3; ++k) sum[k] += colour[k];
      }
      std::uint8_t* to = result.pixels.data() + static_cast<std::size_t>(y) * result.row_bytes() + static_cast<std::size_t>(x) * 3;
      for (std::size_t k = 0; k < 3; ++k) to[k] = static_cast<std::uint8_t>(std::lround((sum[k] + (4 - covered) * to[k]) / 4));
    }
  }
  return result;
}

Degradation draw_degradation(Random& random, double sharpness) {
  Degradation how;
  // Squares of uniform numbers: most pictures are good, some are not.
  const auto seldom = [&](double most) {
    const double u = random.uniform();
    return most * u * u;
  };
  how.gain = std::exp(random.uniform(-0.9, 0.4));
  how.slope = random.uniform(-0.4, 0.4);
  how.slope_angle = random.uniform(0, 2 * pi);
  how.gamma = std::exp(random.uniform(-0.3, 0.3));
  how.haze = seldom(60);
  for (double& each : how.tint) each = std::exp(random.uniform(-0.15, 0.15));
  if (random.below(4) == 0) {
    how.shadow = random.uniform(0.35, 0.85);
    how.shadow_angle = random.uniform(0, 2 * pi);
    how.shadow_place = random.uniform(0.1, 0.9);
  }
  how.defocus = seldom(0.7 * sharpness);
  how.motion = random.below(3) == 0 ? random.uniform(0, 2.2 * sharpness) : 0;
  how.motion_angle = random.uniform(0, pi);
  how.noise = seldom(16);
  how.jpeg = 25 + static_cast<int>(random.below(71));
  return how;
}

image::Image degrade(const image::Image& picture, const Degradation& how, Random& random) {
  Picture light{picture.width, picture.height, std::vector<float>(picture.pixels.size())};
  const double reach = std::hypot(picture.width, picture.height) / 2;
  const auto along = [&](int x, int y, double angle) {  // -1 to 1 from end to end
    return ((x - picture.width / 2.0) * std::cos(angle) + (y - picture.height / 2.0) * std::sin(angle)) / reach;
  };
  std::size_t i = 0;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      double gain = how.gain * (1 + how.slope * along(x, y, how.slope_angle));
      if (how.shadow < 1) {
        const double beyond = (along(x, y, how.shadow_angle) - (2 * how.shadow_place - 1)) * reach / 2;  // the edge is two pixels wide
        gain *= 1 - (1 - how.shadow) * std::clamp(beyond + 0.5, 0.0, 1.0);
      }
      for (std::size_t k = 0; k < 3; ++k, ++i) {
        const double value = picture.pixels[i] / white;
        light.values[i] = static_cast<float>(how.haze + white * gain * how.tint[k] * std::pow(value, how.gamma));
      }
    }
  }
  if (how.defocus > 0.2) {
    light = blurred(light, gaussian(how.defocus, true));
    light = blurred(light, gaussian(how.defocus, false));
  }
  if (how.motion > 0.5) {
    const int steps = 2 * static_cast<int>(std::ceil(how.motion)) + 1;
    std::vector<std::array<double, 3>> taps;
    for (int step = 0; step < steps; ++step) {
      const double place = how.motion * (static_cast<double>(step) / (steps - 1) - 0.5);
      taps.push_back({place * std::cos(how.motion_angle), place * std::sin(how.motion_angle), 1.0 / steps});
    }
    light = blurred(light, taps);
  }
  image::Image result{picture.width, picture.height, 3, std::vector<std::uint8_t>(picture.pixels.size())};
  for (std::size_t at_value = 0; at_value < light.values.size(); ++at_value) {
    const double noise = how.noise > 0 ? how.noise * random.normal() : 0;
    result.pixels[at_value] =
        static_cast<std::uint8_t>(std::lround(std::clamp(static_cast<double>(light.values[at_value]) + noise, 0.0, white)));
  }
  if (how.jpeg > 0) {
    const std::string bytes = image::encode_jpeg(result, how.jpeg);
    if (auto compressed = image::decode(std::as_bytes(std::span(bytes)), {.channels = 3}); compressed.ok()) return *std::move(compressed);
  }
  return result;
}

}  // namespace sightline::dataset
