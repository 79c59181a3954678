// For tests of what a plan makes of a graph: its answers against the reference's, and the steps that it really takes.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "runtime/reference_test.h"
#include "runtime/session.h"

namespace sightline::runtime {

// f32 in -1 to 1, always the same.
inline Tensor noise(const Shape& shape) {
  Random random(5);
  Tensor tensor(Dtype::f32, shape);
  for (float& v : tensor.values<float>()) v = static_cast<float>(random.uniform(-1, 1));
  return tensor;
}

// Runs the graph on noise, compares with the reference (relative to the output's scale), and gives the steps' types.
inline std::vector<std::string> verified_steps(const Result<graph::Graph>& graph, const Shape& shape, int threads = 1,
                                               double tolerance = 1e-4) {
  std::vector<std::string> types;
  EXPECT_TRUE(graph.ok()) << (graph.ok() ? "" : graph.error().message);
  auto session = Session::create(*graph, {.threads = threads});
  EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message);
  if (!session.ok()) return types;
  const Tensor input = noise(shape);
  const auto got = session->run({&input, 1});
  const auto wanted = reference_run(*graph, {&input, 1});
  EXPECT_TRUE(got.ok()) << (got.ok() ? "" : got.error().message);
  for (std::size_t i = 0; got.ok() && i < wanted.size(); ++i) EXPECT_LE(relative_difference((*got)[i], wanted[i]), tolerance) << i;
  const auto steps = session->profile({&input, 1});
  for (const NodeTime& step : *steps) types.push_back(step.op_type);
  return types;
}

}  // namespace sightline::runtime
