// Requests that come while the cores are busy are answered together: whoever finds a place free takes those that wait, as many as fit, runs
// them as one batch and hands out the answers. Nobody waits for a batch to fill, so a lone request is as fast as the runtime; a batch grows
// with the load. Batches are cut into powers of two, so that few sizes are planned.
//
// Threads: run() by any number of threads; it returns when the answer is there.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"

namespace sightline::serving {

// What a request wants of the batcher, and what became of it there. Of the thread that asks, so that it passes through what lies between
// (package::Model knows of no requests).
struct Passage {
  std::int64_t priority = 0;                            // the least comes first; of equals the oldest
  std::chrono::steady_clock::time_point deadline = {};  // to begin; none when it is the clock's beginning
  double queue_s = 0, compute_s = 0;                    // summed over the runs of the request
  std::int64_t rows = 0;                                // of the last batch that it was part of
};
Passage& passage();

inline double seconds_since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

struct BatchLimits {
  std::int64_t rows = 16;   // of a batch; a request that has more by itself is run in pieces
  int at_once = 2;          // batches that are run at the same time
  std::size_t queue = 512;  // requests that wait
};

class Batcher {
 public:
  // Gives the outputs of each of `models` for the same inputs.
  using Execute =
      std::function<Result<std::vector<std::vector<Tensor>>>(std::span<const Tensor> inputs, std::span<const std::string> models)>;
  // batchable: whether rows of inputs and outputs belong to each other, so that requests may be put together.
  Batcher(const BatchLimits& limits, bool batchable, Execute execute);
  ~Batcher();  // nobody may wait any more

  // Errors: those of execute; interrupted (the deadline passed, or too many wait).
  Result<std::vector<Tensor>> run(const std::string& model, std::span<const Tensor> inputs);

  std::size_t waiting() const;
  std::map<std::int64_t, std::uint64_t> batches() const;  // how many there were, by rows

 private:
  struct Job;
  std::vector<Job*> take();
  void execute(const std::vector<Job*>& jobs);
  Result<void> run_rows(const std::vector<Job*>& jobs, std::int64_t rows);

  BatchLimits limits_;
  bool batchable_;
  Execute execute_;
  mutable std::mutex mutex_;
  std::list<Job*> queue_;  // by priority and age
  int running_ = 0;
  std::map<std::int64_t, std::uint64_t> batches_;
};

}  // namespace sightline::serving
