// An embedder trained by the one loop, on pictures that are drawn.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "autograd/executor.h"
#include "modules/embedder.h"
#include "modules/metric_losses.h"
#include "training/batches.h"
#include "training/metric_loss.h"
#include "training/toy_identities.h"
#include "training/toy_run.h"

namespace sightline::training {
namespace {

using testing::HasSubstr;

constexpr int side = 32;

struct Toy : toy::Run {
  Toy(int identities, int each, int validation, modules::MetricLoss loss) : Run("embed") {
    toy::write_identities(folder / "set", side, identities, each, validation);
    const modules::MetricLossRow& row = modules::row_of(loss);
    modules::Recipe& recipe = spec.recipe;
    recipe.side = side;
    recipe.clip = 5;
    recipe.metric_loss = loss;
    recipe.margin = row.margin;
    recipe.scale = row.scale;
    recipe.pair_weight = row.pair_weight;
    recipe.pictures_per_identity = row.pictures_per_identity;
    write(identities - validation);
  }
  void write(std::int64_t identities) const {
    write_graph(modules::build_embedder({.backbone = "plain-s",
                                         .side = side,
                                         .channels = 3,
                                         .identities = identities,
                                         .width = 16,
                                         .mean = {127.5F, 127.5F, 127.5F},
                                         .deviation = {64, 64, 64},
                                         .seed = 2}));
  }
};

// Share of pairs that the served embeddings put into the wrong order.
double served_error(const Toy& toy) {
  const auto graph = graph::read_onnx(toy.spec.output + "/model.onnx");
  EXPECT_TRUE(graph.ok());
  auto executor = autograd::Executor::create(*graph);
  EXPECT_TRUE(executor.ok());
  const auto set = dataset::PackedSet::open(toy.spec.data);
  const torch::NoGradGuard no_gradient;
  const Tensor pixels = set->pixels();
  const torch::Tensor pictures = torch::from_blob(const_cast<std::byte*>(pixels.data()), {pixels.dim(0), side, side, 3}, torch::kByte);
  const torch::Tensor rows = executor->forward({pictures}, {"embedding"}, false)[0];
  EXPECT_LT((rows.norm(2, 1) - 1).abs().max().item<double>(), 1e-5);
  std::vector<std::int64_t> labels(set->labels().begin(), set->labels().end());
  return pair_error(rows, torch::tensor(labels, torch::kLong));
}

TEST(EmbedTraining, LearnsThirtyTwoPicturesByHeartWhateverTeachesIt) {
  for (const modules::MetricLossRow& row : modules::metric_losses()) {
    SCOPED_TRACE(enum_name(row.loss));
    Toy toy(8, 4, 0, row.loss);
    toy.spec.recipe.epochs = 60;
    const auto status = toy.run();
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_LT(toy.events.back()["loss"].get<double>(), 0.1 * toy.events.front()["loss"].get<double>());
    EXPECT_TRUE(toy.events.back()["train_top1"].is_null());
    EXPECT_LT(served_error(toy), 0.002);
  }
}

TEST(EmbedTraining, EpochsAreComparedByPairsOfIdentitiesThatNobodySaw) {
  Toy toy(12, 4, 4, modules::MetricLoss::cosface);
  toy.spec.recipe.epochs = 25;
  const auto status = toy.run();
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_LT(toy.events.back()["validation_loss"].get<double>(), 0.2);
  EXPECT_TRUE(toy.events.back()["validation_top1"].is_null());
}

TEST(EmbedTraining, StartedAgainItEndsInTheSameBits) {
  Toy whole(6, 4, 2, modules::MetricLoss::deepid2), torn(6, 4, 2, modules::MetricLoss::deepid2);
  whole.spec.recipe.epochs = torn.spec.recipe.epochs = 6;
  toy::expect_same_bits(whole, torn);
}

TEST(EmbedTraining, SaysWhatDoesNotFit) {
  const auto message = [](Toy& toy) {
    const auto status = toy.run();
    return status.ok() ? std::string() : status.error().message;
  };
  Toy singles(6, 1, 0, modules::MetricLoss::triplet);
  EXPECT_THAT(message(singles), HasSubstr("no identity has two pictures"));
  Toy by_margin(6, 1, 0, modules::MetricLoss::arcface);
  EXPECT_EQ(message(by_margin), "") << "a margin learns from identities with one picture as well";
  Toy more(6, 4, 0, modules::MetricLoss::softmax);
  more.write(9);
  EXPECT_THAT(message(more), HasSubstr("trained on 6 identities"));
  Toy mosaic(6, 4, 0, modules::MetricLoss::softmax);
  mosaic.spec.recipe.augmentation = modules::Augmentation::mosaic;
  EXPECT_THAT(message(mosaic), HasSubstr("mosaic is for detection"));
}

TEST(EmbedTraining, BatchesBringPicturesOfAnIdentityTogether) {
  std::vector<std::int32_t> labels;
  std::vector<std::uint8_t> pixels;
  Samples samples;
  samples.shape = {1, 1, 1};
  for (std::int32_t who = 0; who < 20; ++who)
    for (std::int32_t i = 0; i < 1 + who % 7; ++i) labels.push_back(who);
  pixels.resize(labels.size());
  samples.pixels = pixels.data();
  samples.labels = labels;
  for (std::size_t i = 0; i < labels.size(); ++i) samples.chosen.push_back(static_cast<std::int64_t>(i));
  const auto pairs_in = [&](int together) {
    TrainingOrder order(samples, 4, modules::Augmentation::none, 3, together);
    std::int64_t pairs = 0, seen = 0;
    for (std::int64_t step = 0; step < 4; ++step) {
      Batch batch;
      order.fill(step, batch);
      seen += batch.count();
      for (std::size_t i = 0; i < batch.labels.size(); ++i)
        for (std::size_t j = i + 1; j < batch.labels.size(); ++j) pairs += batch.labels[i] == batch.labels[j] ? 1 : 0;
    }
    EXPECT_EQ(seen, samples.count()) << "each once an epoch";
    return pairs;
  };
  EXPECT_GT(pairs_in(4), pairs_in(1) + 20);
}

}  // namespace
}  // namespace sightline::training
