// The only thing that we want of EXIF is which way is up.
#include <libexif/exif-data.h>

#include <string>

#include "image/codecs.h"

namespace sightline::image {

int exif_orientation(Bytes block) {
  constexpr std::size_t longest = 1 << 20;
  if (block.size() < 8 || block.size() > longest) return 1;
  std::string wrapped("Exif\0\0", 6);  // libexif wants JPEG's prefix
  wrapped.append(reinterpret_cast<const char*>(block.data()), block.size());
  ExifData* data = exif_data_new_from_data(reinterpret_cast<const unsigned char*>(wrapped.data()), static_cast<unsigned>(wrapped.size()));
  if (data == nullptr) return 1;
  int orientation = 1;
  const ExifEntry* entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
  if (entry != nullptr && entry->format == EXIF_FORMAT_SHORT && entry->components >= 1 && entry->size >= 2)
    orientation = exif_get_short(entry->data, exif_data_get_byte_order(data));
  exif_data_unref(data);
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

}  // namespace sightline::image
