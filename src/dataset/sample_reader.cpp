#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "base/files.h"
#include "base/text.h"
#include "dataset/idx.h"
#include "dataset/manifest.h"
#include "dataset/numbers.h"
#include "dataset/video_frames.h"

namespace sightline::dataset {
namespace {

// "car.jpg#253,218,130,29"
struct Part {
  std::string_view file, text;  // text: what stands behind the mark
  int left = 0, top = 0, width = 0, height = 0;
};
bool split_part_path(std::string_view path, Part& part) {
  const std::size_t mark = path.rfind('#');
  if (mark == std::string_view::npos) return false;
  part.file = path.substr(0, mark);
  part.text = path.substr(mark + 1);
  const std::vector<std::string> numbers = split(part.text, ',');
  if (numbers.size() != 4) return false;
  std::size_t i = 0;
  for (int* number : {&part.left, &part.top, &part.width, &part.height})
    if (!read_number(std::string_view(numbers[i++]), *number) || *number < 0) return false;
  return part.width > 0 && part.height > 0;
}

// What of the part lies in the picture. Error invalid_data: nothing does.
Result<image::Image> cut(const image::Image& picture, const Part& part) {
  const int right = static_cast<int>(std::min<std::int64_t>(picture.width, std::int64_t{part.left} + part.width));
  const int bottom = static_cast<int>(std::min<std::int64_t>(picture.height, std::int64_t{part.top} + part.height));
  if (right <= part.left || bottom <= part.top)
    return Error{ErrorKind::invalid_data,
                 fmt::format("the part {} lies beyond the picture, which is {}×{}", part.text, picture.width, picture.height)};
  image::Image image{right - part.left, bottom - part.top, picture.channels, {}};
  for (int y = part.top; y < bottom; ++y) {
    const auto row = picture.pixels.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(y) * picture.row_bytes());
    image.pixels.insert(image.pixels.end(), row + std::ptrdiff_t{part.left} * picture.channels,
                        row + std::ptrdiff_t{right} * picture.channels);
  }
  return image;
}

}  // namespace

struct SampleReader::State {
  std::string root;
  FrameReader frames;
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
  if (Part part; split_part_path(sample_path, part)) {
    SIGHTLINE_TRY(const std::string content, read_file(state_->root + "/" + std::string(part.file)));
    const auto bytes = std::as_bytes(std::span(content));
    if (digest != nullptr) *digest = Sha256().add_field(sha256_of(bytes)).add_field(part.text).finish();
    Result<image::Image> image = image::decode(bytes, options);
    if (image.ok()) image = cut(*image, part);
    if (!image.ok()) return image.error().in(sample_path);
    return image;
  }
  if (std::int64_t time = 0; split_frame_path(sample_path, file, time)) {
    SIGHTLINE_TRY(image::Image image, state_->frames.read(state_->root + "/" + std::string(file), time));
    if (digest != nullptr) *digest = digest_of_frame(image);
    if (options.channels != 0 && options.channels != image.channels) return image::convert_channels(image, options.channels);
    return image;
  }
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
