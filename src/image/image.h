// Pictures: decode, resize, describe, draw, encode. This folder is the only place that includes OpenCV and the codecs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"

namespace sightline::image {

// 8-bit pixels, interleaved (H×W×C), channels 1 (grey) or 3 (RGB, in this order, sRGB), no row padding. Origin top left, x right, y down.
struct Image {
  int width = 0, height = 0, channels = 0;
  std::vector<std::uint8_t> pixels;

  std::size_t row_bytes() const { return static_cast<std::size_t>(width) * static_cast<std::size_t>(channels); }
};

enum class Format { unknown, jpeg, png, webp, bmp, tiff };
Format format_of(std::span<const std::byte> bytes);  // by magic number, never by file name
const char* name_of(Format format);

struct DecodeOptions {
  int channels = 0;                       // 0: as stored (grey stays grey); 1: grey (BT.601 luma); 3: RGB
  bool apply_exif = true;                 // turn the picture upright by its EXIF orientation
  std::int64_t max_pixels = 200'000'000;  // more is refused before anything is allocated (decompression bombs)
  int jpeg_min_side = 0;  // > 0: a JPEG may be decoded at 1/2, 1/4, 1/8 while both sides stay >= this (libjpeg's scaled decoding)
};

// Decodes JPEG (grey, YCbCr, CMYK/YCCK), PNG (1..16 bit, grey, RGB, palette, alpha), WebP, BMP, TIFF. 16-bit samples are scaled to 8;
// transparency is laid over white; CMYK is converted; the first page of a TIFF is taken. Never prints, never throws OpenCV's exceptions.
// Errors: invalid_data (truncated, corrupt: with the codec's words; "not an image (text)"), unsupported, refused (max_pixels).
Result<Image> decode(std::span<const std::byte> bytes, const DecodeOptions& options = {});
Result<Image> read_image(const std::string& path, const DecodeOptions& options = {});

// What a file's header says, without decoding pixels. width and height are as seen (after EXIF orientation).
struct Header {
  Format format = Format::unknown;
  int width = 0, height = 0, channels = 0, bits = 8;
  int orientation = 1;  // EXIF, 1..8
};
Result<Header> read_header(std::span<const std::byte> bytes);

// How a picture becomes the network's input size. stretch ignores the aspect ratio; fit keeps it and pads (letterbox, grey 114);
// crop keeps it, fills the size and cuts the centre.
enum class Fit { stretch, fit, crop };
// Downscaling averages areas, upscaling is bilinear (each side for itself); sizes in pixels. A source without pixels gives a blank picture.
Image resize(const Image& source, int width, int height, Fit fit = Fit::stretch);
Image convert_channels(const Image& source, int channels);

// Where resize() put the picture: point p of it lies at p · scale + offset of the result, per axis. Nothing is rounded on the way back.
struct Placement {
  double scale_x = 1, scale_y = 1, offset_x = 0, offset_y = 0;
  int width = 0, height = 0;  // of the source
};
Placement placement_of(int source_width, int source_height, int width, int height, Fit fit);

// 64-bit perceptual hash: the 64 lowest frequencies (without the mean) of the DCT of the 32×32 grey picture, each above their median or not
// (Zauner 2010). Near duplicates differ in few bits (hamming_distance). A flat picture's hash is 0.
std::uint64_t perceptual_hash(const Image& source);
int hamming_distance(std::uint64_t a, std::uint64_t b);

struct Statistics {
  double mean = 0;       // of grey levels, 0..255
  double deviation = 0;  // standard deviation of grey levels
  double sharpness = 0;  // variance of the Laplacian of the grey picture (low: blurred)
};
Statistics statistics_of(const Image& source);

// quality 1..100. Pictures of the report, drawn results, re-encoded test data. "" for a picture without pixels or too large for the format.
std::string encode_jpeg(const Image& source, int quality = 90);
std::string encode_png(const Image& source);
std::string encode_webp(const Image& source, int quality = 90);

// Drawing is onto RGB: a grey image is converted first. What lies outside of it is cut off.
struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
  bool operator==(const Colour&) const = default;
};
// A colour for the class at this place: those of Okabe and Ito (2008) without black, which people with any kind of colour blindness tell
// apart, then the same ones lighter and darker, then again.
Colour class_colour(std::size_t place);

// A filled bar with text in the built-in font, its top left corner at (x, y). Letters are about 22 · scale pixels high, black or white,
// whichever can be read on the background.
void draw_text(Image& target, int x, int y, const std::string& text, double scale = 0.5, Colour background = {24, 24, 24});
struct TextSize {
  int width = 0, height = 0;  // of the whole bar
};
TextSize text_size(const std::string& text, double scale = 0.5);

struct Stroke {
  Colour colour;
  int width = 1;  // pixels
  int dash = 0;   // > 0: so many pixels of the colour and as many near black in turn
};
// The outline of a rectangle whose edges are real numbers in the frame of annotations (the corner of the top left pixel is the origin); the
// line lies inside of the pixels that the rectangle touches.
void draw_rectangle(Image& target, double left, double top, double right, double bottom, const Stroke& stroke);

struct Dot {
  Colour colour;
  double radius = 2;   // pixels
  bool filled = true;  // else a ring
};
// A disc with a dark rim around a place in the same frame, its edges smooth.
void draw_dot(Image& target, double x, double y, const Dot& dot);

// Numbers on a grid over a whole picture (rows × columns, row after row), brought to another size: bilinear, pixel centres at halves, edges
// repeated. Shrinking averages areas, as resize() does.
std::vector<float> resize_map(std::span<const float> values, int columns, int rows, int width, int height);
// From dark blue over green to yellow, for 0 to 1, even in lightness and told apart with any kind of colour blindness.
Colour heat_colour(double value);
// Lays heat_colour over the picture, with the square of the value: where it is 0 the picture stays as it is, and what is usual hides
// little.
void draw_heat_map(Image& target, std::span<const float> values, int columns, int rows);
// Marks the border of what is not 0 in a mask of the picture's size, by a line of this width inside of it.
void draw_outline(Image& target, std::span<const std::uint8_t> mask, const Stroke& stroke);

struct Fill {
  double share = 0.4;  // of the colour; 0: lines alone
  int line = 1;        // width of the border, inside of the region; a border is where another region or none begins
};
// Regions of the picture's size: 0, or the place of the colour + 1.
void draw_regions(Image& target, std::span<const std::int32_t> regions, std::span<const Colour> colours, const Fill& fill);

}  // namespace sightline::image

template <>
struct sightline::EnumNames<sightline::image::Fit> {
  static constexpr std::array<const char*, 3> names{"stretch", "fit", "crop"};
};
