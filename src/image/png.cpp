// PNG through libpng. Its errors leave by longjmp, as libjpeg's do (jpeg.cpp).
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "image/codecs.h"
#include "image/levels.h"

namespace sightline::image {
namespace {

struct Failure {
  std::jmp_buf escape;
  char message[200];
};

[[noreturn]] void fail(png_structp png, png_const_charp message) {
  auto* failure = static_cast<Failure*>(png_get_error_ptr(png));
  std::snprintf(failure->message, sizeof failure->message, "%s", message);
  std::longjmp(failure->escape, 1);
}
void ignore_warning(png_structp, png_const_charp) {}

template <class Work>
bool guarded(Failure& failure, const Work& work) {
  if (setjmp(failure.escape) != 0) return false;
  work();
  return true;
}

struct Source {
  const std::byte* data;
  std::size_t left;
};

void take(png_structp png, png_bytep target, std::size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->left) png_error(png, "the file ends too early");
  std::memcpy(target, source->data, count);
  source->data += count;
  source->left -= count;
}

struct Reader {
  Failure failure{};
  Source source{};
  png_structp png = nullptr;
  png_infop info = nullptr;

  Reader() = default;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<void> open(Bytes bytes) {
    source = {bytes.data(), bytes.size()};
    const bool ok = guarded(failure, [&] {
      png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure, fail, ignore_warning);
      if (png == nullptr) return;
      info = png_create_info_struct(png);
      if (info == nullptr) return;
      png_set_read_fn(png, &source, take);
      png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);  // check_size() decides
      // Texts and profiles may be compressed bombs, and we need none of them.
      static constexpr png_byte unwanted[] = "iCCP\0iTXt\0sPLT\0tEXt\0zTXt";
      png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, unwanted, 5);
      png_read_info(png, info);
    });
    if (png == nullptr || info == nullptr) return Error{ErrorKind::internal, "libpng could not start"};
    if (!ok) return Error{ErrorKind::invalid_data, failure.message};
    return {};
  }

  // The eXIf chunk may also stand after the pixels; then it is known only once everything is read.
  int orientation() {
    png_bytep block = nullptr;
    png_uint_32 size = 0;
    if (png_get_eXIf_1(png, info, &size, &block) == 0 || block == nullptr) return 1;
    return exif_orientation(std::as_bytes(std::span(block, size)));
  }
};

void write_to(png_structp png, png_bytep data, std::size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(data), count);
}
void flush(png_structp) {}

}  // namespace

Result<Header> read_png_header(Bytes bytes) {
  Reader reader;
  SIGHTLINE_CHECK(reader.open(bytes));
  const bool grey = (png_get_color_type(reader.png, reader.info) & PNG_COLOR_MASK_COLOR) == 0;
  return Header{.format = Format::png,
                .width = static_cast<int>(png_get_image_width(reader.png, reader.info)),
                .height = static_cast<int>(png_get_image_height(reader.png, reader.info)),
                .channels = grey ? 1 : 3,
                .bits = png_get_bit_depth(reader.png, reader.info),
                .orientation = reader.orientation()};
}

Result<Decoded> decode_png(Bytes bytes, const DecodeOptions& options) {
  Reader reader;
  SIGHTLINE_CHECK(reader.open(bytes));
  const auto width = static_cast<std::int64_t>(png_get_image_width(reader.png, reader.info));
  const auto height = static_cast<std::int64_t>(png_get_image_height(reader.png, reader.info));
  SIGHTLINE_CHECK(check_size(width, height, options));
  const bool prepared = guarded(reader.failure, [&] {
    png_set_expand(reader.png);    // palette to RGB, fewer than 8 bits to 8, tRNS to alpha
    png_set_scale_16(reader.png);  // rounds; png_set_strip_16 would cut
    png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
  });
  if (!prepared) return Error{ErrorKind::invalid_data, reader.failure.message};

  const std::size_t stored = png_get_channels(reader.png, reader.info);  // 1, 2 (grey and alpha), 3, 4 (RGB and alpha)
  Decoded decoded;
  Image& image = decoded.image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.channels = stored < 3 ? 1 : 3;
  const auto count = static_cast<std::size_t>(width * height);
  std::vector<std::uint8_t> raw(count * stored);
  std::vector<png_bytep> rows(static_cast<std::size_t>(height));
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = raw.data() + y * static_cast<std::size_t>(width) * stored;
  const bool finished = guarded(reader.failure, [&] {
    png_read_image(reader.png, rows.data());
    png_read_end(reader.png, reader.info);
  });
  if (!finished) return Error{ErrorKind::invalid_data, reader.failure.message};

  if (stored == 1 || stored == 3) {
    image.pixels = std::move(raw);
  } else {
    const std::size_t colours = stored - 1;
    image.pixels.resize(count * colours);
    for (std::size_t i = 0; i < count; ++i) {
      const unsigned alpha = raw[i * stored + colours];
      for (std::size_t c = 0; c < colours; ++c) image.pixels[i * colours + c] = over_white(raw[i * stored + c], alpha);
    }
  }
  if (options.apply_exif) decoded.orientation = reader.orientation();
  return decoded;
}

