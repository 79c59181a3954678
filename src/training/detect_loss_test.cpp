#include "training/detect_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/random.h"

namespace sightline::training {
namespace {

using dataset::PackedObject;
using Objects = std::vector<std::vector<PackedObject>>;

double overlap(const std::array<double, 4>& a, const std::array<double, 4>& b) {
  const double width = std::min(a[2], b[2]) - std::max(a[0], b[0]), height = std::min(a[3], b[3]) - std::max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  return width * height / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height);
}

// What a batch of predictions looks like.
struct Predicted {
  std::vector<float> scores, boxes;
};
Predicted random_predictions(const PointGrid& grid, std::int64_t images, std::int64_t classes, Random& random) {
  Predicted predicted;
  for (std::int64_t i = 0; i < images * grid.count(); ++i) {
    for (std::int64_t k = 0; k < classes; ++k) predicted.scores.push_back(static_cast<float>(random.uniform(0.001, 0.9)));
    const modules::AnchorPoint& point = grid.points()[static_cast<std::size_t>(i % grid.count())];
    const auto reach = [&] { return static_cast<float>(random.uniform(0, 6)) * point.stride; };
    for (const float edge : {point.x - reach(), point.y - reach(), point.x + reach(), point.y + reach()}) predicted.boxes.push_back(edge);
  }
  return predicted;
}
Objects random_objects(std::int64_t images, int most, std::int64_t classes, float height, float width, Random& random) {
  Objects objects(static_cast<std::size_t>(images));
  for (auto& list : objects)
    for (auto left = random.below(static_cast<std::uint64_t>(most) + 1); left > 0; --left) {
      const auto x = static_cast<float>(random.uniform(0, 0.8)) * width, y = static_cast<float>(random.uniform(0, 0.8)) * height;
      const auto w = static_cast<float>(random.uniform(1, 60)), h = static_cast<float>(random.uniform(1, 60));
      list.push_back({static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes))), x, y, std::min(x + w, width),
                      std::min(y + h, height), random.uniform() < 0.2 ? 1U : 0U});
    }
  return objects;
}

// The contract of assign(), word by word, over every point.
Assignment naive(const PointGrid& grid, const Objects& objects, const Predicted& predicted, std::int64_t classes,
                 const AssignOptions& options) {
  Assignment assignment;
  const std::int64_t count = grid.count();
  for (std::size_t image = 0; image < objects.size(); ++image) {
    const std::int64_t first = static_cast<std::int64_t>(image) * count;
    const auto& list = objects[image];
    const auto box_of = [](const PackedObject& object) {
      return std::array<double, 4>{object.left, object.top, object.right, object.bottom};
    };
    std::vector<std::vector<double>> alignment(list.size(), std::vector<double>(static_cast<std::size_t>(count), 0));
    auto overlaps = alignment;
    std::vector<std::vector<bool>> wants(list.size(), std::vector<bool>(static_cast<std::size_t>(count), false));
    const auto inside = [&](const PackedObject& object, std::int64_t p) {
      const auto& point = grid.points()[static_cast<std::size_t>(p)];
      return point.x > object.left && point.x < object.right && point.y > object.top && point.y < object.bottom;
    };
    for (std::size_t i = 0; i < list.size(); ++i) {
      std::vector<std::int64_t> candidates;
      for (std::int64_t p = 0; p < count; ++p) {
        const auto cell = static_cast<std::size_t>(first + p);
        const std::array<double, 4> box{predicted.boxes[cell * 4], predicted.boxes[cell * 4 + 1], predicted.boxes[cell * 4 + 2],
                                        predicted.boxes[cell * 4 + 3]};
        const auto q = static_cast<std::size_t>(p);
        overlaps[i][q] = std::max(0.01, overlap(box, box_of(list[i])));
        const double score = predicted.scores[cell * static_cast<std::size_t>(classes) + static_cast<std::size_t>(list[i].label)];
        alignment[i][q] = std::pow(score, options.score_power) * std::pow(overlaps[i][q], options.overlap_power);
        const auto& point = grid.points()[q];
        const double reach = std::max({point.x - list[i].left, point.y - list[i].top, list[i].right - point.x, list[i].bottom - point.y});
        if (list[i].ignored == 0 && inside(list[i], p) && (point.stride == 32 || reach <= 15 * point.stride)) candidates.push_back(p);
      }
      if (candidates.empty() && list[i].ignored == 0) {
        std::int64_t nearest = 0;
        for (std::int64_t p = 0; p < count && grid.points()[static_cast<std::size_t>(p)].stride == 8; ++p) {
          const auto& point = grid.points()[static_cast<std::size_t>(p)];
          const double x = (list[i].left + list[i].right) / 2, y = (list[i].top + list[i].bottom) / 2;
          if (x >= point.x - 4 && x < point.x + 4 && y >= point.y - 4 && y < point.y + 4) nearest = p;
        }
        candidates = {nearest};
      }
      std::ranges::stable_sort(candidates, [&](std::int64_t a, std::int64_t b) {
        return alignment[i][static_cast<std::size_t>(a)] > alignment[i][static_cast<std::size_t>(b)];
      });
      candidates.resize(std::min(candidates.size(), options.most_points));
      for (const std::int64_t p : candidates) wants[i][static_cast<std::size_t>(p)] = true;
    }
    std::vector<std::int64_t> owner(static_cast<std::size_t>(count), -1);
    for (std::size_t p = 0; p < owner.size(); ++p)
      for (std::size_t i = 0; i < list.size(); ++i)
        if (wants[i][p] && (owner[p] < 0 || overlaps[i][p] > overlaps[static_cast<std::size_t>(owner[p])][p]))
          owner[p] = static_cast<std::int64_t>(i);
    for (std::size_t p = 0; p < owner.size(); ++p) {
      if (owner[p] < 0) continue;
      const auto i = static_cast<std::size_t>(owner[p]);
      double best_alignment = 0, best_overlap = 0;
      for (std::size_t q = 0; q < owner.size(); ++q) {
        if (owner[q] != owner[p]) continue;
        best_alignment = std::max(best_alignment, alignment[i][q]);
        best_overlap = std::max(best_overlap, overlaps[i][q]);
      }
      assignment.rows.push_back(first + static_cast<std::int64_t>(p));
      assignment.labels.push_back(list[i].label);
      assignment.scores.push_back(static_cast<float>(alignment[i][p] / best_alignment * best_overlap));
      assignment.boxes.insert(assignment.boxes.end(), {list[i].left, list[i].top, list[i].right, list[i].bottom});
    }
    for (const PackedObject& object : list)
      for (std::int64_t p = 0; p < count; ++p) {
        const std::int64_t who = owner[static_cast<std::size_t>(p)];
        const bool answers = who >= 0 && list[static_cast<std::size_t>(who)].label == object.label;
        if (object.ignored != 0 && inside(object, p) && !answers) assignment.unjudged.push_back((first + p) * classes + object.label);
      }
  }
  std::ranges::sort(assignment.unjudged);
  return assignment;
}

