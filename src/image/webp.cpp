// WebP (still pictures) through libwebp; EXIF lies in a chunk of its own.
#include <webp/decode.h>
#include <webp/encode.h>

#include <cstring>

#include "image/codecs.h"

namespace sightline::image {
namespace {

std::uint32_t little_endian(Bytes bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::to_integer<std::uint32_t>(bytes[at + i]) << (8 * i);
  return value;
}

int orientation_of(Bytes bytes) {
  std::size_t at = 12;  // after "RIFF", size, "WEBP"
  while (bytes.size() - at >= 8) {
    const std::size_t size = little_endian(bytes, at + 4);
    if (size > bytes.size() - at - 8) return 1;
    if (std::memcmp(bytes.data() + at, "EXIF", 4) == 0) {
      Bytes block = bytes.subspan(at + 8, size);
      if (block.size() > 6 && std::memcmp(block.data(), "Exif\0", 6) == 0) block = block.subspan(6);  // some writers keep JPEG's prefix
      return exif_orientation(block);
    }
    const std::size_t step = 8 + size + (size & 1U);
    if (step > bytes.size() - at) return 1;
    at += step;
  }
  return 1;
}

Result<WebPBitstreamFeatures> features_of(Bytes bytes) {
  if (bytes.size() < 12 || bytes.size() - 8 < little_endian(bytes, 4)) return Error{ErrorKind::invalid_data, "the file ends too early"};
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) return Error{ErrorKind::invalid_data, "the file ends too early"};
  if (status != VP8_STATUS_OK) return Error{ErrorKind::invalid_data, "corrupt header"};
  if (features.has_animation != 0) return Error{ErrorKind::unsupported, "animations are not read; convert it to still pictures"};
  return features;
}

}  // namespace

Result<Header> read_webp_header(Bytes bytes) {
  SIGHTLINE_TRY(const WebPBitstreamFeatures features, features_of(bytes));
  return Header{.format = Format::webp,
                .width = features.width,
                .height = features.height,
                .channels = 3,
                .bits = 8,
                .orientation = orientation_of(bytes)};
}

Result<Decoded> decode_webp(Bytes bytes, const DecodeOptions& options) {
  SIGHTLINE_TRY(const WebPBitstreamFeatures features, features_of(bytes));
  SIGHTLINE_CHECK(check_size(features.width, features.height, options));
  Decoded decoded{.image = {features.width, features.height, 3, {}}, .orientation = options.apply_exif ? orientation_of(bytes) : 1};
  const std::size_t count = static_cast<std::size_t>(features.width) * static_cast<std::size_t>(features.height);
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const bool alpha = features.has_alpha != 0;
  std::vector<std::uint8_t> raw(count * (alpha ? 4 : 3));
  const int stride = features.width * (alpha ? 4 : 3);
  const auto* done = alpha ? WebPDecodeRGBAInto(data, bytes.size(), raw.data(), raw.size(), stride)
                           : WebPDecodeRGBInto(data, bytes.size(), raw.data(), raw.size(), stride);
  if (done == nullptr) return Error{ErrorKind::invalid_data, "corrupt or truncated picture data"};
  if (!alpha) {
    decoded.image.pixels = std::move(raw);
    return decoded;
  }
  decoded.image.pixels.resize(count * 3);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t c = 0; c < 3; ++c) decoded.image.pixels[3 * i + c] = over_white(raw[4 * i + c], raw[4 * i + 3]);
  }
  return decoded;
}

std::string encode_webp(const Image& source, int quality) {
  if (source.width <= 0 || source.height <= 0) return "";
  if (source.channels == 1) return encode_webp(convert_channels(source, 3), quality);
  std::uint8_t* buffer = nullptr;
  const std::size_t size = WebPEncodeRGB(source.pixels.data(), source.width, source.height, static_cast<int>(source.row_bytes()),
                                         static_cast<float>(quality), &buffer);
  std::string bytes(reinterpret_cast<const char*>(buffer), size);
  WebPFree(buffer);
  return bytes;
}

}  // namespace sightline::image
