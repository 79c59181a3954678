#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "image/opencv.h"

namespace sightline::image {
namespace {

// The built-in font knows ASCII: every other character becomes one question mark.
std::string printable(const std::string& text) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F) {
      out.push_back(c);
    } else if ((byte & 0xC0U) != 0x80U) {
      out.push_back('?');
    }
  }
  return out;
}

constexpr Colour kDark{24, 24, 24};

cv::Scalar scalar(Colour colour) {
  return {static_cast<double>(colour.red), static_cast<double>(colour.green), static_cast<double>(colour.blue)};
}

// The parts of a text's bar: letters stand `margin` away from its edges.
struct Bar {
  std::string line;
  int margin = 0, thickness = 0, ascent = 0;
  TextSize size;
  Bar(const std::string& text, double scale) : line(printable(text)), margin(std::max(2, static_cast<int>(8 * scale))) {
    thickness = std::max(1, static_cast<int>(std::lround(1.2 * scale)));
    int descent = 0;
    const cv::Size letters = cv::getTextSize(line, cv::FONT_HERSHEY_SIMPLEX, scale, thickness, &descent);
    ascent = letters.height;
    size = {letters.width + 2 * margin, letters.height + descent + 2 * margin};
  }
};

Colour readable_on(Colour background) {
  constexpr double light = 128;
  const double luma = 0.299 * background.red + 0.587 * background.green + 0.114 * background.blue;  // BT.601
  return luma > light ? Colour{0, 0, 0} : Colour{255, 255, 255};
}

// Pixels along one side of the outline, dash by dash. along: where the side begins, across: its other coordinate.
void draw_side(cv::Mat& pixels, bool horizontal, int along, int end, int across, const Stroke& stroke) {
  const int piece = stroke.dash > 0 ? stroke.dash : std::max(1, end - along);
  bool coloured = true;
  for (int begin = along; begin < end; begin += piece, coloured = !coloured) {
    const int length = std::min(piece, end - begin);
    const cv::Rect part = horizontal ? cv::Rect(begin, across, length, stroke.width) : cv::Rect(across, begin, stroke.width, length);
    const cv::Rect visible = part & cv::Rect(0, 0, pixels.cols, pixels.rows);
    if (!visible.empty()) pixels(visible).setTo(scalar(coloured ? stroke.colour : kDark));
  }
}

}  // namespace

Colour class_colour(std::size_t place) {
  constexpr std::array<Colour, 7> colours{
      {{230, 159, 0}, {86, 180, 233}, {0, 158, 115}, {240, 228, 66}, {213, 94, 0}, {204, 121, 167}, {0, 114, 178}}};
  const Colour colour = colours[place % colours.size()];
  const auto mixed = [](Colour from, int towards) {
    const auto mix = [&](int value) { return static_cast<std::uint8_t>((value + towards) / 2); };
    return Colour{mix(from.red), mix(from.green), mix(from.blue)};
  };
  switch (place / colours.size() % 3) {
    case 1: return mixed(colour, 255);
    case 2: return mixed(colour, 0);
    default: return colour;
  }
}

TextSize text_size(const std::string& text, double scale) {
  return with_opencv([&] { return Bar(text, scale).size; });
}

void draw_text(Image& target, int x, int y, const std::string& text, double scale, Colour background) {
  if (target.channels == 1) target = convert_channels(target, 3);
  if (target.pixels.empty()) return;
  with_opencv([&] {
    const Bar bar(text, scale);
    cv::Mat pixels = as_matrix(target);
    cv::rectangle(pixels, cv::Rect(x, y, bar.size.width, bar.size.height), scalar(background), cv::FILLED);
    cv::putText(pixels, bar.line, cv::Point(x + bar.margin, y + bar.margin + bar.ascent), cv::FONT_HERSHEY_SIMPLEX, scale,
                scalar(readable_on(background)), bar.thickness, cv::LINE_AA);
  });
}

void draw_rectangle(Image& target, double left, double top, double right, double bottom, const Stroke& stroke) {
  if (target.channels == 1) target = convert_channels(target, 3);
  if (target.pixels.empty() || !(left < right) || !(top < bottom)) return;
  with_opencv([&] {
    cv::Mat pixels = as_matrix(target);
    // Far outside is as good as just outside, and stays an int.
    const auto place = [&](double edge, int length) {
      return static_cast<int>(std::clamp(edge, -1.0 - stroke.width, length + 1.0 + stroke.width));
    };
    const int x = place(std::floor(left), target.width), y = place(std::floor(top), target.height);
    const int x_end = place(std::ceil(right), target.width), y_end = place(std::ceil(bottom), target.height);
    draw_side(pixels, true, x, x_end, y, stroke);
    draw_side(pixels, true, x, x_end, std::max(y, y_end - stroke.width), stroke);
    draw_side(pixels, false, y, y_end, x, stroke);
    draw_side(pixels, false, y, y_end, std::max(x, x_end - stroke.width), stroke);
  });
}

void draw_dot(Image& target, double x, double y, const Dot& dot) {
  if (target.channels == 1) target = convert_channels(target, 3);
  if (target.pixels.empty() || !std::isfinite(x) || !std::isfinite(y)) return;
  with_opencv([&] {
    cv::Mat pixels = as_matrix(target);
    constexpr int bits = 4;  // of a pixel's fraction
    const auto fixed = [](double value) { return static_cast<int>(std::lround(std::clamp(value, -1e4, 1e5) * (1 << bits))); };
    const cv::Point centre(fixed(x - 0.5), fixed(y - 0.5));  // OpenCV counts from the middle of the first pixel
    const cv::Scalar colour(dot.colour.red, dot.colour.green, dot.colour.blue), dark(24, 24, 24);
    cv::circle(pixels, centre, fixed(dot.radius + 1), dark, dot.filled ? cv::FILLED : 3, cv::LINE_AA, bits);
    cv::circle(pixels, centre, fixed(dot.filled ? dot.radius : dot.radius + 1), colour, dot.filled ? cv::FILLED : 1, cv::LINE_AA, bits);
  });
}

}  // namespace sightline::image
