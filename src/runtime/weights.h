// The constants of a session in the layouts that its plans want. Plans for different batch sizes that want the same layout share it.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/onednn.h"

namespace sightline::runtime {

// Memory in large pages for what is large: weights pass through a core once per answer, and with pages of 4 KiB looking up addresses is a
// part of that time, as is getting the pages one by one while a net is loaded.
class LargePages {
 public:
  std::byte* take(std::size_t bytes);  // aligned to 64 bytes; lives as long as this

 private:
  struct Free {
    void operator()(std::byte* slab) const;
  };
  std::vector<std::unique_ptr<std::byte, Free>> slabs_;
  std::size_t left_ = 0;  // of the last slab
  std::byte* next_ = nullptr;
};

// A constant as a plan wants it.
struct Arranged {
  dnnl::memory::desc plain, wanted;
  std::byte* source = nullptr;  // row-major
  std::byte* data = nullptr;    // null until it is arranged
  dnnl::memory own;             // of small ones
};

class WeightStore {
 public:
  // The constant `key`, whose row-major values are `plain`, to be reordered as `wanted` when a plan with it is first executed: many are
  // made to learn something from, and never are. `plain` itself is used (and must live on) where the bytes are the same.
  Arranged* in_layout(const std::string& key, const dnnl::memory::desc& plain_desc, const Tensor& plain, const dnnl::memory::desc& wanted);
  // Reorders it, if that was not done before.
  void arrange(Arranged& constant);
  // Keeps a tensor that was computed from constants; null when `key` is not there yet.
  const Tensor* find(const std::string& key) const;
  const Tensor& keep(const std::string& key, Tensor tensor);

  std::size_t bytes() const { return bytes_; }

 private:
  LargePages pages_;
  std::map<std::string, std::list<Arranged>> arranged_;
  std::map<std::string, Tensor> derived_;
  std::size_t bytes_ = 0;
};

}  // namespace sightline::runtime
