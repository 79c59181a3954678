#include "heads/gaussian_field.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "heads/appending.h"
#include "heads/blas.h"
#include "heads/places.h"

namespace sightline::heads {

namespace {

constexpr double least_shrinkage = 1e-3;  // a matrix that many samples say exactly is still inverted
constexpr double least_variance =
    1e-3;  // of a place, as a share of that of all: one that never changes is no reason for infinite distances

// Of rows n×D: mean, the inverse of the Cholesky factor of the shrunk covariance, and how much it was shrunk.
struct Gaussian {
  std::vector<double> mean, whitening;
  double shrinkage = 0;
};

struct Channels {
  std::vector<double> mean, variance;
};
Channels channels_of(const float* rows, std::size_t n, std::size_t d) {
  Channels channels{std::vector<double>(d), std::vector<double>(d)};
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < d; ++j) channels.mean[j] += static_cast<double>(rows[i * d + j]);
  }
  for (double& value : channels.mean) value /= static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < d; ++j) {
      const double value = static_cast<double>(rows[i * d + j]) - channels.mean[j];
      channels.variance[j] += value * value;
    }
  }
  for (double& value : channels.variance) value /= static_cast<double>(n);
  return channels;
}

// The correlations are shrunk towards none: channels differ by orders of magnitude, and the variances themselves are known well.
// floor: of each channel's variance.
Result<Gaussian> gaussian_of(const float* rows, std::size_t n, std::size_t d, const std::vector<double>& floor) {
  const Channels channels = channels_of(rows, n, d);
  std::vector<double> scale(d);
  for (std::size_t j = 0; j < d; ++j) scale[j] = 1 / std::sqrt(std::max(channels.variance[j], floor[j]));
  std::vector<float> standard(n * d);
  double fourth = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double square = 0;
    for (std::size_t j = 0; j < d; ++j) {
      const double value = (static_cast<double>(rows[i * d + j]) - channels.mean[j]) * scale[j];
      standard[i * d + j] = static_cast<float>(value);
      square += value * value;
    }
    fourth += square * square;
  }
  std::vector<float> product(d * d);
  const int width = static_cast<int>(d);
  cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, width, static_cast<int>(n), 1.0F / static_cast<float>(n), standard.data(), width, 0.0F,
              product.data(), width);
  std::vector<double> correlation(product.begin(), product.end());
  double trace = 0, squares = 0;
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j <= i; ++j) squares += (i == j ? 1 : 2) * correlation[i * d + j] * correlation[i * d + j];
    trace += correlation[i * d + i];
  }
  // Ledoit and Wolf (2004): how far the matrix is from the target, and how much of that is chance.
  const double level = trace / static_cast<double>(d), apart = squares / static_cast<double>(d) - level * level;
  const double chance = std::max(0.0, (fourth / static_cast<double>(n) - squares) / static_cast<double>(n) / static_cast<double>(d));
  Gaussian gaussian{.mean = channels.mean, .shrinkage = apart > 0 ? std::clamp(chance / apart, least_shrinkage, 1.0) : 1};
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j < i; ++j) correlation[i * d + j] *= 1 - gaussian.shrinkage;
    correlation[i * d + i] = std::max((1 - gaussian.shrinkage) * correlation[i * d + i] + gaussian.shrinkage * level, least_shrinkage);
  }
  SIGHTLINE_CHECK(factor(correlation, static_cast<std::int64_t>(d)));
  gaussian.whitening.assign(d * d, 0);
  for (std::size_t column = 0; column < d; ++column) {  // forward substitution on the identity
    for (std::size_t i = column; i < d; ++i) {
      double sum = i == column ? 1 : 0;
      for (std::size_t k = column; k < i; ++k) sum -= correlation[i * d + k] * gaussian.whitening[k * d + column];
      gaussian.whitening[i * d + column] = sum / correlation[i * d + i];
    }
  }
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j <= i; ++j) gaussian.whitening[i * d + j] *= scale[j];
  }
  return gaussian;
}