TEST(Assign, IsWhatItsContractSays) {
  const PointGrid grid(96, 128);
  EXPECT_EQ(grid.count(), 12 * 16 + 6 * 8 + 3 * 4);
  ASSERT_EQ(grid.levels().size(), 3U);
  EXPECT_EQ(grid.levels()[2].first, 12 * 16 + 6 * 8);
  Random random(4);
  std::size_t rows = 0, unjudged = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const Predicted predicted = random_predictions(grid, 3, 4, random);
    const Objects objects = random_objects(3, 12, 4, 96, 128, random);
    AssignOptions options;
    options.most_points = trial % 2 == 0 ? 10 : 4;
    options.score_power = trial % 3 == 0 ? 0.5 : 1;
    Assignment found = assign(grid, objects, predicted.scores, predicted.boxes, 4, options);
    const Assignment wanted = naive(grid, objects, predicted, 4, options);
    std::ranges::sort(found.unjudged);
    ASSERT_EQ(found.rows, wanted.rows);
    ASSERT_EQ(found.labels, wanted.labels);
    ASSERT_EQ(found.boxes, wanted.boxes);
    ASSERT_EQ(found.unjudged, wanted.unjudged);
    for (std::size_t i = 0; i < found.scores.size(); ++i) ASSERT_NEAR(found.scores[i], wanted.scores[i], 1e-6);
    rows += found.rows.size();
    unjudged += found.unjudged.size();
  }
  EXPECT_GT(rows, 1000U);
  EXPECT_GT(unjudged, 1000U);
}

