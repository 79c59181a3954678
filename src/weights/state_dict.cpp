// PyTorch's two file formats: where the pickle and the storages lie, and which of the pickled objects are the weights.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>

#include "base/text.h"
#include "weights/bounds.h"
#include "weights/pickle.h"
#include "weights/weights.h"
#include "weights/zip.h"

namespace sightline::weights {
namespace {

using Kind = PickledValue::Kind;
using Storages = std::map<std::string, std::string_view>;  // by key: their bytes

constexpr int deepest = 4;  // dictionaries within each other that are looked through
// Where training programs put the weights within a checkpoint, best first.
constexpr std::array usual_keys{"state_dict", "model_state_dict", "model",  "net",      "network", "params_ema",
                                "params",     "weights",          "module", "backbone", "encoder"};
// Wrappers that put themselves before every name.
constexpr std::array wrappers{"module.", "_orig_mod.", "model.", "net."};

// --- copying out ---

// The elements of a strided view in order. False when it leaves its storage.
bool copy_view(const PickledTensor& tensor, std::uint64_t begin, std::uint64_t length, std::string_view storage, std::size_t item,
               std::byte* out) {
  const std::size_t rank = tensor.shape.size();
  std::uint64_t last = 0;  // the last element's place in the view
  for (std::size_t i = 0; i < rank; ++i) {
    if (tensor.shape[i] == 0) return true;
    std::uint64_t reach = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(tensor.shape[i] - 1), static_cast<std::uint64_t>(tensor.strides[i]), &reach) ||
        __builtin_add_overflow(last, reach, &last))
      return false;
  }
  std::uint64_t first = 0;
  if (__builtin_add_overflow(begin, static_cast<std::uint64_t>(tensor.offset), &first) ||
      static_cast<std::uint64_t>(tensor.offset) >= length || last >= length - static_cast<std::uint64_t>(tensor.offset))
    return false;
  if (first + last >= storage.size() / item) return false;
  const char* source = storage.data() + first * item;

  bool dense = true;
  std::int64_t expected = 1;
  for (std::size_t i = rank; i-- > 0;) {
    dense = dense && (tensor.shape[i] == 1 || tensor.strides[i] == expected);
    expected *= tensor.shape[i];
  }
  if (dense) {
    std::memcpy(out, source, static_cast<std::size_t>(expected) * item);
    return true;
  }
  std::vector<std::int64_t> index(rank, 0);
  std::int64_t at = 0;
  for (std::int64_t count = 0; count < expected; ++count) {
    std::memcpy(out, source + static_cast<std::size_t>(at) * item, item);
    out += item;
    for (std::size_t i = rank; i-- > 0;) {
      at += tensor.strides[i];
      if (++index[i] < tensor.shape[i]) break;
      at -= tensor.strides[i] * tensor.shape[i];
      index[i] = 0;
    }
  }
  return true;
}

// --- finding ---

struct Found {
  Reference dict = 0;
  std::string path;
  bool direct = false;  // it holds tensors itself
};

std::string joined(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

// Every dictionary below that holds tensors.
void collect(const Pickle& pickle, Reference reference, const std::string& path, int depth, std::set<Reference>& seen,
             std::vector<Found>& found) {
  const PickledValue& dict = pickle[reference];
  if (dict.kind != Kind::dict || depth > deepest || !seen.insert(reference).second) return;
  const bool direct = [&] {
    for (std::size_t i = 1; i < dict.items.size(); i += 2)
      if (pickle[dict.items[i]].kind == Kind::tensor && pickle[dict.items[i - 1]].kind == Kind::text) return true;
    return false;
  }();
  if (direct) found.push_back({reference, path, true});
  for (std::size_t i = 1; i < dict.items.size(); i += 2) {
    const PickledValue& key = pickle[dict.items[i - 1]];
    if (key.kind == Kind::text) collect(pickle, dict.items[i], joined(path, key.text), depth + 1, seen, found);
  }
}

Result<Found> find_weights(const Pickle& pickle) {
  std::vector<Found> found;
  std::set<Reference> seen;
  collect(pickle, pickle.root, "", 0, seen, found);
  if (found.empty())
    return Error{ErrorKind::invalid_data, "it holds no dictionary of tensors; a state dict is wanted (torch.save(model.state_dict(), …))"};
  if (found.size() == 1) return found[0];
  // What an optimiser keeps has numbers for names, and is not among them.
  for (const char* key : usual_keys) {
    for (const Found& each : found)
      if (each.path == key) return each;
  }
  const auto top = std::find_if(found.begin(), found.end(), [](const Found& each) { return each.path.empty(); });
  if (top != found.end()) return *top;
  std::vector<std::string> paths;
  for (const Found& each : found) paths.push_back(each.path);
  if (paths.size() > 8) paths.resize(8);
  return Error{ErrorKind::invalid_data,
               fmt::format("several dictionaries hold tensors ({}); save the one that is meant on its own", join(paths, ", "))};
}

void strip_wrappers(std::vector<NamedTensor>& tensors) {
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view wrapper : wrappers) {
      const bool all = !tensors.empty() && std::all_of(tensors.begin(), tensors.end(), [&](const NamedTensor& each) {
        return each.name.size() > wrapper.size() && each.name.starts_with(wrapper);
      });
      if (!all) continue;
      for (NamedTensor& each : tensors) each.name.erase(0, wrapper.size());
      again = true;
    }
  }
}

