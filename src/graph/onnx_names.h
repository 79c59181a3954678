// What the ONNX reader and writer agree on beyond the specification.
#pragma once

namespace sightline::graph {

// metadata_props key: a JSON list of the outputs at the end of the file's list that only training reads.
inline constexpr const char* kTrainingOutputsKey = "sightline_training_outputs";

}  // namespace sightline::graph
