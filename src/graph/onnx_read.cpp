// Reads ONNX files: whoever made them, so nothing in them is believed before it is checked.
// Specification: onnx/onnx.proto (IR versions 3 to 8; newer ones add fields that are skipped) and docs/ExternalData.md of ONNX.
#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <memory>
#include <queue>
#include <set>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "graph/onnx_names.h"
#include "graph/operators.h"

namespace sightline::graph {
namespace {

static_assert(std::endian::native == std::endian::little, "raw tensors are little-endian");

constexpr std::int64_t kLeastOpset = 6;

Error invalid(std::string message) { return {ErrorKind::invalid_data, std::move(message)}; }
Error unsupported(std::string message) { return {ErrorKind::unsupported, std::move(message)}; }

// Maps the external data files of one model, each once.
class ExternalData {
 public:
  // folder: where the model lies, or "" when it came as bytes.
  explicit ExternalData(std::string folder) : folder_(std::move(folder)) {}

  Result<std::span<const std::byte>> find(const onnx::TensorProto& tensor, std::size_t wanted) {
    std::string location;
    std::uint64_t offset = 0;
    std::uint64_t length = wanted;
    for (const auto& entry : tensor.external_data()) {
      if (entry.key() == "location") location = entry.value();
      if (entry.key() == "offset" || entry.key() == "length") {
        const std::string& digits = entry.value();
        if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos)
          return invalid(fmt::format("the {} of its external data is \"{}\"", entry.key(), digits));
        (entry.key() == "offset" ? offset : length) = std::stoull(digits);
      }
    }
    if (length != wanted) return invalid(fmt::format("its external data has {} bytes where {} are needed", length, wanted));
    SIGHTLINE_TRY(const std::span<const std::byte> bytes, open(location));
    if (offset > bytes.size() || wanted > bytes.size() - offset)
      return invalid(fmt::format("its external data \"{}\" ends before byte {}", location, offset + wanted));
    return bytes.subspan(offset, wanted);
  }

 private:
  Result<std::span<const std::byte>> open(const std::string& location) {
    namespace fs = std::filesystem;
    if (folder_.empty()) return unsupported("it has external data, which only a model file can have");
    const fs::path relative(location);
    // A model may name only files below its own folder, however it spells them.
    const bool climbs = std::ranges::any_of(relative, [](const fs::path& part) { return part == ".."; });
    if (location.empty() || location.find('\0') != std::string::npos || location.find('\\') != std::string::npos ||
        relative.is_absolute() || climbs)
      return invalid(fmt::format("its external data \"{}\" is not a plain path below the model's folder", location));
    if (const auto found = files_.find(location); found != files_.end()) return found->second.bytes();
    std::error_code problem;
    const fs::path root = fs::canonical(folder_, problem);
    const fs::path path = problem ? fs::path() : fs::canonical(root / relative, problem);
    if (problem) return Error{ErrorKind::not_found, fmt::format("its external data \"{}\" is missing", location)};
    const fs::path from_root = path.lexically_relative(root);
    if (from_root.empty() || *from_root.begin() == "..")
      return invalid(fmt::format("its external data \"{}\" is a link that leaves the model's folder", location));
    if (!fs::is_regular_file(path, problem)) return invalid(fmt::format("its external data \"{}\" is no plain file", location));
    SIGHTLINE_TRY(MappedFile file, MappedFile::open(path.string()));
    return files_.emplace(location, std::move(file)).first->second.bytes();
  }

  std::string folder_;
  std::map<std::string, MappedFile> files_;
};

template <class T, class Values>
Result<void> copy_typed(const Values& from, Tensor& to) {
  if (from.size() != to.count()) return invalid(fmt::format("it has {} elements where {} are needed", from.size(), to.count()));
  std::copy(from.begin(), from.end(), reinterpret_cast<T*>(to.data()));
  return {};
}

// The narrow types travel as int32.
template <class T>
Result<void> copy_narrow(const onnx::TensorProto& from, Tensor& to) {
  for (std::int32_t value : from.int32_data()) {
    if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max())
      return invalid(fmt::format("it holds {}, which is no {}", value, name_of(to.dtype())));
  }
  return copy_typed<T>(from.int32_data(), to);
}

