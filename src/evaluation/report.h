// One HTML file that stands alone: figures with intervals, confusion matrix, reliability diagram, learning curves, worst mistakes and
// suspected label errors as pictures, the gate's words, lineage. No script from elsewhere, light and dark, printable.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "dataset/audit.h"
#include "evaluation/compression.h"
#include "evaluation/evaluation.h"
#include "evaluation/report_search.h"

namespace sightline::evaluation {

// A way to a model that was tried, in the order in which that happened.
struct ReportRung {
  std::string name;    // "the head on the frozen backbone"
  std::string metric;  // what it reached, on pictures that it has not learnt from
  double value = 0;
  Interval interval;
  double seconds = 0;
  bool kept = true;
  std::vector<std::string> sentences;  // what it reached, why the next one was taken or not; empty ones are left out
};

struct ReportInput {
  demand::Demand demand;
  const dataset::Manifest* manifest = nullptr;
  Evaluation evaluation;
  Verdict verdict;
  Compression compression;
  dataset::Audit audit;
  std::vector<dataset::Suspect> suspects;  // most suspect first
  Json history;                            // history.json of the training, or null
  Json lineage;
  std::optional<SearchReport> search;
  std::vector<ReportRung> rungs;  // how the recipe was chosen; empty: there was no choice
  std::string created;            // UTC
};

Result<std::string> write_report(const ReportInput& input);

}  // namespace sightline::evaluation
