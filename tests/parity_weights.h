// Weights as a trained net has them, so that the places of an answer disagree.
#pragma once

#include "base/random.h"
#include "graph/graph.h"

namespace sightline {

// last: whether a weight is of the layers that answer, which begin with next to nothing.
template <class Last>
void look_trained(graph::Graph& graph, const Last& last) {
  std::uint64_t stream = 0;
  for (const auto& [name, role] : graph::roles_of(graph)) {
    if (role == graph::Role::constant) continue;
    Tensor& tensor = graph.initializers.at(name);
    const bool positive = role == graph::Role::scale || role == graph::Role::running_variance;
    const float factor = role == graph::Role::weight && last(tensor) ? 1.0F : 0.05F;
    Random random(11, ++stream);
    for (float& value : tensor.values<float>()) {
      const auto noise = static_cast<float>(random.uniform(0.5, 1.5));
      value = positive ? noise : value + factor * (noise - 1);
    }
  }
}

}  // namespace sightline
