// Resize and Upsample, axis by axis: nearest neighbours are an index, linear and cubic interpolation a product with a matrix of shares.
#include <algorithm>
#include <stdexcept>

#include "autograd/operators.h"
#include "graph/operators.h"

namespace sightline::autograd {
namespace {

struct Axis {
  std::int64_t axis = 0;
  torch::Tensor index;   // nearest: to
  torch::Tensor shares;  // otherwise: from × to, f64
};

Axis axis_of(std::int64_t at, const graph::Taps& taps, std::int64_t from, std::int64_t to) {
  Axis axis{.axis = at, .index = {}, .shares = {}};
  if (taps.count == 1) {
    axis.index = torch::tensor(taps.from, torch::kLong);
    return axis;
  }
  axis.shares = torch::zeros({from, to}, torch::kDouble);
  auto shares = axis.shares.accessor<double, 2>();
  for (std::size_t i = 0; i < taps.from.size(); ++i)
    shares[taps.from[i]][static_cast<std::int64_t>(i / taps.count)] += static_cast<double>(taps.share[i]);
  return axis;
}

// Where the node reads from inputs of this shape.
struct Stretched {
  graph::Node node;
  graph::Graph constants;  // no more of the graph than the node's
  Result<std::vector<Axis>> axes(const graph::Constants& known, const Shape& from, const Shape& to) const {
    SIGHTLINE_TRY(const std::vector<graph::Taps> taps, graph::resize_taps(known, constants.opset, node, from, to));
    std::vector<Axis> axes;
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (std::find(taps[i].outside.begin(), taps[i].outside.end(), true) != taps[i].outside.end())
        return Error{ErrorKind::unsupported, "a region that reaches over the edge"};
      bool same = from[i] == to[i];
      for (std::size_t k = 0; same && k < taps[i].from.size(); ++k) {
        const bool own = taps[i].from[k] == static_cast<std::int64_t>(k / taps[i].count);
        same = taps[i].share[k] == (own && taps[i].share[k] != 0 ? 1.0F : 0.0F);
      }
      if (!same) axes.push_back(axis_of(static_cast<std::int64_t>(i), taps[i], from[i], to[i]));
    }
    return axes;
  }
};

torch::Tensor stretched(torch::Tensor value, const std::vector<Axis>& axes) {
  for (const Axis& axis : axes) {
    if (axis.index.defined()) {
      value = at::index_select(value, axis.axis, axis.index);
    } else {
      value = at::matmul(value.movedim(axis.axis, -1), axis.shares.to(value.scalar_type())).movedim(-1, axis.axis);
    }
  }
  return value;
}

}  // namespace

Result<Kernel> compile_resize(const Site& site) {
  const auto shape_of = [&](const std::string& value) -> const Shape* {
    const auto found = site.values->find(value);
    return found == site.values->end() ? nullptr : &found->second.shape;
  };
  const Shape* from = shape_of(site.node.inputs[0]);
  const Shape* to = shape_of(site.node.outputs[0]);
  if (from == nullptr || to == nullptr || from->size() != to->size()) return site.unsupported("an input of unknown shape");
  for (std::size_t i = 0; i < from->size(); ++i)
    if ((*from)[i] < 0 && ((*to)[i] >= 0 || i > 0)) return site.unsupported("a free axis beside the batch");
  Stretched how{.node = site.node, .constants = {}};
  how.constants.opset = site.graph.opset;
  for (const std::string& input : site.node.inputs)
    if (const auto found = site.graph.initializers.find(input); found != site.graph.initializers.end())
      how.constants.initializers.insert(*found);
  auto axes = how.axes(graph::Constants(site.graph, site.values), *from, *to);
  if (!axes.ok()) return axes.error().kind == ErrorKind::unsupported ? site.unsupported(axes.error().message) : axes.error();
  const auto x = static_cast<std::size_t>(site.in(0));
  const auto y = static_cast<std::size_t>(site.out());
  return Kernel([x, y, how = std::move(how), usual = *std::move(axes), from = *from, to = *to](Frame& frame) {
    const torch::Tensor& value = frame.slots[x];
    // A net of convolutions may be given pictures of another size than its graph states: both sides keep their proportion then.
    Shape own = from, wanted = to;
    for (std::size_t i = 1; i < own.size(); ++i) {
      own[i] = value.size(static_cast<std::int64_t>(i));
      wanted[i] = own[i] * to[i] / from[i];
    }
    if (own == from) {
      frame.slots[y] = stretched(value, usual);
      return;
    }
    const auto other = how.axes(graph::Constants(how.constants, nullptr), own, wanted);
    if (!other.ok()) throw std::runtime_error(other.error().message);
    frame.slots[y] = stretched(value, *other);
  });
}

}  // namespace sightline::autograd
