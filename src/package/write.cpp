#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "base/text.h"
#include "package/golden.h"
#include "package/layout.h"
#include "package/metadata.h"
#include "package/package.h"

namespace sightline::package {
namespace {

namespace fs = std::filesystem;

const char* triton_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::u8: return "TYPE_UINT8";
    case Dtype::i8: return "TYPE_INT8";
    case Dtype::i32: return "TYPE_INT32";
    case Dtype::i64: return "TYPE_INT64";
    case Dtype::f16: return "TYPE_FP16";
    case Dtype::bf16: return "TYPE_BF16";
    case Dtype::f64: return "TYPE_FP64";
    case Dtype::boolean: return "TYPE_BOOL";
    case Dtype::f32: break;
  }
  return "TYPE_FP32";
}

// Triton batches requests only where every output has a row for each picture; what suppresses overlaps lists its choices in one.
bool has_rows(const graph::Graph& graph) {
  return std::ranges::none_of(graph.nodes, [](const graph::Node& node) { return node.op_type == "NonMaxSuppression"; });
}

// Triton's ModelConfig in protobuf's text form. It carries no name: Triton then takes the folder's, whatever the folder is called.
std::string config_text(const graph::Graph& graph) {
  const bool batches = has_rows(graph);
  const auto dims = [&](const Shape& shape) {
    std::vector<std::string> words;
    for (std::size_t i = batches ? 1 : 0; i < shape.size(); ++i) words.push_back(std::to_string(shape[i]));
    return join(words, ", ");
  };
  const graph::ValueInfo& image = graph.inputs[0];
  std::string outputs;
  for (const graph::ValueInfo& output : graph.outputs) {
    const bool first = &output == graph.outputs.data();
    outputs += fmt::format("{}  {{\n    name: \"{}\"\n    data_type: {}\n    dims: [ {} ]\n", first ? "" : ",\n", output.name,
                           triton_type(output.dtype), dims(output.shape));
    if (first && batches) outputs += fmt::format("    label_filename: \"{}\"\n", labels_file);
    outputs += "  }";
  }
  return fmt::format(R"(platform: "onnxruntime_onnx"
backend: "onnxruntime"
max_batch_size: {}
input [
  {{
    name: "{}"
    data_type: TYPE_UINT8
    dims: [ {} ]
  }}
]
output [
{}
]
)",
                     batches ? 64 : 0, image.name, dims(image.shape), outputs);
}

// Names of values come from graphs of anyone; in the configuration they stand between quotes.
bool needs_no_quoting(const std::string& name) { return is_printable(name, 1000) && name.find_first_of("\"\\") == std::string::npos; }

// One file under two names where the file system can do that.
Result<void> link_or_copy(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return {};
  SIGHTLINE_TRY(const std::string content, read_file(from));
  return write_file(to, content);
}

Result<void> fill(const Contents& contents, const std::string& folder) {
  graph::Graph graph = contents.graph;
  SIGHTLINE_CHECK(add_metadata(graph, contents));
  const bool plain = std::ranges::all_of(graph.outputs, [](const graph::ValueInfo& output) { return needs_no_quoting(output.name); });
  if (!needs_no_quoting(graph.inputs[0].name) || !plain || (contents.task == "classify" && graph.outputs[0].shape.size() != 2))
    return Error{ErrorKind::invalid_data,
                 "cannot package the model: its inputs and outputs need plain names, and a classifier's output the shape N×K"};
  if (!contents.lineage.is_object()) return Error{ErrorKind::invalid_data, "cannot package the model: its lineage is not a JSON object"};
  graph::ExternalWeights external;
  if (!contents.shared.path.empty()) external = {shared_name, contents.shared.offsets};
  SIGHTLINE_TRY(const std::string model, graph::serialize_onnx(graph, external));
  SIGHTLINE_CHECK(make_directories(folder + "/" + version_folder));
  if (!contents.shared.path.empty()) SIGHTLINE_CHECK(link_or_copy(contents.shared.path, folder + "/" + shared_file));
  SIGHTLINE_CHECK(write_file(folder + "/" + config_file, config_text(graph)));
  SIGHTLINE_CHECK(write_file(folder + "/" + labels_file, join(contents.labels, "\n") + "\n"));
  SIGHTLINE_CHECK(write_file(folder + "/" + model_file, model));
  SIGHTLINE_CHECK(write_file(folder + "/" + lineage_file, json_text(contents.lineage, 2) + "\n"));
  {
    // One thread, so that the number of cores does not decide the bits of the expected answers.
    SIGHTLINE_TRY(Model writer, Model::open(folder, {.threads = 1, .check_golden = false}));
    SIGHTLINE_CHECK(write_golden(folder, contents.golden, writer));
  }
  SIGHTLINE_CHECK(sync_directory(folder + "/" + version_folder));
  SIGHTLINE_CHECK(sync_directory(folder));
  const auto reopened = Model::open(folder);
  if (!reopened.ok()) return reopened.error().in("the package that was just written does not verify");
  return {};
}

Error exists_already(const std::string& folder) {
  return {ErrorKind::conflict, fmt::format("{}: exists already; name another folder, or remove it", folder)};
}

}  // namespace

Result<void> write_package(const Contents& contents, const std::string& folder) {
  const fs::path target = fs::path(absolute_path(folder)).lexically_normal();
  const fs::path final_path = target.has_filename() ? target : target.parent_path();
  if (path_exists(final_path.string())) return exists_already(folder);
  SIGHTLINE_CHECK(make_directories(final_path.parent_path().string()));
  const std::string temporary =
      fmt::format("{}/.{}.writing-{}", final_path.parent_path().string(), sha256_of(final_path.string()).substr(0, 12), ::getpid());
  SIGHTLINE_CHECK(remove_all(temporary));  // of an earlier process with our number
  auto status = fill(contents, temporary);
  if (status.ok()) status = path_exists(final_path.string()) ? exists_already(folder) : rename_path(temporary, final_path.string());
  if (!status.ok()) (void)remove_all(temporary);
  return status;
}

Result<Contents> read_contents(const std::string& folder) {
  SIGHTLINE_TRY(const Model model, Model::open(folder, {.threads = 1, .check_golden = false}));
  Contents contents{.name = model.name(),
                    .task = model.task(),
                    .graph = model.graph(),
                    .labels = model.labels(),
                    .preprocessing = model.preprocessing(),
                    .lineage = model.lineage(),
                    .precision = model.precision()};
  SIGHTLINE_TRY(contents.golden, read_golden(folder, model));
  return contents;
}

Result<std::uint64_t> shipped_size(const std::string& folder) {
  std::uint64_t size = 0;
  for (const char* name : {config_file, labels_file, model_file, lineage_file}) {
    std::error_code code;
    const auto bytes = fs::file_size(fs::path(folder) / name, code);
    if (code) return Error{ErrorKind::not_found, fmt::format("{}/{}: {}", folder, name, code.message())};
    size += bytes;
  }
  std::error_code none;  // most packages share nothing
  if (const auto bytes = fs::file_size(fs::path(folder) / shared_file, none); !none) size += bytes;
  return size;
}

Result<void> write_card(const std::string& folder, const std::string& markdown) { return write_file(folder + "/" + card_file, markdown); }

}  // namespace sightline::package
