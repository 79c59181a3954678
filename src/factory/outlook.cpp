#include "factory/outlook.h"

#include <fmt/format.h>

#include "factory/small_data.h"

namespace sightline::factory {

Result<Outlook> outlook_of(const demand::Target& target, const heads::Choice& choice, const Tensor& features,
                           std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                           const std::vector<std::string>& classes, std::uint64_t seed, bool advise) {
  Outlook outlook;
  SIGHTLINE_TRY(outlook.estimate, evaluation::cross_validated(choice.scores, labels, groups));
  outlook.sentences.push_back(outlook.estimate.sentence);
  // top5 has no curve here; macro_f1 behaves like balanced accuracy.
  const evaluation::Estimate& estimate = target.metric == "top1" ? outlook.estimate.accuracy : outlook.estimate.balanced_accuracy;
  if (!advise || target.metric == "top5" || target.at_least >= 1 || estimate.value >= target.at_least) return outlook;

  outlook.sentences.push_back(fmt::format("{} out of fold is {:.4f}, the target {:.4f}", target.metric, estimate.value, target.at_least));
  auto needed = images_needed(features, labels, groups, classes, target.at_least, seed);
  if (!needed.ok()) {
    if (needed.error().kind != ErrorKind::unsupported) return needed.error();
    outlook.sentences.push_back(needed.error().message);  // too few images even for that
    return outlook;
  }
  constexpr std::size_t most = 4;  // of each class, and the worst classes
  for (std::size_t i = 0; i < std::min(most, needed->sentences.size()); ++i) outlook.sentences.push_back(std::move(needed->sentences[i]));
  return outlook;
}

}  // namespace sightline::factory
