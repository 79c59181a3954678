#include "modules/imported.h"

#include <gmock/gmock.h>

#include "graph/builder.h"

namespace sightline::modules {
namespace {

using graph::Builder;
using graph::Graph;
using testing::HasSubstr;

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string convolutions(Builder& builder, const std::string& x, bool norm = false) {
  std::string y = builder.conv(x, 8, {.stride = 2, .bias = true});
  if (norm) y = builder.batch_norm(y);
  return builder.relu(builder.conv(builder.relu(y), 12, {.bias = true}));
}

// f32 N×3×16×16 → convolutions → pool → Flatten → Gemm → Softmax.
Graph classifier(const Shape& input = {-1, 3, 16, 16}) {
  Builder builder(1);
  std::string x = convolutions(builder, builder.input("input", Dtype::f32, input));
  x = builder.flatten(builder.global_average_pool(x));
  builder.rename(x, "pooled");
  return *builder.finish({builder.softmax(builder.linear("pooled", 5))}, {});
}

Result<ImportedClassifier> imported(const Graph& graph, ImportOptions options = {}) {
  options.classes = 3;
  return import_classifier(graph, "net.onnx", options);
}
std::string error_of(const Graph& graph, const ImportOptions& options = {}) {
  const auto result = imported(graph, options);
  return result.ok() ? "" : result.error().message;
}

TEST(Imported, AClassifierIsCutBeforeItsLastLayerAndGetsOurHead) {
  const auto result = imported(classifier());
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->cuts.at(0).at, "pooled");
  EXPECT_EQ(result->features, 12);
  EXPECT_EQ(result->side, 16);
  EXPECT_EQ(result->channels, 3);
  EXPECT_FALSE(result->normalised);
  const Graph& graph = result->graph;
  ASSERT_EQ(graph.inputs.size(), 1U);
  EXPECT_EQ(graph.inputs[0].dtype, Dtype::u8);
  EXPECT_EQ(graph.inputs[0].shape, (Shape{-1, 16, 16, 3}));
  EXPECT_EQ(graph.outputs[0].name, "probabilities");
  EXPECT_EQ(graph.training_outputs, std::vector<std::string>{"logits"});
  const auto values = graph::infer_shapes(graph);
  ASSERT_TRUE(values.ok()) << values.error().message;
  EXPECT_EQ(values->at(features_value).shape, (Shape{-1, 12}));
  EXPECT_EQ(values->at("logits").shape, (Shape{-1, 3}));
  // What was trained stays, its own head is gone, and all of it can learn.
  const auto roles = graph::roles_of(graph);
  int weights = 0;
  for (const auto& [name, role] : roles) weights += role == graph::Role::weight ? 1 : 0;
  EXPECT_EQ(weights, 3);
  EXPECT_EQ(roles.at(head_weight), graph::Role::weight);
  EXPECT_TRUE(graph::serialize_onnx(graph).ok());
  EXPECT_THAT(joined(result->reasons), testing::AllOf(HasSubstr("last Gemm"), HasSubstr("assumption"), HasSubstr("folded")));
}

TEST(Imported, PointwiseConvolutionsAndMatMulsAreClassifiersToo) {
  Builder builder(1);
  std::string x = builder.global_average_pool(convolutions(builder, builder.input("input", Dtype::f32, {-1, 3, 16, 16}), true));
  builder.rename(x, "pooled");
  const Graph conv = *builder.finish({builder.softmax(builder.flatten(builder.conv("pooled", 9, {.kernel = 1, .bias = true})))}, {});
  auto result = imported(conv);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->cuts.at(0).at, "pooled");
  EXPECT_TRUE(result->normalised);

