// QDQ graphs: layers of integers against plain sums of integers, exact to one step of the result's scale; nets against the same graphs
// with every operator in f32 between QuantizeLinear and DequantizeLinear; and that each layer with its followers is one step.
#include "runtime/integers.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "graph/builder.h"
#include "graph/integer_layers_for_test.h"
#include "runtime/operator_cases_test.h"
#include "runtime/quantizer.h"

namespace sightline::runtime {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::Not;

struct Kind {
  float scale = 1;
  int zero = 0;
  Dtype dtype = Dtype::u8;
};

// A QDQ graph, node by node.
struct Qdq {
  Graph graph;
  int count = 0;

  std::string constant(const Tensor& tensor) {
    std::string name = fmt::format("c{}", count++);
    graph.initializers[name] = tensor;
    return name;
  }
  static Tensor zero_of(const Kind& kind) {
    return kind.dtype == Dtype::u8 ? Tensor::of<std::uint8_t>({}, {static_cast<std::uint8_t>(kind.zero)})
                                   : Tensor::of<std::int8_t>({}, {static_cast<std::int8_t>(kind.zero)});
  }
  std::string add(const std::string& op, const std::vector<std::string>& inputs, Attributes attributes = {}) {
    std::string name = fmt::format("v{}", count++);
    graph.nodes.push_back({"node_" + name, op, inputs, {name}, std::move(attributes), ""});
    return name;
  }
  std::string quantize(const std::string& x, const Kind& kind) {
    return add("QuantizeLinear", {x, constant(Tensor::of<float>({}, {kind.scale})), constant(zero_of(kind))});
  }
  std::string dequantize(const std::string& q, const Kind& kind) {
    return add("DequantizeLinear", {q, constant(Tensor::of<float>({}, {kind.scale})), constant(zero_of(kind))});
  }
  std::string input(const Shape& shape, const Kind& kind) {
    std::string name = fmt::format("x{}", graph.inputs.size());
    graph.inputs.push_back({name, kind.dtype, shape});
    return dequantize(name, kind);
  }
  std::string weights(const Tensor& values, const std::vector<float>& scales, std::int64_t axis, int zero = 0) {
    const auto many = static_cast<std::int64_t>(scales.size());
    const Shape shape = many == 1 ? Shape{} : Shape{many};
    Tensor zeros = Tensor::zeros(values.dtype(), shape);
    for (std::byte& b : zeros.bytes()) b = static_cast<std::byte>(zero);
    return add("DequantizeLinear", {constant(values), constant(Tensor::of<float>(shape, scales)), constant(zeros)}, {{"axis", axis}});
  }
  void finish(const std::string& output) {
    const auto values = graph::infer_shapes(graph);
    ASSERT_TRUE(values.ok()) << values.error().message;
    graph.outputs = {values->at(output)};
  }
};

Tensor random_integers(Random& random, Dtype dtype, const Shape& shape, int low, int high) {
  Tensor tensor(dtype, shape);
  for (std::byte& b : tensor.bytes())
    b = static_cast<std::byte>(low + static_cast<int>(random.below(static_cast<std::uint64_t>(high - low + 1))));
  return tensor;
}

double integer(const Tensor& tensor, std::size_t i) {
  return tensor.dtype() == Dtype::u8 ? static_cast<double>(tensor.values<std::uint8_t>()[i])
                                     : static_cast<double>(tensor.values<std::int8_t>()[i]);
}

// The graph with each node on its own and in f32, whatever the session would make of it.
std::vector<Tensor> in_real_numbers(const Graph& graph, std::span<const Tensor> inputs) {
  Options options{.threads = 1};
  for (const graph::Node& node : graph.nodes) options.keep_f32.insert(node.name);
  auto session = Session::create(graph, options);
  EXPECT_TRUE(session.ok()) << session.error().message;
  auto results = session->run(inputs);
  EXPECT_TRUE(results.ok()) << results.error().message;
  return *results;
}

// The output's integers are those of the graph in real numbers, to one step, nearly all of them to none; gives the steps' operators.
std::vector<std::string> verify(const Graph& graph, std::span<const Tensor> inputs, const std::string& what, double most_steps = 1) {
  SCOPED_TRACE(what);
  std::vector<std::string> types;
  auto session = Session::create(graph, {.threads = 2});
  EXPECT_TRUE(session.ok()) << session.error().message;
  if (!session.ok()) return types;
  const auto got = session->run(inputs);
  EXPECT_TRUE(got.ok()) << got.error().message;
  if (!got.ok()) return types;
  const Tensor wanted = in_real_numbers(graph, inputs)[0];
  double worst = 0, different = 0;
  double least = 255, most = -128;
  const auto count = static_cast<std::size_t>(wanted.count());
  for (std::size_t i = 0; i < count; ++i) {
    const double difference = std::abs(integer((*got)[0], i) - integer(wanted, i));
    worst = std::max(worst, difference);
    different += difference > 0 ? 1 : 0;
    least = std::min(least, integer(wanted, i));
    most = std::max(most, integer(wanted, i));
  }
  EXPECT_LE(worst, most_steps);
  EXPECT_LE(different, 0.07 * static_cast<double>(count) + 1);  // sums and means of few integers are often halves of a step
  EXPECT_GE(most - least, 30) << "a test of next to nothing";
  const auto steps = session->profile(inputs);
  for (const NodeTime& step : *steps) types.push_back(step.op_type);
  return types;
}

struct Layer {
  std::string what;
  Shape x, w;
  Attributes attributes;
  Kind source{0.02F, 0, Dtype::u8}, result{0.2F, 0, Dtype::i8};
  bool per_channel = true, bias = true, unsigned_weights = false;
  std::string op = "Conv";
};

// Sums of integers in 64 bits, N×C×H×W, square windows.
std::vector<double> plain_convolution(const Layer& layer, const Tensor& x, const Tensor& w, int weight_zero, const Shape& result) {
  const auto one = [&](const char* key, std::size_t i, std::int64_t otherwise) {
    return layer.attributes.contains(key) ? std::get<Ints>(layer.attributes.at(key))[i] : otherwise;
  };
  const std::int64_t groups = layer.attributes.contains("group") ? std::get<std::int64_t>(layer.attributes.at("group")) : 1;
  const std::int64_t inputs = layer.w[1], outputs = layer.w[0] / groups;
  std::vector<double> sums;
  for (std::int64_t n = 0; n < result[0]; ++n)
    for (std::int64_t o = 0; o < result[1]; ++o)
      for (std::int64_t y = 0; y < result[2]; ++y)
        for (std::int64_t z = 0; z < result[3]; ++z) {
          std::int64_t sum = 0;
          for (std::int64_t i = 0; i < inputs; ++i)
            for (std::int64_t u = 0; u < layer.w[2]; ++u)
              for (std::int64_t v = 0; v < layer.w[3]; ++v) {
                const std::int64_t row = y * one("strides", 0, 1) + u * one("dilations", 0, 1) - one("pads", 0, 0);
                const std::int64_t column = z * one("strides", 1, 1) + v * one("dilations", 1, 1) - one("pads", 1, 0);
                if (row < 0 || column < 0 || row >= layer.x[2] || column >= layer.x[3]) continue;
                const std::int64_t channel = o / outputs * inputs + i;
                const auto a = static_cast<std::size_t>(((n * layer.x[1] + channel) * layer.x[2] + row) * layer.x[3] + column);
                const auto b = static_cast<std::size_t>(((o * inputs + i) * layer.w[2] + u) * layer.w[3] + v);
                sum += static_cast<std::int64_t>((integer(x, a) - layer.source.zero) * (integer(w, b) - weight_zero));
              }
          sums.push_back(static_cast<double>(sum));
        }
  return sums;
}

TEST(Integers, ConvolutionsAreSumsOfIntegers) {
  const Ints pads{1, 1, 1, 1}, two{2, 2};
  const Kind bytes{0.02F, 0, Dtype::u8}, offset{0.02F, 117, Dtype::u8}, negative{0.02F, 0, Dtype::i8}, shifted{0.02F, -9, Dtype::i8};
  const Kind u8{0.15F, 0, Dtype::u8}, u8_offset{0.2F, 131, Dtype::u8}, s8{0.2F, 0, Dtype::i8}, s8_offset{0.2F, 5, Dtype::i8};
  const std::vector<Layer> layers{
      {"plain", {2, 16, 9, 9}, {32, 16, 3, 3}, {{"pads", pads}}, bytes, s8},
      {"negative input", {2, 16, 9, 9}, {32, 16, 3, 3}, {{"pads", pads}}, negative, s8},
      {"zero points", {1, 16, 9, 9}, {32, 16, 3, 3}, {{"pads", pads}}, offset, u8_offset},
      {"zero points of s8", {1, 16, 9, 9}, {32, 16, 3, 3}, {{"pads", pads}}, shifted, s8_offset},
      {"one scale", {1, 16, 9, 9}, {32, 16, 3, 3}, {{"pads", pads}}, bytes, u8, false},
      {"weights of u8", {1, 16, 9, 9}, {32, 16, 3, 3}, {{"pads", pads}}, offset, u8_offset, false, true, true},
      {"no bias", {1, 16, 9, 9}, {32, 16, 3, 3}, {}, bytes, s8, true, false},
      {"1x1", {2, 24, 6, 6}, {40, 24, 1, 1}, {}, bytes, s8},
      {"1x1 with a zero point", {2, 24, 6, 6}, {40, 24, 1, 1}, {}, offset, s8, true, false},
      {"first", {1, 3, 20, 20}, {24, 3, 3, 3}, {{"pads", pads}, {"strides", two}}, negative, s8},
      {"odd channels", {1, 5, 8, 7}, {7, 5, 3, 3}, {{"pads", pads}}, bytes, s8},
      {"dilated", {1, 16, 12, 12}, {16, 16, 3, 3}, {{"pads", Ints{2, 2, 2, 2}}, {"dilations", two}}, bytes, s8},
      {"grouped", {1, 32, 7, 7}, {64, 16, 3, 3}, {{"pads", pads}, {"group", std::int64_t{2}}}, bytes, s8},
      {"depthwise", {2, 24, 11, 11}, {24, 1, 3, 3}, {{"pads", pads}, {"group", std::int64_t{24}}}, bytes, {0.05F, 0, Dtype::i8}},
      {"depthwise with a zero point",
       {1, 24, 11, 11},
       {24, 1, 3, 3},
       {{"pads", pads}, {"group", std::int64_t{24}}},
       offset,
       {0.05F, 3, Dtype::i8}},
  };
  Random random(1);
  for (const Layer& layer : layers) {
    SCOPED_TRACE(layer.what);
    Qdq q;
    const std::string x = q.input(layer.x, layer.source);
    const Tensor w = layer.unsigned_weights ? random_integers(random, Dtype::u8, layer.w, 60, 190)
                                            : random_integers(random, Dtype::i8, layer.w, -127, 127);
    const int weight_zero = layer.unsigned_weights ? 125 : 0;
    std::vector<float> scales;
    for (std::int64_t c = 0; c < (layer.per_channel ? layer.w[0] : 1); ++c)
      scales.push_back(static_cast<float>(random.uniform(0.001, 0.004)));
    std::vector<std::string> inputs{x, q.weights(w, scales, 0, weight_zero)};
    std::vector<float> biases(static_cast<std::size_t>(layer.w[0]), 0.0F);
    if (layer.bias) {
      for (float& b : biases) b = static_cast<float>(random.uniform(-2, 2));
      inputs.push_back(q.constant(Tensor::of<float>({layer.w[0]}, biases)));
    }
    q.finish(q.quantize(q.add(layer.op, inputs, layer.attributes), layer.result));
    const Tensor input = layer.source.dtype == Dtype::u8 ? random_integers(random, Dtype::u8, layer.x, 0, 255)
                                                         : random_integers(random, Dtype::i8, layer.x, -128, 127);
    const auto steps = verify(q.graph, {&input, 1}, "against real numbers");
    if (processor_has_int8()) {
      EXPECT_THAT(steps, Contains("Conv+QuantizeLinear"));
      EXPECT_THAT(steps, Each(Not(HasSubstr("Dequantize"))));
    }
    auto session = Session::create(q.graph, {.threads = 1});
    const auto got = session->run(input);
    ASSERT_TRUE(got.ok());
    const auto sums = plain_convolution(layer, input, w, weight_zero, got->shape());
    const auto [low, high] = layer.result.dtype == Dtype::u8 ? std::pair(0.0, 255.0) : std::pair(-128.0, 127.0);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const std::size_t channel = i / static_cast<std::size_t>(got->dim(2) * got->dim(3)) % static_cast<std::size_t>(layer.w[0]);
      const double real = sums[i] * static_cast<double>(layer.source.scale) * static_cast<double>(scales[layer.per_channel ? channel : 0]) +
                          static_cast<double>(biases[channel]);
      const double wanted = std::clamp(std::nearbyint(real / static_cast<double>(layer.result.scale)) + layer.result.zero, low, high);
      ASSERT_LE(std::abs(integer(*got, i) - wanted), 1) << i;
    }
  }
}

