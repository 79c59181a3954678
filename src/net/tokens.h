// Who may ask for what. A file holds a line for each token: its name, its scope and the SHA-256 of its secret; the secret itself is shown
// once, when it is made, and kept nowhere.
//
//   [{"name": "camera-3", "scope": "infer", "sha256": "…", "created": "2026-11-27T12:00:00Z"}, …]
//
// Secrets are 32 random bytes, so a plain hash is as good as a slow one: there is nothing to guess.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "net/http.h"

namespace sightline::net {

struct Token {
  std::string name, scope, sha256, created;
  static constexpr auto fields() {
    return std::tuple{field("name", &Token::name), field("scope", &Token::scope), field("sha256", &Token::sha256),
                      field("created", &Token::created)};
  }
};

class Tokens {
 public:
  // Errors: not_found, invalid_data (names the entry).
  static Result<Tokens> read(const std::string& path);
  Tokens() = default;

  struct Holder {
    std::string name;
    Scope scope = Scope::read;
  };
  // Of an Authorization header: "Bearer SECRET". Takes as long for a wrong secret as for a right one.
  std::optional<Holder> holder(const std::string& authorization) const;
  bool empty() const { return tokens_.empty(); }
  const std::vector<Token>& all() const { return tokens_; }

 private:
  std::vector<Token> tokens_;
};

// "read", "infer", "admin"; nothing for other words.
std::optional<Scope> scope_named(const std::string& name);

// Adds a token to the file (made where it is missing, readable by its owner alone) and gives the secret. Errors: conflict (the name is
// there), usage (name, scope), io.
Result<std::string> add_token(const std::string& path, const std::string& name, const std::string& scope);
// Error not_found.
Result<void> remove_token(const std::string& path, const std::string& name);

}  // namespace sightline::net
