// What `sightline bench` says of what it timed.
#pragma once

#include <string>
#include <vector>

#include "app/cli/bench_timing.h"
#include "app/cli/console.h"
#include "app/cli/model_source.h"
#include "app/cli/rival.h"
#include "base/json.h"
#include "graph/graph.h"

namespace sightline::cli {

struct Subject {
  FoundModel source;
  std::string file;
  graph::Graph signature;  // inputs and outputs only
  graph::Cost cost;        // BatchNormalization folded, as both engines do
  std::vector<std::int64_t> batches;
  int threads = 1;
};

struct OperatorTime {
  runtime::NodeTime time;  // least of several runs
  double flops = 0;        // of the step's first node for the whole batch; 0: unknown, or nothing to speak of
};

struct RivalFigures {
  std::string runs;  // "the same file", "the f32 file"
  double load_seconds = 0;
  OnnxRuntime::Growth memory;
};

// One precision.
struct BenchReport {
  std::string precision = "f32";  // that really ran
  std::vector<BatchFigures> batches;
  double load_seconds = 0, peak = 0;  // GFLOP/s
  runtime::Memory memory;
  std::uint64_t growth = 0;
  std::string rival_version;
  std::vector<RivalFigures> rivals;  // in the order of BatchFigures::theirs
  std::vector<OperatorTime> operators;
};

void print(const Console& console, const Subject& subject, const std::vector<BenchReport>& reports);
// One report: an object with its figures. Several: what they share, and "precisions".
Json json_of(const Subject& subject, const std::vector<BenchReport>& reports);

}  // namespace sightline::cli
