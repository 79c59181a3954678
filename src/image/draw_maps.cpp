// Numbers for every place of a picture: to another size, and as colours on it.
#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "image/opencv.h"

namespace sightline::image {

std::vector<float> resize_map(std::span<const float> values, int columns, int rows, int width, int height) {
  std::vector<float> result(static_cast<std::size_t>(std::max(width, 0)) * static_cast<std::size_t>(std::max(height, 0)));
  if (result.empty() || columns <= 0 || rows <= 0) return result;
  with_opencv([&] {
    // OpenCV has no constant matrix; it is only read.
    const cv::Mat source(rows, columns, CV_32F, const_cast<float*>(values.data()));
    cv::Mat target(height, width, CV_32F, result.data());
    scale_to(source, target);
  });
  return result;
}

Colour heat_colour(double value) {
  // Corners of a path that rises evenly in lightness, as matplotlib's viridis does (Smith and van der Walt 2015).
  constexpr std::array<std::array<double, 3>, 5> corners{{{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}}};
  const double place = (value > 0 ? std::min(value, 1.0) : 0.0) * (corners.size() - 1);  // what is no number is 0
  const std::size_t corner = std::min(static_cast<std::size_t>(place), corners.size() - 2);
  const double share = place - static_cast<double>(corner);
  const auto part = [&](std::size_t c) {
    return static_cast<std::uint8_t>(std::lround(corners[corner][c] * (1 - share) + corners[corner + 1][c] * share));
  };
  return {part(0), part(1), part(2)};
}

void draw_heat_map(Image& target, std::span<const float> values, int columns, int rows) {
  if (target.channels == 1) target = convert_channels(target, 3);
  if (target.pixels.empty() || values.empty()) return;
  constexpr double most = 0.75;  // of the picture that a 1 covers
  const std::vector<float> map = resize_map(values, columns, rows, target.width, target.height);
  for (std::size_t i = 0; i < map.size(); ++i) {
    const double value = map[i] > 0 ? std::min(static_cast<double>(map[i]), 1.0) : 0.0, share = most * value * value;
    const Colour colour = heat_colour(value);
    const std::array<std::uint8_t, 3> parts{colour.red, colour.green, colour.blue};
    for (std::size_t c = 0; c < parts.size(); ++c) {
      std::uint8_t& pixel = target.pixels[3 * i + c];
      pixel = static_cast<std::uint8_t>(std::lround((1 - share) * pixel + share * parts[c]));
    }
  }
}

void draw_outline(Image& target, std::span<const std::uint8_t> mask, const Stroke& stroke) {
  if (target.channels == 1) target = convert_channels(target, 3);
  if (target.pixels.empty() || mask.size() * 3 != target.pixels.size()) return;
  with_opencv([&] {
    const cv::Mat given(target.height, target.width, CV_8U, const_cast<std::uint8_t*>(mask.data()));
    const cv::Mat inside = given > 0;
    // What erosion takes away is the border. The picture's edge is one too.
    cv::Mat inner;
    const int side = 2 * std::max(stroke.width, 1) + 1;
    cv::erode(inside, inner, cv::getStructuringElement(cv::MORPH_RECT, {side, side}), {-1, -1}, 1, cv::BORDER_CONSTANT, cv::Scalar(0));
    cv::Mat pixels = as_matrix(target);
    const cv::Scalar colour(stroke.colour.red, stroke.colour.green, stroke.colour.blue);
    pixels.setTo(colour, inside & ~inner);
  });
}

void draw_regions(Image& target, std::span<const std::int32_t> regions, std::span<const Colour> colours, const Fill& fill) {
  if (target.channels == 1) target = convert_channels(target, 3);
  if (target.pixels.empty() || regions.size() * 3 != target.pixels.size()) return;
  const auto at = [&](int x, int y) {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(target.width) + static_cast<std::size_t>(x);
  };
  const auto on_border = [&](int x, int y) {
    const std::int32_t own = regions[at(x, y)];
    for (int dy = -fill.line; dy <= fill.line; ++dy)
      for (int dx = -fill.line; dx <= fill.line; ++dx) {
        if (x + dx < 0 || y + dy < 0 || x + dx >= target.width || y + dy >= target.height) continue;
        if (regions[at(x + dx, y + dy)] != own) return true;
      }
    return false;
  };
  for (int y = 0; y < target.height; ++y) {
    for (int x = 0; x < target.width; ++x) {
      const std::int32_t region = regions[at(x, y)];
      if (region <= 0 || static_cast<std::size_t>(region) > colours.size()) continue;
      const double share = on_border(x, y) ? 1 : fill.share;
      const Colour colour = colours[static_cast<std::size_t>(region) - 1];
      const std::array<std::uint8_t, 3> parts{colour.red, colour.green, colour.blue};
      for (std::size_t c = 0; c < parts.size(); ++c) {
        std::uint8_t& pixel = target.pixels[3 * at(x, y) + c];
        pixel = static_cast<std::uint8_t>(std::lround((1 - share) * pixel + share * parts[c]));
      }
    }
  }
}

}  // namespace sightline::image
