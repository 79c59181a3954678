// A small dense tensor that everyone below shares: row-major (last dimension contiguous), one aligned buffer. Copies share the buffer
// (copy() makes a new one); a Tensor that borrows memory (view_of) keeps nothing alive.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace sightline {

enum class Dtype { f32, f16, bf16, f64, i8, u8, i32, i64, boolean };

std::size_t size_of(Dtype dtype);
const char* name_of(Dtype dtype);  // "f32", ...

using Shape = std::vector<std::int64_t>;  // -1 stands for a free dimension in signatures, never in a Tensor

std::int64_t element_count(const Shape& shape);
std::string to_string(const Shape& shape);  // "N×3×28×28"; -1 prints as N

template <class T>
struct DtypeOf;
template <>
struct DtypeOf<float> {
  static constexpr Dtype value = Dtype::f32;
};
template <>
struct DtypeOf<double> {
  static constexpr Dtype value = Dtype::f64;
};
template <>
struct DtypeOf<std::int8_t> {
  static constexpr Dtype value = Dtype::i8;
};
template <>
struct DtypeOf<std::uint8_t> {
  static constexpr Dtype value = Dtype::u8;
};
template <>
struct DtypeOf<std::int32_t> {
  static constexpr Dtype value = Dtype::i32;
};
template <>
struct DtypeOf<std::int64_t> {
  static constexpr Dtype value = Dtype::i64;
};
template <>
struct DtypeOf<bool> {
  static constexpr Dtype value = Dtype::boolean;
};

class Tensor {
 public:
  Tensor() = default;
  // Uninitialised, 64-byte aligned.
  Tensor(Dtype dtype, Shape shape);
  static Tensor zeros(Dtype dtype, Shape shape);
  static Tensor filled(Shape shape, float value);
  template <class T>
  static Tensor of(Shape shape, const std::vector<T>& values);
  // Borrows: data must outlive the tensor and every tensor made from it.
  static Tensor view_of(Dtype dtype, Shape shape, void* data);

  bool defined() const { return data_ != nullptr || (!shape_.empty() && element_count(shape_) == 0); }
  Dtype dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(std::size_t axis) const { return shape_[axis]; }
  std::size_t rank() const { return shape_.size(); }
  std::int64_t count() const { return element_count(shape_); }
  std::size_t byte_count() const { return static_cast<std::size_t>(count()) * size_of(dtype_); }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::span<std::byte> bytes() { return {data_, byte_count()}; }
  std::span<const std::byte> bytes() const { return {data_, byte_count()}; }
  template <class T>
  std::span<T> values();
  template <class T>
  std::span<const T> values() const;

  Tensor copy() const;
  Tensor reshaped(Shape shape) const;                       // same count; shares the buffer
  Tensor rows(std::int64_t begin, std::int64_t end) const;  // slice of the first dimension; shares the buffer
  bool same_as(const Tensor& other) const;                  // dtype, shape and bytes

 private:
  Dtype dtype_ = Dtype::f32;
  Shape shape_;
  std::shared_ptr<std::byte> owner_;
  std::byte* data_ = nullptr;
};

template <class T>
Tensor Tensor::of(Shape shape, const std::vector<T>& values) {
  Tensor tensor(DtypeOf<T>::value, std::move(shape));
  assert(tensor.count() == static_cast<std::int64_t>(values.size()));
  std::copy(values.begin(), values.end(), tensor.template values<T>().begin());
  return tensor;
}
template <class T>
std::span<T> Tensor::values() {
  assert(dtype_ == DtypeOf<T>::value);
  return {reinterpret_cast<T*>(data_), static_cast<std::size_t>(count())};
}
template <class T>
std::span<const T> Tensor::values() const {
  assert(dtype_ == DtypeOf<T>::value);
  return {reinterpret_cast<const T*>(data_), static_cast<std::size_t>(count())};
}

}  // namespace sightline
