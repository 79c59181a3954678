#include "package/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/files.h"
#include "base/text.h"

namespace sightline::package {

namespace fs = std::filesystem;

Result<std::string> inside(const std::string& folder, const std::string& name, std::uint64_t most) {
  const fs::path path = fs::path(folder) / name;
  const auto bad = [&](const std::string& what) { return Error{ErrorKind::invalid_data, fmt::format("{}: {}", path.string(), what)}; };
  std::error_code code;
  const fs::file_status status = fs::status(path, code);  // follows links
  if (status.type() == fs::file_type::not_found) return bad("the package's file is missing; export or build the package again");
  if (code) return Error{ErrorKind::io, fmt::format("{}: {}", path.string(), code.message())};
  if (status.type() != fs::file_type::regular) return bad("not a regular file");
  const fs::path root = fs::canonical(folder, code);
  const fs::path real = code ? fs::path() : fs::canonical(path, code);
  if (code) return Error{ErrorKind::io, fmt::format("{}: {}", path.string(), code.message())};
  if (std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first != root.end())
    return bad("a link that leads out of the package");
  const std::uintmax_t size = fs::file_size(real, code);
  if (code) return Error{ErrorKind::io, fmt::format("{}: {}", path.string(), code.message())};
  if (size > most) return bad(fmt::format("{} is more than the {} that such a file may have", human_bytes(size), human_bytes(most)));
  return path.string();
}

Result<std::string> read_inside(const std::string& folder, const std::string& name, std::uint64_t most) {
  SIGHTLINE_TRY(const std::string path, inside(folder, name, most));
  return read_file(path);
}

}  // namespace sightline::package
