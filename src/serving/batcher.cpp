#include "serving/batcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <optional>

namespace sightline::serving {

using Clock = std::chrono::steady_clock;

Passage& passage() {
  thread_local Passage of_this_thread;
  return of_this_thread;
}

struct Batcher::Job {
  const std::string& model;
  std::span<const Tensor> inputs;
  Passage& passage;
  Clock::time_point came = Clock::now();
  std::condition_variable turn;  // wakes it when it is done, or when it may run what waits
  bool taken = false, done = false;
  std::optional<Error> error;
  std::vector<Tensor> outputs;

  std::int64_t rows() const { return inputs.empty() || inputs[0].rank() == 0 ? 1 : inputs[0].dim(0); }
};

namespace {

// How many rows are run in one go when so many are left: a power of two, so that few sizes are planned. (Filling up to the next one with
// rows of nobody was measured: it costs more than the smaller pieces do.)
std::int64_t piece_of(std::int64_t left, std::int64_t most) {
  return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(std::min(left, most))));
}

// Whether the tensors may lie in one batch: the same but for the rows.
bool fit_together(std::span<const Tensor> a, std::span<const Tensor> b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].dtype() != b[i].dtype() || a[i].rank() != b[i].rank() || a[i].rank() == 0) return false;
    if (!std::equal(a[i].shape().begin() + 1, a[i].shape().end(), b[i].shape().begin() + 1)) return false;
  }
  return true;
}

Tensor joined(const std::vector<Tensor>& parts) {
  if (parts.size() == 1) return parts[0];
  Shape shape = parts[0].shape();
  shape[0] = 0;
  for (const Tensor& part : parts) shape[0] += part.dim(0);
  Tensor whole(parts[0].dtype(), shape);
  std::byte* to = whole.data();
  for (const Tensor& part : parts) {
    std::memcpy(to, part.data(), part.byte_count());
    to += part.byte_count();
  }
  return whole;
}

}  // namespace

Batcher::Batcher(const BatchLimits& limits, bool batchable, Execute execute)
    : limits_(limits), batchable_(batchable), execute_(std::move(execute)) {}

Batcher::~Batcher() { assert(queue_.empty() && running_ == 0); }

std::size_t Batcher::waiting() const {
  const std::scoped_lock lock(mutex_);
  return queue_.size();
}

std::map<std::int64_t, std::uint64_t> Batcher::batches() const {
  const std::scoped_lock lock(mutex_);
  return batches_;
}

// The first one and what may go with it. Under the lock.
std::vector<Batcher::Job*> Batcher::take() {
  std::vector<Job*> jobs{queue_.front()};
  queue_.pop_front();
  std::int64_t rows = jobs[0]->rows();
  for (auto at = queue_.begin(); batchable_ && at != queue_.end() && rows < limits_.rows;) {
    if (rows + (*at)->rows() <= limits_.rows && fit_together(jobs[0]->inputs, (*at)->inputs)) {
      rows += (*at)->rows();
      jobs.push_back(*at);
      at = queue_.erase(at);
    } else {
      ++at;
    }
  }
  for (Job* job : jobs) {
    job->taken = true;
    job->passage.queue_s += seconds_since(job->came);
    job->passage.rows = rows;
  }
  ++batches_[rows];
  return jobs;
}

