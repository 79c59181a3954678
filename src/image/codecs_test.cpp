// Every format at every depth, written here by the format's own library or by hand, and read back.
#include "image/codecs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <png.h>
#include <tiffio.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

// clang-format off
#include <jpeglib.h>
// clang-format on

#include "base/files.h"
#include "base/random.h"

namespace sightline::image {
namespace {

using testing::HasSubstr;

Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string number(std::uint64_t value, std::size_t size, bool big_endian = false) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * (big_endian ? size - 1 - i : i)));
  return out;
}

// Nothing may crash, and a cut file is no picture (unless the cut takes only what follows the pixels).
void cut_and_damage(const std::string& content, const char* what, bool every_cut_fails = true) {
  for (std::size_t length = 0; length < content.size(); ++length) {
    const std::vector<char> cut(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(length));
    const auto image = decode(std::as_bytes(std::span(cut)));
    static_cast<void>(read_header(std::as_bytes(std::span(cut))));
    ASSERT_FALSE(every_cut_fails && image.ok()) << what << " cut to " << length << " of " << content.size();
  }
  Random random(content.size());
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<char> damaged(content.begin(), content.end());
    for (std::uint64_t i = 1 + random.below(3); i > 0; --i) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    const auto image = decode(std::as_bytes(std::span(damaged)), {.max_pixels = 1 << 20});
    ASSERT_TRUE(!image.ok() || image->pixels.size() == image->row_bytes() * static_cast<std::size_t>(image->height)) << what;
  }
}

// ---- PNG

struct PngKind {
  int colour, bits;
  std::size_t samples;  // per pixel
};

std::string write_png(const PngKind& kind, int width, int height, const std::vector<unsigned>& samples, bool interlaced, bool transparent) {
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp p, png_bytep data, std::size_t size) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<const char*>(data), size);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), kind.bits, kind.colour,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> palette;
  for (int i = 0; i < 1 << std::min(kind.bits, 8); ++i)
    palette.push_back({static_cast<png_byte>(i * 7), static_cast<png_byte>(255 - i), static_cast<png_byte>(i * 3)});
  std::vector<png_byte> alphas(palette.size(), 255);
  alphas[0] = 0;
  alphas[1] = 100;
  if (kind.colour == PNG_COLOR_TYPE_PALETTE) {
    png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
    if (transparent) png_set_tRNS(png, info, alphas.data(), static_cast<int>(alphas.size()), nullptr);
  }
  png_write_info(png, info);
  const std::size_t row_samples = static_cast<std::size_t>(width) * kind.samples;
  std::vector<std::vector<png_byte>> rows;
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
    std::vector<png_byte> row(row_samples * static_cast<std::size_t>(std::max(kind.bits, 8)) / 8 + 1);
    for (std::size_t i = 0; i < row_samples; ++i) {
      const unsigned value = samples[y * row_samples + i];
      if (kind.bits == 16) {
        row[2 * i] = static_cast<png_byte>(value >> 8);
        row[2 * i + 1] = static_cast<png_byte>(value);
      } else {
        const std::size_t bit = i * static_cast<std::size_t>(kind.bits);
        row[bit / 8] = static_cast<png_byte>(row[bit / 8] | value << (8 - static_cast<std::size_t>(kind.bits) - bit % 8));
      }
    }
    rows.push_back(std::move(row));
  }
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