// What follows a convolution is in its step: functions, gates, numbers per channel, residual sums of integers with scales of their own.
TEST(Integers, FollowersAreFused) {
  Random random(2);
  const Shape shape{2, 32, 6, 6};
  const Kind source{0.02F, 0, Dtype::u8};
  const auto each = [&](const std::string& what, const Kind& result, const std::string& fused, auto build) {
    Qdq q;
    const std::string x = q.input({2, 16, 6, 6}, source), residual = q.input(shape, {0.03F, 0, Dtype::u8});
    const std::string signed_residual = q.input(shape, {0.03F, -7, Dtype::i8});
    std::vector<float> scales(32, 0.002F);
    const std::string y = q.add(
        "Conv",
        {x, q.weights(random_integers(random, Dtype::i8, {32, 16, 3, 3}, -127, 127), scales, 0), q.constant(random_tensor(random, {32}))},
        {{"pads", Ints{1, 1, 1, 1}}});
    q.finish(q.quantize(build(q, y, residual, signed_residual), result));
    const std::vector<Tensor> inputs{random_integers(random, Dtype::u8, {2, 16, 6, 6}, 0, 255),
                                     random_integers(random, Dtype::u8, shape, 0, 255),
                                     random_integers(random, Dtype::i8, shape, -128, 127)};
    const auto steps = verify(q.graph, inputs, what);
    if (processor_has_int8()) {
      EXPECT_THAT(steps, Contains(fused)) << what;
    }
  };
  const Kind u8{0.1F, 0, Dtype::u8}, s8{0.1F, 0, Dtype::i8}, offset{0.1F, 30, Dtype::u8}, small{1.0F / 255, 0, Dtype::u8};
  using Name = const std::string&;
  each("Relu", u8, "Conv+Relu+QuantizeLinear", [](Qdq& q, Name y, Name, Name) { return q.add("Relu", {y}); });
  each("Relu, zero point", offset, "Conv+Relu+QuantizeLinear", [](Qdq& q, Name y, Name, Name) { return q.add("Relu", {y}); });
  each("Clip", {6.0F / 255, 0, Dtype::u8}, "Conv+Clip+QuantizeLinear", [](Qdq& q, Name y, Name, Name) {
    return q.add("Clip", {y, q.constant(Tensor::of<float>({}, {0})), q.constant(Tensor::of<float>({}, {6}))});
  });
  each("LeakyRelu", s8, "Conv+LeakyRelu+QuantizeLinear", [](Qdq& q, Name y, Name, Name) {
    return q.add("LeakyRelu", {y}, {{"alpha", 0.2F}});
  });
  each("Sigmoid", small, "Conv+Sigmoid+QuantizeLinear", [](Qdq& q, Name y, Name, Name) { return q.add("Sigmoid", {y}); });
  each("HardSigmoid", small, "Conv+HardSigmoid+QuantizeLinear", [](Qdq& q, Name y, Name, Name) { return q.add("HardSigmoid", {y}); });
  each("HardSwish", s8, "Conv+HardSwish+QuantizeLinear", [](Qdq& q, Name y, Name, Name) { return q.add("HardSwish", {y}); });
  each("Swish", s8, "Conv+Sigmoid+Mul+QuantizeLinear", [](Qdq& q, Name y, Name, Name) { return q.add("Mul", {y, q.add("Sigmoid", {y})}); });
  each("sum", s8, "Conv+Add+QuantizeLinear", [](Qdq& q, Name y, Name r, Name) { return q.add("Add", {y, r}); });
  each("sum, Relu", u8, "Conv+Add+Relu+QuantizeLinear", [](Qdq& q, Name y, Name r, Name) { return q.add("Relu", {q.add("Add", {r, y})}); });
  each("sum with a zero point", offset, "Conv+Add+QuantizeLinear", [](Qdq& q, Name y, Name, Name s) { return q.add("Add", {y, s}); });
  each("two sums", offset, "Conv+Add+Add+QuantizeLinear", [](Qdq& q, Name y, Name r, Name s) {
    return q.add("Add", {q.add("Add", {y, r}), s});
  });
  each("Swish, sum", s8, "Conv+Sigmoid+Mul+Add+QuantizeLinear", [](Qdq& q, Name y, Name r, Name) {
    return q.add("Add", {q.add("Mul", {y, q.add("Sigmoid", {y})}), r});
  });
  each("numbers per channel", s8, "Conv+Mul+Add+QuantizeLinear", [&](Qdq& q, Name y, Name, Name) {
    return q.add("Add", {q.add("Mul", {y, q.constant(random_tensor(random, {32, 1, 1}))}), q.constant(random_tensor(random, {32, 1, 1}))});
  });
  each("PRelu", s8, "PRelu+QuantizeLinear", [&](Qdq& q, Name y, Name, Name) {
    return q.add("PRelu", {y, q.constant(random_tensor(random, {32, 1, 1}))});
  });
}

