// The greatest: ArgMax, ArgMin, Hardmax, TopK, NonMaxSuppression.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "graph/operators.h"
#include "runtime/plain.h"

namespace sightline::runtime {
namespace {

using graph::Node;

// Position of the greatest (or least) of `size` elements that lie `step` apart.
template <class T>
std::int64_t best_of(const T* x, std::int64_t size, std::int64_t step, bool greatest, bool last) {
  std::int64_t best = 0;
  for (std::int64_t i = 1; i < size; ++i) {
    const T a = x[i * step], b = x[best * step];
    if ((greatest ? a > b : a < b) || (last && a == b)) best = i;
  }
  return best;
}

// Corners in order, whatever the format.
struct Box {
  float top = 0, left = 0, bottom = 0, right = 0;
  float area() const { return (bottom - top) * (right - left); }
};

Box box_at(const float* numbers, bool centered) {
  if (centered) return {numbers[1] - numbers[3] / 2, numbers[0] - numbers[2] / 2, numbers[1] + numbers[3] / 2, numbers[0] + numbers[2] / 2};
  return {std::min(numbers[0], numbers[2]), std::min(numbers[1], numbers[3]), std::max(numbers[0], numbers[2]),
          std::max(numbers[1], numbers[3])};
}

float overlap(const Box& a, const Box& b) {
  const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top), width = std::min(a.right, b.right) - std::max(a.left, b.left);
  if (!(height > 0 && width > 0)) return 0;
  const float shared = height * width;
  return shared / (a.area() + b.area() - shared);
}

struct Suppression {
  std::int64_t images = 0, classes = 0, boxes = 0, most = 0;
  bool centered = false;

  // Rows (image, class, box); those that hold nothing are -1.
  void operator()(const float* corners, const float* scores, float most_overlap, const float* least_score, std::int64_t* rows) const {
    std::int64_t* const end = rows + images * classes * most * 3;
    std::vector<std::int64_t> order, kept;
    for (std::int64_t image = 0; image < images; ++image)
      for (std::int64_t which = 0; which < classes; ++which) {
        const float* score = scores + (image * classes + which) * boxes;
        order.clear();
        kept.clear();
        for (std::int64_t i = 0; i < boxes; ++i)
          if (!std::isnan(score[i]) && (least_score == nullptr || score[i] > *least_score)) order.push_back(i);
        std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) { return score[a] > score[b]; });
        const auto box = [&](std::int64_t i) { return box_at(corners + (image * boxes + i) * 4, centered); };
        for (std::int64_t i : order) {
          if (static_cast<std::int64_t>(kept.size()) == most) break;
          const Box candidate = box(i);
          if (std::ranges::any_of(kept, [&](std::int64_t k) { return overlap(candidate, box(k)) > most_overlap; })) continue;
          kept.push_back(i);
          for (std::int64_t value : {image, which, i}) *rows++ = value;
        }
      }
    std::fill(rows, end, -1);
  }
};

}  // namespace

Result<void> plan_arg(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", 0), shape.size()));
  const Split3 split = around(shape, static_cast<std::size_t>(axis));
  const bool greatest = node.op_type == "ArgMax", last = node.integer("select_last_index", 0) != 0;
  const bool done = with_number(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    add_plain(planner, node, [=](std::span<std::byte* const> at) {
      for (std::int64_t i = 0; i < split.outer * split.inner; ++i)
        write_as<std::int64_t>(at[1])[i] = best_of(read_as<T>(at[0]) + i / split.inner * split.size * split.inner + i % split.inner,
                                                   split.size, split.inner, greatest, last);
    });
  });
  return done ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

