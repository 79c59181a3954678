// ONNX's own backend tests (Debian's libonnx-testdata): each case is a model, inputs, and the outputs that ONNX's reference gives. Every
// case whose operators the runtime has must give those outputs, or stand, with the reason, in onnx_backend_differences.txt. The others are
// listed by what they lack. The whole table is written to onnx_backend.tsv in the build folder.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "graph/graph.h"
#include "runtime/session.h"

namespace sightline {
namespace {

namespace fs = std::filesystem;

const char* const data_folder = "/usr/share/libonnx-testdata/data";
const char* const differences_file = "tests/onnx_backend_differences.txt";
// Of 1,072 cases with data. Raise it when more pass.
constexpr std::size_t least_passing = 813;

// What ONNX's own runner allows, and beside it what rounding may do to a sum of large terms that cancel.
constexpr double relative = 1e-3, absolute = 1e-7, of_scale = 1e-6;

struct Outcome {
  std::string name;
  enum class Kind { passed, skipped, failed } kind = Kind::failed;
  std::string reason;
};

double number_at(const Tensor& tensor, std::size_t i) {
  const auto half = [](std::uint16_t bits, int exponent_bits) {
    const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
    const double mantissa = static_cast<double>(bits & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits);
    const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
    if (exponent == (1 << exponent_bits) - 1) return mantissa == 0 ? sign * INFINITY : NAN;
    return sign * (exponent == 0 ? std::ldexp(mantissa, 1 - bias) : std::ldexp(1 + mantissa, exponent - bias));
  };
  switch (tensor.dtype()) {
    case Dtype::f32: return static_cast<double>(tensor.values<float>()[i]);
    case Dtype::f64: return tensor.values<double>()[i];
    case Dtype::f16: return half(reinterpret_cast<const std::uint16_t*>(tensor.data())[i], 5);
    case Dtype::bf16: return half(reinterpret_cast<const std::uint16_t*>(tensor.data())[i], 8);
    case Dtype::i8: return tensor.values<std::int8_t>()[i];
    case Dtype::u8: return tensor.values<std::uint8_t>()[i];
    case Dtype::i32: return tensor.values<std::int32_t>()[i];
    case Dtype::i64: return static_cast<double>(tensor.values<std::int64_t>()[i]);
    case Dtype::boolean: return static_cast<double>(tensor.data()[i]);
  }
  return NAN;
}

// "" when the answer is the wanted one.
std::string difference(const Tensor& got, const Tensor& wanted) {
  if (got.dtype() != wanted.dtype() || got.shape() != wanted.shape())
    return fmt::format("{} {} where {} {} is wanted", name_of(got.dtype()), to_string(got.shape()), name_of(wanted.dtype()),
                       to_string(wanted.shape()));
  const auto count = static_cast<std::size_t>(wanted.count());
  const bool real =
      wanted.dtype() == Dtype::f32 || wanted.dtype() == Dtype::f64 || wanted.dtype() == Dtype::f16 || wanted.dtype() == Dtype::bf16;
  double scale = 0;
  for (std::size_t i = 0; i < count; ++i)
    if (const double w = std::abs(number_at(wanted, i)); std::isfinite(w)) scale = std::max(scale, w);
  for (std::size_t i = 0; i < count; ++i) {
    const double g = number_at(got, i), w = number_at(wanted, i);
    const double allowed = real ? absolute + relative * std::abs(w) + of_scale * scale : 0;
    if (g == w || (std::isnan(g) && std::isnan(w)) || std::abs(g - w) <= allowed) continue;
    return fmt::format("element {} is {} where {} is wanted", i, g, w);
  }
  return "";
}

// NonMaxSuppression gives its greatest number of rows, those that hold nothing as -1 (docs/runtime.md); ONNX gives those that hold
// something.
Tensor without_empty_rows(const Tensor& rows) {
  std::int64_t filled = 0;
  while (filled < rows.dim(0) && rows.values<std::int64_t>()[static_cast<std::size_t>(filled * 3)] >= 0) ++filled;
  return rows.rows(0, filled);
}

Result<std::vector<Tensor>> tensors_of(const fs::path& folder, const std::string& kind) {
  std::vector<Tensor> tensors;
  while (true) {
    const fs::path path = folder / fmt::format("{}_{}.pb", kind, tensors.size());
    if (!fs::exists(path)) return tensors;
    SIGHTLINE_TRY(Tensor tensor, graph::read_tensor(path.string()));
    tensors.push_back(std::move(tensor));
  }
}

// What a case says is wrong with us, or nothing.
Result<void> run_case(graph::Graph graph, const std::vector<Tensor>& inputs, const std::vector<Tensor>& wanted) {
  const auto wrong = [](std::string what) { return Error{ErrorKind::internal, std::move(what)}; };
  if (inputs.size() != graph.inputs.size() || wanted.size() != graph.outputs.size())
    return wrong(fmt::format("{} inputs of {}, {} outputs of {}", inputs.size(), graph.inputs.size(), wanted.size(), graph.outputs.size()));
  // The cases hand over as an input what models have as constants. What decides shapes is bound, the rest is given to run().
  std::vector<Tensor> given;
  std::vector<graph::ValueInfo> left;
  const auto bound = graph::inputs_to_bind(graph);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (std::ranges::find(bound, graph.inputs[i].name) != bound.end()) {
      graph.initializers[graph.inputs[i].name] = inputs[i];
    } else {
      given.push_back(inputs[i]);
      left.push_back(graph.inputs[i]);
    }
  }
  graph.inputs = std::move(left);
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph, {.threads = 1}));
  SIGHTLINE_TRY(std::vector<Tensor> got, session.run(given));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (graph.nodes.size() == 1 && graph.nodes[0].op_type == "NonMaxSuppression") got[i] = without_empty_rows(got[i]);
    if (const std::string what = difference(got[i], wanted[i]); !what.empty()) return wrong(fmt::format("output {}: {}", i, what));
  }
  return {};
}