TEST(Png, EveryColourTypeAndDepth) {
  const std::vector<PngKind> kinds{{PNG_COLOR_TYPE_GRAY, 1, 1},        {PNG_COLOR_TYPE_GRAY, 2, 1},      {PNG_COLOR_TYPE_GRAY, 4, 1},
                                   {PNG_COLOR_TYPE_GRAY, 8, 1},        {PNG_COLOR_TYPE_GRAY, 16, 1},     {PNG_COLOR_TYPE_RGB, 8, 3},
                                   {PNG_COLOR_TYPE_RGB, 16, 3},        {PNG_COLOR_TYPE_PALETTE, 1, 1},   {PNG_COLOR_TYPE_PALETTE, 2, 1},
                                   {PNG_COLOR_TYPE_PALETTE, 4, 1},     {PNG_COLOR_TYPE_PALETTE, 8, 1},   {PNG_COLOR_TYPE_GRAY_ALPHA, 8, 2},
                                   {PNG_COLOR_TYPE_GRAY_ALPHA, 16, 2}, {PNG_COLOR_TYPE_RGB_ALPHA, 8, 4}, {PNG_COLOR_TYPE_RGB_ALPHA, 16, 4}};
  constexpr int width = 13, height = 5;
  for (const PngKind& kind : kinds) {
    for (const bool interlaced : {false, true}) {
      for (const bool transparent : {false, true}) {
        const bool palette = kind.colour == PNG_COLOR_TYPE_PALETTE;
        if (transparent && !palette) continue;
        SCOPED_TRACE(
            fmt::format("colour type {}, {} bits, interlaced {}, transparent {}", kind.colour, kind.bits, interlaced, transparent));
        Random random(static_cast<std::uint64_t>(kind.bits));
        std::vector<unsigned> samples(width * height * kind.samples);
        for (unsigned& sample : samples) sample = static_cast<unsigned>(random.below(1ULL << kind.bits));
        const std::string content = write_png(kind, width, height, samples, interlaced, transparent);
        const auto image = decode(bytes_of(content));
        ASSERT_TRUE(image.ok()) << image.error().message;
        const bool alpha = (kind.colour & PNG_COLOR_MASK_ALPHA) != 0;
        const std::size_t colours = palette ? 3 : kind.samples - (alpha ? 1 : 0);
        ASSERT_EQ(image->channels, static_cast<int>(colours));
        const auto eight = [&](unsigned value) { return static_cast<unsigned>(std::lround(value * 255.0 / ((1 << kind.bits) - 1))); };
        for (std::size_t i = 0; i < width * height; ++i) {
          const unsigned index = samples[i * kind.samples];
          unsigned opacity = alpha ? eight(samples[i * kind.samples + kind.samples - 1]) : 255;
          if (transparent) opacity = index == 0 ? 0 : index == 1 ? 100 : 255;
          const unsigned entry[3] = {index * 7 & 255U, 255 - index, index * 3 & 255U};
          for (std::size_t c = 0; c < colours; ++c) {
            const unsigned colour = palette ? entry[c] : eight(samples[i * kind.samples + c]);
            ASSERT_EQ(image->pixels[i * colours + c], std::lround((colour * opacity + 255.0 * (255 - opacity)) / 255)) << i;
          }
        }
        const auto header = read_header(bytes_of(content));
        ASSERT_TRUE(header.ok());
        EXPECT_EQ(header->width, width);
        EXPECT_EQ(header->height, height);
        EXPECT_EQ(header->bits, kind.bits);
        EXPECT_EQ(header->channels, static_cast<int>(colours));
        cut_and_damage(content, "PNG");
      }
    }
  }
}

// ---- JPEG

