// The decoded-sample cache: every sample of a manifest resized to the network's input, u8 N×H×W×C, in one memory-mapped file that training
// reads.
//
//   8 bytes "SLPACK01", u64 length of a JSON header {count,height,width,channels,classes}, the header padded with spaces to a multiple of
//   64, then i32 label[count], u8 split[count], padding to 64, u8 pixels[count][height][width][channels]. With "targets":K in the header,
//   padding to 64 and f32 target[count][K]: what another network says of each picture.
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
};

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

 private:
  MappedFile file_;
  Shape shape_;
  std::vector<std::string> classes_;
  std::int64_t target_width_ = 0;
  std::size_t labels_at_ = 0, splits_at_ = 0, pixels_at_ = 0, targets_at_ = 0;
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

// In parallel, with progress, in bounded memory (pixels go straight to the file). Errors: io, interrupted, and a sample that no longer
// decodes or whose digest has changed since the import (invalid_data names it).
Result<void> pack(const Manifest& manifest, const PackOptions& options, const std::string& path);

// The same file with what else lies like pictures: what a network says of places, in bytes. rows u8 N×H×W×C, C at most 65,536; a label and
// a split for each. Errors: io, internal (sizes).
Result<void> pack_rows(const Tensor& rows, std::span<const std::int32_t> labels, std::span<const Split> splits,
                       const std::vector<std::string>& classes, const std::string& path);

}  // namespace sightline::dataset