  Builder other(1);
  x = other.flatten(other.global_average_pool(convolutions(other, other.input("input", Dtype::f32, {-1, 3, 16, 16}))));
  other.rename(x, "pooled");
  x = other.node("MatMul", {"pooled", other.constant("w", Tensor::filled({12, 4}, 0.1F))});
  const Graph matmul = *other.finish({other.add(x, other.constant("b", Tensor::filled({4}, 0)))}, {});
  result = imported(matmul);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->cuts.at(0).at, "pooled");
}

TEST(Imported, ScoresThatAreAveragedAndGraphsThatEndInFeatures) {
  Builder builder(1);
  std::string x = convolutions(builder, builder.input("input", Dtype::f32, {-1, 3, 16, 16}));
  builder.rename(x, "map");
  x = builder.relu(builder.conv("map", 9, {.kernel = 1, .bias = true}));
  const Graph squeeze = *builder.finish({builder.softmax(builder.flatten(builder.global_average_pool(x)))}, {});
  auto result = imported(squeeze);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->cuts.at(0).at, "map");
  EXPECT_EQ(result->features, 12);
  EXPECT_EQ(graph::infer_shapes(result->graph)->at(features_value).shape, (Shape{-1, 12}));

  Builder other(1);
  x = other.global_average_pool(convolutions(other, other.input("input", Dtype::f32, {-1, 3, 16, 16})));
  const Graph features = *other.finish({x}, {});
  result = imported(features);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->features, 12);
  EXPECT_THAT(joined(result->reasons), HasSubstr("ends in a vector"));
}

TEST(Imported, AValueCanBeNamedAndAWrongNameGetsTheNearest) {
  Builder builder(1);
  std::string x = convolutions(builder, builder.input("input", Dtype::f32, {-1, 3, 16, 16}));
  builder.rename(x, "feature_map");
  const Graph graph = *builder.finish({builder.sigmoid(builder.conv("feature_map", 2, {}))}, {});
  EXPECT_THAT(error_of(graph), testing::AllOf(HasSubstr("no classifier"), HasSubstr("feature_map"), HasSubstr("net.onnx")));
  const auto result = imported(graph, {.cuts = {"feature_map"}});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->features, 12);
  EXPECT_THAT(error_of(graph, {.cuts = {"feature_maps"}}), HasSubstr("did you mean \"feature_map\""));

  // Two heads on different features: not for us to choose.
  Builder two(1);
  x = two.flatten(two.global_average_pool(convolutions(two, two.input("input", Dtype::f32, {-1, 3, 16, 16}))));
  const std::string hidden = two.relu(two.linear(x, 6));
  const Graph both = *two.finish({two.linear(x, 4), two.linear(hidden, 4)}, {});
  EXPECT_THAT(error_of(both), testing::AllOf(HasSubstr("2 classifiers"), HasSubstr("cut: NAME")));
}

TEST(Imported, NormalisationComesFromTheDemandTheMetadataOrTheGraph) {
  const auto constants = [](const Result<ImportedClassifier>& result) {
    const Graph& graph = result->graph;
    return std::pair{graph.initializers.at("image.mean").values<float>()[0], graph.initializers.at("image.deviation").values<float>()[0]};
  };
  Graph graph = classifier();
  EXPECT_EQ(constants(imported(graph, {.mean = {127.5F}, .deviation = {128}})), (std::pair{127.5F, 128.0F}));
  EXPECT_THAT(error_of(graph, {.mean = {1, 2}}), HasSubstr("one per channel"));
  graph.metadata["model_info mean_values"] = "[10, 20, 30]";
  graph.metadata["scale_values"] = "2 3 4";
  graph.metadata["reverse_input_channels"] = "True";
  const auto result = imported(graph);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(constants(result), (std::pair{10.0F, 2.0F}));
  EXPECT_THAT(joined(result->reasons), HasSubstr("blue comes first"));

  const auto inside = [](float taken, float factor) {
    Builder builder(1);
    std::string x = builder.input("input", Dtype::f32, {-1, 3, 16, 16});
    x = builder.node("Sub", {x, builder.constant("mean", Tensor::filled({1}, taken))});
    x = convolutions(builder, builder.node("Mul", {x, builder.constant("factor", Tensor::filled({1}, factor))}));
    return *builder.finish({builder.linear(builder.flatten(builder.global_average_pool(x)), 5)}, {});
  };
  EXPECT_EQ(constants(imported(inside(127.5F, 1 / 128.0F))), (std::pair{0.0F, 1.0F}));
  EXPECT_EQ(constants(imported(inside(0.5F, 2))), (std::pair{0.0F, 255.0F}));
}