std::string write_jpeg(int channels, J_COLOR_SPACE in, const std::function<void(jpeg_compress_struct&)>& adjust,
                       const std::vector<JSAMPLE>& colour) {
  jpeg_error_mgr errors;
  jpeg_compress_struct info{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = info.image_height = 24;
  info.input_components = channels;
  info.in_color_space = in;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  adjust(info);
  jpeg_start_compress(&info, TRUE);
  std::vector<JSAMPLE> row;
  for (int x = 0; x < 24; ++x) row.insert(row.end(), colour.begin(), colour.end());
  while (info.next_scanline < 24) {
    JSAMPROW pointer = row.data();
    jpeg_write_scanlines(&info, &pointer, 1);
  }
  jpeg_finish_compress(&info);
  std::string out(reinterpret_cast<const char*>(buffer), size);
  jpeg_destroy_compress(&info);
  std::free(buffer);
  return out;
}

void expect_colour(const std::string& content, const std::vector<int>& colour) {
  const auto image = decode(bytes_of(content));
  ASSERT_TRUE(image.ok()) << image.error().message;
  ASSERT_EQ(image->channels, static_cast<int>(colour.size()));
  for (std::size_t i = 0; i < image->pixels.size(); ++i) ASSERT_NEAR(image->pixels[i], colour[i % colour.size()], 3) << i;
}

TEST(Jpeg, EveryColourSpace) {
  const auto plain = [](jpeg_compress_struct&) {};
  expect_colour(write_jpeg(3, JCS_RGB, plain, {200, 100, 50}), {200, 100, 50});
  expect_colour(write_jpeg(1, JCS_GRAYSCALE, plain, {77}), {77});
  expect_colour(write_jpeg(3, JCS_RGB, [](auto& info) { jpeg_set_colorspace(&info, JCS_RGB); }, {200, 100, 50}), {200, 100, 50});
  expect_colour(write_jpeg(3, JCS_RGB, [](auto& info) { jpeg_simple_progression(&info); }, {200, 100, 50}), {200, 100, 50});
  expect_colour(write_jpeg(3, JCS_RGB, [](auto& info) { info.arith_code = TRUE; }, {200, 100, 50}), {200, 100, 50});
}

TEST(Jpeg, CmykInvertedAsAdobeWritesItAndNot) {
  // Adobe: 255 is no ink. Cyan 200, magenta 100, yellow 50 without black is that very colour in RGB; half black halves it.
  const auto adobe = [](jpeg_compress_struct&) {};
  const auto ycck = [](jpeg_compress_struct& info) { jpeg_set_colorspace(&info, JCS_YCCK); };
  const auto without_marker = [](jpeg_compress_struct& info) { info.write_Adobe_marker = FALSE; };
  expect_colour(write_jpeg(4, JCS_CMYK, adobe, {200, 100, 50, 255}), {200, 100, 50});
  expect_colour(write_jpeg(4, JCS_CMYK, adobe, {200, 100, 50, 128}), {100, 50, 25});
  expect_colour(write_jpeg(4, JCS_CMYK, ycck, {200, 100, 50, 255}), {200, 100, 50});
  expect_colour(write_jpeg(4, JCS_CMYK, without_marker, {55, 155, 205, 0}), {200, 100, 50});
  cut_and_damage(write_jpeg(4, JCS_CMYK, ycck, {200, 100, 50, 128}), "CMYK JPEG");
  cut_and_damage(write_jpeg(3, JCS_RGB, [](auto& info) { jpeg_simple_progression(&info); }, {9, 99, 199}), "progressive JPEG");
}

TEST(Jpeg, TooManyScansAreRefused) {
  static const jpeg_scan_info scans[2]{{1, {0}, 0, 0, 0, 0}, {1, {0}, 1, 63, 0, 0}};
  std::string content = write_jpeg(1, JCS_GRAYSCALE,
                                   [](auto& info) {
                                     info.scan_info = scans;
                                     info.num_scans = 2;
                                   },
                                   {77});
  content.resize(content.size() - 2);
  // The last scan over and over: some twenty bytes that each cost a pass over the picture.
  const std::string last = content.substr(content.rfind("\xFF\xDA"));
  const auto repeated = [&](int times) {
    std::string file = content;
    for (int i = 0; i < times; ++i) file += last;
    return decode(bytes_of(file + "\xFF\xD9"));
  };
  EXPECT_TRUE(repeated(100).ok());
  ASSERT_FALSE(repeated(600).ok());
  EXPECT_EQ(repeated(600).error().message, "JPEG: more than 500 scans");
}

// ---- BMP

struct Bmp {
  int width, height;  // height < 0: top down
  int bits;
  std::uint32_t compression = 0;
  std::vector<std::uint32_t> masks;
  std::vector<std::uint32_t> palette;
  std::uint32_t header = 40;

  std::string file(const std::string& rows) const {
    std::string tail;
    for (const std::uint32_t mask : masks) tail += number(mask, 4);
    if (header > 40) tail.resize(header - 40, '\0');
    for (const std::uint32_t entry : palette) tail += number(entry, 4);
    const std::string head = number(header, 4) + number(static_cast<std::uint32_t>(width), 4) +
                             number(static_cast<std::uint32_t>(height), 4) + number(1, 2) + number(static_cast<std::uint64_t>(bits), 2) +
                             number(compression, 4) + std::string(12, '\0') + number(palette.size(), 4) + number(0, 4);
    return "BM" + number(14 + head.size() + tail.size() + rows.size(), 4) + number(0, 4) + number(14 + head.size() + tail.size(), 4) +
           head + tail + rows;
  }
};

void expect_pixels(const std::string& content, int channels, const std::vector<int>& pixels) {
  const auto image = decode(bytes_of(content));
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_EQ(image->channels, channels);
  EXPECT_EQ(std::vector<int>(image->pixels.begin(), image->pixels.end()), pixels);
  const auto header = read_header(bytes_of(content));
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->width, image->width);
  EXPECT_EQ(header->height, image->height);
  EXPECT_EQ(header->channels, image->channels);
  cut_and_damage(content, "BMP", false);
}

