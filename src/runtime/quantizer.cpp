#include "runtime/quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/interrupt.h"
#include "graph/operators.h"
#include "graph/quantization.h"

namespace sightline::runtime {
namespace {

constexpr std::size_t most_measurements = 24;

// Sums over all rows of what a layer leaves in each channel.
struct ChannelSums {
  std::vector<double> sums;
  double rows = 0;
  void add(const Tensor& tensor) {  // rows × channels
    const auto channels = static_cast<std::size_t>(tensor.shape().back());
    sums.resize(channels);
    const auto values = tensor.values<float>();
    for (std::size_t i = 0; i < values.size(); ++i) sums[i % channels] += static_cast<double>(values[i]);
    const std::size_t count = values.size() / channels;
    rows += static_cast<double>(count);
  }
};

// Appends the mean of the value over everything but batch and channels, as N×C (or N×…×C where the channels are last); gives its name.
std::string append_mean(graph::Graph& graph, const std::string& value, std::size_t rank, bool channels_last) {
  if (channels_last || rank < 3) return value;
  std::vector<std::int64_t> axes;
  for (std::size_t d = 2; d < rank; ++d) axes.push_back(static_cast<std::int64_t>(d));
  std::string name = value + ".mean_over_places";
  graph.nodes.push_back({name, "ReduceMean", {value}, {name}, {{"axes", axes}, {"keepdims", std::int64_t{0}}}, ""});
  return name;
}

double decibels(double signal, double noise) {
  if (noise <= 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}

std::size_t best_of(std::span<const float> row) { return static_cast<std::size_t>(std::ranges::max_element(row) - row.begin()); }

// What the graph answers; everything at once, outputs are small.
Result<std::vector<std::vector<Tensor>>> answers_of(const graph::Graph& graph, std::span<const Batch> batches, int threads,
                                                    Precision precision = Precision::f32) {
  SIGHTLINE_TRY(Session session, Session::create(graph, {.threads = threads, .precision = precision}));
  std::vector<std::vector<Tensor>> answers;
  for (const Batch& batch : batches) {
    SIGHTLINE_CHECK(check_interrupt());
    SIGHTLINE_TRY(std::vector<Tensor> got, session.run(batch));
    answers.push_back(std::move(got));
  }
  return answers;
}

Agreement compare(const std::vector<std::vector<Tensor>>& got, const std::vector<std::vector<Tensor>>& wanted) {
  double signal = 0, noise = 0;
  std::int64_t same = 0;
  Agreement result;
  for (std::size_t b = 0; b < got.size(); ++b) {
    for (std::size_t o = 0; o < got[b].size(); ++o) {
      if (wanted[b][o].dtype() != Dtype::f32 || got[b][o].dtype() != Dtype::f32) continue;
      const auto ours = got[b][o].values<float>(), reference = wanted[b][o].values<float>();
      for (std::size_t i = 0; i < std::min(ours.size(), reference.size()); ++i) {
        const double difference = static_cast<double>(ours[i]) - static_cast<double>(reference[i]);
        signal += static_cast<double>(reference[i]) * static_cast<double>(reference[i]);
        noise += std::isfinite(difference) ? difference * difference : std::numeric_limits<double>::infinity();
      }
      if (o > 0 || ours.empty() || wanted[b][o].rank() == 0) continue;
      const auto width = static_cast<std::size_t>(wanted[b][o].shape().back());
      for (std::size_t row = 0; row + width <= ours.size(); row += width) {
        same += best_of(ours.subspan(row, width)) == best_of(reference.subspan(row, width)) ? 1 : 0;
        ++result.rows;
      }
    }
  }
  result.signal_to_noise_db = decibels(signal, noise);
  if (result.rows > 0) result.same_best = static_cast<double>(same) / static_cast<double>(result.rows);
  return result;
}

// Values that a layer had a part in.
std::set<std::string> behind_layers(const graph::Graph& graph, const graph::QuantizationPlan& plan) {
  std::set<std::size_t> layers;
  for (const graph::QuantizedLayer& layer : plan.layers) layers.insert(layer.node);
  std::set<std::string> behind;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    const bool follows = std::ranges::any_of(node.inputs, [&](const std::string& input) { return behind.contains(input); });
    if (follows || layers.contains(i)) behind.insert(node.outputs.begin(), node.outputs.end());
  }
  return behind;
}

}  // namespace

struct Quantizer::State {
  graph::Graph prepared;
  QuantizerOptions options;
  graph::QuantizationPlan plan;  // of everything
  std::map<std::string, float> greatest;
  std::map<std::string, std::vector<float>> shifts;

