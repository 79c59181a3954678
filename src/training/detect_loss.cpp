#include "training/detect_loss.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sightline::training {
namespace {

using dataset::PackedObject;

constexpr double least_overlap = 0.01;
constexpr auto farthest = static_cast<double>(modules::box_bins - 1);  // strides

double overlap_of(const float* box, const PackedObject& object) {
  const double width = std::min<double>(box[2], object.right) - std::max<double>(box[0], object.left);
  const double height = std::min<double>(box[3], object.bottom) - std::max<double>(box[1], object.top);
  if (width <= 0 || height <= 0) return 0;
  const auto area = [](double left, double top, double right, double bottom) { return (right - left) * (bottom - top); };
  const double both = width * height;
  return both / (area(box[0], box[1], box[2], box[3]) + area(object.left, object.top, object.right, object.bottom) - both);
}

bool holds(const PackedObject& object, const modules::AnchorPoint& point) {
  return object.left < point.x && point.x < object.right && object.top < point.y && point.y < object.bottom;
}

bool within_reach(const PackedObject& object, const modules::AnchorPoint& point) {
  const float most = std::max({point.x - object.left, point.y - object.top, object.right - point.x, object.bottom - point.y});
  return point.stride >= static_cast<float>(modules::coarsest_stride) || static_cast<double>(most / point.stride) <= farthest;
}

// Calls body(point) for the points that the object holds.
template <class Body>
void each_held(const PointGrid& grid, const PackedObject& object, Body body) {
  for (const PointGrid::Level& level : grid.levels()) {
    const auto step = static_cast<float>(level.stride);
    const auto cells = [&](float low, float high, std::int64_t count) {
      return std::pair{std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(low / step - 0.5F))),
                       std::min<std::int64_t>(count - 1, static_cast<std::int64_t>(std::ceil(high / step - 0.5F)))};
    };
    const auto [left, right] = cells(object.left, object.right, level.width);
    const auto [top, bottom] = cells(object.top, object.bottom, level.height);
    for (std::int64_t y = top; y <= bottom; ++y)
      for (std::int64_t x = left; x <= right; ++x) {
        const std::int64_t point = level.first + y * level.width + x;
        if (holds(object, grid.points()[static_cast<std::size_t>(point)])) body(point);
      }
  }
}

std::int64_t finest_cell(const PointGrid& grid, const PackedObject& object) {
  const PointGrid::Level& level = grid.levels().front();
  const auto cell = [&](float low, float high, std::int64_t count) {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>((low + high) / 2 / static_cast<float>(level.stride)), 0, count - 1);
  };
  return level.first + cell(object.top, object.bottom, level.height) * level.width + cell(object.left, object.right, level.width);
}

struct Candidate {
  std::int64_t point = 0;
  double alignment = 0, overlap = 0;
};

// Which object a point answers for.
struct Taken {
  std::int64_t object = -1;
  double alignment = 0, overlap = 0;
};

class ImageAssignment {
 public:
  ImageAssignment(const PointGrid& grid, std::span<const PackedObject> objects, std::span<const float> scores, std::span<const float> boxes,
                  std::int64_t classes, const AssignOptions& options)
      : grid_(grid), objects_(objects), scores_(scores), boxes_(boxes), classes_(classes), options_(options) {}

  void run(std::int64_t image, Assignment& assignment) {
    taken_.assign(static_cast<std::size_t>(grid_.count()), {});
    for (std::size_t i = 0; i < objects_.size(); ++i)
      if (objects_[i].ignored == 0) take_best(static_cast<std::int64_t>(i));
    std::vector<double> best_alignment(objects_.size(), 0), best_overlap(objects_.size(), 0);
    for (const Taken& each : taken_) {
      if (each.object < 0) continue;
      const auto i = static_cast<std::size_t>(each.object);
      best_alignment[i] = std::max(best_alignment[i], each.alignment);
      best_overlap[i] = std::max(best_overlap[i], each.overlap);
    }
    const std::int64_t first = image * grid_.count();
    for (std::int64_t point = 0; point < grid_.count(); ++point) {
      const Taken& each = taken_[static_cast<std::size_t>(point)];
      if (each.object < 0) continue;
      const auto i = static_cast<std::size_t>(each.object);
      const PackedObject& object = objects_[i];
      assignment.rows.push_back(first + point);
      assignment.labels.push_back(object.label);
      assignment.scores.push_back(static_cast<float>(best_alignment[i] > 0 ? each.alignment / best_alignment[i] * best_overlap[i] : 0));
      assignment.boxes.insert(assignment.boxes.end(), {object.left, object.top, object.right, object.bottom});
    }
    for (const PackedObject& object : objects_) {
      if (object.ignored == 0) continue;
      each_held(grid_, object, [&](std::int64_t point) {
        const std::int64_t owner = taken_[static_cast<std::size_t>(point)].object;
        if (owner < 0 || objects_[static_cast<std::size_t>(owner)].label != object.label)
          assignment.unjudged.push_back((first + point) * classes_ + object.label);
      });
    }
  }

