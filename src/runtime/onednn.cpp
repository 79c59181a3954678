#include "runtime/onednn.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

// oneDNN is built on GCC's OpenMP. Declared here rather than taken from omp.h, which other compilers replace by their own library's.
extern "C" {
int omp_get_max_threads();
void omp_set_num_threads(int threads);
}

namespace sightline::runtime {
namespace {

using Desc = dnnl::memory::desc;

constexpr int cached_primitives = 256;

// One logical dimension as a sequence of (extent, stride), outermost first, neighbours merged where they are contiguous.
std::vector<std::pair<std::int64_t, std::int64_t>> extents_of(const Desc& desc, int dim) {
  const auto& blocking = desc.data.format_desc.blocking;
  std::int64_t outer = desc.data.padded_dims[dim];
  std::vector<std::pair<std::int64_t, std::int64_t>> inner;
  std::int64_t stride = 1;
  for (int b = blocking.inner_nblks - 1; b >= 0; --b) {
    if (blocking.inner_idxs[b] == dim) {
      inner.insert(inner.begin(), {blocking.inner_blks[b], stride});
      outer /= blocking.inner_blks[b];
    }
    stride *= blocking.inner_blks[b];
  }
  inner.insert(inner.begin(), {outer, blocking.strides[dim]});
  std::vector<std::pair<std::int64_t, std::int64_t>> merged;
  for (const auto& [extent, step] : inner) {
    if (extent == 1) continue;
    if (!merged.empty() && merged.back().second == extent * step) {
      merged.back() = {merged.back().first * extent, step};
    } else {
      merged.emplace_back(extent, step);
    }
  }
  return merged;
}

}  // namespace

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine = [] {
    dnnl::set_primitive_cache_capacity(cached_primitives);
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

void flush_primitive_cache() {
  cpu_engine();  // so that the cap is not set afterwards, over what is set here
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  dnnl::set_primitive_cache_capacity(0);
  dnnl::set_primitive_cache_capacity(cached_primitives);
}

int ThreadScope::current() { return omp_get_max_threads(); }
ThreadScope::ThreadScope(int threads) : before_(current()) { omp_set_num_threads(threads); }
ThreadScope::~ThreadScope() { omp_set_num_threads(before_); }

dnnl::memory::data_type data_type_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32: return dnnl::memory::data_type::f32;
    case Dtype::i8: return dnnl::memory::data_type::s8;
    case Dtype::u8: return dnnl::memory::data_type::u8;
    case Dtype::i32: return dnnl::memory::data_type::s32;
    default: return dnnl::memory::data_type::undef;
  }
}

dnnl::memory::dims dims_of(const Shape& shape) { return shape.empty() ? dnnl::memory::dims{1} : dnnl::memory::dims(shape); }

Desc row_major(const Shape& shape, Dtype dtype) { return row_major(shape, data_type_of(dtype)); }

Desc row_major(const Shape& shape, dnnl::memory::data_type type) {
  if (type == dnnl::memory::data_type::undef || shape.size() > DNNL_MAX_NDIMS) return {};
  const auto dims = dims_of(shape);
  dnnl::memory::dims strides(dims.size(), 1);
  for (std::size_t i = dims.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * dims[i];
  return {dims, type, strides};
}

Desc any_layout(const Shape& shape, dnnl::memory::data_type type) { return {dims_of(shape), type, dnnl::memory::format_tag::any}; }

Desc retyped(const Desc& desc, dnnl::memory::data_type type) {
  Desc other = desc;
  other.data.data_type = dnnl::memory::convert_to_c(type);
  return other;
}

bool has_channel_blocks() {
  const auto isa = dnnl::get_effective_cpu_isa();
  return isa != dnnl::cpu_isa::sse41 && isa != dnnl::cpu_isa::avx && isa != dnnl::cpu_isa::avx2 && isa != dnnl::cpu_isa::avx2_vnni;
}

Desc in_blocks(const Shape& shape) {
  using Tag = dnnl::memory::format_tag;
  const Tag tag = shape.size() == 3 ? Tag::aBc16b : shape.size() == 4 ? Tag::aBcd16b : Tag::aBcde16b;
  return {dims_of(shape), dnnl::memory::data_type::f32, tag};
}

bool same_bytes(const Desc& a, const Desc& b) {
  const auto &x = a.data, &y = b.data;
  if (x.format_kind != dnnl_blocked || y.format_kind != dnnl_blocked) return a == b;
  if (x.ndims != y.ndims || x.data_type != y.data_type || x.offset0 != y.offset0 || x.extra.flags != y.extra.flags || x.extra.flags != 0)
    return a == b;
  for (int i = 0; i < x.ndims; ++i) {
    if (x.dims[i] != y.dims[i] || x.padded_dims[i] != y.padded_dims[i] || x.padded_offsets[i] != y.padded_offsets[i]) return false;
    if (extents_of(a, i) != extents_of(b, i)) return false;
  }
  return true;
}

bool is_row_major(const Desc& desc) {
  if (desc.data.ndims == 0) return true;
  dnnl::memory::dims dims(desc.data.dims, desc.data.dims + desc.data.ndims), strides(dims.size(), 1);
  for (std::size_t i = dims.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * dims[i];
  return same_bytes(desc, Desc(dims, desc.data_type(), strides));
}

Desc channels_last(const Desc& desc) {
  if (desc.data.ndims != 4) return desc;
  return {dnnl::memory::dims(desc.data.dims, desc.data.dims + 4), desc.data_type(), dnnl::memory::format_tag::nhwc};
}

bool is_channels_last(const Desc& desc) { return desc.data.ndims == 4 && same_bytes(desc, channels_last(desc)) && !is_row_major(desc); }

bool is_reference(const dnnl::primitive_desc& primitive) {
  const char* name = primitive.impl_info_str();
  return name != nullptr && (std::strncmp(name, "ref", 3) == 0 || std::strncmp(name, "simple:ref", 10) == 0);
}

bool is_fast(const dnnl::primitive_desc& primitive) {
  return !is_reference(primitive) && std::strstr(primitive.impl_info_str(), "gemm:jit") == nullptr;
}

bool has_independent_shares(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& descriptor) {
  using Kind = dnnl::primitive::kind;
  // Matrix products pack operands for each other, reductions add up what others have reduced.
  constexpr Kind kinds[] = {Kind::convolution, Kind::deconvolution, Kind::reorder,    Kind::eltwise, Kind::binary,
                            Kind::pooling_v2,  Kind::resampling,    Kind::softmax_v2, Kind::prelu,   Kind::logsoftmax};
  if (std::ranges::count(kinds, primitive.get_kind()) == 0) return false;
  return std::strstr(descriptor.impl_info_str(), "gemm") == nullptr;
}

}  // namespace sightline::runtime