// Ends of layers that are a pass of their own: PRelu, which oneDNN cannot fuse with integers, and a Swish of many elements.
TEST(Integers, FollowersAreOnePass) {
  Random random(12);
  const Kind source{0.02F, 0, Dtype::u8};
  const std::vector<Kind> results{{0.1F, 0, Dtype::u8}, {0.1F, 0, Dtype::i8}, {0.1F, 30, Dtype::u8}, {0.1F, -20, Dtype::i8}};
  for (const std::int64_t channels : {32, 37}) {
    const Shape shape{2, channels, 9, 11};
    const auto each = [&](const std::string& what, const Kind& result, const std::string& pass, auto build) {
      Qdq q;
      const std::string x = q.input({2, 16, 9, 11}, source), residual = q.input(shape, {0.03F, 0, Dtype::u8});
      const std::string signed_residual = q.input(shape, {0.03F, -7, Dtype::i8});
      const std::vector<float> scales(static_cast<std::size_t>(channels), 0.002F);
      const std::string y = q.add("Conv",
                                  {x, q.weights(random_integers(random, Dtype::i8, {channels, 16, 3, 3}, -127, 127), scales, 0),
                                   q.constant(random_tensor(random, {channels}))},
                                  {{"pads", Ints{1, 1, 1, 1}}});
      q.finish(q.quantize(build(q, y, residual, signed_residual), result));
      const std::vector<Tensor> inputs{random_integers(random, Dtype::u8, {2, 16, 9, 11}, 0, 255),
                                       random_integers(random, Dtype::u8, shape, 0, 255),
                                       random_integers(random, Dtype::i8, shape, -128, 127)};
      const auto steps = verify(q.graph, inputs, fmt::format("{} of {} channels", what, channels));
      if (processor_has_int8()) {
        EXPECT_THAT(steps, testing::AllOf(Contains("Conv"), Contains(pass))) << what;
      }
    };
    using Name = const std::string&;
    for (const Kind& result : results) {
      each("PRelu", result, "PRelu+QuantizeLinear", [&](Qdq& q, Name y, Name, Name) {
        return q.add("PRelu", {y, q.constant(random_tensor(random, {channels, 1, 1}))});
      });
      each("PRelu with one slope, sum", result, "PRelu+Add+QuantizeLinear", [&](Qdq& q, Name y, Name r, Name) {
        return q.add("Add", {r, q.add("PRelu", {y, q.constant(random_tensor(random, {1}))})});
      });
      each("Swish", result, "Sigmoid+Mul+QuantizeLinear", [](Qdq& q, Name y, Name, Name) {
        return q.add("Mul", {y, q.add("Sigmoid", {y})});
      });
      each("Swish, sum", result, "Sigmoid+Mul+Add+QuantizeLinear", [](Qdq& q, Name y, Name, Name s) {
        return q.add("Add", {q.add("Mul", {y, q.add("Sigmoid", {y})}), s});
      });
    }
  }
}

