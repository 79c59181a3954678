// A segmenter in both engines: scores and maps of every pixel, to 1e-3 of the output's scale.
#include <gtest/gtest.h>

#include "autograd/executor.h"
#include "base/random.h"
#include "modules/segmenter.h"
#include "parity_difference.h"
#include "parity_weights.h"
#include "runtime/session.h"

namespace sightline {
namespace {

constexpr double tolerance = 1e-3;

TEST(SegmenterParity, RuntimeEqualsAutograd) {
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{96, 96}, {64, 160}}) {
    auto graph = modules::build_segmenter({.height = height,
                                           .width = width,
                                           .channels = 3,
                                           .classes = 3,
                                           .instances = true,
                                           .mean = {127.5F, 127.5F, 127.5F},
                                           .deviation = {64, 64, 64},
                                           .seed = 3});
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    look_trained(*graph, [](const Tensor& weight) { return weight.dim(0) == 4 || weight.dim(0) == 2; });
    auto executor = autograd::Executor::create(*graph);
    ASSERT_TRUE(executor.ok()) << executor.error().message;
    auto session = runtime::Session::create(graph::serving_graph(*graph), {.threads = 2});
    ASSERT_TRUE(session.ok()) << session.error().message;
    const torch::NoGradGuard no_gradient;
    for (const std::int64_t batch : {1, 3}) {
      Random random(static_cast<std::uint64_t>(batch));
      Tensor image(Dtype::u8, {batch, height, width, 3});
      for (std::uint8_t& value : image.values<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
      const auto served = session->run(std::vector<Tensor>{image});
      ASSERT_TRUE(served.ok()) << served.error().message;
      const auto trained = executor->forward({autograd::to_torch(image)}, {"class_scores", "instance_maps"}, false);
      for (std::size_t i = 0; i < trained.size(); ++i) {
        EXPECT_LT(difference((*served)[i], trained[i]), tolerance);
        EXPECT_GT(trained[i].std().item<double>(), 0.05);
      }
    }
  }
}

}  // namespace
}  // namespace sightline
