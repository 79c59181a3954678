// What is wrong with the data, before anything is trained on them.
#pragma once

#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "tensor/tensor.h"

namespace sightline::dataset {

struct Finding {
  std::string kind;      // a row of finding_kinds(): "exact_duplicate", "near_duplicate", "conflicting_labels", "leak", "tiny", "blank",
                         // "blurred", "odd_size", "imbalance", "label_error"
  std::string sentence;  // for a person
  std::vector<std::int64_t> samples;  // indices into the manifest
  double score = 0;                   // the worse, the larger
  static constexpr auto fields() {
    return std::tuple{field("kind", &Finding::kind), field("sentence", &Finding::sentence), field("samples", &Finding::samples),
                      field("score", &Finding::score)};
  }
};

struct Audit {
  std::vector<Finding> findings;               // worst first within a kind
  std::map<std::string, std::int64_t> counts;  // by kind, samples concerned
  static constexpr auto fields() { return std::tuple{field("findings", &Audit::findings), field("counts", &Audit::counts)}; }
};

// All but label errors. Works on the manifest alone (hashes, statistics); near duplicates in sub-quadratic time.
Audit audit(const Manifest& manifest);

struct Suspect {
  std::int64_t sample = 0;  // index into the manifest
  int given = 0, suggested = 0;
  double score = 0;  // larger: more likely wrong
  static constexpr auto fields() {
    return std::tuple{field("sample", &Suspect::sample), field("given", &Suspect::given), field("suggested", &Suspect::suggested),
                      field("score", &Suspect::score)};
  }
};
// Confident learning (Northcutt et al. 2021) on out-of-fold probabilities f32 M×K of the samples `rows`; the whole ranking, most suspect
// first.
std::vector<Suspect> rank_label_errors(const Manifest& manifest, const std::vector<std::int64_t>& rows, const Tensor& probabilities);

}  // namespace sightline::dataset
