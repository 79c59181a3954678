// Turns a program into a plan for one batch size. The functions of the operators (operators.h) see this class: they ask where the inputs
// of their node lie, add steps, and say where its output lies.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/operators.h"
#include "runtime/plan.h"
#include "runtime/program.h"
#include "runtime/seats.h"
#include "runtime/weights.h"

namespace sightline::runtime {

// A value of the graph in memory. One value may lie at several places in different layouts, and several values in one buffer (views).
struct Location {
  dnnl::memory::desc desc;  // empty for dtypes that oneDNN lacks: those are row-major
  std::size_t buffer = 0;
  std::size_t offset = 0;  // bytes into the buffer
};

// What 8-bit integers stand for: scale · (q - zero).
struct Quantization {
  float scale = 1;
  std::int32_t zero = 0;
  dnnl::memory::data_type numbers = dnnl::memory::data_type::u8;  // or s8
  bool operator==(const Quantization&) const = default;
};
// An f32 value of the graph that is known by integers, which are another value (one of the graph, or the planner's own).
struct Quantized {
  std::string integers;
  Quantization how;
};

using Arguments = std::vector<std::pair<int, Location>>;  // DNNL_ARG_..., where

struct Operator;

class Planner {
 public:
  Planner(const Program& program, WeightStore& weights, std::map<std::string, graph::ValueInfo> values);

  // Errors: unsupported and invalid_data name the node.
  Result<Plan> plan();

  // --- what operators ask ---
  const graph::Graph& graph() const { return program_.graph; }
  std::int64_t opset() const { return program_.graph.opset; }
  const Shape& shape_of(const std::string& value) const { return values_.at(value).shape; }
  Dtype dtype_of(const std::string& value) const { return values_.at(value).dtype; }
  // The elements of an initializer, or of what follows from the shapes; null when they are not known.
  const Tensor* constant(const std::string& value) const;
  graph::Constants constants() const { return {program_.graph, &values_}; }
  // The same if it is one f32 number.
  std::optional<float> scalar(const std::string& value) const;
  // An optional input that is there.
  static bool has_input(const graph::Node& node, std::size_t i) { return i < node.inputs.size() && !node.inputs[i].empty(); }

  // The numbers that a node computes in: those of the session's precision, f32 when the node is kept in it.
  dnnl::memory::data_type numbers_of(const graph::Node& node) const;
  // The same for what a chain leaves behind: outputs of the graph are f32, and are rounded to nothing less on the way.
  dnnl::memory::data_type result_numbers_of(std::span<const graph::Node* const> chain) const;

  // Where a value lies as its producer left it: an f32 value of the graph may lie as bf16.
  Location native(const std::string& value);
  // The same for a node that keeps what it finds; f32 when the node is kept in f32.
  Location operand(const graph::Node& node, const std::string& value);
  // Row-major in the numbers that the value lies in: for what only moves elements.
  Location row_major_as_is(const std::string& value);
  // In the wanted layout and numbers (reordered once, if need be); row-major in the value's own dtype.
  Location in_layout(const std::string& value, const dnnl::memory::desc& wanted);
  Location row_major_of(const std::string& value);
  // True when the present read is the last one of all that lies there, so that it may be overwritten.
  // reads: how many of the node that reads it, and of those that are done with it, are still counted.
  bool dies_here(const Location& location, int reads = 1) const;

  // --- integers (integers.h) ---
  // Null when the value is not known by integers.
  const Quantized* quantized(const std::string& value) const;
  void define_quantized(const std::string& value, const Quantized& integers);
  // A value of the planner's own for the integers of `value`: its name.
  std::string name_integers(const std::string& value, const Quantization& how, const Shape& shape);
  // The DequantizeLinear of constants that makes this value; null when it is made otherwise.
  const graph::Node* dequantized_constant(const std::string& value) const;
  bool is_kept_f32(const graph::Node& node) const { return program_.kept_f32.contains(node.name); }
  // The only node that reads a value which is no output of the graph; else null.
  const graph::Node* only_reader(const std::string& value) const;

  // A constant that was computed from others (key names it, make computes it once per session).
  template <class Make>
  Location derived(const std::string& key, const dnnl::memory::desc& wanted, Make make);
  // The same, its bytes read as `plain`.
  template <class Make>
  Location derived_as(const std::string& key, const dnnl::memory::desc& plain, const dnnl::memory::desc& wanted, Make make);
  // An initializer, its bytes read as `plain` (weights of groups, transposed matrices, slopes with leading dimensions).
  Location constant_as(const std::string& value, const dnnl::memory::desc& plain, const dnnl::memory::desc& wanted);

