#include "dataset/views.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/random.h"
#include "dataset/drawn_pictures.h"

namespace sightline::dataset {
namespace {

constexpr std::uint64_t source_stream = 0x50c3ULL, view_stream = 0x71e3ULL;
constexpr double pi = std::numbers::pi;

std::size_t choose_source(Random& random, const std::vector<ViewSource>& sources) {
  double sum = 0;
  for (const ViewSource& source : sources) sum += source.share;
  double place = random.uniform() * sum;
  for (std::size_t i = 0; i + 1 < sources.size(); ++i) {
    place -= sources[i].share;
    if (place < 0) return i;
  }
  return sources.size() - 1;
}

// A piece of the picture, side×side RGB, turned and sheared; what lies beyond the edge is its mirror image.
image::Image cut_out(Random& random, const image::Image& source, int side) {
  const double area = std::exp(random.uniform(std::log(0.06), std::log(1.0))), aspect = std::exp(random.uniform(-0.4, 0.4));
  const double width = std::min(1.0, std::sqrt(area * aspect)) * source.width,
               height = std::min(1.0, std::sqrt(area / aspect)) * source.height;
  const double left = random.uniform() * (source.width - width), top = random.uniform() * (source.height - height);
  // Large pieces are brought near the wanted size first, so that nothing aliases.
  const double shrink = std::max(1.0, std::max(width, height) / (1.2 * side));
  const image::Image* from = &source;
  image::Image smaller;
  double scale_x = 1, scale_y = 1;
  if (shrink > 1.2) {
    smaller =
        image::resize(source, std::max(2, static_cast<int>(source.width / shrink)), std::max(2, static_cast<int>(source.height / shrink)));
    scale_x = static_cast<double>(smaller.width) / source.width;
    scale_y = static_cast<double>(smaller.height) / source.height;
    from = &smaller;
  }
  const double turn = random.below(3) == 0 ? random.uniform(-pi, pi) : random.uniform(-0.2, 0.2), shear = random.uniform(-0.15, 0.15);
  const double mirror = random.below(2) == 0 ? -1 : 1, upside_down = random.below(8) == 0 ? -1 : 1;
  const double across = std::cos(turn), along = std::sin(turn);
  image::Image view{side, side, 3, std::vector<std::uint8_t>(static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3)};
  const auto mirrored = [](int place, int length) {
    const int period = 2 * length;
    place = ((place % period) + period) % period;
    return place < length ? place : period - 1 - place;
  };
  std::uint8_t* out = view.pixels.data();
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const double u = mirror * ((x + 0.5) / side - 0.5), v = upside_down * ((y + 0.5) / side - 0.5) + shear * u;
      const double px = (left + width * (0.5 + across * u - along * v)) * scale_x - 0.5,
                   py = (top + height * (0.5 + along * u + across * v)) * scale_y - 0.5;
      const int x0 = static_cast<int>(std::floor(px)), y0 = static_cast<int>(std::floor(py));
      const auto fx = static_cast<int>((px - x0) * 256), fy = static_cast<int>((py - y0) * 256);
      const int xa = mirrored(x0, from->width), xb = mirrored(x0 + 1, from->width), ya = mirrored(y0, from->height),
                yb = mirrored(y0 + 1, from->height);
      for (int c = 0; c < 3; ++c) {
        const int channel = from->channels == 3 ? c : 0;
        const auto at = [&](int column, int row) {
          return static_cast<int>(from->pixels[static_cast<std::size_t>((row * from->width + column) * from->channels + channel)]);
        };
        const int upper = at(xa, ya) * (256 - fx) + at(xb, ya) * fx, lower = at(xa, yb) * (256 - fx) + at(xb, yb) * fx;
        *out++ = static_cast<std::uint8_t>((upper * (256 - fy) + lower * fy) >> 16);
      }
    }
  }
  return view;
}

// A grey picture's levels become shades between two or three colours.
void colour_in(Random& random, image::Image& view) {
  std::array<std::array<double, 3>, 3> ramp{};
  for (auto& colour : ramp)
    for (double& channel : colour) channel = random.uniform(0, 255);
  for (std::size_t i = 0; i + 2 < view.pixels.size(); i += 3) {
    const double place = view.pixels[i] / 127.5;
    const std::size_t part = place < 1 ? 0 : 1;
    for (std::size_t c = 0; c < 3; ++c)
      view.pixels[i + c] =
          static_cast<std::uint8_t>(ramp[part][c] + (ramp[part + 1][c] - ramp[part][c]) * (place - static_cast<double>(part)));
  }
}

image::Image piece_of(Random& random, const ViewSource& source, int side) {
  if (source.pictures.empty()) return draw_picture(random, side);
  const image::Image& picture = source.pictures[random.below(source.pictures.size())];
  image::Image view = cut_out(random, picture, side);
  if (picture.channels == 1 && random.below(2) == 0) colour_in(random, view);
  return view;
}

