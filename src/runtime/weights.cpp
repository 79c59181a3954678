#include "runtime/weights.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "runtime/scheduler.h"
#include "runtime/team.h"

namespace sightline::runtime {
namespace {

constexpr std::size_t page = std::size_t{2} << 20;
constexpr std::size_t slab = 4 * page;
constexpr std::size_t alignment = 64;
// What is smaller than this stays with the allocator: a small net must not take a large page.
constexpr std::size_t large = std::size_t{128} << 10;

}  // namespace

void LargePages::Free::operator()(std::byte* memory) const { std::free(memory); }

std::byte* LargePages::take(std::size_t bytes) {
  bytes = (bytes + alignment - 1) / alignment * alignment;
  if (bytes > left_) {
    const std::size_t size = std::max(slab, (bytes + page - 1) / page * page);
    std::unique_ptr<std::byte, Free> fresh(static_cast<std::byte*>(std::aligned_alloc(page, size)));
    if (fresh == nullptr) throw std::bad_alloc();
    ::madvise(fresh.get(), size, MADV_HUGEPAGE);  // where the system refuses, pages are small and all else is the same
    next_ = fresh.get();
    left_ = size;
    slabs_.push_back(std::move(fresh));
  }
  std::byte* taken = next_;
  next_ += bytes;
  left_ -= bytes;
  return taken;
}

Arranged* WeightStore::in_layout(const std::string& key, const dnnl::memory::desc& plain_desc, const Tensor& plain,
                                 const dnnl::memory::desc& wanted) {
  auto& layouts = arranged_[key];
  for (Arranged& arranged : layouts)
    if (arranged.wanted == wanted) return &arranged;
  auto* source = const_cast<std::byte*>(plain.data());  // oneDNN's handles are not const; it only reads
  layouts.push_back({plain_desc, wanted, source, same_bytes(plain_desc, wanted) ? source : nullptr, {}});
  return &layouts.back();
}

void WeightStore::arrange(Arranged& constant) {
  if (constant.data != nullptr) return;
  const std::size_t bytes = constant.wanted.get_size();
  dnnl::memory from(constant.plain, cpu_engine(), constant.source);
  dnnl::memory to =
      bytes < large ? dnnl::memory(constant.wanted, cpu_engine()) : dnnl::memory(constant.wanted, cpu_engine(), pages_.take(bytes));
  Scheduler::shared().with_idle_cores(bytes < large ? 1 : ThreadScope::current(), [&] {
    Team::set_shares_independent(true);
    dnnl::stream stream(cpu_engine());
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
  });
  constant.data = static_cast<std::byte*>(to.get_data_handle());
  if (bytes < large) constant.own = to;
  bytes_ += bytes;
}

const Tensor* WeightStore::find(const std::string& key) const {
  const auto it = derived_.find(key);
  return it == derived_.end() ? nullptr : &it->second;
}

const Tensor& WeightStore::keep(const std::string& key, Tensor tensor) {
  bytes_ += tensor.byte_count();
  return derived_.insert_or_assign(key, std::move(tensor)).first->second;
}

}  // namespace sightline::runtime
