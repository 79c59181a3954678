// Makes an f32 graph an int8 one after training: observes it on calibration inputs, chooses ranges, writes QDQ (graph/quantization.h),
// takes out of each layer's bias the mean by which its integers shift it, and measures what each layer's integers do to the outputs.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "runtime/calibration.h"

namespace sightline::runtime {

struct QuantizerOptions {
  RangeMethod method = RangeMethod::percentile;
  // What comes before the first layer keeps its whole range, whatever the method.
  double percentile = 0.9999;      // share of the elements that the range holds; 1: all
  bool correct_bias = true;        // Nagel et al. 2019, "Data-free quantization", with means measured instead of worked out
  bool pairs_before_sums = false;  // graph::plan_quantization
  int threads = 0;
};

// How far the outputs of one graph are from those of another, over all outputs and inputs.
struct Agreement {
  double signal_to_noise_db = 0;  // power of the reference over that of the difference; infinite when there is none
  double same_best = 1;           // share of rows (last dimension of the first output) with the same greatest element
  std::int64_t rows = 0;
};
// The reference runs in f32. Errors: as Session.
Result<Agreement> agreement(const graph::Graph& graph, const graph::Graph& reference, std::span<const Batch> batches, int threads,
                            Precision precision = Precision::f32);

struct LayerEffect {
  std::string layer;  // its first output, as graph::QuantizedLayer has it
  std::string op_type;
  double signal_to_noise_db = 0;  // of the outputs, when only this layer is quantised
};

class Quantizer {
 public:
  // Runs the graph on the batches. Errors: unsupported (the graph holds QuantizeLinear already, or no layer that can be quantised); as
  // observe().
  static Result<Quantizer> create(const graph::Graph& graph, std::span<const Batch> batches, const QuantizerOptions& options = {});
  Quantizer(Quantizer&&) noexcept;
  Quantizer& operator=(Quantizer&&) noexcept;
  ~Quantizer();

  std::vector<std::string> layers() const;  // in the order of execution
  // The QDQ graph; layers of these names stay f32.
  Result<graph::Graph> quantize(const std::set<std::string>& kept = {}) const;
  // In the order of the layers. More than 24 layers are measured in blocks of neighbours, whose members then get the same figure less their
  // number: noise adds up. batches: some of those that create() got are enough.
  Result<std::vector<LayerEffect>> effects(std::span<const Batch> batches) const;

 private:
  struct State;
  explicit Quantizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The layers to keep in f32 so that at most this share of the noise is left: the worst ones, but at most half of all.
std::set<std::string> layers_to_keep(std::span<const LayerEffect> effects, double share_of_noise);

}  // namespace sightline::runtime
