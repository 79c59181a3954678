#include "runtime/seats.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "graph/operators.h"
#include "runtime/onednn.h"

namespace sightline::runtime {
namespace {

using graph::Node;
using Values = std::map<std::string, graph::ValueInfo>;

bool may_be_seated(const Shape& shape, Dtype dtype) {
  return dtype == Dtype::f32 && shape.size() >= 3 && shape.size() <= 5 && shape[0] == 1 && shape[1] % channel_block == 0 &&
         element_count(shape) > 0;
}

void add_seats(const Program& program, const Node& concat, const Values& values, std::map<std::string, Seat>& seats) {
  const graph::ValueInfo& result = values.at(concat.outputs[0]);
  const auto axis = graph::axis_of(concat, concat.integer("axis", 0), result.shape.size());
  if (!axis.ok() || *axis != 1 || concat.inputs.size() < 2) return;
  std::set<std::string> seen;
  for (const std::string& input : concat.inputs) {
    const graph::ValueInfo& part = values.at(input);
    if (!may_be_seated(part.shape, part.dtype) || program.graph.initializers.contains(input) || part.value.defined()) return;
    if (!seen.insert(input).second) return;  // one value at two places
  }
  std::size_t offset = 0;
  for (const std::string& input : concat.inputs) {
    seats.try_emplace(input, Seat{concat.outputs[0], offset});
    offset += in_blocks(values.at(input).shape).get_size();
  }
}

// Hands the seat of what a chain ends in to the value that the chain accumulates into.
void hand_on(const Chain& chain, const Values& values, std::map<std::string, Seat>& seats) {
  constexpr std::string_view in_place[] = {"Add", "Clip", "Relu"};
  for (std::size_t i = chain.size(); i-- > 0;) {
    const Node& node = *chain[i];
    const auto seat = seats.find(node.outputs[0]);
    if (seat == seats.end() || std::ranges::count(in_place, node.op_type) == 0) continue;
    const auto inside = [&](const std::string& value) {
      return std::any_of(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(i),
                         [&](const Node* before) { return std::ranges::count(before->outputs, value) > 0; });
    };
    for (const std::string& input : node.inputs) {
      const auto known = values.find(input);
      if (known == values.end() || known->second.shape != values.at(node.outputs[0]).shape) continue;
      // Of a sum the other side; of what stands between the sum and the end of the chain the chain itself.
      if (node.op_type == "Add" && inside(input)) continue;
      seats.try_emplace(input, seat->second);
    }
  }
}

}  // namespace

std::map<std::string, Seat> seats_of(const Program& program, const Values& values) {
  std::map<std::string, Seat> seats;
  if (!has_channel_blocks()) return seats;
  for (const Node& node : program.graph.nodes)
    if (node.op_type == "Concat" && node.domain.empty()) add_seats(program, node, values, seats);
  if (seats.empty()) return seats;
  for (auto chain = program.chains.rbegin(); chain != program.chains.rend(); ++chain) hand_on(*chain, values, seats);
  return seats;
}

}  // namespace sightline::runtime
