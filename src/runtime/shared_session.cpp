#include "runtime/shared_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/machine.h"
#include "base/text.h"
#include "runtime/guarded.h"
#include "runtime/head_bank.h"
#include "runtime/merged_graph.h"
#include "runtime/signature.h"

namespace sightline::runtime {
namespace {

// A part that can be run. Runs keep it while they need it, whatever happens to the models.
struct Loaded {
  Session session;
  std::vector<std::string> inputs, outputs;  // values
};

using Values = std::unordered_map<std::string, Tensor>;

struct Model {
  std::vector<graph::ValueInfo> inputs, outputs;
  std::vector<std::string> input_values, output_values;
  struct Head {
    std::string features;
    HeadBank* bank = nullptr;
    HeadBank::HeadId id = 0;
  };
  std::map<std::string, Head> heads;  // by output value
  std::vector<const Head*> head_of;   // of each output; null where it is none
  std::map<std::string, Tensor> constants;
  std::size_t pieces = 0;  // outputs of its graph; each is a model of the merged graph
};

std::string piece(const std::string& model, std::size_t output) { return fmt::format("{} {}", output, model); }

}  // namespace

struct SharedSession::State {
  Options options;
  std::mutex changing;  // one model at a time is added or removed; held while its parts are planned

  mutable std::mutex mutex;  // of what follows, for moments
  std::unordered_map<std::string, Model> models;
  MergedGraph merged;  // changes under both
  std::map<PartId, std::shared_ptr<Loaded>> loaded;
  std::map<std::string, HeadBank> banks;  // by the features that they read

  // What a run has to do, gathered under the lock and done without it. The same models are often asked for again: it is kept until a model
  // comes or goes, or others are asked for.
  struct Task {
    std::vector<Wanted> wanted;
    struct Given {
      std::string model;  // the first that wants its inputs so
      std::vector<graph::ValueInfo> inputs;
      std::vector<std::string> values;
    };
    std::vector<Given> given;
    std::vector<std::shared_ptr<Loaded>> parts;  // in an order in which they can be run
    struct Heads {
      std::vector<HeadBank::Place> places;
      std::vector<std::pair<std::size_t, std::size_t>> answers;  // of each place: which model, which output
    };
    std::map<std::string, Heads> heads;  // by features
    struct Direct {
      std::size_t model = 0, output = 0;
      std::string value;
    };
    std::vector<Direct> direct;                // outputs that are values
    std::vector<std::vector<Tensor>> answers;  // as many as there will be; those that are constants are there
  };
  mutable std::shared_ptr<const Task> last;

  Error no_such_model(const std::string& name) const {
    std::vector<std::string> names;
    names.reserve(models.size());
    for (const auto& [each, model] : models) names.push_back(each);
    std::ranges::sort(names);
    return {ErrorKind::not_found, fmt::format("there is no model \"{}\" in this session{}", name, did_you_mean(name, names))};
  }

  Result<std::shared_ptr<Loaded>> load(const Part& part) const {
    SIGHTLINE_TRY(Session session, Session::create(part.graph, options));
    auto result = std::make_shared<Loaded>(Loaded{std::move(session), {}, {}});
    for (const graph::ValueInfo& input : part.graph.inputs) result->inputs.push_back(input.name);
    for (const graph::ValueInfo& output : part.graph.outputs) result->outputs.push_back(output.name);
    return result;
  }

