#include "dataset/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "dataset/duplicates.h"
#include "dataset/video_frames.h"

namespace sightline::dataset {
namespace {

constexpr std::size_t split_count = 3;
constexpr std::size_t index_of(Split split) { return static_cast<std::size_t>(split); }

// What a sample counts for when shares are evened out: itself in its class; with objects, attributes or a text each of these in its class,
// and the picture as one of a class behind the others.
std::vector<std::size_t> strata_of(const Manifest& manifest, const Sample& sample, bool one_class) {
  if (one_class) return {static_cast<std::size_t>(sample.label)};
  std::vector<std::size_t> strata{manifest.classes.size()};
  for (const std::int32_t label : classes_within(manifest, sample)) strata.push_back(static_cast<std::size_t>(label));
  return strata;
}

// Samples that are decided together. Only those whose split is not given are in `samples`.
struct Group {
  std::string_view name;  // of the group, or the path of a sample on its own: breaks ties between equal hashes
  std::uint64_t order = 0;
  std::vector<std::size_t> samples;
  std::vector<std::pair<std::size_t, double>> classes;  // class (a stratum), how many
  bool locked = false;                                  // shares the group with a given test or validation sample: stays in train
  Split split = Split::train;
};

std::uint64_t hash_of(std::int64_t seed, std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return Random::mix(Random::mix(static_cast<std::uint64_t>(seed) + 0x9e3779b97f4a7c15ULL) ^ hash);
}

bool is_given(const Manifest& manifest, const Sample& sample) {
  return (manifest.given_test && sample.split == Split::test) || (manifest.given_validation && sample.split == Split::validation);
}

Result<void> check(const Manifest& manifest, const demand::SplitPlan& plan) {
  if (!(plan.test >= 0) || !(plan.test < 1) || !(plan.validation >= 0) || !(plan.validation < 1)) {
    return Error{ErrorKind::usage,
                 fmt::format("split shares must lie in [0, 1), but validation is {} and test is {}", plan.validation, plan.test)};
  }
  if (manifest.samples.empty()) {
    return Error{ErrorKind::invalid_data, fmt::format("there is nothing to split: {} holds no accepted image", manifest.root)};
  }
  std::vector<std::int64_t> trainable(manifest.classes.size()), present(manifest.classes.size());
  for (const Sample& sample : manifest.samples) {
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= manifest.classes.size()) {
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: label {} is outside the {}", sample.path, sample.label, plural(manifest.classes.size(), "class name"))};
    }
    present[static_cast<std::size_t>(sample.label)]++;
    if (!is_given(manifest, sample)) trainable[static_cast<std::size_t>(sample.label)]++;
  }
  if (!one_class_each(manifest)) {
    const bool any = std::any_of(manifest.samples.begin(), manifest.samples.end(), [&](const Sample& sample) {
      return !is_given(manifest, sample) && (manifest.masks || !classes_within(manifest, sample).empty());
    });
    if (any) return {};
    return Error{
        ErrorKind::invalid_data,
        "every picture with objects, a mask, attributes or a text is in the given test or validation split, so that nothing can be learnt"};
  }
  for (std::size_t k = 0; k < manifest.classes.size(); ++k) {
    if (trainable[k] > 0) continue;
    const std::string why = present[k] == 0 ? "has no image at all" : "has images in the given test or validation split only";
    return Error{ErrorKind::invalid_data,
                 fmt::format("class \"{}\" {}, so it cannot be learnt; add training images or remove the class", manifest.classes[k], why)};
  }
  return {};
}

// Things with points that stand in one picture share its light and its ground: they are never in two splits.
void name_parts_of_pictures(Manifest& manifest) {
  if (!holds_landmarks(manifest)) return;
  std::map<std::string_view, std::int64_t> parts;
  const auto picture_of = [](const Sample& sample) { return std::string_view(sample.path).substr(0, sample.path.rfind('#')); };
  for (const Sample& sample : manifest.samples) ++parts[picture_of(sample)];
  for (Sample& sample : manifest.samples)
    if (parts[picture_of(sample)] > 1) sample.group = fmt::format("picture-{}", picture_of(sample));
}

// Groups of near duplicates get the name of their smallest digest, whatever the listing's order. Pictures of texts are all nearly alike:
// what counts there is that the same text (the same plate, of the same car) is never in two splits.
void name_near_duplicates(Manifest& manifest) {
  if (holds_texts(manifest)) {
    for (Sample& sample : manifest.samples) sample.group = "text-" + sample.annotation.text;
    return;
  }
  for (Sample& sample : manifest.samples) sample.group.clear();
  const DuplicateClusters clusters = clusters_to_keep_together(manifest);
  for (const auto& members : clusters.members) {
    const Sample* first = nullptr;
    for (std::int64_t i : members) {
      const Sample& sample = manifest.samples[static_cast<std::size_t>(i)];
      if (first == nullptr || std::tie(sample.digest, sample.path) < std::tie(first->digest, first->path)) first = &sample;
    }
    const std::string name = "near-" + (first->digest.empty() ? first->path : first->digest.substr(0, 16));
    for (std::int64_t i : members) manifest.samples[static_cast<std::size_t>(i)].group = name;
  }
  name_parts_of_pictures(manifest);
}

std::vector<Group> collect_groups(const Manifest& manifest, std::int64_t seed) {
  std::vector<Group> groups;
  std::unordered_map<std::string_view, std::size_t> by_name;
  const bool one_class = one_class_each(manifest);
  for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
    const Sample& sample = manifest.samples[i];
    const bool given = is_given(manifest, sample);
    std::size_t at = groups.size();
    if (!sample.group.empty()) at = by_name.try_emplace(sample.group, groups.size()).first->second;
    if (at == groups.size()) {
      const std::string_view name = sample.group.empty() ? std::string_view(sample.path) : std::string_view(sample.group);
      const std::string_view key = sample.group.empty() && !sample.digest.empty() ? std::string_view(sample.digest) : name;
      Group& fresh = groups.emplace_back();
      fresh.name = name;
      fresh.order = hash_of(seed, key);
    }
    Group& group = groups[at];
    group.locked = group.locked || given;
    if (given) continue;
    group.samples.push_back(i);
    for (const std::size_t stratum : strata_of(manifest, sample, one_class)) {
      const auto found = std::find_if(group.classes.begin(), group.classes.end(), [&](const auto& each) { return each.first == stratum; });
      if (found == group.classes.end()) {
        group.classes.emplace_back(stratum, 1);
      } else {
        found->second++;
      }
    }
  }
  std::erase_if(groups, [](const Group& group) { return group.samples.empty(); });
  const auto weight = [](const Group& group) {
    return std::accumulate(group.classes.begin(), group.classes.end(), 0.0, [](double sum, const auto& each) { return sum + each.second; });
  };
  std::sort(groups.begin(), groups.end(), [&](const Group& a, const Group& b) {
    if (weight(a) != weight(b)) return weight(a) > weight(b);
    return a.order != b.order ? a.order < b.order : a.name < b.name;
  });
  for (Group& group : groups) std::sort(group.classes.begin(), group.classes.end());
  return groups;
}