// A residual that nobody reads again is where the sum is made; one that is read again stays.
TEST(Integers, ResidualsAreAccumulatedWhereTheyLie) {
  Random random(3);
  for (bool read_again : {false, true}) {
    Qdq q;
    const Kind kind{0.05F, 0, Dtype::i8}, other{0.07F, 3, Dtype::i8};
    const std::string x = q.input({1, 16, 8, 8}, kind);
    const auto layer = [&](const std::string& from) {
      return q.add("Conv", {from, q.weights(random_integers(random, Dtype::i8, {16, 16, 3, 3}, -127, 127), {0.0008F}, 0)},
                   {{"pads", Ints{1, 1, 1, 1}}});
    };
    const auto again = [&](const std::string& value, const Kind& as) { return q.dequantize(q.quantize(value, as), as); };
    const std::string a = again(layer(x), other), b = again(q.add("Relu", {layer(a)}), {0.05F, 0, Dtype::u8});
    const std::string c = again(q.add("Add", {layer(b), a}), kind);
    q.finish(q.quantize(read_again ? q.add("Add", {layer(c), a}) : layer(c), kind));
    const Tensor input = random_integers(random, Dtype::i8, {1, 16, 8, 8}, -128, 127);
    // Roundings of three layers in a row may differ by a step each.
    auto session = Session::create(q.graph, {.threads = 1});
    ASSERT_TRUE(session.ok());
    const auto got = session->run(input);
    const Tensor wanted = in_real_numbers(q.graph, {&input, 1})[0];
    double different = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(wanted.count()); ++i) {
      ASSERT_LE(std::abs(integer(*got, i) - integer(wanted, i)), 2);
      different += integer(*got, i) != integer(wanted, i) ? 1 : 0;
    }
    EXPECT_LE(different, 0.05 * static_cast<double>(wanted.count()));
  }
}

