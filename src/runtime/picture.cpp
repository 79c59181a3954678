#include "runtime/picture.h"

#include <algorithm>

#include "runtime/channel_loops.h"
#include "runtime/plain.h"
#include "runtime/team.h"

namespace sightline::runtime {
namespace {

using Numbers = dnnl::memory::data_type;

struct Picture {
  std::int64_t images = 0, pixels = 0;
  Numbers to = Numbers::bf16;
  Quantization how;

  void operator()(std::span<std::byte* const> at) const {
    constexpr std::int64_t least_pixels = 8192;
    in_parallel(images * pixels, least_pixels, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t begin = first; begin < last;) {
        const std::int64_t image = begin / pixels, pixel = begin % pixels, count = std::min(pixels - pixel, last - begin);
        const float* plane = read_as<float>(at[0]) + image * 3 * pixels + pixel;
        const float* const planes[] = {plane, plane + pixels, plane + 2 * pixels};
        if (to == Numbers::bf16) narrow_planes(planes, write_as<std::uint16_t>(at[1]) + 3 * begin, count);
        if (to == Numbers::u8) quantize_planes(planes, 1 / how.scale, how.zero, write_as<std::uint8_t>(at[1]) + 3 * begin, count);
        if (to == Numbers::s8) quantize_planes(planes, 1 / how.scale, how.zero, write_as<std::int8_t>(at[1]) + 3 * begin, count);
        begin += count;
      }
    });
  }
};

}  // namespace

std::optional<Location> laid_out_picture(Planner& planner, const std::string& name, const std::string& op_type, const Location& source,
                                         const dnnl::memory::desc& wanted, const Quantization* how) {
  const Numbers to = wanted.data_type();
  const bool known = how != nullptr ? to == Numbers::u8 || to == Numbers::s8 : to == Numbers::bf16;
  if (!known || source.desc.data.ndims != 4 || source.desc.data.dims[1] != 3 || source.desc.data_type() != Numbers::f32)
    return std::nullopt;
  if (!is_row_major(source.desc) || !same_bytes(wanted, channels_last(wanted))) return std::nullopt;
  const auto& dims = source.desc.data.dims;
  const Location destination = planner.make(wanted);
  planner.add(name, op_type, Picture{dims[0], dims[2] * dims[3], to, how != nullptr ? *how : Quantization{}}, {source, destination});
  return destination;
}

}  // namespace sightline::runtime
