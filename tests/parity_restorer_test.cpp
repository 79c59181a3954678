// A restorer in both engines: pictures and deviations, to 1e-3 of the output's scale.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/executor.h"
#include "base/random.h"
#include "modules/restorer.h"
#include "parity_difference.h"
#include "runtime/session.h"

namespace sightline {
namespace {

constexpr double tolerance = 1e-3;

TEST(RestorerParity, RuntimeEqualsAutograd) {
  for (const std::int64_t channels : {1, 3})
    for (const std::int64_t scale : {1, 2, 4}) {
      auto graph = modules::build_restorer({.height = 32, .width = 48, .channels = channels, .scale = scale, .seed = 3});
      ASSERT_TRUE(graph.ok()) << graph.error().message;
      // Weights that a net may have after training: those that begin small are larger.
      std::uint64_t stream = 0;
      for (const auto& [name, role] : graph::roles_of(*graph)) {
        if (role == graph::Role::constant) continue;
        Random random(11, ++stream);
        for (float& value : graph->initializers.at(name).values<float>()) value += static_cast<float>(0.02 * random.normal());
      }
      auto executor = autograd::Executor::create(*graph);
      ASSERT_TRUE(executor.ok()) << executor.error().message;
      auto session = runtime::Session::create(graph::serving_graph(*graph), {.threads = 2});
      ASSERT_TRUE(session.ok()) << session.error().message;
      const torch::NoGradGuard no_gradient;
      for (const std::int64_t batch : {1, 3}) {
        Random random(static_cast<std::uint64_t>(batch));
        Tensor image(Dtype::u8, {batch, 32, 48, channels});
        for (std::uint8_t& value : image.values<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
        const auto served = session->run(std::vector<Tensor>{image});
        ASSERT_TRUE(served.ok()) << served.error().message;
        const auto trained = executor->forward({autograd::to_torch(image)}, {"restored", "deviation"}, false);
        for (std::size_t i = 0; i < trained.size(); ++i) {
          EXPECT_EQ((*served)[i].shape(), (Shape{batch, i == 0 ? channels : 1, 32 * scale, 48 * scale}));
          EXPECT_LT(difference((*served)[i], trained[i]), tolerance);
          EXPECT_GT(trained[i].std().item<double>(), 0.05);
        }
      }
      // Convolutional throughout: on crops of another size as well.
      EXPECT_EQ(executor->forward({torch::zeros({2, 64, 64, channels}, torch::kByte)}, {"restored"}, false)[0].size(3), 64 * scale);
    }
}

// Symptom: the loss was no number after 200 to 300 steps of training at a rate of 0.002; products of products grew without bound.
TEST(RestorerParity, DoesNotRunAwayWhereWeightsAreLarge) {
  auto graph = modules::build_restorer({.height = 32, .width = 32, .channels = 1, .seed = 3});
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  for (const auto& [name, role] : graph::roles_of(*graph))
    if (role == graph::Role::weight)
      for (float& value : graph->initializers.at(name).values<float>()) value *= 4;
  auto session = runtime::Session::create(graph::serving_graph(*graph), {.threads = 1});
  ASSERT_TRUE(session.ok()) << session.error().message;
  Random random(1);
  Tensor image(Dtype::u8, {1, 32, 32, 1});
  for (std::uint8_t& value : image.values<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
  const auto served = session->run(std::vector<Tensor>{image});
  ASSERT_TRUE(served.ok()) << served.error().message;
  // Ten blocks that each multiply by no more than their weights do.
  for (const float value : (*served)[0].values<float>()) ASSERT_LT(std::abs(value), 1e15F);
}

}  // namespace
}  // namespace sightline
