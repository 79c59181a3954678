#include "base/result.h"

#include <array>

namespace sightline {
namespace {

struct KindRow {
  ErrorKind kind;
  const char* name;
  int exit_code;
  int http_status;
};

constexpr std::array<KindRow, 9> error_kinds{{
    {ErrorKind::usage, "usage", 2, 400},
    {ErrorKind::invalid_data, "invalid_data", 3, 422},
    {ErrorKind::not_found, "not_found", 4, 404},
    {ErrorKind::unsupported, "unsupported", 5, 501},
    {ErrorKind::io, "io", 6, 503},
    {ErrorKind::conflict, "conflict", 7, 409},
    {ErrorKind::refused, "refused", 8, 403},
    {ErrorKind::interrupted, "interrupted", 130, 503},
    {ErrorKind::internal, "internal", 70, 500},
}};

const KindRow& row_of(ErrorKind kind) {
  for (const KindRow& row : error_kinds) {
    if (row.kind == kind) return row;
  }
  return error_kinds.back();
}

}  // namespace

const char* name_of(ErrorKind kind) { return row_of(kind).name; }
int exit_code_of(ErrorKind kind) { return row_of(kind).exit_code; }
int http_status_of(ErrorKind kind) { return row_of(kind).http_status; }

}  // namespace sightline
