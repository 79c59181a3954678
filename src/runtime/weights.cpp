#include "runtime/weights.h"

#include "runtime/scheduler.h"

namespace sightline::runtime {

std::byte* WeightStore::in_layout(const std::string& key, const dnnl::memory::desc& plain_desc, const Tensor& plain,
                                  const dnnl::memory::desc& wanted) {
  auto* source = const_cast<std::byte*>(plain.data());  // oneDNN's handles are not const; it only reads
  if (same_bytes(plain_desc, wanted)) return source;
  auto& layouts = reordered_[key];
  for (const dnnl::memory& memory : layouts)
    if (memory.get_desc() == wanted) return static_cast<std::byte*>(memory.get_data_handle());
  // A caller without an OpenMP pool shall not get one for this.
  const int threads = ThreadScope::current();
  const ThreadScope scope(threads > 1 && Scheduler::shared().owns_pool() ? threads : 1);
  dnnl::memory from(plain_desc, cpu_engine(), source), to(wanted, cpu_engine());
  dnnl::stream stream(cpu_engine());
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
  bytes_ += wanted.get_size();
  layouts.push_back(to);
  return static_cast<std::byte*>(to.get_data_handle());
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
