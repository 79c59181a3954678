// The decoded-sample cache: every sample of a manifest resized to the network's input, u8 N×H×W×C, in one memory-mapped file that training
// reads.
//
//   8 bytes "SLPACK01", u64 length of a JSON header {count,height,width,channels,classes}, the header padded with spaces to a multiple of
//   64, then i32 label[count], u8 split[count], padding to 64, u8 pixels[count][height][width][channels]. With "targets":K in the header,
//   padding to 64 and f32 target[count][K]: what another network says of each picture. With "objects":M in the header, padding to 64, u64
//   first[count + 1], padding to 64 and M records PackedObject: those of sample i are first[i] to first[i + 1].
//   With "symbols":S in the header, padding to 64, u64 first[count + 1], padding to 64 and i32 symbol[S]: the texts, as classes, likewise.
//   With "masks":1 in the header, padding to 64 and u8 mask[count][height][width]; with "masks":2 then padding to 64 and
//   u16 instances[count][height][width].
//   With "landmarks":1 in the header, padding to 64 and PackedLandmark[count][classes] (docs/formats/packed-set.md).
#pragma once

#include <functional>
#include <span>
#include <string>

#include "base/files.h"
#include "dataset/manifest.h"
#include "tensor/tensor.h"

namespace sightline::dataset {

struct PackOptions {
  int width = 0, height = 0, channels = 0;
  image::Fit fit = image::Fit::stretch;
  bool texts = false;      // with the text of each picture
  bool objects = false;    // with what the manifest says of each picture (Sample::annotation), moved as the picture was
  bool landmarks = false;  // with the landmarks of each picture, moved as the picture was
  bool masks = false;      // with what its mask says (masks.h), likewise: each pixel that of the place that its centre shows
};

// One thing in a packed picture, in its pixels (the frame of annotation/annotation.h), as the file holds it.
struct PackedObject {
  std::int32_t label = 0;
  float left = 0, top = 0, right = 0, bottom = 0;  // within the picture, with an area
  std::uint32_t ignored = 0;                       // 1: neither to be found nor wrong to find (crowd, difficult)
  bool operator==(const PackedObject&) const = default;
};
static_assert(sizeof(PackedObject) == 24);

// Where one landmark of a packed picture is, in the same frame.
struct PackedLandmark {
  float x = 0, y = 0;
  std::uint32_t said = 0;  // annotation::Landmark: 0 nothing is said of it, 1 covered, 2 visible
  bool operator==(const PackedLandmark&) const = default;
};
static_assert(sizeof(PackedLandmark) == 12);

class PackedSet {
 public:
  static Result<PackedSet> open(const std::string& path);  // checks every length against the file's size

  Tensor pixels() const;  // u8 N×H×W×C, borrows the mapping
  std::span<const std::int32_t> labels() const;
  std::span<const std::uint8_t> splits() const;  // Split
  std::vector<std::int64_t> indices_of(Split split) const;
  const std::vector<std::string>& classes() const { return classes_; }
  std::int64_t target_width() const { return target_width_; }  // K; 0: none
  std::span<const float> targets() const;                      // count×K
  bool has_objects() const { return objects_ >= 0; }
  std::span<const PackedObject> objects() const;         // of all samples, one after the other
  std::span<const std::uint64_t> first_objects() const;  // count + 1 places in objects()
  std::span<const PackedObject> objects_of(std::int64_t sample) const;
  bool has_texts() const { return symbols_ >= 0; }
  std::span<const std::int32_t> symbols() const;         // of all samples, one after the other
  std::span<const std::uint64_t> first_symbols() const;  // count + 1 places in symbols()
  std::span<const std::int32_t> text_of(std::int64_t sample) const;
  bool has_landmarks() const { return has_landmarks_; }
  std::span<const PackedLandmark> landmarks_of(std::int64_t sample) const;  // one for each class
  bool has_masks() const { return masks_ > 0; }
  bool has_instances() const { return masks_ > 1; }
  // H×W of a sample: 0 background, k + 1 class k, unjudged_pixel (annotation.h) where nothing is said and beyond the picture.
  std::span<const std::uint8_t> mask_of(std::int64_t sample) const;
  // Likewise: 0, or the number of the object from 1 on; empty where the set has none.
  std::span<const std::uint16_t> instances_of(std::int64_t sample) const;

 private:
  Result<void> check_objects() const;
  Result<void> check_texts() const;
  Result<void> check_masks() const;

  MappedFile file_;
  Shape shape_;
  std::vector<std::string> classes_;
  std::int64_t target_width_ = 0, objects_ = -1, symbols_ = -1, masks_ = 0;
  std::size_t labels_at_ = 0, splits_at_ = 0, pixels_at_ = 0, targets_at_ = 0, first_at_ = 0, objects_at_ = 0, first_symbol_at_ = 0,
              symbols_at_ = 0, masks_at_ = 0, instances_at_ = 0, landmarks_at_ = 0;
  bool has_landmarks_ = false;
};

// Writes such a file sample by sample, in any order and from any thread. What a killed process wrote stays in `path`, so that the next
// can go on; it is a packed set only when every sample was written.
struct PackedSizes {
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t targets = 0;  // K
  std::vector<std::string> classes;
};
class PackedWriter {
 public:
  // One label and split per sample. A file of the same sizes is gone on with. Errors: io (disk full at once), usage.
  static Result<PackedWriter> open(const std::string& path, const PackedSizes& sizes, const std::vector<std::int32_t>& labels,
                                   const std::vector<Split>& splits);
  // pixels: height×width×channels bytes; target: K numbers.
  Result<void> write(std::int64_t sample, std::span<const std::uint8_t> pixels, std::span<const float> target) const;
  Result<void> sync() const;

 private:
  std::string path_;
  Descriptor file_;
  std::size_t image_bytes_ = 0, target_bytes_ = 0, pixels_at_ = 0, targets_at_ = 0;
};

// In parallel, with progress, in bounded memory (pixels go straight to the file). Objects are clipped to the packed picture; those that lie
// outside altogether (Fit::crop) are left out. Errors: io, interrupted, and a sample that no longer decodes or whose digest has changed
// since the import (invalid_data names it); masks where the manifest has none (usage).
Result<void> pack(const Manifest& manifest, const PackOptions& options, const std::string& path);

// The same file with what else lies like pictures: what a network says of places, in bytes. rows u8 N×H×W×C, C at most 65,536; a label and
// a split for each. Errors: io, internal (sizes).
Result<void> pack_rows(const Tensor& rows, std::span<const std::int32_t> labels, std::span<const Split> splits,
                       const std::vector<std::string>& classes, const std::string& path);

}  // namespace sightline::dataset
