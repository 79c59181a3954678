// onnx show|check|diff: what an ONNX file holds, whether the runtime can run it, where two files differ.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "app/cli/bench_inputs.h"
#include "app/cli/onnx_diff.h"
#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/text.h"
#include "graph/graph.h"
#include "runtime/session.h"

namespace sightline::cli {
namespace {

constexpr int differs = 1;  // exit code of diff, as of diff(1)

struct Options {
  std::string action, file, other;
  std::vector<std::string> shapes;
  int most = 20;
};

Result<graph::Graph> read(const std::string& file, const std::vector<std::string>& shapes) {
  SIGHTLINE_TRY(graph::Graph graph, graph::read_onnx(file));
  for (const std::string& shape : shapes) {
    SIGHTLINE_CHECK(apply_shape(graph, shape));
  }
  return graph;
}

bool is_supported(const graph::Node& node) {
  static const std::vector<std::string> supported = runtime::supported_operators();
  // What only training needs is stripped before the runtime sees it.
  return node.domain.empty() && std::binary_search(supported.begin(), supported.end(), node.op_type);
}

std::string full_name(const graph::Node& node) { return node.domain.empty() ? node.op_type : node.domain + "." + node.op_type; }

// "node "x" (Op, opset 13)", one for each node that the runtime has no operator for.
std::vector<std::string> unsupported_nodes(const graph::Graph& graph) {
  std::vector<std::string> nodes;
  for (const graph::Node& node : graph.nodes) {
    if (!is_supported(node))
      nodes.push_back(fmt::format("node \"{}\" ({}, opset {})", node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name,
                                  full_name(node), graph.opset));
  }
  return nodes;
}

std::string human_flops(double flops) { return flops >= 1e9 ? fmt::format("{:.2f} G", flops / 1e9) : fmt::format("{:.1f} M", flops / 1e6); }

Json json_of(const std::vector<graph::ValueInfo>& values) {
  Json list = Json::array();
  for (const graph::ValueInfo& value : values)
    list.push_back({{"name", value.name}, {"dtype", name_of(value.dtype)}, {"shape", value.shape}});
  return list;
}

// --- show ---

Result<int> show(const Options& options, Console& console) {
  SIGHTLINE_TRY(const graph::Graph graph, read(options.file, options.shapes));
  const auto values = graph::infer_shapes(graph);
  std::vector<graph::ValueInfo> outputs = graph.outputs;
  if (values.ok()) {
    for (graph::ValueInfo& output : outputs) output = values->at(output.name);
  }
  const auto cost = graph::cost_of(graph::fold_batch_norm(graph::serving_graph(graph)));
  std::map<std::string, std::size_t> counts;
  std::map<std::string, bool> supported;
  std::size_t weights = 0;
  for (const graph::Node& node : graph.nodes) {
    ++counts[full_name(node)];
    supported[full_name(node)] = is_supported(node);
  }
  for (const auto& [name, tensor] : graph.initializers) weights += tensor.byte_count();
  std::vector<std::pair<std::string, std::size_t>> order(counts.begin(), counts.end());
  std::ranges::stable_sort(order, [](const auto& a, const auto& b) { return a.second > b.second; });

  console.say("{}: opset {}, {}", options.file, graph.opset, plural(graph.nodes.size(), "node"));
  const auto signature = [&](const char* what, const std::vector<graph::ValueInfo>& list) {
    for (const graph::ValueInfo& value : list)
      console.say("  {:<11}{}  {} {}", what, value.name, name_of(value.dtype), to_string(value.shape));
  };
  signature("input", graph.inputs);
  signature("output", outputs);
  console.say("  {:<11}{}", "weights", human_bytes(weights));
  if (cost.ok()) {
    console.say("  {:<11}{}", "parameters", human_count(static_cast<std::uint64_t>(cost->parameters)));
    console.say("  {:<11}{} for one image (a multiplication and an addition count as two)", "FLOPs",
                human_flops(static_cast<double>(cost->flops)));
  } else {
    console.say("  {:<11}not known: {}", "FLOPs", cost.error().message);
  }
  std::vector<std::vector<std::string>> rows;
  Json operators = Json::array();
  for (const auto& [name, count] : order) {
    rows.push_back({name, std::to_string(count), supported[name] ? "yes" : "no"});
    operators.push_back({{"operator", name}, {"count", count}, {"supported", supported[name]}});
  }
  console.table({"operator", "nodes", "runs here"}, rows);
  const auto missing = unsupported_nodes(graph);
  if (!missing.empty())
    console.say("{} cannot run here; `sightline onnx check {}` names them", plural(missing.size(), "node"), options.file);
  console.document({{"file", options.file},
                    {"opset", graph.opset},
                    {"nodes", graph.nodes.size()},
                    {"inputs", json_of(graph.inputs)},
                    {"outputs", json_of(outputs)},
                    {"weight_bytes", weights},
                    {"parameters", cost.ok() ? Json(cost->parameters) : Json(nullptr)},
                    {"flops", cost.ok() ? Json(cost->flops) : Json(nullptr)},
                    {"operators", operators},
                    {"unsupported", missing}});
  return 0;
}

// --- check ---

Result<int> check_file(const Options& options, Console& console) {
  SIGHTLINE_TRY(const graph::Graph graph, read(options.file, options.shapes));
  SIGHTLINE_CHECK(graph::check(graph));
  const auto missing = unsupported_nodes(graph::serving_graph(graph));
  std::optional<Error> error;
  if (missing.empty()) {
    // Planning finds what the operators' names alone do not tell.
    const auto session = runtime::Session::create(graph, {.threads = 1});
    if (!session.ok()) error = session.error().in(options.file);
  } else {
    error = Error{ErrorKind::unsupported,
                  fmt::format("{}: the runtime does not have the operators of {}", options.file, plural(missing.size(), "node"))};
  }
  for (const std::string& node : missing) console.say("{}: {}: the runtime does not have this operator", options.file, node);
  if (!error) {
    console.say("{}: {} with {}, opset {}: it can be run here", options.file, plural(graph.nodes.size(), "node"),
                plural(graph.initializers.size(), "constant"), graph.opset);
  } else if (console.json) {
    console.document({{"file", options.file},
                      {"runs", false},
                      {"unsupported", missing},
                      {"error", {{"kind", name_of(error->kind)}, {"message", error->message}}}});
    return exit_code_of(error->kind);
  } else {
    return *error;
  }
  console.document({{"file", options.file}, {"runs", true}, {"unsupported", missing}});
  return 0;
}

// --- diff ---

const char* name_of(WeightDifference::Kind kind) {
  switch (kind) {
    case WeightDifference::Kind::value: return "values differ";
    case WeightDifference::Kind::shape: return "another shape";
    case WeightDifference::Kind::only_left: return "only in the first";
    case WeightDifference::Kind::only_right: return "only in the second";
  }
  return "";
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

void print_parting(const Console& console, const char* which, const std::vector<std::string>& begin, std::size_t following, int most) {
  if (begin.empty()) return;
  console.say("only in the {} file: {}, and {} that follow from them", which, plural(begin.size(), "node"), following);
  for (std::size_t i = 0; i < begin.size() && i < static_cast<std::size_t>(most); ++i) console.say("  {}", begin[i]);
  if (begin.size() > static_cast<std::size_t>(most)) console.say("  … and {} more", begin.size() - static_cast<std::size_t>(most));
}

Result<int> diff(const Options& options, Console& console) {
  if (options.other.empty()) return Error{ErrorKind::usage, "diff takes two files"};
  SIGHTLINE_TRY(const graph::Graph left, graph::read_onnx(options.file));
  SIGHTLINE_TRY(const graph::Graph right, graph::read_onnx(options.other));
  const GraphDifference difference = difference_of(left, right);
  for (const std::string& note : difference.notes) console.say("{}", note);
  if (difference.same) {
    console.say("the two compute the same, weights and all{}", difference.weights.empty() ? "" : "; only names differ");
  } else if (difference.same_structure) {
    console.say("the same structure, other weights");
  } else {
    print_parting(console, "first", difference.only_left, difference.following_left, options.most);
    print_parting(console, "second", difference.only_right, difference.following_right, options.most);
  }
  std::vector<std::vector<std::string>> rows;
  Json weights = Json::array();
  for (const WeightDifference& each : difference.weights) {
    const bool values = each.kind == WeightDifference::Kind::value;
    if (rows.size() < static_cast<std::size_t>(options.most))
      rows.push_back({each.name, name_of(each.kind), each.left, each.right, values ? fmt::format("{:.3g}", each.difference) : "",
                      values ? fmt::format("{:.3g}", each.relative) : ""});
    weights.push_back({{"name", each.name},
                       {"what", name_of(each.kind)},
                       {"left", each.left},
                       {"right", each.right},
                       {"difference", number_or_null(each.difference)},
                       {"relative", number_or_null(each.relative)}});
  }
  if (!difference.same && !rows.empty()) {
    console.say("{} of {} constants differ by name:", difference.weights.size(),
                std::max(left.initializers.size(), right.initializers.size()));
    console.table({"constant", "what", "first", "second", "largest difference", "relative"}, rows);
    if (difference.weights.size() > rows.size()) console.say("… and {} more (--most N)", difference.weights.size() - rows.size());
  }
  console.document({{"files", {options.file, options.other}},
                    {"same", difference.same},
                    {"same_structure", difference.same_structure},
                    {"notes", difference.notes},
                    {"only_left", difference.only_left},
                    {"only_right", difference.only_right},
                    {"following", {difference.following_left, difference.following_right}},
                    {"weights", weights}});
  return difference.same ? 0 : differs;
}

Result<int> act(const Options& options, Console& console) {
  if (options.most < 1) return Error{ErrorKind::usage, "--most must be at least 1"};
  if (options.action == "diff") return diff(options, console);
  if (!options.other.empty()) return Error{ErrorKind::usage, fmt::format("{} takes one file", options.action)};
  return options.action == "show" ? show(options, console) : check_file(options, console);
}

Action declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("ACTION", options->action, "show, check or diff", true, {"show", "check", "diff"});
  arguments.positional("FILE", options->file, "an .onnx file");
  arguments.positional("FILE2", options->other, "for diff: the other file", false);
  arguments.option("--shape", options->shapes, "NAME=SIZES", "sizes that the file leaves free, like image=1x3x224x224");
  arguments.option("--most", options->most, "N", "for diff: how many differences of a kind to print");
  return [options](Console& console) { return act(*options, console); };
}

constexpr std::array examples{
    Example{"sightline onnx show resnet50.onnx", "operators, inputs, outputs, parameters, FLOPs"},
    Example{"sightline onnx check theirs.onnx", "whether it can be run here; names every node that cannot"},
    Example{"sightline onnx diff before.onnx after.onnx", "where structure and weights differ; exit code 1 if they do"},
};

}  // namespace

constexpr Verb onnx_verb{
    .name = "onnx",
    .group = Group::use,
    .summary = "look into an ONNX file: what it holds, whether it runs, how two differ",
    .details =
        "show lists operators, signature, parameters and FLOPs. check reads the file as a stranger's, infers all shapes and plans it; its "
        "exit code is 0 only if the runtime can run it. diff compares what two files compute: names of nodes and values do not count, "
        "weights are compared by name; its exit code is 0 if the two compute the same and 1 if not.",
    .examples = examples,
    .declare = declare};

}  // namespace sightline::cli
