#include "runtime/shared_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/random.h"
#include "graph/builder.h"
#include "runtime/reference_test.h"

namespace sightline::runtime {
namespace {

using graph::Builder;
using graph::Graph;
using testing::HasSubstr;

constexpr double tolerance = 1e-5;  // relative to the output's scale, between models together and alone

Tensor random_images(std::int64_t batch, std::uint64_t seed) {
  Random random(seed);
  Tensor images(Dtype::u8, {batch, 16, 16, 3});
  for (auto& v : images.values<std::uint8_t>()) v = static_cast<std::uint8_t>(random.below(256));
  return images;
}

// Statistics that are not those of a fresh graph, the same for the same seed.
void shake(Graph& graph, std::uint64_t seed) {
  Random random(seed);
  for (const auto& [name, role] : graph::roles_of(graph)) {
    if (role == graph::Role::weight || role == graph::Role::constant || !name.starts_with("batch_norm")) continue;
    Tensor tensor = graph.initializers.at(name).copy();
    for (float& v : tensor.values<float>()) v = static_cast<float>(random.uniform(0.5, 1.5));
    graph.initializers[name] = tensor;
  }
}

// The first layers are the same for every kind; the heads of all seeds differ.
enum class Kind {
  linear,       // features → linear → softmax
  scaled,       // the same with a temperature
  logits,       // without softmax
  two_outputs,  // probabilities and features
  hidden,       // a hidden layer of its own, which is no linear head
  early,        // leaves after the second convolution, inside what others fuse
  middle,       // leaves between a convolution and its BatchNormalization
};

std::string renamed(const std::string& name, const std::string& prefix) { return name.empty() ? name : prefix + name; }

// Other names everywhere: sharing must not depend on them.
Graph with_prefix(Graph graph, const std::string& prefix) {
  std::map<std::string, Tensor> initializers;
  for (const auto& [name, tensor] : graph.initializers) initializers[prefix + name] = tensor.copy();
  graph.initializers = std::move(initializers);
  for (graph::Node& node : graph.nodes) {
    for (std::string& input : node.inputs) input = renamed(input, prefix);
    for (std::string& output : node.outputs) output = renamed(output, prefix);
  }
  for (graph::ValueInfo& info : graph.inputs) info.name = prefix + info.name;
  for (graph::ValueInfo& info : graph.outputs) info.name = prefix + info.name;
  for (std::string& name : graph.training_outputs) name = prefix + name;
  return graph;
}

Graph model(Kind kind, std::uint64_t seed) {
  Builder b(1);  // the backbone's weights
  std::string x = b.image_input(16, 16, 3, {120, 110, 100}, {60, 61, 62});
  x = b.relu(b.batch_norm(b.conv(x, 16, {})));                       // N×16×16×16
  const std::string second = b.conv(x, 16, {});                      //
  const std::string normal = b.relu(b.batch_norm(second));           //
  x = b.relu(b.add(b.batch_norm(b.conv(normal, 16, {})), x));        //
  x = b.relu(b.batch_norm(b.conv(x, 32, {.stride = 2})));            // N×32×8×8
  const std::string features = b.flatten(b.global_average_pool(x));  // N×32
  Random random(seed);
  const auto matrix = [&](std::int64_t rows, std::int64_t columns) {
    Tensor tensor(Dtype::f32, {rows, columns});
    for (float& v : tensor.values<float>()) v = static_cast<float>(random.uniform(-1, 1));
    return b.constant("own", tensor);
  };
  const auto linear = [&](const std::string& from, std::int64_t inner, std::int64_t classes) {
    return b.node("Gemm", {from, matrix(classes, inner), matrix(1, classes)}, {{"transB", std::int64_t{1}}});
  };
  std::vector<std::string> outputs;
  switch (kind) {
    case Kind::linear: outputs = {b.softmax(linear(features, 32, 10))}; break;
    case Kind::scaled: outputs = {b.softmax(b.scale(linear(features, 32, 7), 0.7F, "inverse_temperature"))}; break;
    case Kind::logits: outputs = {b.node("Add", {b.node("MatMul", {features, matrix(32, 3)}), matrix(1, 3)})}; break;
    case Kind::two_outputs: outputs = {b.softmax(linear(features, 32, 4)), features}; break;
    case Kind::hidden: outputs = {b.node("Tanh", {linear(b.relu(linear(features, 32, 20)), 20, 5)})}; break;
    case Kind::early: outputs = {b.softmax(linear(b.flatten(b.global_average_pool(normal)), 16, 6))}; break;
    case Kind::middle: outputs = {b.node("Sigmoid", {second})}; break;
  }
  auto graph = b.finish(outputs, {});
  EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().message);
  shake(*graph, 5);
  return with_prefix(*graph, "m" + std::to_string(seed) + "/");
}

std::vector<Tensor> alone(const Graph& graph, const Tensor& images) {
  auto session = Session::create(graph);
  EXPECT_TRUE(session.ok());
  auto answer = session->run({&images, 1});
  EXPECT_TRUE(answer.ok());
  return *answer;
}

void expect_like_alone(const SharedSession& session, const std::map<std::string, Graph>& models, std::int64_t batch) {
  const Tensor images = random_images(batch, 3);
  std::vector<Wanted> wanted;
  for (const auto& [name, graph] : models) wanted.push_back({name, {}});
  const auto got = session.run({&images, 1}, wanted);
  ASSERT_TRUE(got.ok()) << got.error().message;
  ASSERT_EQ(got->size(), models.size());
  std::size_t m = 0;
  for (const auto& [name, graph] : models) {
    SCOPED_TRACE(name);
    const std::vector<Tensor> expected = alone(graph, images);
    ASSERT_EQ((*got)[m].size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_LE(relative_difference((*got)[m][i], expected[i]), tolerance);
    ++m;
  }
}

TEST(SharedSession, ModelsTogetherAnswerAsAlone) {
  SharedSession session;
  std::map<std::string, Graph> models;
  std::uint64_t seed = 10;
  for (const Kind kind :
       {Kind::linear, Kind::hidden, Kind::early, Kind::scaled, Kind::middle, Kind::logits, Kind::two_outputs, Kind::linear}) {
    const std::string name = "model " + std::to_string(++seed);
    models[name] = model(kind, seed);
    const auto added = session.add(name, models[name]);
    ASSERT_TRUE(added.ok()) << added.error().message;
    expect_like_alone(session, models, 2);
  }
  expect_like_alone(session, models, 1);
  // In another order, less and less.
  for (const auto& name : session.models()) {
    ASSERT_TRUE(session.remove(name).ok());
    models.erase(name);
    if (!models.empty()) expect_like_alone(session, models, 3);
  }
  EXPECT_EQ(session.size().parts, 0U);
}

TEST(SharedSession, WhatIsAlikeIsHeldOnceAndPlannedOnce) {
  SharedSession session;
  ASSERT_TRUE(session.add("a", model(Kind::linear, 1)).ok());
  const auto one = session.size();
  EXPECT_EQ(one.parts, 1U);
  for (std::uint64_t i = 2; i < 20; ++i)
    ASSERT_TRUE(session.add("m" + std::to_string(i), model(i % 2 ? Kind::linear : Kind::scaled, i)).ok());
  const auto twenty = session.size();
  EXPECT_EQ(twenty.parts, 1U);  // heads are no parts
  EXPECT_EQ(twenty.memory.weights, one.memory.weights);
  // A model that leaves earlier cuts the part in two; the next one like it cuts nothing.
  ASSERT_TRUE(session.add("early", model(Kind::early, 30)).ok());
  EXPECT_EQ(session.size().parts, 3U);  // up to the cut, beyond it, the early one's pool
  ASSERT_TRUE(session.add("early too", model(Kind::early, 31)).ok());
  EXPECT_EQ(session.size().parts, 3U);
  EXPECT_LE(session.size().memory.weights, one.memory.weights + 1000);
  ASSERT_TRUE(session.add("hidden", model(Kind::hidden, 32)).ok());
  EXPECT_EQ(session.size().parts, 4U);
}

// The same models asked for again are not looked for again, unless one has come or gone.
TEST(SharedSession, AModelThatTookAnothersNameAnswers) {
  SharedSession session;
  std::map<std::string, Graph> models{{"one", model(Kind::linear, 1)}, {"two", model(Kind::two_outputs, 2)}};
  for (const auto& [name, graph] : models) ASSERT_TRUE(session.add(name, graph).ok());
  expect_like_alone(session, models, 2);
  expect_like_alone(session, models, 3);
  ASSERT_TRUE(session.remove("one").ok());
  models["one"] = model(Kind::linear, 4);
  ASSERT_TRUE(session.add("one", models["one"]).ok());
  expect_like_alone(session, models, 2);
  ASSERT_TRUE(session.remove("one").ok());
  const Tensor images = random_images(2, 3);
  const std::vector<Wanted> wanted{{"one", {}}, {"two", {}}};
  const auto gone = session.run({&images, 1}, wanted);
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().kind, ErrorKind::not_found);
}

TEST(SharedSession, MemoryGoesDownWhenModelsGo) {
  SharedSession session;
  ASSERT_TRUE(session.add("stays", model(Kind::linear, 1)).ok());
  const auto before = session.size();
  for (std::uint64_t i = 2; i < 400; ++i) ASSERT_TRUE(session.add(std::to_string(i), model(Kind::linear, i)).ok());
  ASSERT_TRUE(session.add("hidden", model(Kind::hidden, 1000)).ok());
  EXPECT_GT(session.size().heads, 390U * 10 * 32 * 4);
  for (std::uint64_t i = 2; i < 400; ++i) ASSERT_TRUE(session.remove(std::to_string(i)).ok());
  ASSERT_TRUE(session.remove("hidden").ok());
  EXPECT_EQ(session.size().parts, before.parts);
  EXPECT_EQ(session.size().memory.weights, before.memory.weights);
  EXPECT_LE(session.size().heads, before.heads);
  expect_like_alone(session, {{"stays", model(Kind::linear, 1)}}, 1);
}

TEST(SharedSession, OnlyWhatIsAskedForIsComputed) {
  SharedSession session;
  ASSERT_TRUE(session.add("two", model(Kind::two_outputs, 1)).ok());
  ASSERT_TRUE(session.add("linear", model(Kind::linear, 2)).ok());
  const Tensor images = random_images(2, 1);
  const std::vector<Wanted> wanted{{"two", {1}}, {"linear", {}}, {"two", {1, 0}}};
  const auto got = session.run({&images, 1}, wanted);
  ASSERT_TRUE(got.ok()) << got.error().message;
  ASSERT_EQ((*got)[0].size(), 1U);
  ASSERT_EQ((*got)[2].size(), 2U);
  const auto two = alone(model(Kind::two_outputs, 1), images);
  EXPECT_LE(relative_difference((*got)[0][0], two[1]), tolerance);
  EXPECT_LE(relative_difference((*got)[2][0], two[1]), tolerance);
  EXPECT_LE(relative_difference((*got)[2][1], two[0]), tolerance);
  const auto nothing = session.run({&images, 1}, {});
  ASSERT_TRUE(nothing.ok());
  EXPECT_TRUE(nothing->empty());
}

// Outputs that part inside the net are parts of their own, of which those that are not asked for are not run: their times show it.
TEST(SharedSession, OutputsOfOneModelAreComputedApart) {
  Builder b(1);
  const std::string image = b.image_input(16, 16, 3, {0, 0, 0}, {255, 255, 255});
  const std::string trunk = b.relu(b.conv(image, 8, {}));
  std::string heavy = trunk;
  for (int i = 0; i < 12; ++i) heavy = b.relu(b.conv(heavy, 64, {}));
  const std::string light = b.sigmoid(b.conv(trunk, 2, {.kernel = 1}));
  const auto graph = b.finish({heavy, light}, {});
  ASSERT_TRUE(graph.ok());
  SharedSession session({.threads = 1});
  ASSERT_TRUE(session.add("two", *graph).ok());
  EXPECT_EQ(session.size().parts, 3U);
  const Tensor images = random_images(1, 1);
  const auto both = alone(*graph, images);
  const auto least_seconds = [&](std::size_t output) {
    double least = 1e9;
    for (int i = 0; i < 10; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      const auto got = session.run({&images, 1}, std::vector<Wanted>{{"two", {output}}});
      least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      EXPECT_TRUE(got.ok());
      EXPECT_LE(relative_difference((*got)[0][0], both[output]), tolerance);
    }
    return least;
  };
  EXPECT_LT(least_seconds(1) * 3, least_seconds(0));
  ASSERT_TRUE(session.remove("two").ok());
  EXPECT_EQ(session.size().parts, 0U);
}

// Shapes that exporters compute in the graph decide how a shared value is read: they must not be handed over as data.
TEST(SharedSession, ComputedShapesStayWithTheirReaders) {
  const auto shaped = [](std::int64_t columns, float factor) {
    Graph graph;
    graph.inputs = {{"x", Dtype::f32, {-1, 12}}};
    graph.initializers = {{"zero", Tensor::of<std::int64_t>({}, {0})},
                          {"axes", Tensor::of<std::int64_t>({1}, {0})},
                          {"tail", Tensor::of<std::int64_t>({2}, {columns, 12 / columns})},
                          {"factor", Tensor::of<float>({1}, {factor})}};
    graph.nodes = {{"", "Exp", {"x"}, {"e"}, {}, ""},
                   {"", "Shape", {"e"}, {"s"}, {}, ""},
                   {"", "Gather", {"s", "zero"}, {"n"}, {{"axis", std::int64_t{0}}}, ""},
                   {"", "Unsqueeze", {"n", "axes"}, {"n1"}, {}, ""},
                   {"", "Concat", {"n1", "tail"}, {"shape"}, {{"axis", std::int64_t{0}}}, ""},
                   {"", "Reshape", {"e", "shape"}, {"r"}, {}, ""},
                   {"", "Mul", {"r", "factor"}, {"y"}, {}, ""}};
    graph.outputs = {{"y", Dtype::f32, {-1, columns, 12 / columns}}};
    return graph;
  };
  SharedSession session;
  const std::vector<Graph> graphs{shaped(3, 1), shaped(4, 2), shaped(3, 5), shaped(6, 1)};
  std::vector<Wanted> wanted;
  for (std::size_t i = 0; i < graphs.size(); ++i) {
    const auto added = session.add(std::to_string(i), graphs[i]);
    ASSERT_TRUE(added.ok()) << added.error().message;
    wanted.push_back({std::to_string(i), {}});
  }
  for (const std::int64_t batch : {1, 3}) {
    Tensor x(Dtype::f32, {batch, 12});
    for (std::size_t i = 0; i < x.values<float>().size(); ++i) x.values<float>()[i] = 0.1F * static_cast<float>(i);
    const auto got = session.run({&x, 1}, wanted);
    ASSERT_TRUE(got.ok()) << got.error().message;
    for (std::size_t i = 0; i < graphs.size(); ++i) EXPECT_LE(relative_difference((*got)[i][0], alone(graphs[i], x)[0]), tolerance);
  }
}

// Values in which the batch is not in front cannot be handed from session to session: such models are kept whole.
TEST(SharedSession, ModelsThatCannotBeCutAreKeptWhole) {
  const auto turned = [](float factor) {
    Graph graph;
    graph.inputs = {{"x", Dtype::f32, {-1, 4}}};
    graph.initializers = {{"factor", Tensor::of<float>({1}, {factor})}};
    graph.nodes = {{"", "Exp", {"x"}, {"e"}, {}, ""},
                   {"", "Transpose", {"e"}, {"t"}, {{"perm", std::vector<std::int64_t>{1, 0}}}, ""},
                   {"", "Mul", {"t", "factor"}, {"m"}, {}, ""},
                   {"", "Transpose", {"m"}, {"y"}, {{"perm", std::vector<std::int64_t>{1, 0}}}, ""}};
    graph.outputs = {{"y", Dtype::f32, {-1, 4}}};
    return graph;
  };
  SharedSession session;
  const Tensor x = Tensor::of<float>({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  for (int i = 0; i < 3; ++i) {
    const auto added = session.add(std::to_string(i), turned(static_cast<float>(i + 1)));
    ASSERT_TRUE(added.ok()) << added.error().message;
  }
  for (int round = 0; round < 2; ++round) {
    for (const std::string& name : session.models()) {
      const auto got = session.run({&x, 1}, std::vector<Wanted>{{name, {}}});
      ASSERT_TRUE(got.ok()) << got.error().message;
      EXPECT_LE(relative_difference((*got)[0][0], alone(turned(static_cast<float>(std::stoi(name) + 1)), x)[0]), tolerance);
    }
    ASSERT_TRUE(session.remove(round == 0 ? "0" : "1").ok());
  }
}

TEST(SharedSession, OutputsMayBeInputsAndConstants) {
  Graph graph;
  graph.inputs = {{"x", Dtype::f32, {-1, 2}}};
  graph.initializers = {{"c", Tensor::of<float>({2}, {3, 4})}};
  graph.nodes = {{"", "Exp", {"c"}, {"e"}, {}, ""}, {"", "Relu", {"x"}, {"y"}, {}, ""}};
  graph.outputs = {{"x", Dtype::f32, {-1, 2}}, {"c", Dtype::f32, {2}}, {"e", Dtype::f32, {2}}, {"y", Dtype::f32, {-1, 2}}};
  SharedSession session;
  const auto added = session.add("a", graph);
  ASSERT_TRUE(added.ok()) << added.error().message;
  ASSERT_TRUE(session.add("b", graph).ok());
  const Tensor x = Tensor::of<float>({1, 2}, {-1, 2});
  const auto got = session.run({&x, 1}, std::vector<Wanted>{{"a", {}}, {"b", {}}});
  ASSERT_TRUE(got.ok()) << got.error().message;
  for (const auto& answer : *got) {
    EXPECT_THAT(answer[0].values<float>(), testing::ElementsAre(-1, 2));
    EXPECT_THAT(answer[1].values<float>(), testing::ElementsAre(3, 4));
    EXPECT_NEAR(answer[2].values<float>()[1], 54.598F, 1e-2F);
    EXPECT_THAT(answer[3].values<float>(), testing::ElementsAre(0, 2));
  }
}

TEST(SharedSession, SaysWhatDoesNotFit) {
  SharedSession session;
  ASSERT_TRUE(session.add("shoes", model(Kind::linear, 1)).ok());
  const auto twice = session.add("shoes", model(Kind::linear, 1));
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().kind, ErrorKind::conflict);
  const Tensor images = random_images(1, 1);
  const auto unknown = session.run({&images, 1}, std::vector<Wanted>{{"shoe", {}}});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().kind, ErrorKind::not_found);
  EXPECT_THAT(unknown.error().message, HasSubstr("shoes"));
  const auto number = session.run({&images, 1}, std::vector<Wanted>{{"shoes", {1}}});
  ASSERT_FALSE(number.ok());
  EXPECT_EQ(number.error().kind, ErrorKind::usage);
  const Tensor wrong = Tensor::filled({1, 16, 16, 3}, 0);
  const auto misfit = session.run({&wrong, 1}, std::vector<Wanted>{{"shoes", {}}});
  ASSERT_FALSE(misfit.ok());
  EXPECT_THAT(misfit.error().message, HasSubstr("image\": u8 N×16×16×3"));
  EXPECT_FALSE(session.remove("bags").ok());
  Graph odd;
  odd.inputs = {{"x", Dtype::f32, {-1, 4}}};
  odd.outputs = {{"y", Dtype::f32, {-1, 4}}};
  odd.nodes = {{"odd", "GridSample", {"x"}, {"y"}, {}, ""}};
  EXPECT_FALSE(session.add("odd", odd).ok());
  EXPECT_THAT(session.models(), testing::ElementsAre("shoes"));
}

// Models come and go while others run: no wrong answers, none that fail.
TEST(SharedSession, ModelsComeAndGoUnderLoad) {
  SharedSession session({.threads = 2});
  const std::vector<Graph> steady{model(Kind::linear, 1), model(Kind::scaled, 2), model(Kind::early, 3)};
  const Tensor images = random_images(1, 9);
  std::vector<std::vector<Tensor>> expected;
  std::vector<Wanted> wanted;
  for (std::size_t i = 0; i < steady.size(); ++i) {
    ASSERT_TRUE(session.add("steady " + std::to_string(i), steady[i]).ok());
    expected.push_back(alone(steady[i], images));
    wanted.push_back({"steady " + std::to_string(i), {}});
  }
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0}, runs{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&] {
      while (!over) {
        const auto got = session.run({&images, 1}, wanted);
        if (!got.ok()) ++wrong;
        for (std::size_t i = 0; got.ok() && i < expected.size(); ++i)
          if (!(relative_difference((*got)[i][0], expected[i][0]) <= tolerance)) ++wrong;
        ++runs;
      }
    });
  }
  for (std::uint64_t round = 0; round < 4; ++round) {
    for (const Kind kind : {Kind::middle, Kind::hidden, Kind::logits, Kind::two_outputs, Kind::early}) {
      const std::string name = "guest " + std::to_string(static_cast<int>(kind));
      const auto added = session.add(name, model(kind, 100 + round));
      EXPECT_TRUE(added.ok()) << added.error().message;
      const auto got = session.run({&images, 1}, std::vector<Wanted>{{name, {}}});
      EXPECT_TRUE(got.ok()) << got.error().message;
    }
    for (const Kind kind : {Kind::logits, Kind::middle, Kind::early, Kind::two_outputs, Kind::hidden})
      EXPECT_TRUE(session.remove("guest " + std::to_string(static_cast<int>(kind))).ok());
  }
  over = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(runs, 0);
}

}  // namespace
}  // namespace sightline::runtime
