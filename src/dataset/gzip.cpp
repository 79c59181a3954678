#include "dataset/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

#include "base/text.h"

namespace sightline::dataset {
namespace {

constexpr int gzip_window = 16 + MAX_WBITS;
// zlib counts in 32 bits.
constexpr std::size_t most_at_once = std::numeric_limits<uInt>::max() / 2;

Bytef* bytes_of(std::string_view text) { return reinterpret_cast<Bytef*>(const_cast<char*>(text.data())); }

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

std::string gzip(std::string_view text) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  std::string out;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    const std::size_t given = std::min(text.size(), most_at_once);
    stream.next_in = bytes_of(text);
    stream.avail_in = static_cast<uInt>(given);
    const std::size_t before = out.size();
    out.resize(before + std::min(most_at_once, std::max<std::size_t>(4096, given / 2)));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = static_cast<uInt>(out.size() - before);
    status = deflate(&stream, given == text.size() ? Z_FINISH : Z_NO_FLUSH);
    text.remove_prefix(given - stream.avail_in);
    out.resize(out.size() - stream.avail_out);
  }
  deflateEnd(&stream);
  return out;
}

Result<std::string> gunzip(std::string_view bytes, const std::string& source, std::uint64_t most) {
  z_stream stream{};
  if (inflateInit2(&stream, gzip_window) != Z_OK) return Error{ErrorKind::internal, "zlib could not start"};
  std::string out;
  int status = Z_OK;
  while (status == Z_OK) {
    const std::size_t given = std::min(bytes.size(), most_at_once);
    stream.next_in = bytes_of(bytes);
    stream.avail_in = static_cast<uInt>(given);
    const std::size_t before = out.size();
    out.resize(before + std::clamp<std::size_t>(4 * given, 4096, std::size_t{16} << 20U));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = static_cast<uInt>(out.size() - before);
    status = inflate(&stream, Z_NO_FLUSH);
    bytes.remove_prefix(given - stream.avail_in);
    out.resize(out.size() - stream.avail_out);
    if (out.size() > most) {
      inflateEnd(&stream);
      return Error{ErrorKind::refused, fmt::format("{}: more than {} when inflated", source, human_bytes(most))};
    }
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END) return Error{ErrorKind::invalid_data, fmt::format("{}: the gzip data are cut off or damaged", source)};
  if (!bytes.empty()) return Error{ErrorKind::invalid_data, fmt::format("{}: something follows the gzip data", source)};
  return out;
}

}  // namespace sightline::dataset
