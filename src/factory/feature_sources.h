// The frozen backbones that builds in this process use: each is read, planned and its cache opened once, whoever asks.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "dataset/manifest.h"
#include "features/features.h"
#include "package/package.h"
#include "store/workspace.h"

namespace sightline::factory {

class FeatureSources {
 public:
  // Of a backbone's tree in the workspace's store. Its weights_path is the blob's, so that packages link to it. Any thread.
  Result<std::shared_ptr<const features::FeatureSource>> of(const store::Workspace& workspace, const Digest& tree, int threads);

 private:
  std::mutex mutex_;
  std::map<std::pair<Digest, int>, std::shared_ptr<const features::FeatureSource>> open_;
};

// The features of these samples (indices into the manifest), f32 N×D; errors name the sample.
Result<Tensor> features_of(const features::FeatureSource& source, const dataset::Manifest& manifest,
                           const std::vector<std::int64_t>& samples, Progress* progress, features::Counts* counts = nullptr);

// How a package with this backbone prepares a picture.
package::Preprocessing preprocessing_of(const features::Backbone& backbone);

}  // namespace sightline::factory
