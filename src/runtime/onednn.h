// What every file of the runtime needs of oneDNN 2.6: the engine, descriptors of our tensors, and comparing layouts by the bytes that
// they describe.
#pragma once

#include <dnnl.hpp>
#include <string>

#include "tensor/tensor.h"

namespace sightline::runtime {

// The CPU; made at the first call, which also caps oneDNN's global cache of generated code.
const dnnl::engine& cpu_engine();
// Empties that cache: code of models that are gone should not stay in memory. Primitives in use live on.
void flush_primitive_cache();

// While it lives, oneDNN cuts its work into this many shares in the calling thread (team.h says who does them). oneDNN sizes blocks and
// scratch memory by that number when a primitive is made, so that planning and running must agree on it.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;
  ~ThreadScope();
  static int current();

 private:
  int before_;
};

// oneDNN has no i64, f64: such values are only moved, never computed on by it. undef for them.
dnnl::memory::data_type data_type_of(Dtype dtype);
// A scalar becomes one dimension of 1.
dnnl::memory::dims dims_of(const Shape& shape);
// Row-major. An empty descriptor for a dtype that oneDNN lacks.
dnnl::memory::desc row_major(const Shape& shape, Dtype dtype = Dtype::f32);
dnnl::memory::desc row_major(const Shape& shape, dnnl::memory::data_type type);
// A layout for the primitive to choose.
dnnl::memory::desc any_layout(const Shape& shape, dnnl::memory::data_type type = dnnl::memory::data_type::f32);
// The same layout of other numbers.
dnnl::memory::desc retyped(const dnnl::memory::desc& desc, dnnl::memory::data_type type);
// How many channels oneDNN's AVX-512 kernels keep side by side, and whether this processor has those kernels.
constexpr std::int64_t channel_block = 16;
bool has_channel_blocks();
// N×C×spatial, f32, in blocks of so many channels: N×(C/16)×spatial×16.
dnnl::memory::desc in_blocks(const Shape& shape);
// Whether the same bytes mean the same tensor under both: an N×64×1×1 value in blocks of 16 channels is row-major as well.
bool same_bytes(const dnnl::memory::desc& a, const dnnl::memory::desc& b);
bool is_row_major(const dnnl::memory::desc& desc);
// Four dimensions: channels last, which oneDNN's integer and AMX kernels want. Others: as it is.
dnnl::memory::desc channels_last(const dnnl::memory::desc& desc);
// Channels last and nothing else: false where that is row-major as well.
bool is_channels_last(const dnnl::memory::desc& desc);

// oneDNN falls back to plain loops for what its generated kernels cannot do; those are correct and slow.
bool is_reference(const dnnl::primitive_desc& primitive);
// Generated for the shape: neither plain loops nor a matrix product over a copy of the windows.
bool is_fast(const dnnl::primitive_desc& primitive);
// Whether the shares of its parallel regions may be computed one after the other by one thread: none waits for what another one does.
bool has_independent_shares(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& descriptor);

}  // namespace sightline::runtime
