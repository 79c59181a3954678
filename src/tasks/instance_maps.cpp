#include "tasks/instance_maps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sightline::tasks {
namespace {

constexpr double nowhere = std::numeric_limits<double>::infinity();

// Along a line: squared distance to the next pixel of another object, nowhere at the picture's edge.
void row_distances(std::span<const std::int32_t> row, std::span<double> squared) {
  for (std::size_t begin = 0; begin < row.size();) {
    std::size_t end = begin;
    while (end < row.size() && row[end] == row[begin]) ++end;
    for (std::size_t x = begin; x < end; ++x) {
      const double left = begin > 0 ? static_cast<double>(x - begin + 1) : nowhere;
      const double right = end < row.size() ? static_cast<double>(end - x) : nowhere;
      const double least = std::min(left, right);
      squared[x] = least * least;
    }
    begin = end;
  }
}

constexpr std::array<std::array<int, 2>, 4> sides{{{0, -1}, {-1, 0}, {1, 0}, {0, 1}}};

// Calls visit(place) for the neighbours over edges.
template <class Visit>
void neighbours(std::int64_t place, std::int64_t height, std::int64_t width, Visit visit) {
  const std::int64_t x = place % width, y = place / width;
  for (const auto& [dx, dy] : sides)
    if (x + dx >= 0 && x + dx < width && y + dy >= 0 && y + dy < height) visit(place + dy * width + dx);
}

// Numbers the pieces of what `within` says that hang together and have no number yet, from `next` on; gives the next free number.
template <class Within>
std::int32_t number_pieces(const PredictedMaps& maps, std::int32_t next, Within within, std::vector<std::int32_t>& numbers) {
  std::vector<std::int64_t> open;
  for (std::int64_t first = 0; first < maps.height * maps.width; ++first) {
    if (numbers[static_cast<std::size_t>(first)] != 0 || !within(static_cast<std::size_t>(first))) continue;
    numbers[static_cast<std::size_t>(first)] = next;
    open.assign(1, first);
    while (!open.empty()) {
      const std::int64_t place = open.back();
      open.pop_back();
      neighbours(place, maps.height, maps.width, [&](std::int64_t other) {
        const auto at = static_cast<std::size_t>(other);
        if (numbers[at] != 0 || !within(at)) return;
        numbers[at] = next;
        open.push_back(other);
      });
    }
    ++next;
  }
  return next;
}

// From the seeds over the foreground, level by level.
void flood(const PredictedMaps& maps, std::vector<std::int32_t>& numbers) {
  constexpr int levels = 1024;
  const auto level_of = [&](std::size_t at) {
    const float height = (maps.depth[at] - maps.border[at] + 1) / 2;  // 0 to 1; what is no number is 0
    return height > 0 ? std::min(static_cast<int>(height * levels), levels - 1) : 0;
  };
  std::array<std::vector<std::int64_t>, levels> waiting;
  int highest = 0;
  const auto spread = [&](std::int64_t place) {
    neighbours(place, maps.height, maps.width, [&](std::int64_t other) {
      const auto at = static_cast<std::size_t>(other);
      if (numbers[at] != 0 || maps.classes[at] == 0) return;
      numbers[at] = numbers[static_cast<std::size_t>(place)];
      const int level = level_of(at);
      waiting[static_cast<std::size_t>(level)].push_back(other);
      highest = std::max(highest, level);
    });
  };
  const auto seeds = numbers;
  for (std::int64_t place = 0; place < maps.height * maps.width; ++place)
    if (seeds[static_cast<std::size_t>(place)] != 0) {
      const int level = level_of(static_cast<std::size_t>(place));
      waiting[static_cast<std::size_t>(level)].push_back(place);
      highest = std::max(highest, level);
    }
  std::array<std::size_t, levels> taken{};
  while (highest >= 0) {
    const auto level = static_cast<std::size_t>(highest);
    if (taken[level] == waiting[level].size()) {
      waiting[level].clear();
      taken[level] = 0;
      --highest;
      continue;
    }
    spread(waiting[level][taken[level]++]);
  }
}

}  // namespace

InstanceMaps maps_of_instances(std::span<const std::int32_t> instances, std::int64_t height, std::int64_t width) {
  const auto size = static_cast<std::size_t>(height * width);
  InstanceMaps maps{std::vector<float>(size), std::vector<float>(size)};
  std::vector<double> across(size), squared(size);
  const auto columns = static_cast<std::size_t>(width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y)
    row_distances(instances.subspan(y * columns, columns), std::span(across).subspan(y * columns, columns));
  std::int32_t most = 0;
  for (const std::int32_t each : instances) most = std::max(most, each);
  std::vector<double> deepest(static_cast<std::size_t>(most) + 1, 0);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const auto at = static_cast<std::size_t>(y * width + x);
      const std::int32_t own = instances[at];
      if (own <= 0) continue;
      double least = across[at];
      // Up and down the column, as far as a nearer pixel may still be.
      for (const std::int64_t direction : {-1, 1}) {
        for (std::int64_t step = 1; static_cast<double>(step * step) < least; ++step) {
          const std::int64_t row = y + direction * step;
          if (row < 0 || row >= height) break;
          const auto other = static_cast<std::size_t>(row * width + x);
          const auto down = static_cast<double>(step * step);
          if (instances[other] != own) {
            least = std::min(least, down);
            break;
          }
          least = std::min(least, down + across[other]);
        }
      }
      squared[at] = least;
      double& deep = deepest[static_cast<std::size_t>(own)];
      if (least < nowhere) deep = std::max(deep, least);
    }
  }
  constexpr double nearest_neighbours = 2.5;  // squared: the eight neighbours lie at 1 and 2
  for (std::size_t i = 0; i < size; ++i) {
    if (instances[i] <= 0) continue;
    maps.border[i] = squared[i] < nearest_neighbours ? 1.0F : 0.0F;
    const double deep = deepest[static_cast<std::size_t>(instances[i])];
    maps.depth[i] = deep > 0 && squared[i] < nowhere ? static_cast<float>(std::sqrt(squared[i] / deep)) : 1.0F;
  }
  return maps;
}

std::vector<std::int32_t> instances_of_maps(const PredictedMaps& maps) {
  const auto size = static_cast<std::size_t>(maps.height * maps.width);
  std::vector<std::int32_t> numbers(size, 0);
  const auto is_seed = [&](std::size_t at) { return maps.classes[at] != 0 && maps.depth[at] > seed_depth && maps.border[at] < 0.5F; };
  std::int32_t next = number_pieces(maps, 1, is_seed, numbers);
  flood(maps, numbers);
  next = number_pieces(
      maps, next, [&](std::size_t at) { return maps.classes[at] != 0; }, numbers);
  std::vector<int> pixels(static_cast<std::size_t>(next), 0);
  for (const std::int32_t each : numbers) ++pixels[static_cast<std::size_t>(each)];
  std::vector<std::int32_t> renumbered(static_cast<std::size_t>(next), 0);
  std::int32_t count = 0;
  for (std::int32_t& each : numbers) {
    if (each == 0 || pixels[static_cast<std::size_t>(each)] < least_pixels) {
      each = 0;
      continue;
    }
    std::int32_t& own = renumbered[static_cast<std::size_t>(each)];
    if (own == 0) own = ++count;
    each = own;
  }
  return numbers;
}

}  // namespace sightline::tasks
