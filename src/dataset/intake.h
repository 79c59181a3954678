// What intake knows of pictures by their content, kept across builds: a picture that was decoded and described once is only hashed the next
// time, and while a process runs, not even that unless its file changed. Losing the folder loses nothing but time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "dataset/manifest.h"
#include "store/row_cache.h"

namespace sightline::dataset {

// What Sample says of the pixels.
struct Facts {
  std::int32_t width = 0, height = 0, channels = 0;
  std::uint64_t perceptual_hash = 0;
  double mean = 0, deviation = 0, sharpness = 0;
};
Facts facts_of(const image::Image& image);
void set_facts(Sample& sample, const Facts& facts);

// Any number of threads.
class Intake {
 public:
  // folder: where the rows lie. Errors: io.
  static Result<std::shared_ptr<Intake>> open(const std::string& folder);

  std::optional<Facts> find(const Digest& picture) const;
  Result<void> add(std::span<const Digest> pictures, std::span<const Facts> facts);

  // Digest of a file's bytes; remembered while size and time of the file stay. Errors: not_found, io.
  Result<Digest> digest_of(const std::string& path);

 private:
  explicit Intake(store::RowCache rows) : rows_(std::move(rows)) {}
  struct Seen {
    std::int64_t bytes = 0, seconds = 0, nanoseconds = 0;
    Digest digest;
  };
  store::RowCache rows_;
  std::mutex mutex_;
  std::map<std::string, Seen, std::less<>> seen_;
};

}  // namespace sightline::dataset
