// bf16: close to f32 on nets, fused as in f32, without f32 in between; f32 where it is asked for and where the processor lacks bf16. That
// every operator works in it is tested with the operators (operator_cases_test.h).
#include "runtime/precision.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/random.h"
#include "graph/builder.h"
#include "runtime/reference_test.h"
#include "runtime/session.h"

namespace sightline::runtime {
namespace {

using graph::Builder;
using graph::Graph;
using testing::Contains;
using testing::Not;

Tensor noise(const Shape& shape) {
  Random random(5);
  Tensor tensor(Dtype::f32, shape);
  for (float& v : tensor.values<float>()) v = static_cast<float>(random.normal());
  return tensor;
}

// A stem, an inverted residual with a gate, a split and a shuffle, a pyramid that is joined, and a head: what mobile nets are made of.
Graph mobile_net() {
  Builder b(1);
  const std::string x = b.input("x", Dtype::f32, {-1, 3, 32, 32});
  const std::string stem = b.silu(b.conv(x, 16, {.stride = 2, .bias = true}));              // N×16×16×16
  std::string y = b.relu(b.conv(stem, 32, {.kernel = 1, .bias = true}));                    //
  y = b.silu(b.conv(y, 32, {.groups = 32, .bias = true}));                                  //
  const std::string gate = b.sigmoid(b.conv(b.global_average_pool(y), 32, {.kernel = 1}));  // N×32×1×1
  y = b.add(b.conv(b.mul(y, gate), 16, {.kernel = 1, .bias = true}), stem);                 //
  const std::string coarse = b.relu(b.conv(b.max_pool(y, 2, 2), 32, {.bias = true}));       // N×32×8×8
  y = b.concat({b.upsample_nearest(coarse, 2), y});                                         // N×48×16×16
  y = b.relu(b.conv(y, 32, {.kernel = 1, .bias = true}));
  return *b.finish({b.linear(b.flatten(b.global_average_pool(y)), 10)}, {});
}

Result<Tensor> answer(const Graph& graph, const Tensor& input, const Options& options) {
  SIGHTLINE_TRY(Session session, Session::create(graph, options));
  return session.run(input);
}

TEST(Precision, NetsAreCloseInBf16) {
  const Graph graph = mobile_net();
  for (std::int64_t batch : {1, 3}) {
    const Tensor input = noise({batch, 3, 32, 32});
    const auto exact = answer(graph, input, {.threads = 1}), rounded = answer(graph, input, {.threads = 1, .precision = Precision::bf16});
    ASSERT_TRUE(exact.ok() && rounded.ok());
    EXPECT_LE(relative_difference(*rounded, *exact), 3e-2);
  }
}

// The same steps as in f32: chains stay fused (a large Swish may be a pass of its own behind its convolution), and nothing is turned into
// f32 and back between them.
TEST(Precision, StepsInBf16AreThoseOfF32) {
  if (!processor_has_bf16()) GTEST_SKIP() << "this processor has no bf16";
  const Graph graph = mobile_net();
  const Tensor input = noise({1, 3, 32, 32});
  std::vector<std::string> exact, rounded;
  for (auto [precision, types] : {std::pair{Precision::f32, &exact}, {Precision::bf16, &rounded}}) {
    auto session = Session::create(graph, {.threads = 1, .precision = precision});
    ASSERT_TRUE(session.ok());
    EXPECT_EQ(session->precision(), precision);
    const auto steps = session->profile({&input, 1});
    std::size_t others = 0;
    for (const NodeTime& step : *steps) {
      if (step.op_type == "reorder" || step.op_type == "Concat") {
        ++others;
      } else if (step.op_type == "Sigmoid+Mul") {
        types->back() += "+Sigmoid+Mul";
      } else {
        types->push_back(step.op_type);
      }
    }
    EXPECT_LE(others, 4U) << "reorders, and in bf16 a Concat, which in f32 needs no step";
  }
  EXPECT_EQ(rounded, exact);
}

// The greatest of windows of any size, with padding, in the layout of the convolutions.
TEST(Precision, MaxPoolsOfBf16) {
  struct Pool {
    std::int64_t kernel = 3, stride = 2, pad = 0, ceil = 0;
  };
  for (const Pool& pool : {Pool{2, 2}, {3, 2}, {3, 2, 1}, {5, 1, 2}, {13, 1, 6}, {3, 2, 0, 1}, {4, 3, 1, 1}}) {
    Builder b(4);
    const std::string x = b.conv(b.input("x", Dtype::f32, {-1, 3, 17, 20}), 24, {.bias = true});
    const std::string y = b.node("MaxPool", {x},
                                 {{"kernel_shape", std::vector<std::int64_t>(2, pool.kernel)},
                                  {"strides", std::vector<std::int64_t>(2, pool.stride)},
                                  {"pads", std::vector<std::int64_t>(4, pool.pad)},
                                  {"ceil_mode", pool.ceil}});
    const Graph graph = *b.finish({b.conv(y, 8, {.kernel = 1, .bias = true})}, {});
    const Tensor input = noise({2, 3, 17, 20});
    const auto exact = answer(graph, input, {.threads = 1}), rounded = answer(graph, input, {.threads = 2, .precision = Precision::bf16});
    ASSERT_TRUE(exact.ok() && rounded.ok());
    EXPECT_LE(relative_difference(*rounded, *exact), 3e-2) << pool.kernel << " " << pool.stride << " " << pool.pad << " " << pool.ceil;
  }
}

// A unit of ShuffleNet: what is split, shuffled and joined where channels lie last is not made planes of.
TEST(Precision, ChannelShufflesMoveOnce) {
  Builder b(2);
  const std::string x = b.input("x", Dtype::f32, {-1, 3, 18, 18});
  const auto sizes = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    return b.constant(name, Tensor::of<std::int64_t>({static_cast<std::int64_t>(shape.size())}, shape));
  };
  std::string y = b.relu(b.conv(x, 24, {.bias = true}));
  for (int i = 0; i < 2; ++i) {
    const std::string to = std::to_string(i);
    const std::string groups = b.node("Reshape", {y, sizes("split" + to, {0, 2, 12, 18, 18})});
    const std::string swapped = b.node("Transpose", {groups}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3, 4}}});
    y = b.relu(b.conv(b.node("Reshape", {swapped, sizes("join" + to, {0, 24, 18, 18})}), 24, {.kernel = 1}));
  }
  const Graph graph = *b.finish({b.linear(b.flatten(b.global_average_pool(y)), 7)}, {});
  const Tensor input = noise({2, 3, 18, 18});
  const Tensor wanted = reference_run(graph, {&input, 1})[0];
  for (auto [precision, tolerance] : {std::pair{Precision::f32, 1e-4}, {Precision::bf16, 3e-2}}) {
    auto session = Session::create(graph, {.threads = 1, .precision = precision});
    ASSERT_TRUE(session.ok()) << session.error().message;
    const auto got = session->run(input);
    ASSERT_TRUE(got.ok());
    EXPECT_LE(relative_difference(*got, wanted), tolerance);
  }
}

