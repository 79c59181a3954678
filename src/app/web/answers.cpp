#include "app/web/answers.h"

#include <algorithm>

#include "package/package.h"

namespace sightline::web {
namespace {

constexpr std::size_t kKnown = 16;

Result<AnswersOfRelease> compute(Site& site, const store::Release& release, const Digest& digest) {
  SIGHTLINE_TRY(const std::shared_ptr<const dataset::Manifest> manifest, site.manifest(digest));
  SIGHTLINE_TRY(const std::string folder, site.package_folder(release));
  SIGHTLINE_TRY(package::Model model, package::Model::open(folder, {.check_golden = false}));
  if (model.annotates()) return Error{ErrorKind::unsupported, release.name + " is no classifier: its answers are not counted in cells"};
  SIGHTLINE_TRY(const evaluation::Answers answered, evaluation::answer(model, *manifest, dataset::Split::test, false));
  AnswersOfRelease all{
      .manifest = digest, .classes = model.labels(), .answers = {}, .probabilities = answered.probabilities, .labels = answered.labels};
  const std::size_t classes = all.classes.size();
  const auto values = answered.probabilities.values<float>();
  for (std::size_t i = 0; i < answered.samples.size(); ++i) {
    const auto row = values.subspan(i * classes, classes);
    const auto best = std::ranges::max_element(row);
    all.answers.push_back({.sample = answered.samples[i],
                           .given = answered.labels[i],
                           .predicted = static_cast<std::int32_t>(best - row.begin()),
                           .probability = *best});
  }
  return all;
}

}  // namespace

Result<std::shared_ptr<const AnswersOfRelease>> Answers::of(Site& site, const store::Release& release) {
  SIGHTLINE_TRY(const Digest manifest, site.measured_on(release));
  const std::lock_guard lock(mutex_);
  const Digest key = release.package + manifest;
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  SIGHTLINE_TRY(AnswersOfRelease computed, compute(site, release, manifest));
  if (known_.size() >= kKnown) known_.clear();
  auto kept = std::make_shared<const AnswersOfRelease>(std::move(computed));
  known_[key] = kept;
  return std::shared_ptr<const AnswersOfRelease>(kept);
}

Result<Json> pictures_of_cell(const AnswersOfRelease& answers, const dataset::Manifest& manifest, std::int64_t given,
                              std::int64_t predicted, std::size_t most) {
  const auto classes = static_cast<std::int64_t>(answers.classes.size());
  if (given < 0 || given >= classes || predicted < 0 || predicted >= classes)
    return Error{ErrorKind::usage, fmt::format("given and predicted are classes from 0 to {}", classes - 1)};
  std::vector<const Answer*> found;
  for (const Answer& answer : answers.answers)
    if (answer.given == given && answer.predicted == predicted) found.push_back(&answer);
  std::ranges::stable_sort(found, std::greater{}, &Answer::probability);
  Json pictures = Json::array();
  for (std::size_t i = 0; i < std::min(most, found.size()); ++i)
    pictures.push_back({{"number", found[i]->sample},
                        {"path", manifest.samples[static_cast<std::size_t>(found[i]->sample)].path},
                        {"given", found[i]->given},
                        {"predicted", found[i]->predicted},
                        {"probability", found[i]->probability}});
  return Json{{"manifest", answers.manifest}, {"total", found.size()}, {"pictures", pictures}};
}

}  // namespace sightline::web
