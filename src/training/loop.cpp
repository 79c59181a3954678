#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>

#include "base/fault.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "training/checkpoint.h"
#include "training/flat_state.h"
#include "training/memory.h"
#include "training/optimizer.h"
#include "training/pace.h"
#include "training/setup.h"
#include "training/training.h"

namespace sightline::training {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

struct Scores {
  double loss = 0, top1 = 0;
};

// A view of a batch's memory.
torch::Tensor pixels_of(const Batch& batch, const PictureShape& shape) {
  return torch::from_blob(const_cast<std::uint8_t*>(batch.pixels.data()), {batch.count(), shape.height, shape.width, shape.channels},
                          torch::kByte);
}
class Run {
 public:
  static Result<std::unique_ptr<Run>> prepare(Setup setup, EventSink emit, Clock::time_point begin);
  Result<void> go();

 private:
  Run(Setup setup, EventSink emit, Clock::time_point begin, autograd::Executor executor, FlatState state);

  Result<void> decide_course(bool resumed);
  std::int64_t most_steps() const;
  Result<Measured> measure();
  Result<void> train_steps();
  Result<void> finish();

  // One step on one batch; returns its mean loss. `correct` gets the number of right answers.
  double step_on(const Batch& batch, double learning_rate, std::int64_t step, std::int64_t& correct);
  void average(std::int64_t step);
  Scores validate();
  Result<void> end_epoch(double learning_rate);
  Result<void> revise_course();
  Result<void> save();
  Result<void> save_course();
  void announce_course();
  void announce_progress();
  double elapsed() const { return spent_before_ + seconds_since(begin_); }
  NamedTensors tensors();
  std::string course_path() const { return setup_.spec.checkpoint + "/schedule.json"; }
  const modules::Recipe& recipe() const { return setup_.spec.recipe; }
  bool averaging() const { return recipe().weight_average > 0; }

  // Lets the averaged weights stand in for the trained ones while it lives.
  class Stand;

  Setup setup_;
  EventSink emit_;
  Clock::time_point begin_, saved_, announced_;
  double save_cost_ = 0, spent_before_ = 0;
  autograd::Executor executor_;
  FlatState state_;
  FlatOptimizer optimizer_;
  TrainingOrder order_;
  torch::Tensor average_parameters_, average_statistics_, best_parameters_, best_statistics_;
  RunRecord record_;
  std::optional<Pace> pace_;
};

class Run::Stand {
 public:
  explicit Stand(Run& run) : run_(run) {
    if (!run.averaging()) return;
    parameters_ = run.state_.parameters.clone();
    statistics_ = run.state_.statistics.clone();
    run.state_.parameters.copy_(run.average_parameters_);
    run.state_.statistics.copy_(run.average_statistics_);
  }
  ~Stand() {
    if (!run_.averaging()) return;
    run_.state_.parameters.copy_(parameters_);
    run_.state_.statistics.copy_(statistics_);
  }
  Stand(const Stand&) = delete;
  Stand& operator=(const Stand&) = delete;

