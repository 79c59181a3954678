#include <cstring>

#include "autograd/executor.h"

namespace sightline::autograd {
namespace {
struct DtypePair {
  Dtype ours;
  torch::ScalarType theirs;
};
constexpr DtypePair dtypes[] = {{Dtype::f32, torch::kFloat},  {Dtype::f16, torch::kHalf}, {Dtype::bf16, torch::kBFloat16},
                                {Dtype::f64, torch::kDouble}, {Dtype::i8, torch::kChar},  {Dtype::u8, torch::kByte},
                                {Dtype::i32, torch::kInt},    {Dtype::i64, torch::kLong}, {Dtype::boolean, torch::kBool}};
}  // namespace

torch::Tensor to_torch(const Tensor& tensor) {
  torch::ScalarType dtype = torch::kFloat;
  for (const DtypePair& pair : dtypes)
    if (pair.ours == tensor.dtype()) dtype = pair.theirs;
  torch::Tensor copy = torch::empty(tensor.shape(), dtype);
  if (tensor.byte_count() > 0) std::memcpy(copy.data_ptr(), tensor.data(), tensor.byte_count());
  return copy;
}

Tensor from_torch(const torch::Tensor& tensor) {
  const torch::Tensor plain = tensor.detach().contiguous();
  Dtype dtype = Dtype::f32;
  bool known = false;
  for (const DtypePair& pair : dtypes) {
    if (pair.theirs == plain.scalar_type()) {
      dtype = pair.ours;
      known = true;
    }
  }
  TORCH_CHECK(known, "no dtype of ours is ", plain.scalar_type());
  Tensor copy(dtype, plain.sizes().vec());
  if (copy.byte_count() > 0) std::memcpy(copy.data(), plain.data_ptr(), copy.byte_count());
  return copy;
}

}  // namespace sightline::autograd
