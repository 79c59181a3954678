#include "store/row_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/log.h"

namespace sightline::store {
namespace {

constexpr std::string_view magic = "SLROWS01", suffix = ".rows";
constexpr std::size_t header_bytes = 24, key_bytes = 32, check_bytes = 8, entry_bytes = key_bytes + check_bytes, alignment = 64;

using Key = std::array<std::byte, key_bytes>;
struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::size_t hash = 0;
    std::memcpy(&hash, key.data(), sizeof hash);  // it is a hash already
    return hash;
  }
};

std::byte nibble(char c) { return static_cast<std::byte>(c <= '9' ? c - '0' : c - 'a' + 10); }
Key key_of(const Digest& digest) {
  Key key{};
  for (std::size_t i = 0; i < key_bytes; ++i) key[i] = (nibble(digest[2 * i]) << 4) | nibble(digest[2 * i + 1]);
  return key;
}

std::array<std::byte, check_bytes> check_of(std::span<const std::byte> key, std::span<const std::byte> row) {
  const Digest digest = Sha256().add(key).add(row).finish();
  std::array<std::byte, check_bytes> check{};
  for (std::size_t i = 0; i < check_bytes; ++i) check[i] = (nibble(digest[2 * i]) << 4) | nibble(digest[2 * i + 1]);
  return check;
}

std::size_t rows_at(std::size_t count) { return (header_bytes + count * entry_bytes + alignment - 1) / alignment * alignment; }

void append_number(std::string& text, std::uint64_t number) { text.append(reinterpret_cast<const char*>(&number), sizeof number); }

}  // namespace

struct RowCache::State {
  struct Place {
    std::size_t block = 0, row = 0;
  };
  std::string folder;
  std::size_t row_bytes = 0;
  mutable std::shared_mutex mutex;
  std::vector<MappedFile> blocks;
  std::unordered_multimap<Key, Place, KeyHash> places;  // several after one was damaged
  std::size_t keys = 0;
  mutable std::atomic<std::size_t> damaged = 0;

  // "" or why the file is no block for this cache.
  std::string take(MappedFile file) {
    const auto bytes = file.bytes();
    std::array<std::uint64_t, 2> sizes{};
    if (bytes.size() < header_bytes || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) return "it is no block of rows";
    std::memcpy(sizes.data(), bytes.data() + magic.size(), sizeof sizes);
    if (sizes[0] != row_bytes) return fmt::format("its rows have {} bytes, not {}", sizes[0], row_bytes);
    const std::uint64_t most = bytes.size() / (row_bytes + entry_bytes);
    if (sizes[1] > most || bytes.size() != rows_at(sizes[1]) + sizes[1] * row_bytes) return "it is cut off";
    for (std::size_t row = 0; row < sizes[1]; ++row) {
      Key key{};
      std::memcpy(key.data(), bytes.data() + header_bytes + row * entry_bytes, key_bytes);
      if (!places.contains(key)) ++keys;
      places.emplace(key, Place{blocks.size(), row});
    }
    blocks.push_back(std::move(file));
    return "";
  }

  // The row, when its check fits; else an empty span.
  std::span<const std::byte> whole_row(const Place& place) const {
    const auto bytes = blocks[place.block].bytes();
    std::uint64_t count = 0;
    std::memcpy(&count, bytes.data() + magic.size() + sizeof count, sizeof count);
    const auto entry = bytes.subspan(header_bytes + place.row * entry_bytes, entry_bytes);
    const auto row = bytes.subspan(rows_at(count) + place.row * row_bytes, row_bytes);
    const auto check = check_of(entry.first(key_bytes), row);
    return std::equal(check.begin(), check.end(), entry.begin() + key_bytes) ? row : std::span<const std::byte>();
  }
};

RowCache::RowCache(std::unique_ptr<State> state) : state_(std::move(state)) {}
RowCache::RowCache(RowCache&&) noexcept = default;
RowCache& RowCache::operator=(RowCache&&) noexcept = default;
RowCache::~RowCache() = default;

