// What a frozen backbone says of pictures: computed by the runtime that will serve it, once per picture, and kept by content, so that every
// demand that meets the same picture and the same backbone finds it done.
//
// What is kept holds for the backbone's digest, this processor's kernels and the number of threads (which may decide the last bits), and
// the batch size, which is fixed for the same reason. A damaged row is computed again.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/progress.h"
#include "features/backbone.h"
#include "tensor/tensor.h"

namespace sightline::features {

// Raised when the same picture gives other features than before (preprocessing, batch).
inline constexpr int version = 1;

struct Counts {
  std::uint64_t computed = 0, reused = 0;  // pictures, each once
};

class FeatureSource {
 public:
  // cache_root: the folder that holds the caches of all backbones. Errors: those of planning; io.
  static Result<std::shared_ptr<FeatureSource>> open(Backbone backbone, const std::string& cache_root, int threads);
  ~FeatureSource();
  FeatureSource(const FeatureSource&) = delete;
  FeatureSource& operator=(const FeatureSource&) = delete;

  const Backbone& backbone() const;

  // f32 N×D, a row for each digest. prepare(i) gives picture i as the backbone takes it (u8 1×H×W×C); it is asked, by several threads, only
  // for those that are not known yet. Any number of threads may call at the same time. Errors: those of prepare; interrupted (what was
  // computed in whole blocks of 512 is kept). With `failed` (N long) a picture that cannot be prepared is no error: it is marked there, and
  // its row is zero.
  using Prepare = std::function<Result<Tensor>(std::size_t)>;
  Result<Tensor> features(std::span<const Digest> pictures, const Prepare& prepare, Progress* progress = nullptr, Counts* counts = nullptr,
                          std::span<char> failed = {}) const;

 private:
  struct State;
  explicit FeatureSource(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sightline::features
