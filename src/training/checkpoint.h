// A run on disk, so that it can be killed at any moment: checkpoint.last and, while that one is replaced, checkpoint.previous.
//
//   8 bytes "SLCKPT01", u64 (little endian) length of a JSON header {"run": RunRecord, "tensors": [{"name", "count"}]}, the header, the f32
//   values of each tensor in that order, then the SHA-256 of everything before it as 64 hexadecimal characters.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "base/sha256.h"
#include "training/course.h"

namespace sightline::training {

struct EpochRecord {
  std::int64_t epoch = 0;            // from 1
  double loss = 0;                   // of the batches as they were trained on
  std::optional<double> train_top1;  // likewise; nothing where targets are learned
  std::optional<double> validation_loss, validation_top1;
  double learning_rate = 0;  // of its last step
  static constexpr auto fields() {
    return std::tuple{field("epoch", &EpochRecord::epoch),
                      field("loss", &EpochRecord::loss),
                      field("train_top1", &EpochRecord::train_top1),
                      field("validation_loss", &EpochRecord::validation_loss),
                      field("validation_top1", &EpochRecord::validation_top1),
                      field("learning_rate", &EpochRecord::learning_rate)};
  }
};

// All of a run's state that is not a tensor.
struct RunRecord {
  Digest fingerprint;  // of what the bits of the result depend on: recipe, seed, graph, data
  Digest layout;       // of the flat buffers
  Course course;
  std::int64_t step = 0;
  bool stopped = false;  // early, for want of progress
  double seconds = 0;    // spent so far, over all restarts
  double loss_sum = 0;   // of the epoch that is under way
  std::int64_t correct = 0, seen = 0;
  std::vector<EpochRecord> epochs;
  std::int64_t best_epoch = 0;  // 0: none yet
  double best_loss = 0;
  static constexpr auto fields() {
    return std::tuple{field("fingerprint", &RunRecord::fingerprint),
                      field("layout", &RunRecord::layout),
                      field("course", &RunRecord::course),
                      field("step", &RunRecord::step),
                      field("stopped", &RunRecord::stopped),
                      field("seconds", &RunRecord::seconds),
                      field("loss_sum", &RunRecord::loss_sum),
                      field("correct", &RunRecord::correct),
                      field("seen", &RunRecord::seen),
                      field("epochs", &RunRecord::epochs),
                      field("best_epoch", &RunRecord::best_epoch),
                      field("best_loss", &RunRecord::best_loss)};
  }
};

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;  // f32, contiguous

// Atomic and synced; the one before stays as checkpoint.previous.
Result<void> write_checkpoint(const std::string& folder, const RunRecord& record, const NamedTensors& tensors);

// Reads the newest whole checkpoint of `fingerprint` and `layout` into record and into the memory of `tensors`. False when there is none.
// What is damaged is removed with a warning; what belongs to another run is passed over with one. Error io: cannot be read.
Result<bool> read_checkpoint(const std::string& folder, const Digest& fingerprint, const Digest& layout, RunRecord& record,
                             const NamedTensors& tensors);

}  // namespace sightline::training
