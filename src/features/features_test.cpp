#include "features/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "base/random.h"
#include "base/temporary_folder.h"
#include "features/looks.h"
#include "graph/builder.h"
#include "runtime/session.h"

namespace sightline::features {
namespace {

using ::testing::HasSubstr;

constexpr int side = 12;

graph::Graph small_backbone(std::uint64_t seed = 3) {
  graph::Builder builder(seed);
  const std::string x = builder.image_input(side, side, 3, {127.0F, 127.0F, 127.0F}, {64.0F, 64.0F, 64.0F});
  builder.rename(builder.flatten(builder.global_average_pool(builder.relu(builder.conv(x, 24, {.bias = true})))), value);
  return *builder.finish({value}, {});
}

Backbone written_and_read(const graph::Graph& graph, const std::string& folder) {
  EXPECT_TRUE(make_directories(folder).ok());
  EXPECT_TRUE(write_backbone(graph,
                             {.file = "net.onnx",
                              .licence = "MIT",
                              .cuts = {{.name = "last", .at = "v7", .value = value, .width = 24}},
                              .reasons = {"because"}},
                             folder)
                  .ok());
  auto backbone = read_backbone(folder);
  EXPECT_TRUE(backbone.ok()) << backbone.error().message;
  return *std::move(backbone);
}

Tensor picture(std::uint64_t seed) {
  Tensor tensor(Dtype::u8, {1, side, side, 3});
  Random random(seed);
  for (auto& each : tensor.values<std::uint8_t>()) each = static_cast<std::uint8_t>(random.below(256));
  return tensor;
}
Digest name(std::uint64_t seed) { return sha256_of(std::to_string(seed)); }

std::vector<Digest> names(std::uint64_t begin, std::uint64_t end) {
  std::vector<Digest> all;
  for (std::uint64_t i = begin; i < end; ++i) all.push_back(name(i));
  return all;
}

TEST(Backbone, ComesBackAsItWasWritten) {
  TemporaryFolder folder;
  const graph::Graph graph = small_backbone();
  const Backbone backbone = written_and_read(graph, folder / "b");
  EXPECT_EQ(backbone.side, side);
  EXPECT_EQ(backbone.channels, 3);
  EXPECT_EQ(backbone.dimensions, 24);
  EXPECT_EQ(backbone.about.licence, "MIT");
  EXPECT_EQ(backbone.about.cuts.at(0).at, "v7");
  EXPECT_EQ(backbone.about.reasons, std::vector<std::string>{"because"});
  EXPECT_EQ(backbone.digest, graph::digest_of(graph));
  EXPECT_NE(backbone.digest, written_and_read(small_backbone(4), folder / "c").digest);
  // The weights lie where the offsets say.
  const auto file = MappedFile::open(backbone.weights_path);
  ASSERT_TRUE(file.ok());
  ASSERT_FALSE(backbone.offsets.empty());
  for (const auto& [key, offset] : backbone.offsets) {
    const Tensor& tensor = backbone.graph.initializers.at(key);
    const auto there = file->bytes().subspan(offset, tensor.byte_count());
    EXPECT_TRUE(std::equal(there.begin(), there.end(), tensor.bytes().begin())) << key;
  }
}

// Two cuts, 6 and 24 wide.
graph::Graph two_cuts() {
  graph::Builder builder(3);
  const std::string x = builder.image_input(side, side, 3, {127.0F, 127.0F, 127.0F}, {64.0F, 64.0F, 64.0F});
  const std::string early = builder.relu(builder.conv(x, 6, {.bias = true}));
  builder.rename(builder.flatten(builder.global_average_pool(early)), "features.early");
  builder.rename(builder.flatten(builder.global_average_pool(builder.relu(builder.conv(early, 24, {.bias = true})))), "features.last");
  builder.rename(builder.concat({"features.early", "features.last"}), value);
  return *builder.finish({value}, {});
}

TEST(Backbone, WithFewerOfItsCutsSaysTheSameOfThem) {
  TemporaryFolder folder;
  About about{.file = "net.onnx", .cuts = {{"early", "v3", "features.early", 6}, {"last", "v7", "features.last", 24}}};
  ASSERT_TRUE(write_backbone(two_cuts(), about, folder.path()).ok());
  const auto whole = read_backbone(folder.path());
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  EXPECT_EQ(whole->dimensions, 30);
  const auto last = with_cuts(*whole, {"last"}), early = with_cuts(*whole, {"early"}), both = with_cuts(*whole, {"last", "early"});
  ASSERT_TRUE(last.ok() && early.ok() && both.ok());
  EXPECT_EQ(both->digest, whole->digest);
  EXPECT_EQ(last->dimensions, 24);
  EXPECT_EQ(last->about.cuts.at(0).value, value);
  EXPECT_LT(early->graph.initializers.size(), last->graph.initializers.size());
  EXPECT_NE(last->digest, whole->digest);
  const auto answer = [&](const Backbone& backbone) { return *runtime::Session::create(backbone.graph)->run(picture(1)); };
  const Tensor all = answer(*whole), some = answer(*last);
  for (std::size_t i = 0; i < 24; ++i) EXPECT_NEAR(some.values<float>()[i], all.values<float>()[6 + i], 1e-6);
  // It is a backbone like any other.
  ASSERT_TRUE(make_directories(folder / "last").ok());
  ASSERT_TRUE(write_backbone(last->graph, last->about, folder / "last").ok());
  EXPECT_EQ(read_backbone(folder / "last")->digest, last->digest);

  EXPECT_THAT(with_cuts(*whole, {"erly"}).error().message,
              testing::AllOf(HasSubstr("did you mean \"early\"?"), HasSubstr("it has early, last")));
  about.cuts[0].width = 7;
  EXPECT_THAT(write_backbone(two_cuts(), about, folder.path()).error().message, HasSubstr("31 wide together"));
  about.cuts[0] = {"early", "v3", "features.erly", 6};
  EXPECT_THAT(write_backbone(two_cuts(), about, folder.path()).error().message, HasSubstr("no value \"features.erly\""));
}

TEST(Backbone, IsLookedThroughAtAnotherSideWhereItTakesAny) {
  TemporaryFolder folder;
  const Backbone backbone = written_and_read(small_backbone(), folder / "b");
  const auto larger = seen_at(backbone, 2 * side);
  ASSERT_TRUE(larger.ok()) << larger.error().message;
  EXPECT_EQ(larger->side, 2 * side);
  EXPECT_EQ(larger->dimensions, 24);
  EXPECT_NE(larger->digest, backbone.digest);
  EXPECT_THAT(larger->about.reasons.back(), HasSubstr("instead of"));
  ASSERT_TRUE(make_directories(folder / "larger").ok());
  ASSERT_TRUE(write_backbone(larger->graph, larger->about, folder / "larger").ok());
  EXPECT_EQ(read_backbone(folder / "larger")->side, 2 * side);
  EXPECT_EQ(seen_at(backbone, side)->digest, backbone.digest);
  // Features that are places are another number of them.
  graph::Builder builder(3);
  builder.rename(builder.flatten(builder.conv(builder.image_input(side, side, 3, {127, 127, 127}, {64, 64, 64}), 2, {})), value);
  const auto fixed = *builder.finish({value}, {});
  ASSERT_TRUE(make_directories(folder / "fixed").ok());
  ASSERT_TRUE(write_backbone(fixed, {.file = "net.onnx"}, folder / "fixed").ok());
  EXPECT_THAT(seen_at(*read_backbone(folder / "fixed"), 2 * side).error().message, HasSubstr("leave recipe.side out"));
}

TEST(Looks, SayWhatTheBackboneSaysAtEachSideAndShareItsWeights) {
  TemporaryFolder folder;
  const Backbone backbone = written_and_read(small_backbone(), folder / "b");
  const auto looks = looking_at(backbone, {side, 3 * side / 2, 3 * side});
  ASSERT_TRUE(looks.ok() && *looks) << (looks.ok() ? "none" : looks.error().message);
  const Backbone& three = **looks;
  EXPECT_EQ(three.side, 3 * side);
  EXPECT_EQ(three.dimensions, 3 * 24);
  ASSERT_EQ(three.about.cuts.size(), 3U);
  EXPECT_EQ(three.about.cuts[1].name, "last at 18");
  for (const auto& [name, weight] : backbone.graph.initializers) EXPECT_TRUE(three.graph.initializers.contains(name)) << name;

  // A picture whose squares of three pixels are even is the same at the smallest side.
  const Tensor small = picture(5);
  Tensor large(Dtype::u8, {1, 3 * side, 3 * side, 3});
  for (int y = 0; y < 3 * side; ++y)
    for (int x = 0; x < 3 * side; ++x)
      for (int c = 0; c < 3; ++c)
        large.values<std::uint8_t>()[static_cast<std::size_t>((y * 3 * side + x) * 3 + c)] =
            small.values<std::uint8_t>()[static_cast<std::size_t>(((y / 3) * side + x / 3) * 3 + c)];
  const Tensor all = *runtime::Session::create(three.graph)->run(large);
  const Tensor own = *runtime::Session::create(backbone.graph)->run(small);
  const Tensor at_largest = *runtime::Session::create(seen_at(backbone, 3 * side)->graph)->run(large);
  for (std::size_t i = 0; i < 24; ++i) {
    EXPECT_NEAR(all.values<float>()[i], std::sqrt(own.values<float>()[i]), 1e-4);
    EXPECT_NEAR(all.values<float>()[48 + i], std::sqrt(at_largest.values<float>()[i]), 1e-4);
  }
  // It is a backbone like any other, whose weights are the same file.
  ASSERT_TRUE(make_directories(folder / "looks").ok());
  ASSERT_TRUE(write_backbone(three.graph, three.about, folder / "looks").ok());
  const auto again = read_backbone(folder / "looks");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->digest, three.digest);
  EXPECT_EQ(*sha256_of_file(folder / "looks/backbone.data"), *sha256_of_file(folder / "b/backbone.data"));
}

TEST(Looks, KeepCutsApartAndTheSignOfNumbers) {
  TemporaryFolder folder;
  graph::Builder builder(3);
  const std::string x = builder.conv(builder.image_input(side, side, 3, {127.0F, 127.0F, 127.0F}, {64.0F, 64.0F, 64.0F}), 6, {});
  builder.rename(builder.flatten(builder.global_average_pool(x)), "early");
  builder.rename(builder.flatten(builder.global_average_pool(builder.conv(x, 8, {}))), "late");
  builder.rename(builder.concat({"early", "late"}), value);
  const Backbone backbone =
      made_of(*builder.finish({value}, {}), {.file = "net.onnx", .cuts = {{"early", "a", "early", 6}, {"last", "b", "late", 8}}});
  const auto looks = looking_at(backbone, {side, 2 * side});
  ASSERT_TRUE(looks.ok() && *looks) << (looks.ok() ? "none" : looks.error().message);
  ASSERT_EQ((*looks)->about.cuts.size(), 4U);
  EXPECT_EQ((*looks)->about.cuts[2].name, "early at 24");
  ASSERT_TRUE(write_backbone((*looks)->graph, (*looks)->about, folder.path()).ok());
  const Tensor plain = *runtime::Session::create(backbone.graph)->run(picture(5));
  const auto alone = looking_at(backbone, {side});
  ASSERT_TRUE(alone.ok() && *alone);
  const Tensor rooted = *runtime::Session::create((*alone)->graph)->run(picture(5));
  int negative = 0;
  for (std::size_t i = 0; i < 14; ++i) {
    const float number = plain.values<float>()[i];
    negative += number < 0 ? 1 : 0;
    EXPECT_NEAR(rooted.values<float>()[i], std::copysign(std::sqrt(std::abs(number)), number), 1e-5);
  }
  EXPECT_GT(negative, 0);
  // Features that are places are another number of them at another side.
  graph::Builder places(3);
  places.rename(places.flatten(places.conv(places.image_input(side, side, 3, {127, 127, 127}, {64, 64, 64}), 2, {})), value);
  EXPECT_FALSE(*looking_at(made_of(*places.finish({value}, {}), {.file = "net.onnx"}), {side, 2 * side}));
}

TEST(Backbone, RefusesWhatIsNone) {
  TemporaryFolder folder;
  graph::Graph graph = small_backbone();
  graph.outputs[0].name = "other";
  EXPECT_THAT(write_backbone(graph, {}, folder.path()).error().message, HasSubstr("other"));
  EXPECT_EQ(read_backbone(folder / "absent").error().kind, ErrorKind::not_found);
  ASSERT_TRUE(write_file(folder / graph_file, *graph::serialize_onnx(small_backbone())).ok());
  EXPECT_THAT(read_backbone(folder.path()).error().message, HasSubstr("does not say what it is"));
}

TEST(Features, AreThoseOfTheRuntimeAndComputedOnce) {
  TemporaryFolder folder;
  const graph::Graph graph = small_backbone();
  std::atomic<int> asked = 0;
  const auto prepare = [&](std::size_t i) -> Result<Tensor> {
    ++asked;
    return picture(i);
  };
  Tensor first;
  {
    const auto source = FeatureSource::open(written_and_read(graph, folder / "b"), folder / "cache", 2);
    ASSERT_TRUE(source.ok()) << source.error().message;
    Counts counts;
    auto features = (*source)->features(names(0, 37), prepare, nullptr, &counts);
    ASSERT_TRUE(features.ok()) << features.error().message;
    EXPECT_EQ(counts.computed, 37U);
    EXPECT_EQ(counts.reused, 0U);
    first = *features;
    // In the fixed batch of 16 the session gives these bits, whatever else is in the batch.
    auto session = runtime::Session::create(graph, {.threads = 2});
    for (std::uint64_t i = 0; i < 37; ++i) {
      Tensor batch(Dtype::u8, {16, side, side, 3});
      for (std::int64_t row = 0; row < 16; ++row) {
        const Tensor one = picture(i);
        std::copy(one.bytes().begin(), one.bytes().end(), batch.rows(row, row + 1).bytes().begin());
      }
      EXPECT_TRUE(session->run(batch)->rows(0, 1).same_as(first.rows(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1))) << i;
    }
  }
  asked = 0;
  const auto source = FeatureSource::open(written_and_read(graph, folder / "again"), folder / "cache", 2);
  Counts counts;
  auto features = (*source)->features(names(0, 40), prepare, nullptr, &counts);
  ASSERT_TRUE(features.ok());
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(counts.computed, 3U);
  EXPECT_EQ(counts.reused, 37U);
  EXPECT_TRUE(features->rows(0, 37).same_as(first));
}

TEST(Features, APictureThatIsWantedTwiceIsComputedOnce) {
  TemporaryFolder folder;
  const auto source = FeatureSource::open(written_and_read(small_backbone(), folder / "b"), folder / "cache", 1);
  std::vector<Digest> wanted = names(0, 3);
  wanted.push_back(name(1));
  std::atomic<int> asked = 0;
  auto features = (*source)->features(wanted, [&](std::size_t i) -> Result<Tensor> {
    ++asked;
    return picture(i);
  });
  ASSERT_TRUE(features.ok());
  EXPECT_EQ(asked, 3);
  EXPECT_TRUE(features->rows(3, 4).same_as(features->rows(1, 2)));
}

TEST(Features, AnErrorOfAPictureReachesTheCallerAndAnotherBackboneHasItsOwnCache) {
  TemporaryFolder folder;
  const auto source = FeatureSource::open(written_and_read(small_backbone(), folder / "b"), folder / "cache", 1);
  const auto fails = [](std::size_t i) -> Result<Tensor> {
    if (i == 2) return Error{ErrorKind::invalid_data, "picture 2 is broken"};
    return picture(i);
  };
  EXPECT_THAT((*source)->features(names(0, 5), fails).error().message, HasSubstr("picture 2 is broken"));
  EXPECT_THAT((*source)
                  ->features(names(0, 1),
                             [](std::size_t) -> Result<Tensor> {
                               return Tensor(Dtype::u8, {1, 3, 3, 3});
                             })
                  .error()
                  .message,
              HasSubstr("prepared as"));
  const auto fine = [](std::size_t i) -> Result<Tensor> { return picture(i); };
  ASSERT_TRUE((*source)->features(names(0, 5), fine).ok());
  const auto other = FeatureSource::open(written_and_read(small_backbone(9), folder / "c"), folder / "cache", 1);
  Counts counts;
  ASSERT_TRUE((*other)->features(names(0, 5), fine, nullptr, &counts).ok());
  EXPECT_EQ(counts.computed, 5U);
  auto none = (*other)->features({}, fine);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->dim(0), 0);
}

}  // namespace
}  // namespace sightline::features
