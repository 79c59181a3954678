#include "runtime/planner.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "runtime/integers.h"
#include "runtime/operators.h"
#include "runtime/picture.h"

namespace sightline::runtime {
Planner::Planner(const Program& program, WeightStore& weights, std::map<std::string, graph::ValueInfo> values)
    : program_(program), weights_(weights), values_(std::move(values)), seats_(seats_of(program_, values_)) {
  for (const graph::Node& node : program_.graph.nodes)
    for (const std::string& input : node.inputs)
      if (!input.empty()) {
        ++remaining_[input];
        readers_[input].push_back(&node);
      }
  for (const graph::ValueInfo& output : program_.graph.outputs) ++remaining_[output.name];
  for (const graph::Node& node : program_.graph.nodes)
    if (is_dequantized_constant(program_.graph, node)) dequantized_constants_[node.outputs[0]] = &node;
}

Result<Plan> Planner::plan() {
  for (std::size_t i = 0; i < program_.graph.inputs.size(); ++i) {
    const std::string& name = program_.graph.inputs[i].name;
    const graph::ValueInfo& info = values_.at(name);
    plan_.buffers.push_back(
        {.kind = Buffer::Kind::input, .bytes = static_cast<std::size_t>(element_count(info.shape)) * size_of(info.dtype), .index = i});
    residents_.emplace_back();
    define(name, {row_major(info.shape, info.dtype), plan_.buffers.size() - 1});
  }
  for (const auto& [name, info] : values_)
    if (info.value.defined()) plan_.kept.push_back(info.value);
  for (const Chain& chain : program_.chains) {
    // What oneDNN throws while a node is planned is told with the node's name.
    try {
      SIGHTLINE_CHECK(plan_chain(chain));
    } catch (const dnnl::error& error) {
      return unsupported(*chain[0], std::string("oneDNN refuses it: ") + error.what());
    }
  }
  finish_outputs();
  plan_.lay_out_arena();
  return std::move(plan_);
}

Result<void> Planner::plan_chain(const Chain& chain) {
  for (std::size_t i = 0; i < chain.size();) {
    const Operator* row = runtime::find_operator(*chain[i]);
    if (row == nullptr) return unsupported(*chain[i], "the runtime does not have this operator");
    std::size_t done = 1;
    if (needs_no_step(*chain[i])) {
      // Nothing to do.
    } else if (chain[i]->outputs[0].empty() && !may_leave_first_output(*chain[i])) {
      return unsupported(*chain[i], "its first output has no name");
    } else if (!has_input_elements(*chain[i])) {
      return unsupported(*chain[i], "its first input has no elements");
    } else if (row->moves && quantized(chain[i]->inputs[0]) != nullptr) {
      SIGHTLINE_CHECK(plan_moved_integers(*row, *chain[i]));
    } else if (row->plan_chain != nullptr) {
      SIGHTLINE_TRY(done, row->plan_chain(*this, Nodes(chain).subspan(i)));
    } else {
      SIGHTLINE_CHECK(row->plan(*this, *chain[i]));
    }
    for (std::size_t k = i; k < i + done; ++k)
      for (const std::string& input : chain[k]->inputs)
        if (!input.empty()) --remaining_[input];
    i += done;
  }
  return {};
}

// What only moves elements moves integers as well as real numbers.
Result<void> Planner::plan_moved_integers(const Operator& row, const graph::Node& node) {
  const Quantized known = *quantized(node.inputs[0]);
  graph::Node moved = node;
  moved.inputs[0] = known.integers;
  for (std::string& output : moved.outputs)
    if (!output.empty()) output = name_integers(output, known.how, shape_of(output));
  SIGHTLINE_CHECK(row.plan(*this, moved));
  for (std::size_t i = 0; i < node.outputs.size(); ++i)
    if (!node.outputs[i].empty()) define_quantized(node.outputs[i], {moved.outputs[i], known.how});
  return {};
}

bool Planner::may_leave_first_output(const graph::Node& node) {
  static constexpr std::string_view many[] = {"Dropout", "GRU", "LSTM", "LayerNormalization", "MaxPool", "RNN", "Split", "TopK"};
  return std::ranges::count(many, node.op_type) > 0;
}

bool Planner::has_input_elements(const graph::Node& node) const {
  static constexpr std::string_view may_be_empty[] = {"Concat",   "ConstantOfShape", "Pad",       "ReduceL1",
                                                      "ReduceL2", "ReduceProd",      "ReduceSum", "ReduceSumSquare"};
  if (std::ranges::count(may_be_empty, node.op_type) > 0) return true;
  return !has_input(node, 0) || element_count(shape_of(node.inputs[0])) > 0;
}

bool Planner::needs_no_step(const graph::Node& node) {
  if (dequantized_constant(node.outputs[0]) != nullptr) return true;  // whoever wants the numbers gets them from constant()
  bool known = true, empty = true;
  for (const std::string& output : node.outputs) {
    if (output.empty()) continue;
    known = known && constant(output) != nullptr;
    empty = empty && element_count(shape_of(output)) == 0;
  }
  if (known || !empty) return known;
  for (const std::string& output : node.outputs)
    if (!output.empty()) define(output, make_row_major(output));
  return true;
}

void Planner::finish_outputs() {
  for (std::size_t i = 0; i < program_.graph.outputs.size(); ++i) {
    const std::string& name = program_.graph.outputs[i].name;
    const graph::ValueInfo& info = values_.at(name);
    const Location location = row_major_of(name);
    const std::size_t bytes = static_cast<std::size_t>(element_count(info.shape)) * size_of(info.dtype);
    plan_.output_shapes.push_back(info.shape);
    Buffer& buffer = plan_.buffers[location.buffer];
    if (buffer.kind == Buffer::Kind::arena && buffer.bytes == bytes && location.offset == 0) {
      // What was to lie in the arena is written straight into the tensor that the caller gets.
      buffer.kind = Buffer::Kind::output;
      buffer.index = i;
      continue;
    }
    plan_.buffers.push_back({.kind = Buffer::Kind::output, .bytes = bytes, .index = i});
    residents_.emplace_back();
    add(name, "copy", [bytes](std::span<std::byte* const> at) { std::memcpy(at[1], at[0], bytes); },
        {location, Location{{}, plan_.buffers.size() - 1}});
  }
}

const Tensor* Planner::constant(const std::string& value) const {
  if (const Tensor* known = constants().find(value)) return known;
  const graph::Node* node = dequantized_constant(value);
  if (node == nullptr) return nullptr;
  const std::string key = "real numbers of " + value;
  const Tensor* made = weights_.find(key);
  return made != nullptr ? made : &weights_.keep(key, dequantized(program_.graph, *node));
}

const graph::Node* Planner::dequantized_constant(const std::string& value) const {
  const auto it = dequantized_constants_.find(value);
  return it == dequantized_constants_.end() ? nullptr : it->second;
}

const graph::Node* Planner::only_reader(const std::string& value) const {
  for (const graph::ValueInfo& output : program_.graph.outputs)
    if (output.name == value) return nullptr;
  const auto it = readers_.find(value);
  return it == readers_.end() || it->second.size() != 1 ? nullptr : it->second[0];
}

const Quantized* Planner::quantized(const std::string& value) const {
  const auto it = quantized_.find(value);
  return it == quantized_.end() ? nullptr : &it->second;
}

void Planner::define_quantized(const std::string& value, const Quantized& integers) {
  quantized_[value] = integers;
  const Location place = native(integers.integers);
  residents_[place.buffer].push_back({value, place.offset, size_at(place)});
}

std::string Planner::name_integers(const std::string& value, const Quantization& how, const Shape& shape) {
  std::string name = value + " as integers";
  values_[name] = {name, how.numbers == dnnl::memory::data_type::u8 ? Dtype::u8 : Dtype::i8, shape, {}};
  return name;
}

std::optional<float> Planner::scalar(const std::string& value) const {
  const Tensor* tensor = constant(value);
  if (tensor == nullptr || tensor->dtype() != Dtype::f32 || tensor->count() != 1) return std::nullopt;
  return tensor->values<float>()[0];
}

Location Planner::constant_location(const std::string& key, const dnnl::memory::desc& plain_desc, const Tensor& plain,
                                    const dnnl::memory::desc& wanted) {
  // The same bytes read in two ways are two constants.
  std::string reading = key;
  for (int i = 0; i < plain_desc.data.ndims; ++i)
    reading += "," + std::to_string(plain_desc.data.dims[i]) + "/" + std::to_string(plain_desc.data.format_desc.blocking.strides[i]);
  Buffer& buffer = plan_.buffers.emplace_back(Buffer{.kind = Buffer::Kind::constant, .bytes = plain.byte_count()});
  if (wanted.data.ndims == 0) {
    buffer.data = const_cast<std::byte*>(plain.data());
  } else {
    buffer.arranged = weights_.in_layout(reading, plain_desc, plain, wanted);
  }
  residents_.emplace_back();
  return {wanted, plan_.buffers.size() - 1};
}

Location Planner::constant_as(const std::string& value, const dnnl::memory::desc& plain, const dnnl::memory::desc& wanted) {
  return constant_location(value, plain, *constant(value), wanted);
}

dnnl::memory::data_type Planner::numbers_of(const graph::Node& node) const {
  const bool rounded = program_.precision == Precision::bf16 && !program_.kept_f32.contains(node.name);
  return rounded ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

dnnl::memory::data_type Planner::result_numbers_of(std::span<const graph::Node* const> chain) const {
  const std::string& last = chain.back()->outputs[0];
  const bool leaves = std::ranges::any_of(program_.graph.outputs, [&](const graph::ValueInfo& output) { return output.name == last; });
  return leaves ? dnnl::memory::data_type::f32 : numbers_of(*chain.front());
}

Location Planner::native(const std::string& value) {
  auto& places = locations_[value];
  if (const Quantized* integers = places.empty() ? quantized(value) : nullptr) {
    const Location source = native(integers->integers);
    const auto numbers = program_.precision == Precision::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
    places.push_back(converted(*this, value, "DequantizeLinear", source, &integers->how, nullptr, retyped(source.desc, numbers)));
    residents_[places[0].buffer].push_back({value, 0, size_at(places[0])});
  }
  if (places.empty()) {
    const Tensor& tensor = *constant(value);
    const auto desc = row_major(tensor.shape(), tensor.dtype());
    places.push_back(constant_location(value, desc, tensor, desc));
    residents_[places[0].buffer].push_back({value, 0, size_at(places[0])});
  }
  return places[0];
}

Location Planner::operand(const graph::Node& node, const std::string& value) {
  const Location location = native(value);
  if (location.desc.data.data_type != dnnl_bf16 || numbers_of(node) == dnnl::memory::data_type::bf16) return location;
  return in_layout(value, retyped(location.desc, dnnl::memory::data_type::f32));
}

Location Planner::in_layout(const std::string& value, const dnnl::memory::desc& wanted) {
  const Location first = native(value);
  for (const Location& place : locations_[value])
    if (same_bytes(place.desc, wanted)) return {wanted, place.buffer, place.offset};
  Location made;
  if (const Tensor* tensor = constant(value)) {
    made = constant_location(value, row_major(tensor->shape(), tensor->dtype()), *tensor, wanted);
  } else {
    made = reordered(value, first, wanted);
  }
  locations_[value].push_back(made);
  residents_[made.buffer].push_back({value, made.offset, size_at(made)});
  return made;
}

Location Planner::reordered(const std::string& name, const Location& source, const dnnl::memory::desc& wanted) {
  if (same_bytes(source.desc, wanted)) return {wanted, source.buffer, source.offset};
  if (const auto picture = laid_out_picture(*this, name, "reorder", source, wanted)) return *picture;
  const Location made = make(wanted);
  const dnnl::reorder::primitive_desc pd(cpu_engine(), source.desc, cpu_engine(), wanted, attributes());
  add(name, "reorder", dnnl::reorder(pd), pd, {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, made}});
  return made;
}

Location Planner::row_major_of(const std::string& value) {
  const Location first = native(value);
  return first.desc.data.ndims == 0 ? first : in_layout(value, row_major(shape_of(value), dtype_of(value)));
}

Location Planner::row_major_as_is(const std::string& value) {
  const Location first = native(value);
  return first.desc.data.ndims == 0 ? first : in_layout(value, row_major(shape_of(value), first.desc.data_type()));
}

bool Planner::dies_here(const Location& location, int reads) const {
  if (plan_.buffers[location.buffer].kind != Buffer::Kind::arena) return false;
  return reads_of(location.buffer, location.offset, size_at(location)) == reads;
}

std::size_t Planner::size_at(const Location& location) const {
  return location.desc.data.ndims == 0 ? plan_.buffers[location.buffer].bytes - location.offset : location.desc.get_size();
}

int Planner::reads_of(std::size_t buffer, std::size_t offset, std::size_t bytes) const {
  int reads = 0;
  for (const Resident& resident : residents_[buffer]) {
    if (resident.offset >= offset + bytes || offset >= resident.offset + resident.bytes) continue;
    const auto it = remaining_.find(resident.value);
    if (it != remaining_.end()) reads += it->second;
  }
  return reads;
}

Location Planner::make(const dnnl::memory::desc& desc) {
  Location location = make_bytes(desc.get_size());
  location.desc = desc;
  return location;
}

Location Planner::make_bytes(std::size_t bytes) {
  plan_.buffers.push_back({.kind = Buffer::Kind::arena, .bytes = bytes});
  residents_.emplace_back();
  return {{}, plan_.buffers.size() - 1};
}

std::optional<Location> Planner::free_seat(const std::string& value, const dnnl::memory::desc& desc) {
  const auto seat = seats_.find(value);
  if (seat == seats_.end() || !same_bytes(desc, in_blocks(shape_of(value)))) return std::nullopt;
  const auto [joined, first] = joined_.try_emplace(seat->second.joined);
  if (first) joined->second = make(in_blocks(shape_of(seat->second.joined)));
  const Location place{desc, joined->second.buffer, seat->second.offset};
  if (reads_of(place.buffer, place.offset, desc.get_size()) > 0) return std::nullopt;
  return place;
}

Location Planner::make_for(const std::string& value, const dnnl::memory::desc& desc) {
  const auto seat = free_seat(value, desc);
  return seat ? *seat : make(desc);
}

bool Planner::join(const graph::Node& concat) {
  const auto joined = joined_.find(concat.outputs[0]);
  if (joined == joined_.end()) return false;
  const Location whole = joined->second;
  std::vector<std::pair<std::string, Location>> absent;
  std::size_t offset = 0;
  for (const std::string& input : concat.inputs) {
    const dnnl::memory::desc desc = in_blocks(shape_of(input));
    const auto& places = locations_[input];
    const bool sits = std::ranges::any_of(places, [&](const Location& place) {
      return place.buffer == whole.buffer && place.offset == offset && same_bytes(place.desc, desc);
    });
    if (!sits) {
      // Somebody else may sit there who is needed later.
      if (places.empty() || reads_of(whole.buffer, offset, desc.get_size()) > 0) return false;
      absent.emplace_back(input, Location{desc, whole.buffer, offset});
    }
    offset += desc.get_size();
  }
  for (const auto& [input, place] : absent) {
    const Location source = native(input);
    const dnnl::reorder::primitive_desc pd(cpu_engine(), source.desc, cpu_engine(), place.desc, attributes());
    add(input, concat.op_type, dnnl::reorder(pd), pd, {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, place}});
  }
  define(concat.outputs[0], whole);
  return true;
}