// Sums are kept in f32, and a result that leaves the graph is not rounded: sums of many like numbers would stand still in bf16.
TEST(Precision, SumsAndOutputsAreF32) {
  Builder b(1);
  const std::string x = b.input("x", Dtype::f32, {-1, 4096});
  Graph graph = *b.finish({b.linear(x, 4)}, {});
  for (auto& [name, tensor] : graph.initializers)
    for (float& v : tensor.values<float>()) v = tensor.rank() == 2 ? 1.0F : 1.0F / 1024;
  const Tensor ones = Tensor::filled({1, 4096}, 1.0F);
  const auto got = answer(graph, ones, {.threads = 1, .precision = Precision::bf16});
  ASSERT_TRUE(got.ok());
  for (float v : got->values<float>()) EXPECT_EQ(v, 4096.0F + 1.0F / 1024);
}

TEST(Precision, NodesThatAreKeptInF32AreExact) {
  if (!processor_has_bf16()) GTEST_SKIP() << "this processor has no bf16";
  Graph graph = mobile_net();
  const Tensor input = noise({1, 3, 32, 32});
  const auto exact = answer(graph, input, {.threads = 1});
  std::set<std::string> all;
  for (const graph::Node& node : graph.nodes) all.insert(node.name);
  ASSERT_EQ(all.size(), graph.nodes.size());
  const auto kept = answer(graph, input, {.threads = 1, .precision = Precision::bf16, .keep_f32 = all});
  const auto rounded = answer(graph, input, {.threads = 1, .precision = Precision::bf16});
  ASSERT_TRUE(exact.ok() && kept.ok() && rounded.ok());
  EXPECT_LE(relative_difference(*kept, *exact), 1e-5);
  EXPECT_GE(relative_difference(*rounded, *exact), 1e-4);
  // One of them alone makes a difference, too.
  const auto one = answer(graph, input, {.threads = 1, .precision = Precision::bf16, .keep_f32 = {graph.nodes[0].name}});
  ASSERT_TRUE(one.ok());
  EXPECT_GE(relative_difference(*one, *rounded), 1e-6);
  EXPECT_LE(relative_difference(*one, *exact), 3e-2);
}

// On a processor without bf16 the session computes in f32 and says so. oneDNN is told what it may use before its first call, which takes a
// process of its own.
TEST(PrecisionDeathTest, WithoutBf16ItIsF32) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const char* isa : {"AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"}) {
    ASSERT_EQ(setenv("ONEDNN_MAX_CPU_ISA", isa, 1), 0);
    EXPECT_EXIT(
        {
          const Graph graph = mobile_net();
          const Tensor input = noise({2, 3, 32, 32});
          auto session = Session::create(graph, {.threads = 1, .precision = Precision::bf16});
          const auto exact = answer(graph, input, {.threads = 1});
          const auto got = session->run(input);
          const bool right =
              !processor_has_bf16() && session->precision() == Precision::f32 && got.ok() && exact.ok() && got->same_as(*exact);
          std::exit(right ? 0 : 1);
        },
        testing::ExitedWithCode(0), "")
        << isa;
  }
  unsetenv("ONEDNN_MAX_CPU_ISA");
}

}  // namespace
}  // namespace sightline::runtime
