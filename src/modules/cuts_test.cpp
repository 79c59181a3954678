#include "modules/cuts.h"

#include <gmock/gmock.h>

#include "graph/builder.h"

namespace sightline::modules {
namespace {

using graph::Builder;
using graph::Graph;
using testing::ElementsAre;
using testing::HasSubstr;

// 32×32 pictures → 8 channels at 32 → 12 at 16 → residual block of 16, halved on both ways to 24 at 8 → pool → head.
Graph net() {
  Builder b(1);
  std::string x = b.relu(b.conv(b.input("input", Dtype::f32, {-1, 3, 32, 32}), 8, {}));
  b.rename(x, "at32");
  x = b.relu(b.conv("at32", 16, {.stride = 2}));
  b.rename(x, "block_input");
  const std::string inner = b.relu(b.conv("block_input", 9, {.kernel = 1}));
  const std::string main = b.conv(inner, 24, {.stride = 2});
  const std::string aside = b.conv("block_input", 24, {.kernel = 1, .stride = 2, .padding = 0});
  b.rename(b.relu(b.add(main, aside)), "at8");
  b.rename(b.flatten(b.global_average_pool("at8")), "pooled");
  return *b.finish({b.softmax(b.linear("pooled", 5))}, {});
}

std::vector<std::string> values_of(const std::vector<CutLayer>& cuts) {
  std::vector<std::string> values;
  for (const CutLayer& cut : cuts) values.push_back(cut.layer.value);
  return values;
}
Result<std::vector<CutLayer>> found(const Graph& graph, const std::vector<std::string>& wanted, Neck neck = Neck::average) {
  return find_cuts(graph, *graph::infer_shapes(graph), "net.onnx", wanted, neck);
}
std::vector<std::string> values(const Graph& graph, const std::vector<std::string>& wanted, Neck neck = Neck::average) {
  const auto cuts = found(graph, wanted, neck);
  EXPECT_TRUE(cuts.ok()) << (cuts.ok() ? "" : cuts.error().message);
  return cuts.ok() ? values_of(*cuts) : std::vector<std::string>{};
}
std::string error_of(const Graph& graph, const std::vector<std::string>& wanted, Neck neck = Neck::average) {
  const auto cuts = found(graph, wanted, neck);
  return cuts.ok() ? "" : cuts.error().message;
}

TEST(Cuts, WordsStandForTheMapsThatAreHalvedAndTheFeatureLayer) {
  const Graph graph = net();
  EXPECT_THAT(values(graph, {"auto"}), ElementsAre("pooled"));
  EXPECT_THAT(values(graph, {"early", "middle", "last"}), ElementsAre("at32", "block_input", "pooled"));
  EXPECT_THAT(values(graph, {"all"}), ElementsAre("at32", "block_input", "pooled"));
  EXPECT_THAT(values(graph, {"last", "at8"}), ElementsAre("pooled", "at8"));
  EXPECT_EQ(found(graph, {"auto"})->at(0).name, "last");
}

TEST(Cuts, AllLeavesOutWhatIsNotThere) {
  Builder b(1);
  std::string x = b.relu(b.conv(b.input("input", Dtype::f32, {-1, 3, 16, 16}), 8, {}));
  b.rename(x, "at16");
  x = b.flatten(b.global_average_pool(b.relu(b.conv("at16", 12, {.stride = 2}))));
  const Graph graph = *b.finish({b.softmax(b.linear(x, 5))}, {});
  EXPECT_EQ(values(graph, {"all"}).size(), 2U);
  EXPECT_THAT(values(graph, {"middle"}), ElementsAre("at16"));
  EXPECT_THAT(error_of(graph, {"early"}), testing::AllOf(HasSubstr("no cut \"early\""), HasSubstr("only once")));
}

TEST(Cuts, ANeckWantsPlaces) {
  const Graph graph = net();
  EXPECT_THAT(values(graph, {"last"}, Neck::max), ElementsAre("at8"));
  EXPECT_THAT(values(graph, {"early", "last"}, Neck::generalised_mean), ElementsAre("at32", "at8"));
  Builder b(1);  // its map is not averaged, but flattened
  std::string x = b.flatten(b.relu(b.conv(b.input("input", Dtype::f32, {-1, 3, 8, 8}), 8, {.stride = 2})));
  const Graph flat = *b.finish({b.softmax(b.linear(x, 5))}, {});
  EXPECT_THAT(error_of(flat, {"last"}, Neck::max),
              testing::AllOf(HasSubstr("recipe.neck max"), HasSubstr("the cut \"last\""), HasSubstr("leave recipe.neck out")));
}

TEST(Cuts, WhatIsNamedTwiceOrNotThere) {
  const Graph graph = net();
  EXPECT_THAT(error_of(graph, {"last", "pooled"}), HasSubstr("are the same value"));
  EXPECT_THAT(error_of(graph, {"all", "last"}), HasSubstr("stands alone"));
  EXPECT_THAT(error_of(graph, {"erly"}), HasSubstr("no node makes a value \"erly\""));
  EXPECT_THAT(error_of(graph, {}), HasSubstr("no cut is named"));
}

}  // namespace
}  // namespace sightline::modules
