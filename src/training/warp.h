// Pixel work of augmentation: moving a picture, changing its tones, blanking a part. u8 H×W×C.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sightline::training {

struct PictureShape {
  int height = 0, width = 0, channels = 0;
  std::size_t bytes() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  }
};

// Where a target pixel comes from, in pixels, both counted from the centre of the top left one:
// source = matrix · (target - centre) + centre + shift, centre that of the picture.
struct Affine {
  double xx = 1, xy = 0, yx = 0, yy = 1, shift_x = 0, shift_y = 0;
};

// A part of a picture: columns left to right - 1, rows top to bottom - 1.
struct Part {
  int left = 0, top = 0, right = 0, bottom = 0;
};

// What is seen beyond the source's edge: its nearest pixel, or the grey of letterboxes (114).
enum class Outside { edge, grey };

void mirror(const PictureShape& shape, const std::uint8_t* source, std::uint8_t* target);

// Fills `part` of the target from a source of the same shape. Bilinear in 1/256ths.
void warp(const PictureShape& shape, const Affine& affine, Outside outside, const Part& part, const std::uint8_t* source,
          std::uint8_t* target);

// The pixel of the source that is nearest to where a target pixel comes from.
class Nearest {
 public:
  Nearest(const PictureShape& shape, const Affine& affine);
  // Its place, row by row; -1 beyond the source's edge.
  std::ptrdiff_t source_of(int x, int y) const;

 private:
  PictureShape shape_;
  Affine affine_;
};

// value → (value - 127.5) · contrast + 127.5 + 255 · brightness.
void change_tones(const PictureShape& shape, double contrast, double brightness, std::uint8_t* pixels);

// Each pixel becomes the mean of those within `x` columns and `y` rows of it; beyond the edge its nearest pixel counts.
void soften(const PictureShape& shape, int x, int y, std::uint8_t* pixels);

// Adds noise of this standard deviation, grey levels, to every value.
void add_noise(const PictureShape& shape, double deviation, std::uint64_t seed, std::uint8_t* pixels);

// Gives a part, as far as it lies within the picture, the picture's mean colour.
void blank(const PictureShape& shape, const Part& part, std::uint8_t* pixels);

}  // namespace sightline::training
