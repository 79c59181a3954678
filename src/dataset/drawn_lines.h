// Plates and lines of text that a program draws, with what is written on them: to train readers where pictures with texts are few. Letters
// come from fonts of the system (Debian's fonts-roadgeek, fonts-opendin, fonts-dejavu-core, fonts-liberation, and for Chinese plates
// fonts-wqy-microhei); what is drawn depends on seed, number and these files alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/image.h"

namespace sightline::dataset {

// Raised when the same numbers draw another line than before.
inline constexpr int drawn_lines_version = 1;

struct LineLayout {
  const char *name, *description;
};
std::span<const LineLayout> line_layouts();

struct DrawnLine {
  image::Image picture;  // RGB: what a detector would cut out of a photograph
  std::string text;      // UTF-8; without what separates groups
};

// Opened once for any number of lines; not from several threads at once.
class LineArtist {
 public:
  // Errors: not_found (a layout of that name: the nearest; a font: the Debian package that has it).
  static Result<LineArtist> open(const std::string& layout);
  LineArtist(LineArtist&&) noexcept;
  LineArtist& operator=(LineArtist&&) noexcept;
  ~LineArtist();

  Result<DrawnLine> draw(std::uint64_t seed, std::uint64_t number);

 private:
  struct State;
  explicit LineArtist(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// `count` lines of each layout into a new folder: images/NAME_00000.jpg and labels.csv with path,text,layout. In parallel, with progress.
// Errors: those of opening; conflict (there is a labels.csv), io, interrupted.
Result<void> draw_lines(const std::vector<std::string>& layouts, std::int64_t count, std::uint64_t seed, const std::string& folder);

}  // namespace sightline::dataset
