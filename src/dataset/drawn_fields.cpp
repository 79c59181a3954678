#include "dataset/drawn_fields.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sightline::dataset {
namespace {

constexpr float pi = std::numbers::pi_v<float>;
constexpr float white = 255;

float draw(Random& random, double low, double high) { return static_cast<float>(random.uniform(low, high)); }

Colour from_hue(float hue, float saturation, float value) {
  const auto channel = [&](float shift) {
    const float turn = std::fmod(shift + hue * 6, 6.0F);
    return white * value * (1 - saturation * std::clamp(std::min(turn, 4 - turn), 0.0F, 1.0F));
  };
  return {channel(5), channel(3), channel(1)};
}

float smooth(float t) { return t * t * (3 - 2 * t); }

// Adds strength × smooth noise of `cells` cells across.
void add_noise(Random& random, Field& field, int cells, float strength) {
  const int nodes = cells + 2;
  std::vector<float> grid(static_cast<std::size_t>(nodes) * static_cast<std::size_t>(nodes));
  for (float& node : grid) node = static_cast<float>(random.uniform());
  const float step = static_cast<float>(cells) / static_cast<float>(field.side);
  const float shift_x = static_cast<float>(random.uniform()), shift_y = static_cast<float>(random.uniform());
  std::vector<std::size_t> column(static_cast<std::size_t>(field.side));
  std::vector<float> share(static_cast<std::size_t>(field.side));
  for (int x = 0; x < field.side; ++x) {
    const float place = shift_x + step * static_cast<float>(x);
    column[static_cast<std::size_t>(x)] = std::min(static_cast<std::size_t>(place), static_cast<std::size_t>(cells));
    share[static_cast<std::size_t>(x)] = smooth(place - std::floor(place));
  }
  for (int y = 0; y < field.side; ++y) {
    const float place = shift_y + step * static_cast<float>(y);
    const float* upper =
        grid.data() + std::min(static_cast<std::size_t>(place), static_cast<std::size_t>(cells)) * static_cast<std::size_t>(nodes);
    const float* lower = upper + nodes;
    const float down = smooth(place - std::floor(place));
    float* row = &field.at(0, y);
    for (std::size_t x = 0; x < static_cast<std::size_t>(field.side); ++x) {
      const std::size_t c = column[x];
      const float a = upper[c] + (upper[c + 1] - upper[c]) * share[x], b = lower[c] + (lower[c + 1] - lower[c]) * share[x];
      row[x] += strength * (a + (b - a) * down);
    }
  }
}

Field empty_field(int side) { return {side, std::vector<float>(static_cast<std::size_t>(side) * static_cast<std::size_t>(side), 0.0F)}; }

// f(u, v) with u, v in [-1, 1], turned by a random angle and bent by noise.
template <class Function>
Field bent_field(Random& random, int side, const Function& f) {
  const float angle = draw(random, 0, 2 * pi), across = std::cos(angle), along = std::sin(angle);
  const float bend = random.below(2) == 0 ? 0 : draw(random, 0, 0.6);
  const Field warp = bend > 0 ? noise_field(random, side, 2 + static_cast<int>(random.below(4)), 2, 0.5F) : empty_field(side);
  Field field = empty_field(side);
  const float scale = 2 / static_cast<float>(side);
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const float u = scale * static_cast<float>(x) - 1, v = scale * static_cast<float>(y) - 1, w = bend * (warp.at(x, y) - 0.5F);
      field.at(x, y) = f(across * u + along * v + w, across * v - along * u + w);
    }
  }
  return field;
}

float wave(float t) { return 0.5F + 0.5F * std::sin(t); }
float fraction(float t) { return t - std::floor(t); }

Field cell_field(Random& random, int side, bool walls) {
  const int count = 6 + static_cast<int>(random.below(36));
  std::vector<std::array<float, 3>> points;
  for (int i = 0; i < count; ++i)
    points.push_back({draw(random, -8, side + 8), draw(random, -8, side + 8), static_cast<float>(random.uniform())});
  Field field = empty_field(side);
  const float scale = 3.0F * std::sqrt(static_cast<float>(count)) / static_cast<float>(side);
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      float nearest = 1e9F, second = 1e9F, name = 0;
      for (const auto& [px, py, number] : points) {
        const float dx = px - static_cast<float>(x), dy = py - static_cast<float>(y), distance = dx * dx + dy * dy;
        if (distance < nearest) {
          second = nearest;
          nearest = distance;
          name = number;
        } else {
          second = std::min(second, distance);
        }
      }
      field.at(x, y) = walls ? std::min(1.0F, (std::sqrt(second) - std::sqrt(nearest)) * scale) : name;
    }
  }
  return field;
}

Field scratch_field(Random& random, int side) {
  Field field = empty_field(side);
  const int count = 1 + static_cast<int>(random.below(40));
  for (int i = 0; i < count; ++i) {
    float x = draw(random, 0, side), y = draw(random, 0, side), angle = draw(random, 0, 2 * pi);
    const float turn = draw(random, -0.08, 0.08), strength = draw(random, 0.3, 1);
    for (int step = 0, length = 10 + static_cast<int>(random.below(150)); step < length; ++step) {
      x += std::cos(angle);
      y += std::sin(angle);
      angle += turn + draw(random, -0.1, 0.1);
      if (x < 0 || y < 0 || x >= static_cast<float>(side) || y >= static_cast<float>(side)) break;
      field.at(static_cast<int>(x), static_cast<int>(y)) = strength;
    }
  }
  return field;
}

}  // namespace

