// How errors fall as a head is given more samples: what a learning curve is fitted through.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::heads {

struct TrainingSizesOptions {
  std::vector<std::int64_t> sizes;  // samples of each class, rising; empty: up to six from 2 to what most classes have, by equal factors
  int folds = 4;                    // a sample is judged by heads fitted on other folds
  int repeats = 5;                  // of the folds and of the samples that are taken
  std::uint64_t seed = 0;
};

struct ErrorsAtSize {
  std::int64_t size = 0;                      // samples of each class; a class with fewer gave all that it has
  std::vector<double> trained;                // K: mean number of samples of the class that were trained on
  std::vector<std::int64_t> judged;           // K: samples of the class
  std::vector<std::vector<double>> by_class;  // by repeat, K: share of the class's samples that were wrong; 0 without samples
  std::vector<double> balanced;               // by repeat: mean over the classes that have samples
};

// Ridge with its penalty chosen by leave-one-out, all classes weighing the same, on samples taken at random (smaller sets are parts of
// larger ones). Units that groups hold together are judged together. Deterministic for the seed. Errors: as choose_head; usage (sizes that
// do not rise from 1; fewer than 2 folds).
Result<std::vector<ErrorsAtSize>> errors_by_training_size(const Tensor& features, std::span<const std::int32_t> labels,
                                                          std::span<const std::int64_t> groups, int classes,
                                                          const TrainingSizesOptions& options = {});

}  // namespace sightline::heads
