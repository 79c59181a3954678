#include "training/batches.h"

#include <algorithm>
#include <cassert>
#include <map>

#include "annotation/landmarks.h"
#include "base/random.h"
#include "tasks/instance_maps.h"
#include "training/augment_landmarks.h"
#include "training/augment_masks.h"
#include "training/augment_objects.h"

namespace sightline::training {
namespace {

// Picture and mask of one sample at its place of the batch, and what its objects are learned by.
void fill_masked(const Samples& samples, modules::Augmentation augmentation, const Draw& draw, std::size_t place,
                 std::span<std::uint8_t> pixels, Batch& batch) {
  const std::size_t area = static_cast<std::size_t>(samples.shape.height) * static_cast<std::size_t>(samples.shape.width);
  std::vector<std::int32_t> instances;
  augment_masks(augmentation, samples, draw, pixels, std::span(batch.masks).subspan(place * area, area), instances);
  if (instances.empty()) return;
  const tasks::InstanceMaps maps = tasks::maps_of_instances(instances, samples.shape.height, samples.shape.width);
  const auto to = batch.instance_maps.begin() + static_cast<std::ptrdiff_t>(2 * place * area);
  std::ranges::copy(maps.border, to);
  std::ranges::copy(maps.depth, to + static_cast<std::ptrdiff_t>(area));
}

}  // namespace

std::int64_t Samples::batches(std::int64_t batch) const {
  return std::max<std::int64_t>(1, std::min((count() + batch - 1) / batch, count() / 2));
}

void fill_batch(const Samples& samples, std::span<const std::int64_t> order, std::int64_t index, std::int64_t batches,
                modules::Augmentation augmentation, std::uint64_t seed, std::int64_t epoch, Batch& batch) {
  const auto total = static_cast<std::int64_t>(order.size());
  const std::int64_t begin = index * total / batches;
  const std::int64_t end = (index + 1) * total / batches;
  const std::size_t bytes = samples.shape.bytes();
  batch.labels.resize(static_cast<std::size_t>(end - begin));
  batch.pixels.resize(batch.labels.size() * bytes);
  const std::size_t width = samples.targets.size() / std::max<std::size_t>(samples.labels.size(), 1);
  batch.targets.resize(batch.labels.size() * width);
  batch.texts.resize(samples.texts != nullptr ? batch.labels.size() : 0);
  batch.objects.resize(samples.objects != nullptr ? batch.labels.size() : 0);
  const std::size_t area = static_cast<std::size_t>(samples.shape.height) * static_cast<std::size_t>(samples.shape.width);
  batch.masks.resize(samples.masks != nullptr ? batch.labels.size() * area : 0);
  const std::size_t scale = samples.sharp ? static_cast<std::size_t>(samples.sharp->degradation.scale) : 1;
  batch.sharp.resize(samples.sharp ? batch.pixels.size() * scale * scale : 0);
  batch.instance_maps.resize(samples.masks != nullptr && samples.masks->has_instances() ? 2 * batch.labels.size() * area : 0);
  const std::size_t points = samples.landmarks != nullptr ? samples.landmarks->classes().size() : 0;
  std::vector<std::size_t> mirrored;
  if (points > 0) mirrored = annotation::mirrored_landmarks(samples.landmarks->classes());
  batch.landmarks.resize(batch.labels.size() * points);
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t sample = order[static_cast<std::size_t>(i)];
    const auto place = static_cast<std::size_t>(i - begin);
    batch.labels[place] = samples.labels[static_cast<std::size_t>(sample)];
    std::copy_n(samples.targets.begin() + sample * static_cast<std::int64_t>(width), width,
                batch.targets.begin() + static_cast<std::ptrdiff_t>(place * width));
    const std::span<std::uint8_t> pixels{batch.pixels.data() + place * bytes, bytes};
    if (samples.texts != nullptr) {
      const auto text = samples.texts->text_of(sample);
      batch.texts[place].assign(text.begin(), text.end());
    }
    if (samples.sharp)
      augment_sharp(augmentation, *samples.sharp, samples.shape, samples.picture(sample), pixels,
                    std::span(batch.sharp).subspan(place * bytes * scale * scale, bytes * scale * scale), seed, epoch, sample);
    else if (samples.masks != nullptr)
      fill_masked(samples, augmentation, {seed, epoch, sample}, place, pixels, batch);
    else if (points > 0)
      augment_landmarks(augmentation, samples, {seed, epoch, sample}, mirrored, pixels,
                        std::span(batch.landmarks).subspan(place * points, points));
    else if (samples.objects != nullptr)
      augment_objects(augmentation, samples, {seed, epoch, sample}, pixels, batch.objects[place]);
    else
      augment(augmentation, samples.shape, samples.picture(sample), pixels, seed, epoch, sample);
  }
}

