// A network in two parts: the stem, which stays as it is, and the tail, its last stages, which can be trained on what the stem says of each
// picture. That is computed once by the runtime and kept in bytes, so that an epoch of training costs only the tail.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace sightline::factory {

struct Parts {
  std::string cut;          // the value between them, f32 N×C×h×w
  Shape shape;              // {C, h, w}
  graph::Graph stem;        // what the graph takes → the cut
  graph::Graph tail;        // the cut → the graph's outputs and training outputs
  double share = 0;         // of the operations, in the tail
  int layers = 0, all = 0;  // with weights: in the tail, in the whole graph
};

// Cut at the earliest map through which everything must pass, behind which at most `most` of the operations lie and which holds at most
// half as many numbers as the picture; nothing when there is no such place. Errors: those of shape inference.
Result<std::optional<Parts>> split_network(const graph::Graph& graph, double most = 0.4);

// The graph to "features" with what its narrow maps say of each quarter of the picture beside them, in one vector: a map of each size from
// an eighth of the picture's side on, the last through which everything must pass with at most half as many channels again as the
// narrowest.
struct Wide {
  graph::Graph graph;             // its output is called as the graph's was
  std::vector<std::string> cuts;  // values, the last one is the graph's own output
  std::vector<std::int64_t> widths;
};
// Nothing when there is no such map. Errors: those of shape inference.
Result<std::optional<Wide>> with_quarters(const graph::Graph& graph);

// What a byte stands for, for each channel: low + step·byte.
struct Levels {
  std::vector<float> low, step;  // C each
};
// From rows f32 N×C×h×w: their range, a tenth wider.
Levels levels_of(const Tensor& rows);
// f32 N×C×h×w → u8 N×h×w×C, as pictures lie.
Tensor to_bytes(const Tensor& rows, const Levels& levels);
// The tail behind an input "image", u8 N×h×w×C.
graph::Graph tail_of_bytes(const Parts& parts, const Levels& levels);

// The whole graph with every weight that `trained` has under the same name.
graph::Graph with_weights_of(const graph::Graph& whole, const graph::Graph& trained);

}  // namespace sightline::factory
