// ONNX Runtime in a child process (Node with the package onnxruntime-node), so that its library, threads and memory stay apart from ours
// and the same file can be timed on both in one run.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace sightline::cli {

// $SIGHTLINE_RIVALS, or build/rivals above this program: the folder whose node_modules holds onnxruntime-node. Error not_found says how to
// install it.
Result<std::string> find_rivals();

class OnnxRuntime {
 public:
  struct Growth {
    std::uint64_t resident = 0, peak = 0;  // bytes beyond what the process had before it loaded the model
  };

  // Starts Node and loads the library. Errors: not_found with the remedy; internal with what Node said.
  static Result<OnnxRuntime> start();
  OnnxRuntime(OnnxRuntime&&) noexcept;
  OnnxRuntime& operator=(OnnxRuntime&&) noexcept;
  ~OnnxRuntime();

  const std::string& version() const;
  // Loads the file with all graph optimisations, or none (every node alone, as the file has it), and answers once; gives the seconds that
  // both took. Error unsupported: what it says.
  Result<double> load(const std::string& file, const graph::Graph& signature, std::span<const Tensor> inputs, int threads,
                      bool optimised = true);
  // What it answers to these inputs, one tensor per output of the signature; time() runs the same inputs.
  Result<std::vector<Tensor>> answer(const graph::Graph& signature, std::span<const Tensor> inputs);
  // Seconds of each of so many runs, measured around session.run alone.
  Result<std::vector<double>> time(int runs);
  Result<Growth> memory();

 private:
  struct State;
  explicit OnnxRuntime(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sightline::cli