Result<void> read_tensors(const Pickle& pickle, const Found& where, const Storages& storages, Allowance& allowance, WeightFile& file) {
  const PickledValue& dict = pickle[where.dict];
  std::map<std::string, std::size_t> known;  // a key that is set twice counts as it was set last
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickledValue& key = pickle[dict.items[i]];
    const PickledValue& value = pickle[dict.items[i + 1]];
    if (key.kind != Kind::text) continue;
    if (value.kind != Kind::tensor) {
      file.left_out.push_back(key.text + ": not a tensor");
      continue;
    }
    const auto wrong = [&](const std::string& what) {
      return Error{ErrorKind::invalid_data, fmt::format("tensor \"{}\" {}", key.text, what)};
    };
    const PickledTensor& tensor = pickle.tensors[static_cast<std::size_t>(value.integer)];
    const PickledStorage& storage = pickle.storages[tensor.storage];
    Dtype dtype = Dtype::f32;
    std::uint64_t item = 0;
    if (!dtype_of_storage(storage.type, dtype, item)) {
      file.left_out.push_back(fmt::format("{}: {}", key.text, storage.type));
      continue;
    }
    const auto bytes = bytes_of(tensor.shape, item);
    if (!bytes) return wrong("has an impossible shape");
    const auto held = storages.find(storage.key);
    if (held == storages.end()) return wrong(fmt::format("lies in storage \"{}\", which is not in the file", storage.key));
    if (!allowance.take(*bytes + sizeof(NamedTensor) + 192 + key.text.size()))
      return wrong("takes more memory than a file of this size may cost");
    Tensor copy(dtype, tensor.shape);
    if (!copy_view(tensor, static_cast<std::uint64_t>(storage.begin), static_cast<std::uint64_t>(storage.length), held->second, item,
                   copy.data()))
      return wrong(fmt::format("reaches over the end of its storage \"{}\" ({} bytes)", storage.key, held->second.size()));
    if (dtype == Dtype::boolean)
      for (std::byte& each : copy.bytes()) each = each == std::byte{0} ? each : std::byte{1};
    const auto [place, fresh] = known.try_emplace(key.text, file.tensors.size());
    if (fresh) {
      file.tensors.push_back({key.text, std::move(copy)});
    } else {
      file.tensors[place->second].tensor = std::move(copy);
    }
  }
  file.found_in = where.path;
  strip_wrappers(file.tensors);
  return {};
}

// --- the two formats ---

Result<WeightFile> parse_zip(std::string_view bytes, Allowance& allowance) {
  SIGHTLINE_TRY(const std::vector<ZipEntry> entries, list_zip(bytes));
  const auto find = [&](const std::string& name) -> const ZipEntry* {
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const ZipEntry& each) { return each.name == name; });
    return found == entries.end() ? nullptr : &*found;
  };
  const auto pickled = std::find_if(entries.begin(), entries.end(),
                                    [](const ZipEntry& each) { return each.name == "data.pkl" || each.name.ends_with("/data.pkl"); });
  if (pickled == entries.end())
    return Error{ErrorKind::invalid_data, "it is a zip archive, but not one of PyTorch's: there is no data.pkl"};
  const std::string folder = pickled->name.substr(0, pickled->name.size() - 8);
  if (find(folder + "constants.pkl") != nullptr)
    return Error{ErrorKind::unsupported,
                 "it is a TorchScript archive, which holds code; save the state dict (torch.save(model.state_dict(), …))"};
  std::string memory;
  if (const ZipEntry* order = find(folder + "byteorder")) {
    SIGHTLINE_TRY(const std::string_view text, read_zip_entry(bytes, *order, allowance, memory));
    if (trim(text) != "little") return Error{ErrorKind::unsupported, fmt::format("its byte order is \"{}\"", text)};
  }
  std::string pickle_memory;
  SIGHTLINE_TRY(const std::string_view text, read_zip_entry(bytes, *pickled, allowance, pickle_memory));
  auto pickle = read_pickle(text, allowance);
  if (!pickle.ok()) return pickle.error().in(pickled->name);
  SIGHTLINE_TRY(const Found found, find_weights(*pickle));

  // Only the storages that the weights lie in: a checkpoint's optimiser stays where it is.
  std::set<std::string> wanted;
  for (std::size_t i = 1; i < (*pickle)[found.dict].items.size(); i += 2) {
    const PickledValue& value = (*pickle)[(*pickle)[found.dict].items[i]];
    if (value.kind == Kind::tensor) wanted.insert(pickle->storages[pickle->tensors[static_cast<std::size_t>(value.integer)].storage].key);
  }
  Storages storages;
  std::map<std::string, std::string> inflated;
  const std::string prefix = folder + "data/";
  for (const ZipEntry& entry : entries) {
    if (!entry.name.starts_with(prefix)) continue;
    const std::string key = entry.name.substr(prefix.size());
    if (!wanted.contains(key) || storages.contains(key)) continue;
    SIGHTLINE_TRY(storages[key], read_zip_entry(bytes, entry, allowance, inflated[key]));
  }
  WeightFile file{.format = WeightFile::Format::zip};
  SIGHTLINE_CHECK(read_tensors(*pickle, found, storages, allowance, file));
  return file;
}

