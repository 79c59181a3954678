// Whatever oneDNN and the standard library throw becomes an error here and nowhere else.
#pragma once

#include <fmt/format.h>

#include <new>
#include <string>

#include "base/result.h"
#include "runtime/onednn.h"

namespace sightline::runtime {

// what: "planning", "running".
template <class T, class Body>
Result<T> guarded(const char* what, Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error{ErrorKind::refused, std::string(what) + ": not enough memory"};
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) return Error{ErrorKind::refused, std::string(what) + ": not enough memory"};
    return Error{ErrorKind::internal, fmt::format("{}: oneDNN: {}", what, error.what())};
  } catch (const std::exception& error) {
    return Error{ErrorKind::internal, fmt::format("{}: {}", what, error.what())};
  }
}

}  // namespace sightline::runtime
