#include "training/checkpoint.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>

#include "base/fault.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"

namespace sightline::training {
namespace {

constexpr std::string_view magic = "SLCKPT01";
constexpr std::size_t digest_length = 64;

std::string path_of(const std::string& folder, const char* which) { return folder + "/checkpoint." + which; }

// Error invalid_data says what is damaged, conflict that it is another run's.
Result<void> read_one(const std::string& path, const Digest& fingerprint, const Digest& layout, RunRecord& record,
                      const NamedTensors& tensors) {
  const auto damaged = [&](const char* what) { return Error{ErrorKind::invalid_data, fmt::format("{}: {}", path, what)}; };
  SIGHTLINE_TRY(const std::string content, read_file(path));
  const std::string_view text = content;
  if (text.size() < magic.size() + sizeof(std::uint64_t) + digest_length) return damaged("it is cut off");
  if (!text.starts_with(magic)) return damaged("it is no checkpoint");
  const std::string_view signed_part = text.substr(0, text.size() - digest_length);
  if (sha256_of(signed_part) != text.substr(signed_part.size())) return damaged("its digest does not fit");
  std::uint64_t header_length = 0;
  std::memcpy(&header_length, text.data() + magic.size(), sizeof(header_length));
  std::string_view rest = signed_part.substr(magic.size() + sizeof(header_length));
  if (header_length > rest.size()) return damaged("its header is cut off");
  SIGHTLINE_TRY(const Json header, parse_json(rest.substr(0, header_length), path));
  rest.remove_prefix(header_length);

  if (!header.is_object() || !header.contains("run") || !header.contains("tensors")) return damaged("its header lacks a part");
  RunRecord found;
  SIGHTLINE_CHECK(from_json(header["run"], found, "run"));
  if (found.fingerprint != fingerprint || found.layout != layout)
    return Error{ErrorKind::conflict, fmt::format("{} belongs to another specification, graph or data set", path)};
  Json expected = Json::array();
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    expected.push_back({{"name", name}, {"count", tensor.numel()}});
    bytes += tensor.nbytes();
  }
  if (header["tensors"] != expected || rest.size() != bytes) return damaged("its tensors do not fit");
  for (const auto& [name, tensor] : tensors) {
    if (tensor.nbytes() > 0) std::memcpy(tensor.data_ptr(), rest.data(), tensor.nbytes());
    rest.remove_prefix(tensor.nbytes());
  }
  record = std::move(found);
  return {};
}

}  // namespace

Result<void> write_checkpoint(const std::string& folder, const RunRecord& record, const NamedTensors& tensors) {
  Json header = {{"run", to_json(record)}, {"tensors", Json::array()}};
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    TORCH_CHECK(tensor.is_contiguous() && tensor.scalar_type() == torch::kFloat, "checkpoints hold contiguous f32");
    header["tensors"].push_back({{"name", name}, {"count", tensor.numel()}});
    bytes += tensor.nbytes();
  }
  const std::string text = json_text(header);
  const std::uint64_t length = text.size();
  std::string content;
  content.reserve(magic.size() + sizeof(length) + text.size() + bytes + digest_length);
  content.append(magic);
  content.append(reinterpret_cast<const char*>(&length), sizeof(length));
  content.append(text);
  for (const auto& [name, tensor] : tensors) content.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  content.append(sha256_of(content));

  const std::string last = path_of(folder, "last");
  if (path_exists(last)) SIGHTLINE_CHECK(rename_path(last, path_of(folder, "previous")));
  fault_point("train-checkpoint");
  return write_file(last, content);
}

Result<bool> read_checkpoint(const std::string& folder, const Digest& fingerprint, const Digest& layout, RunRecord& record,
                             const NamedTensors& tensors) {
  // What a kill left of a checkpoint that was being written.
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool whole = name == "checkpoint.last" || name == "checkpoint.previous";
    if (!whole && name.starts_with("checkpoint.")) std::filesystem::remove(entry.path(), ignored);
  }
  for (const char* which : {"last", "previous"}) {
    const std::string path = path_of(folder, which);
    if (!path_exists(path)) continue;
    const auto status = read_one(path, fingerprint, layout, record, tensors);
    if (status.ok()) return true;
    if (status.error().kind == ErrorKind::io) return status.error();
    if (status.error().kind == ErrorKind::conflict) {
      log_warning("{}; it is not used", status.error().message);
      continue;
    }
    log_warning("{}; it is removed, and training goes on from the one before or from the start", status.error().message);
    SIGHTLINE_CHECK(remove_all(path));
  }
  return false;
}

}  // namespace sightline::training