std::vector<float> as_floats(const std::vector<double>& values) {
  std::vector<float> result(values.size());
  std::ranges::transform(values, result.begin(), [](double value) { return static_cast<float>(value); });
  return result;
}

// The means as the map has them: h·w×D → 1×D×h×w.
Tensor channels_first(const GaussianField& field) {
  const auto count = static_cast<std::size_t>(field.mean.dim(0)), d = static_cast<std::size_t>(field.mean.dim(1));
  Tensor turned(Dtype::f32, {1, field.mean.dim(1), field.height, field.width});
  for (std::size_t p = 0; p < count; ++p) {
    for (std::size_t j = 0; j < d; ++j) turned.values<float>()[j * count + p] = field.mean.values<float>()[p * d + j];
  }
  return turned;
}

}  // namespace

Result<GaussianField> fit_gaussian_field(const Tensor& places, Spread spread) {
  if (places.rank() != 4 || places.dtype() != Dtype::f32 || places.count() == 0 || places.dim(0) < 2)
    return Error{ErrorKind::invalid_data, fmt::format("places f32 N×D×h×w of two pictures at least are needed, not {} {}",
                                                      name_of(places.dtype()), to_string(places.shape()))};
  for (const float value : places.values<float>()) {
    if (!std::isfinite(value)) return Error{ErrorKind::invalid_data, "a description of a place has values that are not finite"};
  }
  const auto pictures = static_cast<std::size_t>(places.dim(0)), d = static_cast<std::size_t>(places.dim(1)),
             count = static_cast<std::size_t>(places.dim(2) * places.dim(3));
  Tensor rows = descriptions_of(places);
  const auto all = rows.values<float>();
  std::vector<double> floor = channels_of(all.data(), pictures * count, d).variance;
  for (double& value : floor) value = std::max(least_variance * value, 1e-12);
  const bool pooled = spread == Spread::pooled;
  GaussianField field{.spread = spread, .height = places.dim(2), .width = places.dim(3)};
  field.mean = Tensor(Dtype::f32, {places.dim(2) * places.dim(3), places.dim(1)});
  field.whitening = Tensor(Dtype::f32, {pooled ? 1 : places.dim(2) * places.dim(3), places.dim(1), places.dim(1)});
  const auto keep = [&](std::size_t p, const Gaussian& gaussian) {
    std::ranges::copy(as_floats(gaussian.whitening), field.whitening.values<float>().begin() + static_cast<std::ptrdiff_t>(p * d * d));
  };
  std::vector<double> shrinkages(pooled ? 1 : count);
  const auto fit_place = [&](std::size_t p) -> Result<void> {
    std::vector<float> own;
    for (std::size_t n = 0; n < pictures; ++n) own.insert(own.end(), &all[(n * count + p) * d], &all[(n * count + p) * d] + d);
    float* mean = field.mean.values<float>().data() + p * d;
    std::ranges::copy(as_floats(channels_of(own.data(), pictures, d).mean), mean);
    if (pooled) {  // what is left is looked at together
      for (std::size_t n = 0; n < pictures; ++n) {
        for (std::size_t j = 0; j < d; ++j) all[(n * count + p) * d + j] -= mean[j];
      }
      return {};
    }
    SIGHTLINE_TRY(const Gaussian gaussian, gaussian_of(own.data(), pictures, d, floor));
    shrinkages[p] = gaussian.shrinkage;
    keep(p, gaussian);
    return {};
  };
  {
    const BlasThreads one(1);  // places go over the cores, each product stays on its own
    SIGHTLINE_CHECK(parallel_for(count, fit_place));
  }
  if (pooled) {
    const BlasThreads threads;
    SIGHTLINE_TRY(const Gaussian gaussian, gaussian_of(all.data(), pictures * count, d, floor));
    shrinkages[0] = gaussian.shrinkage;
    keep(0, gaussian);
  }
  for (const double each : shrinkages) field.shrinkage += each / static_cast<double>(shrinkages.size());
  return field;
}

