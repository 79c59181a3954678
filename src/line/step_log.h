// The append-only log of finished steps (steps.log): one JSON object a line, each ending in its own checksum (docs/workspace.md). The last
// record of a key wins. A torn last line (a kill or a full disk while appending) is ignored and cut off by the next append; any other bad
// line is an error.
//
// Opening checks every line's checksum and indexes it, and parses none: 10,000 records (12 MB) open in about 20 ms.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <unordered_map>
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
  std::map<std::string, std::uint64_t> output_bytes;  // of each output's blob: what a cheap check compares
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
                      field("output_bytes", &StepRecord::output_bytes),
                      field("figures", &StepRecord::figures),
                      field("started", &StepRecord::started),
                      field("seconds", &StepRecord::seconds),
                      field("peak_memory", &StepRecord::peak_memory),
                      field("sentence", &StepRecord::sentence)};
  }
};

// One thread at a time; any number of processes.
class StepLog {
 public:
  // A missing file is an empty log. Error invalid_data names the first bad line and how to repair it.
  static Result<StepLog> open(const std::string& path);
  // Keeps the good lines, appends the bad ones to PATH.bad; gives how many were bad. A missing file has none.
  static Result<std::size_t> repair(const std::string& path);

  // Pointers live until the log goes or reload() finds another file in its place.
  const StepRecord* find(const Digest& key) const;                                     // the last with this key
  const StepRecord* last(const std::string& pipeline, const std::string& step) const;  // the last of this step in this pipeline
  const std::vector<StepRecord>& records() const;                                      // in their order; parses all of them
  std::size_t size() const { return lines_.size(); }
  // What the last record of every step of every pipeline left, for the garbage collector and fsck.
  std::vector<Digest> current_outputs() const;

  Result<void> append(const StepRecord& record);  // locks the file, appends, syncs
  Result<void> reload();                          // what other processes appended

 private:
  struct Line {
    std::size_t begin = 0, end = 0;  // in text_, without the newline
    mutable std::unique_ptr<StepRecord> record;
  };
  Result<void> read_from(int fd);
  Result<void> index(std::size_t from);
  void forget();
  const StepRecord* parsed(std::size_t index) const;

  std::string path_;
  std::string text_;  // whole lines only
  std::uint64_t inode_ = 0;
  std::vector<Line> lines_;
  std::unordered_map<std::string, std::size_t> by_key_, by_step_;  // the last line of each
  mutable std::vector<StepRecord> records_;
};

}  // namespace sightline::line
