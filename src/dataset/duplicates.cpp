#include "dataset/duplicates.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace sightline::dataset {
namespace {

constexpr int most_bits = 4;

// How close two pictures must be. `scale` multiplies the tolerated differences of mean and contrast.
struct Tightness {
  int bits = most_bits;
  double scale = 1;
};
// From wide to narrow; after the last one only equal bytes count. Hashes cut at the median differ in an even number of bits.
constexpr std::array<Tightness, 7> tightening{{{4, 1}, {4, 0.5}, {2, 0.5}, {2, 0.25}, {0, 0.5}, {0, 0.25}, {0, 0.125}}};

constexpr double mean_tolerance = 2;     // grey levels: JPEG and area averaging hardly move the mean
constexpr std::size_t look_ahead = 300;  // bound on the comparisons of one picture in one pass, so that a crowd stays affordable
constexpr double acceptable_chance = 0.2;

class UnionFind {
 public:
  explicit UnionFind(std::size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), std::size_t{0}); }
  std::size_t find(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(std::size_t a, std::size_t b) {
    a = find(a);
    b = find(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> parent_;
};

// One entry per distinct content, in the order of digests, so that nothing below depends on the order of the listing.
struct Distinct {
  std::vector<const Sample*> picture;
  std::vector<std::vector<std::int64_t>> samples;  // ascending
};

Distinct distinct_contents(const Manifest& manifest) {
  std::vector<std::int64_t> order(manifest.samples.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto at = [&](std::int64_t i) -> const Sample& { return manifest.samples[static_cast<std::size_t>(i)]; };
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    if (at(a).digest != at(b).digest) return at(a).digest < at(b).digest;
    return at(a).digest.empty() && at(a).path != at(b).path ? at(a).path < at(b).path : a < b;
  });
  Distinct distinct;
  for (std::int64_t i : order) {
    if (distinct.picture.empty() || at(i).digest.empty() || distinct.picture.back()->digest != at(i).digest) {
      distinct.picture.push_back(&at(i));
      distinct.samples.emplace_back();
    }
    distinct.samples.back().push_back(i);
  }
  return distinct;
}

// The number of differing bits, or most_bits + 1 for more; without a population count, which the baseline instruction set lacks.
int bits_up_to_most(std::uint64_t difference) {
  int bits = 0;
  for (; bits <= most_bits && difference != 0; ++bits) difference &= difference - 1;
  return bits;
}

// What the comparison needs of a picture, side by side in memory.
struct Entry {
  std::uint64_t hash;
  float mean, deviation, sharpness, aspect;
  int width, height;
  std::size_t index;
};

// How far two pictures are apart in mean and contrast, in units of the tolerance (1: just accepted at scale 1).
double statistics_distance(const Entry& a, const Entry& b) {
  const double contrast = std::max(a.deviation, b.deviation);
  const bool same_size = a.width == b.width && a.height == b.height;
  // Averaging areas takes contrast from fine texture, re-encoding hardly does.
  const double tolerated = same_size ? std::max(1.5, 0.03 * contrast) : std::max(3.0, 0.12 * contrast);
  const double distance = std::max(std::abs(a.mean - b.mean) / mean_tolerance, std::abs(a.deviation - b.deviation) / tolerated);
  if (same_size) {
    // Strong compression takes the noise, and most of the sharpness with it.
    const float ratio = (a.sharpness + 1) / (b.sharpness + 1);
    return ratio > 8 || ratio < 1.0F / 8 ? std::numeric_limits<double>::infinity() : distance;
  }
  // A copy keeps its proportions; one that was stretched to a square must agree better in everything else.
  const float aspects = a.aspect / b.aspect;
  return aspects > 1.03F || aspects < 1 / 1.03F ? 2 * distance : distance;
}

// Calls visit(i, j, bits, distance) once for each pair of places in `which` with hashes at most 4 bits apart and a distance of at most
// `reach`. Multi-index hashing (Norouzi et al. 2012): at most 4 differing bits leave one of five bands equal. Within a band pictures
// are sorted by mean, and only neighbours within the tolerance are compared. Equal hashes come first, in a pass of their own.
template <class Visit>
void for_near_pairs(const Distinct& distinct, const std::vector<std::size_t>& which, double reach, Visit&& visit) {
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < which.size(); ++i) {
    const Sample& picture = *distinct.picture[which[i]];
    if (!(picture.deviation >= blank_deviation) || !std::isfinite(picture.mean)) continue;
    entries.push_back({picture.perceptual_hash, static_cast<float>(picture.mean), static_cast<float>(picture.deviation),
                       static_cast<float>(picture.sharpness),
                       static_cast<float>(std::max(picture.width, 1)) / static_cast<float>(std::max(picture.height, 1)), picture.width,
                       picture.height, i});
  }
  const double window = reach * mean_tolerance;
  constexpr std::array<std::uint64_t, 6> masks{~0ULL, 0x1fffULL, 0x1fffULL << 13, 0x1fffULL << 26, 0x1fffULL << 39, 0xfffULL << 52};
  for (std::size_t pass = 0; pass < masks.size(); ++pass) {
    const std::uint64_t mask = masks[pass];
    std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
      if ((a.hash & mask) != (b.hash & mask)) return (a.hash & mask) < (b.hash & mask);
      return a.mean != b.mean ? a.mean < b.mean : a.index < b.index;
    });
    for (std::size_t a = 0; a < entries.size(); ++a) {
      const std::size_t end = std::min(entries.size(), a + look_ahead);
      for (std::size_t b = a + 1; b < end; ++b) {
        const std::uint64_t difference = entries[a].hash ^ entries[b].hash;
        if ((difference & mask) != 0 || !(entries[b].mean - entries[a].mean <= window)) break;
        const int bits = bits_up_to_most(difference);
        if (bits > most_bits) continue;
        bool seen = false;  // in an earlier pass
        for (std::size_t earlier = 0; earlier < pass; ++earlier) seen = seen || (difference & masks[earlier]) == 0;
        if (seen) continue;
        // Four bits are less sure than two: everything else must agree twice as well.
        const double distance = (bits > 2 ? 2 : 1) * statistics_distance(entries[a], entries[b]);
        if (distance <= reach) visit(entries[a].index, entries[b].index, bits, distance);
      }
    }
  }
}

