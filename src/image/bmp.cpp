// Windows bitmaps, uncompressed: 1, 2, 4, 8 bits with a palette, 16, 24, 32 bits, with channel masks (Microsoft's description of
// BITMAPINFOHEADER to BITMAPV5HEADER). Run-length coded ones are refused.
#include <algorithm>
#include <array>
#include <bit>

#include "image/codecs.h"

namespace sightline::image {
namespace {

constexpr std::uint32_t no_compression = 0, bit_fields = 3, alpha_bit_fields = 6;

struct Layout {
  std::int64_t width = 0, height = 0;
  bool bottom_up = true;
  unsigned bits = 0;
  std::size_t pixels_at = 0, row_bytes = 0;
  std::array<std::uint32_t, 4> masks{};  // red, green, blue, alpha; used for 16 and 32 bits
  std::vector<std::array<std::uint8_t, 3>> palette;
  bool grey = false;  // every palette entry is
};

std::uint32_t number(Bytes bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::to_integer<std::uint32_t>(bytes[at + i]) << (8 * i);
  return value;
}

// The bits of mask, which need not be contiguous in a hostile file, scaled to 0..255.
unsigned channel(std::uint32_t pixel, std::uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  const std::uint64_t top = mask >> shift;
  return static_cast<unsigned>(((pixel & mask) >> shift) * std::uint64_t{255} / top);
}

Result<Layout> layout_of(Bytes bytes) {
  const Error truncated{ErrorKind::invalid_data, "the file ends too early"};
  if (bytes.size() < 18) return truncated;
  const std::size_t header = number(bytes, 14, 4);
  if (bytes.size() - 14 < header) return truncated;
  Layout layout;
  layout.pixels_at = number(bytes, 10, 4);
  std::uint32_t compression = no_compression;
  std::size_t colours = 0;
  const bool core = header == 12;
  if (core) {
    layout.width = number(bytes, 18, 2);
    layout.height = number(bytes, 20, 2);
    layout.bits = number(bytes, 24, 2);
  } else if (header >= 40) {
    layout.width = static_cast<std::int32_t>(number(bytes, 18, 4));
    layout.height = static_cast<std::int32_t>(number(bytes, 22, 4));
    layout.bottom_up = layout.height > 0;
    layout.height = layout.bottom_up ? layout.height : -layout.height;
    layout.bits = number(bytes, 28, 2);
    compression = number(bytes, 30, 4);
    colours = number(bytes, 46, 4);
  } else {
    return Error{ErrorKind::unsupported, "an unknown kind of header"};
  }
  if (layout.width <= 0 || layout.height <= 0) return Error{ErrorKind::invalid_data, "impossible size"};
  const std::array<unsigned, 7> depths{1, 2, 4, 8, 16, 24, 32};
  if (std::find(depths.begin(), depths.end(), layout.bits) == depths.end()) return Error{ErrorKind::invalid_data, "impossible bit depth"};
  const bool masked = compression == bit_fields || compression == alpha_bit_fields;
  if (compression != no_compression && !(masked && (layout.bits == 16 || layout.bits == 32)))
    return Error{ErrorKind::unsupported, "compressed bitmaps are not read; save it without compression or as PNG"};

  std::size_t palette_at = 14 + header;
  if (masked) {
    // They follow a 40-byte header and lie at the same place inside the later ones.
    const std::size_t count = header >= 56 || compression == alpha_bit_fields ? 4 : 3;
    if (bytes.size() < 54 + 4 * count) return truncated;
    for (std::size_t i = 0; i < count; ++i) layout.masks[i] = number(bytes, 54 + 4 * i, 4);
    palette_at = std::max(palette_at, 54 + 4 * count);
  } else if (layout.bits == 16) {
    layout.masks = {0x7C00, 0x03E0, 0x001F, 0};
  } else if (layout.bits == 32) {
    layout.masks = {0xFF0000, 0x00FF00, 0x0000FF, 0};  // the fourth byte is undefined without masks
  }
  if (layout.bits <= 8) {
    const std::size_t most = std::size_t{1} << layout.bits;
    const std::size_t entry = core ? 3 : 4;
    colours = colours == 0 ? most : std::min(colours, most);
    if (palette_at > bytes.size() || bytes.size() - palette_at < colours * entry) return truncated;
    layout.grey = true;
    for (std::size_t i = 0; i < colours; ++i) {
      const std::size_t at = palette_at + i * entry;
      const auto byte = [&](std::size_t offset) { return std::to_integer<std::uint8_t>(bytes[at + offset]); };
      layout.palette.push_back({byte(2), byte(1), byte(0)});
      layout.grey = layout.grey && byte(0) == byte(1) && byte(1) == byte(2);
    }
    layout.palette.resize(most);  // an index beyond the palette is black
  }
  layout.row_bytes = (static_cast<std::size_t>(layout.width) * layout.bits + 31) / 32 * 4;
  return layout;
}

}  // namespace

Result<Header> read_bmp_header(Bytes bytes) {
  SIGHTLINE_TRY(const Layout layout, layout_of(bytes));
  return Header{.format = Format::bmp,
                .width = static_cast<int>(layout.width),
                .height = static_cast<int>(layout.height),
                .channels = layout.grey ? 1 : 3,
                .bits = layout.bits <= 8 ? static_cast<int>(layout.bits) : 8};
}

Result<Decoded> decode_bmp(Bytes bytes, const DecodeOptions& options) {
  SIGHTLINE_TRY(const Layout layout, layout_of(bytes));
  SIGHTLINE_CHECK(check_size(layout.width, layout.height, options));
  const auto width = static_cast<std::size_t>(layout.width), height = static_cast<std::size_t>(layout.height);
  // Both factors are below 2^31 and 2^33: the product fits.
  if (layout.pixels_at > bytes.size() || (bytes.size() - layout.pixels_at) / layout.row_bytes < height) {
    // The padding of the last row is sometimes left out.
    const std::size_t last = (width * layout.bits + 7) / 8;
    if (layout.pixels_at > bytes.size() || bytes.size() - layout.pixels_at < (height - 1) * layout.row_bytes + last)
      return Error{ErrorKind::invalid_data, "the file ends too early"};
  }
  Decoded decoded;
  Image& image = decoded.image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.channels = layout.grey ? 1 : 3;
  const auto channels = static_cast<std::size_t>(image.channels);
  image.pixels.resize(image.row_bytes() * height);

  // Many writers declare alpha and leave it zero everywhere: such a picture is opaque.
  bool alpha = false;
  const auto pixel_at = [&](std::size_t y, std::size_t x) {
    const std::size_t stored = layout.bottom_up ? height - 1 - y : y;
    return number(bytes, layout.pixels_at + stored * layout.row_bytes + x * (layout.bits / 8), layout.bits / 8);
  };
  if (layout.masks[3] != 0) {
    for (std::size_t y = 0; y < height && !alpha; ++y) {
      for (std::size_t x = 0; x < width && !alpha; ++x) alpha = (pixel_at(y, x) & layout.masks[3]) != 0;
    }
  }
  for (std::size_t y = 0; y < height; ++y) {
    const std::size_t stored = layout.bottom_up ? height - 1 - y : y;
    std::uint8_t* out = image.pixels.data() + y * image.row_bytes();
    for (std::size_t x = 0; x < width; ++x, out += channels) {
      if (layout.bits <= 8) {
        const std::size_t bit = x * layout.bits;
        const auto byte = std::to_integer<unsigned>(bytes[layout.pixels_at + stored * layout.row_bytes + bit / 8]);
        const unsigned index = (byte >> (8 - layout.bits - bit % 8)) & ((1U << layout.bits) - 1U);
        std::copy_n(layout.palette[index].begin(), channels, out);
      } else if (layout.bits == 24) {
        const std::uint32_t pixel = pixel_at(y, x);
        out[0] = static_cast<std::uint8_t>(pixel >> 16);
        out[1] = static_cast<std::uint8_t>(pixel >> 8);
        out[2] = static_cast<std::uint8_t>(pixel);
      } else {
        const std::uint32_t pixel = pixel_at(y, x);
        const unsigned opacity = alpha ? channel(pixel, layout.masks[3]) : 255U;
        for (std::size_t c = 0; c < 3; ++c) out[c] = over_white(channel(pixel, layout.masks[c]), opacity);
      }
    }
  }
  return decoded;
}

}  // namespace sightline::image
