#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "heads/blas.h"
#include "heads/linear.h"

namespace sightline::heads {
namespace {

constexpr std::int64_t patch_side = 6;
constexpr std::int64_t grid = 3;            // pooling cells a side
constexpr std::int64_t most_pixels = 1024;  // pixel features; larger pictures are averaged down
constexpr std::int64_t whitening_patches = 40000;
constexpr float contrast_floor = 10;     // grey levels squared, added to a patch's variance: noise in flat patches is not blown up
constexpr double whitening_floor = 0.1;  // added to the eigenvalues, of patches with unit variance
constexpr float threshold = 0.25F;       // a filter answers only where it fits (Coates & Ng's alpha)

struct Geometry {
  std::int64_t height, width, channels, side_y, side_x;  // of the picture; of a patch
  std::int64_t stride;                                   // of the convolution
  std::int64_t rows() const { return (height - side_y) / stride + 1; }
  std::int64_t columns() const { return (width - side_x) / stride + 1; }
  std::int64_t patch_size() const { return side_y * side_x * channels; }
};

// Copies the patch whose top left corner is (y, x), with zero mean and unit variance.
void read_patch(const std::uint8_t* picture, const Geometry& g, std::int64_t y, std::int64_t x, float* out) {
  const std::int64_t row = g.side_x * g.channels;
  const std::int64_t size = g.patch_size();
  int sum = 0, squares = 0;
  for (std::int64_t i = 0; i < g.side_y; ++i) {
    const std::uint8_t* source = picture + ((y + i) * g.width + x) * g.channels;
    for (std::int64_t j = 0; j < row; ++j) {
      const int value = source[j];
      sum += value;
      squares += value * value;
      out[i * row + j] = static_cast<float>(value);
    }
  }
  const float mean = static_cast<float>(sum) / static_cast<float>(size);
  const float variance = std::max(0.0F, static_cast<float>(squares) / static_cast<float>(size) - mean * mean);
  const float scale = 1 / std::sqrt(variance + contrast_floor);
  for (std::int64_t j = 0; j < size; ++j) out[j] = (out[j] - mean) * scale;
}

// Filters F×P that act on patches as read_patch gives them, whitening included, and an offset for each.
struct FilterBank {
  std::vector<float> weight, offset;
};

Result<FilterBank> learn_filters(const Tensor& pixels, const Geometry& g, std::int64_t filters, Random random) {
  const std::int64_t size = g.patch_size();
  const auto all = pixels.values<std::uint8_t>();
  const std::int64_t picture_bytes = g.height * g.width * g.channels;
  const std::int64_t count = std::max(whitening_patches, 2 * filters);
  std::vector<float> patches(static_cast<std::size_t>(count * size));
  for (std::int64_t i = 0; i < count; ++i) {
    float* patch = patches.data() + i * size;
    for (int tries = 0; tries < 20; ++tries) {  // a flat patch makes a filter of noise: look for a better one
      const auto n = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(pixels.dim(0))));
      const auto y = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(g.height - g.side_y + 1)));
      const auto x = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(g.width - g.side_x + 1)));
      read_patch(all.data() + n * picture_bytes, g, y, x, patch);
      float energy = 0;
      for (std::int64_t j = 0; j < size; ++j) energy += patch[j] * patch[j];
      if (energy > 0.5F * static_cast<float>(size)) break;
    }
  }
  std::vector<double> mean(static_cast<std::size_t>(size)), covariance(static_cast<std::size_t>(size * size));
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < size; ++j) mean[static_cast<std::size_t>(j)] += patches[static_cast<std::size_t>(i * size + j)];
  }
  for (double& m : mean) m /= static_cast<double>(count);
  std::vector<float> product(static_cast<std::size_t>(size * size));
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < size; ++j)
      patches[static_cast<std::size_t>(i * size + j)] -= static_cast<float>(mean[static_cast<std::size_t>(j)]);
  }
  cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, static_cast<int>(size), static_cast<int>(count), 1.0F / static_cast<float>(count),
              patches.data(), static_cast<int>(size), 0.0F, product.data(), static_cast<int>(size));
  for (std::int64_t i = 0; i < size; ++i) {
    for (std::int64_t j = 0; j < size; ++j)
      covariance[static_cast<std::size_t>(i * size + j)] = product[static_cast<std::size_t>(std::max(i, j) * size + std::min(i, j))];
  }
  SIGHTLINE_TRY(const std::vector<double> values, eigen(covariance, size));
  // ZCA: whitened = Z (patch - mean), Z symmetric. A filter is a whitened patch of unit length, w; w·Z(patch - mean) = (Z w)·patch - (Z
  // w)·mean.
  std::vector<double> whitening(static_cast<std::size_t>(size * size));
  for (std::int64_t e = 0; e < size; ++e) {
    const double scale = 1 / std::sqrt(std::max(values[static_cast<std::size_t>(e)], 0.0) + whitening_floor);
    const double* v = covariance.data() + e * size;
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t j = 0; j < size; ++j) whitening[static_cast<std::size_t>(i * size + j)] += scale * v[i] * v[j];
    }
  }
  const auto apply = [&](const std::vector<double>& in) {
    std::vector<double> out(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t j = 0; j < size; ++j)
        out[static_cast<std::size_t>(i)] += whitening[static_cast<std::size_t>(i * size + j)] * in[static_cast<std::size_t>(j)];
    }
    return out;
  };
  FilterBank bank;
  for (std::int64_t f = 0; f < filters; ++f) {
    std::vector<double> patch(patches.begin() + f * size, patches.begin() + (f + 1) * size);
    std::vector<double> filter = apply(patch);
    double length = 0;
    for (double v : filter) length += v * v;
    for (double& v : filter) v /= std::sqrt(length + 1e-12);
    filter = apply(filter);
    double at_mean = 0;
    for (std::int64_t j = 0; j < size; ++j) at_mean += filter[static_cast<std::size_t>(j)] * mean[static_cast<std::size_t>(j)];
    for (double v : filter) bank.weight.push_back(static_cast<float>(v));
    bank.offset.push_back(static_cast<float>(at_mean));
  }
  return bank;
}