std::int64_t typed_count(const onnx::TensorProto& tensor, Dtype dtype) {
  switch (dtype) {
    case Dtype::f32: return tensor.float_data_size();
    case Dtype::f64: return tensor.double_data_size();
    case Dtype::i64: return tensor.int64_data_size();
    default: return tensor.int32_data_size();
  }
}

Result<Tensor> read_tensor(const onnx::TensorProto& proto, ExternalData& external) {
  const auto dtype = dtype_from_onnx(proto.data_type());
  if (!dtype) return unsupported(fmt::format("its ONNX data type {} is not one that Sightline has", proto.data_type()));
  if (proto.has_segment()) return unsupported("it is stored in segments");
  const Shape shape(proto.dims().begin(), proto.dims().end());
  const auto count = known_count(shape);
  if (!count || std::ranges::any_of(shape, [](std::int64_t d) { return d < 0; }))
    return invalid(fmt::format("its shape [{}] is impossible", fmt::join(shape, ", ")));
  const std::size_t wanted = static_cast<std::size_t>(*count) * size_of(*dtype);
  const auto copy_bytes = [&](const void* from) {
    Tensor tensor(*dtype, shape);
    if (wanted > 0) std::memcpy(tensor.data(), from, wanted);
    return tensor;
  };
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    SIGHTLINE_TRY(const std::span<const std::byte> bytes, external.find(proto, wanted));
    return copy_bytes(bytes.data());
  }
  if (proto.has_raw_data()) {
    if (proto.raw_data().size() != wanted)
      return invalid(fmt::format("it holds {} bytes, but its shape {} of {} needs {}", proto.raw_data().size(), to_string(shape),
                                 name_of(*dtype), wanted));
    if (*dtype == Dtype::boolean && std::ranges::any_of(proto.raw_data(), [](char c) { return c != 0 && c != 1; }))
      return invalid("it holds booleans that are neither 0 nor 1");
    return copy_bytes(proto.raw_data().data());
  }
  // Nothing is allocated for elements that are not there.
  if (typed_count(proto, *dtype) != *count)
    return invalid(fmt::format("it holds {} elements, but its shape {} needs {}", typed_count(proto, *dtype), to_string(shape), *count));
  Tensor tensor(*dtype, shape);
  switch (*dtype) {
    case Dtype::f32: SIGHTLINE_CHECK(copy_typed<float>(proto.float_data(), tensor)); break;
    case Dtype::f64: SIGHTLINE_CHECK(copy_typed<double>(proto.double_data(), tensor)); break;
    case Dtype::i64: SIGHTLINE_CHECK(copy_typed<std::int64_t>(proto.int64_data(), tensor)); break;
    case Dtype::i32: SIGHTLINE_CHECK(copy_typed<std::int32_t>(proto.int32_data(), tensor)); break;
    case Dtype::i8: SIGHTLINE_CHECK(copy_narrow<std::int8_t>(proto, tensor)); break;
    case Dtype::u8: SIGHTLINE_CHECK(copy_narrow<std::uint8_t>(proto, tensor)); break;
    case Dtype::boolean: SIGHTLINE_CHECK(copy_narrow<bool>(proto, tensor)); break;
    case Dtype::f16:
    case Dtype::bf16: SIGHTLINE_CHECK(copy_narrow<std::uint16_t>(proto, tensor)); break;
  }
  return tensor;
}

