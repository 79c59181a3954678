#include "runtime/head_bank.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "runtime/onednn.h"
#include "runtime/scheduler.h"

namespace sightline::runtime {
namespace {

// A block fills a large page: all weights pass through a core once per answer, and with small pages looking up addresses is a third of that
// time. The first one is small, so that few heads waste little.
constexpr std::int64_t first_bytes = 256 << 10;
constexpr std::int64_t block_bytes = 2 << 20;
constexpr std::int64_t least_rows = 16;

// Heads that lie below one another.
struct Run {
  std::size_t first = 0, count = 0;  // of the sorted places
  std::int64_t row = 0, rows = 0;
};

// Products of about this many weights each, so that threads have something to share.
std::vector<Run> runs_of(std::span<const HeadBank::Place> asked, std::span<const std::size_t> order) {
  std::vector<Run> runs;
  const HeadBank::Block* block = nullptr;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const HeadBank::Place& place = asked[order[i]];
    const bool joins = !runs.empty() && block == place.block.get() && runs.back().row + runs.back().rows == place.row;
    if (!joins) runs.push_back({i, 0, place.row, 0});
    block = place.block.get();
    ++runs.back().count;
    runs.back().rows += place.classes;
  }
  return runs;
}

void softmax(std::span<float> row) {
  const float largest = *std::ranges::max_element(row);
  float sum = 0;
  for (float& value : row) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (float& value : row) value /= sum;
}

}  // namespace

HeadBank::HeadId HeadBank::add(const LinearHead& head) {
  heads_.emplace(next_, put(head.weight.values<float>().data(), head.bias.values<float>().data(), head.weight.dim(0), head.softmax));
  return next_++;
}

HeadBank::Head HeadBank::put(const float* weight, const float* bias, std::int64_t classes, bool softmax_after) {
  if (open_ == nullptr || open_->capacity() - open_->used < classes) {
    const std::int64_t row_bytes = features_ * static_cast<std::int64_t>(sizeof(float)), wanted = rows_ == 0 ? first_bytes : block_bytes;
    const std::int64_t rows = std::max({classes, least_rows, wanted / row_bytes});
    open_ = std::make_shared<Block>();
    const auto bytes = static_cast<std::size_t>(rows * row_bytes);
    open_->weight =
        rows_ == 0 ? Tensor(Dtype::f32, {rows, features_}) : Tensor::view_of(Dtype::f32, {rows, features_}, open_->pages.take(bytes));
    open_->bias = Tensor(Dtype::f32, {rows});
  }
  // Rows that nobody reads yet: those that run now were given rows before these.
  std::copy_n(weight, classes * features_, open_->weight.values<float>().data() + open_->used * features_);
  std::copy_n(bias, classes, open_->bias.values<float>().data() + open_->used);
  Head head{{open_, open_->used, classes, softmax_after}, open_};
  open_->used += classes;
  open_->in_use += classes;
  rows_ += classes;
  rows_in_use_ += classes;
  return head;
}

void HeadBank::remove(HeadId id) {
  const auto found = heads_.find(id);
  const std::shared_ptr<Block> block = found->second.block;
  rows_in_use_ -= found->second.place.classes;
  block->in_use -= found->second.place.classes;
  heads_.erase(found);
  if (block->in_use == 0) {
    rows_ -= block->used;
    if (open_ == block) open_ = nullptr;
  }
  if (rows_in_use_ * 2 < rows_) move_together();
}

void HeadBank::move_together() {
  open_ = nullptr;
  rows_ = rows_in_use_ = 0;
  for (auto& [id, head] : heads_) {
    const Place old = head.place;  // whoever evaluates now goes on with the old block
    head = put(old.block->weight.values<float>().data() + old.row * features_, old.block->bias.values<float>().data() + old.row,
               old.classes, old.softmax);
  }
}

std::size_t HeadBank::bytes() const {
  std::set<const Block*> blocks;
  std::size_t sum = 0;
  for (const auto& [id, head] : heads_)
    if (blocks.insert(head.block.get()).second) sum += head.block->weight.byte_count() + head.block->bias.byte_count();
  return sum;
}

std::vector<Tensor> HeadBank::evaluate(const Tensor& features, std::span<const Place> asked, int threads) {
  const std::int64_t images = features.dim(0), width = features.dim(1);
  std::vector<std::size_t> order(asked.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto before = [&](std::size_t i, std::size_t k) {
    const Place &a = asked[i], &b = asked[k];
    return a.block != b.block ? a.block < b.block : a.row < b.row;
  };
  if (!std::ranges::is_sorted(order, before)) std::ranges::sort(order, before);
  const std::vector<Run> runs = runs_of(asked, order);

  // Head by head in one buffer.
  std::vector<std::int64_t> begin(asked.size() + 1, 0);
  for (std::size_t i = 0; i < asked.size(); ++i) begin[i + 1] = begin[i] + images * asked[i].classes;
  Tensor all(Dtype::f32, {begin.back()});
  std::vector<Tensor> results;
  results.reserve(asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) results.push_back(all.rows(begin[i], begin[i + 1]).reshaped({images, asked[i].classes}));
  float* const answers = all.values<float>().data();
  const float* const given = features.values<float>().data();

  const auto compute = [&](std::size_t r) {
    const Run& run = runs[r];
    const Block& block = *asked[order[run.first]].block;
    const float* const weight = block.weight.values<float>().data();
    const float* const biases = block.bias.values<float>().data();
    std::vector<float> scores(static_cast<std::size_t>(images * run.rows));
    // scores = features · weightᵀ, images×rows
    dnnl::error::wrap_c_api(
        dnnl_sgemm('N', 'T', images, run.rows, width, 1.0F, given, width, weight + run.row * width, width, 0.0F, scores.data(), run.rows),
        "could not multiply features by heads");
    for (std::size_t k = run.first; k < run.first + run.count; ++k) {
      const Place& place = asked[order[k]];
      for (std::int64_t n = 0; n < images; ++n) {
        float* row = answers + begin[order[k]] + n * place.classes;
        const float* from = scores.data() + n * run.rows + (place.row - run.row);
        for (std::int64_t c = 0; c < place.classes; ++c) row[c] = from[c] + biases[place.row + c];
        if (place.softmax) softmax({row, static_cast<std::size_t>(place.classes)});
      }
    }
  };
  if (threads > 1 && runs.size() > 1) {
    Scheduler::shared().side_by_side(runs.size(), compute);
  } else {
    Scheduler::shared().together(1, [&] {
      for (std::size_t r = 0; r < runs.size(); ++r) compute(r);
    });
  }
  return results;
}

}  // namespace sightline::runtime