TEST(Assign, ByHand) {
  const PointGrid grid(32, 32);  // 16 points of stride 8, 4 of 16, 1 of 32
  const auto count = static_cast<std::size_t>(grid.count());
  Predicted predicted{std::vector<float>(count, 0.5F), std::vector<float>(count * 4, 0)};
  const auto put = [&](std::size_t point, std::array<float, 4> box) {
    std::ranges::copy(box, predicted.boxes.begin() + static_cast<std::ptrdiff_t>(point * 4));
  };
  // Points (4, 4) and (12, 4) lie in the object's box; the first one's box is right, the second one's half as wide.
  const Objects objects{{{0, 0, 0, 16, 8, 0}}};
  put(0, {0, 0, 16, 8});
  put(1, {8, 0, 16, 8});
  Assignment found = assign(grid, objects, predicted.scores, predicted.boxes, 1);
  EXPECT_EQ(found.rows, (std::vector<std::int64_t>{0, 1}));
  EXPECT_FLOAT_EQ(found.scores[0], 1);
  EXPECT_FLOAT_EQ(found.scores[1], 1.0F / 64);  // (1/2)^6
  // With the better score elsewhere the overlap still decides.
  predicted.scores[1] = 1;
  found = assign(grid, objects, predicted.scores, predicted.boxes, 1);
  EXPECT_FLOAT_EQ(found.scores[1], 2.0F / 64);
  // An object between the points gets the cell of its centre.
  const Objects tiny{{{0, 9, 9, 11, 11, 0}}};
  EXPECT_EQ(assign(grid, tiny, predicted.scores, predicted.boxes, 1).rows, (std::vector<std::int64_t>{5}));
  // An ignored one silences the points within it, and answers for none.
  const Objects ignored{{{0, 0, 0, 16, 8, 1}}};
  found = assign(grid, ignored, predicted.scores, predicted.boxes, 1);
  EXPECT_TRUE(found.rows.empty());
  EXPECT_EQ(found.unjudged, (std::vector<std::int64_t>{0, 1}));
  EXPECT_TRUE(assign(grid, Objects{{}}, predicted.scores, predicted.boxes, 1).rows.empty());
}

// What a net that says the target would say: the box that is decoded is the object's, to a hundredth of a pixel.
TEST(Encoding, IsUndoneByDecoding) {
  const PointGrid grid(320, 320);
  Random random(6);
  const Objects objects = random_objects(4, 40, 3, 320, 320, random);
  const Predicted predicted = random_predictions(grid, 4, 3, random);
  const Assignment assignment = assign(grid, objects, predicted.scores, predicted.boxes, 3);
  ASSERT_GT(assignment.rows.size(), 300U);
  int inside = 0;
  for (std::size_t i = 0; i < assignment.rows.size(); ++i) {
    const modules::AnchorPoint& point = grid.points()[static_cast<std::size_t>(assignment.rows[i] % grid.count())];
    const float* box = assignment.boxes.data() + 4 * i;
    const std::array<float, 4> distances{(point.x - box[0]) / point.stride, (point.y - box[1]) / point.stride,
                                         (box[2] - point.x) / point.stride, (box[3] - point.y) / point.stride};
    if (*std::ranges::min_element(distances) < 0) continue;  // an object that holds no point
    ++inside;
    torch::Tensor logits = torch::full({1, 64}, -60.0F);
    for (std::int64_t side = 0; side < 4; ++side) {
      const auto below = static_cast<std::int64_t>(distances[static_cast<std::size_t>(side)]);
      const float share = distances[static_cast<std::size_t>(side)] - static_cast<float>(below);
      logits[0][side * 16 + below] = std::log(std::max(1 - share, 1e-20F));
      if (share > 0) logits[0][side * 16 + below + 1] = std::log(share);
    }
    const torch::Tensor decoded = distances_of(logits);
    ASSERT_EQ(decoded.sizes(), (std::vector<std::int64_t>{1, 4}));
    EXPECT_NEAR(point.x - decoded[0][0].item<float>() * point.stride, box[0], 0.01);
    EXPECT_NEAR(point.y - decoded[0][1].item<float>() * point.stride, box[1], 0.01);
    EXPECT_NEAR(point.x + decoded[0][2].item<float>() * point.stride, box[2], 0.01);
    EXPECT_NEAR(point.y + decoded[0][3].item<float>() * point.stride, box[3], 0.01);
    const torch::Tensor wanted = torch::tensor(std::vector<float>(distances.begin(), distances.end())).view({1, 4});
    EXPECT_NEAR(distribution_loss(logits, wanted).item<float>(), 0, 1e-4);
    EXPECT_NEAR(box_loss(decoded, wanted).item<float>(), 0, 1e-4);
  }
  EXPECT_GT(inside, 300);
}

torch::Tensor row(std::initializer_list<double> values) { return torch::tensor(std::vector<double>(values), torch::kDouble).view({1, -1}); }

