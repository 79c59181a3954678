// Values in blocks of channels whose channels are joined, shuffled and cut: what Concat, Reshape and Transpose (a channel shuffle) and
// Split do between the convolutions of ShuffleNet and its kin. Where parts do not fill whole blocks, each of these nodes would cost a
// reorder to another layout and one back; together they only say for each channel where it comes from.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/operators.h"

namespace sightline::runtime {

// Where one channel of a result comes from.
struct ChannelOrigin {
  std::size_t source = 0;
  std::int64_t channel = 0;
  bool operator==(const ChannelOrigin&) const = default;
};

// A block of 16 channels of a result, put together from blocks of sources.
struct ChannelBlock {
  struct Part {
    std::size_t source = 0;
    std::int64_t block = 0;
    std::int32_t lane[16] = {};  // of the source's block, for each channel
    std::uint16_t taken = 0;     // which channels it gives
  };
  std::vector<Part> parts;  // channels that none gives are zero
};
std::vector<ChannelBlock> channel_blocks(const std::vector<ChannelOrigin>& origins);

// images × pixels × these blocks: from[i], to: N×(C/16)×pixels×16, f32. For processors with AVX-512.
void move_channels(const std::vector<ChannelBlock>& blocks, const std::vector<const float*>& from,
                   const std::vector<std::int64_t>& source_channels, float* to, std::int64_t images, std::int64_t pixels);

// Plans a Concat along the channels of values in blocks, with as many of the nodes behind it as only move channels, as one step. 0 where it
// is no such thing, or where the Concat alone needs no step.
std::size_t plan_channel_moves(Planner& planner, Nodes chain);

}  // namespace sightline::runtime