Location Planner::make_row_major(const std::string& value) {
  Location location = make_bytes(static_cast<std::size_t>(element_count(shape_of(value))) * size_of(dtype_of(value)));
  location.desc = row_major(shape_of(value), dtype_of(value));
  return location;
}

Location Planner::make_row_major(const std::string& value, dnnl::memory::data_type type) {
  return type == dnnl::memory::data_type::undef ? make_row_major(value) : make(row_major(shape_of(value), type));
}

Location Planner::make_like(const Location& source, const std::string& value, int reads) {
  if (const auto seat = free_seat(value, source.desc)) return *seat;
  return dies_here(source, reads) ? source : make(source.desc);
}

void Planner::define(const std::string& value, const Location& location) {
  locations_[value] = {location};
  residents_[location.buffer].push_back({value, location.offset, size_at(location)});
}

void Planner::add(const std::string& name, const std::string& op_type, const dnnl::primitive& primitive,
                  const dnnl::primitive_desc_base& pd, const Arguments& arguments) {
  Step step{.name = name, .op_type = op_type, .primitive = primitive, .independent = has_independent_shares(primitive, pd)};
  for (const auto& [argument, location] : arguments)
    step.operands.push_back({argument, location.buffer, dnnl::memory(location.desc, cpu_engine(), DNNL_MEMORY_NONE), location.offset});
  if (const auto scratch = pd.scratchpad_desc(); scratch.get_size() > 0)
    step.operands.push_back({DNNL_ARG_SCRATCHPAD, make(scratch).buffer, dnnl::memory(scratch, cpu_engine(), DNNL_MEMORY_NONE)});
  plan_.steps.push_back(std::move(step));
}

void Planner::add(const std::string& name, const std::string& op_type, Kernel kernel, const std::vector<Location>& operands) {
  Step step{.name = name, .op_type = op_type, .kernel = std::move(kernel)};
  for (const Location& location : operands) step.operands.push_back({0, location.buffer, {}, location.offset});
  plan_.steps.push_back(std::move(step));
}

dnnl::primitive_attr Planner::attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

Error Planner::unsupported(const graph::Node& node, const std::string& why) const {
  return {ErrorKind::unsupported, describe(node, opset()) + ": " + why};
}

Error Planner::invalid(const graph::Node& node, const std::string& why) const {
  return {ErrorKind::invalid_data, describe(node, opset()) + ": " + why};
}

Result<void> Planner::expect_f32(const graph::Node& node, const std::string& value) const {
  if (dtype_of(value) == Dtype::f32) return {};
  return unsupported(node, std::string("the runtime computes it in f32 only, and \"") + value + "\" is " + name_of(dtype_of(value)));
}

}  // namespace sightline::runtime
