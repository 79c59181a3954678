// Puts weights from a file onto a graph of ours, and says what fitted and what did not.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "weights/weights.h"

namespace sightline::weights {

struct Mapping {
  struct Pair {
    std::string ours, theirs;
    bool by_name = true;  // false: by order and shape
  };
  std::vector<Pair> matched;
  std::vector<std::string> missing;     // of ours, not in the file: "conv_3.weight 64×32×3×3"
  std::vector<std::string> left_over;   // in the file, of no use here: "fc.weight 1000×512"
  std::vector<std::string> mismatched;  // "linear_1.weight 10×64: the file has 1000×64"
  std::vector<std::string> ambiguous;   // "conv 64×64×3×3: 3 here and 4 in the file; which is which cannot be told"

  std::string sentence() const;            // "24 of 27 tensors from the file (24 by order and shape); 2 missing, …"
  std::vector<std::string> lines() const;  // all of it: "matched     conv_1.weight ← conv1.weight (by order and shape)"
};

// Sets the initializers that are learned or running statistics (graph::roles_of). First by name and shape. Then layers (convolution,
// linear, normalisation, slope) by order and shape, kind by kind, where that is unambiguous: the sequences of shapes are the same on both
// sides, or a shape stands on each side once. A file whose order is lost (names sorted) counts as ordered only among names that differ in
// their numbers alone. Shapes fit when they are equal but for axes of length 1. Values become f32. Errors: invalid_data when nothing fits,
// or a value is no finite number; the graph is then as it was.
Result<Mapping> map_weights(const WeightFile& file, const std::string& source, graph::Graph& graph);

// f32 of any floating-point tensor. Error unsupported: integers.
Result<Tensor> to_f32(const Tensor& tensor);

}  // namespace sightline::weights