 private:
  Candidate candidate_at(const PackedObject& object, std::int64_t point) const {
    const double score = scores_[static_cast<std::size_t>(point * classes_ + object.label)];
    const double overlap = std::max(overlap_of(boxes_.data() + point * 4, object), least_overlap);
    return {point, std::pow(score, options_.score_power) * std::pow(overlap, options_.overlap_power), overlap};
  }

  void take_best(std::int64_t which) {
    const PackedObject& object = objects_[static_cast<std::size_t>(which)];
    candidates_.clear();
    each_held(grid_, object, [&](std::int64_t point) {
      if (within_reach(object, grid_.points()[static_cast<std::size_t>(point)])) candidates_.push_back(candidate_at(object, point));
    });
    if (candidates_.empty()) candidates_.push_back(candidate_at(object, finest_cell(grid_, object)));
    const std::size_t count = std::min(candidates_.size(), options_.most_points);
    std::ranges::partial_sort(
        candidates_, candidates_.begin() + static_cast<std::ptrdiff_t>(count),
        [](const Candidate& a, const Candidate& b) { return a.alignment != b.alignment ? a.alignment > b.alignment : a.point < b.point; });
    for (const Candidate& each : std::span(candidates_).first(count)) {
      Taken& taken = taken_[static_cast<std::size_t>(each.point)];
      if (taken.object < 0 || each.overlap > taken.overlap) taken = {which, each.alignment, each.overlap};
    }
  }

  const PointGrid& grid_;
  std::span<const PackedObject> objects_;
  std::span<const float> scores_, boxes_;
  std::int64_t classes_;
  const AssignOptions& options_;
  std::vector<Candidate> candidates_;
  std::vector<Taken> taken_;
};

// x log x, 0 at 0.
torch::Tensor entropy_term(const torch::Tensor& x) { return at::xlogy(x, x); }

torch::Tensor points_of(const PointGrid& grid) {  // P×3
  static_assert(sizeof(modules::AnchorPoint) == 3 * sizeof(float));
  return torch::from_blob(const_cast<modules::AnchorPoint*>(grid.points().data()), {grid.count(), 3}, torch::kFloat);
}

// Edges in pixels of distances f32 N×P×4.
torch::Tensor edges_of(const PointGrid& grid, const torch::Tensor& distances) {
  const torch::Tensor points = points_of(grid), centre = points.narrow(1, 0, 2), stride = points.narrow(1, 2, 1);
  return at::cat({centre - distances.narrow(2, 0, 2) * stride, centre + distances.narrow(2, 2, 2) * stride}, 2);
}

std::span<const float> values_of(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

torch::Tensor tensor_of(const std::vector<std::int64_t>& values) { return torch::tensor(values, torch::kLong); }

}  // namespace

PointGrid::PointGrid(std::int64_t height, std::int64_t width) : points_(modules::anchor_points(height, width)) {
  for (std::int64_t i = 0; i < count(); i += levels_.back().height * levels_.back().width) {
    const auto stride = static_cast<std::int64_t>(points_[static_cast<std::size_t>(i)].stride);
    levels_.push_back({stride, height / stride, width / stride, i});
  }
}

Assignment assign(const PointGrid& grid, std::span<const std::vector<PackedObject>> objects, std::span<const float> scores,
                  std::span<const float> boxes, std::int64_t classes, const AssignOptions& options) {
  Assignment assignment;
  const auto points = static_cast<std::size_t>(grid.count()), cells = points * static_cast<std::size_t>(classes);
  for (std::size_t image = 0; image < objects.size(); ++image)
    ImageAssignment(grid, objects[image], scores.subspan(image * cells, cells), boxes.subspan(image * points * 4, points * 4), classes,
                    options)
        .run(static_cast<std::int64_t>(image), assignment);
  return assignment;
}

torch::Tensor distances_of(const torch::Tensor& logits) {
  std::vector<std::int64_t> shape = logits.sizes().vec();
  shape.back() = 4;
  shape.push_back(modules::box_bins);
  return logits.reshape(shape).softmax(-1).matmul(torch::arange(modules::box_bins, logits.options()));
}

