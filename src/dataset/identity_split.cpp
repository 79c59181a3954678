#include "dataset/identity_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>

#include "base/random.h"
#include "base/text.h"

namespace sightline::dataset {
namespace {

struct Identity {
  std::int64_t pictures = 0;
  std::uint64_t order = 0;
  std::optional<Split> split;  // given, or decided
};

std::uint64_t order_of(std::int64_t seed, const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return Random::mix(Random::mix(static_cast<std::uint64_t>(seed) + 0x9e3779b97f4a7c15ULL) ^ hash);
}

std::string identities_in_words(std::int64_t count) { return fmt::format("{} {}", count, count == 1 ? "identity" : "identities"); }

// Those of pairs of these folds.
Result<std::set<int>> identities_of_folds(const Manifest& manifest, const std::vector<int>& folds) {
  if (manifest.pairs.empty())
    return Error{ErrorKind::usage, "split.test_folds names folds of pairs, and there are no pairs; name their file as data.pairs"};
  if (manifest.given_test)
    return Error{ErrorKind::usage, "split.test_folds says what is tested, and so do the data, which bring a test split; drop one of them"};
  std::int32_t most = 0;
  for (const annotation::Pair& pair : manifest.pairs) most = std::max(most, pair.fold);
  std::set<int> identities;
  for (const int fold : folds) {
    if (std::ranges::none_of(manifest.pairs, [&](const annotation::Pair& pair) { return pair.fold == fold; }))
      return Error{ErrorKind::invalid_data, fmt::format("split.test_folds: no pair is of fold {}; the folds are 1 to {}", fold, most)};
    for (const annotation::Pair& pair : manifest.pairs) {
      if (pair.fold != fold) continue;
      for (const std::int64_t place : {pair.first, pair.second}) identities.insert(manifest.samples[static_cast<std::size_t>(place)].label);
    }
  }
  return identities;
}

// What the data give: an identity is in one split only.
Result<void> take_given(const Manifest& manifest, std::vector<Identity>& identities) {
  std::vector<std::string> torn;
  std::set<int> told;
  for (const Sample& sample : manifest.samples) {
    const bool given =
        (manifest.given_test && sample.split == Split::test) || (manifest.given_validation && sample.split == Split::validation);
    if (given) identities[static_cast<std::size_t>(sample.label)].split = sample.split;
  }
  for (const Sample& sample : manifest.samples) {
    const Identity& identity = identities[static_cast<std::size_t>(sample.label)];
    if (!identity.split || *identity.split == sample.split || !told.insert(sample.label).second) continue;
    torn.push_back(fmt::format("\"{}\" ({} and {})", manifest.classes[static_cast<std::size_t>(sample.label)], enum_name(*identity.split),
                               enum_name(sample.split)));
  }
  if (torn.empty()) return {};
  constexpr std::size_t shown = 5;
  const std::size_t count = torn.size();
  if (count > shown) torn.resize(shown);
  return Error{
      ErrorKind::invalid_data,
      fmt::format("{}: {} in two of the given splits: {}{}; what is tested must be somebody whom training has not seen", manifest.root,
                  identities_in_words(static_cast<std::int64_t>(count)), join(torn, ", "), count > shown ? ", and others" : "")};
}

void take_share(std::vector<Identity*>& open, double wanted, Split split) {
  std::int64_t taken = 0;
  for (Identity* identity : open) {
    if (identity->split || static_cast<double>(taken + identity->pictures) > wanted + 0.5) continue;
    identity->split = split;
    taken += identity->pictures;
  }
}

Result<void> check_outcome(const Manifest& manifest, const std::vector<Identity>& identities) {
  const auto count = [&](Split split, std::int64_t least) {
    return std::ranges::count_if(identities, [&](const Identity& each) { return each.split == split && each.pictures >= least; });
  };
  if (count(Split::train, 1) < 2)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: {} left to train on, and two are needed", manifest.root, identities_in_words(count(Split::train, 1)))};
  if (count(Split::test, 1) < 2 || count(Split::test, 2) < 1)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: there is nothing to compare in the test split: it has {}, {} of them with two pictures or more; raise "
                             "split.test, or add pictures",
                             manifest.root, identities_in_words(count(Split::test, 1)), count(Split::test, 2))};
  return {};
}

}  // namespace

Result<void> assign_identity_splits(Manifest& manifest, const demand::SplitPlan& plan, std::int64_t seed) {
  if (!(plan.test >= 0) || !(plan.test < 1) || !(plan.validation >= 0) || !(plan.validation < 1))
    return Error{ErrorKind::usage,
                 fmt::format("split shares must lie in [0, 1), but validation is {} and test is {}", plan.validation, plan.test)};
  std::vector<Identity> identities(manifest.classes.size());
  for (std::size_t k = 0; k < identities.size(); ++k) identities[k].order = order_of(seed, manifest.classes[k]);
  for (const Sample& sample : manifest.samples) {
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= identities.size())
      return Error{ErrorKind::invalid_data, fmt::format("{}: label {} names no class", sample.path, sample.label)};
    ++identities[static_cast<std::size_t>(sample.label)].pictures;
  }
  SIGHTLINE_CHECK(take_given(manifest, identities));
  if (!plan.test_folds.empty()) {
    SIGHTLINE_TRY(const std::set<int> tested, identities_of_folds(manifest, plan.test_folds));
    for (const int identity : tested) identities[static_cast<std::size_t>(identity)].split = Split::test;
  }
  std::vector<std::size_t> places(identities.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
    return std::tie(identities[a].order, manifest.classes[a]) < std::tie(identities[b].order, manifest.classes[b]);
  });
  std::vector<Identity*> open;
  for (const std::size_t place : places) open.push_back(&identities[place]);
  const auto left = [&] {
    return std::accumulate(open.begin(), open.end(), 0.0, [](double sum, const Identity* each) {
      return sum + (each->split ? 0.0 : static_cast<double>(each->pictures));
    });
  };
  if (!manifest.given_test && plan.test_folds.empty()) take_share(open, plan.test * left(), Split::test);
  if (!manifest.given_validation) take_share(open, plan.validation * left(), Split::validation);
  for (Identity& identity : identities)
    if (!identity.split) identity.split = Split::train;
  SIGHTLINE_CHECK(check_outcome(manifest, identities));
  for (Sample& sample : manifest.samples) sample.split = *identities[static_cast<std::size_t>(sample.label)].split;
  return {};
}

}  // namespace sightline::dataset
