// The append-only log of finished steps (steps.log): one JSON object a line, each ending in its own checksum. The last record of a key
// wins. A torn last line (a kill or a full disk while appending) is ignored and cut off by the next append; any other bad line is an error.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/sha256.h"

namespace sightline::line {

struct StepRecord {
  std::string pipeline, step;
  Digest key;
  int version = 1;
  Json parameters = Json::object();
  Json environment = Json::object();
  std::map<std::string, Digest> inputs, outputs;
  Json figures = Json::object();
  std::string started;  // UTC, ISO 8601
  double seconds = 0;
  std::uint64_t peak_memory = 0;
  std::string sentence;  // why it ran
  static constexpr auto fields() {
    return std::tuple{field("pipeline", &StepRecord::pipeline),
                      field("step", &StepRecord::step),
                      field("key", &StepRecord::key),
                      field("version", &StepRecord::version),
                      field("parameters", &StepRecord::parameters),
                      field("environment", &StepRecord::environment),
                      field("inputs", &StepRecord::inputs),
                      field("outputs", &StepRecord::outputs),
                      field("figures", &StepRecord::figures),
                      field("started", &StepRecord::started),
                      field("seconds", &StepRecord::seconds),
                      field("peak_memory", &StepRecord::peak_memory),
                      field("sentence", &StepRecord::sentence)};
  }
};

class StepLog {
 public:
  static Result<StepLog> open(const std::string& path);  // a missing file is an empty log

  const StepRecord* find(const Digest& key) const;                                     // the last with this key
  const StepRecord* last(const std::string& pipeline, const std::string& step) const;  // the last of this step in this pipeline
  const std::vector<StepRecord>& records() const { return records_; }
  Result<void> append(const StepRecord& record);  // locks the file, appends, syncs
  Result<void> reload();                          // what other processes appended

 private:
  std::string path_;
  std::vector<StepRecord> records_;
  std::size_t good_bytes_ = 0;
};

}  // namespace sightline::line