TEST(Bmp, EveryDepth) {
  // 3×2, bottom row first, each row padded to 4 bytes.
  {
    SCOPED_TRACE("1 bit");
    expect_pixels(Bmp{3, 2, 1, 0, {}, {0x000000, 0xFFFFFF}}.file(std::string("\xA0\0\0\0\x40\0\0\0", 8)), 1, {0, 255, 0, 255, 0, 255});
  }
  {
    SCOPED_TRACE("2 bits");
    expect_pixels(Bmp{3, 2, 2, 0, {}, {0, 0x555555, 0xAAAAAA, 0xFFFFFF}}.file(std::string("\x1B\0\0\0\xE4\0\0\0", 8)), 1,
                  {255, 170, 85, 0, 85, 170});
  }
  {
    SCOPED_TRACE("4 bits, an index beyond the palette");
    expect_pixels(Bmp{3, 2, 4, 0, {}, {0x0000FF, 0x00FF00}}.file(std::string("\x01\0\0\0\x10\xF0\0\0", 8)), 3,
                  {0, 255, 0, 0, 0, 255, 0, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0, 255});
  }
  {
    SCOPED_TRACE("8 bits, top down");
    expect_pixels(Bmp{3, -2, 8, 0, {}, {0, 0x102030}}.file(std::string("\0\1\0\0\1\0\1\0", 8)), 3,
                  {0, 0, 0, 0x10, 0x20, 0x30, 0, 0, 0, 0x10, 0x20, 0x30, 0, 0, 0, 0x10, 0x20, 0x30});
  }
  {
    SCOPED_TRACE("16 bits, 5-5-5");
    expect_pixels(Bmp{1, 1, 16}.file(number(31U << 10 | 16U << 5, 4)), 3, {255, 131, 0});
  }
  {
    SCOPED_TRACE("16 bits, 5-6-5");
    expect_pixels(Bmp{1, 1, 16, 3, {0xF800, 0x07E0, 0x001F}}.file(number(63U << 5 | 31U, 4)), 3, {0, 255, 255});
  }
  {
    SCOPED_TRACE("24 bits");
    expect_pixels(Bmp{1, 2, 24}.file(std::string("\1\2\3\0\4\5\6\0", 8)), 3, {6, 5, 4, 3, 2, 1});
  }
  {
    SCOPED_TRACE("32 bits, the fourth byte means nothing");
    expect_pixels(Bmp{1, 2, 32}.file(std::string("\1\2\3\0\4\5\6\x80", 8)), 3, {6, 5, 4, 3, 2, 1});
  }
  {
    SCOPED_TRACE("32 bits with alpha, version 4 header");
    expect_pixels(Bmp{1, 2, 32, 3, {0xFF0000, 0xFF00, 0xFF, 0xFF000000}, {}, 108}.file(std::string("\1\2\3\xFF\4\5\6\0", 8)), 3,
                  {255, 255, 255, 3, 2, 1});
  }
  {
    SCOPED_TRACE("32 bits, alpha declared and zero everywhere");
    expect_pixels(Bmp{1, 2, 32, 3, {0xFF0000, 0xFF00, 0xFF, 0xFF000000}, {}, 108}.file(std::string("\1\2\3\0\4\5\6\0", 8)), 3,
                  {6, 5, 4, 3, 2, 1});
  }
}

