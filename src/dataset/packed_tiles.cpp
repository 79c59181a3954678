#include "dataset/packed_tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/parallel.h"
#include "base/progress.h"
#include "dataset/packed_set.h"
#include "image/tiles.h"

namespace sightline::dataset {
namespace {

// The pieces of one picture, as places in the packed set from `first` on: `kept` of `all`, evenly.
struct Share {
  std::size_t sample = 0;
  std::int64_t first = 0, kept = 0, all = 0;
};

// As tiles are cut for a network, but next to each other where the picture allows it: pieces that overlap would be learned twice.
image::Tiling tiling_of(const Sample& sample, int side) {
  image::Tiling tiling{.width = sample.width, .height = sample.height, .tile_width = side, .tile_height = side, .lefts = {}, .tops = {}};
  for (const auto& [length, places] : {std::pair{sample.width, &tiling.lefts}, {sample.height, &tiling.tops}}) {
    const int count = std::max((length + side - 1) / side, 1);
    for (int i = 0; i < count; ++i)
      places->push_back(static_cast<int>(static_cast<std::int64_t>(std::max(length - side, 0)) * i / std::max(count - 1, 1)));
  }
  return tiling;
}

}  // namespace

Result<void> pack_tiles(const Manifest& manifest, const TileOptions& options, const std::string& path) {
  if (options.side < 1 || (options.channels != 1 && options.channels != 3))
    return Error{ErrorKind::usage, fmt::format("cannot pack pieces of {} pixels a side and {} channels", options.side, options.channels)};
  std::vector<Share> shares;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
    if (manifest.samples[i].split == Split::test) continue;
    const std::int64_t all = tiling_of(manifest.samples[i], options.side).count();
    shares.push_back({.sample = i, .kept = all, .all = all});
    total += all;
  }
  const std::int64_t bytes = std::int64_t{options.side} * options.side * options.channels,
                     most = std::max<std::int64_t>(options.most_bytes / bytes, std::ssize(shares));
  std::int64_t count = 0;
  std::vector<std::int32_t> labels;
  std::vector<Split> splits;
  for (Share& share : shares) {
    if (total > most) share.kept = std::max<std::int64_t>(1, share.all * most / total);
    share.first = count;
    count += share.kept;
    const Sample& sample = manifest.samples[share.sample];
    labels.insert(labels.end(), static_cast<std::size_t>(share.kept), sample.label);
    splits.insert(splits.end(), static_cast<std::size_t>(share.kept), sample.split);
  }
  SIGHTLINE_TRY(
      const PackedWriter writer,
      PackedWriter::open(path, {.height = options.side, .width = options.side, .channels = options.channels, .classes = manifest.classes},
                         labels, splits));
  const SampleReader reader(manifest.root);
  Progress progress("preparing images", shares.size(), "image");
  SIGHTLINE_CHECK(parallel_for(shares.size(), [&](std::size_t i) -> Result<void> {
    const Share& share = shares[i];
    const Sample& sample = manifest.samples[share.sample];
    Digest digest;
    const auto picture = reader.read_and_digest(sample.path, {.channels = options.channels}, &digest);
    if (!digest.empty() && digest != sample.digest)
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}/{} has changed since the import; run the import again", manifest.root, sample.path)};
    if (!picture.ok()) return picture.error().in(manifest.root);
    const Tensor pieces = image::cut(*picture, tiling_of(sample, options.side));
    for (std::int64_t k = 0; k < share.kept; ++k) {
      const std::int64_t which = k * share.all / share.kept;
      const Tensor piece = pieces.rows(which, which + 1);
      if (auto status = writer.write(share.first + k, piece.values<std::uint8_t>(), {}); !status.ok()) return status;
    }
    progress.advance(1);
    return {};
  }));
  progress.finish();
  return writer.sync();
}

}  // namespace sightline::dataset
