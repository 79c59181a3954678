// Rows of one size, by the digest of what they were computed from: what is dear to compute and cheap to check, kept across runs. Rows lie
// in immutable memory-mapped blocks (FOLDER/NAME.rows). Each row carries a check that is compared whenever it is read, so nothing has to be
// trusted: a damaged row counts as missing, and is computed again. Losing the folder loses nothing but time; nothing is synced.
//
//   8 bytes "SLROWS01", u64 row bytes, u64 rows; then 40 bytes per row: its 32-byte key and the first 8 bytes of SHA-256(key, row);
//   padding to 64; then the rows. Little-endian.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "base/sha256.h"

namespace sightline::store {

// Any number of threads and processes; what another process adds is seen by the next open().
class RowCache {
 public:
  // Makes the folder when it is missing. A block that is cut off, of another row size or not a block is left out, with a warning.
  // Errors: io.
  static Result<RowCache> open(const std::string& folder, std::size_t row_bytes);
  RowCache(RowCache&&) noexcept;
  RowCache& operator=(RowCache&&) noexcept;
  ~RowCache();

  // Copies the row of `key` to `row` (row_bytes long). False: there is none, or it is damaged.
  bool find(const Digest& key, std::span<std::byte> row) const;
  bool contains(const Digest& key) const;  // without the check
  // One new block; rows.size() is keys.size() · row_bytes. Errors: io (nothing is left behind), internal (a key that is no digest).
  Result<void> add(std::span<const Digest> keys, std::span<const std::byte> rows);

  std::size_t row_bytes() const;
  std::size_t size() const;     // keys
  std::size_t damaged() const;  // rows that failed their check since open()

 private:
  struct State;
  explicit RowCache(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sightline::store