Result<void> plan_hardmax(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  const bool early = planner.opset() < 13;
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", early ? 1 : -1), shape.size()));
  Split3 split = around(shape, static_cast<std::size_t>(axis));
  // Before opset 13 everything from the axis on was one long row.
  if (early) split = {split.outer, split.size * split.inner, 1};
  const bool done = with_real(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    add_plain(planner, node, [=](std::span<std::byte* const> at) {
      std::fill_n(write_as<T>(at[1]), split.outer * split.size * split.inner, T{0});
      for (std::int64_t i = 0; i < split.outer * split.inner; ++i) {
        const std::int64_t begin = i / split.inner * split.size * split.inner + i % split.inner;
        write_as<T>(at[1])[begin + best_of(read_as<T>(at[0]) + begin, split.size, split.inner, true, false) * split.inner] = T{1};
      }
    });
  });
  return done ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

Result<void> plan_top_k(Planner& planner, const Node& node) {
  const Shape& shape = planner.shape_of(node.inputs[0]);
  SIGHTLINE_TRY(const std::int64_t axis, graph::axis_of(node, node.integer("axis", -1), shape.size()));
  const Split3 split = around(shape, static_cast<std::size_t>(axis));
  const std::string& sized = node.outputs[0].empty() ? node.outputs[1] : node.outputs[0];
  const std::int64_t k = planner.shape_of(sized)[static_cast<std::size_t>(axis)];
  const bool largest = node.integer("largest", 1) != 0;
  const std::size_t first = node.inputs.size(), outputs = node.outputs.size();
  const bool done = with_number(planner.dtype_of(node.inputs[0]), [&](auto number) {
    using T = decltype(number);
    add_plain(planner, node, [=](std::span<std::byte* const> at) {
      std::vector<std::int64_t> order(static_cast<std::size_t>(split.size));
      for (std::int64_t i = 0; i < split.outer * split.inner; ++i) {
        const T* x = read_as<T>(at[0]) + i / split.inner * split.size * split.inner + i % split.inner;
        std::iota(order.begin(), order.end(), 0);
        // Of equal elements the first comes first; NaN comes last, so that the order is one.
        std::ranges::partial_sort(order, order.begin() + k, [&](std::int64_t a, std::int64_t b) {
          const T p = x[a * split.inner], q = x[b * split.inner];
          const auto unknown = [](T value) { return std::isnan(static_cast<double>(value)); };
          if (unknown(p) || unknown(q)) return unknown(p) == unknown(q) ? a < b : unknown(q);
          return p == q ? a < b : largest ? p > q : p < q;
        });
        for (std::int64_t j = 0; j < k; ++j) {
          const std::int64_t place = (i / split.inner * k + j) * split.inner + i % split.inner, from = order[static_cast<std::size_t>(j)];
          if (at[first] != nullptr) write_as<T>(at[first])[place] = x[from * split.inner];
          if (outputs > 1 && at[first + 1] != nullptr) write_as<std::int64_t>(at[first + 1])[place] = from;
        }
      }
    });
  });
  return done ? Result<void>() : planner.unsupported(node, "not for its dtype");
}

Result<void> plan_non_max_suppression(Planner& planner, const Node& node) {
  const Shape &boxes = planner.shape_of(node.inputs[0]), &scores = planner.shape_of(node.inputs[1]);
  const std::int64_t rows = planner.shape_of(node.outputs[0])[0];
  const Suppression suppression{boxes[0], scores[1], boxes[1], rows / (boxes[0] * scores[1]), node.integer("center_point_box", 0) != 0};
  for (std::size_t i = 3; i < node.inputs.size(); ++i)
    if (Planner::has_input(node, i)) SIGHTLINE_CHECK(planner.expect_f32(node, node.inputs[i]));
  add_plain(planner, node, [suppression, inputs = node.inputs.size()](std::span<std::byte* const> at) {
    const auto number = [&](std::size_t i) { return i < inputs && at[i] != nullptr ? read_as<float>(at[i]) : nullptr; };
    const float* overlap_limit = number(3);
    suppression(read_as<float>(at[0]), read_as<float>(at[1]), overlap_limit != nullptr ? *overlap_limit : 0.0F, number(4),
                write_as<std::int64_t>(at[inputs]));
  });
  return {};
}

}  // namespace sightline::runtime