// protocol mark, then LONG1 of 0x1950a86a20f9469cfc6c
constexpr std::string_view magic{"\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13};
bool looks_legacy(std::string_view bytes) { return bytes.size() > 15 && bytes[0] == '\x80' && bytes.substr(2, magic.size()) == magic; }

Result<WeightFile> parse_legacy(std::string_view bytes, Allowance& allowance) {
  std::size_t at = 2 + magic.size();
  const auto next = [&](const char* what) -> Result<Pickle> {
    auto pickle = read_pickle(bytes.substr(at), allowance);
    if (!pickle.ok()) return pickle.error().in(fmt::format("{} (from byte {})", what, at));
    at += pickle->length;
    return pickle;
  };
  SIGHTLINE_TRY(const Pickle protocol, next("the version"));
  if (protocol[protocol.root].kind != Kind::integer || protocol[protocol.root].integer != 1001)
    return Error{ErrorKind::unsupported, "its version is not 1001"};
  SIGHTLINE_TRY(const Pickle system, next("the machine"));
  const PickledValue& facts = system[system.root];
  for (std::size_t i = 1; facts.kind == Kind::dict && i < facts.items.size(); i += 2) {
    const bool order = system[facts.items[i - 1]].kind == Kind::text && system[facts.items[i - 1]].text == "little_endian";
    const PickledValue& value = system[facts.items[i]];
    if (order && value.kind == Kind::boolean && value.integer == 0) return Error{ErrorKind::unsupported, "its byte order is big endian"};
  }
  SIGHTLINE_TRY(const Pickle pickle, next("the object"));
  SIGHTLINE_TRY(const Pickle keys, next("the storages' keys"));
  const PickledValue& list = keys[keys.root];
  if (list.kind != Kind::list) return Error{ErrorKind::invalid_data, "the storages' keys are no list"};

  std::map<std::string, std::uint64_t> item_sizes;
  for (const PickledStorage& storage : pickle.storages) {
    Dtype dtype = Dtype::f32;
    std::uint64_t item = 0;
    dtype_of_storage(storage.type, dtype, item);
    item_sizes[storage.key] = item;
  }
  Storages storages;
  for (const Reference reference : list.items) {
    const std::string& key = keys[reference].text;
    const auto item = item_sizes.find(key);
    if (keys[reference].kind != Kind::text || item == item_sizes.end())
      return Error{ErrorKind::invalid_data, fmt::format("storage \"{}\" belongs to no tensor, so that its size is not known", key)};
    if (bytes.size() - at < 8) return Error{ErrorKind::invalid_data, fmt::format("storage \"{}\" is missing: the file is cut off", key)};
    const auto elements = little<std::uint64_t>(bytes, at);
    at += 8;
    if (elements > (bytes.size() - at) / item->second)
      return Error{ErrorKind::invalid_data,
                   fmt::format("storage \"{}\" has {} elements, more than the file holds: it is cut off", key, elements)};
    storages[key] = bytes.substr(at, elements * item->second);
    at += elements * item->second;
  }
  SIGHTLINE_TRY(const Found found, find_weights(pickle));
  WeightFile file{.format = WeightFile::Format::legacy};
  SIGHTLINE_CHECK(read_tensors(pickle, found, storages, allowance, file));
  return file;
}

}  // namespace

Result<WeightFile> parse_state_dict(std::string_view bytes, const std::string& source, const Limits& limits) {
  Allowance allowance(limits, bytes.size());
  const bool zip = looks_like_zip(bytes);
  if (!zip && !looks_legacy(bytes))
    return Error{ErrorKind::invalid_data,
                 source + ": neither of PyTorch's formats (a zip archive, or the one before it that begins with a magic number)"};
  auto file = zip ? parse_zip(bytes, allowance) : parse_legacy(bytes, allowance);
  if (!file.ok()) return file.error().in(source);
  return file;
}

}  // namespace sightline::weights
