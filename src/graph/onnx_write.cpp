// Writes ONNX files: IR 8, raw little-endian tensors, everything in one fixed order, so that equal graphs give equal bytes.
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "graph/onnx_names.h"
#include "graph/operators.h"

namespace sightline::graph {
namespace {

constexpr std::int64_t kIrVersion = 8;
constexpr std::uint64_t kProtobufLimit = 2'000'000'000;  // a message ends at 2 GiB

void write_signature(const std::string& name, const Tensor& tensor, onnx::TensorProto& proto) {
  proto.set_name(name);
  proto.set_data_type(static_cast<std::int32_t>(onnx_dtype(tensor.dtype())));
  for (std::int64_t d : tensor.shape()) proto.add_dims(d);
}

void write_tensor(const std::string& name, const Tensor& tensor, onnx::TensorProto& proto) {
  write_signature(name, tensor, proto);
  proto.set_raw_data(tensor.data(), tensor.byte_count());
}

// Its bytes are in another file.
void write_external(const std::string& name, const Tensor& tensor, const std::string& file, std::uint64_t offset,
                    onnx::TensorProto& proto) {
  write_signature(name, tensor, proto);
  proto.set_data_location(onnx::TensorProto::EXTERNAL);
  const auto put = [&](const char* key, const std::string& value) {
    auto& entry = *proto.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  };
  put("location", file);
  put("offset", std::to_string(offset));
  put("length", std::to_string(tensor.byte_count()));
}

void write_value(const ValueInfo& value, onnx::ValueInfoProto& proto) {
  proto.set_name(value.name);
  auto& type = *proto.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<std::int32_t>(onnx_dtype(value.dtype)));
  auto& shape = *type.mutable_shape();
  for (std::size_t axis = 0; axis < value.shape.size(); ++axis) {
    auto& dim = *shape.add_dim();
    if (value.shape[axis] >= 0) {
      dim.set_dim_value(value.shape[axis]);
    } else {
      // The batch is the same number everywhere; of other free dimensions nothing is known.
      dim.set_dim_param(axis == 0 ? "N" : fmt::format("{}_{}", value.name, axis));
    }
  }
}

void write_attribute(const std::string& name, const Attribute& attribute, onnx::AttributeProto& proto) {
  proto.set_name(name);
  if (const auto* integer = std::get_if<std::int64_t>(&attribute)) {
    proto.set_type(onnx::AttributeProto::INT);
    proto.set_i(*integer);
  } else if (const auto* real = std::get_if<float>(&attribute)) {
    proto.set_type(onnx::AttributeProto::FLOAT);
    proto.set_f(*real);
  } else if (const auto* text = std::get_if<std::string>(&attribute)) {
    proto.set_type(onnx::AttributeProto::STRING);
    proto.set_s(*text);
  } else if (const auto* tensor = std::get_if<Tensor>(&attribute)) {
    proto.set_type(onnx::AttributeProto::TENSOR);
    write_tensor("", *tensor, *proto.mutable_t());
  } else if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&attribute)) {
    proto.set_type(onnx::AttributeProto::INTS);
    for (std::int64_t value : *integers) proto.add_ints(value);
  } else if (const auto* reals = std::get_if<std::vector<float>>(&attribute)) {
    proto.set_type(onnx::AttributeProto::FLOATS);
    for (float value : *reals) proto.add_floats(value);
  } else if (const auto* texts = std::get_if<std::vector<std::string>>(&attribute)) {
    proto.set_type(onnx::AttributeProto::STRINGS);
    for (const std::string& value : *texts) proto.add_strings(value);
  }
}

void write_node(const Node& node, onnx::NodeProto& proto) {
  proto.set_name(node.name);
  proto.set_op_type(node.op_type);
  proto.set_domain(node.domain);
  for (const std::string& input : node.inputs) proto.add_input(input);
  for (const std::string& output : node.outputs) proto.add_output(output);
  for (const auto& [name, attribute] : node.attributes) write_attribute(name, attribute, *proto.add_attribute());
}

Result<void> write_model(const Graph& graph, const ExternalWeights& external, onnx::ModelProto& model) {
  model.set_ir_version(kIrVersion);
  model.set_producer_name("sightline");
  auto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(graph.opset);
  std::set<std::string> domains;
  for (const Node& node : graph.nodes) domains.insert(node.domain);
  for (const std::string& domain : domains) {
    if (domain.empty()) continue;
    auto& import = *model.add_opset_import();
    import.set_domain(domain);
    import.set_version(1);
  }
  auto& proto = *model.mutable_graph();
  proto.set_name(graph.name.empty() ? "graph" : graph.name);
  for (const Node& node : graph.nodes) write_node(node, *proto.add_node());
  for (const auto& [name, tensor] : graph.initializers) {
    const auto place = external.offsets.find(name);
    if (place == external.offsets.end()) {
      write_tensor(name, tensor, *proto.add_initializer());
    } else {
      write_external(name, tensor, external.file, place->second, *proto.add_initializer());
    }
  }
  for (const ValueInfo& input : graph.inputs) write_value(input, *proto.add_input());
  for (const ValueInfo& output : graph.outputs) write_value(output, *proto.add_output());
  std::map<std::string, std::string> metadata = graph.metadata;
  if (!graph.training_outputs.empty()) {
    SIGHTLINE_TRY(const auto values, infer_shapes(graph));
    for (const std::string& name : graph.training_outputs) write_value(values.at(name), *proto.add_output());
    metadata[kTrainingOutputsKey] = json_text(to_json(graph.training_outputs));
  }
  for (const auto& [key, value] : metadata) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  return {};
}

}  // namespace

std::string external_weights(const Graph& graph, std::size_t least, ExternalWeights& places) {
  constexpr std::size_t alignment = 64;
  std::string bytes;
  places.offsets.clear();
  for (const auto& [name, tensor] : graph.initializers) {
    if (tensor.byte_count() < std::max<std::size_t>(least, 1)) continue;
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    places.offsets[name] = bytes.size();
    bytes.append(reinterpret_cast<const char*>(tensor.data()), tensor.byte_count());
  }
  return bytes;
}

Result<std::string> serialize_onnx(const Graph& graph, const ExternalWeights& external) {
  SIGHTLINE_CHECK(check(graph));
  std::uint64_t size = 0;
  for (const auto& [name, tensor] : graph.initializers) size += external.offsets.contains(name) ? 0 : tensor.byte_count();
  if (size > kProtobufLimit)
    return Error{ErrorKind::unsupported, fmt::format("the weights have {}; an ONNX file holds at most 2 GB", human_bytes(size))};
  // Protobuf and the JSON library throw when memory runs out or a name is no UTF-8.
  try {
    onnx::ModelProto model;
    SIGHTLINE_CHECK(write_model(graph, external, model));
    std::string bytes;
    {
      google::protobuf::io::StringOutputStream stream(&bytes);
      google::protobuf::io::CodedOutputStream coded(&stream);
      coded.SetSerializationDeterministic(true);
      if (!model.SerializeToCodedStream(&coded)) return Error{ErrorKind::internal, "protobuf could not write the model"};
    }
    return bytes;
  } catch (const std::exception& exception) {
    return Error{ErrorKind::invalid_data, fmt::format("the graph \"{}\" cannot be written: {}", graph.name, exception.what())};
  }
}

}  // namespace sightline::graph
