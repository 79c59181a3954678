#include "factory/shipped.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "base/temporary_folder.h"
#include "demand/demand.h"
#include "features/backbone.h"
#include "modules/modules.h"
#include "weights/write.h"

namespace sightline::factory {
namespace {

// Weights of a small net that say what they are.
std::string weights_of(std::uint64_t seed, const std::string& name = "sight-s") {
  const auto graph = modules::build_classifier({.backbone = "resnet-xs",
                                                .height = 24,
                                                .width = 24,
                                                .channels = 3,
                                                .classes = 2,
                                                .mean = {1, 1, 1},
                                                .deviation = {2, 2, 2},
                                                .seed = seed});
  EXPECT_TRUE(graph.ok());
  const auto roles = graph::roles_of(*graph);
  std::vector<weights::NamedTensor> tensors;
  for (const auto& [tensor, value] : graph->initializers)
    if (roles.contains(tensor) && roles.at(tensor) != graph::Role::constant) tensors.push_back({tensor, value});
  return *weights::serialize_safetensors(tensors, {{shipped_keys::name, name},
                                                   {shipped_keys::net, "resnet-xs"},
                                                   {shipped_keys::side, "24"},
                                                   {shipped_keys::channels, "3"},
                                                   {shipped_keys::mean, "127.5"},
                                                   {shipped_keys::scale, "64"},
                                                   {"licence", "MIT"},
                                                   {"origin", "made for a test"}});
}

class Shipped : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("SIGHTLINE_BACKBONES", folder.path().c_str(), 1);
    auto opened = store::Workspace::open(folder / "workspace");
    ASSERT_TRUE(opened.ok());
    workspace = std::make_unique<store::Workspace>(std::move(*opened));
  }
  void TearDown() override { ::unsetenv("SIGHTLINE_BACKBONES"); }
  void ship(std::uint64_t seed) const { ASSERT_TRUE(write_file(folder / "sight-s.safetensors", weights_of(seed)).ok()); }
  Result<std::optional<store::Backbone>> find() { return find_workspace_backbone("sight-s", *workspace, 1); }

  TemporaryFolder folder;
  std::unique_ptr<store::Workspace> workspace;
};

TEST_F(Shipped, NothingIsThereWhereNothingIsShipped) {
  EXPECT_TRUE(shipped_backbones().empty());
  EXPECT_FALSE(find()->has_value());
  EXPECT_FALSE(default_backbone(*workspace)->has_value());
}

TEST_F(Shipped, IsImportedWhenItIsAskedForAndOnlyOnce) {
  ship(1);
  EXPECT_EQ(*default_backbone(*workspace), "sight-s");
  EXPECT_TRUE(workspace->registry().backbones()->empty());
  demand::Demand demand;
  demand.backbone = demand::Backbone{.name = "sight-s"};
  const auto resolved = with_backbone_file(demand, *workspace);
  ASSERT_TRUE(resolved.ok()) << resolved.error().message;
  EXPECT_TRUE(path_exists(*resolved->backbone->onnx));
  EXPECT_EQ(*resolved->backbone->licence, "MIT");
  const auto first = find();
  ASSERT_TRUE(first.ok() && first->has_value());
  EXPECT_EQ((*first)->figures["side"], 24);
  EXPECT_GT((*first)->figures["p50_ms"].get<double>(), 0);
  const auto second = find();
  EXPECT_EQ((*second)->created, (*first)->created);
}

TEST_F(Shipped, ANewerFileTakesItsPlace) {
  ship(1);
  const std::string before = (*find())->tree;
  ASSERT_TRUE(remove_all(folder / "sight-s.safetensors").ok());
  ship(2);
  EXPECT_NE((*find())->tree, before);
  // What was imported from it stays, when no file is shipped any more.
  ASSERT_TRUE(remove_all(folder / "sight-s.safetensors").ok());
  EXPECT_TRUE(find()->has_value());
  EXPECT_EQ(*default_backbone(*workspace), "sight-s");
}

TEST_F(Shipped, AnImportedOneOfTheSameNameWins) {
  ship(1);
  ASSERT_TRUE(write_file(folder / "mine", weights_of(9)).ok());
  auto mine = import_of_weights(folder / "mine");
  ASSERT_TRUE(mine.ok()) << mine.error().message;
  const auto imported = import_backbone(*mine, *workspace, 1);
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  EXPECT_EQ((*find())->tree, imported->tree);
}

TEST_F(Shipped, AFileThatSaysNothingIsRefusedInWords) {
  ASSERT_TRUE(write_file(folder / "bare.safetensors", *weights::serialize_safetensors({{"a", Tensor::filled({1}, 1)}}, {})).ok());
  const auto import = import_of_weights(folder / "bare.safetensors");
  ASSERT_FALSE(import.ok());
  EXPECT_EQ(import.error().kind, ErrorKind::invalid_data);
  EXPECT_NE(import.error().message.find("--net"), std::string::npos);
}

TEST(ShippedWeights, AreFoundFromTheBuildTreeAndKeepTheirBounds) {
  const auto list = shipped_backbones();
  ASSERT_FALSE(list.empty());
  for (const ShippedBackbone& shipped : list) {
    const auto import = import_of_weights(shipped.file);
    ASSERT_TRUE(import.ok()) << import.error().message;
    EXPECT_EQ(import->name, shipped.name);
  }
}

}  // namespace
}  // namespace sightline::factory