Result<Attribute> read_attribute(const onnx::AttributeProto& proto, ExternalData& external) {
  if (!proto.ref_attr_name().empty()) return unsupported("refers to a function's attribute");
  switch (proto.type()) {
    case onnx::AttributeProto::INT: return Attribute(static_cast<std::int64_t>(proto.i()));
    case onnx::AttributeProto::FLOAT: return Attribute(proto.f());
    case onnx::AttributeProto::STRING: return Attribute(proto.s());
    case onnx::AttributeProto::INTS: return Attribute(std::vector<std::int64_t>(proto.ints().begin(), proto.ints().end()));
    case onnx::AttributeProto::FLOATS: return Attribute(std::vector<float>(proto.floats().begin(), proto.floats().end()));
    case onnx::AttributeProto::STRINGS: return Attribute(std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
    case onnx::AttributeProto::TENSOR: {
      SIGHTLINE_TRY(Tensor tensor, read_tensor(proto.t(), external));
      return Attribute(std::move(tensor));
    }
    default: return unsupported("is of a kind that Sightline does not have (a graph, a type or a sparse tensor)");
  }
}

Result<ValueInfo> read_value(const onnx::ValueInfoProto& proto, bool shape_needed) {
  ValueInfo value{proto.name(), Dtype::f32, {}};
  if (!proto.type().has_tensor_type()) {
    if (proto.has_type() || shape_needed) return unsupported(fmt::format("\"{}\" is not a tensor", proto.name()));
    return value;
  }
  const auto& type = proto.type().tensor_type();
  const auto dtype = dtype_from_onnx(type.elem_type());
  if (!dtype) return unsupported(fmt::format("\"{}\" has the ONNX data type {}", proto.name(), type.elem_type()));
  value.dtype = *dtype;
  if (!type.has_shape() && shape_needed) return unsupported(fmt::format("the input \"{}\" does not say its shape", proto.name()));
  for (const auto& dim : type.shape().dim()) {
    if (dim.has_dim_value() && dim.dim_value() < 0)
      return invalid(fmt::format("\"{}\" has the dimension {}", proto.name(), dim.dim_value()));
    value.shape.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
  }
  return value;
}

// The tensor that a Constant node makes.
Result<Tensor> constant_of(const Node& node) {
  if (node.attributes.size() == 1) {
    const Attribute& value = node.attributes.begin()->second;
    if (const auto* tensor = std::get_if<Tensor>(&value)) return *tensor;
    if (const auto* real = std::get_if<float>(&value)) return Tensor::of<float>({}, {*real});
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return Tensor::of<std::int64_t>({}, {*integer});
    if (const auto* reals = std::get_if<std::vector<float>>(&value))
      return Tensor::of<float>({static_cast<std::int64_t>(reals->size())}, *reals);
    if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&value))
      return Tensor::of<std::int64_t>({static_cast<std::int64_t>(integers->size())}, *integers);
  }
  return unsupported(describe(node) + ": a constant that is neither a tensor nor numbers");
}

Result<Node> read_node(const onnx::NodeProto& proto, ExternalData& external) {
  Node node{proto.name(),
            proto.op_type(),
            {proto.input().begin(), proto.input().end()},
            {proto.output().begin(), proto.output().end()},
            {},
            proto.domain() == "ai.onnx" ? "" : proto.domain()};
  if (node.op_type.empty()) return invalid(describe(node) + ": it names no operator");
  for (const auto& attribute : proto.attribute()) {
    auto value = read_attribute(attribute, external);
    if (!value.ok()) return value.error().in(fmt::format("{}, attribute \"{}\"", describe(node), attribute.name()));
    if (!node.attributes.emplace(attribute.name(), *std::move(value)).second)
      return fault(node, fmt::format("the attribute \"{}\" is given twice", attribute.name()));
  }
  // Trailing empty names say nothing.
  while (!node.inputs.empty() && node.inputs.back().empty()) node.inputs.pop_back();
  while (!node.outputs.empty() && node.outputs.back().empty()) node.outputs.pop_back();
  return node;
}

// Makers before readers; nodes that are in order already stay where they are.
Result<void> sort_nodes(Graph& graph) {
  std::map<std::string, std::size_t> maker;
  std::set<std::string> given;
  for (const ValueInfo& input : graph.inputs) given.insert(input.name);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& output : graph.nodes[i].outputs) {
      const bool twice = given.contains(output) || graph.initializers.contains(output);
      if (!output.empty() && (twice || !maker.emplace(output, i).second))
        return fault(graph.nodes[i], fmt::format("\"{}\" is made twice", output));
    }
  }
  std::vector<std::vector<std::size_t>> readers(graph.nodes.size());
  std::vector<std::size_t> waits(graph.nodes.size(), 0);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& input : graph.nodes[i].inputs) {
      const auto found = maker.find(input);
      if (found == maker.end()) continue;  // an input, an initializer, or a mistake that check() names
      readers[found->second].push_back(i);
      ++waits[i];
    }
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    if (waits[i] == 0) ready.push(i);
  }
  std::vector<Node> sorted;
  while (!ready.empty()) {
    const std::size_t i = ready.top();
    ready.pop();
    sorted.push_back(graph.nodes[i]);
    for (std::size_t reader : readers[i]) {
      if (--waits[reader] == 0) ready.push(reader);
    }
  }
  if (sorted.size() != graph.nodes.size()) {
    const auto stuck = std::ranges::find_if(waits, [](std::size_t n) { return n > 0; });
    return fault(graph.nodes[static_cast<std::size_t>(stuck - waits.begin())], "it waits for itself: the graph has a cycle");
  }
  graph.nodes = std::move(sorted);
  return {};
}

