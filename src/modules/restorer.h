// A small net that gives back what a picture lost: noise is taken out, blur undone, pixels are added; and says how far off it may be.
//
// An encoder and decoder whose blocks multiply two convolutions of the same map in place of a non-linearity (SimpleGate; Chen et al. 2022,
// NAFNet), with plain 3×3 convolutions in place of depthwise ones, which train ten times slower here, and without normalisation: one of the
// two factors is kept between -1 and 1 instead, or ten blocks were a polynomial of degree 1,024, and training ran away. It works at half of
// the output's size: pictures that stay as large are folded by its first convolution, and larger ones unfolded by its last
// (sub-pixel convolution; Shi et al. 2016). What comes out is added to the picture that came in.
//
// Input "image" u8 N×H×W×C, H and W multiples of restorer_step. The output is s times as large as the input.
//   training  "restored_picture" f32 N×C×sH×sW   on the scale where black is -1 and white is 1
//             "log_variance"     f32 N×1×sH×sW   of its values on that scale
//   serving   "restored"         f32 N×C×sH×sW   in levels of 0 to 255, not cut to them
//             "deviation"        f32 N×1×sH×sW   the square root of the variance, in levels, times deviation_factor, which calibration sets
// It is convolutional throughout: it learns on crops that are smaller than what it is served with.
#pragma once

#include <cstdint>

#include "graph/builder.h"

namespace sightline::modules {

// Raised when the same options build another graph than before: part of the key of the step that builds restorers.
inline constexpr int restorer_version = 2;

inline constexpr const char *restored_picture = "restored_picture", *log_variance = "log_variance", *deviation_factor = "deviation_factor";
inline constexpr int restorer_step = 8;  // of its sides
// Of the crops that it learns on, before they get larger.
constexpr int crop_side(int scale) { return scale == 1 ? 64 : scale == 2 ? 48 : 32; }

struct RestorerOptions {
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t scale = 1;  // 1, 2 or 4
  std::int64_t maps = 32;  // of the widest layer; twice and four times as many below
  std::uint64_t seed = 0;
};

// Error usage: what the options get wrong.
Result<graph::Graph> build_restorer(const RestorerOptions& options);

}  // namespace sightline::modules
