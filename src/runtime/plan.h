// What a session executes for one batch size: steps in order, and where the operands of each step lie. A plan is made by the planner and
// knows nothing of ONNX.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/onednn.h"

namespace sightline::runtime {

struct Arranged;

// A piece of memory that lives from the first step that touches it to the last.
struct Buffer {
  enum class Kind { arena, constant, input, output };
  Kind kind = Kind::arena;
  std::size_t bytes = 0;
  std::size_t index = 0;         // which input or output of the graph
  std::byte* data = nullptr;     // of a constant, or
  Arranged* arranged = nullptr;  // one that is arranged before the plan is executed (weights.h)
  int first = -1, last = -1;     // steps
  std::size_t offset = 0;        // in the arena
};

// Work of our own, for what oneDNN has no primitive for: gets the operands' addresses in order.
using Kernel = std::function<void(std::span<std::byte* const>)>;

struct Operand {
  int argument = 0;  // DNNL_ARG_...; 0 for kernels
  std::size_t buffer = 0;
  dnnl::memory memory;     // empty for kernels
  std::size_t offset = 0;  // bytes into the buffer
};

struct Step {
  std::string name, op_type;  // of the ONNX node; a fused step names them all ("Conv+Add+Relu")
  dnnl::primitive primitive;  // or
  Kernel kernel;              //
  bool independent = false;   // shares of the primitive's parallel regions do not wait for each other (team.h)
  std::vector<Operand> operands;
  std::vector<dnnl_exec_arg_t> arguments;  // what the primitive is called with
  std::vector<std::byte*> addresses;       // what the kernel is called with
};

class Plan {
 public:
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  std::vector<Shape> output_shapes;
  std::vector<Tensor> kept;  // constants of this batch size, which buffers point into

  // Lifetimes, then offsets: buffers that do not live at the same time share memory.
  void lay_out_arena();
  std::size_t arena_bytes() const { return arena_bytes_; }

  // The same plan with operands of its own, to be executed beside this one: primitives, kernels and constants are shared.
  Plan copy() const;
  // seconds: if not null, gets the time of each step.
  void execute(const dnnl::stream& stream, std::byte* arena, std::span<std::byte* const> inputs, std::span<std::byte* const> outputs,
               std::vector<double>* seconds = nullptr);

 private:
  void point(Step& step, std::size_t operand, std::byte* address);
  void bind_arena(std::byte* arena);

  struct External {
    std::size_t step, operand, buffer;
  };
  std::vector<External> externals_;  // operands whose address changes with each run
  std::byte* arena_ = nullptr;       // where the operands in the arena point now
  bool bound_ = false;
  std::size_t arena_bytes_ = 0;
};

}  // namespace sightline::runtime