TEST(Imported, OtherLayoutsBatchesOfOneAndFreeSides) {
  // Channels last, as TensorFlow exports.
  Builder builder(1);
  std::string x =
      builder.node("Transpose", {builder.input("input", Dtype::f32, {1, 16, 16, 3})}, {{"perm", std::vector<std::int64_t>{0, 3, 1, 2}}});
  x = builder.global_average_pool(convolutions(builder, x));
  x = builder.node("Reshape", {x, builder.constant("target", Tensor::of({2}, std::vector<std::int64_t>{1, 12}))});
  const Graph last = *builder.finish({builder.linear(x, 5)}, {});
  auto result = imported(last);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->features, 12);
  EXPECT_EQ(graph::infer_shapes(result->graph, 7)->at("logits").shape, (Shape{7, 3}));

  result = imported(classifier({-1, 3, -1, -1}), {.side = 40});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->side, 40);
  result = imported(classifier({-1, 3, -1, -1}));
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->side, 224);

  EXPECT_THAT(error_of(classifier({4, 3, 16, 16})), HasSubstr("batch is fixed"));
  EXPECT_THAT(error_of(classifier({-1, 3, 16, 18})), HasSubstr("square"));
  EXPECT_THAT(error_of(classifier({-1, 4, 16, 16})), HasSubstr("1 or 3 channels"));
}

TEST(Imported, NamesLikeOursAreMovedOutOfTheWay) {
  Builder builder(1);
  std::string x = convolutions(builder, builder.input("image", Dtype::f32, {-1, 3, 16, 16}));
  x = builder.flatten(builder.global_average_pool(x));
  builder.rename(x, "features");
  builder.rename(builder.linear("features", 5), "logits");
  Graph graph = *builder.finish({"logits"}, {});
  const auto result = imported(graph);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(graph::infer_shapes(result->graph)->at(features_value).shape, (Shape{-1, 12}));
}

// Files that others exported; skipped where they are not.
TEST(Imported, FilesOfTheSharedFolder) {
  struct Case {
    const char* file;
    std::int64_t features;
    int side;
  };
  int read = 0;
  for (const Case& each :
       {Case{"mobilenetv2_100_224_ptq", 1280, 224}, Case{"mobilenetv1_025_128_qat", 256, 128}, Case{"mobilenetv1_050_160_qat", 512, 160},
        Case{"mobilenetv1_100_224_features_qat", 1024, 224}, Case{"mobilefacenet_y1_112", 128, 112}}) {
    const auto source = graph::read_onnx(std::string("../shared/data/onnx/") + each.file + ".onnx");
    if (!source.ok()) continue;
    const auto result = imported(*source);
    ASSERT_TRUE(result.ok()) << each.file << ": " << result.error().message;
    EXPECT_EQ(result->features, each.features) << each.file;
    EXPECT_EQ(result->side, each.side) << each.file;
    ++read;
  }
  // A detector has no classifier of pictures; a feature map can be named.
  if (const auto detector = graph::read_onnx("../shared/data/onnx/fastestdet_coco_352.onnx"); detector.ok()) {
    EXPECT_THAT(error_of(*detector), HasSubstr("candidates"));
    ++read;
  }
  if (read == 0) GTEST_SKIP() << "../shared/data/onnx is not here";
}

}  // namespace
}  // namespace sightline::modules
