// Several models in one session: what they compute alike is held once and evaluated once per input. Two models share a value when its
// Merkle digest is the same (operators, attributes, weights, all that it is computed from), wherever they were made; a frozen backbone
// with a thousand heads is one backbone and, where the heads are linear, one product for all heads that are asked for (head_bank.h).
//
//   SharedSession session;
//   session.add("shoes", shoes); session.add("bags", bags);
//   auto answers = session.run(images, {{"shoes"}, {"bags"}});
//
// Models are cut where they part, and a cut ends fusion: what is computed is the same, the last bits may differ from the model alone (heads
// are other products, too). Within 1e-5 of the output's scale; the same bits up to the cut where the same kernels run.
//
// Threads: everything may be called by any number of threads at the same time. Models are added and removed while others run; a run
// that has begun ends with the models that were there.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/session.h"

namespace sightline::runtime {

// A model, and which of its outputs, by their place; none: all.
struct Wanted {
  std::string model;
  std::vector<std::size_t> outputs;
  bool operator==(const Wanted&) const = default;
};

class SharedSession {
 public:
  explicit SharedSession(const Options& options = {});
  ~SharedSession();
  SharedSession(SharedSession&&) noexcept;
  SharedSession& operator=(SharedSession&&) noexcept;

  // Plans what is new. Parts that the model shares are planned again only when it leaves them at a place where none did before.
  // Errors: conflict when the name is taken; else as Session::create. Nothing has changed then.
  Result<void> add(const std::string& name, const graph::Graph& graph);
  // Frees what nobody else uses. Errors: not_found.
  Result<void> remove(const std::string& name);
  std::vector<std::string> models() const;  // sorted
  // Errors: not_found.
  Result<std::vector<graph::ValueInfo>> inputs(const std::string& name) const;
  Result<std::vector<graph::ValueInfo>> outputs(const std::string& name) const;

  // The same inputs for all models that are wanted, as for Session::run; gives the outputs of each, in the order of `wanted`. Computes
  // only what leads to them. Errors: not_found, usage.
  Result<std::vector<std::vector<Tensor>>> run(std::span<const Tensor> inputs, std::span<const Wanted> wanted) const;

  struct Size {
    Memory memory;
    std::size_t heads = 0;  // bytes of linear heads
    std::size_t parts = 0;  // planned one by one
  };
  Size size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sightline::runtime
