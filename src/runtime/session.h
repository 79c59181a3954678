// Runs a graph with oneDNN. The only place that includes oneDNN. A session plans once per batch size (planned batch sizes are kept),
// folds and fuses (convolution + bias + activation + sum), lays intermediate values into one arena with reuse, and keeps blocked weights.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "runtime/precision.h"

namespace sightline::runtime {

struct Options {
  // At most so many threads work for a run; small plans use fewer, because waking a thread costs more than it brings. A batch whose
  // images do not depend on each other is shared out to threads that need not wait for each other; else several threads share
  // each step (ways.h: which of them is measured where it is in doubt). 0: usable_cores().
  int threads = 0;
  // Where the processor cannot, f32 is used: Session::precision tells.
  Precision precision = Precision::f32;
  // Names of nodes that compute in f32 all the same: layers whose rounding would cost too much accuracy.
  std::set<std::string> keep_f32;
};

struct NodeTime {
  std::string name, op_type;
  double seconds = 0;
};

struct Memory {
  std::size_t weights = 0, arena = 0;  // bytes held
};

class Session {
 public:
  // Plans for batch 1, so that what is not supported is known now. Errors: unsupported names node, operator and opset; invalid_data.
  static Result<Session> create(const graph::Graph& graph, const Options& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  const std::vector<graph::ValueInfo>& inputs() const;
  const std::vector<graph::ValueInfo>& outputs() const;
  Precision precision() const;  // what really runs

  // One tensor per graph input, in order, all with the same N; gives one tensor per output. Any number of threads may call at the same
  // time, on one session or several (moving and destroying are for one): the scheduler gives them the cores in turn, and none opens a pool
  // of threads. The same input gives the same bits however busy the machine is.
  // Errors: usage when shapes or dtypes do not fit the signature.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs);
  Result<Tensor> run(const Tensor& input);  // for graphs with one input and one output

  Memory memory() const;
  // Seconds per planned node of one run (for `sightline bench`).
  Result<std::vector<NodeTime>> profile(std::span<const Tensor> inputs);

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The operators that the runtime has, sorted.
std::vector<std::string> supported_operators();

}  // namespace sightline::runtime
