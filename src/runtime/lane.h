// What a thread needs to execute plans beside other threads: copies of the plans (their operands point at addresses), an arena and a
// stream. A plan is made once and copied for each lane, which is quick; weights are shared.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "runtime/plan.h"

namespace sightline::runtime {

// A plan as the planner left it: never executed itself.
struct Planned {
  std::shared_ptr<const Plan> plan;
  std::int64_t batch = 0;
  int threads = 1;  // oneDNN's primitives are made for a number of threads
};

class Lane {
 public:
  explicit Lane(std::atomic<std::size_t>& bytes) : all_bytes_(bytes) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() { release_arena(); }

  // Not for two threads at once. oneDNN must have planned.threads threads here. seconds: of each step, when it is not null.
  void execute(const Planned& planned, std::span<std::byte* const> inputs, std::span<std::byte* const> outputs,
               std::vector<double>* seconds = nullptr);
  // Forgets this plan, and the arena, which comes back as large as what is executed next needs.
  void forget(const Plan* plan);
  void release_arena();

 private:
  struct Copy {
    std::shared_ptr<const Plan> of;
    Plan plan;
  };
  std::list<Copy> copies_;  // the last used one first
  Tensor arena_;            // as large as the largest plan needs: plans of a lane do not run at the same time
  dnnl::stream stream_{cpu_engine()};
  std::atomic<std::size_t>& all_bytes_;
};

// The lanes that no thread uses at present; there come to be as many as threads execute at the same time. For any threads.
class Lanes {
 public:
  std::unique_ptr<Lane> take();
  void give_back(std::unique_ptr<Lane> lane);
  // Of the lanes that nobody uses at present.
  void forget(const Plan* plan);
  void release_arenas();
  std::size_t bytes() const { return bytes_; }  // of all arenas

 private:
  std::atomic<std::size_t> bytes_{0};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Lane>> idle_;
};

// A plan that was not used for this many others is forgotten. A server sees few batch sizes (its buckets); a data set adds its remainder.
inline constexpr std::size_t kept_plans = 8;

}  // namespace sightline::runtime