  // --- what operators do ---
  Location make(const dnnl::memory::desc& desc);  // a new buffer in the arena
  Location make_bytes(std::size_t bytes);         // without descriptor
  // For the value: its seat (seats.h) where the layout and those who lie there allow it, else a new buffer.
  Location make_for(const std::string& value, const dnnl::memory::desc& desc);
  Location make_row_major(const std::string& value);  // of the value's shape and dtype
  Location make_row_major(const std::string& value, dnnl::memory::data_type type);
  // For the value, laid out as the source: its seat, or the source itself when it dies here (see dies_here), to work in place.
  Location make_like(const Location& source, const std::string& value, int reads = 1);
  // `source` in the wanted layout; a reorder step when the bytes differ.
  Location reordered(const std::string& name, const Location& source, const dnnl::memory::desc& wanted);
  void define(const std::string& value, const Location& location);
  // Defines a Concat's output where its inputs have their seats; those that lie elsewhere are copied there. False when nobody took a seat.
  bool join(const graph::Node& concat);
  // pd must have been made with attributes(): scratch memory is a buffer of the arena.
  void add(const std::string& name, const std::string& op_type, const dnnl::primitive& primitive, const dnnl::primitive_desc_base& pd,
           const Arguments& arguments);
  void add(const std::string& name, const std::string& op_type, Kernel kernel, const std::vector<Location>& operands);
  static dnnl::primitive_attr attributes();

  // --- errors ---
  Error unsupported(const graph::Node& node, const std::string& why) const;
  Error invalid(const graph::Node& node, const std::string& why) const;
  Result<void> expect_f32(const graph::Node& node, const std::string& value) const;

 private:
  Result<void> plan_chain(const Chain& chain);
  Result<void> plan_moved_integers(const Operator& row, const graph::Node& node);
  // Operators whose further outputs are worth having alone.
  static bool may_leave_first_output(const graph::Node& node);
  // False when the first input is empty and the operator cannot make something of nothing.
  bool has_input_elements(const graph::Node& node) const;
  // Whether its outputs are known already, or have no elements (then they are defined here).
  bool needs_no_step(const graph::Node& node);
  void finish_outputs();
  // The value's seat, when it has one in this layout and nobody who is still read sits there.
  std::optional<Location> free_seat(const std::string& value, const dnnl::memory::desc& desc);
  // Reads that are still to be planned of what lies in this part of a buffer.
  int reads_of(std::size_t buffer, std::size_t offset, std::size_t bytes) const;
  std::size_t size_at(const Location& location) const;
  Location constant_location(const std::string& key, const dnnl::memory::desc& plain_desc, const Tensor& plain,
                             const dnnl::memory::desc& wanted);

  const Program& program_;
  WeightStore& weights_;
  std::map<std::string, graph::ValueInfo> values_;
  Plan plan_;
  std::map<std::string, std::vector<Location>> locations_;
  std::map<std::string, int> remaining_;  // reads that are still to be planned
  struct Resident {
    std::string value;
    std::size_t offset = 0, bytes = 0;
  };
  std::vector<std::vector<Resident>> residents_;  // what lies in each buffer
  std::map<std::string, Seat> seats_;             // by value
  std::map<std::string, Location> joined_;        // where some already sit, by the Concat's output
  std::map<std::string, Quantized> quantized_;
  std::map<std::string, const graph::Node*> dequantized_constants_;  // by what they make
  std::map<std::string, std::vector<const graph::Node*>> readers_;
};

template <class Make>
Location Planner::derived(const std::string& key, const dnnl::memory::desc& wanted, Make make) {
  const Tensor* tensor = weights_.find(key);
  if (tensor == nullptr) tensor = &weights_.keep(key, make());
  return constant_location(key, row_major(tensor->shape(), tensor->dtype()), *tensor, wanted);
}

template <class Make>
Location Planner::derived_as(const std::string& key, const dnnl::memory::desc& plain, const dnnl::memory::desc& wanted, Make make) {
  const Tensor* tensor = weights_.find(key);
  if (tensor == nullptr) tensor = &weights_.keep(key, make());
  return constant_location(key, plain, *tensor, wanted);
}

}  // namespace sightline::runtime