// sum[f] += max(0, answer[f] - floor[f]), the inner loop of everything here.
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3"))) void add_rectified(const float* __restrict answer,
                                                                                                const float* __restrict floor,
                                                                                                float* __restrict sum,
                                                                                                std::int64_t filters) {
  for (std::int64_t f = 0; f < filters; ++f) {
    const float v = answer[f] - floor[f];
    sum[f] += v > 0 ? v : 0;
  }
}

// Pixels averaged in cells, so that at most most_pixels remain.
struct PixelCells {
  std::int64_t rows, columns;
};
PixelCells cells_of(const Geometry& g) {
  PixelCells cells{g.height, g.width};
  while (cells.rows * cells.columns * g.channels > most_pixels) {
    cells.rows = std::max<std::int64_t>(1, (cells.rows + 1) / 2);
    cells.columns = std::max<std::int64_t>(1, (cells.columns + 1) / 2);
  }
  return cells;
}
void add_pixels(const std::uint8_t* picture, const Geometry& g, PixelCells cells, float* out) {
  for (std::int64_t r = 0; r < cells.rows; ++r) {
    const std::int64_t top = r * g.height / cells.rows, bottom = std::max(top + 1, (r + 1) * g.height / cells.rows);
    for (std::int64_t c = 0; c < cells.columns; ++c) {
      const std::int64_t left = c * g.width / cells.columns, right = std::max(left + 1, (c + 1) * g.width / cells.columns);
      for (std::int64_t k = 0; k < g.channels; ++k) {
        int sum = 0;
        for (std::int64_t y = top; y < bottom; ++y) {
          for (std::int64_t x = left; x < right; ++x) sum += picture[(y * g.width + x) * g.channels + k];
        }
        *out++ = static_cast<float>(sum) / (255.0F * static_cast<float>((bottom - top) * (right - left)));
      }
    }
  }
}

}  // namespace

Result<Tensor> patch_features(const Tensor& pixels, int filters, std::uint64_t seed) {
  if (pixels.rank() != 4 || pixels.dtype() != Dtype::u8 || (pixels.dim(3) != 1 && pixels.dim(3) != 3) || pixels.count() == 0) {
    return Error{ErrorKind::invalid_data, fmt::format("patch features want pixels u8 N×H×W×1 or N×H×W×3, but got {} {}",
                                                      name_of(pixels.dtype()), to_string(pixels.shape()))};
  }
  if (filters < 1 || filters > 4096) return Error{ErrorKind::usage, fmt::format("patch features want 1 to 4096 filters, not {}", filters)};
  Geometry g{pixels.dim(1), pixels.dim(2), pixels.dim(3), std::min(patch_side, pixels.dim(1)), std::min(patch_side, pixels.dim(2)), 1};
  // At most about 32×32 positions: more cost time and say little after pooling.
  g.stride = std::max<std::int64_t>(1, std::max(g.height, g.width) / 32);
  const PixelCells cells = cells_of(g);
  const std::int64_t pooled = grid * grid * filters;
  const std::int64_t dimensions = pooled + cells.rows * cells.columns * g.channels;

  const BlasThreads one(1);  // pictures go over the cores, each product stays on its own
  SIGHTLINE_TRY(const FilterBank bank, learn_filters(pixels, g, filters, Random(seed, 0x7061746368ULL)));
  std::vector<float> floor(bank.offset);
  for (float& v : floor) v += threshold;

  Tensor features(Dtype::f32, {pixels.dim(0), dimensions});
  const std::int64_t positions = g.rows() * g.columns();
  const auto all = pixels.values<std::uint8_t>();
  const auto out = features.values<float>();
  const auto describe = [&](std::size_t n) -> Result<void> {
    thread_local std::vector<float> patches, answers;
    patches.resize(static_cast<std::size_t>(positions * g.patch_size()));
    answers.resize(static_cast<std::size_t>(positions * filters));
    const std::uint8_t* picture = all.data() + static_cast<std::int64_t>(n) * g.height * g.width * g.channels;
    float* patch = patches.data();
    for (std::int64_t y = 0; y < g.rows(); ++y) {
      for (std::int64_t x = 0; x < g.columns(); ++x, patch += g.patch_size()) read_patch(picture, g, y * g.stride, x * g.stride, patch);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(positions), filters, static_cast<int>(g.patch_size()), 1.0F,
                patches.data(), static_cast<int>(g.patch_size()), bank.weight.data(), static_cast<int>(g.patch_size()), 0.0F,
                answers.data(), filters);
    float* mine = out.data() + static_cast<std::int64_t>(n) * dimensions;
    std::fill(mine, mine + pooled, 0.0F);
    for (std::int64_t y = 0; y < g.rows(); ++y) {
      for (std::int64_t x = 0; x < g.columns(); ++x) {
        const std::int64_t cell = y * grid / g.rows() * grid + x * grid / g.columns();
        add_rectified(answers.data() + (y * g.columns() + x) * filters, floor.data(), mine + cell * filters, filters);
      }
    }
    add_pixels(picture, g, cells, mine + pooled);
    return {};
  };
  SIGHTLINE_CHECK(parallel_for(static_cast<std::size_t>(pixels.dim(0)), describe, 0, 16));
  return features;
}

}  // namespace sightline::heads
