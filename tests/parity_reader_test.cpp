// A reader in both engines: the columns to 1e-3.
#include <gtest/gtest.h>

#include "autograd/executor.h"
#include "modules/reader.h"
#include "parity_difference.h"
#include "runtime/session.h"

namespace sightline {
namespace {

TEST(ReaderParity, RuntimeEqualsAutograd) {
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{32, 96}, {16, 64}}) {
    auto graph = modules::build_reader({.height = height,
                                        .width = width,
                                        .channels = 3,
                                        .symbols = 36,
                                        .mean = {127.5F, 127.5F, 127.5F},
                                        .deviation = {64, 64, 64},
                                        .dropout = 0.2F,
                                        .seed = 5});
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    std::uint64_t stream = 0;
    for (const auto& [name, role] : graph::roles_of(*graph)) {
      if (role == graph::Role::constant) continue;
      Random random(11, ++stream);
      const bool positive = role == graph::Role::scale || role == graph::Role::running_variance;
      for (float& value : graph->initializers.at(name).values<float>()) {
        const auto noise = static_cast<float>(random.uniform(0.5, 1.5));
        value = positive ? noise : value + 0.3F * (noise - 1);
      }
    }
    auto executor = autograd::Executor::create(*graph);
    ASSERT_TRUE(executor.ok()) << executor.error().message;
    auto session = runtime::Session::create(graph::serving_graph(*graph), {.threads = 2});
    ASSERT_TRUE(session.ok()) << session.error().message;
    const torch::NoGradGuard no_gradient;
    for (const std::int64_t batch : {1, 5}) {
      Random random(static_cast<std::uint64_t>(batch));
      Tensor image(Dtype::u8, {batch, height, width, 3});
      for (std::uint8_t& value : image.values<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
      const auto served = session->run(std::vector<Tensor>{image});
      ASSERT_TRUE(served.ok()) << served.error().message;
      const auto trained = executor->forward({autograd::to_torch(image)}, {"columns"}, false);
      EXPECT_LT(difference((*served)[0], trained[0]), 1e-3);
      EXPECT_GT(trained[0].std().item<double>(), 0.01) << "columns that all say the same would prove nothing";
    }
  }
}

}  // namespace
}  // namespace sightline