TEST(Bmp, WhatIsNotRead) {
  EXPECT_EQ(decode(bytes_of(Bmp{4, 4, 8, 1, {}, {0, 1}}.file("xxxx"))).error().kind, ErrorKind::unsupported);
  EXPECT_EQ(decode(bytes_of(Bmp{30000, 30000, 24}.file("xxxx"))).error().kind, ErrorKind::refused);
  EXPECT_THAT(decode(bytes_of(Bmp{3000, 3000, 24}.file("xxxx"))).error().message, HasSubstr("ends too early"));
  EXPECT_FALSE(decode(bytes_of(Bmp{0, 4, 24}.file("xxxx"))).ok());
  EXPECT_FALSE(decode(bytes_of(Bmp{4, std::numeric_limits<int>::min(), 24}.file("xxxx"))).ok());
  EXPECT_FALSE(decode(bytes_of(Bmp{4, 4, 7}.file("xxxx"))).ok());
}

// ---- TIFF

std::string write_tiff(int width, int height, int bits, int samples, int photometric, const std::string& rows,
                       const std::function<void(TIFF*)>& adjust = {}) {
  std::string path = (std::filesystem::temp_directory_path() / "sightline-tiff-XXXXXX").string();
  ::close(::mkstemp(path.data()));
  TIFF* tiff = TIFFOpen(path.c_str(), "w");
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, height);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, bits);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, samples);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, photometric);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  if (adjust) adjust(tiff);
  const std::size_t row = rows.size() / static_cast<std::size_t>(height);
  for (int y = 0; y < height; ++y)
    TIFFWriteScanline(tiff, const_cast<char*>(rows.data() + static_cast<std::size_t>(y) * row), static_cast<std::uint32_t>(y), 0);
  TIFFClose(tiff);
  std::string content = *read_file(path);
  std::filesystem::remove(path);
  return content;
}

std::vector<int> tiff_pixels(const std::string& content, int channels) {
  const auto image = decode(bytes_of(content));
  EXPECT_TRUE(image.ok()) << image.error().message;
  if (!image.ok()) return {};
  EXPECT_EQ(image->channels, channels);
  cut_and_damage(content, "TIFF", false);
  return {image->pixels.begin(), image->pixels.end()};
}

