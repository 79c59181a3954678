#include "training/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

namespace sightline::training {
namespace {

constexpr std::size_t small = std::size_t{64} << 10U;  // below it the system's allocator is quick
constexpr std::size_t huge_page = std::size_t{2} << 20U;

// Eight sizes per power of two, so that nearly equal batches share their pieces.
std::size_t rounded(std::size_t bytes) {
  const std::size_t grain = std::bit_floor(bytes) / 8;
  return (bytes + grain - 1) / grain * grain;
}

class KeepingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) const override {
    void* piece = bytes == 0 ? nullptr : take(bytes);
    return {piece, piece, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

 private:
  struct Kept {
    std::mutex mutex;
    std::unordered_map<std::size_t, std::vector<void*>> free;  // by size
    std::unordered_map<void*, std::size_t> size;               // of every piece that is kept here
  };
  // Never destroyed: tensors with static storage may outlive everything else.
  static Kept& kept() {
    static Kept* const all = new Kept;
    return *all;
  }

  static void* take(std::size_t bytes) {
    if (bytes < small) {
      void* piece = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
      if (piece == nullptr) throw std::bad_alloc();
      return piece;
    }
    const std::size_t size = rounded(bytes);
    const std::lock_guard lock(kept().mutex);
    auto& list = kept().free[size];
    if (!list.empty()) {
      void* piece = list.back();
      list.pop_back();
      return piece;
    }
    const std::size_t alignment = size >= huge_page ? huge_page : 64;
    void* piece = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (piece == nullptr) throw std::bad_alloc();
    if (size >= huge_page) ::madvise(piece, (size + huge_page - 1) / huge_page * huge_page, MADV_HUGEPAGE);
    kept().size.emplace(piece, size);
    return piece;
  }

  static void give_back(void* piece) {
    if (piece == nullptr) return;
    {
      const std::lock_guard lock(kept().mutex);
      const auto found = kept().size.find(piece);
      if (found != kept().size.end()) {
        kept().free[found->second].push_back(piece);
        return;
      }
    }
    std::free(piece);
  }
};

}  // namespace

void keep_memory() {
  static KeepingAllocator allocator;
  c10::SetCPUAllocator(&allocator, 1);
}

}  // namespace sightline::training
