// The one training loop: fits a graph to a packed set by gradients, under a budget, and can be killed at any moment.
//
// For a seed and a thread count the bits of model.onnx are fixed: order, augmentation and dropout are drawn from (seed, epoch, sample) or
// (seed, step), never from a stream that a crash could tear. A run that is killed and started again goes on from its last checkpoint to
// the same bits.
#pragma once

#include <functional>

#include "base/json.h"
#include "base/result.h"
#include "modules/training_spec.h"

namespace sightline::training {

// Gets the events of modules/training_spec.h (without "error", which the caller makes from the result), from the calling thread.
using EventSink = std::function<void(const Json& event)>;

// Does what the specification says. A checkpoint of the same graph, data, recipe and seed in spec.checkpoint is gone on from; with
// spec.checkpoint/schedule.json (the "schedule" of a history.json) a time budget follows that record instead of the clock.
// Errors: usage and invalid_data for a specification, graph or set that makes no sense; unsupported for an operator; io; refused when the
// loss is no longer a number; interrupted (the checkpoint is written).
Result<void> train(const modules::TrainingSpec& spec, const EventSink& emit);

}  // namespace sightline::training