TEST(Tiff, EveryKind) {
  using testing::ElementsAre;
  const std::string two = number(0, 2) + number(65535, 2), middle = number(32896, 2);
  EXPECT_THAT(tiff_pixels(write_tiff(2, 1, 8, 1, PHOTOMETRIC_MINISBLACK, "\x05\xF0"), 1), ElementsAre(5, 240));
  EXPECT_THAT(tiff_pixels(write_tiff(2, 1, 8, 1, PHOTOMETRIC_MINISWHITE, "\x05\xF0"), 1), ElementsAre(250, 15));
  EXPECT_THAT(tiff_pixels(write_tiff(4, 1, 1, 1, PHOTOMETRIC_MINISBLACK, "\xA0"), 1), ElementsAre(255, 0, 255, 0));
  EXPECT_THAT(tiff_pixels(write_tiff(3, 1, 16, 1, PHOTOMETRIC_MINISBLACK, two + middle), 1), ElementsAre(0, 255, 128));
  EXPECT_THAT(tiff_pixels(write_tiff(1, 1, 8, 3, PHOTOMETRIC_RGB, "\x01\x02\x03"), 3), ElementsAre(1, 2, 3));
  EXPECT_THAT(tiff_pixels(write_tiff(1, 1, 16, 3, PHOTOMETRIC_RGB, two + middle), 3), ElementsAre(0, 255, 128));
  EXPECT_THAT(tiff_pixels(write_tiff(1, 1, 8, 4, PHOTOMETRIC_SEPARATED, std::string("\x37\x9B\xCD\x00", 4),
                                     [](TIFF* t) { TIFFSetField(t, TIFFTAG_INKSET, INKSET_CMYK); }),
                          3),
              ElementsAre(200, 100, 50));
  const auto palette = [](TIFF* t) {
    std::vector<std::uint16_t> red(256), green(256), blue(256);
    for (std::size_t i = 0; i < 256; ++i) {
      red[i] = static_cast<std::uint16_t>(i * 257);
      green[i] = static_cast<std::uint16_t>((255 - i) * 257);
      blue[i] = 257;
    }
    TIFFSetField(t, TIFFTAG_COLORMAP, red.data(), green.data(), blue.data());
  };
  EXPECT_THAT(tiff_pixels(write_tiff(2, 1, 8, 1, PHOTOMETRIC_PALETTE, "\x05\xF0", palette), 3), ElementsAre(5, 250, 1, 240, 15, 1));
  const auto alpha = [](std::uint16_t kind) { return [kind](TIFF* t) { TIFFSetField(t, TIFFTAG_EXTRASAMPLES, 1, &kind); }; };
  EXPECT_THAT(tiff_pixels(write_tiff(1, 1, 8, 4, PHOTOMETRIC_RGB, std::string("\x64\xC8\x00\x00", 4), alpha(EXTRASAMPLE_UNASSALPHA)), 3),
              ElementsAre(255, 255, 255));
  EXPECT_THAT(tiff_pixels(write_tiff(1, 1, 8, 4, PHOTOMETRIC_RGB, "\x32\x64\x01\x80", alpha(EXTRASAMPLE_ASSOCALPHA)), 3),
              ElementsAre(0x32 + 127, 0x64 + 127, 128));
  for (const int compression : {COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS}) {
    EXPECT_THAT(tiff_pixels(write_tiff(2, 2, 8, 1, PHOTOMETRIC_MINISBLACK, "\x05\xF0\x07\x08",
                                       [&](TIFF* t) { TIFFSetField(t, TIFFTAG_COMPRESSION, compression); }),
                            1),
                ElementsAre(5, 240, 7, 8));
  }
}

TEST(Tiff, WhatIsNotRead) {
  const std::string floats = write_tiff(1, 1, 32, 1, PHOTOMETRIC_MINISBLACK, std::string("\0\0\x80\x3F", 4),
                                        [](TIFF* t) { TIFFSetField(t, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_IEEEFP); });
  const auto image = decode(bytes_of(floats));
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(image.error().message, testing::StartsWith("TIFF: "));
}

// ---- Orientation

std::string exif(int orientation, bool big_endian) {
  const auto n = [&](std::uint64_t value, std::size_t size) { return number(value, size, big_endian); };
  return (big_endian ? std::string("MM\0*", 4) : std::string("II*\0", 4)) + n(8, 4) + n(1, 2) + n(0x0112, 2) + n(3, 2) + n(1, 4) +
         n(static_cast<std::uint64_t>(orientation), 2) + n(0, 2) + n(0, 4);
}

std::string png_chunk(const std::string& name, const std::string& data) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : name + data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return number(data.size(), 4, true) + name + data + number(~crc, 4, true);
}

std::string with_exif(const Image& image, Format format, int orientation) {
  if (format == Format::jpeg) {
    std::string content = encode_jpeg(image, 100);
    const std::string block = std::string("Exif\0\0", 6) + exif(orientation, true);
    return content.insert(2, "\xFF\xE1" + number(block.size() + 2, 2, true) + block);
  }
  if (format == Format::png) {
    std::string content = encode_png(image);
    return content.insert(8 + 25, png_chunk("eXIf", exif(orientation, false)));
  }
  if (format == Format::webp) {
    const std::string still = encode_webp(image, 100);
    std::string block = exif(orientation, false);
    const std::size_t size = block.size();
    if (size % 2 != 0) block += '\0';
    const std::string body = "WEBPVP8X" + number(10, 4) + number(8, 4) + number(static_cast<std::uint64_t>(image.width - 1), 3) +
                             number(static_cast<std::uint64_t>(image.height - 1), 3) + still.substr(12) + "EXIF" + number(size, 4) + block;
    return "RIFF" + number(body.size(), 4) + body;
  }
  return write_tiff(image.width, image.height, 8, 1, PHOTOMETRIC_MINISBLACK, std::string(image.pixels.begin(), image.pixels.end()),
                    [&](TIFF* t) { TIFFSetField(t, TIFFTAG_ORIENTATION, orientation); });
}

