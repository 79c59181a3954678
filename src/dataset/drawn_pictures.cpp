#include "dataset/drawn_pictures.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "dataset/drawn_fields.h"

namespace sightline::dataset {
namespace {

constexpr float pi = std::numbers::pi_v<float>;

float draw(Random& random, double low, double high) { return static_cast<float>(random.uniform(low, high)); }

struct Canvas {
  int side = 0;
  std::vector<Colour> pixels;
  Colour& at(int x, int y) { return pixels[static_cast<std::size_t>(y) * static_cast<std::size_t>(side) + static_cast<std::size_t>(x)]; }
};

// How far a place lies inside of a shape (1 in the middle, 0 on the edge, negative outside) in the shape's own frame, where it fills
// [-1, 1] in both directions, and which way its surface faces there.
struct Place {
  float inside = -1, facing_x = 0, facing_y = 0;
};
using Shape2d = std::function<Place(float u, float v)>;

Shape2d ellipse(float power) {
  return [power](float u, float v) {
    const float distance = std::pow(std::pow(std::abs(u), power) + std::pow(std::abs(v), power), 1 / power);
    return Place{1 - distance, u, v};
  };
}

Shape2d blob(Random& random) {
  std::array<float, 5> strength{}, phase{};
  for (std::size_t i = 0; i < strength.size(); ++i) {
    strength[i] = draw(random, 0, 0.3) / static_cast<float>(i + 1);
    phase[i] = draw(random, 0, 2 * pi);
  }
  return [=](float u, float v) {
    const float angle = std::atan2(v, u);
    float edge = 0.7F;
    for (std::size_t i = 0; i < strength.size(); ++i) edge += strength[i] * std::sin(static_cast<float>(i + 1) * angle + phase[i]);
    return Place{1 - std::hypot(u, v) / std::max(edge, 0.1F), u, v};
  };
}

// Regular polygons, and stars where inner is below 1.
Shape2d polygon(int corners, float inner) {
  return [=](float u, float v) {
    const float step = pi / static_cast<float>(corners);
    const float angle = std::abs(std::fmod(std::atan2(v, u) + 4 * pi, 2 * step) - step);  // 0 between two corners, step at one
    const float along = angle / step, straight = std::cos(step) / std::cos(angle);
    return Place{1 - std::hypot(u, v) / std::max(0.05F, straight * (inner + (1 - inner) * along)), u * 0.3F, v * 0.3F};
  };
}

// What a lathe makes, seen from the side: bottles, cans, vases, lamps, bolts.
Shape2d turned(Random& random) {
  std::array<float, 9> profile{};
  float width = draw(random, 0.2, 1);
  const bool steps = random.below(2) == 0;
  for (float& radius : profile) {
    radius = std::clamp(width, 0.08F, 1.0F);
    if (random.below(steps ? 3 : 1) == 0) width = std::clamp(width + draw(random, -0.45, 0.45), 0.1F, 1.0F);
  }
  return [=](float u, float v) {
    const float place = (v + 1) / 2 * static_cast<float>(profile.size() - 1);
    if (place < 0 || place >= static_cast<float>(profile.size() - 1)) return Place{};
    const auto i = static_cast<std::size_t>(place);
    float t = place - static_cast<float>(i);
    t = t * t * (3 - 2 * t);
    const float radius = profile[i] + (profile[i + 1] - profile[i]) * t;
    return Place{std::min(1 - std::abs(u) / radius, 1 - std::abs(v)), u / radius, 0.3F * v};
  };
}

// Three faces of a box.
Shape2d box(Random& random) {
  const float top = draw(random, 0.1, 0.5), side = draw(random, 0.1, 0.5);
  return [=](float u, float v) {
    const float front_right = 1 - 2 * side, front_top = -1 + 2 * top;
    if (u <= front_right && v >= front_top) return Place{std::min({u + 1, front_right - u + 0.03F, 1 - v, v - front_top + 0.03F}), 0, 0};
    const float over = std::max(0.0F, u - front_right) / (2 * side), above = std::max(0.0F, front_top - v) / (2 * top);
    if (above >= over) {  // the top: slanted to the right
      const float left = -1 + 2 * side * above;
      return Place{std::min({1 - above, u - left, left + 2 - 2 * side - u}), 0, -0.8F};
    }
    const float upper = front_top - 2 * top * over;
    return Place{std::min({1 - over, v - upper, upper + 2 - 2 * top - v}), 0.8F, 0};
  };
}

Shape2d ring(float hole) {
  return [=](float u, float v) {
    const float distance = std::hypot(u, v), middle = (1 + hole) / 2, half = (1 - hole) / 2, off = (distance - middle) / half;
    const float scale = distance > 0 ? off / distance : 0;
    return Place{1 - std::abs(off), u * scale, v * scale};
  };
}

Shape2d leaf(float width) {
  return [=](float u, float v) {
    const float half = width * (1 - v * v);
    return Place{half <= 0 ? -1 : 1 - std::abs(u) / half, u, 0.2F * v};
  };
}

// Lines from point to point: letters of no alphabet, wires, cracks, tools.
Shape2d strokes(Random& random, bool on_grid) {
  std::vector<std::array<float, 4>> lines;
  const std::uint64_t count = 1 + random.below(6);
  float x = draw(random, -0.8, 0.8), y = draw(random, -0.8, 0.8);
  for (std::uint64_t i = 0; i < count; ++i) {
    float to_x = draw(random, -0.85, 0.85), to_y = draw(random, -0.85, 0.85);
    if (on_grid) {
      to_x = std::round(to_x * 1.2F) * 0.7F;
      to_y = std::round(to_y * 1.2F) * 0.7F;
    }
    lines.push_back({x, y, to_x, to_y});
    if (random.below(4) != 0) {
      x = to_x;
      y = to_y;
    } else {
      x = draw(random, -0.8, 0.8);
      y = draw(random, -0.8, 0.8);
    }
  }
  const float width = draw(random, 0.03, 0.25);
  return [=](float u, float v) {
    Place best;
    for (const auto& [ax, ay, bx, by] : lines) {
      const float dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy + 1e-6F;
      const float t = std::clamp(((u - ax) * dx + (v - ay) * dy) / length, 0.0F, 1.0F);
      const float off_x = (u - ax - t * dx) / width, off_y = (v - ay - t * dy) / width, inside = 1 - std::hypot(off_x, off_y);
      if (inside > best.inside) best = {inside, off_x, off_y};
    }
    best.inside *= width;  // edges as soft as those of other shapes
    return best;
  };
}

Shape2d any_shape(Random& random) {
  const int corners = 3 + static_cast<int>(random.below(6));
  switch (random.below(12)) {
    case 0: return ellipse(2);
    case 1: return ellipse(draw(random, 2.5, 12));
    case 2: return blob(random);
    case 3: return polygon(corners, 1);
    case 4: return polygon(corners, draw(random, 0.3, 0.9));
    case 5:
    case 6:
    case 7: return turned(random);
    case 8: return box(random);
    case 9: return random.below(2) == 0 ? ring(draw(random, 0.3, 0.9)) : leaf(draw(random, 0.2, 0.9));
    case 10: return strokes(random, false);
    default: return strokes(random, true);
  }
}

struct Look {
  Colour colour{};
  const std::vector<Colour>* surface = nullptr;  // side×side, in place of the colour
  float light_x = 0, light_y = 0, depth = 0, gloss = 0;
  float opacity = 1, shadow = 0;
};

struct Pose {
  float x = 0, y = 0, half_width = 1, half_height = 1, angle = 0;  // pixels, radians
};

void put(Canvas& canvas, const Shape2d& shape, const Pose& pose, const Look& look) {
  const float across = std::cos(pose.angle), along = std::sin(pose.angle);
  const float reach = std::hypot(pose.half_width, pose.half_height) + 2;
  const auto bound = [&](float value) { return std::clamp(static_cast<int>(value), 0, canvas.side); };
  const float sharp = std::min(pose.half_width, pose.half_height);
  const float shadow_x = -look.light_x * 0.15F * sharp - 1, shadow_y = -look.light_y * 0.15F * sharp + 2;
  for (int pass = look.shadow > 0 ? 0 : 1; pass < 2; ++pass) {
    const float x0 = pose.x + (pass == 0 ? shadow_x : 0), y0 = pose.y + (pass == 0 ? shadow_y : 0);
    for (int y = bound(y0 - reach); y < bound(y0 + reach + 1); ++y) {
      for (int x = bound(x0 - reach); x < bound(x0 + reach + 1); ++x) {
        const float dx = static_cast<float>(x) - x0, dy = static_cast<float>(y) - y0;
        const float u = (across * dx + along * dy) / pose.half_width, v = (across * dy - along * dx) / pose.half_height;
        if (std::abs(u) > 1.1F || std::abs(v) > 1.1F) continue;
        const Place place = shape(u, v);
        Colour& under = canvas.at(x, y);
        if (pass == 0) {
          const float cover = std::clamp(place.inside * sharp * 0.2F + 0.5F, 0.0F, 1.0F) * look.shadow;
          under = mix(under, {0, 0, 0}, cover);
          continue;
        }
        const float cover = std::clamp(place.inside * sharp + 0.5F, 0.0F, 1.0F) * look.opacity;
        if (cover <= 0) continue;
        Colour own =
            look.surface != nullptr
                ? (*look.surface)[static_cast<std::size_t>(y) * static_cast<std::size_t>(canvas.side) + static_cast<std::size_t>(x)]
                : look.colour;
        if (look.depth > 0) {
          const float facing = std::clamp(place.facing_x * look.light_x + place.facing_y * look.light_y, -1.0F, 1.0F);
          const float brightness = 1 + look.depth * facing * 0.8F;
          const float shine = look.gloss * std::pow(std::max(0.0F, facing), 12.0F) * 255;
          for (float& channel : own) channel = channel * brightness + shine;
        }
        under = mix(under, own, cover);
      }
    }
  }
}

Look any_look(Random& random, const Palette& palette, const std::vector<Colour>* surface) {
  Look look;
  look.colour = palette.any(random);
  if (random.below(2) == 0) look.surface = surface;
  const float light = draw(random, 0, 2 * pi);
  look.light_x = std::cos(light);
  look.light_y = std::sin(light);
  if (random.below(4) != 0) look.depth = draw(random, 0.2, 1);
  if (random.below(2) == 0) look.gloss = draw(random, 0, 1);
  if (random.below(5) == 0) look.opacity = draw(random, 0.3, 0.9);
  if (random.below(2) == 0) look.shadow = draw(random, 0.2, 0.8);
  return look;
}

Pose any_pose(Random& random, int side, double least, double most) {
  const float size = draw(random, least, most) * static_cast<float>(side) / 2, stretch = std::exp(draw(random, -0.8, 0.8));
  return {.x = draw(random, 0.1, 0.9) * static_cast<float>(side),
          .y = draw(random, 0.1, 0.9) * static_cast<float>(side),
          .half_width = size * std::min(1.0F, stretch),
          .half_height = size * std::min(1.0F, 1 / stretch),
          .angle = random.below(2) == 0 ? draw(random, -0.2, 0.2) : draw(random, 0, 2 * pi)};
}

void put_thing(Random& random, Canvas& canvas) {
  const Palette palette(random);
  const std::vector<Colour> surface = draw_surface(random, canvas.side);
  Pose pose = any_pose(random, canvas.side, 0.4, 1.1);
  pose.x = draw(random, 0.35, 0.65) * static_cast<float>(canvas.side);
  pose.y = draw(random, 0.35, 0.65) * static_cast<float>(canvas.side);
  const Look look = any_look(random, palette, &surface);
  put(canvas, any_shape(random), pose, look);
  // Parts on it: labels, lids, eyes, stems.
  for (std::uint64_t parts = random.below(5); parts > 0; --parts) {
    Pose part = any_pose(random, canvas.side, 0.05, 0.35);
    part.x = pose.x + draw(random, -0.6, 0.6) * pose.half_width;
    part.y = pose.y + draw(random, -0.6, 0.6) * pose.half_height;
    Look own = any_look(random, palette, nullptr);
    own.light_x = look.light_x;
    own.light_y = look.light_y;
    put(canvas, any_shape(random), part, own);
  }
}

void put_heap(Random& random, Canvas& canvas) {
  const Palette palette(random);
  const std::vector<Colour> surface = draw_surface(random, canvas.side);
  const std::uint64_t count = 4 + random.below(60);
  const bool alike = random.below(2) == 0;  // things of one kind: fruit, screws, cells
  const Shape2d kind = any_shape(random);
  const Look look = any_look(random, palette, &surface);
  const double most = random.uniform(0.1, 0.6);
  for (std::uint64_t i = 0; i < count; ++i) {
    Pose pose = any_pose(random, canvas.side, 0.3 * most * random.uniform(0.2, 1), most);
    pose.x = draw(random, 0, canvas.side);
    pose.y = draw(random, 0, canvas.side);
    Look own = alike ? look : any_look(random, palette, &surface);
    own.colour = palette.any(random);
    put(canvas, alike ? kind : any_shape(random), pose, own);
  }
}

void put_sign(Random& random, Canvas& canvas) {
  const Palette palette(random);
  const float middle = static_cast<float>(canvas.side) / 2, size = draw(random, 0.5, 1) * middle;
  const Pose pose{
      .x = middle, .y = middle, .half_width = size, .half_height = size * draw(random, 0.3, 1), .angle = draw(random, -0.15, 0.15)};
  const Shape2d board =
      random.below(2) == 0 ? ellipse(random.below(2) == 0 ? 2.0F : 9.0F) : polygon(3 + static_cast<int>(random.below(6)), 1);
  const Colour rim = palette.any(random), ground = palette.any(random), ink = palette.any(random);
  put(canvas, board, pose, {.colour = rim});
  Pose inner = pose;
  const float share = draw(random, 0.7, 0.95);
  inner.half_width *= share;
  inner.half_height *= share;
  put(canvas, board, inner, {.colour = ground});
  const std::uint64_t count = 1 + random.below(6);
  for (std::uint64_t i = 0; i < count; ++i) {
    const float width = 1.5F * pose.half_width / static_cast<float>(count);
    put(canvas, random.below(5) == 0 ? any_shape(random) : strokes(random, true),
        {.x = pose.x + (static_cast<float>(i) + 0.5F - static_cast<float>(count) / 2) * width,
         .y = pose.y,
         .half_width = 0.45F * width,
         .half_height = 0.55F * pose.half_height,
         .angle = pose.angle},
        {.colour = ink});
  }
}

// Spots, cracks and stains on a surface that is otherwise even.
void put_damage(Random& random, Canvas& canvas) {
  for (std::uint64_t count = 1 + random.below(5); count > 0; --count) {
    const float shade = draw(random, 0, 255);
    Look look{.colour = {shade, shade, shade}, .opacity = draw(random, 0.2, 1)};
    const Pose pose = any_pose(random, canvas.side, 0.03, 0.9);
    put(canvas, random.below(2) == 0 ? strokes(random, false) : blob(random), pose, look);
  }
}

image::Image developed(const Canvas& canvas) {
  image::Image picture{canvas.side, canvas.side, 3, {}};
  picture.pixels.reserve(canvas.pixels.size() * 3);
  for (const Colour& pixel : canvas.pixels)
    for (const float channel : pixel) picture.pixels.push_back(static_cast<std::uint8_t>(std::clamp(channel, 0.0F, 255.0F)));
  return picture;
}

}  // namespace

image::Image draw_picture(Random& random, int side) {
  Canvas canvas{side, {}};
  if (random.below(4) == 0) {  // an even ground, as in pictures of products
    const Palette palette(random);
    const Colour one = palette.any(random), other = palette.any(random);
    for (int y = 0; y < side; ++y)
      canvas.pixels.insert(canvas.pixels.end(), static_cast<std::size_t>(side),
                           mix(one, other, static_cast<float>(y) / static_cast<float>(side)));
  } else {
    canvas.pixels = draw_surface(random, side);
  }
  switch (random.below(8)) {
    case 0: break;
    case 1: put_damage(random, canvas); break;
    case 2:
    case 3:
    case 4: put_thing(random, canvas); break;
    case 5: put_sign(random, canvas); break;
    default: put_heap(random, canvas);
  }
  return developed(canvas);
}

void draw_thing(Random& random, image::Image& ground) {
  Canvas canvas{ground.width, {}};
  for (std::size_t i = 0; i + 2 < ground.pixels.size(); i += 3)
    canvas.pixels.push_back(
        {static_cast<float>(ground.pixels[i]), static_cast<float>(ground.pixels[i + 1]), static_cast<float>(ground.pixels[i + 2])});
  put_thing(random, canvas);
  ground = developed(canvas);
}

}  // namespace sightline::dataset
