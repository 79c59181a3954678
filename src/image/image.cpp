#include "image/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <opencv2/imgproc.hpp>

#include "base/files.h"
#include "image/codecs.h"
#include "image/opencv.h"

namespace sightline::image {
namespace {

bool has(Bytes bytes, std::size_t at, std::string_view magic) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

bool looks_like_bmp(Bytes bytes) {
  if (!has(bytes, 0, "BM") || bytes.size() < 18) return false;  // two letters alone would take many a text for a picture
  const auto header = std::to_integer<int>(bytes[14]);
  const bool small = bytes[15] == std::byte{0} && bytes[16] == std::byte{0} && bytes[17] == std::byte{0};
  constexpr std::array<int, 7> sizes{12, 40, 52, 56, 64, 108, 124};
  return small && std::find(sizes.begin(), sizes.end(), header) != sizes.end();
}

using namespace std::string_view_literals;

// One row per format that is read.
struct Codec {
  Format format;
  const char* name;
  bool (*recognise)(Bytes);
  Result<Header> (*read_header)(Bytes);
  Result<Decoded> (*decode)(Bytes, const DecodeOptions&);
};
constexpr std::array<Codec, 5> codecs{{
    {Format::jpeg, "JPEG", [](Bytes b) { return has(b, 0, "\xFF\xD8\xFF"sv); }, read_jpeg_header, decode_jpeg},
    {Format::png, "PNG", [](Bytes b) { return has(b, 0, "\x89PNG\r\n\x1A\n"sv); }, read_png_header, decode_png},
    {Format::webp, "WebP", [](Bytes b) { return has(b, 0, "RIFF"sv) && has(b, 8, "WEBP"sv); }, read_webp_header, decode_webp},
    {Format::bmp, "BMP", looks_like_bmp, read_bmp_header, decode_bmp},
    {Format::tiff, "TIFF",
     [](Bytes b) { return has(b, 0, "II*\0"sv) || has(b, 0, "MM\0*"sv) || has(b, 0, "II+\0"sv) || has(b, 0, "MM\0+"sv); }, read_tiff_header,
     decode_tiff},
}};

// Files that people take for pictures, or keep beside them, and that we do not read.
struct Foreign {
  std::size_t at;
  std::string_view magic;
  const char* name;
};
constexpr std::array<Foreign, 15> foreign{{{0, "GIF8"sv, "GIF"},
                                           {4, "ftypavif"sv, "AVIF"},
                                           {4, "ftyphei"sv, "HEIC"},
                                           {4, "ftypmif1"sv, "HEIF"},
                                           {4, "ftyp"sv, "MP4 video"},
                                           {0, "\0\0\0\x0CjP  "sv, "JPEG 2000"},
                                           {0, "\xFF\x4F\xFF\x51"sv, "JPEG 2000"},
                                           {0, "\0\0\0\x0CJXL "sv, "JPEG XL"},
                                           {0, "\xFF\x0A"sv, "JPEG XL"},
                                           {0, "8BPS"sv, "Photoshop"},
                                           {0, "%PDF"sv, "PDF"},
                                           {0, "PK\x03\x04"sv, "ZIP"},
                                           {0, "\x1F\x8B"sv, "gzip"},
                                           {0, "\x93NUMPY"sv, "NumPy"},
                                           {0, "SQLite format 3"sv, "SQLite"}}};

const Codec* codec_of(Bytes bytes) {
  for (const Codec& codec : codecs) {
    if (codec.recognise(bytes)) return &codec;
  }
  return nullptr;
}

Error not_an_image(Bytes bytes) {
  if (bytes.empty()) return {ErrorKind::invalid_data, "not an image (the file is empty)"};
  for (const Foreign& each : foreign) {
    if (has(bytes, each.at, each.magic))
      return {ErrorKind::unsupported, fmt::format("{} files are not read; JPEG, PNG, WebP, BMP and TIFF are", each.name)};
  }
  const Bytes head = bytes.first(std::min<std::size_t>(bytes.size(), 512));
  const bool text = std::all_of(head.begin(), head.end(), [](std::byte b) {
    const auto c = std::to_integer<unsigned>(b);
    return c >= 0x20 || c == '\t' || c == '\n' || c == '\r' || c == '\f';
  });
  return {ErrorKind::invalid_data, text ? "not an image (text)" : "not an image (unknown content)"};
}

}  // namespace

Image upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  return with_opencv([&] {
    const bool turned = orientation >= 5;
    Image result = blank(turned ? image.height : image.width, turned ? image.width : image.height, image.channels);
    cv::Mat target = as_matrix(result);
    if (turned) {
      cv::transpose(as_matrix(image), target);
    } else {
      as_matrix(image).copyTo(target);
    }
    switch (orientation) {
      case 2:
      case 6: cv::flip(target, target, 1); break;
      case 3:
      case 7: cv::flip(target, target, -1); break;
      case 4:
      case 8: cv::flip(target, target, 0); break;
      default: break;
    }
    return result;
  });
}

Result<void> check_size(std::int64_t width, std::int64_t height, const DecodeOptions& options) {
  if (width <= 0 || height <= 0) return Error{ErrorKind::invalid_data, "impossible size"};
  if (width > options.max_pixels / height)
    return Error{ErrorKind::refused, fmt::format("{}×{} pixels are more than the limit of {}", width, height, options.max_pixels)};
  return {};
}

Format format_of(std::span<const std::byte> bytes) {
  const Codec* codec = codec_of(bytes);
  return codec == nullptr ? Format::unknown : codec->format;
}

const char* name_of(Format format) {
  for (const Codec& codec : codecs) {
    if (codec.format == format) return codec.name;
  }
  return "unknown";
}

Result<Header> read_header(std::span<const std::byte> bytes) {
  const Codec* codec = codec_of(bytes);
  if (codec == nullptr) return not_an_image(bytes);
  Result<Header> header = codec->read_header(bytes);
  if (!header.ok()) return header.error().in(codec->name);
  if (header->orientation >= 5) std::swap(header->width, header->height);
  return header;
}

Result<Image> decode(std::span<const std::byte> bytes, const DecodeOptions& options) {
  const Codec* codec = codec_of(bytes);
  if (codec == nullptr) return not_an_image(bytes);
  Result<Decoded> decoded = codec->decode(bytes, options);
  if (!decoded.ok()) return decoded.error().in(codec->name);
  Image image = upright(std::move(decoded->image), decoded->orientation);
  if (options.channels != 0 && options.channels != image.channels) return convert_channels(image, options.channels);
  return image;
}

Result<Image> read_image(const std::string& path, const DecodeOptions& options) {
  SIGHTLINE_TRY(const std::string content, read_file(path));
  Result<Image> image = decode(std::as_bytes(std::span(content)), options);
  if (!image.ok()) return image.error().in(path);
  return image;
}

}  // namespace sightline::image