  // Each layer once more, with its integers, on the f32 input that it has in the f32 graph: the difference of the two means is the layer's
  // own shift, free of what the layers before it did.
  Result<void> measure_shifts(std::span<const Batch> batches) {
    SIGHTLINE_TRY(const auto infos, graph::infer_shapes(prepared));
    graph::Graph twins = prepared;
    twins.outputs.clear();
    std::map<std::string, const graph::QuantizedValue*> values;
    for (const graph::QuantizedValue& value : plan.values) values[value.name] = &value;
    std::vector<float> most(plan.groups, 0);
    for (const graph::QuantizedValue& value : plan.values) most[value.group] = std::max(most[value.group], greatest.at(value.name));
    std::map<std::string, std::string> rounded;
    std::vector<std::string> asked, names;
    for (const graph::QuantizedLayer& layer : plan.layers) {
      graph::Node twin = prepared.nodes[layer.node];
      if (twin.op_type == "MatMul") continue;  // it has no bias
      const graph::QuantizedValue& input = *values.at(layer.input);
      const float scale = graph::scale_for(most[input.group], input.is_unsigned);
      auto [place, fresh] = rounded.try_emplace(layer.input, layer.input + ".rounded");
      if (fresh) {
        const std::string given = layer.input + ".scale", zero = layer.input + ".zero", integers = layer.input + ".integers";
        twins.initializers[given] = Tensor::filled({}, scale);
        twins.initializers[zero] = Tensor::zeros(input.is_unsigned ? Dtype::u8 : Dtype::i8, {});
        twins.nodes.push_back({integers, "QuantizeLinear", {layer.input, given, zero}, {integers}, {}, ""});
        twins.nodes.push_back({place->second, "DequantizeLinear", {integers, given, zero}, {place->second}, {}, ""});
      }
      const bool has_bias = twin.inputs.size() > 2 && !twin.inputs[2].empty();
      const Tensor* bias = has_bias ? &prepared.initializers.at(twin.inputs[2]) : nullptr;
      const auto weights = graph::quantize_weights(prepared.initializers.at(twin.inputs[1]), layer.axis, bias, scale);
      const std::string name = layer.name + ".twin", weight_name = layer.name + ".twin_weight";
      twins.initializers[weight_name] = graph::dequantize(weights.values, weights.scales, layer.axis);
      twin.name = name;
      twin.inputs[0] = place->second;
      twin.inputs[1] = weight_name;
      twin.outputs = {name};
      twins.nodes.push_back(twin);
      const std::size_t rank = infos.at(layer.name).shape.size();
      const bool channels_last = twin.op_type == "Gemm";
      names.push_back(layer.name);
      asked.push_back(append_mean(twins, layer.name, rank, channels_last));
      asked.push_back(append_mean(twins, name, rank, channels_last));
    }
    if (names.empty()) return {};
    SIGHTLINE_TRY(const auto grown, graph::infer_shapes(twins));
    for (const std::string& name : asked) twins.outputs.push_back(grown.at(name));
    SIGHTLINE_TRY(Session session, Session::create(twins, {.threads = options.threads}));
    std::vector<ChannelSums> sums(asked.size());
    for (const Batch& batch : batches) {
      SIGHTLINE_CHECK(check_interrupt());
      SIGHTLINE_TRY(const std::vector<Tensor> got, session.run(batch));
      for (std::size_t i = 0; i < got.size(); ++i) sums[i].add(got[i]);
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      const ChannelSums &exact = sums[2 * i], &integer = sums[2 * i + 1];
      std::vector<float>& shift = shifts[names[i]];
      for (std::size_t c = 0; c < exact.sums.size(); ++c)
        shift.push_back(static_cast<float>((integer.sums[c] - exact.sums[c]) / exact.rows));
    }
    return {};
  }
};

Quantizer::Quantizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Quantizer::Quantizer(Quantizer&&) noexcept = default;
Quantizer& Quantizer::operator=(Quantizer&&) noexcept = default;
Quantizer::~Quantizer() = default;

Result<Quantizer> Quantizer::create(const graph::Graph& graph, std::span<const Batch> batches, const QuantizerOptions& options) {
  if (!(options.percentile > 0 && options.percentile <= 1))
    return Error{ErrorKind::usage, fmt::format("a percentile of {} is no share between 0 and 1", options.percentile)};
  for (const graph::Node& node : graph.nodes)
    if (node.op_type == "QuantizeLinear" || node.op_type == "DequantizeLinear")
      return Error{ErrorKind::unsupported,
                   fmt::format("{}: the network is quantised already; start from its f32 file", graph::describe(node))};
  auto state = std::make_unique<State>();
  state->options = options;
  SIGHTLINE_TRY(state->prepared, graph::prepare_for_quantization(graph));
  SIGHTLINE_TRY(state->plan, graph::plan_quantization(state->prepared, {}, options.pairs_before_sums));
  if (state->plan.layers.empty())
    return Error{ErrorKind::unsupported,
                 "the network has no Conv, ConvTranspose, Gemm or MatMul with constant f32 weights: there is nothing to quantise"};
  std::vector<std::string> names;
  for (const graph::QuantizedValue& value : state->plan.values) names.push_back(value.name);
  SIGHTLINE_TRY(const auto histograms, observe(state->prepared, names, batches, options.threads));
  const std::set<std::string> computed = behind_layers(state->prepared, state->plan);
  for (const graph::QuantizedValue& value : state->plan.values) {
    const Histogram& histogram = histograms.at(value.name);
    float& greatest = state->greatest[value.name];
    if (!computed.contains(value.name)) {
      // Pixels are bounded, and often crowd at one value (a background), which says nothing about outliers.
      greatest = histogram.greatest();
    } else if (options.method == RangeMethod::entropy) {
      greatest = histogram.entropy_range(value.is_unsigned ? 256 : 128);
    } else {
      greatest = histogram.percentile(options.percentile);
    }
  }
  if (options.correct_bias) SIGHTLINE_CHECK(state->measure_shifts(batches));
  return Quantizer(std::move(state));
}

std::vector<std::string> Quantizer::layers() const {
  std::vector<std::string> names;
  for (const graph::QuantizedLayer& layer : state_->plan.layers) names.push_back(layer.name);
  return names;
}

Result<graph::Graph> Quantizer::quantize(const std::set<std::string>& kept) const {
  if (kept.empty()) return graph::write_qdq(state_->prepared, state_->plan, state_->greatest, state_->shifts);
  SIGHTLINE_TRY(const graph::QuantizationPlan plan, graph::plan_quantization(state_->prepared, kept, state_->options.pairs_before_sums));
  return graph::write_qdq(state_->prepared, plan, state_->greatest, state_->shifts);
}

Result<std::vector<LayerEffect>> Quantizer::effects(std::span<const Batch> batches) const {
  const auto& layers = state_->plan.layers;
  SIGHTLINE_TRY(const auto wanted, answers_of(state_->prepared, batches, state_->options.threads));
  const std::size_t blocks = std::min(layers.size(), most_measurements);
  std::vector<LayerEffect> effects;
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t begin = block * layers.size() / blocks, end = (block + 1) * layers.size() / blocks;
    std::set<std::string> kept;
    for (std::size_t i = 0; i < layers.size(); ++i)
      if (i < begin || i >= end) kept.insert(layers[i].name);
    SIGHTLINE_TRY(const graph::Graph alone, quantize(kept));
    SIGHTLINE_TRY(const auto got, answers_of(alone, batches, state_->options.threads));
    const double together = compare(got, wanted).signal_to_noise_db;
    for (std::size_t i = begin; i < end; ++i)
      effects.push_back(
          {layers[i].name, state_->prepared.nodes[layers[i].node].op_type, together + 10 * std::log10(static_cast<double>(end - begin))});
  }
  return effects;
}

Result<Agreement> agreement(const graph::Graph& graph, const graph::Graph& reference, std::span<const Batch> batches, int threads,
                            Precision precision) {
  SIGHTLINE_TRY(const auto wanted, answers_of(reference, batches, threads));
  SIGHTLINE_TRY(const auto got, answers_of(graph, batches, threads, precision));
  return compare(got, wanted);
}

std::set<std::string> layers_to_keep(std::span<const LayerEffect> effects, double share_of_noise) {
  std::vector<std::pair<double, std::string>> noise;
  double all = 0;
  for (const LayerEffect& effect : effects) {
    // Infinitely much signal is no noise, and a ratio below what a double holds is all of it.
    noise.emplace_back(std::pow(10.0, std::clamp(-effect.signal_to_noise_db, -300.0, 300.0) / 10), effect.layer);
    all += noise.back().first;
  }
  std::ranges::stable_sort(noise, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::set<std::string> kept;
  double left = all;
  for (const auto& [power, layer] : noise) {
    if (left <= share_of_noise * all || 2 * (kept.size() + 1) > effects.size()) break;
    kept.insert(layer);
    left -= power;
  }
  return kept;
}

}  // namespace sightline::runtime