TEST(Integers, ProductsAndTransposedConvolutions) {
  Random random(4);
  const Kind source{0.02F, 0, Dtype::u8}, offset{0.02F, 100, Dtype::u8}, result{0.2F, 0, Dtype::i8};
  for (const Kind& kind : {source, offset}) {
    for (std::int64_t transposed : {0, 1}) {
      Qdq q;
      const Shape w = transposed != 0 ? Shape{40, 64} : Shape{64, 40};
      std::vector<float> scales(40);
      for (float& s : scales) s = static_cast<float>(random.uniform(0.001, 0.003));
      q.finish(q.quantize(
          q.add("Relu", {q.add("Gemm",
                               {q.input({3, 64}, kind), q.weights(random_integers(random, Dtype::i8, w, -127, 127), scales, 1 - transposed),
                                q.constant(random_tensor(random, {40}))},
                               {{"transB", transposed}})}),
          {0.05F, 0, Dtype::u8}));
      const Tensor input = random_integers(random, Dtype::u8, {3, 64}, 0, 255);
      EXPECT_THAT(verify(q.graph, {&input, 1}, "Gemm"),
                  processor_has_int8() ? Contains("Gemm+Relu+QuantizeLinear") : Contains("Gemm+Relu"));
    }
    Qdq m;
    m.finish(m.quantize(
        m.add("MatMul", {m.input({3, 64}, kind), m.weights(random_integers(random, Dtype::i8, {64, 40}, -127, 127), {0.002F}, 0)}),
        result));
    const Tensor input = random_integers(random, Dtype::u8, {3, 64}, 0, 255);
    verify(m.graph, {&input, 1}, "MatMul");
    Qdq t;
    const std::string x = t.input({2, 16, 5, 5}, kind);
    std::vector<float> scales(8);
    for (float& s : scales) s = static_cast<float>(random.uniform(0.001, 0.003));
    t.finish(t.quantize(t.add("ConvTranspose",
                              {x, t.weights(random_integers(random, Dtype::i8, {16, 8, 2, 2}, -127, 127), scales, 1),
                               t.constant(random_tensor(random, {8}))},
                              {{"strides", Ints{2, 2}}}),
                        result));
    const Tensor image = random_integers(random, Dtype::u8, {2, 16, 5, 5}, 0, 255);
    verify(t.graph, {&image, 1}, "ConvTranspose");
  }
}