TEST(BoxLoss, ByHand) {
  const torch::Tensor square = row({1, 1, 1, 1});
  EXPECT_NEAR(box_loss(square, square).item<double>(), 0, 1e-6);
  EXPECT_NEAR(box_loss(row({2, 2, 2, 2}), square).item<double>(), 0.75, 1e-6);
  EXPECT_NEAR(box_loss(row({0, 1, 2, 1}), square).item<double>(), 1 - 1.0 / 3 + 1.0 / 13, 1e-6);
  const double shape = 4 / (std::numbers::pi * std::numbers::pi) * std::pow(std::atan(1.0) - std::atan(2.0), 2);
  EXPECT_NEAR(box_loss(row({2, 1, 2, 1}), square).item<double>(), 0.5 + shape * shape / (0.5 + shape), 1e-6);
  // Apart: no overlap, 4 strides from centre to centre, in a hull of 6×2.
  EXPECT_NEAR(box_loss(row({-3, 1, 5, 1}), square).item<double>(), 1 + 16.0 / 40, 1e-6);
}

TEST(DistributionLoss, ByHand) {
  const torch::Tensor even = torch::zeros({1, 64}, torch::kDouble);
  const double entropy = -(0.25 * std::log(0.25) + 0.75 * std::log(0.75));
  EXPECT_NEAR(distribution_loss(even, row({2.25, 2.25, 2.25, 2.25})).item<double>(), std::log(16.0) - entropy, 1e-9);
  EXPECT_NEAR(distribution_loss(even, row({2.25, 3, 0, 15})).item<double>(), std::log(16.0) - entropy / 4, 1e-9);
  EXPECT_NEAR(distribution_loss(even, row({40, -2, 0, 15})).item<double>(), std::log(16.0), 1e-9);  // clamped
  EXPECT_NEAR(distances_of(even).sum().item<double>(), 4 * 7.5, 1e-9);
}

TEST(ScoreLoss, ByHand) {
  const torch::Tensor logits = row({0, 0, 2, 5}), targets = row({0.5, 1, 0, 0}), judged = row({1, 1, 1, 0});
  EXPECT_NEAR(score_loss(logits, targets, judged).item<double>(), std::log(2.0) + std::log(1 + std::exp(2.0)), 1e-9);
}

// Central differences of sum(f(x)) along every element.
void expect_gradient(const std::function<torch::Tensor(const torch::Tensor&)>& function, const torch::Tensor& at,
                     const std::function<torch::Tensor(const torch::Tensor&)>& differences) {
  torch::Tensor x = at.clone().set_requires_grad(true);
  function(x).sum().backward();
  constexpr double step = 1e-6;
  for (std::int64_t i = 0; i < at.numel(); ++i) {
    torch::Tensor above = at.clone(), below = at.clone();
    above.view({-1})[i] += step;
    below.view({-1})[i] -= step;
    const double numeric = (differences(above).sum() - differences(below).sum()).item<double>() / (2 * step);
    EXPECT_NEAR(x.grad().view({-1})[i].item<double>(), numeric, 1e-5 * std::max(1.0, std::abs(numeric))) << i;
  }
}

TEST(Gradients, EqualFiniteDifferences) {
  torch::manual_seed(3);
  const auto options = torch::TensorOptions(torch::kDouble);
  const torch::Tensor logits = torch::randn({3, 64}, options), wanted = torch::rand({3, 4}, options) * 6;
  const auto distribution = [&](const torch::Tensor& x) { return distribution_loss(x, wanted); };
  expect_gradient(distribution, logits, distribution);
  const torch::Tensor targets = torch::rand({2, 5, 3}, options), judged = (torch::rand({2, 5, 3}, options) > 0.3).to(torch::kDouble);
  const auto score = [&](const torch::Tensor& x) { return score_loss(x, targets, judged); };
  expect_gradient(score, torch::randn({2, 5, 3}, options), score);
  const auto distance = [&](const torch::Tensor& x) { return distances_of(x); };
  expect_gradient(distance, logits, distance);

  // The weight of the shape is held still when the gradient is taken, by the paper: so it is here, when the differences are.
  const torch::Tensor predicted = torch::rand({3, 4}, options) * 5 + 0.5;
  const auto shape_of = [&](const torch::Tensor& x) {
    const auto angle = [](const torch::Tensor& d) {
      return at::atan((d.select(1, 0) + d.select(1, 2)) / (d.select(1, 1) + d.select(1, 3)));
    };
    return 4 / (std::numbers::pi * std::numbers::pi) * (angle(wanted) - angle(x)).square();
  };
  const torch::Tensor inner = at::minimum(predicted, wanted);
  const auto area = [](const torch::Tensor& d) { return (d.select(1, 0) + d.select(1, 2)) * (d.select(1, 1) + d.select(1, 3)); };
  const torch::Tensor iou = area(inner) / (area(predicted) + area(wanted) - area(inner));
  const torch::Tensor still = shape_of(predicted) / (1 - iou + shape_of(predicted));
  expect_gradient([&](const torch::Tensor& x) { return box_loss(x, wanted); }, predicted,
                  [&](const torch::Tensor& x) {
                    const torch::Tensor moving = shape_of(x), both = area(at::minimum(x, wanted)), either = area(x) + area(wanted) - both;
                    return box_loss(x, wanted) - moving * (moving / (1 - both / either + moving)) + moving * still;
                  });
}

