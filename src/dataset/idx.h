// IDX files, as MNIST's authors describe them (LeCun, Cortes, Burges: "The MNIST database"): two zero bytes, a type byte, the number of
// dimensions, the dimensions as big-endian 32-bit numbers, the values. Internal to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"

namespace sightline::dataset {

// u8 values with their dimensions. A plain file stays mapped, a gzip file is inflated once (at most 4 GiB).
class IdxFile {
 public:
  static Result<IdxFile> open(const std::string& path);
  // Of the header alone.
  static Result<std::vector<std::size_t>> read_dimensions(const std::string& path);

  const std::vector<std::size_t>& dimensions() const { return dimensions_; }  // the first counts the records
  std::size_t count() const { return dimensions_[0]; }
  std::size_t record_bytes() const { return record_bytes_; }
  std::span<const std::byte> record(std::size_t index) const;

 private:
  MappedFile file_;
  std::vector<std::byte> inflated_;
  std::size_t values_at_ = 0, record_bytes_ = 0;
  std::vector<std::size_t> dimensions_;
};

// "train-images-idx3-ubyte.gz#17" → file and record. False when path does not have this form.
bool split_record_path(std::string_view path, std::string_view& file, std::size_t& record);

// The file's name in one spelling: without .gz, "." before idx as "-", lower case. "train-images.idx3-ubyte.gz" → "train-images-idx3-ubyte"
std::string plain_idx_name(std::string_view file_name);

}  // namespace sightline::dataset
