#include "tasks/detect_suspects.h"

#include <algorithm>
#include <map>

namespace sightline::tasks {
namespace {

using annotation::Object;

constexpr double meets = 0.5, touches = 0.3, at_all = 0.1;
constexpr double well_placed = 0.75;  // of the usual overlap
constexpr double least_score = 0.1;
constexpr double usual_errors = 0.05;  // a kind of contradiction that is as frequent as this is half the model's fault

// How sure the model is of a class where it is right, and how well it places it.
struct Usual {
  double score = 0, overlap = 0;
  std::int64_t count = 0;
};

// The found box that scores best among those that `fits` takes; null: there is none.
template <class Fits>
const Object* best_of(const std::vector<Object>& found, Fits fits) {
  const Object* best = nullptr;
  for (const Object& each : found)
    if (fits(each) && (best == nullptr || each.score > best->score)) best = &each;
  return best;
}

const Object* met(const Object& given, const std::vector<Object>& found) {
  return best_of(found, [&](const Object& each) { return each.label == given.label && annotation::overlap(each.box, given.box) >= meets; });
}

std::map<std::int32_t, Usual> usual_of(std::span<const Case> cases) {
  std::map<std::int32_t, Usual> usual;
  for (const Case& one : cases)
    for (const Object& given : one.truth.objects) {
      if (given.ignored()) continue;
      Usual& sum = usual[given.label];
      const Object* best = met(given, one.prediction.objects);
      if (best == nullptr) continue;
      sum.score += best->score;
      sum.overlap += annotation::overlap(best->box, given.box);
      ++sum.count;
    }
  for (auto& [label, sum] : usual) {
    if (sum.count == 0) continue;
    sum.score /= static_cast<double>(sum.count);
    sum.overlap /= static_cast<double>(sum.count);
  }
  return usual;
}

// What speaks most against one given box; a score of 0: nothing.
SuspectBox doubt_of(const Object& given, const std::vector<Object>& found, const Usual& usual) {
  SuspectBox doubt{.suspicion = Suspicion::unseen, .given = given};
  const auto rather = [&](Suspicion suspicion, const Object* seen, double score) {
    if (score <= doubt.score) return;
    doubt.suspicion = suspicion;
    doubt.seen = seen == nullptr ? std::nullopt : std::optional(*seen);
    doubt.score = score;
  };
  const Object* any = best_of(found, [&](const Object& each) { return annotation::overlap(each.box, given.box) >= at_all; });
  const Object* other =
      best_of(found, [&](const Object& each) { return each.label != given.label && annotation::overlap(each.box, given.box) >= meets; });
  const Object* own =
      best_of(found, [&](const Object& each) { return each.label == given.label && annotation::overlap(each.box, given.box) >= at_all; });
  const Object* right = met(given, found);
  rather(Suspicion::unseen, nullptr, usual.score - (any == nullptr ? 0 : any->score));
  if (other != nullptr) rather(Suspicion::other, other, other->score - (right == nullptr ? 0 : right->score));
  if (own != nullptr && usual.count > 0) {
    const double overlap = annotation::overlap(own->box, given.box);
    if (overlap < well_placed * usual.overlap) rather(Suspicion::displaced, own, (1 - overlap / usual.overlap) * own->score);
  }
  return doubt;
}

}  // namespace

const char* words_for(Suspicion suspicion) {
  switch (suspicion) {
    case Suspicion::missed: return "an object that has no box";
    case Suspicion::unseen: return "a box where nothing is seen";
    case Suspicion::other: return "another class is seen";
    case Suspicion::displaced: return "the object is seen elsewhere";
  }
  return "";
}

std::vector<SuspectBox> rank_suspect_boxes(std::span<const Case> cases) {
  const std::map<std::int32_t, Usual> usual = usual_of(cases);
  std::vector<SuspectBox> ranking;
  for (std::size_t place = 0; place < cases.size(); ++place) {
    const Case& one = cases[place];
    std::vector<const Object*> told;  // found boxes that stand in another row already
    for (const Object& given : one.truth.objects) {
      if (given.ignored()) continue;
      SuspectBox doubt = doubt_of(given, one.prediction.objects, usual.at(given.label));
      if (doubt.score < least_score) continue;
      doubt.place = static_cast<std::int64_t>(place);
      if (doubt.seen)
        for (const Object& each : one.prediction.objects)
          if (each == *doubt.seen) told.push_back(&each);
      ranking.push_back(doubt);
    }
    for (const Object& seen : one.prediction.objects) {
      if (std::ranges::find(told, &seen) != told.end()) continue;
      const bool accounted = std::ranges::any_of(one.truth.objects, [&](const Object& given) {
        // Within a crowd a box is small beside it.
        const double width = std::min(given.box.right, seen.box.right) - std::max(given.box.left, seen.box.left),
                     height = std::min(given.box.bottom, seen.box.bottom) - std::max(given.box.top, seen.box.top);
        const bool within = given.ignored() && width > 0 && height > 0 && width * height >= meets * seen.box.area();
        return within || annotation::overlap(seen.box, given.box) >= touches;
      });
      if (!accounted && seen.score >= least_score)
        ranking.push_back({.place = static_cast<std::int64_t>(place), .suspicion = Suspicion::missed, .seen = seen, .score = seen.score});
    }
  }
  std::array<double, EnumNames<Suspicion>::names.size()> rarity{};
  for (const SuspectBox& each : ranking) rarity[static_cast<std::size_t>(each.suspicion)] += each.score;
  double given = 0;
  for (const Case& one : cases)
    given += static_cast<double>(std::ranges::count_if(one.truth.objects, [](const Object& object) { return !object.ignored(); }));
  for (double& each : rarity) each = usual_errors / (usual_errors + each / std::max(given, 1.0));
  for (SuspectBox& each : ranking) each.score *= rarity[static_cast<std::size_t>(each.suspicion)];
  std::ranges::stable_sort(ranking, [](const SuspectBox& a, const SuspectBox& b) { return a.score > b.score; });
  return ranking;
}

}  // namespace sightline::tasks
