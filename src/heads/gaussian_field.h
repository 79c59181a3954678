// Good places as Gaussians: the distance of a place is Mahalanobis' to the mean of good ones (PaDiM: Defard et al., A patch distribution
// modeling framework for anomaly detection and localization, 2021).
#pragma once

#include <cstdint>

#include "base/fields.h"
#include "base/result.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace sightline {
namespace heads {

// Every place of the grid has its own mean: a network answers otherwise at a picture's edge than inside.
// per_place: its own covariance too, for things that always lie alike (PaDiM itself). pooled: one covariance of what is left at all places,
// for surfaces and for few pictures; D² numbers instead of h·w·D².
enum class Spread { pooled, per_place };

struct GaussianField {
  Spread spread = Spread::pooled;
  std::int64_t height = 0, width = 0;  // of the grid
  Tensor mean;                         // f32 h·w×D
  Tensor whitening;                    // f32 h·w×D×D or 1×D×D, lower triangles: |whitening · (x - mean)| is the distance
  double shrinkage = 0;                // of the correlations towards none (Ledoit and Wolf 2004); the mean over the places
};

// places f32 N×D×h×w of good pictures, two at least. Errors: invalid_data, interrupted.
Result<GaussianField> fit_gaussian_field(const Tensor& places, Spread spread);

// "places" → "distances": a 1×1 convolution and a root when pooled, else a product of matrices for each place. Errors: not_found,
// invalid_data (D or the grid differ).
Result<graph::Graph> append_gaussian_field(const graph::Graph& graph, const GaussianField& field);

// The same without a graph: f32 N×1×h×w.
Tensor distances_to(const GaussianField& field, const Tensor& places);

}  // namespace heads

template <>
struct EnumNames<heads::Spread> {
  static constexpr std::array<const char*, 2> names{"pooled", "per_place"};
};

}  // namespace sightline
