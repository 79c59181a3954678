#include "runtime/channel_moves.h"

#include <immintrin.h>

#include <algorithm>
#include <numeric>

#include "graph/operators.h"
#include "runtime/post_ops.h"
#include "runtime/team.h"

namespace sightline::runtime {
namespace {

using graph::Node;

std::int64_t blocks_of(std::int64_t channels) { return (channels + channel_block - 1) / channel_block; }

// Pixels [begin, end) of one block. Most blocks have one or two parts.
__attribute__((target("avx512f"))) void move_pixels(const ChannelBlock& block, const float* const* from, float* to, std::int64_t begin,
                                                    std::int64_t end) {
  if (block.parts.size() == 2) {
    const __m512i lanes = _mm512_loadu_si512(block.parts[0].lane), other_lanes = _mm512_loadu_si512(block.parts[1].lane);
    const __mmask16 taken = block.parts[0].taken, others = block.parts[1].taken;
    for (std::int64_t p = begin * channel_block; p < end * channel_block; p += channel_block) {
      const __m512 first = _mm512_maskz_permutexvar_ps(taken, lanes, _mm512_loadu_ps(from[0] + p));
      _mm512_storeu_ps(to + p, _mm512_mask_permutexvar_ps(first, others, other_lanes, _mm512_loadu_ps(from[1] + p)));
    }
    return;
  }
  for (std::int64_t p = begin * channel_block; p < end * channel_block; p += channel_block) {
    __m512 all = _mm512_setzero_ps();
    for (std::size_t i = 0; i < block.parts.size(); ++i)
      all = _mm512_mask_permutexvar_ps(all, block.parts[i].taken, _mm512_loadu_si512(block.parts[i].lane), _mm512_loadu_ps(from[i] + p));
    _mm512_storeu_ps(to + p, all);
  }
}

// What the channels of a value are, while they have one axis or several.
struct Tracked {
  Shape axes;  // the channels' axes: all between the batch and the picture
  std::vector<ChannelOrigin> origins;
};

bool reshape(Tracked& tracked, const Shape& to, std::int64_t images, const Shape& picture) {
  if (to.size() < picture.size() + 2 || to[0] != images || !std::equal(picture.rbegin(), picture.rend(), to.rbegin())) return false;
  tracked.axes.assign(to.begin() + 1, to.end() - static_cast<std::ptrdiff_t>(picture.size()));
  return element_count(tracked.axes) == std::ssize(tracked.origins);
}

bool transpose(Tracked& tracked, const Node& node, std::size_t picture) {
  const std::size_t rank = tracked.axes.size() + 1 + picture;
  std::vector<std::int64_t> order(rank);
  std::iota(order.rbegin(), order.rend(), 0);
  order = node.integers("perm", order);
  if (order.size() != rank) return false;
  for (std::size_t i = 0; i < rank; ++i) {
    const bool of_channels = i > 0 && i <= tracked.axes.size();
    if (!of_channels && order[i] != static_cast<std::int64_t>(i)) return false;
  }
  Shape strides(tracked.axes.size(), 1), axes = tracked.axes;
  for (std::size_t i = axes.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * axes[i];
  Shape moved_strides = strides;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto source = static_cast<std::size_t>(order[i + 1] - 1);
    axes[i] = tracked.axes[source];
    moved_strides[i] = strides[source];
  }
  std::vector<ChannelOrigin> origins(tracked.origins.size());
  for (std::size_t i = 0; i < origins.size(); ++i) {
    std::int64_t rest = static_cast<std::int64_t>(i), from = 0;
    for (std::size_t axis = axes.size(); axis-- > 0; rest /= axes[axis]) from += rest % axes[axis] * moved_strides[axis];
    origins[i] = tracked.origins[static_cast<std::size_t>(from)];
  }
  tracked = {std::move(axes), std::move(origins)};
  return true;
}

struct Moved {
  std::string name;
  std::vector<ChannelOrigin> origins;
};

// What comes out of the first nodes of the chain, `done` of them; 0 when the first is no move of channels.
std::vector<Moved> results_of(Planner& planner, Nodes chain, const std::vector<std::string>& sources, std::size_t& done) {
  const bool joins = chain[0]->op_type == "Concat";
  const Shape& first = planner.shape_of(joins ? chain[0]->outputs[0] : sources[0]);
  const Shape picture(first.begin() + 2, first.end());
  Tracked tracked{{first[1]}, {}};
  for (std::size_t i = 0; i < sources.size(); ++i)
    for (std::int64_t c = 0; c < planner.shape_of(sources[i])[1]; ++c) tracked.origins.push_back({i, c});
  std::vector<Moved> results{{chain[0]->outputs[0], tracked.origins}};
  done = joins ? 1 : 0;
  for (std::size_t i = done; i < chain.size(); ++i) {
    const Node& node = *chain[i];
    if (node.op_type == "Reshape") {
      if (!reshape(tracked, planner.shape_of(node.outputs[0]), first[0], picture)) break;
    } else if (node.op_type == "Transpose") {
      if (!transpose(tracked, node, picture.size())) break;
    } else if (node.op_type == "Split") {
      const Shape& shape = planner.shape_of(node.inputs[0]);
      const auto axis = graph::axis_of(node, node.integer("axis", 0), shape.size());
      const auto parts = graph::parts_of(planner.constants(), planner.opset(), node, shape);
      if (tracked.axes.size() != 1 || !axis.ok() || *axis != 1 || !parts.ok()) break;
      results.clear();
      auto begin = tracked.origins.begin();
      for (std::size_t part = 0; part < parts->size(); ++part) {
        const auto end = begin + static_cast<std::ptrdiff_t>((*parts)[part]);
        if (!node.outputs[part].empty() && begin != end) results.push_back({node.outputs[part], {begin, end}});
        begin = end;
      }
      done = i + 1;
      break;
    } else {
      break;
    }
    if (tracked.axes.size() == 1) {
      results = {{node.outputs[0], tracked.origins}};
      done = i + 1;
    }
  }
  return results;
}

bool lies_in_blocks(Planner& planner, const std::string& value) {
  if (planner.constant(value) != nullptr || planner.quantized(value) != nullptr || planner.dtype_of(value) != Dtype::f32) return false;
  const Shape& shape = planner.shape_of(value);
  return shape.size() >= 3 && shape.size() <= 5 && element_count(shape) > 0 && same_bytes(planner.native(value).desc, in_blocks(shape)) &&
         !is_row_major(planner.native(value).desc);
}

}  // namespace

std::vector<ChannelBlock> channel_blocks(const std::vector<ChannelOrigin>& origins) {
  std::vector<ChannelBlock> blocks(static_cast<std::size_t>(blocks_of(std::ssize(origins))));
  for (std::size_t i = 0; i < origins.size(); ++i) {
    auto& parts = blocks[i / channel_block].parts;
    const std::size_t lane = i % channel_block;
    const std::int64_t block = origins[i].channel / channel_block;
    auto part = std::ranges::find_if(parts, [&](const auto& known) { return known.source == origins[i].source && known.block == block; });
    if (part == parts.end()) part = parts.insert(parts.end(), {.source = origins[i].source, .block = block});
    part->lane[lane] = static_cast<std::int32_t>(origins[i].channel % channel_block);
    part->taken = static_cast<std::uint16_t>(part->taken | 1U << lane);
  }
  return blocks;
}

void move_channels(const std::vector<ChannelBlock>& blocks, const std::vector<const float*>& from,
                   const std::vector<std::int64_t>& source_channels, float* to, std::int64_t images, std::int64_t pixels) {
  constexpr std::int64_t worth_sharing = 4096;  // pixels of blocks for each thread: some 20 µs
  const std::int64_t row = pixels * channel_block, count = std::ssize(blocks);
  in_parallel(images * count * pixels, worth_sharing, [&](std::int64_t begin, std::int64_t end) {
    std::vector<const float*> sources;
    while (begin < end) {
      const std::int64_t place = begin / pixels, image = place / count, pixel = begin % pixels;
      const ChannelBlock& block = blocks[static_cast<std::size_t>(place % count)];
      const std::int64_t last = std::min(pixels, pixel + end - begin);
      sources.clear();
      for (const ChannelBlock::Part& part : block.parts)
        sources.push_back(from[part.source] + (image * blocks_of(source_channels[part.source]) + part.block) * row);
      move_pixels(block, sources.data(), to + place * row, pixel, last);
      begin += last - pixel;
    }
  });
}

std::size_t plan_channel_moves(Planner& planner, Nodes chain) {
  const Node& head = *chain[0];
  const bool joins = head.op_type == "Concat";
  const std::vector<std::string> sources(head.inputs.begin(), joins ? head.inputs.end() : head.inputs.begin() + 1);
  if (!has_channel_blocks() || !std::ranges::all_of(sources, [&](const auto& source) { return lies_in_blocks(planner, source); })) return 0;
  const Shape first = planner.shape_of(sources[0]);
  const auto axis = graph::axis_of(head, head.integer("axis", joins ? 0 : 1), first.size());
  if (!axis.ok() || *axis != 1) return 0;
  std::size_t done = 0;
  const std::vector<Moved> results = results_of(planner, chain, sources, done);
  if (done == 0) return 0;
  std::vector<std::int64_t> channels;
  for (const std::string& source : sources) channels.push_back(planner.shape_of(source)[1]);
  const auto whole_blocks = [](std::int64_t count) { return count % channel_block == 0; };
  // Whole blocks are joined without a step, or by oneDNN, and of one image they are cut without a step.
  if (joins && done == 1 && std::ranges::all_of(channels, whole_blocks)) return 0;
  const auto lies_apart = [&](const Moved& part) {
    const std::int64_t begin = part.origins[0].channel, count = std::ssize(part.origins);
    return whole_blocks(begin) && (whole_blocks(count) || begin + count == first[1]);
  };
  if (head.op_type == "Split" && first[0] == 1 && std::ranges::all_of(results, lies_apart)) {
    const Location source = planner.native(sources[0]);
    for (const Moved& part : results) {
      Shape shape = first, before = first;
      shape[1] = std::ssize(part.origins);
      before[1] = part.origins[0].channel;
      planner.define(part.name, {in_blocks(shape), source.buffer, source.offset + in_blocks(before).get_size()});
    }
    return 1;
  }
  const std::int64_t images = first[0], pixels = element_count(first) / (first[0] * first[1]);
  const Nodes nodes = chain.first(done);
  std::vector<Location> operands;
  for (const std::string& source : sources) operands.push_back(planner.native(source));
  std::vector<std::vector<ChannelBlock>> blocks;
  for (const Moved& result : results) {
    Shape shape = first;
    shape[1] = std::ssize(result.origins);
    operands.push_back(planner.make_for(result.name, in_blocks(shape)));
    blocks.push_back(channel_blocks(result.origins));
  }
  planner.add(
      step_name(nodes), fused_name(nodes),
      [blocks, channels, images, pixels](std::span<std::byte* const> at) {
        std::vector<const float*> from;
        for (std::size_t i = 0; i < channels.size(); ++i) from.push_back(reinterpret_cast<const float*>(at[i]));
        for (std::size_t i = 0; i < blocks.size(); ++i)
          move_channels(blocks[i], from, channels, reinterpret_cast<float*>(at[channels.size() + i]), images, pixels);
      },
      operands);
  for (std::size_t i = 0; i < results.size(); ++i) planner.define(results[i].name, operands[channels.size() + i]);
  return done;
}

}  // namespace sightline::runtime
