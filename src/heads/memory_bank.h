// Good places remembered: the distance of a place is that to the nearest of a few descriptions which cover all those of good pictures
// (PatchCore: Roth et al., Towards total recall in industrial anomaly detection, 2022).
#pragma once

#include <cstdint>

#include "base/result.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace sightline::heads {

struct MemoryBankOptions {
  double share = 0.01;                   // of the good places that are remembered
  std::int64_t least = 64, most = 2048;  // descriptions, whatever the share says
  std::int64_t candidates = 200'000;     // places that the bank is chosen from; of more, so many are drawn
  std::uint64_t seed = 0;
  // Every place is first measured against its own mean and spread over the pictures: for things that always lie alike, whose edges vary
  // more than their middles.
  bool by_place = false;
};

struct MemoryBank {
  Tensor place_mean, place_scale;  // f32 1×D×h×w: places go less the one, times the other, before anything else; undefined: as they are
  Tensor mean;                     // f32 D: subtracted first, so that squares stay small
  Tensor members;                  // f32 M×D, less the mean
  double coverage = 0;             // no candidate is farther than this from its nearest member
};

// places f32 N×D×h×w of good pictures. Members are chosen by farthest-first traversal (Gonzalez 1985; PatchCore's greedy coreset), which
// covers within twice the best possible distance; it ends early where every candidate is a member. The same seed gives the same bank on one
// kind of processor, whatever the number of threads. Errors: invalid_data (no places, values that are not finite), usage, interrupted.
Result<MemoryBank> fit_memory_bank(const Tensor& places, const MemoryBankOptions& options = {});

// The nodes that measure: |x|² - 2 x·m + |m|² by a 1×1 convolution, its least over the members, the root. "places" → "distances".
// Errors: not_found, invalid_data (D differs).
Result<graph::Graph> append_memory_bank(const graph::Graph& graph, const MemoryBank& bank);

// The same without a graph: f32 N×1×h×w.
Tensor distances_to(const MemoryBank& bank, const Tensor& places);

}  // namespace sightline::heads