Result<graph::Graph> append_gaussian_field(const graph::Graph& graph, const GaussianField& field) {
  SIGHTLINE_TRY(const Shape shape, shape_of_map(graph, places_value));
  const std::int64_t dimensions = field.mean.dim(1), count = field.mean.dim(0);
  if (shape[1] != dimensions || shape[2] != field.height || shape[3] != field.width)
    return Error{ErrorKind::invalid_data, fmt::format("a Gaussian field of {} dimensions on {}×{} places does not fit places {}",
                                                      dimensions, field.height, field.width, to_string(shape))};
  graph::Graph result = graph;
  Appender append(result, "field");
  std::string squares;
  if (field.spread == Spread::pooled) {
    const std::string mean = append.constant("mean", channels_first(field));
    const std::string whitening = append.constant("whitening", field.whitening.reshaped({dimensions, dimensions, 1, 1}));
    const std::string white = append.node("Conv", {append.node("Sub", {places_value, mean}), whitening});
    squares = append.node("ReduceSumSquare", {white}, {{"axes", std::vector<std::int64_t>{1}}});
  } else {
    // N×D×h×w → N×P×1×D · P×D×D → N×P×1×D
    const std::string rows = append.constant("rows", Tensor::of<std::int64_t>({3}, {0, dimensions, count}));
    const std::string flat =
        append.node("Transpose", {append.node("Reshape", {places_value, rows})}, {{"perm", std::vector<std::int64_t>{0, 2, 1}}});
    const std::string centred = append.node("Sub", {flat, append.constant("mean", field.mean)});
    const std::string lying = append.node("Unsqueeze", {centred, append.constant("lying", Tensor::of<std::int64_t>({1}, {2}))});
    Tensor turned(Dtype::f32, field.whitening.shape());
    const auto d = static_cast<std::size_t>(dimensions);
    for (std::size_t p = 0; p < static_cast<std::size_t>(count); ++p) {
      for (std::size_t i = 0; i < d; ++i) {
        for (std::size_t j = 0; j < d; ++j)
          turned.values<float>()[(p * d + j) * d + i] = field.whitening.values<float>()[(p * d + i) * d + j];
      }
    }
    const std::string white = append.node("MatMul", {lying, append.constant("whitening", turned)});
    const std::string sums =
        append.node("ReduceSumSquare", {white}, {{"axes", std::vector<std::int64_t>{3}}, {"keepdims", std::int64_t{0}}});
    const std::string grid = append.constant("grid", Tensor::of<std::int64_t>({4}, {0, 1, field.height, field.width}));
    squares = append.node("Reshape", {sums, grid});  // N×P×1 → N×1×h×w
  }
  append.node("Sqrt", {squares}, {}, distances_value);
  return ending_at(std::move(result), distances_value);
}

Tensor distances_to(const GaussianField& field, const Tensor& places) {
  const Tensor rows = descriptions_of(places);
  const std::int64_t count = places.dim(2) * places.dim(3);
  const auto d = static_cast<std::size_t>(rows.dim(1));
  Tensor distances(Dtype::f32, {places.dim(0), 1, places.dim(2), places.dim(3)});
  for (std::int64_t i = 0; i < rows.dim(0); ++i) {
    const std::size_t p = field.spread == Spread::pooled ? 0 : static_cast<std::size_t>(i % count);
    const float* row = rows.values<float>().data() + static_cast<std::size_t>(i) * d;
    const float* mean = field.mean.values<float>().data() + static_cast<std::size_t>(i % count) * d;
    const float* whitening = field.whitening.values<float>().data() + p * d * d;
    double sum = 0;
    for (std::size_t k = 0; k < d; ++k) {
      double white = 0;
      for (std::size_t j = 0; j <= k; ++j)
        white += static_cast<double>(whitening[k * d + j]) * (static_cast<double>(row[j]) - static_cast<double>(mean[j]));
      sum += white * white;
    }
    distances.values<float>()[static_cast<std::size_t>(i)] = static_cast<float>(std::sqrt(sum));
  }
  return distances;
}

}  // namespace sightline::heads
