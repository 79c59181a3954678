// What a frozen backbone says of every place of a picture, and what becomes of the distances that a model of good places measures there.
// The two ends of an anomaly detector as one graph; between them stands a memory bank or a Gaussian field (memory_bank.h,
// gaussian_field.h).
//
//   image → backbone → maps → "places" f32 N×D×h×w → bank or field → "distances" f32 N×1×h×w → "anomaly_map", "anomaly_score"
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace sightline::heads {

inline constexpr const char* places_value = "places";
inline constexpr const char* distances_value = "distances";
inline constexpr const char* picture_distance = "picture_distance";  // f32 N, training output: before the threshold
inline constexpr const char* anomaly_map = "anomaly_map";            // f32 N×H×W
inline constexpr const char* anomaly_score = "anomaly_score";        // f32 N

struct PlaceOptions {
  std::int64_t around = 3;  // odd
  std::int64_t dimensions =
      128;  // D at most; more are projected at random (Johnson and Lindenstrauss), which keeps distances about as they are
  std::uint64_t seed = 0;
};
// maps: values f32 N×Fi×hi×wi of the backbone. Each is averaged over around×around places (PatchCore's neighbourhoods, Roth et al. 2022)
// and brought to the grid of the finest one (bilinear); they stand one behind the other, and more than `dimensions` channels are projected.
// The graph's only output is "places". Errors: not_found (no such value), invalid_data (not a map of known size).
Result<graph::Graph> append_places(const graph::Graph& backbone, const std::vector<std::string>& maps, const PlaceOptions& options = {});

struct ScoreOptions {
  std::int64_t height = 0, width = 0;  // of the network's input
  double blur = 4;                     // standard deviation, pixels of the input, of the Gaussian that smooths the map; 0: none
  double threshold = 1;                // the distance beyond which a picture is not good
  double share = 0;                    // of the places, whose largest distances' mean is the picture's; 0: the largest of the smoothed map
};
// How many places a share is: one at least.
std::int64_t places_in(double share, std::int64_t places);
// Brings "distances" to the input's size, smooths them, and answers for every pixel and for the picture with
// distance / (distance + threshold): 0 to 1, half at the threshold, in the order of the distances. Errors: invalid_data.
Result<graph::Graph> append_scores(const graph::Graph& graph, const ScoreOptions& options);
// The same graph with another threshold. Error invalid_data (not such a graph; not above 0).
Result<graph::Graph> with_threshold(const graph::Graph& graph, double threshold);

// The threshold that good pictures, none of which the model was fitted on, reach in at most this share of cases.
struct Alarm {
  double threshold = 0;
  double false_alarm_rate = 0;  // what it promises of further good pictures drawn the same way: never below 1 / (count + 1)
  std::int64_t count = 0;       // of good pictures that it stands on
};
// The k-th smallest of n distances with the least k >= (1 - rate)(n + 1), and the largest where that is beyond n (conformal prediction,
// Vovk et al. 2005): a further one exceeds it with probability at most 1 - k / (n + 1), which is what false_alarm_rate says. Errors: usage
// (rate outside of (0, 1)), invalid_data (no distances; negative or not numbers).
Result<Alarm> alarm_of(const std::vector<double>& good_distances, double rate);

// A place's description from places f32 N×D×h×w: rows f32 (N·h·w)×D, picture after picture, row after row.
Tensor descriptions_of(const Tensor& places);

}  // namespace sightline::heads
