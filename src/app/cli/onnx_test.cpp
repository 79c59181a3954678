// `sightline onnx`: show, check, diff.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "app/cli/call_for_test.h"
#include "base/json.h"
#include "base/temporary_folder.h"
#include "graph/builder.h"

namespace sightline::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

graph::Graph small_net(std::uint64_t seed, std::int64_t middle = 4, bool relu = true) {
  graph::Builder builder(seed);
  std::string x = builder.conv(builder.input("image", Dtype::f32, {-1, 3, 8, 8}), 4, {});
  if (relu) x = builder.relu(x);
  x = builder.conv(x, middle, {});
  x = builder.linear(builder.flatten(builder.global_average_pool(x)), 2);
  builder.rename(x, "scores");
  auto graph = builder.finish({"scores"}, {});
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  return *graph;
}

class Onnx : public ::testing::Test {
 protected:
  std::string save(const std::string& name, const graph::Graph& graph) {
    const auto bytes = graph::serialize_onnx(graph);
    EXPECT_TRUE(bytes.ok()) << bytes.error().message;
    EXPECT_TRUE(write_file(folder_ / name, *bytes).ok());
    return folder_ / name;
  }
  // With a node of a domain that nobody here knows.
  std::string save_strange() {
    graph::Graph graph = small_net(1);
    graph.nodes[1].op_type = "Wobble";
    graph.nodes[1].domain = "com.example";
    return save("strange.onnx", graph);
  }
  TemporaryFolder folder_;
};

TEST_F(Onnx, ShowTellsOperatorsSignatureAndCost) {
  const std::string file = save("net.onnx", small_net(1));
  const Json shown = call({"onnx", "show", file, "--json"}).json();
  EXPECT_EQ(shown["inputs"][0]["shape"], (Json{-1, 3, 8, 8}));
  EXPECT_EQ(shown["outputs"][0]["name"], "scores");
  EXPECT_EQ(shown["outputs"][0]["shape"], (Json{-1, 2}));
  EXPECT_EQ(shown["operators"][0]["operator"], "Conv");
  EXPECT_EQ(shown["operators"][0]["count"], 2);
  EXPECT_EQ(shown["parameters"], 3 * 4 * 9 + 4 * 4 * 9 + 4 * 2 + 2);
  EXPECT_GT(shown["flops"], 2 * 64 * (3 * 4 * 9 + 4 * 4 * 9));
  EXPECT_THAT(shown["unsupported"], IsEmpty());
  const Outcome text = call({"onnx", "show", file});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, AllOf(HasSubstr("opset 17"), HasSubstr("image  f32 N×3×8×8"), HasSubstr("runs here")));
}

TEST_F(Onnx, ShowAndCheckNameWhatTheRuntimeDoesNotHave) {
  const std::string file = save_strange();
  const Outcome shown = call({"onnx", "show", file});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("com.example.Wobble"), HasSubstr("1 node cannot run here"), HasSubstr("not known")));
  const Outcome checked = call({"onnx", "check", file});
  EXPECT_EQ(checked.code, exit_code_of(ErrorKind::unsupported));
  EXPECT_THAT(checked.out, AllOf(HasSubstr(file), HasSubstr("node \"relu_1\" (com.example.Wobble, opset 17)")));
  const Outcome json = call({"onnx", "check", file, "--json"});
  EXPECT_EQ(json.code, checked.code);
  EXPECT_EQ(json.json()["runs"], false);
  EXPECT_THAT(json.json()["unsupported"], SizeIs(1));
}

TEST_F(Onnx, CheckSaysWhatRunsAndWhatIsNoNetwork) {
  EXPECT_EQ(call({"onnx", "check", save("net.onnx", small_net(1))}).code, 0);
  ASSERT_TRUE(write_file(folder_ / "text.onnx", "no network at all").ok());
  const Outcome broken = call({"onnx", "check", folder_ / "text.onnx"});
  EXPECT_EQ(broken.code, exit_code_of(ErrorKind::invalid_data));
  EXPECT_THAT(broken.err, HasSubstr("text.onnx"));
  EXPECT_EQ(call({"onnx", "check", folder_ / "gone.onnx"}).code, exit_code_of(ErrorKind::not_found));
}

TEST_F(Onnx, DiffOfTheSameFunctionUnderOtherNamesIsNone) {
  const std::string file = save("net.onnx", small_net(1));
  graph::Graph renamed = small_net(1);
  for (graph::Node& node : renamed.nodes) node.name += "_again";
  const Outcome outcome = call({"onnx", "diff", file, save("renamed.onnx", renamed)});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("compute the same"));
}

TEST_F(Onnx, DiffNamesWeightsWithTheirLargestDifference) {
  const graph::Graph left = small_net(1);
  graph::Graph right = left;
  Tensor& weight = right.initializers.at("conv_2.weight");
  weight = weight.copy();
  weight.values<float>()[5] += 0.5F;
  const std::vector<std::string> words{"onnx", "diff", save("left.onnx", left), save("right.onnx", right), "--json"};
  const Outcome outcome = call(words);
  EXPECT_EQ(outcome.code, 1);
  const Json difference = outcome.json();
  EXPECT_EQ(difference["same_structure"], true);
  ASSERT_THAT(difference["weights"], SizeIs(1));
  EXPECT_EQ(difference["weights"][0]["name"], "conv_2.weight");
  EXPECT_NEAR(difference["weights"][0]["difference"].get<double>(), 0.5, 1e-5);
}

TEST_F(Onnx, DiffFindsWhereStructuresPart) {
  const std::string file = save("net.onnx", small_net(1));
  const Json without = call({"onnx", "diff", file, save("without.onnx", small_net(1, 4, false)), "--json"}).json();
  EXPECT_EQ(without["same_structure"], false);
  ASSERT_THAT(without["only_left"], SizeIs(1));
  EXPECT_THAT(without["only_left"][0].get<std::string>(), HasSubstr("relu_1"));
  ASSERT_THAT(without["only_right"], SizeIs(1));
  EXPECT_THAT(without["only_right"][0].get<std::string>(), HasSubstr("conv_2"));
  const Outcome wider = call({"onnx", "diff", file, save("wider.onnx", small_net(1, 6))});
  EXPECT_EQ(wider.code, 1);
  EXPECT_THAT(wider.out, AllOf(HasSubstr("conv_2"), HasSubstr("another shape"), Not(HasSubstr("compute the same"))));
}

TEST_F(Onnx, WrongNumbersOfFilesAreUsageErrors) {
  const std::string file = save("net.onnx", small_net(1));
  EXPECT_EQ(call({"onnx", "diff", file}).code, 2);
  EXPECT_EQ(call({"onnx", "show", file, file}).code, 2);
  EXPECT_EQ(call({"onnx", "shwo", file}).code, 2);
  EXPECT_EQ(call({"onnx", "diff", file, file, "--most", "0"}).code, 2);
}

}  // namespace
}  // namespace sightline::cli
