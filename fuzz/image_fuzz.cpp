// links: image
// Whatever bytes come: a header and a picture that agree, or an error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "image/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sightline::image;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto header = read_header(bytes);
  const auto picture = decode(bytes, {.max_pixels = 1 << 20});
  if (!picture.ok()) return 0;
  const std::size_t expected = static_cast<std::size_t>(picture->height) * picture->row_bytes();
  if (picture->pixels.size() != expected || (picture->channels != 1 && picture->channels != 3)) std::abort();
  if (!header.ok() || header->width != picture->width || header->height != picture->height) std::abort();
  (void)resize(*picture, 8, 8);
  return 0;
}
