// LSTM, GRU, RNN: forward, backward or both, as ONNX defines them. One step of one direction is two products of a state with a matrix, and
// functions of the gates.
#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;
using Function = std::function<float(float)>;

std::optional<Function> activation_of(std::string name, float alpha, float beta) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (name == "sigmoid") return [](float x) { return 1 / (1 + std::exp(-x)); };
  if (name == "tanh") return [](float x) { return std::tanh(x); };
  if (name == "relu") return [](float x) { return std::max(x, 0.0F); };
  if (name == "affine") return [=](float x) { return alpha * x + beta; };
  if (name == "leakyrelu") return [=](float x) { return x < 0 ? alpha * x : x; };
  if (name == "thresholdedrelu") return [=](float x) { return x > alpha ? x : 0; };
  if (name == "scaledtanh") return [=](float x) { return alpha * std::tanh(beta * x); };
  if (name == "hardsigmoid") return [=](float x) { return std::clamp(alpha * x + beta, 0.0F, 1.0F); };
  if (name == "elu") return [=](float x) { return x < 0 ? alpha * std::expm1(x) : x; };
  if (name == "softsign") return [](float x) { return x / (1 + std::abs(x)); };
  if (name == "softplus") return [](float x) { return std::max(x, 0.0F) + std::log1p(std::exp(-std::abs(x))); };
  return std::nullopt;
}