class Assignment {
 public:
  Assignment(const Manifest& manifest, const demand::SplitPlan& plan, std::vector<Group> groups)
      : groups_(std::move(groups)),
        one_class_(one_class_each(manifest)),
        target_(manifest.classes.size() + (one_class_ ? 0 : 1)),
        filled_(target_.size()) {
    std::vector<double> total(target_.size());
    for (const Group& group : groups_) {
      for (const auto& [k, count] : group.classes) total[k] += count;
    }
    for (std::size_t k = 0; k < total.size(); ++k) {
      const double test = manifest.given_test ? 0 : plan.test * total[k];
      const double validation = manifest.given_validation ? 0 : plan.validation * (total[k] - test);
      target_[k] = {total[k] - test - validation, validation, test};
    }
    wanted_ = {true, plan.validation > 0 && !manifest.given_validation, plan.test > 0 && !manifest.given_test};
  }

  void run() {
    for (Group& group : groups_) {
      if (group.locked) place(group, Split::train);
    }
    // Groups are sorted by size: the large ones find room while there is any, the small ones even out what is left.
    for (Group& group : groups_) {
      if (!group.locked && (!one_class_ || group.samples.size() > 1)) place(group, best_split(group));
    }
    if (one_class_) place_single_samples();
    for (std::size_t k = 0; k < filled_.size(); ++k) {
      if (filled_[k][index_of(Split::train)] < 0.5) bring_to_train(k);
    }
    for (Split split : {Split::test, Split::validation}) {
      if (wanted_[index_of(split)] && !anything_in(split)) take_from_train(split);
    }
  }

  bool wanted(Split split) const { return wanted_[index_of(split)]; }
  bool anything_in(Split split) const {
    return std::any_of(filled_.begin(), filled_.end(), [&](const auto& counts) { return counts[index_of(split)] > 0.5; });
  }
  const std::vector<Group>& groups() const { return groups_; }

