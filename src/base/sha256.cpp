#include "base/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <cstdio>

#include "base/files.h"

namespace sightline {

struct Sha256::State {
  EVP_MD_CTX* context = nullptr;
  State() : context(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context, EVP_sha256(), nullptr); }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

bool is_digest(std::string_view text) {
  if (text.size() != 64) return false;
  for (char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::add(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::add(std::string_view text) { return add(std::as_bytes(std::span(text.data(), text.size()))); }

Sha256& Sha256::add_field(std::string_view text) {
  const std::uint64_t size = text.size();
  add(std::as_bytes(std::span(&size, 1)));
  return add(text);
}

Digest Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, raw.data(), &size);
  static constexpr char digits[] = "0123456789abcdef";
  Digest hex;
  hex.reserve(2 * size);
  for (unsigned int i = 0; i < size; ++i) {
    hex.push_back(digits[raw[i] >> 4U]);
    hex.push_back(digits[raw[i] & 15U]);
  }
  return hex;
}

Digest sha256_of(std::string_view text) { return Sha256().add(text).finish(); }
Digest sha256_of(std::span<const std::byte> bytes) { return Sha256().add(bytes).finish(); }

Result<Digest> sha256_of_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return system_error("cannot open", path);
  Sha256 hash;
  std::array<std::byte, 1 << 16> block;
  std::size_t got = 0;
  while ((got = std::fread(block.data(), 1, block.size(), file)) > 0) hash.add(std::span(block.data(), got));
  const bool failed = std::ferror(file) != 0;
  Error error = failed ? system_error("cannot read", path) : Error{};
  std::fclose(file);
  if (failed) return error;
  return hash.finish();
}

}  // namespace sightline
