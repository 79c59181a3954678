#include "image/letters.h"

#include <fmt/format.h>
#include <ft2build.h>

#include <cmath>

#include "base/files.h"
#include "base/text.h"
#include FT_FREETYPE_H
#include FT_OUTLINE_H

namespace sightline::image {
namespace {

constexpr int fixed_one = 64;  // FreeType counts in 64ths of a pixel

// Of well-formed UTF-8; 0 else.
FT_ULong code_of(const std::string& character) {
  const std::size_t length = character_length(character);
  if (length == 0 || length != character.size()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<FT_ULong>(static_cast<unsigned char>(character[i])); };
  FT_ULong code = length == 1 ? byte(0) : byte(0) & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = code << 6U | (byte(i) & 0x3FU);
  return code;
}

}  // namespace

struct Font::State {
  FT_Library library = nullptr;
  FT_Face face = nullptr;
  std::string path, bytes;  // the face reads the bytes as it is used
  double capital = 0;       // height of an H, of an em
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (face != nullptr) FT_Done_Face(face);
    if (library != nullptr) FT_Done_FreeType(library);
  }
};

Font::Font(std::unique_ptr<State> state) : state_(std::move(state)) {}
Font::Font(Font&&) noexcept = default;
Font& Font::operator=(Font&&) noexcept = default;
Font::~Font() = default;

Result<Font> Font::open(const std::string& path, int face) {
  auto state = std::make_unique<State>();
  state->path = path;
  SIGHTLINE_TRY(state->bytes, read_file(path));
  const auto refuse = [&](const char* what) { return Error{ErrorKind::invalid_data, fmt::format("{}: {}", path, what)}; };
  if (FT_Init_FreeType(&state->library) != 0) return refuse("FreeType does not start");
  if (FT_New_Memory_Face(state->library, reinterpret_cast<const FT_Byte*>(state->bytes.data()), static_cast<FT_Long>(state->bytes.size()),
                         face, &state->face) != 0)
    return refuse("no font that FreeType reads");
  if (FT_IS_SCALABLE(state->face) == 0) return refuse("a font of pixels, not of outlines");
  if (FT_Load_Char(state->face, 'H', FT_LOAD_NO_SCALE | FT_LOAD_NO_BITMAP) != 0 || state->face->glyph->metrics.height <= 0)
    return refuse("it has no letter H");
  state->capital = static_cast<double>(state->face->glyph->metrics.height) / state->face->units_per_EM;
  return Font(std::move(state));
}

bool Font::has(const std::string& character) const {
  const FT_ULong code = code_of(character);
  return code != 0 && FT_Get_Char_Index(state_->face, code) != 0;
}

Result<Image> Font::letter(const std::string& character, int height, double weight) const {
  const auto refuse = [&](const char* what) {
    return Error{ErrorKind::invalid_data, fmt::format("{}: {} \"{}\"", state_->path, what, character)};
  };
  if (!has(character)) return refuse("no letter for");
  const auto size = static_cast<FT_F26Dot6>(std::lround(height / state_->capital * fixed_one));
  if (FT_Set_Char_Size(state_->face, size, size, 72, 72) != 0) return refuse("no such size for");  // at 72 dots an inch a point is a pixel
  if (FT_Load_Char(state_->face, code_of(character), FT_LOAD_NO_BITMAP | FT_LOAD_NO_HINTING) != 0) return refuse("no outline for");
  if (weight > 0) FT_Outline_Embolden(&state_->face->glyph->outline, static_cast<FT_Pos>(std::lround(weight * fixed_one)));
  if (FT_Render_Glyph(state_->face->glyph, FT_RENDER_MODE_NORMAL) != 0) return refuse("no picture of");
  const FT_Bitmap& bitmap = state_->face->glyph->bitmap;
  Image image{static_cast<int>(bitmap.width), static_cast<int>(bitmap.rows), 1, {}};
  for (unsigned y = 0; y < bitmap.rows; ++y) {
    const unsigned char* row = bitmap.buffer + static_cast<std::ptrdiff_t>(y) * bitmap.pitch;
    image.pixels.insert(image.pixels.end(), row, row + bitmap.width);
  }
  return image;
}

}  // namespace sightline::image
