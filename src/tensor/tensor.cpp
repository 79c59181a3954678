#include "tensor/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace sightline {

std::size_t size_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
    case Dtype::i64: return 8;
    case Dtype::f32:
    case Dtype::i32: return 4;
    case Dtype::f16:
    case Dtype::bf16: return 2;
    case Dtype::i8:
    case Dtype::u8:
    case Dtype::boolean: return 1;
  }
  return 1;
}

const char* name_of(Dtype dtype) {
  static constexpr const char* names[] = {"f32", "f16", "bf16", "f64", "i8", "u8", "i32", "i64", "bool"};
  return names[static_cast<std::size_t>(dtype)];
}

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (std::int64_t d : shape) count *= d;
  return count;
}

std::string to_string(const Shape& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (std::int64_t d : shape) text += (text.empty() ? "" : "×") + (d < 0 ? std::string("N") : std::to_string(d));
  return text;
}

Tensor::Tensor(Dtype dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  const std::size_t size = (byte_count() + 127) / 64 * 64;  // at least one spare line, so that vector loads may run over
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(64, size));
  if (memory == nullptr) throw std::bad_alloc();
  owner_ = std::shared_ptr<std::byte>(memory, [](std::byte* p) { std::free(p); });
  data_ = memory;
}

Tensor Tensor::zeros(Dtype dtype, Shape shape) {
  Tensor tensor(dtype, std::move(shape));
  std::memset(tensor.data_, 0, tensor.byte_count());
  return tensor;
}

Tensor Tensor::filled(Shape shape, float value) {
  Tensor tensor(Dtype::f32, std::move(shape));
  std::ranges::fill(tensor.values<float>(), value);
  return tensor;
}

Tensor Tensor::view_of(Dtype dtype, Shape shape, void* data) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.data_ = static_cast<std::byte*>(data);
  return tensor;
}

Tensor Tensor::copy() const {
  Tensor tensor(dtype_, shape_);
  if (byte_count() > 0) std::memcpy(tensor.data_, data_, byte_count());
  return tensor;
}

Tensor Tensor::reshaped(Shape shape) const {
  assert(element_count(shape) == count());
  Tensor tensor = *this;
  tensor.shape_ = std::move(shape);
  return tensor;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  assert(rank() > 0 && begin >= 0 && begin <= end && end <= shape_[0]);
  Tensor tensor = *this;
  const std::size_t row = shape_[0] == 0 ? 0 : byte_count() / static_cast<std::size_t>(shape_[0]);
  tensor.data_ = data_ + row * static_cast<std::size_t>(begin);
  tensor.shape_[0] = end - begin;
  return tensor;
}

bool Tensor::same_as(const Tensor& other) const {
  return dtype_ == other.dtype_ && shape_ == other.shape_ && (byte_count() == 0 || std::memcmp(data_, other.data_, byte_count()) == 0);
}

}  // namespace sightline
