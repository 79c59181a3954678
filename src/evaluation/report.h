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
  std::string created;  // UTC
};

Result<std::string> write_report(const ReportInput& input);

}  // namespace sightline::evaluation