namespace {

// rows: big-endian samples of this many bits.
std::string encode(int width, int height, int bits, int colour, std::vector<png_bytep>& rows) {
  Failure failure{};
  std::string bytes;
  png_structp png = nullptr;
  png_infop info = nullptr;
  const bool ok = guarded(failure, [&] {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, fail, ignore_warning);
    if (png == nullptr) return;
    info = png_create_info_struct(png);
    if (info == nullptr) return;
    png_set_write_fn(png, &bytes, write_to, flush);
    png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);
    png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), bits, colour, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_write_image(png, rows.data());
    png_write_end(png, info);
  });
  const bool complete = ok && info != nullptr;
  png_destroy_write_struct(&png, &info);
  if (!complete) bytes.clear();
  return bytes;
}

std::vector<png_bytep> rows_of(const std::uint8_t* pixels, int height, std::size_t row_bytes) {
  std::vector<png_bytep> rows(static_cast<std::size_t>(height));
  // libpng has no constant rows; it only reads them.
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = const_cast<png_bytep>(pixels + y * row_bytes);
  return rows;
}

}  // namespace

std::string encode_png(const Image& source) {
  if (source.width <= 0 || source.height <= 0) return "";
  std::vector<png_bytep> rows = rows_of(source.pixels.data(), source.height, source.row_bytes());
  return encode(source.width, source.height, 8, source.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, rows);
}

std::string encode_levels(const Levels& levels) {
  if (levels.width <= 0 || levels.height <= 0) return "";
  const std::size_t bytes = levels.bits == 16 ? 2 : 1;
  std::vector<std::uint8_t> samples;
  samples.reserve(levels.values.size() * bytes);
  for (const std::uint16_t value : levels.values) {
    if (bytes == 2) samples.push_back(static_cast<std::uint8_t>(value >> 8U));
    samples.push_back(static_cast<std::uint8_t>(value & 0xFFU));
  }
  std::vector<png_bytep> rows = rows_of(samples.data(), levels.height, static_cast<std::size_t>(levels.width) * bytes);
  return encode(levels.width, levels.height, levels.bits == 16 ? 16 : 8, PNG_COLOR_TYPE_GRAY, rows);
}

Result<Levels> decode_levels(Bytes bytes) {
  if (format_of(bytes) != Format::png)
    return Error{ErrorKind::invalid_data, "a mask is a PNG: other forms change its numbers, or have none"};
  Reader reader;
  SIGHTLINE_CHECK(reader.open(bytes));
  const auto width = static_cast<std::int64_t>(png_get_image_width(reader.png, reader.info));
  const auto height = static_cast<std::int64_t>(png_get_image_height(reader.png, reader.info));
  SIGHTLINE_CHECK(check_size(width, height, {}));
  const bool prepared = guarded(reader.failure, [&] {
    png_set_packing(reader.png);  // fewer than 8 bits to a byte each, the numbers as they are
    png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
  });
  if (!prepared) return Error{ErrorKind::invalid_data, reader.failure.message};
  const std::size_t channels = png_get_channels(reader.png, reader.info);
  Levels levels{.width = static_cast<int>(width), .height = static_cast<int>(height)};
  levels.bits = png_get_bit_depth(reader.png, reader.info) == 16 ? 16 : 8;
  const std::size_t sample = levels.bits == 16 ? 2 : 1, stride = channels * sample;
  const auto count = static_cast<std::size_t>(width * height);
  std::vector<std::uint8_t> raw(count * stride);
  std::vector<png_bytep> rows = rows_of(raw.data(), levels.height, static_cast<std::size_t>(width) * stride);
  const bool finished = guarded(reader.failure, [&] {
    png_read_image(reader.png, rows.data());
    png_read_end(reader.png, reader.info);
  });
  if (!finished) return Error{ErrorKind::invalid_data, reader.failure.message};
  levels.values.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* pixel = raw.data() + i * stride;
    if (channels >= 3 && (!std::equal(pixel, pixel + sample, pixel + sample) || !std::equal(pixel, pixel + sample, pixel + 2 * sample)))
      return Error{ErrorKind::unsupported, "the mask is in colours, and which class each stands for is not said; write class numbers"};
    levels.values[i] = static_cast<std::uint16_t>(sample == 2 ? pixel[0] * 256 + pixel[1] : pixel[0]);
  }
  return levels;
}

}  // namespace sightline::image