// Every channel through one table: brightness, contrast, gamma, inversion, steps; then all through a mixing matrix: saturation, hue.
void recolour(Random& random, image::Image& view) {
  const double contrast = std::exp(random.uniform(-0.6, 0.5)), shift = random.uniform(-50, 50), gamma = std::exp(random.uniform(-0.5, 0.5));
  const bool inverted = random.below(25) == 0;
  const double levels = random.below(15) == 0 ? random.uniform(3, 12) : 0;
  std::array<std::array<double, 256>, 3> table{};
  for (auto& channel : table) {
    const double tint = random.uniform(0.85, 1.15);
    for (std::size_t i = 0; i < channel.size(); ++i) {
      double value = std::pow(static_cast<double>(i) / 255, gamma);
      if (levels > 0) value = std::floor(value * levels) / levels;
      value = ((value * 255 - 128) * contrast + 128 + shift) * tint;
      channel[i] = std::clamp(inverted ? 255 - value : value, 0.0, 255.0);
    }
  }
  const double saturation = random.below(7) == 0 ? 0 : std::exp(random.uniform(-0.8, 0.6)),
               turn = random.below(3) == 0 ? random.uniform(-pi, pi) : random.uniform(-0.2, 0.2);
  const double cosine = std::cos(turn), sine = std::sin(turn);
  for (std::size_t i = 0; i + 2 < view.pixels.size(); i += 3) {
    const double r = table[0][view.pixels[i]], g = table[1][view.pixels[i + 1]], b = table[2][view.pixels[i + 2]];
    const double luma = 0.299 * r + 0.587 * g + 0.114 * b;
    const double in_phase = 0.596 * r - 0.274 * g - 0.322 * b, quadrature = 0.211 * r - 0.523 * g + 0.312 * b;  // YIQ: hue is an angle
    const double p = saturation * (cosine * in_phase - sine * quadrature), q = saturation * (sine * in_phase + cosine * quadrature);
    view.pixels[i] = static_cast<std::uint8_t>(std::clamp(luma + 0.956 * p + 0.621 * q, 0.0, 255.0));
    view.pixels[i + 1] = static_cast<std::uint8_t>(std::clamp(luma - 0.272 * p - 0.647 * q, 0.0, 255.0));
    view.pixels[i + 2] = static_cast<std::uint8_t>(std::clamp(luma - 1.106 * p + 1.703 * q, 0.0, 255.0));
  }
}

void add_grain(Random& random, image::Image& view) {
  const double strength = random.uniform(2, 40);
  for (std::uint8_t& value : view.pixels) {
    // The sum of four bytes of one number is close enough to normal.
    const std::uint64_t bits = random.next();
    const double noise =
        static_cast<double>((bits & 255U) + (bits >> 8U & 255U) + (bits >> 16U & 255U) + (bits >> 24U & 255U)) / 147.8 - 3.45;
    value = static_cast<std::uint8_t>(std::clamp(value + strength * noise, 0.0, 255.0));
  }
}

void blend(Random& random, image::Image& view, const image::Image& other) {
  const int side = view.width;
  const std::uint64_t way = random.below(3);
  const int share = 64 + static_cast<int>(random.below(129));
  const auto position = [&] { return static_cast<int>(random.below(static_cast<std::uint64_t>(side))); };
  const int x0 = position(), y0 = position(), x1 = position(), y1 = position();
  if (way == 0) {  // one through the other
    for (std::size_t i = 0; i < view.pixels.size(); ++i)
      view.pixels[i] = static_cast<std::uint8_t>((view.pixels[i] * share + other.pixels[i] * (256 - share)) >> 8);
    return;
  }
  // A rectangle of the other, or all beyond a straight cut.
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const bool taken = way == 1 ? x >= std::min(x0, x1) && x <= std::max(x0, x1) && y >= std::min(y0, y1) && y <= std::max(y0, y1)
                                  : (x - x0) * (y1 - y0) > (y - y0) * (x1 - x0);
      if (!taken) continue;
      const auto at = static_cast<std::size_t>((y * side + x) * 3);
      std::copy_n(other.pixels.begin() + static_cast<std::ptrdiff_t>(at), 3, view.pixels.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
}

// What may stand beside a piece of this source: another piece of it, or something drawn. Never of another source, so that views of one
// can be left out and nothing of it is left.
image::Image companion(Random& random, const ViewSource& source, int side) {
  return random.below(2) == 0 ? draw_picture(random, side) : piece_of(random, source, side);
}

// Four small pieces.
image::Image collage(Random& random, const ViewSource& source, int side) {
  const int half = side / 2;
  image::Image view{side, side, 3, std::vector<std::uint8_t>(static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3)};
  for (int part = 0; part < 4; ++part) {
    const int x0 = part % 2 == 0 ? 0 : half, y0 = part < 2 ? 0 : half, size = side - half;
    const image::Image piece = part == 0 ? piece_of(random, source, size) : companion(random, source, size);
    for (int y = 0; y < std::min(size, side - y0); ++y)
      std::copy_n(piece.pixels.begin() + y * size * 3, static_cast<std::size_t>(std::min(size, side - x0)) * 3,
                  view.pixels.begin() + ((y0 + y) * side + x0) * 3);
  }
  return view;
}

}  // namespace

std::size_t source_of_view(const std::vector<ViewSource>& sources, std::uint64_t seed, std::uint64_t index) {
  Random random(seed, source_stream, index);
  return choose_source(random, sources);
}

image::Image draw_view(const std::vector<ViewSource>& sources, int side, std::uint64_t seed, std::uint64_t index, std::size_t* source) {
  const std::size_t main = source_of_view(sources, seed, index);
  if (source != nullptr) *source = main;
  Random random(seed, view_stream, index);
  const std::uint64_t way = random.below(20);
  image::Image view = way == 0 ? collage(random, sources[main], side) : piece_of(random, sources[main], side);
  if (way >= 1 && way <= 4) blend(random, view, companion(random, sources[main], side));
  if (way == 5 || way == 6) draw_thing(random, view);
  if (random.below(5) != 0) recolour(random, view);
  if (random.below(6) == 0) {  // seen from afar, or by a poor camera
    const int few = side / 6 + static_cast<int>(random.below(static_cast<std::uint64_t>(side / 2)));
    view = image::resize(image::resize(view, few, few), side, side);
  }
  if (random.below(6) == 0) add_grain(random, view);
  return view;
}

}  // namespace sightline::dataset
