#include "weights/mapping.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/random.h"
#include "graph/builder.h"
#include "weights/files_for_test.h"

namespace sightline::weights {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Conv, norm, ReLU three times (16, 32, 32 channels), pooled, linear.
graph::Graph small_net(std::int64_t classes = 4) {
  graph::Builder builder(1);
  std::string x = builder.input("image", Dtype::f32, {-1, 3, 16, 16});
  for (const std::int64_t channels : {16, 32, 32}) x = builder.relu(builder.batch_norm(builder.conv(x, channels, {})));
  x = builder.linear(builder.flatten(builder.global_average_pool(x)), classes);
  return *builder.finish({x}, {});
}

// The same net as torchvision would name it, in the order of definition.
WeightFile exported(std::int64_t classes, Dtype dtype = Dtype::f32) {
  WeightFile file{.format = WeightFile::Format::zip};
  Random random(9);
  const auto add = [&](const std::string& name, const Shape& shape) {
    Tensor tensor(Dtype::f32, shape);
    for (float& value : tensor.values<float>()) value = static_cast<float>(random.uniform(0.5, 1.5));
    if (dtype == Dtype::bf16) {
      Tensor narrow(Dtype::bf16, shape);
      for (std::int64_t i = 0; i < tensor.count(); ++i) std::memcpy(narrow.data() + 2 * i, tensor.data() + 4 * i + 2, 2);
      tensor = narrow;
    }
    file.tensors.push_back({name, tensor});
  };
  const auto norm = [&](const std::string& name, std::int64_t channels) {
    for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"}) add(name + part, {channels});
    file.tensors.push_back({name + ".num_batches_tracked", Tensor::of({}, std::vector<std::int64_t>{5})});
  };
  add("conv1.weight", {16, 3, 3, 3});
  norm("bn1", 16);
  add("layer1.0.conv1.weight", {32, 16, 3, 3});
  norm("layer1.0.bn1", 32);
  add("layer1.1.conv1.weight", {32, 32, 3, 3});
  norm("layer1.1.bn1", 32);
  add("fc.weight", {classes, 32});
  add("fc.bias", {classes});
  return file;
}

const Tensor& theirs(const WeightFile& file, const std::string& name) {
  return std::find_if(file.tensors.begin(), file.tensors.end(), [&](const NamedTensor& each) { return each.name == name; })->tensor;
}

std::string ours_for(const Mapping& mapping, const std::string& name) {
  for (const Mapping::Pair& pair : mapping.matched)
    if (pair.theirs == name) return pair.ours;
  return "";
}

TEST(Mapping, NamesOfAnExporterAreMatchedByOrderAndShape) {
  graph::Graph graph = small_net();
  const WeightFile file = exported(4);
  const auto mapping = map_weights(file, "x.pth", graph);
  ASSERT_TRUE(mapping.ok()) << mapping.error().message;
  EXPECT_EQ(mapping->matched.size(), 17U);
  EXPECT_THAT(mapping->missing, IsEmpty());
  EXPECT_THAT(mapping->left_over, IsEmpty());
  EXPECT_THAT(mapping->ambiguous, IsEmpty());
  for (const Mapping::Pair& pair : mapping->matched)
    EXPECT_TRUE(graph.initializers.at(pair.ours).same_as(theirs(file, pair.theirs))) << pair.theirs;
  // The two norms of 32 channels stand in the order of the net.
  const auto maker = [&](const std::string& initializer) {
    for (std::size_t i = 0; i < graph.nodes.size(); ++i)
      for (const std::string& input : graph.nodes[i].inputs)
        if (input == initializer) return i;
    return graph.nodes.size();
  };
  EXPECT_LT(maker(ours_for(*mapping, "layer1.0.bn1.running_mean")), maker(ours_for(*mapping, "layer1.1.bn1.running_mean")));
  EXPECT_THAT(mapping->sentence(), HasSubstr("17 of 17"));
}

TEST(Mapping, AnotherHeadIsLeftOverAndOursStaysAsItWas) {
  graph::Graph graph = small_net(4);
  const graph::Graph before = graph;
  const auto mapping = map_weights(exported(1000), "x.pth", graph);
  ASSERT_TRUE(mapping.ok()) << mapping.error().message;
  EXPECT_EQ(mapping->matched.size(), 15U);
  EXPECT_EQ(mapping->missing.size(), 2U);
  EXPECT_EQ(mapping->left_over.size(), 2U);
  EXPECT_THAT(mapping->left_over[0], HasSubstr("fc.weight 1000×32"));
  EXPECT_THAT(mapping->lines(), testing::Contains("left over   fc.bias 1000"));
  const std::string head = graph.nodes.back().inputs[1];
  EXPECT_TRUE(graph.initializers.at(head).same_as(before.initializers.at(head)));
}

TEST(Mapping, OurOwnNamesComeFirstAndOtherShapesAreNamed) {
  graph::Graph source = small_net(4);
  WeightFile file{.format = WeightFile::Format::safetensors};
  for (const auto& [name, role] : graph::roles_of(source))
    if (role != graph::Role::constant) file.tensors.push_back({name, source.initializers.at(name)});
  graph::Graph graph = small_net(7);
  const auto mapping = map_weights(file, "x", graph);
  ASSERT_TRUE(mapping.ok()) << mapping.error().message;
  EXPECT_EQ(mapping->matched.size(), 15U);
  EXPECT_TRUE(mapping->matched[0].by_name);
  EXPECT_EQ(mapping->mismatched.size(), 2U);
  EXPECT_THAT(mapping->sentence(), HasSubstr("2 of another shape"));
}

TEST(Mapping, WhatCannotBeToldIsNotGuessed) {
  // One more convolution of a shape that the net has once.
  WeightFile file = exported(4);
  file.tensors.push_back({"extra.weight", Tensor::filled({32, 32, 3, 3}, 1)});
  graph::Graph graph = small_net();
  auto mapping = map_weights(file, "x", graph);
  ASSERT_TRUE(mapping.ok()) << mapping.error().message;
  EXPECT_EQ(ours_for(*mapping, "layer1.1.conv1.weight"), "");
  EXPECT_EQ(mapping->ambiguous.size(), 1U);
  EXPECT_THAT(mapping->ambiguous[0], HasSubstr("1 here and 2 in the file"));

  // Sorted by name, the numbers still tell the order; other names do not.
  file = exported(4);
  file.format = WeightFile::Format::safetensors;
  const auto sort = [&] {
    std::sort(file.tensors.begin(), file.tensors.end(), [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  };
  sort();
  graph = small_net();
  mapping = map_weights(file, "x", graph);
  ASSERT_TRUE(mapping.ok()) << mapping.error().message;
  EXPECT_EQ(mapping->matched.size(), 17U);
  for (NamedTensor& each : file.tensors)
    if (each.name.starts_with("layer1.1.bn1")) each.name.replace(0, 12, "neck");
  sort();
  graph = small_net();
  mapping = map_weights(file, "x", graph);
  ASSERT_TRUE(mapping.ok()) << mapping.error().message;
  EXPECT_EQ(ours_for(*mapping, "neck.running_mean"), "");
  EXPECT_THAT(mapping->ambiguous, testing::SizeIs(1));
}

TEST(Mapping, HalfNumbersBecomeF32) {
  graph::Graph graph = small_net();
  const auto mapping = map_weights(exported(4, Dtype::bf16), "x", graph);
  ASSERT_TRUE(mapping.ok()) << mapping.error().message;
  for (const auto& [name, tensor] : graph.initializers) EXPECT_NE(tensor.dtype(), Dtype::bf16) << name;

  Tensor half(Dtype::f16, {6});
  const std::uint16_t bits[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000};
  std::memcpy(half.data(), bits, sizeof(bits));
  const auto wide = to_f32(half);
  ASSERT_TRUE(wide.ok());
  EXPECT_THAT(std::vector<float>(wide->values<float>().begin(), wide->values<float>().end()),
              testing::ElementsAre(1.0F, -2.0F, 0x1p-24F, 65504.0F, std::numeric_limits<float>::infinity(), -0.0F));
  EXPECT_FALSE(to_f32(Tensor::of({1}, std::vector<std::int64_t>{1})).ok());
}

TEST(Mapping, NothingThatFitsAndNumbersThatAreNoneAreErrors) {
  graph::Graph graph = small_net();
  WeightFile file{.format = WeightFile::Format::zip};
  file.tensors = {{"a.weight", Tensor::filled({5, 5}, 1)}};
  EXPECT_THAT(map_weights(file, "x.pth", graph).error().message, HasSubstr("none of its 1 tensor fits"));
  file = exported(4);
  file.tensors[0].tensor.values<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  const graph::Graph before = graph;
  EXPECT_THAT(map_weights(file, "x.pth", graph).error().message, HasSubstr("conv1.weight"));
  EXPECT_EQ(graph::digest_of(graph), graph::digest_of(before));
}

}  // namespace
}  // namespace sightline::weights
