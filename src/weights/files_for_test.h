// Small writers of the formats that are read here, byte by byte, so that tests can also write what no library would. For tests only.
#pragma once

#include <zlib.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "weights/weights.h"

namespace sightline::weights::files_for_test {

template <class T>
std::string little_bytes(T value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xffU);
  return bytes;
}

inline std::string safetensors(const std::string& header, const std::string& data) {
  return little_bytes<std::uint64_t>(header.size()) + header + data;
}
inline std::string safetensors(const std::vector<NamedTensor>& tensors, const Json& metadata = Json()) {
  Json header = Json::object();
  std::string data;
  for (const NamedTensor& each : tensors) {
    static constexpr const char* names[] = {"F32", "F16", "BF16", "F64", "I8", "U8", "I32", "I64", "BOOL"};
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(each.tensor.data()), each.tensor.byte_count());
    header[each.name] = {{"dtype", names[static_cast<std::size_t>(each.tensor.dtype())]},
                         {"shape", each.tensor.shape()},
                         {"data_offsets", {begin, data.size()}}};
  }
  if (!metadata.is_null()) header["__metadata__"] = metadata;
  return safetensors(header.dump(), data);
}

// Pickle, protocol 2, one piece after the other.
namespace pickled {
inline std::string text(const std::string& value) {
  return "X" + little_bytes<std::uint32_t>(static_cast<std::uint32_t>(value.size())) + value;
}
inline std::string integer(std::int64_t value) { return "\x8a\x08" + little_bytes<std::uint64_t>(static_cast<std::uint64_t>(value)); }
inline std::string global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }
inline std::string tuple(const std::vector<std::string>& items) {
  std::string bytes = "(";
  for (const std::string& item : items) bytes += item;
  return bytes + "t";
}
inline std::string integers(const std::vector<std::int64_t>& values) {
  std::vector<std::string> items;
  for (const std::int64_t value : values) items.push_back(integer(value));
  return tuple(items);
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string bytes = "}(";
  for (const auto& [key, value] : items) bytes += text(key) + value;
  return bytes + "u";
}
inline std::string ordered_dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string bytes = global("collections", "OrderedDict") + ")R(";
  for (const auto& [key, value] : items) bytes += text(key) + value;
  return bytes + "u";
}
// legacy: with the slot for a view behind it.
inline std::string storage(const std::string& type, const std::string& key, std::int64_t elements, const std::string& view = "") {
  std::vector<std::string> parts{text("storage"), global("torch", type), text(key), text("cpu"), integer(elements)};
  if (!view.empty()) parts.push_back(view);
  return tuple(parts) + "Q";
}
inline std::string tensor(const std::string& storage, std::int64_t offset, const std::vector<std::int64_t>& shape,
                          const std::vector<std::int64_t>& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({storage, integer(offset), integers(shape), integers(strides), "\x89", global("collections", "OrderedDict") + ")R"}) + "R";
}
inline std::string whole(const std::string& value) { return "\x80\x02" + value + "."; }
}  // namespace pickled

struct ZipMember {
  std::string name, content;
  bool deflated = false;
};

inline std::string deflated(const std::string& content) {
  std::string packed(compressBound(content.size()) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline std::string zip(const std::vector<ZipMember>& members) {
  std::string bytes, directory;
  for (const ZipMember& member : members) {
    const std::string stored = member.deflated ? deflated(member.content) : member.content;
    const auto crc = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(member.content.data()), static_cast<uInt>(member.content.size())));
    const std::string middle = little_bytes<std::uint16_t>(member.deflated ? 8 : 0) + little_bytes<std::uint32_t>(0) +
                               little_bytes<std::uint32_t>(crc) + little_bytes<std::uint32_t>(static_cast<std::uint32_t>(stored.size())) +
                               little_bytes<std::uint32_t>(static_cast<std::uint32_t>(member.content.size())) +
                               little_bytes<std::uint16_t>(static_cast<std::uint16_t>(member.name.size())) + little_bytes<std::uint16_t>(0);
    directory += "PK\x01\x02" + little_bytes<std::uint16_t>(20) + little_bytes<std::uint16_t>(20) + little_bytes<std::uint16_t>(0) +
                 middle + std::string(10, '\0') + little_bytes<std::uint32_t>(static_cast<std::uint32_t>(bytes.size())) + member.name;
    bytes += "PK\x03\x04" + little_bytes<std::uint16_t>(20) + little_bytes<std::uint16_t>(0) + middle + member.name + stored;
  }
  const auto count = little_bytes<std::uint16_t>(static_cast<std::uint16_t>(members.size()));
  return bytes + directory + "PK\x05\x06" + std::string(4, '\0') + count + count +
         little_bytes<std::uint32_t>(static_cast<std::uint32_t>(directory.size())) +
         little_bytes<std::uint32_t>(static_cast<std::uint32_t>(bytes.size())) + std::string(2, '\0');
}

// A whole checkpoint as torch.save writes it since 1.6; storages are keyed "0", "1", …
inline std::string zip_checkpoint(const std::string& object, const std::vector<std::string>& storages, bool packed = false) {
  std::vector<ZipMember> members{{"archive/data.pkl", pickled::whole(object), packed}, {"archive/byteorder", "little", false}};
  for (std::size_t i = 0; i < storages.size(); ++i) members.push_back({"archive/data/" + std::to_string(i), storages[i], packed});
  members.push_back({"archive/version", "3\n", false});
  return zip(members);
}

// As before 1.6. Storages: key, size of an element, bytes.
struct LegacyStorage {
  std::string key;
  std::uint64_t item = 4;
  std::string content;
};
inline std::string legacy_checkpoint(const std::string& object, const std::vector<LegacyStorage>& storages) {
  std::string keys = "](";
  for (const LegacyStorage& each : storages) keys += pickled::text(each.key);
  std::string bytes = std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15) + pickled::whole(pickled::integer(1001)) +
                      pickled::whole(pickled::dict({{"protocol_version", pickled::integer(1001)}, {"little_endian", "\x88"}})) +
                      pickled::whole(object) + pickled::whole(keys + "e");
  for (const LegacyStorage& each : storages) bytes += little_bytes<std::uint64_t>(each.content.size() / each.item) + each.content;
  return bytes;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace sightline::weights::files_for_test
