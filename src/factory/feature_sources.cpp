#include "factory/feature_sources.h"

#include <fmt/format.h>
#include <unistd.h>

#include "package/metadata.h"

namespace sightline::factory {

Result<std::shared_ptr<const features::FeatureSource>> FeatureSources::of(const store::Workspace& workspace, const Digest& tree,
                                                                          int threads) {
  const std::lock_guard lock(mutex_);
  auto& held = open_[{tree, threads}];
  if (held != nullptr) return held;
  const std::string folder = fmt::format("{}/tmp/backbone-{}-{}", workspace.root(), tree.substr(0, 16), ::getpid());
  SIGHTLINE_CHECK(remove_all(folder));
  SIGHTLINE_CHECK(workspace.blobs().materialize(tree, folder));
  Result<features::Backbone> backbone = features::read_backbone(folder);
  SIGHTLINE_CHECK(remove_all(folder));
  if (!backbone.ok()) return backbone.error();
  SIGHTLINE_TRY(const auto files, workspace.blobs().tree(tree));
  backbone->weights_path = workspace.blobs().path_of(files.at(features::weights_file));
  SIGHTLINE_TRY(held, features::FeatureSource::open(*std::move(backbone), workspace.root() + "/features", threads));
  return held;
}

Result<Tensor> features_of(const features::FeatureSource& source, const dataset::Manifest& manifest,
                           const std::vector<std::int64_t>& samples, Progress* progress, features::Counts* counts) {
  std::vector<Digest> pictures;
  pictures.reserve(samples.size());
  for (const std::int64_t sample : samples) pictures.push_back(manifest.samples[static_cast<std::size_t>(sample)].digest);
  const dataset::SampleReader reader(manifest.root);
  const package::Preprocessing preprocessing = preprocessing_of(source.backbone());
  const auto prepare = [&](std::size_t i) -> Result<Tensor> {
    const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(samples[i])];
    Digest digest;
    SIGHTLINE_TRY(const image::Image picture, reader.read_and_digest(sample.path, {}, &digest));
    if (digest != sample.digest)
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}/{}: it is not what it was when it was imported; build again", manifest.root, sample.path)};
    return package::prepare_picture(picture, preprocessing);
  };
  return source.features(pictures, prepare, progress, counts);
}

package::Preprocessing preprocessing_of(const features::Backbone& backbone) {
  return {.width = backbone.side, .height = backbone.side, .channels = backbone.channels};
}

}  // namespace sightline::factory
