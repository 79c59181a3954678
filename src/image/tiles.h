// A picture of any size through a network of one size: cut into pieces that overlap, asked about one by one, and put together again so that
// no seam shows. Nothing is resized.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "image/image.h"
#include "tensor/tensor.h"

namespace sightline::image {

// Pixels of the picture that neighbouring pieces share at least (a fourth of the piece, where that is less): near its edge a network sees
// less of what is around.
inline constexpr int tile_overlap = 16;

struct Tiling {
  int width = 0, height = 0;            // of the picture
  int tile_width = 0, tile_height = 0;  // of the pieces
  std::vector<int> lefts, tops;         // where pieces begin, spread evenly; one at 0 where the picture is not larger than a piece
  std::int64_t count() const { return std::ssize(lefts) * std::ssize(tops); }
};
Tiling tiling_of(int width, int height, int tile_width, int tile_height);

// The pieces row by row, u8 K×h×w×C. Where a picture is smaller than a piece it is mirrored beyond its edge.
Tensor cut(const Image& picture, const Tiling& tiling);

// Outputs of the network put together one by one, each weighed less towards the edges that it shares; where a piece stands alone, its
// values come out as they are.
class Blender {
 public:
  // rows × columns of an output for one piece, which may be larger than the piece by a whole factor. Error invalid_data: they are not.
  static Result<Blender> of(const Tiling& tiling, std::int64_t channels, std::int64_t rows, std::int64_t columns);
  // The output for the piece at `place`, f32 C×rows×columns.
  void add(std::int64_t place, std::span<const float> output);
  Tensor finish();  // f32 1×C×H×W

 private:
  Tiling tiling_;
  std::int64_t channels_ = 0, rows_ = 0, columns_ = 0, factor_ = 1;
  Tensor sum_;
  std::vector<float> weight_across_, weight_down_;  // of all pieces together, by column and row of the whole
};

}  // namespace sightline::image
