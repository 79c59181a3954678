// sightline-qdq FILE.onnx [BATCH]: where our integers and ONNX Runtime's differ. A file without integers is quantised on noise, as
// `sightline bench` does it. Each QuantizeLinear's result is compared with what ONNX defines (src/runtime/reference_test.h: every node
// alone, sums in double), for our runtime, ONNX Runtime with all its graph optimisations and without any: the greatest difference in steps
// of the quantiser, and the share of elements that differ.
//   whole   the network as it runs: a difference is passed on to all that follows
//   alone   every layer on the integers that the definition gives the layer before it: its own differences only
// Exit status 1 when a layer of ours, alone, is wrong by more than one step.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "app/cli/bench_inputs.h"
#include "app/cli/rival.h"
#include "base/files.h"
#include "base/temporary_folder.h"
#include "graph/integer_layers_for_test.h"
#include "runtime/quantizer.h"
#include "runtime/reference_test.h"
#include "runtime/session.h"

namespace {

using namespace sightline;

constexpr int threads = 2;

// Of real outputs, relative to the greatest.
double real_difference(const Tensor& got, const Tensor& wanted) {
  double scale = 1e-30, most = 0;
  for (std::size_t i = 0; i < wanted.values<float>().size(); ++i) {
    const double other = static_cast<double>(wanted.values<float>()[i]);
    scale = std::max(scale, std::abs(other));
    most = std::max(most, std::abs(static_cast<double>(got.values<float>()[i]) - other));
  }
  return most / scale;
}

struct Engines {
  std::vector<Tensor> ours, optimised, plain;
};

Result<std::vector<Tensor>> theirs(const graph::Graph& graph, std::span<const Tensor> inputs, bool optimised) {
  const TemporaryFolder folder;
  SIGHTLINE_TRY(const std::string bytes, graph::serialize_onnx(graph));
  SIGHTLINE_CHECK(write_file(folder / "graph.onnx", bytes));
  SIGHTLINE_TRY(cli::OnnxRuntime engine, cli::OnnxRuntime::start());
  SIGHTLINE_TRY(const double seconds, engine.load(folder / "graph.onnx", graph, inputs, threads, optimised));
  static_cast<void>(seconds);
  return engine.answer(graph, inputs);
}

Result<Engines> run_all(const graph::Graph& graph, std::span<const Tensor> inputs) {
  Engines engines;
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph, {.threads = threads}));
  SIGHTLINE_TRY(engines.ours, session.run(inputs));
  SIGHTLINE_TRY(engines.optimised, theirs(graph, inputs, true));
  SIGHTLINE_TRY(engines.plain, theirs(graph, inputs, false));
  return engines;
}

// The layer in front of a QuantizeLinear, back to the DequantizeLinears: "Conv+Sigmoid+Mul".
std::string operators_before(const graph::Graph& graph, const std::string& value) {
  std::map<std::string, const graph::Node*> makers;
  for (const graph::Node& node : graph.nodes)
    for (const std::string& output : node.outputs) makers[output] = &node;
  std::vector<std::string> names, open{value};
  std::set<std::string> seen;
  while (!open.empty()) {
    const auto maker = makers.find(open.back());
    open.pop_back();
    if (maker == makers.end() || maker->second->op_type == "DequantizeLinear" || !seen.insert(maker->second->outputs[0]).second) continue;
    if (maker->second->op_type != "QuantizeLinear" || names.empty()) names.push_back(maker->second->op_type);
    if (maker->second->op_type == "QuantizeLinear" && names.size() > 1) continue;
    open.insert(open.end(), maker->second->inputs.begin(), maker->second->inputs.end());
  }
  std::string text;
  for (auto name = names.rbegin(); name != names.rend(); ++name)
    if (*name != "QuantizeLinear") text += (text.empty() ? "" : "+") + *name;
  return text;
}

void print_rows(const graph::Graph& net, const graph::Graph& opened, const Engines& engines, std::span<const Tensor> wanted) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool real = wanted[i].dtype() == Dtype::f32;
    const std::string& value = opened.outputs[i].name;
    std::string row = fmt::format("{:<34.34} {:<34.34}", real ? "output, relative" : operators_before(net, value), value);
    for (const auto* answers : {&engines.ours, &engines.optimised, &engines.plain}) {
      if (real) {
        row += fmt::format(" {:>9.1e} {:>8}", real_difference((*answers)[i], wanted[i]), "");
      } else {
        const auto difference = graph::integer_difference((*answers)[i], wanted[i]);
        row += fmt::format(" {:>9.0f} {:>7.2f}%", difference.steps, 100 * difference.share);
      }
    }
    fmt::print("{}\n", row);
  }
}

void print_heading(const std::string& title) {
  fmt::print("\n{:<69} {:>18} {:>18} {:>18}\n", title, "ours", "ONNX Runtime", "not optimised");
}

Result<int> examine(const std::string& file, std::int64_t batch) {
  SIGHTLINE_TRY(graph::Graph net, graph::read_onnx(file));
  const std::vector<Tensor> inputs = cli::noise_for(net, batch, 7);
  if (std::ranges::none_of(net.nodes, [](const graph::Node& node) { return node.op_type == "QuantizeLinear"; })) {
    std::vector<runtime::Batch> batches{cli::noise_for(net, 2, 11)};
    SIGHTLINE_TRY(const runtime::Quantizer quantizer, runtime::Quantizer::create(net, batches, {.threads = threads}));
    SIGHTLINE_TRY(net, quantizer.quantize());
  }
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(net, {.threads = threads}));
  SIGHTLINE_TRY(const std::vector<Tensor> answer, session.run(inputs));

  const graph::Graph opened = graph::opened_at_integers(net);
  const std::vector<Tensor> wanted = runtime::reference_run(opened, inputs);
  SIGHTLINE_TRY(const Engines whole, run_all(opened, inputs));
  print_heading("whole: greatest difference in steps, and share that differs");
  print_rows(net, opened, whole, wanted);
  for (std::size_t i = 0; i < net.outputs.size(); ++i)
    if (wanted[i].dtype() == Dtype::f32)
      fmt::print("output {}: ours to ONNX Runtime {:.1e}, its two ways to each other {:.1e}, ours with and without inner outputs {:.1e}\n",
                 net.outputs[i].name, real_difference(whole.ours[i], whole.optimised[i]),
                 real_difference(whole.plain[i], whole.optimised[i]), real_difference(answer[i], whole.ours[i]));

  std::vector<Tensor> given = inputs;
  given.insert(given.end(), wanted.begin() + static_cast<std::ptrdiff_t>(net.outputs.size()), wanted.end());
  SIGHTLINE_TRY(const Engines alone, run_all(graph::parted_at_integers(opened, net.outputs.size()), given));
  print_heading("alone: greatest difference in steps, and share that differs");
  print_rows(net, opened, alone, wanted);
  double worst = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i].dtype() != Dtype::f32) worst = std::max(worst, graph::integer_difference(alone.ours[i], wanted[i]).steps);
  return worst > 1 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print("usage: sightline-qdq FILE.onnx [BATCH]\n");
    return 2;
  }
  const auto done = examine(argv[1], argc > 2 ? std::atoi(argv[2]) : 1);
  if (done.ok()) return *done;
  fmt::print(stderr, "error: {}\n", done.error().message);
  return exit_code_of(done.error().kind);
}