Palette::Palette(Random& random) {
  const float hue = static_cast<float>(random.uniform()), spread = random.below(3) == 0 ? 1.0F : draw(random, 0, 0.2);
  const float grey = random.below(4) == 0 ? 0.1F : 1.0F;
  const std::uint64_t count = 2 + random.below(4);
  for (std::uint64_t i = 0; i < count; ++i) {
    const float own = fraction(hue + spread * draw(random, -0.5, 0.5) + 1);
    const float saturation = grey * draw(random, 0, 1);  // one draw a line: the order of arguments is the compiler's
    colours_.push_back(from_hue(own, saturation, draw(random, 0.05, 1)));
  }
}

Colour Palette::at(float place) const {
  const float scaled = std::clamp(place, 0.0F, 1.0F) * static_cast<float>(colours_.size() - 1);
  const std::size_t i = std::min(static_cast<std::size_t>(scaled), colours_.size() - 2);
  return mix(colours_[i], colours_[i + 1], scaled - static_cast<float>(i));
}

Field noise_field(Random& random, int side, int coarsest, int octaves, float persistence) {
  Field field = empty_field(side);
  float strength = 1, sum = 0;
  for (int octave = 0; octave < octaves && coarsest <= side; ++octave, coarsest *= 2, strength *= persistence) {
    add_noise(random, field, coarsest, strength);
    sum += strength;
  }
  // Sums of octaves crowd about their middle; the spread is brought back.
  constexpr float spread = 1.6F;
  for (float& value : field.values) value = std::clamp((value / sum - 0.5F) * spread + 0.5F, 0.0F, 1.0F);
  return field;
}

Field surface_field(Random& random, int side) {
  const float often = draw(random, 2, 30), rarely = draw(random, 1, 10), duty = draw(random, 0.05, 0.5);
  const int coarsest = 1 + static_cast<int>(random.below(24));
  switch (random.below(12)) {
    case 0:
    case 1: return noise_field(random, side, coarsest, 5, draw(random, 0.35, 0.9));
    case 2: {
      Field ridges = noise_field(random, side, 2 + static_cast<int>(random.below(8)), 4, 0.5F);
      for (float& value : ridges.values) value = std::abs(2 * value - 1);
      return ridges;
    }
    case 3: return bent_field(random, side, [&](float u, float) { return wave(often * pi * u); });
    case 4: return bent_field(random, side, [&](float u, float v) { return wave(often * 2 * std::hypot(u, v)); });
    case 5:
      return bent_field(random, side,
                        [&](float u, float v) { return (fraction(rarely * u) < 0.5F) == (fraction(rarely * v) < 0.5F) ? 0.0F : 1.0F; });
    case 6:
      return bent_field(random, side, [&](float u, float v) {
        const float row = std::floor(2 * rarely * v);
        const float across = fraction(rarely * u + (static_cast<int>(row) % 2 == 0 ? 0.0F : 0.5F));
        return across < 0.2F * duty || fraction(2 * rarely * v) < 0.4F * duty
                   ? 0.0F
                   : 0.6F + 0.4F * fraction(13.7F * row + std::floor(rarely * u) * 7.3F);
      });
    case 7:
      return bent_field(random, side, [&](float u, float v) { return std::max(wave(often * pi * u) * duty * 2, wave(often * pi * v)); });
    case 8: return cell_field(random, side, false);
    case 9: return cell_field(random, side, true);
    case 10: return bent_field(random, side, [](float u, float) { return 0.5F + 0.5F * u; });
    default: {
      if (random.below(2) == 0) return scratch_field(random, side);
      Field specks = empty_field(side);
      for (float& value : specks.values) value = random.uniform() < 0.3 * duty ? 1.0F : 0.0F;
      return specks;
    }
  }
}

std::vector<Colour> draw_surface(Random& random, int side) {
  const Palette palette(random);
  Field field = surface_field(random, side);
  if (random.below(3) == 0) {  // one surface over another
    const Field other = surface_field(random, side);
    const float share = draw(random, 0.2, 0.8);
    for (std::size_t i = 0; i < field.values.size(); ++i) field.values[i] += (other.values[i] - field.values[i]) * share;
  }
  // Weak contrast is as frequent as strong: worn metal, paper, cloth.
  const float contrast = random.below(2) == 0 ? 1.0F : draw(random, 0.05, 0.7), middle = draw(random, 0.2, 0.8);
  std::vector<Colour> pixels;
  pixels.reserve(field.values.size());
  for (const float value : field.values) pixels.push_back(palette.at(middle + (value - 0.5F) * contrast));
  if (random.below(2) == 0) {  // light falls unevenly
    const Field light = noise_field(random, side, 1 + static_cast<int>(random.below(3)), 2, 0.5F);
    const float depth = draw(random, 0.1, 0.9);
    for (std::size_t i = 0; i < pixels.size(); ++i)
      for (float& channel : pixels[i]) channel *= 1 - depth * light.values[i];
  }
  return pixels;
}

}  // namespace sightline::dataset
