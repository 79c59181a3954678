#include "modules/metric_losses.h"

#include <array>

namespace sightline::modules {
namespace {

constexpr std::array rows{
    MetricLossRow{MetricLoss::softmax, "identities are classes; the directions that tell them apart are thrown away afterwards",
                  "Taigman et al. 2014 (DeepFace)", 0, 1, 0, 1, false},
    MetricLossRow{MetricLoss::cosface, "as softmax, by cosines: that with the own identity must be larger by a margin",
                  "Wang et al. 2018, arXiv:1801.09414", 0.35, 30, 0, 1, false},
    MetricLossRow{MetricLoss::arcface, "as softmax, by cosines: the angle to the own identity must be smaller by a margin",
                  "Deng et al. 2019, arXiv:1801.07698", 0.5, 30, 0, 1, false},
    MetricLossRow{MetricLoss::adaface, "as arcface for pictures whose features are long, as cosface for short ones, which are hard to see",
                  "Kim et al. 2022, arXiv:2204.00964", 0.4, 30, 0, 1, false},
    MetricLossRow{MetricLoss::contrastive, "pairs of one identity draw together, pairs of two push apart up to a margin",
                  "Hadsell et al. 2006", 1, 1, 0, 4, true},
    MetricLossRow{MetricLoss::triplet, "the other picture of the own identity must be nearer than that of another one by a margin",
                  "Schroff et al. 2015, arXiv:1503.03832", 0.2, 1, 0, 4, true},
    MetricLossRow{MetricLoss::deepid2, "softmax over identities, and beside it contrastive pairs of the same features",
                  "Sun et al. 2014, arXiv:1406.4773", 0, 1, 0.05, 4, true},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i].loss != static_cast<MetricLoss>(i)) return false;
  return rows.size() == EnumNames<MetricLoss>::names.size();
}
static_assert(in_order());

}  // namespace

std::span<const MetricLossRow> metric_losses() { return rows; }
const MetricLossRow& row_of(MetricLoss loss) { return rows[static_cast<std::size_t>(loss)]; }

}  // namespace sightline::modules
