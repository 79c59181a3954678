// A detector in both engines: boxes, scores and what non-maximum suppression chooses of them, to 1e-3 of the output's scale; and a backbone
// that was adopted is the same function, whether its normalisation was folded or not.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "autograd/executor.h"
#include "modules/detectors_for_test.h"
#include "parity_difference.h"
#include "parity_weights.h"
#include "runtime/session.h"

namespace sightline {
namespace {

constexpr double tolerance = 1e-3;

// Weights as a trained net has them, so that points disagree and boxes differ.
void disturb(graph::Graph& graph) {
  look_trained(graph, [](const Tensor& weight) { return (weight.dim(0) == 3 || weight.dim(0) == 64) && weight.dim(2) == 1; });
}

Tensor pictures(std::int64_t count, std::int64_t height, std::int64_t width) {
  Random random(static_cast<std::uint64_t>(count));
  Tensor image(Dtype::u8, {count, height, width, 3});
  for (std::uint8_t& value : image.values<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
  return image;
}

// The rows that hold something.
std::set<std::vector<std::int64_t>> chosen(const torch::Tensor& selected) {
  std::set<std::vector<std::int64_t>> rows;
  for (std::int64_t i = 0; i < selected.size(0); ++i) {
    const std::int64_t* row = selected.data_ptr<std::int64_t>() + 3 * i;
    if (row[0] >= 0) rows.insert({row[0], row[1], row[2]});
  }
  return rows;
}

TEST(DetectorParity, RuntimeEqualsAutograd) {
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{96, 96}, {64, 160}}) {
    auto graph = modules::build_detector(modules::detector_for_test(height, width, 3));
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    disturb(*graph);
    auto executor = autograd::Executor::create(*graph);
    ASSERT_TRUE(executor.ok()) << executor.error().message;
    auto session = runtime::Session::create(graph::serving_graph(*graph), {.threads = 2});
    ASSERT_TRUE(session.ok()) << session.error().message;
    const torch::NoGradGuard no_gradient;
    for (const std::int64_t batch : {1, 3}) {
      const Tensor image = pictures(batch, height, width);
      const auto served = session->run(std::vector<Tensor>{image});
      ASSERT_TRUE(served.ok()) << served.error().message;
      const auto trained = executor->forward({autograd::to_torch(image)}, {"boxes", "scores", "selected"}, false);
      EXPECT_LT(difference((*served)[0], trained[0]), tolerance);
      EXPECT_LT(difference((*served)[1], trained[1]), tolerance);
      EXPECT_GT(trained[0].std().item<double>(), 1);
      // Scores that differ in the last bit change places, and what they suppress may change with them.
      const std::set<std::vector<std::int64_t>> ours = chosen(autograd::to_torch((*served)[2])), theirs = chosen(trained[2]);
      EXPECT_EQ((*served)[2].dim(0), trained[2].size(0));
      EXPECT_GT(ours.size(), 10U);
      EXPECT_LT(ours.size(), static_cast<std::size_t>(batch) * 300);
      std::size_t both = 0;
      for (const auto& row : ours) both += theirs.count(row);
      EXPECT_GE(static_cast<double>(both), 0.9 * static_cast<double>(std::max(ours.size(), theirs.size())));
    }
  }
}

TEST(DetectorParity, AnAdoptedBackboneIsTheSameFunctionFoldedOrNot) {
  auto classifier = modules::sight_s_for_test(9);
  ASSERT_TRUE(classifier.ok());
  disturb(*classifier);
  std::vector<torch::Tensor> boxes;
  const Tensor image = pictures(2, 96, 96);
  const torch::NoGradGuard no_gradient;
  for (const bool folded : {false, true}) {
    auto detector = modules::build_detector(modules::detector_for_test(96, 96, 3));
    ASSERT_TRUE(detector.ok());
    disturb(*detector);
    const graph::Graph source = folded ? graph::fold_batch_norm(graph::serving_graph(*classifier)) : *classifier;
    const auto taken = modules::adopt_backbone(*detector, source);
    ASSERT_TRUE(taken.ok()) << taken.error().message;
    auto executor = autograd::Executor::create(*detector);
    ASSERT_TRUE(executor.ok()) << executor.error().message;
    boxes.push_back(executor->forward({autograd::to_torch(image)}, {"boxes"}, false)[0]);
  }
  EXPECT_LT((boxes[0] - boxes[1]).abs().max().item<double>(), 1e-3 * boxes[0].abs().max().item<double>());
}

}  // namespace
}  // namespace sightline