// The whole loss, put together from its pieces over the assignment.
TEST(DetectionLoss, IsTheSumOfItsParts) {
  const PointGrid grid(64, 64);
  Random random(9);
  const Objects objects = random_objects(2, 6, 3, 64, 64, random);
  torch::manual_seed(5);
  torch::Tensor class_logits = torch::randn({2, grid.count(), 3}) - 2, box_logits = torch::randn({2, grid.count(), 64});
  class_logits.set_requires_grad(true);
  box_logits.set_requires_grad(true);
  const torch::Tensor loss = detection_loss(grid, class_logits, box_logits, objects);
  loss.backward();

  const torch::NoGradGuard no_gradient;
  const torch::Tensor distances = distances_of(box_logits), scores = class_logits.sigmoid();
  Predicted predicted;
  for (std::int64_t i = 0; i < 2 * grid.count(); ++i) {
    const auto& point = grid.points()[static_cast<std::size_t>(i % grid.count())];
    const torch::Tensor d = distances.view({-1, 4})[i];
    for (std::int64_t k = 0; k < 3; ++k) predicted.scores.push_back(scores.view({-1, 3})[i][k].item<float>());
    for (std::int64_t side = 0; side < 4; ++side)
      predicted.boxes.push_back((side % 2 == 0 ? point.x : point.y) + (side < 2 ? -1 : 1) * d[side].item<float>() * point.stride);
  }
  const Assignment wanted = naive(grid, objects, predicted, 3, {});
  torch::Tensor targets = torch::zeros({2, grid.count(), 3}), judged = torch::ones({2, grid.count(), 3});
  double total = 0, expected = 0;
  for (std::size_t i = 0; i < wanted.rows.size(); ++i) {
    targets.view({-1, 3})[wanted.rows[i]][wanted.labels[i]] = wanted.scores[i];
    total += wanted.scores[i];
    const auto& point = grid.points()[static_cast<std::size_t>(wanted.rows[i] % grid.count())];
    const float* box = wanted.boxes.data() + 4 * i;
    const torch::Tensor distance = torch::tensor({{point.x - box[0], point.y - box[1], box[2] - point.x, box[3] - point.y}}) / point.stride;
    const torch::Tensor logits = box_logits.view({-1, 64})[wanted.rows[i]].unsqueeze(0);
    expected += wanted.scores[i] * (5 * box_loss(distances_of(logits), distance) + distribution_loss(logits, distance)).item<double>();
  }
  for (const std::int64_t cell : wanted.unjudged) judged.view({-1})[cell] = 0;
  expected += score_loss(class_logits, targets, judged).item<double>();
  ASSERT_GT(total, 0.3);
  total = std::max(total, 1.0);
  EXPECT_NEAR(loss.item<double>(), expected / total, 1e-4 * expected / total);
  // Points that answer for nothing learn nothing of boxes; unjudged cells learn nothing at all.
  torch::Tensor answering = torch::zeros({2 * grid.count()});
  for (const std::int64_t place : wanted.rows) answering[place] = 1;
  EXPECT_TRUE((box_logits.grad().view({-1, 64}).abs().sum(1) > 0).to(torch::kFloat).equal(answering));
  EXPECT_GT(wanted.unjudged.size(), 0U);
  for (const std::int64_t cell : wanted.unjudged) EXPECT_EQ(class_logits.grad().view({-1})[cell].item<float>(), 0);
}

TEST(DetectionLoss, PicturesWithoutObjectsTeachSilence) {
  const PointGrid grid(32, 32);
  const torch::Tensor silent = torch::full({1, grid.count(), 2}, -12.0F), loud = torch::zeros({1, grid.count(), 2}),
                      boxes = torch::zeros({1, grid.count(), 64});
  EXPECT_LT(detection_loss(grid, silent, boxes, Objects{{}}).item<double>(), 1e-3);
  EXPECT_NEAR(detection_loss(grid, loud, boxes, Objects{{}}).item<double>(), 2 * static_cast<double>(grid.count()) * std::log(2.0), 1e-2);
}

}  // namespace
}  // namespace sightline::training
