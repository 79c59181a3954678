// TIFF through libtiff's RGBA reader, which knows every photometric interpretation, planar layout and compression; first page only.
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include "image/codecs.h"

namespace sightline::image {
namespace {

struct Memory {
  Bytes bytes;
  std::size_t at = 0;
  char message[1024] = "";
};

tmsize_t read_some(thandle_t handle, void* target, tmsize_t count) {
  auto* memory = static_cast<Memory*>(handle);
  if (count <= 0 || memory->at >= memory->bytes.size()) return 0;
  const std::size_t got = std::min(static_cast<std::size_t>(count), memory->bytes.size() - memory->at);
  std::memcpy(target, memory->bytes.data() + memory->at, got);
  memory->at += got;
  return static_cast<tmsize_t>(got);
}
tmsize_t write_nothing(thandle_t, void*, tmsize_t) { return 0; }
toff_t seek(thandle_t handle, toff_t offset, int whence) {
  auto* memory = static_cast<Memory*>(handle);
  const toff_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? memory->at : memory->bytes.size();
  memory->at = base + offset;
  return memory->at;
}
int close_nothing(thandle_t) { return 0; }
toff_t size_of(thandle_t handle) { return static_cast<Memory*>(handle)->bytes.size(); }
int map_whole(thandle_t handle, void** base, toff_t* size) {
  auto* memory = static_cast<Memory*>(handle);
  *base = const_cast<std::byte*>(memory->bytes.data());
  *size = memory->bytes.size();
  return 1;
}
void unmap_nothing(thandle_t, void*, toff_t) {}

// The first message is the cause; libtiff would print it to stderr.
int keep_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  auto* memory = static_cast<Memory*>(user);
  if (memory->message[0] == '\0') std::vsnprintf(memory->message, sizeof memory->message, format, arguments);
  return 1;
}
int ignore_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

struct CloseTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using File = std::unique_ptr<TIFF, CloseTiff>;

File open(Memory& memory, std::int64_t max_pixels) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, &memory);
  TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, std::clamp<tmsize_t>(max_pixels, 1 << 20, tmsize_t{1} << 40) * 16);
  File file(
      TIFFClientOpenExt("TIFF", "r", &memory, read_some, write_nothing, seek, close_nothing, size_of, map_whole, unmap_nothing, options));
  TIFFOpenOptionsFree(options);
  return file;
}

Error corrupt(const Memory& memory) {
  return {ErrorKind::invalid_data, memory.message[0] == '\0' ? "corrupt or truncated file" : memory.message};
}

Result<Header> header_of(TIFF* file, const Memory& memory) {
  std::uint32_t width = 0, height = 0;
  if (TIFFGetField(file, TIFFTAG_IMAGEWIDTH, &width) == 0 || TIFFGetField(file, TIFFTAG_IMAGELENGTH, &height) == 0) return corrupt(memory);
  if (width > 0x7FFFFFFFU || height > 0x7FFFFFFFU) return Error{ErrorKind::invalid_data, "impossible size"};
  std::uint16_t bits = 1, photometric = PHOTOMETRIC_MINISBLACK, orientation = 1;
  TIFFGetFieldDefaulted(file, TIFFTAG_BITSPERSAMPLE, &bits);
  TIFFGetField(file, TIFFTAG_PHOTOMETRIC, &photometric);
  TIFFGetFieldDefaulted(file, TIFFTAG_ORIENTATION, &orientation);
  const bool grey = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE;
  return Header{.format = Format::tiff,
                .width = static_cast<int>(width),
                .height = static_cast<int>(height),
                .channels = grey ? 1 : 3,
                .bits = bits,
                .orientation = orientation >= 1 && orientation <= 8 ? orientation : 1};
}

}  // namespace

Result<Header> read_tiff_header(Bytes bytes) {
  Memory memory{.bytes = bytes};
  const File file = open(memory, DecodeOptions{}.max_pixels);
  if (!file) return corrupt(memory);
  return header_of(file.get(), memory);
}

Result<Decoded> decode_tiff(Bytes bytes, const DecodeOptions& options) {
  Memory memory{.bytes = bytes};
  const File file = open(memory, options.max_pixels);
  if (!file) return corrupt(memory);
  SIGHTLINE_TRY(const Header header, header_of(file.get(), memory));
  SIGHTLINE_CHECK(check_size(header.width, header.height, options));
  char reason[1024] = "";
  if (TIFFRGBAImageOK(file.get(), reason) == 0) return Error{ErrorKind::unsupported, reason};
  const auto count = static_cast<std::size_t>(header.width) * static_cast<std::size_t>(header.height);
  std::vector<std::uint32_t> raster(count);
  TIFFRGBAImage reader;
  if (TIFFRGBAImageBegin(&reader, file.get(), 1, reason) == 0) return Error{ErrorKind::invalid_data, reason};
  reader.req_orientation = reader.orientation;  // rows as stored: image.cpp turns them, libtiff only knows how to flip
  const bool ok = TIFFRGBAImageGet(&reader, raster.data(), reader.width, reader.height) != 0;
  TIFFRGBAImageEnd(&reader);
  if (!ok || memory.message[0] != '\0') return corrupt(memory);

  Decoded decoded{.image = {header.width, header.height, header.channels, {}}, .orientation = options.apply_exif ? header.orientation : 1};
  const auto channels = static_cast<std::size_t>(header.channels);
  decoded.image.pixels.resize(count * channels);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t pixel = raster[i];
    const unsigned white = 255U - TIFFGetA(pixel);  // colours are premultiplied
    const unsigned colours[3] = {TIFFGetR(pixel), TIFFGetG(pixel), TIFFGetB(pixel)};
    for (std::size_t c = 0; c < channels; ++c)
      decoded.image.pixels[i * channels + c] = static_cast<std::uint8_t>(std::min(255U, colours[c] + white));
  }
  return decoded;
}

}  // namespace sightline::image
