// What lines of text are drawn with: letters of several fonts, kept once they were drawn, and a surface to put them on. Internal to this
// folder.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/result.h"
#include "image/image.h"
#include "image/letters.h"

namespace sightline::dataset {

class LineLetters {
 public:
  // chinese: also one font of Chinese characters, whose place is count(). Error not_found names the Debian package of a font that is
  // missing.
  static Result<LineLetters> open(bool chinese);

  std::size_t count() const { return latin_; }
  // 128 pixels high where a capital H is; strokes grow by `weight` of these.
  Result<const image::Image*> letter(std::size_t font, const std::string& character, double weight);
  // Of a capital H is 1 high.
  Result<double> width_of(std::size_t font, const std::string& character);

 private:
  std::vector<image::Font> fonts_;
  std::size_t latin_ = 0;
  std::map<std::tuple<std::size_t, std::string, int>, image::Image> drawn_;
};

struct Cell {
  double left = 0, top = 0, width = 0, height = 0;
};

class Canvas {
 public:
  Canvas(int width, int height, image::Colour ground);
  double width() const { return picture_.width; }
  double height() const { return picture_.height; }
  void fill(double left, double top, double width, double height, image::Colour colour);
  void disc(double x, double y, double radius, image::Colour colour);
  // A line of this width along the edges, `inset` away from them.
  void frame(double inset, double width, image::Colour colour);
  // Fills the cell's height; narrow letters stay narrow, none is wider than the cell.
  Result<void> letter(LineLetters& fonts, std::size_t font, double weight, const std::string& character, const Cell& cell,
                      image::Colour ink);
  // As the font has it, its foot (or what hangs below) at `foot`, a capital `height` high.
  Result<void> letter_on_line(LineLetters& fonts, std::size_t font, double weight, const std::string& character, double left, double foot,
                              double height, image::Colour ink);
  image::Image take() { return std::move(picture_); }

 private:
  void blend(const image::Image& coverage, int left, int top, image::Colour ink);
  image::Image picture_;
};

}  // namespace sightline::dataset