// Sixteen sums at a time, which the compiler turns into vectors.
float dot(const float* a, const float* b, std::int64_t count) {
  float sums[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (std::int64_t k = 0; k < 16; ++k) sums[k] += a[i + k] * b[i + k];
  float sum = 0;
  for (float part : sums) sum += part;
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

struct Recurrence {
  enum class Kind { lstm, gru, rnn } kind = Kind::lstm;
  std::int64_t length = 0, batch = 0, inputs = 0, hidden = 0, directions = 1;
  bool batch_first = false, reverse = false, linear_before_reset = false, input_forget = false;
  float clip = 0;                   // 0: none
  std::vector<Function> functions;  // up to three for each direction

  std::int64_t gates() const { return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1; }
  std::int64_t place(std::int64_t time, std::int64_t image) const { return batch_first ? image * length + time : time * batch + image; }
  std::int64_t state_place(std::int64_t direction, std::int64_t image) const {
    return (batch_first ? image * directions + direction : direction * batch + image) * hidden;
  }
  float cut(float x) const { return clip > 0 ? std::clamp(x, -clip, clip) : x; }

  struct Addresses {
    const float *x, *w, *r, *b, *h, *c, *p;
    const std::int32_t* lengths;
    float *y, *last_h, *last_c;
  };

  void run(const Addresses& at) const {
    const std::int64_t rows = gates() * hidden;
    std::vector<float> state(static_cast<std::size_t>(hidden)), cell(state), gate(static_cast<std::size_t>(rows)), recurrent(gate),
        next(state);
    for (std::int64_t d = 0; d < directions; ++d)
      for (std::int64_t n = 0; n < batch; ++n) {
        const std::int64_t steps = at.lengths != nullptr ? std::clamp<std::int64_t>(at.lengths[n], 0, length) : length;
        const auto begin = [&](std::vector<float>& to, const float* from) {
          for (std::int64_t i = 0; i < hidden; ++i) to[static_cast<std::size_t>(i)] = from != nullptr ? from[state_place(d, n) + i] : 0.0F;
        };
        begin(state, at.h);
        begin(cell, at.c);
        const bool backwards = d == 1 || reverse;
        for (std::int64_t s = 0; s < length; ++s) {
          const std::int64_t time = s < steps && backwards ? steps - 1 - s : s;
          if (s < steps) {
            const float* x = at.x + place(time, n) * inputs;
            for (std::int64_t i = 0; i < rows; ++i) {
              const auto k = static_cast<std::size_t>(i);
              gate[k] = dot(x, at.w + (d * rows + i) * inputs, inputs) + (at.b != nullptr ? at.b[d * 2 * rows + i] : 0.0F);
              recurrent[k] =
                  dot(state.data(), at.r + (d * rows + i) * hidden, hidden) + (at.b != nullptr ? at.b[d * 2 * rows + rows + i] : 0.0F);
            }
            if (kind == Kind::lstm) step_lstm(d, gate, recurrent, at.p, state, cell);
            if (kind == Kind::gru) step_gru(d, gate, recurrent, at, state, next);
            if (kind == Kind::rnn)
              for (std::size_t i = 0; i < state.size(); ++i) state[i] = functions[static_cast<std::size_t>(d)](cut(gate[i] + recurrent[i]));
          }
          if (at.y == nullptr) continue;
          const std::int64_t row = batch_first ? (n * length + time) * directions + d : (time * directions + d) * batch + n;
          for (std::int64_t i = 0; i < hidden; ++i) at.y[row * hidden + i] = s < steps ? state[static_cast<std::size_t>(i)] : 0.0F;
        }
        if (at.last_h != nullptr) std::ranges::copy(state, at.last_h + state_place(d, n));
        if (at.last_c != nullptr) std::ranges::copy(cell, at.last_c + state_place(d, n));
      }
  }

  // Gates in ONNX's order: input, output, forget, cell.
  void step_lstm(std::int64_t d, const std::vector<float>& gate, const std::vector<float>& recurrent, const float* peepholes,
                 std::vector<float>& state, std::vector<float>& cell) const {
    const auto size = static_cast<std::size_t>(hidden), first = static_cast<std::size_t>(d) * 3;
    const Function &f = functions[first], &g = functions[first + 1], &h = functions[first + 2];
    const float* peep = peepholes != nullptr ? peepholes + d * 3 * hidden : nullptr;
    for (std::size_t i = 0; i < size; ++i) {
      const auto sum = [&](std::size_t which) { return gate[which * size + i] + recurrent[which * size + i]; };
      const auto look = [&](std::size_t which, float value) { return peep != nullptr ? peep[which * size + i] * value : 0.0F; };
      const float in = f(cut(sum(0) + look(0, cell[i])));
      const float forget = input_forget ? 1 - in : f(cut(sum(2) + look(2, cell[i])));
      cell[i] = forget * cell[i] + in * g(cut(sum(3)));
      state[i] = f(cut(sum(1) + look(1, cell[i]))) * h(cell[i]);
    }
  }

  // Gates in ONNX's order: update, reset, hidden.
  void step_gru(std::int64_t d, const std::vector<float>& gate, const std::vector<float>& recurrent, const Addresses& at,
                std::vector<float>& state, std::vector<float>& next) const {
    const auto size = static_cast<std::size_t>(hidden), first = static_cast<std::size_t>(d) * 2;
    const Function &f = functions[first], &g = functions[first + 1];
    std::vector<float> reset(size);
    for (std::size_t i = 0; i < size; ++i) reset[i] = f(cut(gate[size + i] + recurrent[size + i]));
    std::vector<float> held(size);
    for (std::size_t i = 0; i < size; ++i) held[i] = reset[i] * state[i];
    for (std::size_t i = 0; i < size; ++i) {
      float candidate = reset[i] * recurrent[2 * size + i];
      if (!linear_before_reset) {
        const std::int64_t row = d * 3 * hidden + 2 * hidden + static_cast<std::int64_t>(i);
        candidate = dot(held.data(), at.r + row * hidden, hidden) +
                    (at.b != nullptr ? at.b[d * 6 * hidden + 5 * hidden + static_cast<std::int64_t>(i)] : 0.0F);
      }
      const float update = f(cut(gate[i] + recurrent[i]));
      next[i] = (1 - update) * g(cut(gate[2 * size + i] + candidate)) + update * state[i];
    }
    state = next;
  }
};

Result<std::vector<Function>> functions_of(const Planner& planner, const Node& node, const Recurrence& recurrence) {
  const auto list = [&](const char* key) {
    const auto found = node.attributes.find(key);
    const auto* values = found == node.attributes.end() ? nullptr : std::get_if<std::vector<float>>(&found->second);
    return values != nullptr ? *values : std::vector<float>();
  };
  std::vector<std::string> names;
  if (const auto found = node.attributes.find("activations"); found != node.attributes.end())
    names = std::get<std::vector<std::string>>(found->second);
  const std::vector<std::string> defaults = recurrence.kind == Recurrence::Kind::lstm  ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                            : recurrence.kind == Recurrence::Kind::gru ? std::vector<std::string>{"Sigmoid", "Tanh"}
                                                                                       : std::vector<std::string>{"Tanh"};
  const std::size_t wanted = defaults.size() * static_cast<std::size_t>(recurrence.directions);
  if (names.empty())
    for (std::size_t i = 0; i < wanted; ++i) names.push_back(defaults[i % defaults.size()]);
  if (names.size() != wanted)
    return planner.invalid(node, "it has " + std::to_string(names.size()) + " activations where " + std::to_string(wanted) + " are needed");
  // Only functions that have parameters take one from the lists.
  const std::vector<float> alphas = list("activation_alpha"), betas = list("activation_beta");
  std::size_t alpha_at = 0, beta_at = 0;
  std::vector<Function> functions;
  for (const std::string& name : names) {
    float alpha = 0.01F, beta = 0;
    if (name == "HardSigmoid") alpha = 0.2F, beta = 0.5F;
    if (name == "Elu" || name == "Affine" || name == "ScaledTanh" || name == "ThresholdedRelu") alpha = 1;
    if (name == "ScaledTanh") beta = 1;
    const bool one = name == "LeakyRelu" || name == "ThresholdedRelu" || name == "Elu",
               two = name == "Affine" || name == "ScaledTanh" || name == "HardSigmoid";
    if ((one || two) && alpha_at < alphas.size()) alpha = alphas[alpha_at++];
    if (two && beta_at < betas.size()) beta = betas[beta_at++];
    const auto function = activation_of(name, alpha, beta);
    if (!function) return planner.unsupported(node, "the activation \"" + name + "\"");
    functions.push_back(*function);
  }
  return functions;
}

}  // namespace

Result<void> plan_recurrent(Planner& planner, const Node& node) {
  SIGHTLINE_CHECK(planner.expect_f32(node, node.inputs[0]));
  for (std::size_t i : {1, 2}) SIGHTLINE_CHECK(planner.expect_f32(node, node.inputs[i]));
  const Shape &x = planner.shape_of(node.inputs[0]), &r = planner.shape_of(node.inputs[2]);
  Recurrence recurrence;
  recurrence.kind = node.op_type == "LSTM" ? Recurrence::Kind::lstm : node.op_type == "GRU" ? Recurrence::Kind::gru : Recurrence::Kind::rnn;
  recurrence.batch_first = node.integer("layout", 0) != 0;
  recurrence.length = x[recurrence.batch_first ? 1 : 0];
  recurrence.batch = x[recurrence.batch_first ? 0 : 1];
  recurrence.inputs = x[2];
  recurrence.hidden = r[2];
  recurrence.directions = r[0];
  recurrence.reverse = node.text("direction", "forward") == "reverse";
  recurrence.linear_before_reset = node.integer("linear_before_reset", 0) != 0;
  recurrence.input_forget = node.integer("input_forget", 0) != 0;
  recurrence.clip = node.real("clip", 0);
  SIGHTLINE_TRY(recurrence.functions, functions_of(planner, node, recurrence));
  add_plain(planner, node, [recurrence, inputs = node.inputs.size(), outputs = node.outputs.size()](std::span<std::byte* const> at) {
    const auto in = [&](std::size_t i) { return i < inputs && at[i] != nullptr ? read_as<float>(at[i]) : nullptr; };
    const auto out = [&](std::size_t i) { return i < outputs && at[inputs + i] != nullptr ? write_as<float>(at[inputs + i]) : nullptr; };
    const auto* lengths = inputs > 4 && at[4] != nullptr ? read_as<std::int32_t>(at[4]) : nullptr;
    recurrence.run({in(0), in(1), in(2), in(3), in(5), in(6), in(7), lengths, out(0), out(1), out(2)});
  });
  return {};
}

}  // namespace sightline::runtime
