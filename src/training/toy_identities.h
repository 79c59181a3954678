// Pictures of somebody: each identity is a pattern of coloured fields, shifted and noisy in each of its pictures. For tests only.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "training/toy_packed.h"

namespace sightline::training::toy {

// `identities` with `each` pictures, edge×edge×3; the last `validation` identities are validation's. A packed set (dataset/packed_set.h).
inline void write_identities(const std::string& path, int edge, int identities, int each, int validation = 0) {
  std::vector<std::int32_t> labels;
  std::vector<std::string> names;
  std::vector<std::uint8_t> splits;
  std::string pixels;
  for (int who = 0; who < identities; ++who) {
    names.push_back("person " + std::to_string(who));
    Random pattern(71, static_cast<std::uint64_t>(who));
    std::array<std::array<double, 3>, 16> fields{};
    for (auto& field : fields)
      for (double& channel : field) channel = pattern.uniform(20, 235);
    for (int i = 0; i < each; ++i) {
      Random random(72, static_cast<std::uint64_t>(who), static_cast<std::uint64_t>(i));
      labels.push_back(who);
      splits.push_back(who < identities - validation ? 0 : 1);
      const int dx = static_cast<int>(random.below(5)) - 2, dy = static_cast<int>(random.below(5)) - 2;
      for (int y = 0; y < edge; ++y)
        for (int x = 0; x < edge; ++x) {
          const int row = std::clamp((y + dy) * 4 / edge, 0, 3), column = std::clamp((x + dx) * 4 / edge, 0, 3);
          for (const double channel : fields[static_cast<std::size_t>(row * 4 + column)])
            pixels.push_back(static_cast<char>(static_cast<std::uint8_t>(std::clamp(channel + 12 * random.normal(), 0.0, 255.0))));
        }
    }
  }
  PackedBytes({{"height", edge}, {"width", edge}, {"channels", 3}, {"classes", names}}, labels, splits).part().append(pixels).write(path);
}

}  // namespace sightline::training::toy
