// The frozen backbones that builds in this process use: each is read, planned and its cache opened once, whoever asks.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "dataset/manifest.h"
#include "demand/demand.h"
#include "features/features.h"
#include "package/package.h"
#include "store/workspace.h"

namespace sightline::factory {

class FeatureSources {
 public:
  // Of the files that demand.backbone names (recipe.h), read once while its file's size and time stay. Any thread.
  Result<Digest> digest_of(const demand::Demand& demand);
  // Whether the demand's network has what the recipe pins of it (cut, neck, side): read once while its file's size and time stay. Errors:
  // those of cutting it, as the backbone step would give them. Any thread.
  Result<void> check_pins(const demand::Demand& demand);
  // Of a backbone's tree in the workspace's store. Its weights_path is the blob's, so that packages link to it. All cores compute what is
  // missing, whatever the build may use: the number may decide the last bits, and what is kept must be the same for all. Any thread.
  Result<std::shared_ptr<const features::FeatureSource>> of(const store::Workspace& workspace, const Digest& tree);

 private:
  std::mutex mutex_;
  std::map<std::string, Digest> digests_;
  std::map<std::string, std::optional<Error>> checked_;
  std::map<Digest, std::shared_ptr<const features::FeatureSource>> open_;
};

// The features of these samples (indices into the manifest), f32 N×D; errors name the sample.
Result<Tensor> features_of(const features::FeatureSource& source, const dataset::Manifest& manifest,
                           const std::vector<std::int64_t>& samples, Progress* progress, features::Counts* counts = nullptr);

// The same of the samples seen in a mirror.
Result<Tensor> mirrored_features_of(const features::FeatureSource& source, const dataset::Manifest& manifest,
                                    const std::vector<std::int64_t>& samples, Progress* progress);

// How a package with this backbone prepares a picture.
package::Preprocessing preprocessing_of(const features::Backbone& backbone);

}  // namespace sightline::factory