Result<void> read_head(const onnx::ModelProto& model, Graph& graph) {
  if (model.ir_version() < 3)
    return invalid(fmt::format("its IR version is {}; it is no ONNX model, or one from before 2017", model.ir_version()));
  graph.opset = 0;
  for (const auto& import : model.opset_import()) {
    if (!import.domain().empty() && import.domain() != "ai.onnx") continue;
    if (graph.opset != 0) return invalid("it imports ONNX's operators twice");
    graph.opset = import.version();
  }
  if (graph.opset < kLeastOpset)
    return unsupported(fmt::format("opset {}; from {} on they are read: convert it with the tool that made it", graph.opset, kLeastOpset));
  if (model.functions_size() > 0) return unsupported("it defines functions of its own");
  for (const auto& entry : model.metadata_props()) {
    if (!graph.metadata.emplace(entry.key(), entry.value()).second)
      return invalid(fmt::format("the metadata key \"{}\" is given twice", entry.key()));
  }
  return {};
}

// Takes the weights out of proto one by one, so that a model is never in memory twice.
Result<void> read_body(onnx::GraphProto& proto, const ReadLimits& limits, ExternalData& external, Graph& graph) {
  if (static_cast<std::size_t>(proto.node_size()) > limits.max_nodes ||
      static_cast<std::size_t>(proto.initializer_size()) > limits.max_nodes)
    return Error{ErrorKind::refused,
                 fmt::format("it has {} and {}; at most {} are read", plural(static_cast<std::uint64_t>(proto.node_size()), "node"),
                             plural(static_cast<std::uint64_t>(proto.initializer_size()), "initializer"), limits.max_nodes)};
  if (proto.sparse_initializer_size() > 0) return unsupported("it has sparse initializers");
  graph.name = proto.name();
  for (auto& initializer : *proto.mutable_initializer()) {
    auto tensor = read_tensor(initializer, external);
    if (!tensor.ok()) return tensor.error().in(fmt::format("initializer \"{}\"", initializer.name()));
    const std::unique_ptr<std::string> read(initializer.release_raw_data());
    if (!graph.initializers.emplace(initializer.name(), *std::move(tensor)).second)
      return invalid(fmt::format("there are two initializers \"{}\"", initializer.name()));
  }
  for (const auto& each : proto.node()) {
    SIGHTLINE_TRY(Node node, read_node(each, external));
    if (node.op_type != "Constant" || !node.domain.empty()) {
      graph.nodes.push_back(std::move(node));
      continue;
    }
    SIGHTLINE_TRY(Tensor tensor, constant_of(node));
    if (node.outputs.size() != 1 || node.outputs[0].empty()) return fault(node, "a constant has one output");
    if (!graph.initializers.emplace(node.outputs[0], std::move(tensor)).second)
      return fault(node, fmt::format("\"{}\" is made twice", node.outputs[0]));
  }
  for (const auto& each : proto.input()) {
    if (graph.initializers.contains(each.name())) continue;  // before IR 4 every initializer was an input as well
    SIGHTLINE_TRY(ValueInfo value, read_value(each, true));
    graph.inputs.push_back(std::move(value));
  }
  for (const auto& each : proto.output()) {
    SIGHTLINE_TRY(ValueInfo value, read_value(each, false));
    graph.outputs.push_back(std::move(value));
  }
  return sort_nodes(graph);
}

