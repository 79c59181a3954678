// What is wrong with the data, before anything is trained on them. docs/audit.md says how each finding is computed.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "tensor/tensor.h"

namespace sightline::dataset {

struct FindingKind {
  const char* name;
  const char* title;
  const char* meaning;  // a sentence for a person
};
// One row per kind, in the order of a report.
std::span<const FindingKind> finding_kinds();

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
  std::vector<Finding> findings;               // in the order of finding_kinds(), worst first within a kind
  std::map<std::string, std::int64_t> counts;  // by kind (all but label_error), samples concerned
  static constexpr auto fields() { return std::tuple{field("findings", &Audit::findings), field("counts", &Audit::counts)}; }
};

// All but label errors. Works on the manifest alone (hashes, statistics); near duplicates in sub-quadratic time.
Audit audit(const Manifest& manifest);

struct Suspect {
  std::int64_t sample = 0;  // index into the manifest
  int given = 0, suggested = 0;
  double score = 0;     // larger: more likely wrong
  bool likely = false;  // counted as an error by confident learning; the others are only ranked
  static constexpr auto fields() {
    return std::tuple{field("sample", &Suspect::sample), field("given", &Suspect::given), field("suggested", &Suspect::suggested),
                      field("score", &Suspect::score), field("likely", &Suspect::likely)};
  }
};
// Confident learning (Northcutt et al. 2021) on out-of-fold probabilities f32 M×K of the samples `rows`; the whole ranking, most suspect
// first. The score is 1 - p / t: p the probability of the given class, t that class's confidence threshold, which is the mean probability
// of the class among the samples labelled so. So 1 is the most suspect, 0 is as sure as the class usually is. (In Fashion-MNIST with 5% of
// the labels flipped this finds 86% of them in the first 5%; the margin to the best other class, which saturates, 77%.) Likely are samples
// that reach the threshold of another class while that class beats their own. Rows whose probabilities are not numbers come last.
std::vector<Suspect> rank_label_errors(const Manifest& manifest, const std::vector<std::int64_t>& rows, const Tensor& probabilities);

// The first `limit` likely suspects as findings of kind "label_error".
std::vector<Finding> label_error_findings(const Manifest& manifest, const std::vector<Suspect>& ranking, std::size_t limit);

}  // namespace sightline::dataset