Outcome outcome_of(const fs::path& folder, const std::string& name, const std::set<std::string>& known) {
  Outcome outcome{.name = name};
  auto graph = graph::read_onnx((folder / "model.onnx").string());
  if (!graph.ok()) {
    outcome.kind = graph.error().kind == ErrorKind::unsupported ? Outcome::Kind::skipped : Outcome::Kind::failed;
    const std::string& message = graph.error().message;
    outcome.reason = message.substr(message.find(": ") + 2);
    return outcome;
  }
  for (const graph::Node& node : graph->nodes)
    if (!node.domain.empty() || !known.contains(node.op_type)) {
      outcome.kind = Outcome::Kind::skipped;
      outcome.reason = "operator " + (node.domain.empty() ? "" : node.domain + ".") + node.op_type;
      return outcome;
    }
  const auto inputs = tensors_of(folder / "test_data_set_0", "input"), wanted = tensors_of(folder / "test_data_set_0", "output");
  for (const auto* data : {&inputs, &wanted})
    if (!data->ok() && data->error().kind == ErrorKind::unsupported) {
      outcome.kind = Outcome::Kind::skipped;
      outcome.reason = "the case's data: " + data->error().message.substr(data->error().message.find(": ") + 2);
      return outcome;
    }
  const auto answer = !inputs.ok() ? inputs.error() : !wanted.ok() ? wanted.error() : run_case(*std::move(graph), *inputs, *wanted);
  outcome.kind = answer.ok() ? Outcome::Kind::passed : Outcome::Kind::failed;
  if (!answer.ok()) outcome.reason = answer.error().message;
  return outcome;
}

// "name: reason" per line; # begins a comment.
std::map<std::string, std::string> known_differences() {
  std::map<std::string, std::string> differences;
  std::ifstream file(differences_file);
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.empty() || line[0] == '#' || colon == std::string::npos) continue;
    differences[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return differences;
}

TEST(OnnxBackend, EveryCaseOfOurOperatorsGivesOnnxsAnswer) {
  if (!fs::exists(data_folder)) GTEST_SKIP() << "Debian's libonnx-testdata is not installed";
  const auto names = runtime::supported_operators();
  const std::set<std::string> known(names.begin(), names.end());
  const auto differences = known_differences();
  std::vector<Outcome> outcomes;
  for (const char* kind : {"node", "simple", "pytorch-operator", "pytorch-converted"}) {
    std::vector<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(fs::path(data_folder) / kind))
      if (fs::exists(entry.path() / "model.onnx")) folders.push_back(entry.path());
    std::ranges::sort(folders);
    for (const fs::path& folder : folders)
      outcomes.push_back(outcome_of(folder, std::string(kind) + "/" + folder.filename().string(), known));
  }

  std::map<std::string, int> skipped;
  std::size_t passed = 0, differing = 0;
  std::ofstream report(SIGHTLINE_REPORT);
  for (const Outcome& outcome : outcomes) {
    const char* words[] = {"passed", "skipped", "failed"};
    report << outcome.name << '\t' << words[static_cast<std::size_t>(outcome.kind)] << '\t' << outcome.reason << '\n';
    const auto difference = differences.find(outcome.name);
    if (outcome.kind == Outcome::Kind::passed) {
      ++passed;
      EXPECT_TRUE(difference == differences.end()) << outcome.name << " passes now: strike it from " << differences_file;
    } else if (outcome.kind == Outcome::Kind::skipped) {
      ++skipped[outcome.reason];
    } else if (difference != differences.end()) {
      ++differing;
    } else {
      ADD_FAILURE() << outcome.name << ": " << outcome.reason;
    }
  }
  fmt::print("{} cases: {} passed, {} known differences ({})\n", outcomes.size(), passed, differing, differences_file);
  for (const auto& [reason, count] : skipped) fmt::print("  {:4} skipped: {}\n", count, reason);
  EXPECT_GE(passed, least_passing);
}

}  // namespace
}  // namespace sightline
