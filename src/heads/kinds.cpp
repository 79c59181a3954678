#include "heads/kinds.h"

#include <array>

#include "heads/choose.h"

namespace sightline::heads {
namespace {

constexpr std::array rows{
    KindRow{Kind::ridge, true, "least squares on one-hot labels, shrunk; the usual case, from five pictures a class on",
            "Hoerl & Kennard 1970; Allen 1974 (leaving out)"},
    KindRow{Kind::discriminant, true, "linear discriminants, the pooled covariance shrunk towards a sphere",
            "Hastie, Buja & Tibshirani 1995"},
    KindRow{Kind::logistic, true, "multinomial logistic regression: many pictures, classes that overlap",
            "Böhning 1992; Liu & Nocedal 1989"},
    KindRow{Kind::nearest_mean, true, "the nearest class mean, by distance or by angle: one to three pictures a class",
            "Mensink et al. 2013, arXiv:1210.4796"},
    KindRow{Kind::random_features, false, "ridge behind a fixed random layer: borders that no plane can draw; a larger graph",
            "Rahimi & Recht 2008; Huang et al. 2006"},
};

}  // namespace

std::span<const KindRow> kinds() { return rows; }

HeadCost cost_of(Kind kind, std::int64_t features, std::int64_t classes) {
  const auto layer = [](std::int64_t from, std::int64_t to) { return HeadCost{from * to + to, 2 * from * to + to}; };
  if (kind != Kind::random_features) return layer(features, classes);
  const std::int64_t hidden = ChooseOptions{}.hidden;
  const HeadCost first = layer(features, hidden), second = layer(hidden, classes);
  return {first.parameters + second.parameters, first.flops + second.flops + hidden};
}

}  // namespace sightline::heads