TrainingOrder::TrainingOrder(const Samples& samples, std::int64_t steps_per_epoch, modules::Augmentation augmentation, std::uint64_t seed,
                             int together)
    : samples_(samples), steps_per_epoch_(steps_per_epoch), augmentation_(augmentation), seed_(seed), together_(together) {}

namespace {

// The same pictures, `together` of each label behind each other: every label's are cut into pieces, and the pieces shuffled.
void bring_together(const Samples& samples, int together, Random& random, std::vector<std::int64_t>& order) {
  std::map<std::int32_t, std::vector<std::int64_t>> of_label;
  for (const std::int64_t sample : order) of_label[samples.labels[static_cast<std::size_t>(sample)]].push_back(sample);
  std::vector<std::span<const std::int64_t>> pieces;
  for (const auto& [label, own] : of_label)
    for (std::size_t at = 0; at < own.size(); at += static_cast<std::size_t>(together))
      pieces.push_back(std::span(own).subspan(at, std::min(own.size() - at, static_cast<std::size_t>(together))));
  random.shuffle(pieces);
  order.clear();
  for (const auto& piece : pieces) order.insert(order.end(), piece.begin(), piece.end());
}

}  // namespace

void TrainingOrder::fill(std::int64_t step, Batch& batch) {
  const std::int64_t epoch = step / steps_per_epoch_;
  if (epoch != epoch_) {
    constexpr std::uint64_t order_stream = 0x0de4ULL;
    epoch_ = epoch;
    order_ = samples_.chosen;
    Random random(seed_, order_stream, static_cast<std::uint64_t>(epoch));
    random.shuffle(order_);
    if (together_ > 1) bring_together(samples_, together_, random, order_);
  }
  fill_batch(samples_, order_, step % steps_per_epoch_, steps_per_epoch_, augmentation_at(step), seed_, epoch, batch);
}

void TrainingOrder::follow(const Course& course) {
  const std::lock_guard lock(mutex_);
  course_ = course;
}

modules::Augmentation TrainingOrder::augmentation_at(std::int64_t step) {
  constexpr std::int64_t ahead = 2;
  if (augmentation_ != modules::Augmentation::mosaic) return augmentation_;
  const std::lock_guard lock(mutex_);
  const bool late = course_.progress(std::max<std::int64_t>(step - ahead, 0)) >= mosaic_share;
  return late ? modules::Augmentation::light : augmentation_;
}

BatchProducer::BatchProducer(std::int64_t first, std::int64_t end, std::function<void(std::int64_t, Batch&)> fill)
    : first_(first), end_(end), fill_(std::move(fill)), thread_([this] { produce(); }) {}

BatchProducer::~BatchProducer() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BatchProducer::produce() {
  Batch batch;
  for (std::int64_t i = first_; i < end_; ++i) {
    std::exception_ptr failure;
    try {
      fill_(i, batch);
    } catch (...) {
      failure = std::current_exception();
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stop_ || !full_; });
    if (stop_) return;
    std::swap(ready_, batch);
    failure_ = failure;
    full_ = true;
    changed_.notify_all();
    if (failure) return;
  }
}

const Batch& BatchProducer::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return full_; });
  if (failure_) std::rethrow_exception(failure_);
  std::swap(ready_, reading_);
  full_ = false;
  changed_.notify_all();
  return reading_;
}

}  // namespace sightline::training
