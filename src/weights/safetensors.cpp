// .safetensors: u64 length of the header, the header (JSON: name → dtype, shape, data_offsets), the tensors' bytes without holes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/json.h"
#include "weights/bounds.h"
#include "weights/weights.h"

namespace sightline::weights {
namespace {

constexpr std::uint64_t largest_header = 25'000'000;

struct DtypeRow {
  const char* name;
  std::uint64_t size;
  bool ours;
  Dtype dtype;
};
constexpr std::array rows{
    DtypeRow{"BOOL", 1, true, Dtype::boolean}, DtypeRow{"U8", 1, true, Dtype::u8},       DtypeRow{"I8", 1, true, Dtype::i8},
    DtypeRow{"F8_E4M3", 1, false, Dtype::u8},  DtypeRow{"F8_E5M2", 1, false, Dtype::u8}, DtypeRow{"I16", 2, false, Dtype::i32},
    DtypeRow{"U16", 2, false, Dtype::i32},     DtypeRow{"F16", 2, true, Dtype::f16},     DtypeRow{"BF16", 2, true, Dtype::bf16},
    DtypeRow{"I32", 4, true, Dtype::i32},      DtypeRow{"U32", 4, false, Dtype::i64},    DtypeRow{"F32", 4, true, Dtype::f32},
    DtypeRow{"F64", 8, true, Dtype::f64},      DtypeRow{"I64", 8, true, Dtype::i64},     DtypeRow{"U64", 8, false, Dtype::i64}};

struct Entry {
  std::string name;
  const DtypeRow* dtype = nullptr;
  Shape shape;
  std::uint64_t begin = 0, end = 0;
};

Result<std::vector<std::int64_t>> sizes_of(const Json& json, const std::string& where) {
  std::vector<std::int64_t> sizes;
  SIGHTLINE_CHECK(from_json(json, sizes, where));
  if (std::any_of(sizes.begin(), sizes.end(), [](std::int64_t size) { return size < 0; }))
    return Error{ErrorKind::invalid_data, where + " holds a negative number"};
  return sizes;
}

Result<Entry> entry_of(const std::string& name, const Json& json) {
  const std::string where = fmt::format("tensor \"{}\"", name);
  const auto wrong = [&](const std::string& what) { return Error{ErrorKind::invalid_data, where + ": " + what}; };
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") || !json.contains("data_offsets"))
    return wrong("dtype, shape and data_offsets are wanted");
  Entry entry{.name = name, .dtype = nullptr, .shape = {}};
  std::string dtype;
  SIGHTLINE_CHECK(from_json(json["dtype"], dtype, where + ".dtype"));
  const auto* const row = std::find_if(rows.begin(), rows.end(), [&](const DtypeRow& each) { return dtype == each.name; });
  if (row == rows.end()) return wrong(fmt::format("unknown dtype \"{}\"", dtype));
  entry.dtype = row;
  SIGHTLINE_TRY(entry.shape, sizes_of(json["shape"], where + ".shape"));
  SIGHTLINE_TRY(const std::vector<std::int64_t> offsets, sizes_of(json["data_offsets"], where + ".data_offsets"));
  if (offsets.size() != 2 || offsets[0] > offsets[1]) return wrong("data_offsets must be [begin, end]");
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  const auto bytes = bytes_of(entry.shape, row->size);
  if (!bytes || *bytes != entry.end - entry.begin)
    return wrong(
        fmt::format("{} {} does not take the {} bytes of its data_offsets", dtype, to_string(entry.shape), entry.end - entry.begin));
  return entry;
}

}  // namespace

Result<WeightFile> parse_safetensors(std::string_view bytes, const std::string& source, const Limits& limits) {
  const auto wrong = [&](const std::string& what) { return Error{ErrorKind::invalid_data, source + ": " + what}; };
  if (bytes.size() < 8) return wrong("too short for a safetensors file");
  const auto length = little<std::uint64_t>(bytes, 0);
  if (length > largest_header) return wrong(fmt::format("the header would have {} bytes; {} are the most", length, largest_header));
  if (length > bytes.size() - 8)
    return wrong(fmt::format("the header would have {} bytes, but only {} follow: the file is cut off", length, bytes.size() - 8));
  SIGHTLINE_TRY(const Json header, parse_json(bytes.substr(8, length), source));
  if (!header.is_object()) return wrong("the header is no JSON object");
  const std::string_view data = bytes.substr(8 + length);

  WeightFile file;
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name == "__metadata__") {
      if (auto status = from_json(json, file.metadata, "__metadata__"); !status.ok()) return status.error().in(source);
      continue;
    }
    auto entry = entry_of(name, json);
    if (!entry.ok()) return entry.error().in(source);
    entries.push_back(*std::move(entry));
  }
  // As they lie, which is how they were defined unless the writer sorted them.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t at = 0;
  for (const Entry& entry : entries) {
    if (entry.end > data.size())
      return wrong(fmt::format("tensor \"{}\" ends at byte {} of {}: the file is cut off", entry.name, entry.end, data.size()));
    if (entry.begin < at) return wrong(fmt::format("tensor \"{}\" overlaps the one before it", entry.name));
    if (entry.begin > at) return wrong(fmt::format("{} bytes before tensor \"{}\" belong to none", entry.begin - at, entry.name));
    at = entry.end;
  }
  if (at != data.size()) return wrong(fmt::format("{} bytes at the end belong to no tensor", data.size() - at));

  Allowance allowance(limits, bytes.size());
  for (Entry& entry : entries) {
    if (!entry.dtype->ours) {
      file.left_out.push_back(fmt::format("{}: dtype {}", entry.name, entry.dtype->name));
      continue;
    }
    if (!allowance.take(entry.end - entry.begin + 128)) return wrong("its tensors need more memory than a file of this size may cost");
    Tensor tensor(entry.dtype->dtype, std::move(entry.shape));
    if (entry.end > entry.begin) std::memcpy(tensor.data(), data.data() + entry.begin, entry.end - entry.begin);
    if (tensor.dtype() == Dtype::boolean)
      for (std::byte& each : tensor.bytes()) each = each == std::byte{0} ? each : std::byte{1};
    file.tensors.push_back({std::move(entry.name), std::move(tensor)});
  }
  return file;
}

}  // namespace sightline::weights
