#include "net/tokens.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/files.h"
#include "base/sha256.h"

namespace sightline::net {
namespace {

struct ScopeName {
  const char* name;
  Scope scope;
};
constexpr std::array scopes{ScopeName{"read", Scope::read}, ScopeName{"infer", Scope::infer}, ScopeName{"admin", Scope::admin}};

constexpr std::size_t secret_bytes = 32;

bool is_name(const std::string& name) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  return !name.empty() && name.size() <= 64 && name.find_first_not_of(letters) == std::string::npos;
}

Result<void> write_tokens(const std::string& path, const std::vector<Token>& tokens) {
  SIGHTLINE_CHECK(write_file(path, json_text(to_json(tokens), 2) + "\n"));
  if (::chmod(path.c_str(), 0600) != 0) return system_error("cannot keep others from reading", path);
  return {};
}

}  // namespace

std::optional<Scope> scope_named(const std::string& name) {
  for (const ScopeName& each : scopes) {
    if (name == each.name) return each.scope;
  }
  return std::nullopt;
}

Result<Tokens> Tokens::read(const std::string& path) {
  SIGHTLINE_TRY(const Json json, read_json_file(path));
  Tokens tokens;
  SIGHTLINE_CHECK(from_json(json, tokens.tokens_, path));
  for (const Token& token : tokens.tokens_) {
    if (is_name(token.name) && scope_named(token.scope) && is_digest(token.sha256)) continue;
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: the token \"{}\" wants a name, a scope (read, infer or admin) and a SHA-256; make it anew with "
                             "`sightline token add`",
                             path, token.name)};
  }
  return tokens;
}

std::optional<Tokens::Holder> Tokens::holder(const std::string& authorization) const {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() <= scheme.size()) return std::nullopt;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    const char c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != scheme[i]) return std::nullopt;
  }
  const Digest digest = sha256_of(std::string_view(authorization).substr(scheme.size()));
  std::optional<Holder> found;
  for (const Token& token : tokens_) {
    if (CRYPTO_memcmp(digest.data(), token.sha256.data(), digest.size()) == 0) found = Holder{token.name, *scope_named(token.scope)};
  }
  return found;
}

Result<std::string> add_token(const std::string& path, const std::string& name, const std::string& scope) {
  if (!is_name(name)) return Error{ErrorKind::usage, fmt::format("\"{}\" is no name for a token: 1 to 64 letters, digits, - _ .", name)};
  if (!scope_named(scope)) return Error{ErrorKind::usage, fmt::format("\"{}\" is no scope: read, infer or admin", scope)};
  SIGHTLINE_TRY(const FileLock lock, FileLock::acquire(path + ".lock"));
  std::vector<Token> tokens;
  if (path_exists(path)) {
    SIGHTLINE_TRY(const Tokens known, Tokens::read(path));
    tokens = known.all();
  }
  if (std::ranges::any_of(tokens, [&](const Token& token) { return token.name == name; }))
    return Error{ErrorKind::conflict,
                 fmt::format("{}: there is a token \"{}\" already; remove it first, or take another name", path, name)};
  std::array<unsigned char, secret_bytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return Error{ErrorKind::internal, "no random numbers are to be had"};
  std::string secret = "sl_";
  for (const unsigned char byte : bytes) secret += fmt::format("{:02x}", byte);
  tokens.push_back({.name = name, .scope = scope, .sha256 = sha256_of(secret), .created = utc_now()});
  SIGHTLINE_CHECK(write_tokens(path, tokens));
  return secret;
}

Result<void> remove_token(const std::string& path, const std::string& name) {
  SIGHTLINE_TRY(const FileLock lock, FileLock::acquire(path + ".lock"));
  SIGHTLINE_TRY(const Tokens known, Tokens::read(path));
  std::vector<Token> tokens = known.all();
  if (std::erase_if(tokens, [&](const Token& token) { return token.name == name; }) == 0)
    return Error{ErrorKind::not_found, fmt::format("{}: there is no token \"{}\"", path, name)};
  return write_tokens(path, tokens);
}

}  // namespace sightline::net