Result<RowCache> RowCache::open(const std::string& folder, std::size_t row_bytes) {
  if (row_bytes == 0) return Error{ErrorKind::internal, "a cache of empty rows"};
  SIGHTLINE_CHECK(make_directories(folder));
  auto state = std::make_unique<State>();
  state->folder = folder;
  state->row_bytes = row_bytes;
  SIGHTLINE_TRY(const std::vector<std::string> files, list_files(folder, [&](const std::string& path, const std::string& reason) {
                  log_warning("{}/{}: {}", folder, path, reason);
                }));
  for (const std::string& name : files) {
    if (!name.ends_with(suffix)) continue;
    const std::string path = folder + "/" + name;
    auto file = MappedFile::open(path);
    const std::string why = file.ok() ? state->take(*std::move(file)) : file.error().message;
    if (!why.empty()) log_warning("{}: {}; what it held is computed again", path, why);
  }
  return RowCache(std::move(state));
}

bool RowCache::find(const Digest& key, std::span<std::byte> row) const {
  if (!is_digest(key) || row.size() != state_->row_bytes) return false;
  const std::shared_lock lock(state_->mutex);
  const auto [begin, end] = state_->places.equal_range(key_of(key));
  for (auto place = begin; place != end; ++place) {
    const auto found = state_->whole_row(place->second);
    if (!found.empty()) {
      std::copy(found.begin(), found.end(), row.begin());
      return true;
    }
    if (state_->damaged++ == 0) log_warning("{}: a row is damaged; it is computed again", state_->folder);
  }
  return false;
}

bool RowCache::contains(const Digest& key) const {
  const std::shared_lock lock(state_->mutex);
  return is_digest(key) && state_->places.contains(key_of(key));
}

Result<void> RowCache::add(std::span<const Digest> keys, std::span<const std::byte> rows) {
  const std::size_t size = state_->row_bytes;
  if (keys.empty()) return {};
  if (rows.size() != keys.size() * size)
    return Error{ErrorKind::internal, fmt::format("{} bytes for {} rows of {}", rows.size(), keys.size(), size)};
  std::string text(magic);
  append_number(text, size);
  append_number(text, keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!is_digest(keys[i])) return Error{ErrorKind::internal, fmt::format("\"{}\" is no digest", keys[i].substr(0, 80))};
    const Key key = key_of(keys[i]);
    const auto check = check_of(key, rows.subspan(i * size, size));
    text.append(reinterpret_cast<const char*>(key.data()), key.size()).append(reinterpret_cast<const char*>(check.data()), check.size());
  }
  text.resize(rows_at(keys.size()));
  // Named by what it holds: two processes that compute the same write the same.
  const std::string path = fmt::format("{}/{}{}", state_->folder, Sha256().add(text).finish().substr(0, 32), suffix);
  const std::string temporary = fmt::format("{}.{}", path, ::getpid());
  {
    const Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd.valid()) return system_error("cannot write", temporary);
    const std::string_view body(reinterpret_cast<const char*>(rows.data()), rows.size());
    if (!write_all(fd.get(), text) || !write_all(fd.get(), body)) {
      Error error = system_error("cannot write", temporary);
      (void)::unlink(temporary.c_str());
      return error;
    }
  }
  SIGHTLINE_CHECK(rename_path(temporary, path));
  SIGHTLINE_TRY(MappedFile file, MappedFile::open(path));
  const std::unique_lock lock(state_->mutex);
  if (const std::string why = state_->take(std::move(file)); !why.empty()) return Error{ErrorKind::io, path + ": " + why};
  return {};
}

std::size_t RowCache::row_bytes() const { return state_->row_bytes; }
std::size_t RowCache::size() const {
  const std::shared_lock lock(state_->mutex);
  return state_->keys;
}
std::size_t RowCache::damaged() const { return state_->damaged; }

}  // namespace sightline::store
