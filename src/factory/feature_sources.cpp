#include "factory/feature_sources.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "base/files.h"
#include "base/machine.h"
#include "base/text.h"
#include "factory/backbone.h"
#include "factory/recipe.h"
#include "package/metadata.h"

namespace sightline::factory {

namespace {

// The file as the file system knows it: what was read of it holds while this stays.
Result<std::string> identity_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error("cannot read", path);
  return fmt::format("{} {} {}.{}", path, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace

Result<Digest> FeatureSources::digest_of(const demand::Demand& demand) {
  if (!demand.backbone) return Digest();
  SIGHTLINE_TRY(const std::string identity, identity_of(demand.backbone->onnx ? *demand.backbone->onnx : *demand.backbone->weights));
  const std::lock_guard lock(mutex_);
  Digest& digest = digests_[identity];
  if (digest.empty()) {
    SIGHTLINE_TRY(digest, backbone_digest(demand));
  }
  return digest;
}

Result<void> FeatureSources::check_pins(const demand::Demand& demand) {
  if (!demand.backbone || !demand.backbone->onnx) return {};
  const demand::RecipePins& pins = demand.recipe;
  const std::vector<std::string> cuts = demand::cuts_of(demand);
  if (cuts[0] == "auto" && !pins.neck && !pins.side) return {};
  SIGHTLINE_TRY(const std::string identity, identity_of(*demand.backbone->onnx));
  const bool frozen = demand.backbone->freeze == demand::Freeze::backbone;
  const std::lock_guard lock(mutex_);
  const auto [held, first] = checked_.emplace(
      fmt::format("{} {} {} {} {}", identity, join(cuts, "|"), pins.neck.value_or(""), pins.side.value_or(0), frozen), std::nullopt);
  if (first) {
    if (frozen) {
      if (auto cut = cut_network(demand); !cut.ok()) held->second = cut.error();
    } else if (auto imported = import_network(demand, 2); !imported.ok()) {
      held->second = imported.error();
    }
  }
  if (held->second) return *held->second;
  return {};
}

Result<std::shared_ptr<const features::FeatureSource>> FeatureSources::of(const store::Workspace& workspace, const Digest& tree) {
  const std::lock_guard lock(mutex_);
  auto& held = open_[tree];
  if (held != nullptr) return held;
  const std::string folder = fmt::format("{}/tmp/backbone-{}-{}", workspace.root(), tree.substr(0, 16), ::getpid());
  SIGHTLINE_CHECK(remove_all(folder));
  SIGHTLINE_CHECK(workspace.blobs().materialize(tree, folder));
  Result<features::Backbone> backbone = features::read_backbone(folder);
  SIGHTLINE_CHECK(remove_all(folder));
  if (!backbone.ok()) return backbone.error();
  SIGHTLINE_TRY(const auto files, workspace.blobs().tree(tree));
  backbone->weights_path = workspace.blobs().path_of(files.at(features::weights_file));
  SIGHTLINE_TRY(held, features::FeatureSource::open(*std::move(backbone), workspace.root() + "/features", usable_cores()));
  return held;
}

namespace {

// u8 1×H×W×C.
void mirror(Tensor& picture) {
  const std::int64_t height = picture.dim(1), width = picture.dim(2), channels = picture.dim(3);
  const auto values = picture.values<std::uint8_t>();
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width / 2; ++x)
      for (std::int64_t c = 0; c < channels; ++c)
        std::swap(values[static_cast<std::size_t>((y * width + x) * channels + c)],
                  values[static_cast<std::size_t>((y * width + width - 1 - x) * channels + c)]);
}

Result<Tensor> seen_features_of(const features::FeatureSource& source, const dataset::Manifest& manifest,
                                const std::vector<std::int64_t>& samples, Progress* progress, features::Counts* counts, bool mirrored) {
  std::vector<Digest> pictures;
  pictures.reserve(samples.size());
  for (const std::int64_t i : samples) {
    const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(i)];
    pictures.push_back(mirrored ? sha256_of(sample.digest + " mirrored") : sample.digest);
  }
  const dataset::SampleReader reader(manifest.root);
  const package::Preprocessing preprocessing = preprocessing_of(source.backbone());
  const auto prepare = [&](std::size_t i) -> Result<Tensor> {
    const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(samples[i])];
    Digest digest;
    SIGHTLINE_TRY(const image::Image picture, reader.read_and_digest(sample.path, {}, &digest));
    if (digest != sample.digest)
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}/{}: it is not what it was when it was imported; build again", manifest.root, sample.path)};
    Tensor prepared = package::prepare_picture(picture, preprocessing);
    if (mirrored) mirror(prepared);
    return prepared;
  };
  return source.features(pictures, prepare, progress, counts);
}

}  // namespace

Result<Tensor> features_of(const features::FeatureSource& source, const dataset::Manifest& manifest,
                           const std::vector<std::int64_t>& samples, Progress* progress, features::Counts* counts) {
  return seen_features_of(source, manifest, samples, progress, counts, false);
}

Result<Tensor> mirrored_features_of(const features::FeatureSource& source, const dataset::Manifest& manifest,
                                    const std::vector<std::int64_t>& samples, Progress* progress) {
  return seen_features_of(source, manifest, samples, progress, nullptr, true);
}

package::Preprocessing preprocessing_of(const features::Backbone& backbone) {
  return {.width = backbone.side, .height = backbone.side, .channels = backbone.channels};
}

}  // namespace sightline::factory