// Pools, sums, products, moves and joints between QuantizeLinear and DequantizeLinear.
TEST(Integers, OperatorsOnIntegers) {
  Random random(5);
  const Shape shape{2, 24, 8, 6};
  const Kind kind{0.05F, 0, Dtype::u8}, offset{0.04F, 12, Dtype::u8}, negative{0.03F, 0, Dtype::i8}, shifted{0.03F, 11, Dtype::i8};
  const auto each = [&](const std::string& what, const Kind& a, const Kind& b, const Kind& result, const Shape& second, auto build) {
    for (bool laid_out : {false, true}) {
      Qdq q;
      std::string x = q.input(shape, a);
      const std::string y = q.input(second, b);
      // Once as the caller gave it, once as a convolution leaves it.
      if (laid_out) {
        const std::string conv = q.add("Conv", {x, q.weights(random_integers(random, Dtype::i8, {24, 24, 1, 1}, -127, 127), {0.002F}, 0)});
        x = q.dequantize(q.quantize(conv, a), a);
      }
      q.finish(q.quantize(build(q, x, y), result));
      const std::vector<Tensor> inputs{
          a.dtype == Dtype::u8 ? random_integers(random, Dtype::u8, shape, 0, 255) : random_integers(random, Dtype::i8, shape, -128, 127),
          b.dtype == Dtype::u8 ? random_integers(random, Dtype::u8, second, 0, 255)
                               : random_integers(random, Dtype::i8, second, -128, 127)};
      const auto steps = verify(q.graph, inputs, what, laid_out ? 2 : 1);
      if (processor_has_int8()) {
        EXPECT_THAT(steps, Each(Not("DequantizeLinear"))) << what;
      }
    }
  };
  using Name = const std::string&;
  const Attributes window{{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}};
  for (const Kind& a : {kind, offset, negative, shifted}) {
    each("MaxPool", a, kind, a, {1}, [&](Qdq& q, Name x, Name) { return q.add("MaxPool", {x}, window); });
    each("AveragePool", a, kind, a, {1}, [&](Qdq& q, Name x, Name) { return q.add("AveragePool", {x}, window); });
    Kind wider = a;
    wider.scale *= 0.7F;
    wider.zero += 3;
    each("AveragePool in another scale", a, kind, wider, {1}, [&](Qdq& q, Name x, Name) { return q.add("AveragePool", {x}, window); });
    each("Concat", a, a, a, {2, 16, 8, 6}, [](Qdq& q, Name x, Name y) { return q.add("Concat", {x, y}, {{"axis", std::int64_t{1}}}); });
    each("Concat of two scales", a, offset, shifted, {2, 16, 8, 6}, [](Qdq& q, Name x, Name y) {
      return q.add("Concat", {x, y}, {{"axis", std::int64_t{1}}});
    });
    each("Add", a, offset, {0.1F, 3, Dtype::i8}, shape, [](Qdq& q, Name x, Name y) { return q.add("Add", {x, y}); });
    each("Add, Relu", a, kind, {0.1F, 0, Dtype::u8}, shape, [](Qdq& q, Name x, Name y) { return q.add("Relu", {q.add("Add", {x, y})}); });
    each("Transpose, Reshape", a, kind, a, {1}, [](Qdq& q, Name x, Name) {
      return q.add("Reshape", {q.add("Transpose", {x}, {{"perm", Ints{0, 2, 3, 1}}}), q.constant(ints({2, 48, 24}))});
    });
    each("Resize", a, kind, a, {1}, [](Qdq& q, Name x, Name) {
      return q.add("Resize", {x, "", q.constant(Tensor::of<float>({4}, {1, 1, 2, 2}))},
                   {{"mode", std::string("nearest")},
                    {"coordinate_transformation_mode", std::string("asymmetric")},
                    {"nearest_mode", std::string("floor")}});
    });
    each("Concat of odd channels", a, a, a, {2, 5, 8, 6}, [](Qdq& q, Name x, Name y) {
      return q.add("Concat", {q.add("Concat", {x, y}, {{"axis", std::int64_t{1}}}), y}, {{"axis", std::int64_t{1}}});
    });
    each("DepthToSpace", a, kind, a, {1}, [](Qdq& q, Name x, Name) {
      return q.add("DepthToSpace", {x}, {{"blocksize", std::int64_t{2}}});
    });
    each("Slice", a, kind, a, {1}, [](Qdq& q, Name x, Name) {
      return q.add("Slice", {x, q.constant(ints({2})), q.constant(ints({20})), q.constant(ints({1}))});
    });
  }
  const Kind gate{1.0F / 255, 0, Dtype::u8};
  for (const Kind& a : {kind, negative}) {
    each("Mul", a, gate, a, {2, 24, 1, 1}, [](Qdq& q, Name x, Name y) { return q.add("Mul", {x, y}); });
    each("Mul, a zero point behind", a, gate, {0.04F, 20, Dtype::u8}, {2, 24, 1, 1}, [](Qdq& q, Name x, Name y) {
      return q.add("Mul", {x, y});
    });
    each("Mul by negative gates", a, {0.01F, 0, Dtype::i8}, {0.04F, 0, Dtype::i8}, {2, 24, 1, 1}, [](Qdq& q, Name x, Name y) {
      return q.add("Mul", {x, y});
    });
    each("Mul of likes", a, gate, {0.02F, 0, Dtype::i8}, shape, [](Qdq& q, Name x, Name y) { return q.add("Mul", {y, x}); });
  }
  Qdq q;
  q.finish(q.quantize(q.add("GlobalAveragePool", {q.input({2, 24, 17, 13}, negative)}), {0.002F, 0, Dtype::i8}));
  const Tensor input = random_integers(random, Dtype::i8, {2, 24, 17, 13}, -128, 127);
  verify(q.graph, {&input, 1}, "GlobalAveragePool");
}

