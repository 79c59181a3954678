// A reader of one line of text as a graph, of the size of LPRNet: plain convolutions that bring a line's height down to one row and its
// width to a quarter, where each column says which symbol stands there. No recurrence. Sources: Zherzdev & Gruzdev 2018 (LPRNet,
// arXiv:1806.10447), Graves et al. 2006 (what the columns mean, tasks/ctc.h).
//
// Input "image" u8 N×H×W×C, H 32 (or another multiple of 16), W a multiple of 4; T = W/4 columns, K symbols, the blank behind them.
//   training   "column_logits" f32 N×T×(K+1)
//   serving    "columns" f32 N×T×(K+1): their softmax, times "inverse_temperature" before
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/builder.h"

namespace sightline::modules {

// Raised when the same options build another graph than before: part of the key of the step that builds readers.
inline constexpr int reader_version = 1;

inline constexpr const char *column_logits = "column_logits", *columns = "columns";
inline constexpr std::int64_t pixels_per_column = 4, reader_height_step = 16;

struct ReaderOptions {
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t symbols = 0;            // without the blank
  std::vector<float> mean, deviation;  // per channel, on the 0..255 scale
  float dropout = 0;                   // before the columns are told
  std::uint64_t seed = 0;
};

// Error usage: what the options get wrong.
Result<graph::Graph> build_reader(const ReaderOptions& options);

}  // namespace sightline::modules
