// Which samples show the same picture: equal bytes, or a perceptual hash, a mean and a contrast so close that one is the other re-encoded
// or resized. Works on the manifest alone.
//
// A 64-bit hash is too small for sets of many simple pictures: in Fashion-MNIST 17,000 pairs of 60,000 garments are at most 2 bits
// apart, hardly any of them duplicates, and joined together they chain into a cluster of 2,706. Hence two guards, one for each use:
//   - clusters_to_keep_together (the split): joining too much costs little, tearing a duplicate apart spoils the figures. Wide tolerance;
//   only a
//     cluster that would swallow a fifth of its class is taken for a chain and cut with a tighter tolerance, as often as needed.
//   - clusters_to_report (the audit): a false alarm costs a person's time. The tolerance is narrowed until the share of pairs that are
//   there by
//     chance is small. Chance pairs are spread evenly over the differences of mean and contrast, duplicates sit at zero; so the ring around
//     the accepted square, three times as large, tells how many chance pairs to expect within it.
#pragma once

#include <cstdint>
#include <vector>

#include "dataset/manifest.h"

namespace sightline::dataset {

// Below this standard deviation of grey levels a picture says nothing: it is reported as blank, and only equal bytes make it a duplicate.
inline constexpr double blank_deviation = 2.0;

struct DuplicateClusters {
  // For each sample its cluster, or -1 when it is alone. Clusters are numbered from 0 by their smallest sample index; what a cluster holds
  // does not depend on the order of the samples.
  std::vector<std::int64_t> cluster_of;
  std::vector<std::vector<std::int64_t>> members;  // ascending sample indices, at least two a cluster
  double chance_share = 0;                         // expected share of the near pairs that are there by chance (clusters_to_report)
};

DuplicateClusters exact_duplicates(const Manifest& manifest);
DuplicateClusters clusters_to_keep_together(const Manifest& manifest);
DuplicateClusters clusters_to_report(const Manifest& manifest);

}  // namespace sightline::dataset
