#include <fmt/format.h>

#include "base/files.h"
#include "weights/bounds.h"
#include "weights/weights.h"
#include "weights/zip.h"

namespace sightline::weights {

Result<WeightFile> parse_weights(std::string_view bytes, const std::string& source, const Limits& limits) {
  if (bytes.size() > limits.largest_file)
    return Error{ErrorKind::invalid_data, fmt::format("{}: {} bytes; {} are the most", source, bytes.size(), limits.largest_file)};
  if (looks_like_zip(bytes) || bytes.starts_with('\x80')) return parse_state_dict(bytes, source, limits);
  // A safetensors header is JSON: after its length comes a brace.
  if (bytes.size() > 8 && bytes[8] == '{') return parse_safetensors(bytes, source, limits);
  return Error{ErrorKind::invalid_data, source + ": no weights that we know; .safetensors and PyTorch's .pth, .pt and .ckpt are read"};
}

Result<WeightFile> read_weights(const std::string& path, const Limits& limits) {
  if (is_directory(path)) return Error{ErrorKind::invalid_data, path + " is a folder, not a file of weights"};
  SIGHTLINE_TRY(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  return parse_weights({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path, limits);
}

}  // namespace sightline::weights