// What is stored when the picture `seen` is held by a camera that writes `orientation`: EXIF 2.32 says where the stored row 0 and column 0
// are on the picture as seen.
Image stored_as(const Image& seen, int orientation) {
  const bool turned = orientation >= 5;
  Image stored{turned ? seen.height : seen.width, turned ? seen.width : seen.height, 1, {}};
  const bool row_at_bottom = orientation == 3 || orientation == 4, row_at_right = orientation == 6 || orientation == 7;
  const bool column_at_right = orientation == 2 || orientation == 3, column_at_bottom = orientation == 7 || orientation == 8;
  for (int row = 0; row < stored.height; ++row) {
    for (int column = 0; column < stored.width; ++column) {
      const int x = turned ? (row_at_right ? seen.width - 1 - row : row) : (column_at_right ? seen.width - 1 - column : column);
      const int y = turned ? (column_at_bottom ? seen.height - 1 - column : column) : (row_at_bottom ? seen.height - 1 - row : row);
      stored.pixels.push_back(seen.pixels[static_cast<std::size_t>(y * seen.width + x)]);
    }
  }
  return stored;
}

TEST(Orientation, AllEightInEveryFormatThatHasThem) {
  Image seen{24, 16, 1, {}};  // a bright corner and a grey bar: no symmetry
  for (int i = 0; i < 24 * 16; ++i) seen.pixels.push_back(i % 24 < 8 && i / 24 < 8 ? 250 : i / 24 >= 8 ? 120 : 20);
  for (const Format format : {Format::jpeg, Format::png, Format::webp, Format::tiff}) {
    for (int orientation = 1; orientation <= 8; ++orientation) {
      SCOPED_TRACE(fmt::format("{} with orientation {}", name_of(format), orientation));
      const Image stored = stored_as(seen, orientation);
      const std::string content = with_exif(stored, format, orientation);
      const auto upright = decode(bytes_of(content), {.channels = 1});
      ASSERT_TRUE(upright.ok()) << upright.error().message;
      ASSERT_EQ(upright->width, 24);
      ASSERT_EQ(upright->height, 16);
      for (std::size_t i = 0; i < seen.pixels.size(); ++i) ASSERT_NEAR(upright->pixels[i], seen.pixels[i], 12) << i;
      const auto raw = decode(bytes_of(content), {.channels = 1, .apply_exif = false});
      ASSERT_TRUE(raw.ok());
      ASSERT_EQ(raw->width, stored.width);
      for (std::size_t i = 0; i < stored.pixels.size(); ++i) ASSERT_NEAR(raw->pixels[i], stored.pixels[i], 12) << i;
      const auto header = read_header(bytes_of(content));
      ASSERT_TRUE(header.ok());
      EXPECT_EQ(header->orientation, orientation);
      EXPECT_EQ(header->width, 24);
      EXPECT_EQ(header->height, 16);
    }
  }
}

TEST(Orientation, DamagedExifMeansUpright) {
  for (const int value : {0, 9, 255}) EXPECT_EQ(exif_orientation(bytes_of(exif(value, false))), 1);
  Random random(4);
  for (int trial = 0; trial < 3000; ++trial) {
    std::string block = exif(6, trial % 2 == 0);
    for (int i = 0; i < 3; ++i) block[random.below(block.size())] = static_cast<char>(random.below(256));
    block.resize(random.below(block.size() + 1));
    const int orientation = exif_orientation(bytes_of(block));
    ASSERT_GE(orientation, 1);
    ASSERT_LE(orientation, 8);
  }
}

}  // namespace
}  // namespace sightline::image
