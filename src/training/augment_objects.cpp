#include "training/augment_objects.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/random.h"
#include "training/batches.h"

namespace sightline::training {
namespace {

using Objects = std::vector<dataset::PackedObject>;

double area_of(const dataset::PackedObject& object) {
  return static_cast<double>(object.right - object.left) * static_cast<double>(object.bottom - object.top);
}

void add_moved(const Samples& samples, std::int64_t sample, const Affine& affine, const Part& part, const Part* blanked, Objects& objects) {
  for (dataset::PackedObject object : samples.objects->objects_of(sample))
    if (move_object(samples.shape, affine, part, blanked, object)) objects.push_back(object);
}

// The part of a mosaic that lies on this side of the point where the four meet, showing a whole picture at `scale` with a corner there.
void add_quarter(const Samples& samples, std::int64_t sample, bool right, bool bottom, const Place& meeting, double scale, bool mirrored,
                 std::span<std::uint8_t> target, Objects& objects) {
  const PictureShape& shape = samples.shape;
  const int x = static_cast<int>(meeting.x), y = static_cast<int>(meeting.y);
  const Part part{right ? x : 0, bottom ? y : 0, right ? shape.width : x, bottom ? shape.height : y};
  // A target point t shows p: (t - meeting) / scale from the source's corner that lies there, 0 or its far end.
  Affine affine{.xx = 1 / scale, .yy = 1 / scale};
  const auto shift = [&](int side, int meets, bool far_part) {
    const double centre = (side - 1) / 2.0, half = 0.5;
    return (centre + half - meets) / scale + (far_part ? 0 : side) - half - centre;
  };
  affine.shift_x = shift(shape.width, x, right);
  affine.shift_y = shift(shape.height, y, bottom);
  if (mirrored) {
    affine.xx = -affine.xx;
    affine.shift_x = -affine.shift_x;
  }
  warp(shape, affine, Outside::grey, part, samples.picture(sample).data(), target.data());
  add_moved(samples, sample, affine, part, nullptr, objects);
}

void draw_mosaic(const Samples& samples, const Draw& draw, std::span<std::uint8_t> target, Objects& objects) {
  const PictureShape& shape = samples.shape;
  constexpr std::uint64_t mosaic_stream = 0x3051c0ULL;
  Random random(Random::mix(draw.seed ^ mosaic_stream), static_cast<std::uint64_t>(draw.epoch), static_cast<std::uint64_t>(draw.sample));
  const auto coin = [&] { return random.uniform() < 0.5; };
  if (coin()) {
    const Place meeting{std::round(random.uniform(0.3, 0.7) * shape.width), std::round(random.uniform(0.3, 0.7) * shape.height)};
    const auto first = static_cast<int>(random.below(4));  // the place of the sample itself
    for (int place = 0; place < 4; ++place) {
      const std::int64_t other = samples.chosen[random.below(samples.chosen.size())];
      const double scale = random.uniform(0.5, 1.0);
      add_quarter(samples, place == first ? draw.sample : other, place % 2 == 1, place >= 2, meeting, scale, coin(), target, objects);
    }
  } else {
    const bool mirrored = coin();
    const double scale = random.uniform(2.0 / 3, 4.0 / 3);
    Affine affine{.xx = (mirrored ? -1 : 1) / scale, .yy = 1 / scale};
    affine.shift_x = random.uniform(-0.1, 0.1) * shape.width;
    affine.shift_y = random.uniform(-0.1, 0.1) * shape.height;
    const Part whole{0, 0, shape.width, shape.height};
    warp(shape, affine, Outside::grey, whole, samples.picture(draw.sample).data(), target.data());
    add_moved(samples, draw.sample, affine, whole, nullptr, objects);
  }
  const double contrast = random.uniform(0.8, 1.2), brightness = random.uniform(-0.2, 0.2);
  change_tones(shape, contrast, brightness, target.data());
}

}  // namespace

Place target_of(const PictureShape& shape, const Affine& affine, Place from) {
  const double centre_x = (shape.width - 1) / 2.0, centre_y = (shape.height - 1) / 2.0, half = 0.5;
  const double x = from.x - half - centre_x - affine.shift_x, y = from.y - half - centre_y - affine.shift_y;
  const double determinant = affine.xx * affine.yy - affine.xy * affine.yx;
  return {(affine.yy * x - affine.xy * y) / determinant + centre_x + half, (affine.xx * y - affine.yx * x) / determinant + centre_y + half};
}

bool move_object(const PictureShape& shape, const Affine& affine, const Part& part, const Part* blanked, dataset::PackedObject& object) {
  std::array<Place, 4> corners{Place{object.left, object.top}, Place{object.right, object.top}, Place{object.left, object.bottom},
                               Place{object.right, object.bottom}};
  for (Place& corner : corners) corner = target_of(shape, affine, corner);
  const auto [left, right] = std::ranges::minmax(corners, {}, &Place::x);
  const auto [top, bottom] = std::ranges::minmax(corners, {}, &Place::y);
  const double whole = (right.x - left.x) * (bottom.y - top.y);
  const auto clipped = [](double value, int low, int high) { return static_cast<float>(std::clamp<double>(value, low, high)); };
  object.left = clipped(left.x, part.left, part.right);
  object.right = clipped(right.x, part.left, part.right);
  object.top = clipped(top.y, part.top, part.bottom);
  object.bottom = clipped(bottom.y, part.top, part.bottom);
  if (object.right - object.left < least_side || object.bottom - object.top < least_side) return false;
  double visible = area_of(object);
  if (blanked != nullptr) {
    const double across = std::min<double>(object.right, blanked->right) - std::max<double>(object.left, blanked->left);
    const double down = std::min<double>(object.bottom, blanked->bottom) - std::max<double>(object.top, blanked->top);
    visible -= std::max(across, 0.0) * std::max(down, 0.0);
  }
  if (visible < least_visible * whole) object.ignored = 1;
  return true;
}

void augment_objects(modules::Augmentation kind, const Samples& samples, const Draw& draw, std::span<std::uint8_t> target,
                     std::vector<dataset::PackedObject>& objects) {
  objects.clear();
  if (kind == modules::Augmentation::mosaic) return draw_mosaic(samples, draw, target, objects);
  const Change change = draw_change(kind, samples.shape, draw.seed, draw.epoch, draw.sample);
  apply(change, samples.shape, Outside::grey, samples.picture(draw.sample), target);
  if (!change.moved && !change.mirrored) {
    const auto own = samples.objects->objects_of(draw.sample);
    objects.assign(own.begin(), own.end());
    return;
  }
  add_moved(samples, draw.sample, change.affine, {0, 0, samples.shape.width, samples.shape.height},
            change.blanked ? &*change.blanked : nullptr, objects);
}

}  // namespace sightline::training