std::vector<std::vector<std::size_t>> components(const Distinct& distinct, const std::vector<std::size_t>& which, Tightness tightness) {
  UnionFind sets(which.size());
  for_near_pairs(distinct, which, tightness.scale, [&](std::size_t i, std::size_t j, int bits, double) {
    if (bits <= tightness.bits) sets.join(i, j);
  });
  std::map<std::size_t, std::vector<std::size_t>> by_root;
  for (std::size_t k = 0; k < which.size(); ++k) by_root[sets.find(k)].push_back(which[k]);
  std::vector<std::vector<std::size_t>> out;
  for (auto& [root, members] : by_root) out.push_back(std::move(members));
  return out;
}

DuplicateClusters number_clusters(const Manifest& manifest, const Distinct& distinct, const std::vector<std::vector<std::size_t>>& parts) {
  DuplicateClusters clusters;
  clusters.cluster_of.assign(manifest.samples.size(), -1);
  for (const auto& part : parts) {
    std::vector<std::int64_t> members;
    for (std::size_t i : part) members.insert(members.end(), distinct.samples[i].begin(), distinct.samples[i].end());
    if (members.size() < 2) continue;
    std::sort(members.begin(), members.end());
    clusters.members.push_back(std::move(members));
  }
  std::sort(clusters.members.begin(), clusters.members.end());
  for (std::size_t c = 0; c < clusters.members.size(); ++c) {
    for (std::int64_t i : clusters.members[c]) clusters.cluster_of[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(c);
  }
  return clusters;
}

std::vector<std::size_t> everything(const Distinct& distinct) {
  std::vector<std::size_t> all(distinct.picture.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

// How many contents a cluster may hold before it is taken for a chain: a fifth of the class that most of it belongs to.
std::size_t chain_limit(const Distinct& distinct, const std::vector<std::size_t>& part, const std::map<int, std::size_t>& class_sizes) {
  std::map<int, std::size_t> counts;
  for (std::size_t i : part) counts[distinct.picture[i]->label]++;
  const auto most = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::max<std::size_t>(16, class_sizes.at(most->first) / 5);
}

void cut_chains(const Distinct& distinct, std::vector<std::size_t> part, std::size_t level, const std::map<int, std::size_t>& class_sizes,
                std::vector<std::vector<std::size_t>>& out) {
  if (part.size() < 2 || part.size() <= chain_limit(distinct, part, class_sizes)) {
    out.push_back(std::move(part));
  } else if (level == tightening.size()) {
    for (std::size_t i : part) out.push_back({i});
  } else {
    for (auto& piece : components(distinct, part, tightening[level])) cut_chains(distinct, std::move(piece), level + 1, class_sizes, out);
  }
}

}  // namespace

DuplicateClusters exact_duplicates(const Manifest& manifest) {
  const Distinct distinct = distinct_contents(manifest);
  std::vector<std::vector<std::size_t>> parts;
  for (std::size_t i = 0; i < distinct.picture.size(); ++i) parts.push_back({i});
  return number_clusters(manifest, distinct, parts);
}

DuplicateClusters clusters_to_keep_together(const Manifest& manifest) {
  const Distinct distinct = distinct_contents(manifest);
  std::map<int, std::size_t> class_sizes;
  for (const Sample* picture : distinct.picture) class_sizes[picture->label]++;
  std::vector<std::vector<std::size_t>> parts;
  for (auto& part : components(distinct, everything(distinct), tightening[0])) cut_chains(distinct, std::move(part), 1, class_sizes, parts);
  return number_clusters(manifest, distinct, parts);
}

DuplicateClusters clusters_to_report(const Manifest& manifest) {
  const Distinct distinct = distinct_contents(manifest);
  const std::vector<std::size_t> all = everything(distinct);
  struct Count {
    double inside = 0, ring = 0;
  };
  std::array<Count, tightening.size()> counts{};
  for_near_pairs(distinct, all, 2 * tightening[0].scale, [&](std::size_t, std::size_t, int bits, double distance) {
    for (std::size_t t = 0; t < tightening.size(); ++t) {
      if (bits > tightening[t].bits) continue;
      if (distance <= tightening[t].scale) {
        counts[t].inside++;
      } else if (distance <= 2 * tightening[t].scale) {
        counts[t].ring++;
      }
    }
  });
  for (std::size_t t = 0; t < tightening.size(); ++t) {
    const double chance = counts[t].ring / 3;
    if (chance > std::max(1.0, acceptable_chance * counts[t].inside)) continue;
    DuplicateClusters clusters = number_clusters(manifest, distinct, components(distinct, all, tightening[t]));
    clusters.chance_share = counts[t].inside > 0 ? std::min(1.0, chance / counts[t].inside) : 0;
    return clusters;
  }
  return exact_duplicates(manifest);
}

}  // namespace sightline::dataset
