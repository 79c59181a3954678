#include "runtime/plan.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "runtime/team.h"
#include "runtime/weights.h"

namespace sightline::runtime {
namespace {

constexpr std::size_t alignment = 64;
// Vector kernels may read past the last element of a row-major buffer; a spare line keeps that inside the arena.
constexpr std::size_t spare = 64;

std::size_t rounded(std::size_t bytes) { return (bytes + spare + alignment - 1) / alignment * alignment; }

// Free pieces of the arena by offset; best fit.
class FreePieces {
 public:
  std::size_t take(std::size_t bytes) {
    auto best = pieces_.end();
    for (auto it = pieces_.begin(); it != pieces_.end(); ++it)
      if (it->second >= bytes && (best == pieces_.end() || it->second < best->second)) best = it;
    if (best == pieces_.end()) {
      // The last piece may reach the end of the arena: grow it.
      std::size_t offset = end_;
      if (!pieces_.empty()) {
        auto last = std::prev(pieces_.end());
        if (last->first + last->second == end_) {
          offset = last->first;
          pieces_.erase(last);
        }
      }
      end_ = offset + bytes;
      return offset;
    }
    const auto [offset, size] = *best;
    pieces_.erase(best);
    if (size > bytes) pieces_[offset + bytes] = size - bytes;
    return offset;
  }
  void give_back(std::size_t offset, std::size_t bytes) {
    auto it = pieces_.emplace(offset, bytes).first;
    if (auto next = std::next(it); next != pieces_.end() && it->first + it->second == next->first) {
      it->second += next->second;
      pieces_.erase(next);
    }
    if (it != pieces_.begin()) {
      auto before = std::prev(it);
      if (before->first + before->second == it->first) {
        before->second += it->second;
        pieces_.erase(it);
      }
    }
  }
  std::size_t end() const { return end_; }

 private:
  std::map<std::size_t, std::size_t> pieces_;
  std::size_t end_ = 0;
};

}  // namespace

void Plan::lay_out_arena() {
  for (Buffer& buffer : buffers) buffer.first = buffer.last = -1;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    for (const Operand& operand : steps[s].operands) {
      Buffer& buffer = buffers[operand.buffer];
      if (buffer.first < 0) buffer.first = static_cast<int>(s);
      buffer.last = static_cast<int>(s);
    }
  }
  std::vector<std::vector<std::size_t>> born(steps.size()), dead(steps.size());
  for (std::size_t b = 0; b < buffers.size(); ++b) {
    if (buffers[b].kind != Buffer::Kind::arena || buffers[b].first < 0) continue;
    born[static_cast<std::size_t>(buffers[b].first)].push_back(b);
    dead[static_cast<std::size_t>(buffers[b].last)].push_back(b);
  }
  FreePieces free_pieces;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    for (std::size_t b : born[s]) buffers[b].offset = free_pieces.take(rounded(buffers[b].bytes));
    for (std::size_t b : dead[s]) free_pieces.give_back(buffers[b].offset, rounded(buffers[b].bytes));
  }
  arena_bytes_ = free_pieces.end();
}

void Plan::point(Step& step, std::size_t operand, std::byte* address) {
  address += step.operands[operand].offset;
  if (step.kernel) {
    step.addresses[operand] = address;
  } else {
    step.operands[operand].memory.set_data_handle(address);
  }
}

void Plan::bind_arena(std::byte* arena) {
  const bool first_time = !bound_;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    Step& step = steps[s];
    if (first_time && step.kernel) step.addresses.resize(step.operands.size());
    for (std::size_t o = 0; o < step.operands.size(); ++o) {
      const Buffer& buffer = buffers[step.operands[o].buffer];
      switch (buffer.kind) {
        case Buffer::Kind::arena: point(step, o, arena + buffer.offset); break;
        case Buffer::Kind::constant:
          if (first_time) point(step, o, buffer.arranged != nullptr ? buffer.arranged->data : buffer.data);
          break;
        case Buffer::Kind::input:
        case Buffer::Kind::output:
          if (first_time) externals_.push_back({s, o, step.operands[o].buffer});
          break;
      }
    }
    if (first_time && !step.kernel)
      for (const Operand& operand : step.operands) step.arguments.push_back({operand.argument, operand.memory.get()});
  }
  arena_ = arena;
  bound_ = true;
}

Plan Plan::copy() const {
  Plan copied;
  copied.buffers = buffers;
  copied.output_shapes = output_shapes;
  copied.kept = kept;
  copied.arena_bytes_ = arena_bytes_;
  for (const Step& step : steps) {
    Step& own = copied.steps.emplace_back(Step{
        .name = step.name, .op_type = step.op_type, .primitive = step.primitive, .kernel = step.kernel, .independent = step.independent});
    for (const Operand& operand : step.operands)
      own.operands.push_back({operand.argument, operand.buffer,
                              operand.memory ? dnnl::memory(operand.memory.get_desc(), cpu_engine(), DNNL_MEMORY_NONE) : dnnl::memory(),
                              operand.offset});
  }
  return copied;
}

void Plan::execute(const dnnl::stream& stream, std::byte* arena, std::span<std::byte* const> inputs, std::span<std::byte* const> outputs,
                   std::vector<double>* seconds) {
  if (!bound_ || arena != arena_) bind_arena(arena);
  for (const External& external : externals_) {
    const Buffer& buffer = buffers[external.buffer];
    point(steps[external.step], external.operand, buffer.kind == Buffer::Kind::input ? inputs[buffer.index] : outputs[buffer.index]);
  }
  if (seconds != nullptr) seconds->clear();
  for (Step& step : steps) {
    const auto begin = seconds != nullptr ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    if (step.kernel) {
      step.kernel(step.addresses);
    } else {
      Team::set_shares_independent(step.independent);
      dnnl::error::wrap_c_api(
          dnnl_primitive_execute(step.primitive.get(), stream.get(), static_cast<int>(step.arguments.size()), step.arguments.data()),
          "could not execute a primitive");
    }
    if (seconds != nullptr) seconds->push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
}

}  // namespace sightline::runtime