// Training outputs lie behind the serving outputs in the file; the metadata names them.
Result<void> split_training_outputs(Graph& graph) {
  const auto entry = graph.metadata.find(kTrainingOutputsKey);
  if (entry == graph.metadata.end()) return {};
  SIGHTLINE_TRY(const Json names, parse_json(entry->second, fmt::format("metadata \"{}\"", kTrainingOutputsKey)));
  SIGHTLINE_CHECK(from_json(names, graph.training_outputs, kTrainingOutputsKey));
  for (const std::string& name : graph.training_outputs) {
    if (std::erase_if(graph.outputs, [&](const ValueInfo& output) { return output.name == name; }) == 0)
      return invalid(fmt::format("the metadata names a training output \"{}\" that is no output", name));
  }
  graph.metadata.erase(entry);
  return {};
}

Result<onnx::ModelProto> parse_model(std::string_view bytes, const ReadLimits& limits) {
  if (bytes.empty()) return invalid("it is empty");
  if (bytes.size() > limits.max_bytes || bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    return Error{ErrorKind::refused,
                 fmt::format("it has {}, at most {} are read", human_bytes(bytes.size()), human_bytes(limits.max_bytes))};
  onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return invalid("it is not an ONNX model, or it is cut off");
  if (!model.has_graph()) return invalid("it holds no graph");
  return model;
}

Result<Graph> read_model(onnx::ModelProto model, const std::string& folder, const ReadLimits& limits) {
  Graph graph;
  ExternalData external(folder);
  SIGHTLINE_CHECK(read_head(model, graph));
  SIGHTLINE_CHECK(read_body(*model.mutable_graph(), limits, external, graph));
  if (graph.opset == 6) SIGHTLINE_CHECK(respell_opset_6(graph));
  SIGHTLINE_CHECK(split_training_outputs(graph));
  SIGHTLINE_CHECK(check(graph));
  // What a file says of its outputs is often vague or missing; what follows from the inputs is not.
  if (const auto values = infer_shapes(graph); values.ok()) {
    for (ValueInfo& output : graph.outputs) output = values->at(output.name);
  } else if (values.error().kind != ErrorKind::unsupported) {
    return values.error();
  }
  return graph;
}

// parse gives the model and lets go the bytes that it came from.
template <class Parse>
Result<Graph> read_from(Parse parse, const std::string& folder, const std::string& source, const ReadLimits& limits) {
  // Protobuf and the JSON library throw when memory runs out or a text is no UTF-8.
  try {
    Result<onnx::ModelProto> model = parse();
    if (!model.ok()) return model.error().in(source);
    auto graph = read_model(*std::move(model), folder, limits);
    if (!graph.ok()) return graph.error().in(source);
    return graph;
  } catch (const std::exception& exception) {
    return invalid(fmt::format("{}: {}", source, exception.what()));
  }
}

}  // namespace

Result<Graph> parse_onnx(std::string_view bytes, const std::string& source, const ReadLimits& limits) {
  return read_from([&] { return parse_model(bytes, limits); }, "", source, limits);
}

Result<Tensor> read_tensor(const std::string& path, const ReadLimits& limits) {
  SIGHTLINE_TRY(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  if (bytes.size() > limits.max_bytes || bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    return Error{ErrorKind::refused,
                 fmt::format("{} has {}, at most {} are read", path, human_bytes(bytes.size()), human_bytes(limits.max_bytes))};
  try {
    onnx::TensorProto proto;
    if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return invalid(fmt::format("{}: it is not an ONNX tensor, or it is cut off", path));
    ExternalData none("");
    auto tensor = read_tensor(proto, none);
    if (!tensor.ok()) return tensor.error().in(path);
    return tensor;
  } catch (const std::exception& exception) {
    return invalid(fmt::format("{}: {}", path, exception.what()));
  }
}

Result<Graph> read_onnx(const std::string& path, const ReadLimits& limits) {
  // A pipe or a device would never end.
  std::error_code problem;
  if (std::filesystem::exists(path, problem) && !std::filesystem::is_regular_file(path, problem))
    return invalid(fmt::format("{} is not a plain file", path));
  SIGHTLINE_TRY(MappedFile mapped, MappedFile::open(path));
  const std::string folder = std::filesystem::path(absolute_path(path)).parent_path().string();
  const auto parse = [&] {
    const MappedFile file = std::move(mapped);
    return parse_model({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, limits);
  };
  return read_from(parse, folder, path, limits);
}

}  // namespace sightline::graph