 private:
  Run& run_;
  torch::NoGradGuard no_gradient_;
  torch::Tensor parameters_, statistics_;
};

Run::Run(Setup setup, EventSink emit, Clock::time_point begin, autograd::Executor executor, FlatState state)
    : setup_(std::move(setup)),
      emit_(std::move(emit)),
      begin_(begin),
      saved_(begin),
      announced_(begin),
      executor_(std::move(executor)),
      state_(std::move(state)),
      optimizer_({.kind = recipe().optimizer, .momentum = recipe().momentum, .weight_decay = recipe().weight_decay}, state_.decay,
                 state_.rate),
      order_(setup_.training, setup_.training.batches(recipe().batch), recipe().augmentation, static_cast<std::uint64_t>(setup_.spec.seed),
             recipe().pictures_per_identity) {
  if (averaging()) {
    average_parameters_ = state_.parameters.clone();
    average_statistics_ = state_.statistics.clone();
  }
  if (recipe().patience > 0) {
    best_parameters_ = state_.parameters.clone();
    best_statistics_ = state_.statistics.clone();
  }
  record_.fingerprint = setup_.fingerprint;
  record_.layout = state_.layout;
}

Result<std::unique_ptr<Run>> Run::prepare(Setup setup, EventSink emit, Clock::time_point begin) {
  SIGHTLINE_TRY(autograd::Executor executor,
                autograd::Executor::create(setup.graph, {.frozen = setup.frozen, .bf16 = setup.spec.recipe.bf16}));
  SIGHTLINE_TRY(FlatState state, FlatState::bind(executor, setup.rates));
  if (state.parameters.numel() == 0)
    return Error{ErrorKind::invalid_data, fmt::format("{} has no weights that could be trained", setup.spec.graph)};
  return std::unique_ptr<Run>(new Run(std::move(setup), std::move(emit), begin, std::move(executor), std::move(state)));
}

NamedTensors Run::tensors() {
  NamedTensors list{{"parameters", state_.parameters}, {"statistics", state_.statistics}};
  for (std::size_t i = 0; i < optimizer_.memory().size(); ++i) list.emplace_back(fmt::format("memory{}", i), optimizer_.memory()[i]);
  if (averaging()) {
    list.emplace_back("average_parameters", average_parameters_);
    list.emplace_back("average_statistics", average_statistics_);
  }
  if (recipe().patience > 0) {
    list.emplace_back("best_parameters", best_parameters_);
    list.emplace_back("best_statistics", best_statistics_);
  }
  return list;
}

Result<void> Run::go() {
  SIGHTLINE_CHECK(make_directories(setup_.spec.output));
  SIGHTLINE_CHECK(make_directories(setup_.spec.checkpoint));
  SIGHTLINE_TRY(const bool resumed, read_checkpoint(setup_.spec.checkpoint, setup_.fingerprint, state_.layout, record_, tensors()));
  spent_before_ = record_.seconds;
  SIGHTLINE_CHECK(decide_course(resumed));
  order_.follow(record_.course);
  announce_course();
  SIGHTLINE_CHECK(train_steps());
  return finish();
}

// That the recipe's epochs allow, whatever the clock says.
std::int64_t Run::most_steps() const {
  return recipe().epochs ? *recipe().epochs * setup_.training.batches(recipe().batch) : std::numeric_limits<std::int64_t>::max();
}

Result<void> Run::decide_course(bool resumed) {
  const std::int64_t steps_per_epoch = setup_.training.batches(recipe().batch);
  if (!recipe().minutes) {
    record_.course = Course::of(most_steps(), steps_per_epoch);
    pace_.emplace(0, Measured{});
    return {};
  }
  const double budget = *recipe().minutes * 60;
  if (path_exists(course_path())) {
    SIGHTLINE_TRY(const Json json, read_json_file(course_path()));
    auto course = struct_from_json<Course>(json);
    if (!course.ok()) return course.error().in(course_path());
    if (auto status = course->check(); !status.ok()) return status.error().in(course_path());
    // An open one is this run's own; without the checkpoint that was written with it, it is a leftover.
    if (!course->open || resumed) {
      if (course->steps_per_epoch != steps_per_epoch)
        return Error{ErrorKind::invalid_data,
                     fmt::format("{} counts {} steps per epoch, this run has {}", course_path(), course->steps_per_epoch, steps_per_epoch)};
      record_.course = *std::move(course);
      pace_.emplace(record_.course.open ? budget : 0, Measured{});
      return {};
    }
  }
  if (resumed) {
    pace_.emplace(record_.course.open ? budget : 0, Measured{});
    return {};
  }
  SIGHTLINE_TRY(const Measured measured, measure());
  pace_.emplace(budget, measured);
  const std::int64_t steps = std::min(most_steps(), steps_within(0.985 * budget - elapsed(), measured, steps_per_epoch));
  record_.course = Course::of(steps, steps_per_epoch);
  record_.course.open = true;
  SIGHTLINE_CHECK(save_course());
  return save();
}

// Real steps on the real state, which is put back afterwards. The time counts as part of the budget.
Result<Measured> Run::measure() {
  constexpr int warm_up = 2;
  constexpr int least = 3;
  constexpr int validation_batches = 2;
  std::vector<torch::Tensor> kept;
  for (const auto& [name, tensor] : tensors()) kept.push_back(tensor.clone());

  // The median, because a busy machine stretches single steps.
  Measured measured;
  const double most = std::min(0.03 * *recipe().minutes * 60, 5.0);
  const std::int64_t steps_per_epoch = setup_.training.batches(recipe().batch);
  Batch batch;
  std::vector<double> durations;
  const auto first = Clock::now();
  for (std::int64_t i = 0; i < warm_up + least || (seconds_since(first) < most && i < 1000); ++i) {
    const auto begin = Clock::now();
    order_.fill(i % steps_per_epoch, batch);
    std::int64_t correct = 0;
    step_on(batch, 0, 0, correct);
    average(0);
    if (i >= warm_up) durations.push_back(seconds_since(begin));
    SIGHTLINE_CHECK(check_interrupt());  // nothing is saved yet
  }
  std::nth_element(durations.begin(), durations.begin() + static_cast<std::ptrdiff_t>(durations.size() / 2), durations.end());
  measured.step_seconds = durations[durations.size() / 2];
  if (setup_.validation.count() > 0) {
    const torch::NoGradGuard no_gradient;
    Clock::time_point begin;
    const std::int64_t batches = setup_.validation.batches(recipe().batch);
    const Samples& samples = setup_.validation;
    for (int i = 0; i < 1 + validation_batches; ++i) {
      if (i == 1) begin = Clock::now();
      fill_batch(samples, samples.chosen, i % batches, batches, modules::Augmentation::none, 0, 0, batch);
      setup_.objective->judge(executor_.forward({pixels_of(batch, samples.shape)}, setup_.objective->outputs(), false), batch, false);
    }
    measured.validation_seconds = seconds_since(begin) / validation_batches * static_cast<double>(batches);
  }
  std::size_t i = 0;
  for (auto& [name, tensor] : tensors()) tensor.copy_(kept[i++]);
  return measured;
}

double Run::step_on(const Batch& batch, double learning_rate, std::int64_t step, std::int64_t& correct) {
  executor_.seed_dropout(static_cast<std::uint64_t>(setup_.spec.seed) * 0x9e3779b97f4a7c15ULL + static_cast<std::uint64_t>(step));
  state_.gradients.zero_();
  const std::vector<torch::Tensor> outputs =
      executor_.forward({pixels_of(batch, setup_.training.shape)}, setup_.objective->outputs(), true);
  const Judgement judgement = setup_.objective->judge(outputs, batch, true);
  judgement.loss.backward();
  if (recipe().clip > 0) clip_norm(state_.gradients, recipe().clip);
  optimizer_.step(state_.parameters, state_.gradients, learning_rate, step);
  correct = judgement.right;
  return judgement.loss.item<double>();
}

// Exponential moving averages of weights and running statistics; young averages forget faster, so that they do not remember the start.
void Run::average(std::int64_t step) {
  if (!averaging()) return;
  const torch::NoGradGuard no_gradient;
  const auto count = static_cast<double>(step);
  const double kept = std::min(recipe().weight_average, (1 + count) / (10 + count));
  average_parameters_.lerp_(state_.parameters, 1 - kept);
  average_statistics_.lerp_(state_.statistics, 1 - kept);
}

Result<void> Run::train_steps() {
  if (record_.stopped || record_.step >= record_.course.total_at(record_.step)) return {};
  BatchProducer producer(record_.step, std::numeric_limits<std::int64_t>::max(),
                         [this](std::int64_t step, Batch& batch) { order_.fill(step, batch); });
  while (!record_.stopped && record_.step < record_.course.total_at(record_.step)) {
    if (auto status = check_interrupt(); !status.ok()) {
      SIGHTLINE_CHECK(save());
      return status;
    }
    const auto begin = Clock::now();
    const double learning_rate =
        recipe().learning_rate * learning_rate_factor(recipe().schedule, recipe().warmup, record_.course.progress(record_.step));
    const Batch& batch = producer.next();
    std::int64_t correct = 0;
    const double loss = step_on(batch, learning_rate, record_.step, correct);
    if (!std::isfinite(loss))
      return Error{
          ErrorKind::refused,
          fmt::format("the loss is no longer a number at step {} of {} (learning rate {:.4g}): the weights ran away; choose a lower "
                      "learning_rate than {}, or clip the gradient (clip: 1)",
                      record_.step + 1, record_.course.total_at(record_.step), learning_rate, recipe().learning_rate)};
    average(record_.step);
    ++record_.step;
    record_.loss_sum += loss * static_cast<double>(batch.count());
    record_.correct += correct;
    record_.seen += batch.count();
    pace_->add_step(seconds_since(begin), batch.count());
    fault_point("train-step");
    SIGHTLINE_CHECK(revise_course());
    const bool last = record_.step >= record_.course.total_at(record_.step);
    const bool epoch_ends = last || record_.step % record_.course.steps_per_epoch == 0;
    if (epoch_ends) SIGHTLINE_CHECK(end_epoch(learning_rate));
    // At the end of each epoch too, but not so often that the disk eats the time.
    const double since = seconds_since(saved_);
    if (last || record_.stopped || since >= std::max(setup_.spec.checkpoint_seconds, 10 * save_cost_) ||
        (epoch_ends && since >= 20 * save_cost_))
      SIGHTLINE_CHECK(save());
    if (seconds_since(announced_) >= 0.5) announce_progress();
  }
  return {};
}

Result<void> Run::revise_course() {
  if (!record_.course.open) return {};
  const auto steps = pace_->revised_steps(record_.course, record_.step, elapsed());
  if (!steps || std::min(*steps, most_steps()) == record_.course.total_at(record_.step)) return {};
  record_.course.revise(record_.step, std::min(*steps, most_steps()));
  order_.follow(record_.course);
  SIGHTLINE_CHECK(save_course());
  announce_course();
  return {};
}

Scores Run::validate() {
  const torch::NoGradGuard no_gradient;
  const Samples& samples = setup_.validation;
  const std::int64_t batches = samples.batches(recipe().batch);
  BatchProducer producer(0, batches, [&](std::int64_t index, Batch& batch) {
    fill_batch(samples, samples.chosen, index, batches, modules::Augmentation::none, 0, 0, batch);
  });
  double loss = 0;
  std::int64_t correct = 0;
  for (std::int64_t i = 0; i < batches; ++i) {
    const Batch& batch = producer.next();
    const Judgement judgement =
        setup_.objective->judge(executor_.forward({pixels_of(batch, samples.shape)}, setup_.objective->outputs(), false), batch, false);
    loss += judgement.loss.item<double>() * static_cast<double>(batch.count());
    correct += judgement.right;
  }
  const auto count = static_cast<double>(samples.count());
  return {.loss = loss / count, .top1 = static_cast<double>(correct) / count};
}

Result<void> Run::end_epoch(double learning_rate) {
  const auto seen = static_cast<double>(record_.seen);
  EpochRecord epoch{.epoch = static_cast<std::int64_t>(record_.epochs.size()) + 1,
                    .loss = record_.loss_sum / seen,
                    .train_top1 = {},
                    .validation_loss = {},
                    .validation_top1 = {},
                    .learning_rate = learning_rate};
  if (setup_.objective->counts_right()) epoch.train_top1 = static_cast<double>(record_.correct) / seen;
  record_.loss_sum = 0;
  record_.correct = record_.seen = 0;
  if (setup_.validation.count() > 0) {
    const auto begin = Clock::now();
    const Stand averaged(*this);
    const Scores scores = validate();
    pace_->add_validation(seconds_since(begin));
    if (!std::isfinite(scores.loss))
      return Error{ErrorKind::refused, fmt::format("the validation loss of epoch {} is no number; choose a lower learning_rate than {}",
                                                   epoch.epoch, recipe().learning_rate)};
    epoch.validation_loss = scores.loss;
    if (setup_.objective->counts_right()) epoch.validation_top1 = scores.top1;
    if (record_.best_epoch == 0 || scores.loss < record_.best_loss) {
      record_.best_epoch = epoch.epoch;
      record_.best_loss = scores.loss;
      if (recipe().patience > 0) {
        best_parameters_.copy_(state_.parameters);
        best_statistics_.copy_(state_.statistics);
      }
    }
    record_.stopped = recipe().patience > 0 && epoch.epoch - record_.best_epoch >= recipe().patience;
  } else {
    record_.best_epoch = epoch.epoch;
  }
  Json event = to_json(epoch);
  event["event"] = "epoch";
  emit_(event);
  record_.epochs.push_back(epoch);
  return {};
}

Result<void> Run::save() {
  const auto begin = Clock::now();
  record_.seconds = elapsed();
  SIGHTLINE_CHECK(write_checkpoint(setup_.spec.checkpoint, record_, tensors()));
  saved_ = Clock::now();
  save_cost_ = seconds_since(begin);
  return {};
}

Result<void> Run::save_course() { return write_file(course_path(), json_text(to_json(record_.course), 1) + "\n"); }

void Run::announce_course() {
  emit_({{"event", "schedule"}, {"steps", record_.course.total_at(record_.step)}, {"steps_per_epoch", record_.course.steps_per_epoch}});
}

void Run::announce_progress() {
  announced_ = Clock::now();
  emit_({{"event", "progress"},
         {"step", record_.step},
         {"steps", record_.course.total_at(record_.step)},
         {"epoch", static_cast<std::int64_t>(record_.epochs.size()) + 1},
         {"loss", record_.seen > 0 ? Json(record_.loss_sum / static_cast<double>(record_.seen)) : Json(nullptr)},
         {"images_per_second", pace_->images_per_second()},
         {"seconds_left", pace_->seconds_left(record_.course, record_.step)}});
}

Result<void> Run::finish() {
  // With patience the best epoch is what was waited for; without, the end of the schedule is.
  {
    const torch::NoGradGuard no_gradient;
    std::optional<Stand> averaged;
    if (recipe().patience > 0) {
      state_.parameters.copy_(best_parameters_);
      state_.statistics.copy_(best_statistics_);
    } else {
      averaged.emplace(*this);
    }
    SIGHTLINE_TRY(const std::string model, graph::serialize_onnx(executor_.to_graph()));
    Course course = record_.course;
    course.open = false;
    const Json history = {{"schedule", to_json(course)},
                          {"steps", record_.step},
                          {"stopped_early", record_.stopped},
                          {"best_epoch", record_.best_epoch},
                          {"epochs", to_json(record_.epochs)}};
    SIGHTLINE_CHECK(write_file(setup_.spec.output + "/history.json", json_text(history, 1) + "\n"));
    SIGHTLINE_CHECK(write_file(setup_.spec.output + "/model.onnx", model));
  }
  const double seconds = elapsed();
  if (pace_->images_per_second() > 0) {  // else nothing was left to do, and the record of when it was done stays
    const Json timing = {
        {"seconds", seconds}, {"steps", record_.step}, {"images_per_second", pace_->images_per_second()}, {"threads", setup_.threads}};
    SIGHTLINE_CHECK(write_file(setup_.spec.output + "/timing.json", json_text(timing, 1) + "\n"));
  }
  emit_({{"event", "done"}, {"seconds", seconds}, {"steps", record_.step}, {"best_epoch", record_.best_epoch}});
  return {};
}

// Once per process, before LibTorch starts its threads, which inherit the floating-point mode.
void prepare_engine(int threads) {
  static std::once_flag once;
  std::call_once(once, [] {
    keep_memory();
    at::globalContext().setFlushDenormal(true);
    at::set_num_interop_threads(1);
    at::globalContext().setDeterministicAlgorithms(true, false);
  });
  at::set_num_threads(threads);
}

}  // namespace

Result<void> train(const modules::TrainingSpec& spec, const EventSink& emit) {
  const auto begin = Clock::now();
  SIGHTLINE_TRY(Setup setup, set_up(spec));
  prepare_engine(setup.threads);
  try {
    SIGHTLINE_TRY(const std::unique_ptr<Run> run, Run::prepare(std::move(setup), emit, begin));
    return run->go();
  } catch (const c10::Error& error) {
    // LibTorch's own words, without its stack.
    return Error{ErrorKind::internal, fmt::format("LibTorch: {}", error.what_without_backtrace())};
  }
}

}  // namespace sightline::training
