// What the server counts: per model for Triton's statistics extension, and everything for Prometheus. The only place that includes
// prometheus-cpp.
//
// Threads: everything by any number of threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "net/server.h"
#include "serving/repository.h"

namespace sightline::serving {

// One request to a model, in seconds by stage.
struct Served {
  std::string model;
  std::int64_t version = 0;
  std::int64_t rows = 1;
  std::int64_t batch = 1;  // rows of the batch that it was part of
  double queue_s = 0, input_s = 0, compute_s = 0, output_s = 0;
  bool failed = false;
  std::string error;  // kind, where it failed
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void served(const Served& one);
  void said(const std::string& model, const std::string& label);  // the distribution of what models say
  void shadowed(const std::string& model, bool agrees);
  void exchanged(const net::Exchange& exchange);
  void logging_failed();

  // Prometheus' text. Figures of the repository and the server are read now.
  std::string text(const Repository& repository, const net::Server::Load& load);
  // Triton's statistics of a model (version 0: of all its versions) or of all ("").
  Json statistics(const std::string& model, std::int64_t version) const;

 private:
  struct Totals {
    std::uint64_t inferences = 0, requests = 0, failures = 0, last_ms = 0;
    double queue_s = 0, input_s = 0, compute_s = 0, output_s = 0, failed_s = 0;
    std::map<std::int64_t, std::pair<std::uint64_t, double>> batches;  // by rows: requests, seconds of computing
  };
  struct Families;
  std::unique_ptr<Families> families_;
  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::int64_t, Totals>> totals_;
};

}  // namespace sightline::serving