Result<void> Batcher::run_rows(const std::vector<Job*>& jobs, std::int64_t rows) {
  std::vector<std::string> models;
  std::vector<std::size_t> place;  // of each job's model
  for (const Job* job : jobs) {
    const auto found = std::ranges::find(models, job->model);
    place.push_back(static_cast<std::size_t>(found - models.begin()));
    if (found == models.end()) models.push_back(job->model);
  }
  if (!batchable_ || (jobs.size() == 1 && rows <= limits_.rows && std::has_single_bit(static_cast<std::uint64_t>(rows)))) {
    SIGHTLINE_TRY(auto outputs, execute_(jobs[0]->inputs, models));
    jobs[0]->outputs = std::move(outputs[0]);
    return {};
  }
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < jobs[0]->inputs.size(); ++i) {
    std::vector<Tensor> parts;
    for (const Job* job : jobs) parts.push_back(job->inputs[i]);
    inputs.push_back(joined(parts));
  }
  std::vector<std::vector<std::vector<Tensor>>> pieces;  // [piece][model][output]
  for (std::int64_t begin = 0; begin < rows;) {
    const std::int64_t count = piece_of(rows - begin, limits_.rows);
    std::vector<Tensor> some;
    for (const Tensor& input : inputs) some.push_back(input.rows(begin, begin + count));
    SIGHTLINE_TRY(auto outputs, execute_(some, models));
    for (const auto& of_model : outputs) {
      for (const Tensor& output : of_model) {
        if (output.rank() == 0 || output.dim(0) != count)
          return Error{ErrorKind::internal, fmt::format("an output of {} rows came for {} rows", to_string(output.shape()), count)};
      }
    }
    pieces.push_back(std::move(outputs));
    begin += count;
  }
  // Rows of each job; a copy where they come from several pieces, or where the whole batch would stay in memory for a few of its rows.
  std::int64_t begin = 0;
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    const std::int64_t end = begin + jobs[j]->rows();
    for (std::size_t k = 0; k < pieces[0][place[j]].size(); ++k) {
      std::vector<Tensor> parts;
      std::int64_t first = 0;
      for (const auto& piece : pieces) {
        const Tensor& output = piece[place[j]][k];
        const std::int64_t last = first + output.dim(0);
        if (std::max(begin, first) < std::min(end, last))
          parts.push_back(output.rows(std::max(begin, first) - first, std::min(end, last) - first));
        first = last;
      }
      jobs[j]->outputs.push_back(parts.size() == 1 ? parts[0].copy() : joined(parts));
    }
    begin = end;
  }
  return {};
}

void Batcher::execute(const std::vector<Job*>& jobs) {
  std::int64_t rows = 0;
  for (const Job* job : jobs) rows += job->rows();
  const auto begun = Clock::now();
  Result<void> status;
  try {
    status = run_rows(jobs, rows);
  } catch (const std::exception& caught) {
    status = Error{ErrorKind::internal, fmt::format("the runtime failed: {}", caught.what())};
  }
  const double took = seconds_since(begun);
  for (Job* job : jobs) {
    job->passage.compute_s += took;
    if (!status.ok()) job->error = status.error();
  }
}

Result<std::vector<Tensor>> Batcher::run(const std::string& model, std::span<const Tensor> inputs) {
  Job job{.model = model, .inputs = inputs, .passage = passage()};
  if (job.rows() == 0) return Error{ErrorKind::usage, "a request without rows has no answer"};
  const auto none = Clock::time_point{};
  std::unique_lock lock(mutex_);
  if (queue_.size() >= limits_.queue) return Error{ErrorKind::interrupted, "too many requests wait for this model"};
  const auto after = std::ranges::find_if(queue_, [&](const Job* other) { return other->passage.priority > job.passage.priority; });
  queue_.insert(after, &job);
  while (!job.done) {
    if (!job.taken && running_ < limits_.at_once) {
      ++running_;
      const std::vector<Job*> jobs = take();
      lock.unlock();
      execute(jobs);
      lock.lock();
      --running_;
      for (Job* each : jobs) {
        each->done = true;
        each->turn.notify_one();
      }
      if (!queue_.empty()) queue_.front()->turn.notify_one();
      continue;
    }
    if (job.passage.deadline == none || job.taken) {
      job.turn.wait(lock);
    } else if (job.turn.wait_until(lock, job.passage.deadline) == std::cv_status::timeout && !job.taken) {
      queue_.remove(&job);
      if (!queue_.empty() && running_ < limits_.at_once) queue_.front()->turn.notify_one();
      return Error{ErrorKind::interrupted, "the request waited longer than its timeout"};
    }
  }
  if (job.error) return *job.error;
  return std::move(job.outputs);
}

}  // namespace sightline::serving