  Result<void> add(const std::string& name, const graph::Graph& graph) {
    const auto taken = [&]() -> Result<void> {
      const std::lock_guard lock(mutex);
      if (!models.contains(name)) return {};
      return Error{ErrorKind::conflict, fmt::format("there is a model \"{}\" in this session already; remove it first", name)};
    };
    SIGHTLINE_CHECK(taken());  // before the work
    SIGHTLINE_TRY(Canonical canonical, canonical_of(graph));
    const std::lock_guard one_at_a_time(changing);
    SIGHTLINE_CHECK(taken());
    // Output by output: models are cut where their outputs part as well, so that each can be had alone.
    MergedGraph after = merged;
    bool folded = false;
    Model model{canonical.inputs, canonical.outputs, canonical.input_values, canonical.output_values, {}, {}, canonical.constants, 0};
    for (const graph::ValueInfo& output : std::vector(canonical.graph.outputs)) {
      auto addition = after.known(with_output(canonical, output.name));
      if (!addition) {
        if (!folded) SIGHTLINE_CHECK(fold(canonical));
        folded = true;
        SIGHTLINE_TRY(addition, after.plan(with_output(canonical, output.name)));
      }
      after.add(piece(name, model.pieces++), *std::move(addition));
    }
    std::map<PartId, std::shared_ptr<Loaded>> made;
    for (const auto& [id, part] : after.parts()) {
      if (merged.parts().contains(id)) continue;
      SIGHTLINE_TRY(made[id], load(*part));
    }
    std::vector<std::shared_ptr<Loaded>> old;  // ends after the lock, unless it runs still
    std::shared_ptr<const Task> outdated;      // likewise
    const std::lock_guard lock(mutex);
    outdated = std::move(last);
    for (const auto& [value, head] : canonical.heads) {
      HeadBank& bank = banks.try_emplace(head.features, head.weight.dim(1)).first->second;
      model.heads[value] = {head.features, &bank, bank.add(head)};
    }
    for (const std::string& value : model.output_values) {
      const auto head = model.heads.find(value);
      model.head_of.push_back(head == model.heads.end() ? nullptr : &head->second);
    }
    for (const auto& [id, part] : merged.parts())
      if (!after.parts().contains(id)) old.push_back(take_out(id));
    for (auto& [id, part] : made) loaded[id] = std::move(part);
    merged = std::move(after);
    models.emplace(name, std::move(model));
    return {};
  }

  std::shared_ptr<Loaded> take_out(PartId id) {
    const auto found = loaded.find(id);
    std::shared_ptr<Loaded> part = std::move(found->second);
    loaded.erase(found);
    return part;
  }

  Result<void> remove(const std::string& name) {
    const std::lock_guard one_at_a_time(changing);
    std::vector<std::shared_ptr<Loaded>> old;
    std::shared_ptr<const Task> outdated;
    const std::lock_guard lock(mutex);
    const auto found = models.find(name);
    if (found == models.end()) return no_such_model(name);
    outdated = std::move(last);
    for (const auto& [value, head] : found->second.heads) {
      const auto bank = banks.find(head.features);
      bank->second.remove(head.id);
      if (bank->second.empty()) banks.erase(bank);
    }
    for (std::size_t i = 0; i < found->second.pieces; ++i)
      for (const PartId id : merged.remove(piece(name, i))) old.push_back(take_out(id));
    models.erase(found);
    return {};
  }

  // The part that makes a value, after all that it needs.
  void need(const std::string& value, std::set<PartId>& seen, Task& task) const {
    const PartId id = merged.maker_of(value);
    if (id == 0 || !seen.insert(id).second) return;
    const std::shared_ptr<Loaded>& part = loaded.at(id);
    for (const std::string& input : part->inputs) need(input, seen, task);
    task.parts.push_back(part);
  }

  Result<std::shared_ptr<const Task>> task_of(std::span<const Wanted> wanted) const {
    std::shared_ptr<const Task> outdated;
    const std::lock_guard lock(mutex);
    if (last != nullptr && std::ranges::equal(last->wanted, wanted)) return last;
    const auto made = std::make_shared<Task>();
    Task& task = *made;
    task.wanted.assign(wanted.begin(), wanted.end());
    std::set<PartId> seen;
    // Many models in a row have their heads in one bank.
    const HeadBank* bank = nullptr;
    Task::Heads* heads = nullptr;
    for (std::size_t m = 0; m < wanted.size(); ++m) {
      const auto found = models.find(wanted[m].model);
      if (found == models.end()) return no_such_model(wanted[m].model);
      const Model& model = found->second;
      if (task.given.empty() || !same_inputs(task.given.back().inputs, model.inputs))
        task.given.push_back({wanted[m].model, model.inputs, model.input_values});
      const std::vector<std::size_t>& some = wanted[m].outputs;  // none: all
      task.answers.emplace_back(some.empty() ? model.outputs.size() : some.size());
      for (std::size_t o = 0; o < task.answers.back().size(); ++o) {
        const std::size_t which = some.empty() ? o : some[o];
        if (which >= model.outputs.size())
          return Error{ErrorKind::usage, fmt::format("model \"{}\" has {}, there is none with number {}", wanted[m].model,
                                                     plural(model.outputs.size(), "output"), which)};
        const std::string& value = model.output_values[which];
        if (const Model::Head* head = model.head_of[which]; head != nullptr) {
          if (head->bank != bank) heads = &task.heads[head->features];
          bank = head->bank;
          heads->places.push_back(bank->find(head->id));
          heads->answers.emplace_back(m, o);
          if (heads->places.size() == 1) need(head->features, seen, task);
        } else if (const auto constant = model.constants.find(value); constant != model.constants.end()) {
          task.answers[m][o] = constant->second;
        } else {
          need(value, seen, task);
          task.direct.push_back({m, o, value});
        }
      }
    }
    outdated = std::exchange(last, made);
    return last;
  }

