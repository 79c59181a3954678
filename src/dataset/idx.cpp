#include "dataset/idx.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/text.h"

namespace sightline::dataset {
namespace {

constexpr std::size_t most_inflated = std::size_t{4} << 30U;

Error broken(const std::string& path, const std::string& message) {
  return {ErrorKind::invalid_data, fmt::format("{}: {}", path, message)};
}

struct Header {
  std::vector<std::size_t> dimensions;
  std::size_t bytes = 0;   // of the header
  std::size_t values = 0;  // product of the dimensions
};

Result<Header> parse_header(std::span<const std::byte> bytes, const std::string& path) {
  const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
  if (bytes.size() < 4) return broken(path, "the file ends inside the IDX header");
  if (at(0) != 0 || at(1) != 0) return broken(path, "not an IDX file: it does not start with two zero bytes");
  if (at(2) != 8)
    return Error{ErrorKind::unsupported, fmt::format("{}: IDX type 0x{:02x}; only 0x08 (unsigned bytes) is read", path, at(2))};
  const std::size_t rank = at(3);
  if (rank < 1 || rank > 4) return broken(path, fmt::format("{} dimensions; 1 to 4 are read", rank));
  Header header;
  header.bytes = 4 + 4 * rank;
  if (bytes.size() < header.bytes) return broken(path, "the file ends inside the IDX header");
  header.values = 1;
  for (std::size_t d = 0; d < rank; ++d) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < 4; ++i) size = size << 8U | at(4 + 4 * d + i);
    if (d > 0 && (size == 0 || size > (1U << 20U))) return broken(path, fmt::format("impossible dimension {}", size));
    if (size != 0 && header.values > (std::size_t{1} << 46U) / size) return broken(path, "impossible dimensions");
    header.values *= size;
    header.dimensions.push_back(size);
  }
  return header;
}

// Grows with what really comes out, so that neither a false header nor a bomb allocates more than it delivers.
Result<std::vector<std::byte>> inflate_gzip(std::span<const std::byte> packed, const std::string& path, bool header_only) {
  std::vector<std::byte> out;
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return Error{ErrorKind::internal, "zlib could not start"};
  const std::size_t step = header_only ? 4096 : std::size_t{1} << 20U;
  std::size_t taken = 0, limit = most_inflated;
  std::string message;
  int status = Z_OK;
  while (message.empty()) {
    const std::size_t done = out.size();
    if (done == out.capacity()) out.reserve(std::max(step, 2 * done));
    out.resize(std::min(out.capacity(), done + 16 * step));
    const auto available = static_cast<uInt>(std::min<std::size_t>(packed.size() - taken, std::numeric_limits<uInt>::max()));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + taken));
    stream.avail_in = available;
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream.avail_out = static_cast<uInt>(out.size() - done);
    const auto offered = stream.avail_out;
    status = inflate(&stream, Z_NO_FLUSH);
    taken += available - stream.avail_in;
    out.resize(done + (offered - stream.avail_out));
    if (header_only && out.size() >= 20) break;  // as much as four dimensions need
    if (status == Z_STREAM_END) {
      if (taken == packed.size()) break;
      inflateReset(&stream);  // a gzip file may have several members
    } else if (status == Z_BUF_ERROR || (status == Z_OK && taken == packed.size() && stream.avail_out > 0)) {
      message = "the gzip data end too early";
    } else if (status != Z_OK) {
      message = fmt::format("broken gzip data: {}", stream.msg == nullptr ? "no gzip header" : stream.msg);
    }
    if (message.empty() && out.size() >= 4) {
      if (auto header = parse_header(out, path); header.ok()) limit = std::min(most_inflated, header->bytes + header->values);
    }
    if (message.empty() && out.size() > limit)
      message = limit == most_inflated ? "more than 4 GiB when inflated; unpack it first" : "more data than the IDX header announces";
  }
  inflateEnd(&stream);
  if (!message.empty()) return broken(path, message);
  return out;
}

bool is_gzip(std::span<const std::byte> bytes) { return bytes.size() >= 2 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B}; }

}  // namespace

Result<std::vector<std::size_t>> IdxFile::read_dimensions(const std::string& path) {
  SIGHTLINE_TRY(const MappedFile file, MappedFile::open(path));
  if (!is_gzip(file.bytes())) {
    SIGHTLINE_TRY(Header header, parse_header(file.bytes(), path));
    return std::move(header.dimensions);
  }
  SIGHTLINE_TRY(const std::vector<std::byte> head, inflate_gzip(file.bytes(), path, true));
  SIGHTLINE_TRY(Header header, parse_header(head, path));
  return std::move(header.dimensions);
}

Result<IdxFile> IdxFile::open(const std::string& path) {
  IdxFile idx;
  SIGHTLINE_TRY(idx.file_, MappedFile::open(path));
  std::span<const std::byte> bytes = idx.file_.bytes();
  if (is_gzip(bytes)) {
    SIGHTLINE_TRY(idx.inflated_, inflate_gzip(bytes, path, false));
    idx.file_ = MappedFile();
    bytes = idx.inflated_;
  }
  SIGHTLINE_TRY(Header header, parse_header(bytes, path));
  if (bytes.size() - header.bytes != header.values)
    return broken(path, fmt::format("{} bytes of values where the header announces {}", bytes.size() - header.bytes, header.values));
  idx.values_at_ = header.bytes;
  idx.dimensions_ = std::move(header.dimensions);
  idx.record_bytes_ = 1;
  for (std::size_t d = 1; d < idx.dimensions_.size(); ++d) idx.record_bytes_ *= idx.dimensions_[d];
  return idx;
}

std::span<const std::byte> IdxFile::record(std::size_t index) const {
  const std::span<const std::byte> bytes = inflated_.empty() ? file_.bytes() : std::span<const std::byte>(inflated_);
  return bytes.subspan(values_at_ + index * record_bytes_, record_bytes_);
}

bool split_record_path(std::string_view path, std::string_view& file, std::size_t& record) {
  const std::size_t mark = path.rfind('#');
  if (mark == std::string_view::npos || mark + 1 == path.size()) return false;
  const char* end = path.data() + path.size();
  const auto [next, error] = std::from_chars(path.data() + mark + 1, end, record);
  if (error != std::errc() || next != end) return false;
  file = path.substr(0, mark);
  return plain_idx_name(file).find("-idx") != std::string::npos;
}

std::string plain_idx_name(std::string_view file_name) {
  std::string name(file_name);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c < 0x80 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c); });
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (const std::size_t dot = name.find(".idx"); dot != std::string::npos) name[dot] = '-';
  return name;
}

}  // namespace sightline::dataset
