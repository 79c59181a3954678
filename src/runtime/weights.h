// The constants of a session in the layouts that its plans want. Plans for different batch sizes that want the same layout share it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/onednn.h"

namespace sightline::runtime {

class WeightStore {
 public:
  // The constant `key`, whose row-major values are `plain`, reordered as `wanted`. `plain` itself is used (and must live on) where the
  // bytes are the same.
  std::byte* in_layout(const std::string& key, const dnnl::memory::desc& plain_desc, const Tensor& plain, const dnnl::memory::desc& wanted);
  // Keeps a tensor that was computed from constants; null when `key` is not there yet.
  const Tensor* find(const std::string& key) const;
  const Tensor& keep(const std::string& key, Tensor tensor);

  std::size_t bytes() const { return bytes_; }

 private:
  std::map<std::string, std::vector<dnnl::memory>> reordered_;
  std::map<std::string, Tensor> derived_;
  std::size_t bytes_ = 0;
};

}  // namespace sightline::runtime
