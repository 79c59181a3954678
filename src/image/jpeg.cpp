// JPEG through libjpeg-turbo. Its errors leave by longjmp, so every call into it runs inside guarded(), whose frames hold nothing that
// needs a destructor.
#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>

// libjpeg's headers want <cstdio> before them, and jerror.h wants jpeglib.h.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "image/codecs.h"

namespace sightline::image {
namespace {

constexpr int max_scans = 500;  // a progressive file of many empty scans costs a full pass over the picture for each of them

struct Failure {
  jpeg_error_mgr manager;  // first, so that libjpeg's pointer to it is a pointer to this
  std::jmp_buf escape;
  int code;
  char message[JMSG_LENGTH_MAX];
};

void fail(j_common_ptr info) {
  auto* failure = reinterpret_cast<Failure*>(info->err);
  failure->code = info->err->msg_code;
  info->err->format_message(info, failure->message);
  std::longjmp(failure->escape, 1);
}

// libjpeg goes on after damage and invents the rest of the picture; we do not want such pictures.
bool means_damage(int code) {
  switch (code) {
    case JWRN_HIT_MARKER:
    case JWRN_JPEG_EOF:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION: return true;
    default: return false;
  }
}

void hear(j_common_ptr info, int level) {
  if (level < 0 && means_damage(info->err->msg_code)) fail(info);
}

void count_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= max_scans) return;
  auto* failure = reinterpret_cast<Failure*>(info->err);
  std::snprintf(failure->message, sizeof failure->message, "more than %d scans", max_scans);
  std::longjmp(failure->escape, 1);
}

void set_up(Failure& failure) {
  jpeg_std_error(&failure.manager);
  failure.manager.error_exit = fail;
  failure.manager.emit_message = hear;
  failure.code = 0;
  failure.message[0] = '\0';
}

// False when libjpeg failed; failure then holds its words.
template <class Work>
bool guarded(Failure& failure, const Work& work) {
  if (setjmp(failure.escape) != 0) return false;
  work();
  return true;
}

Error error_of(const Failure& failure) {
  const bool ours = failure.code == JERR_BAD_PRECISION || failure.code == JERR_ARITH_NOTIMPL || failure.code == JERR_SOF_UNSUPPORTED ||
                    failure.code == JERR_CONVERSION_NOTIMPL;
  return {ours ? ErrorKind::unsupported : ErrorKind::invalid_data, failure.message};
}

struct Reader {
  Failure failure;
  jpeg_decompress_struct info{};
  jpeg_progress_mgr progress{};

  Reader() { set_up(failure); }
  ~Reader() { jpeg_destroy_decompress(&info); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<void> open(Bytes bytes) {
    const bool ok = guarded(failure, [&] {
      info.err = &failure.manager;
      jpeg_create_decompress(&info);
      progress.progress_monitor = count_scans;
      info.progress = &progress;
      jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
      jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_read_header(&info, TRUE);
    });
    if (!ok) return error_of(failure);
    return {};
  }

  int orientation() const {
    for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
      const Bytes data = std::as_bytes(std::span(marker->data, marker->data_length));
      constexpr std::array<unsigned char, 6> signature{'E', 'x', 'i', 'f', 0, 0};
      if (data.size() > signature.size() && std::equal(signature.begin(), signature.end(), marker->data))
        return exif_orientation(data.subspan(signature.size()));
    }
    return 1;
  }
};

// Adobe's files hold CMYK inverted (255: no ink).
void cmyk_to_rgb(const JSAMPLE* cmyk, std::size_t count, bool inverted, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned k = inverted ? cmyk[4 * i + 3] : 255U - cmyk[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned ink = inverted ? cmyk[4 * i + c] : 255U - cmyk[4 * i + c];
      rgb[3 * i + c] = static_cast<std::uint8_t>((ink * k + 127U) / 255U);
    }
  }
}

unsigned scale_for(const jpeg_decompress_struct& info, int min_side) {
  if (min_side <= 0) return 1;
  for (unsigned scale : {8U, 4U, 2U}) {
    const unsigned shorter = (std::min(info.image_width, info.image_height) + scale - 1) / scale;
    if (shorter >= static_cast<unsigned>(min_side)) return scale;
  }
  return 1;
}

}  // namespace

Result<Header> read_jpeg_header(Bytes bytes) {
  Reader reader;
  SIGHTLINE_CHECK(reader.open(bytes));
  return Header{.format = Format::jpeg,
                .width = static_cast<int>(reader.info.image_width),
                .height = static_cast<int>(reader.info.image_height),
                .channels = reader.info.num_components == 1 ? 1 : 3,
                .bits = reader.info.data_precision,
                .orientation = reader.orientation()};
}

Result<Decoded> decode_jpeg(Bytes bytes, const DecodeOptions& options) {
  Reader reader;
  SIGHTLINE_CHECK(reader.open(bytes));
  jpeg_decompress_struct& info = reader.info;
  SIGHTLINE_CHECK(check_size(info.image_width, info.image_height, options));

  const bool cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  // The Y of YCbCr is the luma that channels == 1 asks for: no need to make colours first.
  const bool grey = info.jpeg_color_space == JCS_GRAYSCALE || (info.jpeg_color_space == JCS_YCbCr && options.channels == 1);
  Decoded decoded{.image = {}, .orientation = options.apply_exif ? reader.orientation() : 1};
  Image& image = decoded.image;
  const bool started = guarded(reader.failure, [&] {
    info.scale_num = 1;
    info.scale_denom = scale_for(info, options.jpeg_min_side);
    info.out_color_space = cmyk ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&info);
  });
  if (!started) return error_of(reader.failure);

  image.width = static_cast<int>(info.output_width);
  image.height = static_cast<int>(info.output_height);
  image.channels = grey ? 1 : 3;
  image.pixels.resize(image.row_bytes() * info.output_height);
  std::vector<JSAMPLE> inks(cmyk ? std::size_t{4} * info.output_width : 0);
  const bool inverted = info.saw_Adobe_marker != 0;
  const bool finished = guarded(reader.failure, [&] {
    while (info.output_scanline < info.output_height) {
      std::uint8_t* row = image.pixels.data() + image.row_bytes() * info.output_scanline;
      JSAMPROW target = cmyk ? inks.data() : row;
      jpeg_read_scanlines(&info, &target, 1);
      if (cmyk) cmyk_to_rgb(inks.data(), info.output_width, inverted, row);
    }
    jpeg_finish_decompress(&info);
  });
  if (!finished) return error_of(reader.failure);
  return decoded;
}

std::string encode_jpeg(const Image& source, int quality) {
  if (source.width <= 0 || source.height <= 0 || source.width > JPEG_MAX_DIMENSION || source.height > JPEG_MAX_DIMENSION) return "";
  Failure failure;
  set_up(failure);
  jpeg_compress_struct info{};
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  const bool ok = guarded(failure, [&] {
    info.err = &failure.manager;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &buffer, &size);
    info.image_width = static_cast<JDIMENSION>(source.width);
    info.image_height = static_cast<JDIMENSION>(source.height);
    info.input_components = source.channels;
    info.in_color_space = source.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      auto* row = const_cast<JSAMPROW>(source.pixels.data() + source.row_bytes() * info.next_scanline);
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
  });
  std::string bytes;
  if (ok) bytes.assign(reinterpret_cast<const char*>(buffer), size);
  jpeg_destroy_compress(&info);
  std::free(buffer);
  return bytes;
}

}  // namespace sightline::image
