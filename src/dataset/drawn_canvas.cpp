#include "dataset/drawn_canvas.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/files.h"

namespace sightline::dataset {
namespace {

constexpr int letter_height = 128;

struct FontFile {
  const char *path, *package;
};
// Upright letters of even strokes, as plates and signs have them.
constexpr std::array latin{
    FontFile{"/usr/share/fonts/truetype/roadgeek/RG2014B.ttf", "fonts-roadgeek"},
    FontFile{"/usr/share/fonts/truetype/roadgeek/RG2014C.ttf", "fonts-roadgeek"},
    FontFile{"/usr/share/fonts/truetype/roadgeek/RG2014D.ttf", "fonts-roadgeek"},
    FontFile{"/usr/share/fonts/truetype/roadgeek/RG2014E.ttf", "fonts-roadgeek"},
    FontFile{"/usr/share/fonts/truetype/opendin/OSP-DIN.ttf", "fonts-opendin"},
    FontFile{"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "fonts-dejavu-core"},
    FontFile{"/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf", "fonts-dejavu-core"},
    FontFile{"/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf", "fonts-liberation"},
    FontFile{"/usr/share/fonts/truetype/liberation/LiberationSansNarrow-Bold.ttf", "fonts-liberation"},
};
constexpr FontFile chinese_font{"/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", "fonts-wqy-microhei"};

Result<image::Font> open_font(const FontFile& file) {
  if (!path_exists(file.path))
    return Error{ErrorKind::not_found, fmt::format("{}: there is no such font; install the package {}", file.path, file.package)};
  return image::Font::open(file.path);
}

std::uint8_t mixed(std::uint8_t below, std::uint8_t above, int share) {
  return static_cast<std::uint8_t>((below * (255 - share) + above * share + 127) / 255);
}

}  // namespace

Result<LineLetters> LineLetters::open(bool chinese) {
  LineLetters letters;
  for (const FontFile& file : latin) {
    SIGHTLINE_TRY(image::Font font, open_font(file));
    letters.fonts_.push_back(std::move(font));
  }
  letters.latin_ = letters.fonts_.size();
  if (chinese) {
    SIGHTLINE_TRY(image::Font font, open_font(chinese_font));
    letters.fonts_.push_back(std::move(font));
  }
  return letters;
}

Result<const image::Image*> LineLetters::letter(std::size_t font, const std::string& character, double weight) {
  const int steps = static_cast<int>(std::lround(2 * weight));
  const auto key = std::tuple{font, character, steps};
  if (const auto found = drawn_.find(key); found != drawn_.end()) return &found->second;
  SIGHTLINE_TRY(image::Image picture, fonts_[font].letter(character, letter_height, steps / 2.0));
  return &drawn_.emplace(key, std::move(picture)).first->second;
}

Result<double> LineLetters::width_of(std::size_t font, const std::string& character) {
  SIGHTLINE_TRY(const image::Image* picture, letter(font, character, 0));
  return static_cast<double>(picture->width) / letter_height;
}

Canvas::Canvas(int width, int height, image::Colour ground) : picture_{width, height, 3, {}} {
  picture_.pixels.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  fill(0, 0, width, height, ground);
}

void Canvas::fill(double left, double top, double width, double height, image::Colour colour) {
  const auto edge = [](double at, int most) { return std::clamp(static_cast<int>(std::lround(at)), 0, most); };
  const int right = edge(left + width, picture_.width), bottom = edge(top + height, picture_.height);
  for (int y = edge(top, picture_.height); y < bottom; ++y) {
    for (int x = edge(left, picture_.width); x < right; ++x) {
      std::uint8_t* to = picture_.pixels.data() + static_cast<std::size_t>(y) * picture_.row_bytes() + static_cast<std::size_t>(x) * 3;
      to[0] = colour.red;
      to[1] = colour.green;
      to[2] = colour.blue;
    }
  }
}

void Canvas::disc(double x, double y, double radius, image::Colour colour) {
  for (double row = std::floor(-radius); row <= radius; ++row) {
    const double half = std::sqrt(std::max(0.0, radius * radius - row * row));
    fill(x - half, y + row, 2 * half, 1, colour);
  }
}

void Canvas::frame(double inset, double line, image::Colour colour) {
  const double wide = width() - 2 * inset, high = height() - 2 * inset;
  fill(inset, inset, wide, line, colour);
  fill(inset, inset + high - line, wide, line, colour);
  fill(inset, inset, line, high, colour);
  fill(inset + wide - line, inset, line, high, colour);
}

void Canvas::blend(const image::Image& coverage, int left, int top, image::Colour ink) {
  for (int y = std::max(0, -top); y < std::min(coverage.height, picture_.height - top); ++y) {
    for (int x = std::max(0, -left); x < std::min(coverage.width, picture_.width - left); ++x) {
      const int share = coverage.pixels[static_cast<std::size_t>(y) * coverage.row_bytes() + static_cast<std::size_t>(x)];
      std::uint8_t* to =
          picture_.pixels.data() + static_cast<std::size_t>(y + top) * picture_.row_bytes() + static_cast<std::size_t>(x + left) * 3;
      to[0] = mixed(to[0], ink.red, share);
      to[1] = mixed(to[1], ink.green, share);
      to[2] = mixed(to[2], ink.blue, share);
    }
  }
}

Result<void> Canvas::letter(LineLetters& fonts, std::size_t font, double weight, const std::string& character, const Cell& cell,
                            image::Colour ink) {
  SIGHTLINE_TRY(const image::Image* picture, fonts.letter(font, character, weight));
  if (picture->height < 1) return {};
  const bool wide = font >= fonts.count();  // Chinese characters are as wide as their cell
  double width = cell.width;
  if (!wide) {
    SIGHTLINE_TRY(const double usual, fonts.width_of(font, "H"));
    width = std::min(cell.width, cell.width * picture->width / letter_height / usual);
  }
  const image::Image scaled =
      image::resize(*picture, std::max(1, static_cast<int>(std::lround(width))), std::max(1, static_cast<int>(std::lround(cell.height))));
  blend(scaled, static_cast<int>(std::lround(cell.left + (cell.width - width) / 2)), static_cast<int>(std::lround(cell.top)), ink);
  return {};
}

Result<void> Canvas::letter_on_line(LineLetters& fonts, std::size_t font, double weight, const std::string& character, double left,
                                    double foot, double height, image::Colour ink) {
  SIGHTLINE_TRY(const image::Image* picture, fonts.letter(font, character, weight));
  if (picture->height < 1) return {};
  const double scale = height / letter_height;
  const image::Image scaled = image::resize(*picture, std::max(1, static_cast<int>(std::lround(picture->width * scale))),
                                            std::max(1, static_cast<int>(std::lround(picture->height * scale))));
  const bool hangs = character.find_first_of("gjpqy") != std::string::npos;
  blend(scaled, static_cast<int>(std::lround(left)), static_cast<int>(std::lround(foot + (hangs ? 0.28 * height : 0))) - scaled.height,
        ink);
  return {};
}

}  // namespace sightline::dataset
