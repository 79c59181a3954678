#include "weights/write.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>

#include "base/json.h"

namespace sightline::weights {
namespace {

constexpr std::array dtype_names{"F32", "F16", "BF16", "F64", "I8", "U8", "I32", "I64", "BOOL"};  // in the order of Dtype

std::uint16_t half_of(float value) {
  constexpr float largest = 65520;  // from here on the nearest is infinite
  constexpr int mantissa_bits = 10, least_exponent = -14, bias = 15;
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000U : 0U);
  const float size = std::abs(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7e00U);
  if (size >= largest) return static_cast<std::uint16_t>(sign | 0x7c00U);
  int exponent = 0;
  std::frexp(size, &exponent);
  const int scale = std::max(exponent - 1, least_exponent);  // size = m × 2^scale, m in [1, 2), or below 1 where it is subnormal
  const auto steps = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(size, mantissa_bits - scale)));  // ties to even
  // A carry out of the mantissa is the next exponent's first number: the sum is right as it is.
  const std::uint32_t base = steps < (1U << mantissa_bits) ? 0 : static_cast<std::uint32_t>(scale + bias - 1) << mantissa_bits;
  return static_cast<std::uint16_t>(sign | (base + steps));
}

}  // namespace

Result<std::string> serialize_safetensors(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  static_assert(std::endian::native == std::endian::little, "the file holds little-endian numbers");
  Json header = Json::object();
  std::string data;
  for (const NamedTensor& each : tensors) {
    if (header.contains(each.name)) return Error{ErrorKind::usage, fmt::format("two tensors are called \"{}\"", each.name)};
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(each.tensor.data()), each.tensor.byte_count());
    header[each.name] = {{"dtype", dtype_names.at(static_cast<std::size_t>(each.tensor.dtype()))},
                         {"shape", each.tensor.shape()},
                         {"data_offsets", {begin, data.size()}}};
  }
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::string text = json_text(header);
  constexpr std::size_t alignment = 8;
  text.resize((text.size() + alignment - 1) / alignment * alignment, ' ');
  const std::uint64_t length = text.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  return file + text + data;
}

Result<Tensor> to_f16(const Tensor& tensor) {
  if (tensor.dtype() != Dtype::f32) return Error{ErrorKind::unsupported, fmt::format("{} is not rounded to f16", name_of(tensor.dtype()))};
  Tensor half(Dtype::f16, tensor.shape());
  auto* out = reinterpret_cast<std::uint16_t*>(half.data());
  for (const float value : tensor.values<float>()) *out++ = half_of(value);
  return half;
}

}  // namespace sightline::weights
