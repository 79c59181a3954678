// An ONNX graph in memory: what a model is from birth to death. Nodes are in topological order. Names of values are unique.
//
// Serving and training outputs: `outputs` are what a served model answers; `training_outputs` name values that only training needs
// (logits). Nodes that only training needs are Dropout and whatever only training outputs depend on; serving_graph() strips them.
//
// Specification: ONNX operators, opset 17, IR 8. Images enter as u8 N×H×W×C; cast, layout and normalisation are nodes.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/sha256.h"
#include "tensor/tensor.h"

namespace sightline::graph {

using Attribute =
    std::variant<std::int64_t, float, std::string, Tensor, std::vector<std::int64_t>, std::vector<float>, std::vector<std::string>>;

struct Node {
  std::string name;
  std::string op_type;
  std::vector<std::string> inputs;   // "" for an optional input that is left out
  std::vector<std::string> outputs;  // likewise
  std::map<std::string, Attribute> attributes;
  std::string domain;  // "" is ONNX's own

  std::int64_t integer(const std::string& key, std::int64_t otherwise) const;
  float real(const std::string& key, float otherwise) const;
  std::string text(const std::string& key, const std::string& otherwise) const;
  std::vector<std::int64_t> integers(const std::string& key, const std::vector<std::int64_t>& otherwise = {}) const;
};

struct ValueInfo {
  std::string name;
  Dtype dtype = Dtype::f32;
  Shape shape;  // -1: free (the batch)
  // The elements, where shape inference could work them out from shapes and constants (undefined otherwise). A size that is free is
  // kFreeSize in it.
  Tensor value;
};
inline constexpr std::int64_t kFreeSize = std::numeric_limits<std::int64_t>::min();

struct Graph {
  std::string name = "sightline";
  std::int64_t opset = 17;
  std::vector<ValueInfo> inputs, outputs;
  std::vector<std::string> training_outputs;
  std::vector<Node> nodes;
  std::map<std::string, Tensor> initializers;
  std::map<std::string, std::string> metadata;  // metadata_props
};

// --- reading and writing (onnx_read.cpp, onnx_write.cpp; the only places that include the ONNX protobuf) ---

struct ReadLimits {
  std::uint64_t max_bytes = 2'000'000'000;
  std::size_t max_nodes = 200'000;
};
// Reads a .onnx file (with external data beside it) or its bytes, checks it, sorts nodes, expands Constant nodes into initializers.
// training_outputs come from the metadata key "sightline_training_outputs". Errors: invalid_data with file and node; unsupported.
Result<Graph> read_onnx(const std::string& path, const ReadLimits& limits = {});
Result<Graph> parse_onnx(std::string_view bytes, const std::string& source, const ReadLimits& limits = {});
// Reads a file that holds one tensor (TensorProto), as the data sets beside ONNX's own test models are stored.
Result<Tensor> read_tensor(const std::string& path, const ReadLimits& limits = {});
// Weights that lie in a file of their own beside the model (ONNX external data), so that models which have them in common share the file.
struct ExternalWeights {
  std::string file;                              // a plain name, from the model's folder
  std::map<std::string, std::uint64_t> offsets;  // of initializers, in bytes; those that are not named stay in the model
};
// What that file holds: the initializers of at least `least` bytes, by name, each aligned to 64 bytes; fills places.offsets.
std::string external_weights(const Graph& graph, std::size_t least, ExternalWeights& places);
// Deterministic: equal graphs give equal bytes. Written for opset graph.opset, IR 8; passes ONNX's own checker.
Result<std::string> serialize_onnx(const Graph& graph, const ExternalWeights& external = {});

// --- checking and shapes (check.cpp, shapes.cpp) ---

// Names resolve, no cycle, outputs exist, attributes' types, initializers' sizes. The error names the node and the operator.
Result<void> check(const Graph& graph);
// Shape and dtype of every value (free dimensions stay -1; batch > 0 fixes them). Errors: invalid_data names the node whose inputs do
// not fit; unsupported names an operator that shape inference does not know.
// Values that follow from shapes and constants alone (what exporters write before a Reshape: Shape, Gather, Concat, ...) are worked out
// on the way, so that shapes may depend on them.
Result<std::map<std::string, ValueInfo>> infer_shapes(const Graph& graph, std::int64_t batch = -1);
// The inputs whose elements, directly or computed with, must be known before the graph can be planned: new shapes, axes, pads, weights of
// convolutions. A graph that has any can be run once they are bound, that is, made initializers.
std::vector<std::string> inputs_to_bind(const Graph& graph);

// --- identity (hash.cpp) ---

// Merkle digest of each value: operator, attributes, digests of weights, hashes of inputs; names do not count. Equal digests mean equal
// functions of equal inputs, across models.
std::map<std::string, Digest> merkle_hashes(const Graph& graph);
Digest digest_of(const Graph& graph);  // of all outputs, in order

// --- passes (passes.cpp) ---

// Without Dropout, training outputs and what only they need; unused initializers are gone.
Graph serving_graph(const Graph& graph);
// BatchNormalization folded into the Conv or Gemm before it (where that has no other reader).
Graph fold_batch_norm(const Graph& graph);
// Nodes whose inputs are all constant are left alone but for Identity, which disappears.
Graph remove_identities(const Graph& graph);
// The same function in the words of a later opset (raise_opset.cpp): opsets 7 to 12 as 13 spells them; from 13 to 17 nothing that we know
// changes. A graph that has the opset already stays as it is. Errors: unsupported; invalid_data names the node.
Result<Graph> raise_opset(const Graph& graph, std::int64_t opset);

// Which initializers are learned, and which are running statistics, told by the slots that they feed (ONNX has no flag for it).
enum class Role { constant, weight, bias, scale, running_mean, running_variance };
std::map<std::string, Role> roles_of(const Graph& graph);

struct Cost {
  std::int64_t parameters = 0;  // elements of weights, biases, scales and statistics
  std::int64_t flops = 0;       // multiply and add count as two, for one image
};
Result<Cost> cost_of(const Graph& graph);

}  // namespace sightline::graph
