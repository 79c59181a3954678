// Products with one number for each image and channel (how a squeeze-and-excite gates) where channels lie last, in integers and in bf16:
// oneDNN's take three to five times as long.
#pragma once

#include "runtime/operators.h"

namespace sightline::runtime {

// x · gates, both without zero points, and the QuantizeLinear behind it. False when it is something else.
bool plan_integer_gates(Planner& planner, Nodes chain, const Quantized& x, const Quantized& gates, const Shape& gate_shape);
// The same of an x that lies as bf16.
bool plan_bf16_gates(Planner& planner, const graph::Node& node, const Location& x, const std::string& gates);

}  // namespace sightline::runtime
