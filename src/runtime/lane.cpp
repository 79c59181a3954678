#include "runtime/lane.h"

namespace sightline::runtime {

void Lane::execute(const Planned& planned, std::span<std::byte* const> inputs, std::span<std::byte* const> outputs,
                   std::vector<double>* seconds) {
  auto copy = copies_.begin();
  while (copy != copies_.end() && copy->of != planned.plan) ++copy;
  if (copy == copies_.end()) {
    copies_.push_front({planned.plan, planned.plan->copy()});
    if (copies_.size() > kept_plans) copies_.pop_back();
  } else {
    copies_.splice(copies_.begin(), copies_, copy);
  }
  Plan& plan = copies_.front().plan;
  if (!arena_.defined() || arena_.byte_count() < plan.arena_bytes()) {
    release_arena();
    arena_ = Tensor(Dtype::u8, {static_cast<std::int64_t>(plan.arena_bytes())});
    all_bytes_ += arena_.byte_count();
  }
  plan.execute(stream_, arena_.data(), inputs, outputs, seconds);
  stream_.wait();
}

void Lane::forget(const Plan* plan) {
  copies_.remove_if([plan](const Copy& copy) { return copy.of.get() == plan; });
  release_arena();
}

void Lane::release_arena() {
  if (arena_.defined()) all_bytes_ -= arena_.byte_count();
  arena_ = Tensor();
}

std::unique_ptr<Lane> Lanes::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Lane> lane = std::move(idle_.back());
      idle_.pop_back();
      return lane;
    }
  }
  return std::make_unique<Lane>(bytes_);
}

void Lanes::give_back(std::unique_ptr<Lane> lane) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(lane));
}

void Lanes::forget(const Plan* plan) {
  const std::lock_guard lock(mutex_);
  for (const auto& lane : idle_) lane->forget(plan);
}

void Lanes::release_arenas() {
  const std::lock_guard lock(mutex_);
  for (const auto& lane : idle_) lane->release_arena();
}

}  // namespace sightline::runtime
