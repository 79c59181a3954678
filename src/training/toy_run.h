// A training of seconds in a folder of its own, and what every objective is held to. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/interrupt.h"
#include "graph/graph.h"
#include "training/toy_set.h"
#include "training/training.h"

namespace sightline::training::toy {

struct Run {
  Folder folder;
  modules::TrainingSpec spec;
  std::vector<Json> events;  // of epochs

  // AdamW over two epochs, one thread, nothing altered; its graph and set are to be written.
  explicit Run(const char* task) {
    spec = {.task = task,
            .graph = folder / "graph.onnx",
            .data = folder / "set",
            .output = folder / "out",
            .checkpoint = folder / "checkpoint"};
    spec.recipe.epochs = 2;
    spec.recipe.batch = 16;
    spec.recipe.optimizer = modules::Optimizer::adamw;
    spec.recipe.learning_rate = 0.003;
    spec.recipe.label_smoothing = 0;
    spec.recipe.clip = 10;
    spec.recipe.augmentation = modules::Augmentation::none;
    spec.seed = 7;
    spec.threads = 1;
  }
  void write_graph(const Result<graph::Graph>& graph) const {
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    ASSERT_TRUE(write_file(spec.graph, *graph::serialize_onnx(*graph)).ok());
  }
  Result<void> run(const std::function<void(const Json&)>& also = {}) {
    return train(spec, [&](const Json& event) {
      if (event["event"] == "epoch") events.push_back(event);
      if (also) also(event);
    });
  }
  std::string model() const {
    const auto file = read_file(spec.output + "/model.onnx");
    return file.ok() ? *file : "";
  }
};

// Two trainings that are set up alike: the second is interrupted after an epoch, twice, and ends in the same bits.
inline void expect_same_bits(Run& whole, Run& torn) {
  auto status = whole.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_FALSE(whole.events.back()["validation_loss"].is_null());
  for (int attempt = 0;; ++attempt) {
    ASSERT_LT(attempt, 20);
    status = torn.run([&](const Json& event) {
      if (attempt < 2 && event["event"] == "epoch") request_interrupt();
    });
    clear_interrupt();
    if (status.ok()) break;
    ASSERT_EQ(status.error().kind, ErrorKind::interrupted) << status.error().message;
  }
  EXPECT_FALSE(whole.model().empty());
  EXPECT_EQ(torn.model(), whole.model());
}

// The error that a training gives before its first step.
inline std::string refusal(Run& toy, ErrorKind kind) {
  const auto status = toy.run();
  EXPECT_FALSE(status.ok());
  if (status.ok()) return "it was trained";
  EXPECT_EQ(status.error().kind, kind) << status.error().message;
  return status.error().message;
}

}  // namespace sightline::training::toy
