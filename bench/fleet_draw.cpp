#include "bench/fleet_draw.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "base/random.h"
#include "base/text.h"

namespace sightline::bench {
namespace {

constexpr std::size_t tries = 20'000;    // a source that finds nothing new so often has no more
constexpr std::size_t few_classes = 10;  // so few are dealt out to the groups; of more, some are drawn
constexpr std::size_t most_classes = 5, largest_group = 4;

using Grouping = std::vector<std::vector<std::size_t>>;  // classes of each label, ascending; labels sorted

std::vector<std::size_t> draw(std::vector<std::size_t> from, std::size_t count, Random& random) {
  random.shuffle(from);
  from.resize(std::min(count, from.size()));
  std::sort(from.begin(), from.end());
  return from;
}

std::vector<std::size_t> without(const std::vector<std::size_t>& from, const std::vector<std::size_t>& what) {
  std::vector<std::size_t> rest;
  std::set_difference(from.begin(), from.end(), what.begin(), what.end(), std::back_inserter(rest));
  return rest;
}

Grouping draw_grouping(const Facet& facet, Kind kind, Random& random) {
  std::vector<std::size_t> classes;
  for (std::size_t c = 0; c < facet.classes.size(); ++c)
    if (facet.others != static_cast<std::int64_t>(c)) classes.push_back(c);
  Grouping grouping;
  if (kind == Kind::classes) {
    for (const std::size_t c : draw(classes, 2 + random.below(most_classes - 1), random)) grouping.push_back({c});
  } else if (kind == Kind::one) {
    const auto one = draw(classes, 1, random);
    grouping = {one, facet.others >= 0 ? std::vector{static_cast<std::size_t>(facet.others)} : without(classes, one)};
  } else if (classes.size() <= few_classes) {
    Grouping dealt(3);
    for (const std::size_t c : classes) dealt[random.below(3)].push_back(c);
    grouping = {dealt[0], dealt[1]};
  } else {
    const auto first = draw(classes, 1 + random.below(largest_group), random);
    grouping = {first, draw(without(classes, first), 1 + random.below(largest_group), random)};
  }
  std::sort(grouping.begin(), grouping.end());
  return grouping;
}

// On which side each group of free pictures goes: at random, but so that every class is halved.
std::map<std::string, bool> halve(const Source& source, const Facet& facet, const Grouping& grouping, Random& random) {
  std::map<std::string, std::vector<std::size_t>> classes_of;  // of each picture in the group
  for (const auto& classes : grouping)
    for (const std::size_t c : classes)
      for (const std::size_t i : facet.classes[c].pictures)
        if (source.pictures[i].part == Part::free) classes_of[source.pictures[i].group].push_back(c);
  std::vector<std::string> groups;
  groups.reserve(classes_of.size());
  for (const auto& [group, classes] : classes_of) groups.push_back(group);
  random.shuffle(groups);
  std::map<std::size_t, std::int64_t> surplus;  // of test pictures, by class
  std::map<std::string, bool> tested;
  for (const std::string& group : groups) {
    std::int64_t sum = 0;
    for (const std::size_t c : classes_of.at(group)) sum += surplus[c];
    const bool test = sum == 0 ? random.below(2) == 1 : sum < 0;
    tested[group] = test;
    for (const std::size_t c : classes_of.at(group)) surplus[c] += test ? 1 : -1;
  }
  return tested;
}

// At most most_pictures of these classes, evenly, and of each class as many groups as possible.
std::vector<std::size_t> choose(const Source& source, std::vector<std::vector<std::size_t>> lists, Random& random) {
  for (auto& list : lists) {
    random.shuffle(list);
    std::map<std::string, std::size_t> seen;
    std::map<std::size_t, std::size_t> turn;  // the how-manieth of its group
    for (const std::size_t i : list) turn[i] = seen[source.pictures[i].group]++;
    std::stable_sort(list.begin(), list.end(), [&](std::size_t a, std::size_t b) { return turn.at(a) < turn.at(b); });
  }
  random.shuffle(lists);
  std::vector<std::size_t> chosen;
  for (std::size_t k = 0; chosen.size() < most_pictures; ++k) {
    bool any = false;
    for (const auto& list : lists) {
      if (k >= list.size() || chosen.size() == most_pictures) continue;
      chosen.push_back(list[k]);
      any = true;
    }
    if (!any) break;
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

// None when a label has too few pictures on one side.
std::optional<Task> make_task(const Source& source, std::size_t facet_index, Kind kind, const Grouping& grouping, Random& random) {
  const Facet& facet = source.facets[facet_index];
  Task task{.name = {}, .source = 0, .facet = facet_index, .kind = kind, .labels = {}};
  const auto tested = halve(source, facet, grouping, random);
  const auto on = [&](std::size_t i, bool test) {
    const Picture& picture = source.pictures[i];
    return picture.part == Part::free ? tested.at(picture.group) == test : (picture.part == Part::test) == test;
  };
  for (const auto& classes : grouping) {
    Label label{.name = {}, .classes = classes, .train = {}, .test = {}};
    std::vector<std::string> names;
    for (const std::size_t c : classes) names.push_back(facet.classes[c].name);
    label.name = kind == Kind::one && classes.size() > 1 ? "others" : join(names, "+");
    for (const bool test : {false, true}) {
      std::vector<std::vector<std::size_t>> lists;
      for (const std::size_t c : classes) {
        auto& list = lists.emplace_back();
        for (const std::size_t i : facet.classes[c].pictures)
          if (on(i, test)) list.push_back(i);
      }
      auto& chosen = test ? label.test : label.train;
      chosen = choose(source, std::move(lists), random);
      if (chosen.size() < least_pictures) return std::nullopt;
    }
    task.labels.push_back(std::move(label));
  }
  return task;
}

std::vector<Task> draw_from(const Source& source, std::size_t count, std::uint64_t seed) {
  std::vector<Task> tasks;
  std::set<std::pair<std::size_t, Grouping>> known;  // those that cannot be made as well
  Random random(seed);
  for (std::size_t failed = 0; tasks.size() < count && failed < tries; ++failed) {
    const std::size_t facet = random.below(source.facets.size());
    const std::uint64_t dice = random.below(10);
    const Kind kind = dice < 5 ? Kind::classes : dice < 6 ? Kind::one : Kind::groups;
    const Grouping grouping = draw_grouping(source.facets[facet], kind, random);
    const bool empty = std::any_of(grouping.begin(), grouping.end(), [](const auto& classes) { return classes.empty(); });
    if (grouping.size() < 2 || empty || !known.emplace(facet, grouping).second) continue;
    auto task = make_task(source, facet, kind, grouping, random);
    if (!task) continue;
    task->name = fmt::format("{}-{}-{:03}", source.name, kind_names.at(static_cast<std::size_t>(kind)), tasks.size());
    tasks.push_back(std::move(*task));
    failed = 0;
  }
  return tasks;
}

}  // namespace

std::vector<Task> draw_tasks(const std::vector<Source>& sources, std::size_t count, std::uint64_t seed) {
  std::vector<std::vector<Task>> drawn;
  for (std::size_t s = 0; s < sources.size(); ++s) {
    drawn.push_back(draw_from(sources[s], std::min(count, most_tasks), Random(seed, s).next()));
    for (Task& task : drawn.back()) task.source = s;
  }
  std::vector<Task> tasks;
  for (std::size_t turn = 0; turn < most_tasks && tasks.size() < count; ++turn) {
    for (auto& of_source : drawn)
      if (turn < of_source.size() && tasks.size() < count) tasks.push_back(std::move(of_source[turn]));
  }
  return tasks;
}

std::map<std::size_t, std::size_t> split_whole(const Source& source, std::uint64_t seed) {
  const Facet& facet = source.facets[0];
  struct Group {
    std::vector<std::pair<std::size_t, std::size_t>> pictures;  // and their classes
    Part part = Part::free;
  };
  std::map<std::string, Group> groups;
  std::map<std::pair<std::size_t, Part>, double> total;
  for (std::size_t c = 0; c < facet.classes.size(); ++c) {
    for (const std::size_t i : facet.classes[c].pictures) {
      const Picture& picture = source.pictures[i];
      Group& group = groups[picture.group];
      group.pictures.emplace_back(i, c);
      group.part = picture.part;
      ++total[{c, picture.part}];
    }
  }
  std::vector<const Group*> order;
  for (const auto& [name, group] : groups) order.push_back(&group);
  Random(seed).shuffle(order);

  std::map<std::size_t, std::size_t> result;
  std::map<std::pair<std::size_t, std::size_t>, double> have;  // class, split
  for (const Group* group : order) {
    const std::array<double, 3> shares = group->part == Part::free    ? std::array{0.64, 0.16, 0.2}
                                         : group->part == Part::train ? std::array{0.8, 0.2, 0.0}
                                                                      : std::array{0.0, 0.0, 1.0};
    std::array<double, 3> need{};
    for (std::size_t s = 0; s < shares.size(); ++s)
      for (const auto& [i, c] : group->pictures) need.at(s) += shares.at(s) * total.at({c, group->part}) - have[{c, s}];
    // A split without a share is no choice, however little the others need.
    for (std::size_t s = 0; s < shares.size(); ++s)
      if (shares.at(s) == 0) need.at(s) = -1e9;
    const auto split = static_cast<std::size_t>(std::max_element(need.begin(), need.end()) - need.begin());
    for (const auto& [i, c] : group->pictures) {
      result[i] = split;
      ++have[{c, split}];
    }
  }
  return result;
}

std::string write_table(const Source& source, const Task& task) {
  std::string text = "path,label,split\n";
  for (const Label& label : task.labels) {
    for (const auto& [pictures, split] : {std::pair{&label.train, "train"}, std::pair{&label.test, "test"}})
      for (const std::size_t i : *pictures) text += fmt::format("{},{},{}\n", source.pictures[i].path, label.name, split);
  }
  return text;
}

}  // namespace sightline::bench
