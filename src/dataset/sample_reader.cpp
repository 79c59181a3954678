#include <fmt/format.h>

#include <map>
#include <mutex>

#include "base/files.h"
#include "dataset/idx.h"
#include "dataset/manifest.h"

namespace sightline::dataset {

struct SampleReader::State {
  std::string root;
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<IdxFile>, std::less<>> idx_files;  // opened once, never closed before the reader is

  // Opening holds the lock: whoever needs the same file has to wait for it anyway.
  Result<const IdxFile*> idx_file(std::string_view name) {
    const std::lock_guard lock(mutex);
    if (const auto found = idx_files.find(name); found != idx_files.end()) return found->second.get();
    SIGHTLINE_TRY(IdxFile file, IdxFile::open(root + "/" + std::string(name)));
    if (file.dimensions().size() < 3 || (file.dimensions().size() == 4 && file.dimensions()[3] != 1 && file.dimensions()[3] != 3))
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}/{}: pictures need the dimensions count×height×width or count×height×width×3", root, name)};
    return idx_files.emplace(std::string(name), std::make_unique<IdxFile>(std::move(file))).first->second.get();
  }
};

SampleReader::SampleReader(std::string root) : state_(std::make_unique<State>()) { state_->root = std::move(root); }
SampleReader::~SampleReader() = default;
SampleReader::SampleReader(SampleReader&&) noexcept = default;

Result<image::Image> SampleReader::read(const std::string& sample_path, const image::DecodeOptions& options) const {
  return read_and_digest(sample_path, options, nullptr);
}

Result<image::Image> SampleReader::read_and_digest(const std::string& sample_path, const image::DecodeOptions& options,
                                                   Digest* digest) const {
  std::string_view file;
  std::size_t record = 0;
  if (!split_record_path(sample_path, file, record)) {
    SIGHTLINE_TRY(const std::string content, read_file(state_->root + "/" + sample_path));
    const auto bytes = std::as_bytes(std::span(content));
    if (digest != nullptr) *digest = sha256_of(bytes);
    Result<image::Image> image = image::decode(bytes, options);
    if (!image.ok()) return image.error().in(sample_path);
    return image;
  }
  SIGHTLINE_TRY(const IdxFile* idx, state_->idx_file(file));
  if (record >= idx->count()) return Error{ErrorKind::not_found, fmt::format("{}: the file holds {} records", sample_path, idx->count())};
  const auto bytes = idx->record(record);
  if (digest != nullptr) *digest = sha256_of(bytes);
  const auto& dimensions = idx->dimensions();
  image::Image image{
      static_cast<int>(dimensions[2]), static_cast<int>(dimensions[1]), dimensions.size() == 4 ? static_cast<int>(dimensions[3]) : 1, {}};
  const auto* values = reinterpret_cast<const std::uint8_t*>(bytes.data());
  image.pixels.assign(values, values + bytes.size());
  if (options.channels != 0 && options.channels != image.channels) return image::convert_channels(image, options.channels);
  return image;
}

}  // namespace sightline::dataset