// Planes of three colours become integers with channels last in one pass.
TEST(Integers, PicturesAreQuantisedInOnePass) {
  Random random(13);
  for (const Kind& kind : {Kind{0.02F, 0, Dtype::i8}, Kind{0.03F, 128, Dtype::u8}}) {
    Qdq q;
    q.graph.inputs.push_back({"picture", Dtype::f32, {2, 3, 37, 29}});
    const std::string x = q.dequantize(q.quantize("picture", kind), kind);
    const std::string y = q.add("Conv", {x, q.weights(random_integers(random, Dtype::i8, {16, 3, 3, 3}, -127, 127), {0.004F}, 0)});
    q.finish(q.quantize(y, {0.15F, 0, Dtype::i8}));
    const Tensor picture = random_tensor(random, {2, 3, 37, 29}, -4, 4);
    const auto steps = verify(q.graph, {&picture, 1}, "a picture");
    if (processor_has_int8()) {
      EXPECT_EQ(steps[0], "QuantizeLinear");
      EXPECT_EQ(std::ranges::count(steps, "reorder"), 1) << "of the result, which is asked for in planes";
    }
  }
}

// A net as the quantiser writes it: nothing is turned into real numbers between its layers.
Graph quantized_net(Graph& real, std::vector<Batch>& batches) {
  graph::Builder b(1);
  const std::string x = b.input("x", Dtype::f32, {-1, 3, 32, 32});
  const std::string stem = b.relu(b.conv(x, 16, {.stride = 2, .bias = true}));
  std::string y = b.relu(b.conv(stem, 32, {.kernel = 1, .bias = true}));
  y = b.node("HardSwish", {b.conv(y, 32, {.groups = 32, .bias = true})});
  const std::string gate = b.sigmoid(b.conv(b.global_average_pool(y), 32, {.kernel = 1, .bias = true}));
  y = b.add(b.conv(b.mul(y, gate), 16, {.kernel = 1, .bias = true}), stem);
  const std::string coarse = b.relu(b.conv(b.max_pool(y, 2, 2), 32, {.bias = true}));
  y = b.concat({b.upsample_nearest(coarse, 2), y});
  y = b.relu(b.conv(y, 32, {.kernel = 1, .bias = true}));
  real = *b.finish({b.linear(b.flatten(b.global_average_pool(y)), 10)}, {});
  Random random(6);
  for (int i = 0; i < 2; ++i) batches.push_back({random_tensor(random, {4, 3, 32, 32})});
  auto quantizer = Quantizer::create(real, batches, {.threads = 1});
  EXPECT_TRUE(quantizer.ok()) << quantizer.error().message;
  return *quantizer->quantize();
}

