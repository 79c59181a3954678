// Letters of a font file, as pictures. Fonts are those of the system; what is drawn depends on the file alone.
#pragma once

#include <memory>
#include <string>

#include "image/image.h"

namespace sightline::image {

class Font {
 public:
  // face: of a collection (.ttc). Errors: not_found; invalid_data (no font that FreeType reads).
  static Result<Font> open(const std::string& path, int face = 0);
  Font(Font&&) noexcept;
  Font& operator=(Font&&) noexcept;
  ~Font();

  // Whether there is a letter for this character (UTF-8).
  bool has(const std::string& character) const;

  // The letter in white on black, cut at its ink, one channel; a capital H is `height` pixels high. weight: pixels that strokes grow by. A
  // picture without pixels where there is no ink. Not from several threads at once. Error invalid_data: no such letter.
  Result<Image> letter(const std::string& character, int height, double weight = 0) const;

 private:
  struct State;
  explicit Font(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sightline::image
