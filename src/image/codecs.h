// What the codecs of this folder have in common. Internal: others include image/image.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "image/image.h"

namespace sightline::image {

using Bytes = std::span<const std::byte>;

// Pixels in storage order: image.cpp turns them upright and converts the channels that the codec did not.
struct Decoded {
  Image image;
  int orientation = 1;  // EXIF, 1..8
};

// Width and height of a Header are as stored; image.cpp swaps them by the orientation. Codecs check the size against
// DecodeOptions::max_pixels before they allocate, and report truncated input as invalid_data.
Result<Header> read_jpeg_header(Bytes bytes);
Result<Decoded> decode_jpeg(Bytes bytes, const DecodeOptions& options);
Result<Header> read_png_header(Bytes bytes);
Result<Decoded> decode_png(Bytes bytes, const DecodeOptions& options);
Result<Header> read_webp_header(Bytes bytes);
Result<Decoded> decode_webp(Bytes bytes, const DecodeOptions& options);
Result<Header> read_bmp_header(Bytes bytes);
Result<Decoded> decode_bmp(Bytes bytes, const DecodeOptions& options);
Result<Header> read_tiff_header(Bytes bytes);
Result<Decoded> decode_tiff(Bytes bytes, const DecodeOptions& options);

// Orientation 1..8 of an EXIF block (the TIFF structure that follows "Exif\0\0"); 1 when it says nothing usable.
int exif_orientation(Bytes block);
// EXIF 2.32, tag 0x0112: what the stored rows and columns show, and so what turns them upright.
Image upright(Image image, int orientation);
// Error refused when width × height is above options.max_pixels, invalid_data when one of them is not positive.
Result<void> check_size(std::int64_t width, std::int64_t height, const DecodeOptions& options);
// One sample of alpha laid over white; value is not premultiplied.
inline std::uint8_t over_white(unsigned value, unsigned alpha) {
  return static_cast<std::uint8_t>((value * alpha + 255U * (255U - alpha) + 127U) / 255U);
}

}  // namespace sightline::image
