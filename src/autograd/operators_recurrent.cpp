// LSTM, GRU and RNN as ONNX defines them, with the usual functions (sigmoid and tanh): forward, backward or both. A step of one direction
// is two products and functions of the gates.
#include <algorithm>

#include "autograd/operators.h"

namespace sightline::autograd {
namespace {

using torch::Tensor;

struct Recurrence {
  enum class Kind { lstm, gru, rnn } kind = Kind::lstm;
  bool batch_first = false, reverse = false, linear_before_reset = false;
  std::vector<int> inputs;   // x, w, r, b, sequence_lens, initial_h, initial_c, p
  std::vector<int> outputs;  // y, y_h, y_c

  std::int64_t gates() const { return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1; }
};

// What one direction reads. x: length×batch×inputs; h, c: batch×hidden.
struct Direction {
  Tensor x, w, r, wb, rb, h, c, p;
};

// Gates in ONNX's order: input, output, forget, cell.
void step_lstm(Direction& d, const Tensor& from_input) {
  const std::int64_t hidden = d.h.size(1);
  const Tensor sum = from_input + at::matmul(d.h, d.r.t()) + d.rb;
  const auto gate = [&](std::int64_t which) { return sum.narrow(1, which * hidden, hidden); };
  const auto look = [&](std::int64_t which, const Tensor& cell) {
    return d.p.defined() ? gate(which) + d.p.narrow(0, which * hidden, hidden) * cell : gate(which);
  };
  const Tensor in = at::sigmoid(look(0, d.c));
  const Tensor forget = at::sigmoid(look(2, d.c));
  d.c = forget * d.c + in * at::tanh(gate(3));
  d.h = at::sigmoid(look(1, d.c)) * at::tanh(d.c);
}

// Gates in ONNX's order: update, reset, hidden.
void step_gru(Direction& d, const Tensor& from_input, bool linear_before_reset) {
  const std::int64_t hidden = d.h.size(1);
  const Tensor from_state = at::matmul(d.h, d.r.t()) + d.rb;
  const auto gate = [&](const Tensor& all, std::int64_t which) { return all.narrow(1, which * hidden, hidden); };
  const Tensor update = at::sigmoid(gate(from_input, 0) + gate(from_state, 0));
  const Tensor reset = at::sigmoid(gate(from_input, 1) + gate(from_state, 1));
  const Tensor candidate = linear_before_reset
                               ? reset * gate(from_state, 2)
                               : at::matmul(reset * d.h, d.r.narrow(0, 2 * hidden, hidden).t()) + d.rb.narrow(0, 2 * hidden, hidden);
  d.h = (1 - update) * at::tanh(gate(from_input, 2) + candidate) + update * d.h;
}

// The states after each step, length×batch×hidden, in the order of the input.
Tensor run(const Recurrence& recurrence, Direction& d, bool backwards) {
  const Tensor from_input = at::matmul(d.x, d.w.t()) + d.wb;
  const std::int64_t length = d.x.size(0);
  std::vector<Tensor> states(static_cast<std::size_t>(length));
  for (std::int64_t step = 0; step < length; ++step) {
    const std::int64_t time = backwards ? length - 1 - step : step;
    const Tensor now = from_input.select(0, time);
    if (recurrence.kind == Recurrence::Kind::lstm) step_lstm(d, now);
    if (recurrence.kind == Recurrence::Kind::gru) step_gru(d, now, recurrence.linear_before_reset);
    if (recurrence.kind == Recurrence::Kind::rnn) d.h = at::tanh(now + at::matmul(d.h, d.r.t()) + d.rb);
    states[static_cast<std::size_t>(time)] = d.h;
  }
  return at::stack(states);
}

bool usual_functions(const graph::Node& node, Recurrence::Kind kind) {
  const auto found = node.attributes.find("activations");
  if (found == node.attributes.end()) return true;
  const auto* names = std::get_if<std::vector<std::string>>(&found->second);
  if (names == nullptr) return false;
  const std::vector<std::string> usual = kind == Recurrence::Kind::lstm  ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                         : kind == Recurrence::Kind::gru ? std::vector<std::string>{"Sigmoid", "Tanh"}
                                                                         : std::vector<std::string>{"Tanh"};
  for (std::size_t i = 0; i < names->size(); ++i)
    if ((*names)[i] != usual[i % usual.size()]) return false;
  return true;
}

}  // namespace

Result<Kernel> compile_recurrent(const Site& site) {
  Recurrence recurrence;
  const graph::Node& node = site.node;
  recurrence.kind = node.op_type == "LSTM" ? Recurrence::Kind::lstm : node.op_type == "GRU" ? Recurrence::Kind::gru : Recurrence::Kind::rnn;
  recurrence.batch_first = node.integer("layout", 0) != 0;
  recurrence.reverse = node.text("direction", "forward") == "reverse";
  recurrence.linear_before_reset = node.integer("linear_before_reset", 0) != 0;
  recurrence.inputs = site.inputs;
  recurrence.inputs.resize(8, -1);
  recurrence.outputs = site.outputs;
  recurrence.outputs.resize(3, -1);
  if (recurrence.inputs[4] >= 0) return site.unsupported("sequence_lens");
  if (node.attributes.contains("clip") || node.integer("input_forget", 0) != 0) return site.unsupported("clip and input_forget");
  if (!usual_functions(node, recurrence.kind)) return site.unsupported("activations other than sigmoid and tanh");
  return Kernel([recurrence](Frame& frame) {
    const auto slot = [&](std::size_t i) {
      return recurrence.inputs[i] < 0 ? Tensor() : frame.slots[static_cast<std::size_t>(recurrence.inputs[i])];
    };
    const Tensor x = recurrence.batch_first ? slot(0).transpose(0, 1) : slot(0), w = slot(1), r = slot(2), b = slot(3), p = slot(7);
    const std::int64_t directions = r.size(0), hidden = r.size(2), rows = recurrence.gates() * hidden, batch = x.size(1);
    const auto state = [&](std::size_t i, std::int64_t d) {
      const Tensor given = slot(i);
      if (!given.defined()) return at::zeros({batch, hidden}, x.options().requires_grad(false));
      return given.select(recurrence.batch_first ? 1 : 0, d);
    };
    std::vector<Tensor> all, last_h, last_c;
    for (std::int64_t d = 0; d < directions; ++d) {
      const Tensor none = at::zeros({rows}, x.options().requires_grad(false));
      Direction direction{.x = x,
                          .w = w.select(0, d),
                          .r = r.select(0, d),
                          .wb = b.defined() ? b.select(0, d).narrow(0, 0, rows) : none,
                          .rb = b.defined() ? b.select(0, d).narrow(0, rows, rows) : none,
                          .h = state(5, d),
                          .c = state(6, d),
                          .p = p.defined() ? p.select(0, d) : Tensor()};
      all.push_back(run(recurrence, direction, d == 1 || recurrence.reverse));
      last_h.push_back(direction.h);
      last_c.push_back(direction.c);
    }
    const auto put = [&](std::size_t i, const Tensor& value) {
      if (recurrence.outputs[i] >= 0) frame.slots[static_cast<std::size_t>(recurrence.outputs[i])] = value;
    };
    // length×directions×batch×hidden, or batch×length×directions×hidden
    const Tensor y = at::stack(all, 1);
    const std::int64_t axis = recurrence.batch_first ? 1 : 0;
    put(0, recurrence.batch_first ? y.permute({2, 0, 1, 3}) : y);
    put(1, at::stack(last_h, axis));
    put(2, at::stack(last_c, axis));
  });
}

}  // namespace sightline::autograd
