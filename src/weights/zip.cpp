#include "weights/zip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

namespace sightline::weights {
namespace {

constexpr std::size_t end_size = 22, end64_locator_size = 20, end64_size = 56, central_size = 46, local_size = 30;
constexpr std::size_t longest_comment = 65535;
constexpr std::uint64_t most_entries = 200'000;

Error wrong(const std::string& what) { return {ErrorKind::invalid_data, "not a whole zip archive: " + what}; }

bool starts(std::string_view bytes, std::size_t at, std::string_view signature) { return bytes.substr(at, signature.size()) == signature; }

// Where ZIP64 keeps the numbers that did not fit: in the order size, stored size, place, those that are all ones.
Result<void> read_extra(std::string_view extra, ZipEntry& entry) {
  const bool wide_size = entry.size == 0xffffffffU, wide_stored = entry.stored_size == 0xffffffffU,
             wide_place = entry.header_at == 0xffffffffU;
  if (!wide_size && !wide_stored && !wide_place) return {};
  for (std::size_t at = 0; at + 4 <= extra.size();) {
    const auto kind = little<std::uint16_t>(extra, at);
    const std::size_t length = little<std::uint16_t>(extra, at + 2);
    at += 4;
    if (length > extra.size() - at) break;
    if (kind == 1) {
      const std::string_view body = extra.substr(at, length);
      std::size_t read = 0;
      for (const auto& [wide, value] :
           {std::pair{wide_size, &entry.size}, {wide_stored, &entry.stored_size}, {wide_place, &entry.header_at}}) {
        if (!wide) continue;
        if (read + 8 > body.size()) return wrong("a ZIP64 field is too short");
        *value = little<std::uint64_t>(body, read);
        read += 8;
      }
      return {};
    }
    at += length;
  }
  return wrong("a ZIP64 field is missing");
}

}  // namespace

bool looks_like_zip(std::string_view bytes) { return starts(bytes, 0, "PK\x03\x04"); }

Result<std::vector<ZipEntry>> list_zip(std::string_view bytes) {
  if (bytes.size() < end_size) return wrong("too short");
  const std::size_t first = bytes.size() - std::min(bytes.size(), end_size + longest_comment);
  const std::size_t end = bytes.rfind("PK\x05\x06", bytes.size() - end_size);
  if (end == std::string_view::npos || end < first) return wrong("the end of the directory is missing: the file is cut off");
  std::uint64_t count = little<std::uint16_t>(bytes, end + 10);
  std::uint64_t size = little<std::uint32_t>(bytes, end + 12);
  std::uint64_t place = little<std::uint32_t>(bytes, end + 16);
  if (end >= end64_locator_size && starts(bytes, end - end64_locator_size, "PK\x06\x07")) {
    const auto end64 = little<std::uint64_t>(bytes, end - end64_locator_size + 8);
    if (bytes.size() < end64_size || end64 > bytes.size() - end64_size || !starts(bytes, end64, "PK\x06\x06"))
      return wrong("the ZIP64 end of the directory is not where it should be");
    count = little<std::uint64_t>(bytes, end64 + 32);
    size = little<std::uint64_t>(bytes, end64 + 40);
    place = little<std::uint64_t>(bytes, end64 + 48);
  }
  if (place > bytes.size() || size > bytes.size() - place) return wrong("the directory lies outside of the file");
  if (count > most_entries) return wrong(fmt::format("{} entries; {} are the most", count, most_entries));
  const std::string_view directory = bytes.substr(place, size);

  std::vector<ZipEntry> entries;
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (directory.size() - at < central_size || !starts(directory, at, "PK\x01\x02")) return wrong(fmt::format("entry {} is damaged", i));
    ZipEntry entry;
    entry.flags = little<std::uint16_t>(directory, at + 8);
    entry.method = little<std::uint16_t>(directory, at + 10);
    entry.crc = little<std::uint32_t>(directory, at + 16);
    entry.stored_size = little<std::uint32_t>(directory, at + 20);
    entry.size = little<std::uint32_t>(directory, at + 24);
    entry.header_at = little<std::uint32_t>(directory, at + 42);
    const std::size_t name = little<std::uint16_t>(directory, at + 28), extra = little<std::uint16_t>(directory, at + 30),
                      comment = little<std::uint16_t>(directory, at + 32);
    at += central_size;
    if (name + extra + comment > directory.size() - at) return wrong(fmt::format("entry {} is damaged", i));
    entry.name = directory.substr(at, name);
    SIGHTLINE_CHECK(read_extra(directory.substr(at + name, extra), entry));
    at += name + extra + comment;
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::string_view> read_zip_entry(std::string_view bytes, const ZipEntry& entry, Allowance& allowance, std::string& memory) {
  const auto bad = [&](const std::string& what) { return wrong(fmt::format("entry \"{}\" {}", entry.name, what)); };
  if ((entry.flags & 1U) != 0) return Error{ErrorKind::unsupported, fmt::format("entry \"{}\" is encrypted", entry.name)};
  if (bytes.size() < local_size || entry.header_at > bytes.size() - local_size || !starts(bytes, entry.header_at, "PK\x03\x04"))
    return bad("is not where the directory says");
  const std::uint64_t begin = entry.header_at + local_size + little<std::uint16_t>(bytes, entry.header_at + 26) +
                              little<std::uint16_t>(bytes, entry.header_at + 28);
  if (begin > bytes.size() || entry.stored_size > bytes.size() - begin) return bad("runs over the end of the file");
  std::string_view content = bytes.substr(begin, entry.stored_size);
  if (entry.method == 8) {
    // A deflated byte stands for 1032 at most.
    if (entry.size / 1040 > entry.stored_size) return bad("claims more bytes than deflate can hold");
    if (!allowance.take(entry.size)) return bad("inflates to more memory than a file of this size may cost");
    memory.resize(entry.size);
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return Error{ErrorKind::internal, "zlib cannot start"};
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    stream.next_out = reinterpret_cast<Bytef*>(memory.data());
    int status = Z_OK;
    std::uint64_t given = 0, got = 0;
    constexpr std::uint64_t piece = 1U << 30U;  // zlib counts in 32 bits
    while (status == Z_OK) {
      stream.avail_in = static_cast<uInt>(std::min(piece, entry.stored_size - given));
      stream.avail_out = static_cast<uInt>(std::min(piece, entry.size - got));
      const uInt in = stream.avail_in, out = stream.avail_out;
      status = inflate(&stream, Z_NO_FLUSH);
      given += in - stream.avail_in;
      got += out - stream.avail_out;
    }
    inflateEnd(&stream);
    if (status != Z_STREAM_END || got != entry.size) return bad("is damaged");
    content = memory;
  } else if (entry.method != 0) {
    return Error{ErrorKind::unsupported,
                 fmt::format("entry \"{}\" is packed by method {}; stored and deflated are known", entry.name, entry.method)};
  } else if (entry.stored_size != entry.size) {
    return bad("is stored with two sizes");
  }
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  if (crc != entry.crc) return bad("is damaged (its checksum differs)");
  return content;
}

}  // namespace sightline::weights
