// Many linear heads on the same features, evaluated as one product: their weights lie below one another in blocks of rows, and each
// block (or as much of it as is asked for) is multiplied with the features at once. Adding a head appends rows; nothing is moved. Blocks
// whose heads are gone are freed, and when less than half of all rows is in use, the heads that are left move together.
//
// Threads: one thread at a time may add, remove and find; any number may evaluate meanwhile, with what find() gave them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/canonical.h"
#include "runtime/weights.h"

namespace sightline::runtime {

class HeadBank {
 public:
  struct Block {
    LargePages pages;         // where the weights of a large block lie
    Tensor weight;            // f32 rows×F, of which the first `used` are filled
    Tensor bias;              // f32 rows
    std::int64_t used = 0;    // rows
    std::int64_t in_use = 0;  // rows of heads that are still there
    std::int64_t capacity() const { return bias.dim(0); }
  };
  // Where a head lies; keeps the block alive.
  struct Place {
    std::shared_ptr<const Block> block;
    std::int64_t row = 0, classes = 0;
    bool softmax = false;
  };

  explicit HeadBank(std::int64_t features) : features_(features) {}

  using HeadId = std::uint64_t;
  HeadId add(const LinearHead& head);
  void remove(HeadId id);
  const Place& find(HeadId id) const { return heads_.at(id).place; }
  bool empty() const { return heads_.empty(); }
  std::size_t bytes() const;  // of all blocks

  // features f32 N×F; gives f32 N×K for each place, in order, all in one buffer. Uses the scheduler's cores when threads is more than 1.
  static std::vector<Tensor> evaluate(const Tensor& features, std::span<const Place> asked, int threads);

 private:
  struct Head {
    Place place;
    std::shared_ptr<Block> block;  // the same, to be changed
  };
  Head put(const float* weight, const float* bias, std::int64_t classes, bool softmax);
  void move_together();

  std::int64_t features_;
  std::unordered_map<HeadId, Head> heads_;
  std::shared_ptr<Block> open_;              // the block that takes the next head
  std::int64_t rows_ = 0, rows_in_use_ = 0;  // filled rows of all blocks that live
  HeadId next_ = 1;
};

}  // namespace sightline::runtime
