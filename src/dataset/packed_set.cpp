#include "dataset/packed_set.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/json.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "dataset/masks.h"
#include "dataset/packed_annotation.h"

namespace sightline::dataset {
namespace {

static_assert(std::endian::native == std::endian::little, "the file holds little-endian numbers and is mapped as it is");

constexpr std::string_view magic = "SLPACK01";
constexpr std::size_t alignment = 64;

struct Head {
  std::int64_t count = 0, height = 0, width = 0, channels = 0;
  std::vector<std::string> classes;
  std::int64_t targets = 0;
  std::int64_t objects = -1;   // -1: the set has none, not even the places for them
  std::int64_t symbols = -1;   // of texts, likewise
  std::int64_t masks = 0;      // 0: none; 1: classes; 2: and instances
  std::int64_t landmarks = 0;  // 1: one a class
  static constexpr auto fields() {
    return std::tuple{field("count", &Head::count),        field("height", &Head::height),   field("width", &Head::width),
                      field("channels", &Head::channels),  field("classes", &Head::classes), field("targets", &Head::targets),
                      field("objects", &Head::objects),    field("symbols", &Head::symbols), field("masks", &Head::masks),
                      field("landmarks", &Head::landmarks)};
  }
};

constexpr std::size_t aligned(std::size_t size) { return (size + alignment - 1) / alignment * alignment; }

// Where everything lies; the header's length is known.
struct Layout {
  std::size_t labels_at = 0, splits_at = 0, pixels_at = 0, targets_at = 0, first_at = 0, objects_at = 0, first_symbol_at = 0,
              symbols_at = 0, masks_at = 0, instances_at = 0, landmarks_at = 0, landmark_bytes = 0, area = 0, image_bytes = 0, total = 0;
};

// False when the numbers are impossible or do not fit into 63 bits.
bool lay_out(std::size_t header_length, const Head& head, Layout& layout) {
  constexpr std::int64_t longest_side = 1 << 16, most = std::int64_t{1} << 40, most_targets = 1 << 20;
  if (head.count < 0 || head.count > most || head.height < 1 || head.height > longest_side || head.width < 1 || head.width > longest_side)
    return false;
  if (head.channels < 1 || head.channels > longest_side) return false;
  if (head.height * head.width > (std::int64_t{1} << 46U) / head.channels) return false;
  if (head.targets < 0 || head.targets > most_targets || head.objects < -1 || head.objects > most || head.symbols < -1 ||
      head.symbols > most || head.masks < 0 || head.masks > 2 || head.landmarks < 0 || head.landmarks > 1)
    return false;
  const auto count = static_cast<std::size_t>(head.count);
  layout.area = static_cast<std::size_t>(head.height * head.width);
  layout.image_bytes = layout.area * static_cast<std::size_t>(head.channels);
  const std::size_t target_bytes = static_cast<std::size_t>(head.targets) * sizeof(float);
  if (count > (std::numeric_limits<std::size_t>::max() >> 1U) / (layout.image_bytes + 3 * layout.area + target_bytes + 32)) return false;
  layout.labels_at = magic.size() + sizeof(std::uint64_t) + header_length;
  layout.splits_at = layout.labels_at + count * sizeof(std::int32_t);
  layout.pixels_at = aligned(layout.splits_at + count);
  layout.total = layout.pixels_at + count * layout.image_bytes;
  if (head.targets > 0) {
    layout.targets_at = aligned(layout.total);
    layout.total = layout.targets_at + count * target_bytes;
  }
  if (head.objects >= 0) {
    layout.first_at = aligned(layout.total);
    layout.objects_at = aligned(layout.first_at + (count + 1) * sizeof(std::uint64_t));
    layout.total = layout.objects_at + static_cast<std::size_t>(head.objects) * sizeof(PackedObject);
  }
  if (head.symbols >= 0) {
    layout.first_symbol_at = aligned(layout.total);
    layout.symbols_at = aligned(layout.first_symbol_at + (count + 1) * sizeof(std::uint64_t));
    layout.total = layout.symbols_at + static_cast<std::size_t>(head.symbols) * sizeof(std::int32_t);
  }
  if (head.masks > 0) {
    layout.masks_at = aligned(layout.total);
    layout.total = layout.masks_at + count * layout.area;
  }
  layout.landmark_bytes = head.landmarks > 0 ? head.classes.size() * sizeof(PackedLandmark) : 0;
  if (count > (std::numeric_limits<std::size_t>::max() >> 1U) / (layout.landmark_bytes + 1)) return false;
  if (head.masks > 1) {
    layout.instances_at = aligned(layout.total);
    layout.total = layout.instances_at + count * layout.area * sizeof(std::uint16_t);
  }
  if (head.landmarks > 0) {
    layout.landmarks_at = aligned(layout.total);
    layout.total = layout.landmarks_at + count * layout.landmark_bytes;
  }
  return true;
}

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

Result<void> write_masks(const NewFile& file, const Layout& layout, const Manifest& manifest, std::size_t i, const PackOptions& options) {
  annotation::Annotation truth;
  SIGHTLINE_CHECK(read_mask(manifest, manifest.samples[i], truth));
  const auto mask = packed_map<std::uint8_t, std::uint8_t>(truth.mask, options, annotation::unjudged_pixel);
  SIGHTLINE_CHECK(file.write_at(layout.masks_at + i * layout.area, mask.data(), mask.size()));
  if (!truth.instances.defined()) return {};
  const auto instances = packed_map<std::uint16_t, std::int32_t>(truth.instances, options, 0);
  return file.write_at(layout.instances_at + i * layout.area * sizeof(std::uint16_t), instances.data(),
                       instances.size() * sizeof(std::uint16_t));
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

Result<void> pack(const Manifest& manifest, const PackOptions& options, const std::string& path) {
  if (options.channels != 1 && options.channels != 3)
    return Error{ErrorKind::usage, fmt::format("cannot pack pictures of {} channels; 1 or 3 are wanted", options.channels)};
  Head head{.count = static_cast<std::int64_t>(manifest.samples.size()),
            .height = options.height,
            .width = options.width,
            .channels = options.channels,
            .classes = manifest.classes};
  std::vector<std::int32_t> labels;
  std::vector<std::uint8_t> splits;
  std::vector<std::uint64_t> first{0};
  std::vector<PackedObject> objects;
  std::vector<std::uint64_t> first_symbols{0};
  std::vector<std::int32_t> symbols;
  for (const Sample& sample : manifest.samples) {
    labels.push_back(sample.label);
    splits.push_back(static_cast<std::uint8_t>(sample.split));
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
        if (image->width != options.width || image->height != options.height)
          *image = image::resize(*image, options.width, options.height, options.fit);
        if (i % block == block - 1) progress.advance(block);
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

Result<PackedSet> PackedSet::open(const std::string& path) {
  const auto broken = [&](const std::string& message) {
    return Error{ErrorKind::invalid_data, fmt::format("{}: not a usable sample cache: {}", path, message)};
  };
  PackedSet set;
  SIGHTLINE_TRY(set.file_, MappedFile::open(path));
  const std::span<const std::byte> bytes = set.file_.bytes();
  const std::size_t prefix = magic.size() + sizeof(std::uint64_t);
  if (bytes.size() < prefix || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) return broken("it does not begin with SLPACK01");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data() + magic.size(), sizeof length);
  if (length > bytes.size() - prefix || (prefix + length) % alignment != 0) return broken("its header's length is wrong");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data() + prefix), length);
  SIGHTLINE_TRY(const Json json, parse_json(text, path));
  auto head = struct_from_json<Head>(json);
  if (!head.ok()) return broken(head.error().message);
  Layout layout;
  if (!lay_out(length, *head, layout)) return broken("its header announces impossible sizes");
  if (layout.total != bytes.size()) return broken(fmt::format("{} bytes where the header announces {}", bytes.size(), layout.total));
  set.shape_ = {head->count, head->height, head->width, head->channels};
  set.classes_ = std::move(head->classes);
  set.labels_at_ = layout.labels_at;
  set.splits_at_ = layout.splits_at;
  set.pixels_at_ = layout.pixels_at;
  set.targets_at_ = layout.targets_at;
  set.target_width_ = head->targets;
  for (const std::int32_t label : set.labels()) {
    if (label < 0 || static_cast<std::size_t>(label) >= set.classes_.size())
      return broken(fmt::format("label {} is not one of the classes", label));
  }
  for (const std::uint8_t split : set.splits()) {
    if (split > static_cast<std::uint8_t>(Split::test)) return broken(fmt::format("{} is no split", split));
  }
  set.objects_ = head->objects;
  set.first_at_ = layout.first_at;
  set.objects_at_ = layout.objects_at;
  if (auto status = set.check_objects(); !status.ok()) return broken(status.error().message);
  set.symbols_ = head->symbols;
  set.first_symbol_at_ = layout.first_symbol_at;
  set.symbols_at_ = layout.symbols_at;
  if (auto status = set.check_texts(); !status.ok()) return broken(status.error().message);
  set.masks_ = head->masks;
  set.masks_at_ = layout.masks_at;
  set.instances_at_ = layout.instances_at;
  if (auto status = set.check_masks(); !status.ok()) return broken(status.error().message);
  set.has_landmarks_ = head->landmarks > 0;
  set.landmarks_at_ = layout.landmarks_at;
  for (std::int64_t i = 0; i < head->count; ++i)
    for (const PackedLandmark& point : set.landmarks_of(i))
      if (!std::isfinite(point.x) || !std::isfinite(point.y) || point.said > 2)
        return broken(fmt::format("a landmark of sample {} is no place", i));
  return set;
}

Result<void> PackedSet::check_objects() const {
  const auto wrong = [](std::string what) { return Error{ErrorKind::invalid_data, std::move(what)}; };
  if (!has_objects()) return {};
  const auto first = first_objects();
  if (first.front() != 0 || first.back() != static_cast<std::uint64_t>(objects_) || !std::ranges::is_sorted(first))
    return wrong("its samples' objects do not follow each other");
  for (std::size_t i = 0; i < objects().size(); ++i) {
    const PackedObject& object = objects()[i];
    if (object.label < 0 || static_cast<std::size_t>(object.label) >= classes_.size() || object.ignored > 1)
      return wrong(fmt::format("object {} is of no class, or says neither that it counts nor that it does not", i));
    // What is no number fails each of these.
    const bool within = object.left >= 0 && object.left < object.right && object.right <= static_cast<float>(shape_[2]) &&
                        object.top >= 0 && object.top < object.bottom && object.bottom <= static_cast<float>(shape_[1]);
    if (!within) return wrong(fmt::format("object {} does not lie within its picture", i));
  }
  return {};
}

Result<void> PackedSet::check_texts() const {
  const auto wrong = [](std::string what) { return Error{ErrorKind::invalid_data, std::move(what)}; };
  if (!has_texts()) return {};
  const auto first = first_symbols();
  if (first.front() != 0 || first.back() != static_cast<std::uint64_t>(symbols_) || !std::ranges::is_sorted(first))
    return wrong("its samples' texts do not follow each other");
  for (const std::int32_t symbol : symbols())
    if (symbol < 0 || static_cast<std::size_t>(symbol) >= classes_.size()) return wrong(fmt::format("the symbol {} is no class", symbol));
  return {};
}

std::span<const PackedLandmark> PackedSet::landmarks_of(std::int64_t sample) const {
  if (!has_landmarks_) return {};
  const auto* all = reinterpret_cast<const PackedLandmark*>(file_.bytes().data() + landmarks_at_);
  return {all + static_cast<std::size_t>(sample) * classes_.size(), classes_.size()};
}

std::span<const std::int32_t> PackedSet::symbols() const {
  return {reinterpret_cast<const std::int32_t*>(file_.bytes().data() + symbols_at_),
          static_cast<std::size_t>(std::max<std::int64_t>(symbols_, 0))};
}

std::span<const std::uint64_t> PackedSet::first_symbols() const {
  return {reinterpret_cast<const std::uint64_t*>(file_.bytes().data() + first_symbol_at_),
          has_texts() ? static_cast<std::size_t>(shape_[0]) + 1 : 0};
}

std::span<const std::int32_t> PackedSet::text_of(std::int64_t sample) const {
  if (!has_texts()) return {};
  const auto place = static_cast<std::size_t>(sample);
  return symbols().subspan(first_symbols()[place], first_symbols()[place + 1] - first_symbols()[place]);
}

Result<void> PackedSet::check_masks() const {
  if (!has_masks()) return {};
  if (has_instances() && classes_.size() != 1) return Error{ErrorKind::invalid_data, "it has instances of several classes"};
  for (std::int64_t sample = 0; sample < shape_[0]; ++sample) {
    const auto mask = mask_of(sample);
    for (const std::uint8_t value : mask)
      if (value > classes_.size() && value != annotation::unjudged_pixel)
        return Error{ErrorKind::invalid_data, fmt::format("the mask of sample {} holds {}, which is no class", sample, value)};
  }
  return {};
}

std::span<const std::uint8_t> PackedSet::mask_of(std::int64_t sample) const {
  if (!has_masks()) return {};
  const auto area = static_cast<std::size_t>(shape_[1] * shape_[2]);
  return {reinterpret_cast<const std::uint8_t*>(file_.bytes().data() + masks_at_) + static_cast<std::size_t>(sample) * area, area};
}

std::span<const std::uint16_t> PackedSet::instances_of(std::int64_t sample) const {
  if (!has_instances()) return {};
  const auto area = static_cast<std::size_t>(shape_[1] * shape_[2]);
  return {reinterpret_cast<const std::uint16_t*>(file_.bytes().data() + instances_at_) + static_cast<std::size_t>(sample) * area, area};
}

std::span<const PackedObject> PackedSet::objects() const {
  return {reinterpret_cast<const PackedObject*>(file_.bytes().data() + objects_at_),
          static_cast<std::size_t>(std::max<std::int64_t>(objects_, 0))};
}

std::span<const std::uint64_t> PackedSet::first_objects() const {
  return {reinterpret_cast<const std::uint64_t*>(file_.bytes().data() + first_at_),
          has_objects() ? static_cast<std::size_t>(shape_[0]) + 1 : 0};
}

std::span<const PackedObject> PackedSet::objects_of(std::int64_t sample) const {
  if (!has_objects()) return {};
  const auto place = static_cast<std::size_t>(sample);
  return objects().subspan(first_objects()[place], first_objects()[place + 1] - first_objects()[place]);
}

Tensor PackedSet::pixels() const {
  // Tensor has no constant view; the mapping is read-only, and writing would fault.
  return Tensor::view_of(Dtype::u8, shape_, const_cast<std::byte*>(file_.bytes().data() + pixels_at_));
}

std::span<const std::int32_t> PackedSet::labels() const {
  return {reinterpret_cast<const std::int32_t*>(file_.bytes().data() + labels_at_), static_cast<std::size_t>(shape_[0])};
}

std::span<const std::uint8_t> PackedSet::splits() const {
  return {reinterpret_cast<const std::uint8_t*>(file_.bytes().data() + splits_at_), static_cast<std::size_t>(shape_[0])};
}

std::span<const float> PackedSet::targets() const {
  return {reinterpret_cast<const float*>(file_.bytes().data() + targets_at_),
          static_cast<std::size_t>(target_width_ > 0 ? shape_[0] * target_width_ : 0)};
}

std::vector<std::int64_t> PackedSet::indices_of(Split split) const {
  std::vector<std::int64_t> indices;
  const auto all = splits();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == static_cast<std::uint8_t>(split)) indices.push_back(static_cast<std::int64_t>(i));
  }
  return indices;
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
