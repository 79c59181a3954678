#include "evaluation/conformal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sightline::evaluation {
namespace {

// The smallest probability of the right class that still counts as ordinary.
double limit_of(std::vector<float> own, double coverage) {
  // A trifle more, so that 0.1 · 10 is 1.
  const auto rank = static_cast<std::size_t>(std::floor((1 - coverage) * static_cast<double>(own.size() + 1) + 1e-9));
  if (rank == 0) return 0;  // too few to leave any out
  std::ranges::nth_element(own, own.begin() + static_cast<std::ptrdiff_t>(rank - 1));
  return own[rank - 1];
}

}  // namespace

Result<package::Conformal> calibrate_conformal(const Tensor& probabilities, std::span<const std::int32_t> labels, double coverage,
                                               bool per_class) {
  if (probabilities.rank() != 2 || probabilities.dtype() != Dtype::f32 || probabilities.dim(0) != static_cast<std::int64_t>(labels.size()))
    return Error{ErrorKind::usage, fmt::format("prediction sets want probabilities f32 N×K of {} samples, not {} {}", labels.size(),
                                               name_of(probabilities.dtype()), to_string(probabilities.shape()))};
  if (!(coverage > 0 && coverage < 1)) return Error{ErrorKind::usage, fmt::format("a coverage of {} is not between 0 and 1", coverage)};
  const auto k = static_cast<std::size_t>(probabilities.dim(1));
  const auto values = probabilities.values<float>();
  std::vector<std::vector<float>> own(per_class ? k : 1);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto label = static_cast<std::size_t>(labels[i]);
    if (label >= k) return Error{ErrorKind::usage, fmt::format("label {} is outside [0, {})", labels[i], k)};
    own[per_class ? label : 0].push_back(values[i * k + label]);
  }
  package::Conformal conformal{.coverage = coverage, .per_class = per_class, .samples = static_cast<std::int64_t>(labels.size())};
  for (std::size_t c = 0; c < k; ++c)
    conformal.least.push_back(per_class || c == 0 ? limit_of(own[per_class ? c : 0], coverage) : conformal.least[0]);
  for (std::size_t i = 0; i < labels.size(); ++i)
    conformal.mean_size +=
        static_cast<double>(package::prediction_set(conformal, values.subspan(i * k, k)).size()) / static_cast<double>(labels.size());
  return conformal;
}

}  // namespace sightline::evaluation
