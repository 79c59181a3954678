// Samples in the order of training, prepared one batch ahead by a thread of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "dataset/packed_set.h"
#include "training/augment.h"
#include "training/augment_sharp.h"
#include "training/course.h"

namespace sightline::training {

struct Batch {
  std::vector<std::uint8_t> pixels;                         // N×H×W×C
  std::vector<std::int64_t> labels;                         // N
  std::vector<float> targets;                               // N×K, of samples that have such
  std::vector<std::vector<dataset::PackedObject>> objects;  // of each picture, where samples have such
  std::vector<std::vector<std::int32_t>> texts;             // likewise, as symbols
  std::vector<dataset::PackedLandmark> landmarks;           // N×K, likewise
  std::vector<std::uint8_t> masks;                          // N×H×W, likewise
  std::vector<float> instance_maps;                         // N×2×H×W, likewise: border and depth (tasks/instance_maps.h)
  std::vector<std::uint8_t> sharp;                          // N×sH×sW×C, of samples that are degraded: what the pixels should look like
  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

// What is drawn from. The pixels are borrowed.
struct Samples {
  PictureShape shape;
  const std::uint8_t* pixels = nullptr;           // all pictures, one after the other
  std::span<const std::int32_t> labels;           // of all
  std::span<const float> targets;                 // of all, one row after the other; may be empty
  const dataset::PackedSet* objects = nullptr;    // whose objects are learned; null: none are
  const dataset::PackedSet* texts = nullptr;      // whose texts are learned, likewise
  const dataset::PackedSet* landmarks = nullptr;  // whose landmarks are learned
  const dataset::PackedSet* masks = nullptr;      // whose masks are learned
  std::vector<std::int64_t> chosen;               // the pictures that take part
  // Sharp pictures, of which crops are degraded (augment_sharp.h); `shape` is that of the crops then, and this one that of the pictures.
  std::optional<SharpTiles> sharp = {};

  std::int64_t count() const { return static_cast<std::int64_t>(chosen.size()); }
  std::span<const std::uint8_t> picture(std::int64_t sample) const {
    const std::size_t bytes = sharp ? sharp->shape.bytes() : shape.bytes();
    return {pixels + static_cast<std::size_t>(sample) * bytes, bytes};
  }
  // The batches of an epoch: of nearly equal size, none larger than `batch` unless one would be left with a single sample (which has no
  // batch statistics).
  std::int64_t batches(std::int64_t batch) const;
};

// Batch `index` of `batches`, of the samples in the order `order`, augmented.
void fill_batch(const Samples& samples, std::span<const std::int64_t> order, std::int64_t index, std::int64_t batches,
                modules::Augmentation augmentation, std::uint64_t seed, std::int64_t epoch, Batch& batch);

// Batches of training step by step, each epoch in its own order.
class TrainingOrder {
 public:
  // together: so many pictures of one label come behind each other, as far as it has them.
  TrainingOrder(const Samples& samples, std::int64_t steps_per_epoch, modules::Augmentation augmentation, std::uint64_t seed,
                int together = 1);
  void fill(std::int64_t step, Batch& batch);
  // The course as it is decided now, from any thread. Mosaic ends before it does (augment_objects.h), by what is decided two steps before
  // the one that is filled: batches are made that far ahead, and must not depend on when.
  void follow(const Course& course);

 private:
  modules::Augmentation augmentation_at(std::int64_t step);

  std::mutex mutex_;
  Course course_;
  const Samples& samples_;
  std::int64_t steps_per_epoch_;
  modules::Augmentation augmentation_;
  std::uint64_t seed_;
  int together_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;
};

// Calls fill(i, batch) for i in [first, end) on its own thread, one ahead of the reader.
class BatchProducer {
 public:
  BatchProducer(std::int64_t first, std::int64_t end, std::function<void(std::int64_t, Batch&)> fill);
  ~BatchProducer();
  BatchProducer(const BatchProducer&) = delete;
  BatchProducer& operator=(const BatchProducer&) = delete;

  // The next batch; valid until the next call. Exceptions of fill come out here. Not beyond the end.
  const Batch& next();

 private:
  void produce();

  std::int64_t first_, end_;
  std::function<void(std::int64_t, Batch&)> fill_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Batch ready_, reading_;
  bool full_ = false, stop_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace sightline::training