TEST(Integers, AQuantizedNetStaysInIntegers) {
  Graph real;
  std::vector<Batch> batches;
  const Graph graph = quantized_net(real, batches);
  for (Precision precision : {Precision::f32, Precision::bf16}) {
    auto session = Session::create(graph, {.threads = 2, .precision = precision});
    ASSERT_TRUE(session.ok()) << session.error().message;
    const auto got = session->run(batches[0]);
    ASSERT_TRUE(got.ok());
    EXPECT_LE(relative_difference((*got)[0], in_real_numbers(graph, batches[0])[0]), 0.05);
    auto exact = Session::create(real, {.threads = 1});
    EXPECT_LE(relative_difference((*got)[0], exact->run(batches[0][0]).operator*()), 0.2);
    if (!processor_has_int8()) continue;
    const auto steps = session->profile(batches[0]);
    std::vector<std::string> types;
    for (const NodeTime& step : *steps) types.push_back(step.op_type);
    EXPECT_THAT(types,
                testing::AllOf(Contains("QuantizeLinear").Times(1), Not(Contains("DequantizeLinear")), Contains("Mul+QuantizeLinear"),
                               Contains("Conv+Sigmoid+QuantizeLinear"), Contains("Conv+Add+QuantizeLinear")));
  }
}

// Each layer on the integers that ONNX's definition gives the layer before it: single steps, where the real number lies between two.
TEST(Integers, EveryLayerIsWhatOnnxDefines) {
  Graph real;
  std::vector<Batch> batches;
  const Graph graph = quantized_net(real, batches), opened = graph::opened_at_integers(graph);
  const std::size_t outputs = graph.outputs.size();
  const std::vector<Tensor> wanted = reference_run(opened, batches[0]);
  Batch given = batches[0];
  given.insert(given.end(), wanted.begin() + static_cast<std::ptrdiff_t>(outputs), wanted.end());
  auto session = Session::create(graph::parted_at_integers(opened, outputs), {.threads = 2});
  ASSERT_TRUE(session.ok()) << session.error().message;
  const auto got = session->run(given);
  ASSERT_TRUE(got.ok()) << got.error().message;
  for (std::size_t i = outputs; i < wanted.size(); ++i) {
    SCOPED_TRACE(opened.outputs[i].name);
    const auto difference = graph::integer_difference((*got)[i], wanted[i]);
    EXPECT_LE(difference.steps, 1);
    EXPECT_LE(difference.share, 0.002);
  }
}

// Products whose sums of two do not fit 16 bits.
bool large_products_are_right(const char* isa, bool integers) {
  Qdq q;
  const Kind kind{0.02F, 0, Dtype::u8};
  Tensor w(Dtype::i8, {16, 32, 3, 3});
  for (auto& v : w.values<std::int8_t>()) v = 127;
  const std::string x = q.input({1, 32, 6, 6}, kind);
  const std::string y = q.add("Conv", {x, q.weights(w, {0.001F}, 0)}, {{"pads", Ints{1, 1, 1, 1}}});
  q.finish(q.quantize(y, {0.02F * 0.001F * 127 * 288, 0, Dtype::u8}));
  Random random(1);
  const Tensor input = random_integers(random, Dtype::u8, {1, 32, 6, 6}, 0, 255);
  const auto steps = verify(q.graph, {&input, 1}, isa);
  const bool fused = std::ranges::count(steps, "Conv+QuantizeLinear") == 1;
  return processor_has_int8() == integers && fused == integers && !testing::Test::HasFailure();
}

// Processors that would saturate sums of products compute in real numbers. oneDNN is told before its first call, in a process of its own.
TEST(IntegersDeathTest, AnswersAreSafeWithoutVnni) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const auto& [isa, integers] : {std::pair{"AVX2", false}, {"AVX512_CORE", false}, {"AVX512_CORE_VNNI", true}}) {
    ASSERT_EQ(setenv("ONEDNN_MAX_CPU_ISA", isa, 1), 0);
    EXPECT_EXIT(std::exit(large_products_are_right(isa, integers) ? 0 : 1), testing::ExitedWithCode(0), "") << isa;
  }
  unsetenv("ONEDNN_MAX_CPU_ISA");
}

}  // namespace
}  // namespace sightline::runtime
