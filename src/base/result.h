// What users and the world cause is a value: Result<T> holds a T or an Error. Exceptions are for libraries that throw; they are
// caught in the step runner and at the edge of a program. Asserts are for programmers' mistakes.
//
//   Result<int> parse(std::string_view text);
//   Result<void> use(std::string_view text) {
//     SIGHTLINE_TRY(int n, parse(text));   // returns the error to the caller
//     SIGHTLINE_CHECK(store(n));           // the same for Result<void>
//     return {};
//   }
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace sightline {

// One table (error_kinds() in result.cpp) maps each kind to its name, exit code and HTTP status.
enum class ErrorKind {
  usage,         // a wrong command line or argument of a call
  invalid_data,  // a file or message that does not say what it should
  not_found,
  unsupported,  // understood, but this program cannot do it
  io,           // disk, permission, network
  conflict,     // somebody else holds it, or it exists already
  refused,      // a gate or a limit said no
  interrupted,
  internal  // a mistake of ours
};

struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;  // a sentence for a person: what, where (file:line) and what to do about it

  // The same error with "context: " before its message.
  Error in(const std::string& context) const { return {kind, context + ": " + message}; }
};

const char* name_of(ErrorKind kind);
int exit_code_of(ErrorKind kind);
int http_status_of(ErrorKind kind);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& operator*() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  // By value, so that `for (auto& x : *call())` does not outlive what it walks through.
  T operator*() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T* operator->() {
    assert(ok());
    return std::get_if<0>(&state_);
  }
  const T* operator->() const {
    assert(ok());
    return std::get_if<0>(&state_);
  }
  const Error& error() const {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    assert(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace sightline

#define SIGHTLINE_CONCAT_(a, b) a##b
#define SIGHTLINE_CONCAT(a, b) SIGHTLINE_CONCAT_(a, b)
#define SIGHTLINE_TRY_(result, declaration, expression) \
  auto result = (expression);                           \
  if (!result.ok()) return result.error();              \
  declaration = *std::move(result)
#define SIGHTLINE_TRY(declaration, expression) SIGHTLINE_TRY_(SIGHTLINE_CONCAT(sightline_result_, __LINE__), declaration, expression)
#define SIGHTLINE_CHECK(expression)                                                                    \
  do {                                                                                                 \
    if (auto sightline_status = (expression); !sightline_status.ok()) return sightline_status.error(); \
  } while (false)
