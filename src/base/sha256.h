// SHA-256 (FIPS 180-4) through OpenSSL, which uses the processor's instructions where it has them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sightline {

// A digest is its 64 lower-case hexadecimal characters: it is printed, stored in JSON and used as a file name as it is.
using Digest = std::string;

bool is_digest(std::string_view text);

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& add(std::span<const std::byte> bytes);
  Sha256& add(std::string_view text);
  // A length before the text, so that ("ab","c") and ("a","bc") differ.
  Sha256& add_field(std::string_view text);
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256_of(std::string_view text);
Digest sha256_of(std::span<const std::byte> bytes);
// Streams the file; errors: not_found, io.
Result<Digest> sha256_of_file(const std::string& path);

}  // namespace sightline
