// Writes packed sets.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "base/json.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "dataset/masks.h"
#include "dataset/packed_annotation.h"
#include "dataset/packed_layout.h"
#include "dataset/packed_pieces.h"
#include "dataset/packed_set.h"
#include "image/tiles.h"

namespace sightline::dataset {
namespace {

using namespace packed;

static_assert(std::endian::native == std::endian::little, "the file holds little-endian numbers and is mapped as it is");

// The header's text, padded so that what follows is aligned.
std::string header_of(const Head& head) {
  Json json = to_json(head);
  if (head.targets == 0) json.erase("targets");
  if (head.objects < 0) json.erase("objects");
  if (head.symbols < 0) json.erase("symbols");
  if (head.masks == 0) json.erase("masks");
  if (head.landmarks == 0) json.erase("landmarks");
  std::string header = json_text(json);
  const std::size_t prefix = magic.size() + sizeof(std::uint64_t);
  header.resize(aligned(prefix + header.size()) - prefix, ' ');
  return header;
}

Result<void> write_at(int file, const std::string& path, std::size_t offset, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t put = ::pwrite(file, bytes, size, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error("cannot write", path);
    bytes += put;
    offset += static_cast<std::size_t>(put);
    size -= static_cast<std::size_t>(put);
  }
  return {};
}

// Space is taken at once, so that a full disk is noticed before an hour of work.
Result<void> reserve(int file, const std::string& path, std::size_t size) {
  const int code = ::posix_fallocate(file, 0, static_cast<off_t>(size));
  if (code == 0) return {};
  errno = code;
  return system_error(fmt::format("cannot reserve {} for", human_bytes(size)), path);
}

std::vector<std::uint8_t> numbers_of(std::span<const Split> splits) {
  std::vector<std::uint8_t> numbers;
  for (const Split split : splits) numbers.push_back(static_cast<std::uint8_t>(split));
  return numbers;
}

// All that comes before the pixels.
Result<void> write_beginning(int file, const std::string& path, const std::string& header, const Layout& layout,
                             std::span<const std::int32_t> labels, std::span<const std::uint8_t> splits) {
  const std::uint64_t length = header.size();
  SIGHTLINE_CHECK(write_at(file, path, 0, magic.data(), magic.size()));
  SIGHTLINE_CHECK(write_at(file, path, magic.size(), &length, sizeof length));
  SIGHTLINE_CHECK(write_at(file, path, magic.size() + sizeof length, header.data(), header.size()));
  SIGHTLINE_CHECK(write_at(file, path, layout.labels_at, labels.data(), labels.size_bytes()));
  return write_at(file, path, layout.splits_at, splits.data(), splits.size_bytes());
}

// A file that is removed again unless it is kept.
class NewFile {
 public:
  static Result<NewFile> create(const std::string& path) {
    NewFile file;
    file.path_ = path;
    file.temporary_ = path + ".XXXXXX";
    file.fd_ = ::mkostemp(file.temporary_.data(), O_CLOEXEC);
    if (file.fd_ < 0) return system_error("cannot create a file beside", path);
    return file;
  }
  NewFile() = default;
  NewFile(NewFile&& other) noexcept
      : path_(std::move(other.path_)), temporary_(std::move(other.temporary_)), fd_(std::exchange(other.fd_, -1)) {}
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile() {
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }

  int descriptor() const { return fd_; }
  Result<void> reserve(std::size_t size) { return dataset::reserve(fd_, path_, size); }
  Result<void> write_at(std::size_t offset, const void* data, std::size_t size) const {
    return dataset::write_at(fd_, path_, offset, data, size);
  }
  Result<void> keep() {
    if (::fchmod(fd_, 0644) != 0 || ::fsync(fd_) != 0) return system_error("cannot write", path_);
    SIGHTLINE_CHECK(rename_path(temporary_, path_));
    ::close(std::exchange(fd_, -1));
    return {};
  }

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

// A file that has everything but the pixels.
Result<NewFile> begin_file(const Head& head, std::span<const std::int32_t> labels, std::span<const std::uint8_t> splits,
                           const std::string& path, Layout& layout) {
  const std::string header = header_of(head);
  if (!lay_out(header.size(), head, layout))
    return Error{ErrorKind::usage, fmt::format("cannot pack {} images of {}×{}×{}", head.count, head.height, head.width, head.channels)};

  SIGHTLINE_TRY(NewFile file, NewFile::create(path));
  SIGHTLINE_CHECK(file.reserve(layout.total));
  SIGHTLINE_CHECK(write_beginning(file.descriptor(), path, header, layout, labels, splits));
  return file;
}

// Opened once, so that what was written can be read.
Result<void> keep_file(NewFile& file, const std::string& path) {
  SIGHTLINE_CHECK(file.keep());
  SIGHTLINE_TRY(const PackedSet check, PackedSet::open(path));
  static_cast<void>(check);
  return {};
}

template <class T>
Result<void> write_map(const NewFile& file, std::size_t begin, std::size_t place, const std::vector<T>& map) {
  return file.write_at(begin + place * map.size() * sizeof(T), map.data(), map.size() * sizeof(T));
}

Result<void> write_masks(const NewFile& file, const Layout& layout, const Manifest& manifest, std::size_t i, const PackOptions& options) {
  annotation::Annotation truth;
  SIGHTLINE_CHECK(read_mask(manifest, manifest.samples[i], truth));
  SIGHTLINE_CHECK(
      write_map(file, layout.masks_at, i, packed_map<std::uint8_t, std::uint8_t>(truth.mask, options, annotation::unjudged_pixel)));
  if (!truth.instances.defined()) return {};
  return write_map(file, layout.instances_at, i, packed_map<std::uint16_t, std::int32_t>(truth.instances, options, 0));
}

// The part of a map that a piece covers; `outside` beyond the map's edge, where the picture is mirrored.
template <class T, class From>
std::vector<T> piece_of_map(const Tensor& map, int left, int top, const PackOptions& options, T outside) {
  const auto values = map.values<From>();
  std::vector<T> piece(static_cast<std::size_t>(options.width) * static_cast<std::size_t>(options.height), outside);
  const std::int64_t down = std::min<std::int64_t>(options.height, map.dim(0) - top),
                     across = std::min<std::int64_t>(options.width, map.dim(1) - left);
  for (std::int64_t y = 0; y < down; ++y)
    for (std::int64_t x = 0; x < across; ++x)
      piece[static_cast<std::size_t>(y * options.width + x)] =
          static_cast<T>(values[static_cast<std::size_t>((top + y) * map.dim(1) + left + x)]);
  return piece;
}

image::Tiling tiling_of(const Sample& sample, const PackOptions& options) {
  return image::tiling_of(sample.width, sample.height, options.width, options.height);
}

// All pieces of one picture, the first of which is sample `first` of the file.
Result<void> write_pieces(const NewFile& file, const Layout& layout, const Manifest& manifest, std::size_t i, std::size_t first,
                          const image::Image& picture, const PackOptions& options) {
  annotation::Annotation truth;
  SIGHTLINE_CHECK(read_mask(manifest, manifest.samples[i], truth));
  const image::Tiling tiling = tiling_of(manifest.samples[i], options);
  const Tensor pieces = image::cut(picture, tiling);
  SIGHTLINE_CHECK(file.write_at(layout.pixels_at + first * layout.image_bytes, pieces.data(), pieces.byte_count()));
  std::size_t place = first;
  for (const int top : tiling.tops)
    for (const int left : tiling.lefts) {
      SIGHTLINE_CHECK(write_map(file, layout.masks_at, place,
                                piece_of_map<std::uint8_t, std::uint8_t>(truth.mask, left, top, options, annotation::unjudged_pixel)));
      if (truth.instances.defined())
        SIGHTLINE_CHECK(
            write_map(file, layout.instances_at, place, piece_of_map<std::uint16_t, std::int32_t>(truth.instances, left, top, options, 0)));
      ++place;
    }
  return {};
}

}  // namespace

Result<void> pack_rows(const Tensor& rows, std::span<const std::int32_t> labels, std::span<const Split> splits,
                       const std::vector<std::string>& classes, const std::string& path) {
  if (rows.rank() != 4 || rows.dtype() != Dtype::u8 || rows.dim(0) != std::ssize(labels) || labels.size() != splits.size())
    return Error{ErrorKind::internal, fmt::format("rows to pack want to be u8 {}×H×W×C with as many splits, but are {} {}", labels.size(),
                                                  name_of(rows.dtype()), to_string(rows.shape()))};
  const Head head{.count = rows.dim(0), .height = rows.dim(1), .width = rows.dim(2), .channels = rows.dim(3), .classes = classes};
  Layout layout;
  SIGHTLINE_TRY(NewFile file, begin_file(head, labels, numbers_of(splits), path, layout));
  SIGHTLINE_CHECK(file.write_at(layout.pixels_at, rows.data(), rows.byte_count()));
  return keep_file(file, path);
}

namespace {

Result<void> pack_all(const Manifest& manifest, const PackOptions& options, bool in_pieces, const std::string& path) {
  if (options.channels != 1 && options.channels != 3)
    return Error{ErrorKind::usage, fmt::format("cannot pack pictures of {} channels; 1 or 3 are wanted", options.channels)};
  std::vector<std::size_t> first_piece;
  Head head{.count = 0, .height = options.height, .width = options.width, .channels = options.channels, .classes = manifest.classes};
  std::vector<std::int32_t> labels;
  std::vector<std::uint8_t> splits;
  std::vector<std::uint64_t> first{0};
  std::vector<PackedObject> objects;
  std::vector<std::uint64_t> first_symbols{0};
  std::vector<std::int32_t> symbols;
  for (const Sample& sample : manifest.samples) {
    first_piece.push_back(labels.size());
    const auto pieces = static_cast<std::size_t>(in_pieces ? tiling_of(sample, options).count() : 1);
    labels.insert(labels.end(), pieces, sample.label);
    splits.insert(splits.end(), pieces, static_cast<std::uint8_t>(sample.split));
    if (options.texts) {
      const std::vector<std::int32_t> own = classes_within(manifest, {.annotation = {.text = sample.annotation.text}});
      symbols.insert(symbols.end(), own.begin(), own.end());
      first_symbols.push_back(symbols.size());
    }
    if (!options.objects) continue;
    const std::vector<PackedObject> own = packed_objects(sample, options);
    objects.insert(objects.end(), own.begin(), own.end());
    first.push_back(objects.size());
  }
  head.count = std::ssize(labels);
  if (options.objects) head.objects = std::ssize(objects);
  if (options.texts) head.symbols = std::ssize(symbols);
  if (options.masks && !manifest.masks)
    return Error{ErrorKind::usage, fmt::format("{}: the data ({}) have no masks", manifest.root, manifest.format)};
  if (options.masks) head.masks = manifest.masks->instances ? 2 : 1;
  if (options.landmarks) head.landmarks = 1;
  Layout layout;
  SIGHTLINE_TRY(NewFile file, begin_file(head, labels, splits, path, layout));
  if (options.objects) {
    SIGHTLINE_CHECK(file.write_at(layout.first_at, first.data(), first.size() * sizeof(std::uint64_t)));
    SIGHTLINE_CHECK(file.write_at(layout.objects_at, objects.data(), objects.size() * sizeof(PackedObject)));
  }
  if (options.texts) {
    SIGHTLINE_CHECK(file.write_at(layout.first_symbol_at, first_symbols.data(), first_symbols.size() * sizeof(std::uint64_t)));
    SIGHTLINE_CHECK(file.write_at(layout.symbols_at, symbols.data(), symbols.size() * sizeof(std::int32_t)));
  }

  const SampleReader reader(manifest.root);
  // No scaled decoding: training sees exactly what decode and resize give when the model is used.
  const image::DecodeOptions decoding{.channels = options.channels};
  Progress progress("preparing images", manifest.samples.size(), "image");
  constexpr std::size_t block = 32;
  SIGHTLINE_CHECK(parallel_for(
      manifest.samples.size(),
      [&](std::size_t i) -> Result<void> {
        const Sample& sample = manifest.samples[i];
        Digest digest;
        auto image = reader.read_and_digest(sample.path, decoding, &digest);
        if (!digest.empty() && digest != sample.digest)
          return Error{ErrorKind::invalid_data,
                       fmt::format("{}/{} has changed since the import; run the import again", manifest.root, sample.path)};
        if (!image.ok()) return image.error().in(manifest.root);
        if (i % block == block - 1) progress.advance(block);
        if (in_pieces) {
          if (image->width != sample.width || image->height != sample.height)
            return Error{ErrorKind::internal,
                         fmt::format("{}: {}×{} pixels, not those of the manifest", sample.path, image->width, image->height)};
          return write_pieces(file, layout, manifest, i, first_piece[i], *image, options);
        }
        if (image->width != options.width || image->height != options.height)
          *image = image::resize(*image, options.width, options.height, options.fit);
        if (options.landmarks) {
          const std::vector<PackedLandmark> points = packed_landmarks(sample, options, manifest.classes.size());
          if (auto status = file.write_at(layout.landmarks_at + i * layout.landmark_bytes, points.data(), layout.landmark_bytes);
              !status.ok())
            return status;
        }
        if (options.masks)
          if (auto status = write_masks(file, layout, manifest, i, options); !status.ok()) return status;
        return file.write_at(layout.pixels_at + i * layout.image_bytes, image->pixels.data(), layout.image_bytes);
      },
      0, block));
  progress.set(manifest.samples.size());
  return keep_file(file, path);
}

}  // namespace

Result<void> pack(const Manifest& manifest, const PackOptions& options, const std::string& path) {
  return pack_all(manifest, options, false, path);
}

Result<void> pack_pieces(const Manifest& manifest, const PackOptions& options, const std::string& path) {
  if (!options.masks || options.objects || options.texts || options.landmarks)
    return Error{ErrorKind::usage, "pieces of pictures are packed with masks alone"};
  return pack_all(manifest, options, true, path);
}

Result<PackedWriter> PackedWriter::open(const std::string& path, const PackedSizes& sizes, const std::vector<std::int32_t>& labels,
                                        const std::vector<Split>& splits) {
  const Head head{.count = static_cast<std::int64_t>(labels.size()),
                  .height = sizes.height,
                  .width = sizes.width,
                  .channels = sizes.channels,
                  .classes = sizes.classes,
                  .targets = sizes.targets};
  const std::string header = header_of(head);
  Layout layout;
  if (splits.size() != labels.size() || !lay_out(header.size(), head, layout))
    return Error{ErrorKind::usage, fmt::format("cannot pack {} images of {}×{}×{}", head.count, head.height, head.width, head.channels)};
  PackedWriter writer;
  writer.path_ = path;
  writer.image_bytes_ = layout.image_bytes;
  writer.target_bytes_ = static_cast<std::size_t>(sizes.targets) * sizeof(float);
  writer.pixels_at_ = layout.pixels_at;
  writer.targets_at_ = layout.targets_at;
  writer.file_ = Descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!writer.file_.valid()) return system_error("cannot write", path);
  const int file = writer.file_.get();
  if (::ftruncate(file, static_cast<off_t>(layout.total)) != 0) return system_error("cannot write", path);
  SIGHTLINE_CHECK(reserve(file, path, layout.total));
  SIGHTLINE_CHECK(write_beginning(file, path, header, layout, labels, numbers_of(splits)));
  return writer;
}

Result<void> PackedWriter::write(std::int64_t sample, std::span<const std::uint8_t> pixels, std::span<const float> target) const {
  if (pixels.size() != image_bytes_ || target.size_bytes() != target_bytes_)
    return Error{ErrorKind::internal, fmt::format("{}: sample {} is of another size than the file is for", path_, sample)};
  const auto place = static_cast<std::size_t>(sample);
  SIGHTLINE_CHECK(write_at(file_.get(), path_, pixels_at_ + place * image_bytes_, pixels.data(), pixels.size()));
  return write_at(file_.get(), path_, targets_at_ + place * target_bytes_, target.data(), target.size_bytes());
}

Result<void> PackedWriter::sync() const {
  if (::fdatasync(file_.get()) != 0) return system_error("cannot write", path_);
  return {};
}

}  // namespace sightline::dataset