 private:
  void place(Group& group, Split split, double sign = 1) {
    group.split = split;
    for (const auto& [k, count] : group.classes) filled_[k][index_of(split)] += sign * count;
  }
  void move(Group& group, Split split) {
    place(group, group.split, -1);
    place(group, split);
  }

  // Least growth of sum over classes and splits of (filled - target)² / target; train wins ties.
  Split best_split(const Group& group) const {
    Split best = Split::train;
    std::optional<double> least;
    for (Split split : {Split::train, Split::test, Split::validation}) {
      if (!wanted_[index_of(split)]) continue;
      double growth = 0;
      for (const auto& [k, count] : group.classes) {
        const double target = std::max(target_[k][index_of(split)], 1e-9);
        growth += count * (2 * (filled_[k][index_of(split)] - target) + count) / target;
      }
      if (!least || growth < *least - 1e-9) {
        least = growth;
        best = split;
      }
    }
    return best;
  }

  // What the groups have left open, class by class in the order of the hash. The rounding error is carried to the next class, so that many
  // small classes together still give the wanted shares.
  void place_single_samples() {
    std::vector<std::vector<Group*>> singles(filled_.size());
    for (Group& group : groups_) {
      if (!group.locked && group.samples.size() == 1) singles[group.classes.front().first].push_back(&group);
    }
    std::array<double, split_count> carry{};
    for (std::size_t k = 0; k < singles.size(); ++k) {
      const bool train_has_some = filled_[k][index_of(Split::train)] > 0.5;
      std::size_t available = singles[k].size() - (train_has_some || singles[k].empty() ? 0 : 1);
      auto next = singles[k].begin();
      for (Split split : {Split::test, Split::validation}) {
        if (!wanted_[index_of(split)]) continue;
        const double want = target_[k][index_of(split)] - filled_[k][index_of(split)] + carry[index_of(split)];
        const auto take = static_cast<std::size_t>(std::clamp(std::floor(want + 0.5), 0.0, static_cast<double>(available)));
        carry[index_of(split)] = std::clamp(want - static_cast<double>(take), -1.0, 1.0);
        for (std::size_t i = 0; i < take; ++i) place(**next++, split);
        available -= take;
      }
      while (next != singles[k].end()) place(**next++, Split::train);
    }
  }

  // groups_ is sorted by size, descending: the last that fits is the smallest.
  void bring_to_train(std::size_t k) {
    for (auto group = groups_.rbegin(); group != groups_.rend(); ++group) {
      if (std::any_of(group->classes.begin(), group->classes.end(), [&](const auto& each) { return each.first == k; })) {
        move(*group, Split::train);
        return;
      }
    }
  }
  void take_from_train(Split split) {
    for (auto group = groups_.rbegin(); group != groups_.rend(); ++group) {
      const bool spare = !group->locked && group->split == Split::train &&
                         std::all_of(group->classes.begin(), group->classes.end(),
                                     [&](const auto& each) { return filled_[each.first][index_of(Split::train)] > each.second + 0.5; });
      if (spare) {
        move(*group, split);
        return;
      }
    }
  }

  std::vector<Group> groups_;
  bool one_class_;
  std::vector<std::array<double, split_count>> target_, filled_;  // by class and split, in samples (in strata, with objects)
  std::array<bool, split_count> wanted_{};
};

}  // namespace

Result<void> assign_splits(Manifest& manifest, const demand::SplitPlan& plan, std::int64_t seed) {
  SIGHTLINE_CHECK(check(manifest, plan));
  if (plan.group_by == demand::GroupBy::near_duplicates) name_near_duplicates(manifest);
  if (plan.group_by == demand::GroupBy::none) {
    for (Sample& sample : manifest.samples) sample.group.clear();
  }
  keep_videos_whole(manifest.samples);
  Assignment assignment(manifest, plan, collect_groups(manifest, seed));
  assignment.run();
  if (assignment.wanted(Split::test) && !assignment.anything_in(Split::test)) {
    return Error{
        ErrorKind::invalid_data,
        fmt::format("no image can be put aside for the test: each of the {} would lose its only {}; add images, bring a test split "
                    "of your own, or set split.test to 0",
                    plural(manifest.classes.size(), "class"),
                    plan.group_by == demand::GroupBy::none ? "training image" : "group of training images")};
  }
  for (const Group& group : assignment.groups()) {
    for (std::size_t i : group.samples) manifest.samples[i].split = group.split;
  }
  return {};
}

}  // namespace sightline::dataset
