#include "dataset/intake.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstring>
#include <vector>

#include "base/files.h"

namespace sightline::dataset {
namespace {

// Raised when the same file is described otherwise than before (decoders, statistics).
constexpr int version = 1;

struct Row {
  std::int32_t width, height, channels, unused;
  std::uint64_t perceptual_hash;
  double mean, deviation, sharpness;
};
static_assert(sizeof(Row) == 48);

}  // namespace

Facts facts_of(const image::Image& image) {
  Facts facts{.width = image.width, .height = image.height, .channels = image.channels};
  const image::Image grey = image.channels == 1 ? image::Image{} : image::convert_channels(image, 1);
  const image::Image& shades = image.channels == 1 ? image : grey;
  facts.perceptual_hash = image::perceptual_hash(shades);
  const image::Statistics statistics = image::statistics_of(shades);
  facts.mean = statistics.mean;
  facts.deviation = statistics.deviation;
  facts.sharpness = statistics.sharpness;
  return facts;
}

void set_facts(Sample& sample, const Facts& facts) {
  sample.width = facts.width;
  sample.height = facts.height;
  sample.channels = facts.channels;
  sample.perceptual_hash = facts.perceptual_hash;
  sample.mean = facts.mean;
  sample.deviation = facts.deviation;
  sample.sharpness = facts.sharpness;
}

Result<std::shared_ptr<Intake>> Intake::open(const std::string& folder) {
  SIGHTLINE_TRY(store::RowCache rows, store::RowCache::open(fmt::format("{}/{}", folder, version), sizeof(Row)));
  return std::shared_ptr<Intake>(new Intake(std::move(rows)));
}

std::optional<Facts> Intake::find(const Digest& picture) const {
  Row row{};
  if (!rows_.find(picture, std::as_writable_bytes(std::span(&row, 1)))) return std::nullopt;
  return Facts{.width = row.width,
               .height = row.height,
               .channels = row.channels,
               .perceptual_hash = row.perceptual_hash,
               .mean = row.mean,
               .deviation = row.deviation,
               .sharpness = row.sharpness};
}

Result<void> Intake::add(std::span<const Digest> pictures, std::span<const Facts> facts) {
  std::vector<Row> rows;
  rows.reserve(facts.size());
  for (const Facts& each : facts)
    rows.push_back({each.width, each.height, each.channels, 0, each.perceptual_hash, each.mean, each.deviation, each.sharpness});
  return rows_.add(pictures, std::as_bytes(std::span(rows)));
}

Result<Digest> Intake::digest_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error("cannot read", path);
  const Seen now{.bytes = info.st_size, .seconds = info.st_mtim.tv_sec, .nanoseconds = info.st_mtim.tv_nsec, .digest = {}};
  {
    const std::lock_guard lock(mutex_);
    const auto found = seen_.find(path);
    if (found != seen_.end() && found->second.bytes == now.bytes && found->second.seconds == now.seconds &&
        found->second.nanoseconds == now.nanoseconds)
      return found->second.digest;
  }
  SIGHTLINE_TRY(const Digest digest, sha256_of_file(path));
  const std::lock_guard lock(mutex_);
  Seen& kept = seen_[path] = now;
  kept.digest = digest;
  return digest;
}

}  // namespace sightline::dataset