  static bool same_inputs(const std::vector<graph::ValueInfo>& a, const std::vector<graph::ValueInfo>& b) {
    return std::ranges::equal(
        a, b, [](const graph::ValueInfo& x, const graph::ValueInfo& y) { return x.dtype == y.dtype && x.shape == y.shape; });
  }

  Result<std::vector<std::vector<Tensor>>> run(std::span<const Tensor> given, std::span<const Wanted> wanted) const {
    SIGHTLINE_TRY(const std::shared_ptr<const Task> task, task_of(wanted));
    Values values;
    for (const Task::Given& inputs : task->given) {
      if (const auto batch = batch_of(inputs.inputs, given); !batch.ok())
        return batch.error().in(fmt::format("model \"{}\"", inputs.model));
      for (std::size_t i = 0; i < given.size(); ++i) values[inputs.values[i]] = given[i];
    }
    for (const auto& part : task->parts) {
      std::vector<Tensor> inputs;
      for (const std::string& input : part->inputs) inputs.push_back(values.at(input));
      SIGHTLINE_TRY(std::vector<Tensor> results, part->session.run(inputs));
      for (std::size_t i = 0; i < results.size(); ++i) values[part->outputs[i]] = std::move(results[i]);
    }
    std::vector<std::vector<Tensor>> answers = task->answers;
    const int threads = options.threads > 0 ? options.threads : usable_cores();
    for (const auto& [features, heads] : task->heads) {
      std::vector<Tensor> results = HeadBank::evaluate(values.at(features), heads.places, threads);
      for (std::size_t i = 0; i < results.size(); ++i) answers[heads.answers[i].first][heads.answers[i].second] = std::move(results[i]);
    }
    for (const Task::Direct& direct : task->direct) answers[direct.model][direct.output] = values.at(direct.value);
    return answers;
  }
};

SharedSession::SharedSession(const Options& options) : state_(std::make_unique<State>()) { state_->options = options; }
SharedSession::~SharedSession() = default;
SharedSession::SharedSession(SharedSession&&) noexcept = default;
SharedSession& SharedSession::operator=(SharedSession&&) noexcept = default;

Result<void> SharedSession::add(const std::string& name, const graph::Graph& graph) {
  return guarded<void>("planning", [&] { return state_->add(name, graph); });
}
Result<void> SharedSession::remove(const std::string& name) { return state_->remove(name); }

std::vector<std::string> SharedSession::models() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, model] : state_->models) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

Result<std::vector<graph::ValueInfo>> SharedSession::inputs(const std::string& name) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->models.find(name);
  if (found == state_->models.end()) return state_->no_such_model(name);
  return found->second.inputs;
}

Result<std::vector<graph::ValueInfo>> SharedSession::outputs(const std::string& name) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->models.find(name);
  if (found == state_->models.end()) return state_->no_such_model(name);
  return found->second.outputs;
}

Result<std::vector<std::vector<Tensor>>> SharedSession::run(std::span<const Tensor> inputs, std::span<const Wanted> wanted) const {
  return guarded<std::vector<std::vector<Tensor>>>("running", [&] { return state_->run(inputs, wanted); });
}

SharedSession::Size SharedSession::size() const {
  Size size;
  std::vector<std::shared_ptr<Loaded>> parts;
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [id, part] : state_->loaded) parts.push_back(part);
    for (const auto& [features, bank] : state_->banks) size.heads += bank.bytes();
  }
  for (const auto& part : parts) {
    const Memory memory = part->session.memory();
    size.memory.weights += memory.weights;
    size.memory.arena += memory.arena;
  }
  size.parts = parts.size();
  return size;
}

}  // namespace sightline::runtime