torch::Tensor box_loss(const torch::Tensor& predicted, const torch::Tensor& wanted) {
  constexpr double tiny = 1e-7;
  const auto side = [](const torch::Tensor& distances, std::int64_t i) { return distances.select(1, i); };
  const auto across = [&](const torch::Tensor& d) { return side(d, 0) + side(d, 2); };
  const auto down = [&](const torch::Tensor& d) { return side(d, 1) + side(d, 3); };
  const torch::Tensor inner = at::minimum(predicted, wanted), outer = at::maximum(predicted, wanted);
  const torch::Tensor both = across(inner).clamp_min(0) * down(inner).clamp_min(0);
  const torch::Tensor overlap = both / (across(predicted) * down(predicted) + across(wanted) * down(wanted) - both + tiny);
  const torch::Tensor away = ((side(predicted, 2) - side(predicted, 0) - side(wanted, 2) + side(wanted, 0)).square() +
                              (side(predicted, 3) - side(predicted, 1) - side(wanted, 3) + side(wanted, 1)).square()) /
                             4;
  const torch::Tensor diagonal = across(outer).square() + down(outer).square() + tiny;
  const torch::Tensor shape =
      4 / (std::numbers::pi * std::numbers::pi) *
      (at::atan(across(wanted) / (down(wanted) + tiny)) - at::atan(across(predicted) / (down(predicted) + tiny))).square();
  const torch::Tensor weight = (shape / (1 - overlap + shape + tiny)).detach();
  return 1 - overlap + away / diagonal + weight * shape;
}

torch::Tensor distribution_loss(const torch::Tensor& logits, const torch::Tensor& wanted) {
  const torch::Tensor likely = logits.reshape({logits.size(0), 4, modules::box_bins}).log_softmax(2);
  const torch::Tensor place = wanted.clamp(0, farthest);
  const torch::Tensor below = place.floor().clamp_max(farthest - 1), share = place - below;  // of the bin above
  const torch::Tensor index = below.to(torch::kLong).unsqueeze(2);
  const torch::Tensor low = likely.gather(2, index).squeeze(2), high = likely.gather(2, index + 1).squeeze(2);
  const torch::Tensor least = entropy_term(share) + entropy_term(1 - share);
  return (least - share * high - (1 - share) * low).mean(1);
}

torch::Tensor score_loss(const torch::Tensor& logits, const torch::Tensor& targets, const torch::Tensor& judged) {
  const torch::Tensor least = entropy_term(targets) + entropy_term(1 - targets);
  return at::binary_cross_entropy_with_logits(logits, targets, judged, {}, at::Reduction::Sum) + (least * judged).sum();
}

torch::Tensor detection_loss(const PointGrid& grid, const torch::Tensor& class_logits, const torch::Tensor& box_logits,
                             std::span<const std::vector<PackedObject>> objects) {
  const std::int64_t classes = class_logits.size(2);
  torch::Tensor targets, judged;
  Assignment assignment;
  {
    const torch::NoGradGuard no_gradient;
    const torch::Tensor scores = class_logits.sigmoid().contiguous(), boxes = edges_of(grid, distances_of(box_logits)).contiguous();
    assignment = assign(grid, objects, values_of(scores), values_of(boxes), classes);
    targets = torch::zeros_like(scores);
    judged = torch::ones_like(scores);
    float* target = targets.data_ptr<float>();
    for (std::size_t i = 0; i < assignment.rows.size(); ++i)
      target[assignment.rows[i] * classes + assignment.labels[i]] = assignment.scores[i];
    for (const std::int64_t cell : assignment.unjudged) judged.data_ptr<float>()[cell] = 0;
  }
  double total = 0;
  for (const float score : assignment.scores) total += static_cast<double>(score);
  total = std::max(total, 1.0);
  torch::Tensor loss = score_weight * score_loss(class_logits, targets, judged);
  if (!assignment.rows.empty()) {
    const torch::Tensor rows = tensor_of(assignment.rows), weights = torch::tensor(assignment.scores);
    const torch::Tensor logits = box_logits.reshape({-1, 4 * modules::box_bins}).index_select(0, rows);
    const torch::Tensor points = points_of(grid).index_select(0, rows.remainder(grid.count()));
    const torch::Tensor centre = points.narrow(1, 0, 2), stride = points.narrow(1, 2, 1);
    const torch::Tensor boxes = torch::tensor(assignment.boxes).view({-1, 4});
    const torch::Tensor wanted = at::cat({centre - boxes.narrow(1, 0, 2), boxes.narrow(1, 2, 2) - centre}, 1) / stride;
    const torch::Tensor each =
        box_weight * box_loss(distances_of(logits), wanted) + distribution_weight * distribution_loss(logits, wanted);
    loss = loss + (each * weights).sum();
  }
  return loss / total;
}

}  // namespace sightline::training
