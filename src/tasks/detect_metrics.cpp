#include "tasks/detect_metrics.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <mutex>
#include <optional>

#include "tasks/detect_matches.h"

namespace sightline::tasks {

namespace {

constexpr std::size_t kRecalls = 101;                                     // 0.00, 0.01, ..., 1.00
constexpr double kSpacing = std::numeric_limits<double>::epsilon();       // keeps COCOeval's precision from dividing by 0
constexpr double kNothing = -1;                                           // nothing to measure
constexpr std::array<std::size_t, 3> kMostPerPicture{1, 10, kMostFound};  // of AR1, AR10, AR100

constexpr std::array<double, kRecalls> kRecallThresholds = [] {  // as NumPy's linspace(0, 1, 101)
  std::array<double, kRecalls> values{};
  for (std::size_t r = 0; r < kRecalls; ++r) values[r] = static_cast<double>(r) * 0.01;
  values.back() = 1;
  return values;
}();

// What each picture adds to one class.
struct ClassCases {
  std::vector<Found> found;                              // picture after picture, best first
  std::vector<std::size_t> begins{0};                    // of each picture in found, and the end
  std::vector<std::array<std::int32_t, kAreas>> wanted;  // of each picture
};

// All found boxes of one class, best first, equals in the order of their pictures.
struct Ranked {
  Found found;
  std::uint32_t picture = 0, place = 0;  // place: within ClassCases::found
};

// At which positions of a choice each picture stands.
class Choice {
 public:
  Choice(std::span<const std::int64_t> chosen, std::size_t pictures) : begins_(pictures + 1), positions_(chosen.size()) {
    for (const std::int64_t picture : chosen) ++begins_[static_cast<std::size_t>(picture) + 1];
    for (std::size_t p = 0; p < pictures; ++p) begins_[p + 1] += begins_[p];
    std::vector<std::uint32_t> next(begins_.begin(), begins_.end() - 1);
    for (std::size_t i = 0; i < chosen.size(); ++i) positions_[next[static_cast<std::size_t>(chosen[i])]++] = static_cast<std::uint32_t>(i);
  }
  std::span<const std::uint32_t> of(std::size_t picture) const {
    return std::span(positions_).subspan(begins_[picture], begins_[picture + 1] - begins_[picture]);
  }

 private:
  std::vector<std::uint32_t> begins_, positions_;
};

// The found boxes of a choice in the order in which a stable sort by score leaves them: equals by position in the choice, then as they
// stand in their picture.
std::vector<const Found*> order_of(const std::vector<Ranked>& ranking, const Choice& choice) {
  std::vector<const Found*> order;
  order.reserve(ranking.size());
  struct Copy {
    std::uint32_t position, place;
    const Found* found;
  };
  std::vector<Copy> equals;
  for (std::size_t begin = 0, end = 0; begin < ranking.size(); begin = end) {
    while (end < ranking.size() && ranking[end].found.score == ranking[begin].found.score) ++end;
    if (end == begin + 1) {
      order.insert(order.end(), choice.of(ranking[begin].picture).size(), &ranking[begin].found);
      continue;
    }
    equals.clear();
    for (std::size_t i = begin; i < end; ++i) {
      for (const std::uint32_t position : choice.of(ranking[i].picture)) equals.push_back({position, ranking[i].place, &ranking[i].found});
    }
    std::sort(equals.begin(), equals.end(),
              [](const Copy& a, const Copy& b) { return a.position != b.position ? a.position < b.position : a.place < b.place; });
    for (const Copy& copy : equals) order.push_back(copy.found);
  }
  return order;
}

// Precision where each recall is first reached, best of what follows; and the last recall. For one overlap and one range of areas.
struct Precisions {
  std::array<double, kRecalls> at{};
  double recall = 0;
};

// at_hit: boxes that count up to and with each hit, in the order of their scores. hits_for: how many hits reach each recall.
Precisions precisions_of(const std::vector<std::uint32_t>& at_hit, const std::array<std::size_t, kRecalls>& hits_for, std::int64_t wanted) {
  Precisions result;
  // Between two hits precision only falls, so the best of what follows any box is found at a hit.
  std::vector<double> best(at_hit.size());
  double largest = 0;
  for (std::size_t hit = at_hit.size(); hit-- > 0;) {
    largest = std::max(largest, static_cast<double>(hit + 1) / (static_cast<double>(at_hit[hit]) + kSpacing));
    best[hit] = largest;
  }
  for (std::size_t r = 0; r < kRecalls && hits_for[r] <= best.size(); ++r) result.at[r] = best[hits_for[r] - 1];
  result.recall = static_cast<double>(best.size()) / static_cast<double>(wanted);
  return result;
}

std::array<std::size_t, kRecalls> hits_for_recalls(std::int64_t wanted) {
  std::array<std::size_t, kRecalls> hits{};
  std::size_t count = 1;  // a recall of 0 is asked for at the first box, and the best of what follows it is at a hit
  for (std::size_t r = 0; r < kRecalls; ++r) {
    while (static_cast<double>(count) / static_cast<double>(wanted) < kRecallThresholds[r]) ++count;
    hits[r] = count;
  }
  return hits;
}

std::array<Precisions, kOverlaps> precisions_in(const std::vector<const Found*>& order, std::size_t area, std::int64_t wanted) {
  std::array<std::vector<std::uint32_t>, kOverlaps> at_hit;
  std::array<std::uint32_t, kOverlaps> seen{};
  for (const Found* found : order) {
    const unsigned counted = found->counted[area], hit = found->hit[area];
    for (std::size_t t = 0; t < kOverlaps; ++t) seen[t] += (counted >> t) & 1U;
    for (std::size_t t = 0; hit >> t != 0; ++t) {
      if (((hit >> t) & 1U) != 0) at_hit[t].push_back(seen[t]);
    }
  }
  const std::array<std::size_t, kRecalls> hits_for = hits_for_recalls(wanted);
  std::array<Precisions, kOverlaps> result;
  for (std::size_t t = 0; t < kOverlaps; ++t) result[t] = precisions_of(at_hit[t], hits_for, wanted);
  return result;
}

// Where precision and recall are best together: all boxes that reach the score are taken.
struct BestScore {
  double score = 0, f1 = 0, precision = 0, recall = 0;
};
double f1_of(std::int64_t hits, std::int64_t counted, std::int64_t wanted) {
  return counted + wanted == 0 ? 0 : 2 * static_cast<double>(hits) / static_cast<double>(counted + wanted);
}
std::optional<BestScore> best_score(const std::vector<const Found*>& order, std::int64_t wanted) {
  std::optional<BestScore> best;
  std::int64_t hits = 0, counted = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    hits += order[i]->hit[kAllAreas] & 1U;  // bit 0: an overlap of 0.5
    counted += order[i]->counted[kAllAreas] & 1U;
    if (i + 1 < order.size() && order[i + 1]->score == order[i]->score) continue;
    const double f1 = f1_of(hits, counted, wanted);
    if (hits == 0 || (best && f1 <= best->f1)) continue;
    best = BestScore{order[i]->score, f1, static_cast<double>(hits) / static_cast<double>(counted),
                     static_cast<double>(hits) / static_cast<double>(wanted)};
  }
  return best;
}

// COCOeval's arrays, [overlap][recall][class] and [overlap][class], -1 where a class has nothing to be found.
struct Table {
  std::size_t classes;
  std::vector<double> precision, recall;
  explicit Table(std::size_t k) : classes(k), precision(kOverlaps * kRecalls * k, kNothing), recall(kOverlaps * k, kNothing) {}
  void set(std::size_t k, const std::array<Precisions, kOverlaps>& values) {
    for (std::size_t t = 0; t < kOverlaps; ++t) {
      for (std::size_t r = 0; r < kRecalls; ++r) precision[(t * kRecalls + r) * classes + k] = values[t].at[r];
      recall[t * classes + k] = values[t].recall;
    }
  }
  std::span<const double> precision_at(std::size_t overlap) const {
    return std::span(precision).subspan(overlap * kRecalls * classes, kRecalls * classes);
  }
};

void put_mean(std::map<std::string, double>& values, const std::string& name, std::span<const double> table) {
  std::vector<double> measured;
  measured.reserve(table.size());
  for (const double value : table) {
    if (value > kNothing) measured.push_back(value);
  }
  if (!measured.empty()) values[name] = numpy_mean(measured);
}

class DetectMeter final : public Meter {
 public:
  explicit DetectMeter(std::vector<std::string> names) : names_(std::move(names)), classes_(names_.size()) {}

  void add(const Case& one) override {
    for (std::size_t k = 0; k < classes_.size(); ++k) {
      const ClassMatches matches = match_class(one.truth.objects, one.prediction.objects, static_cast<std::int32_t>(k));
      ClassCases& cases = classes_[k];
      cases.found.insert(cases.found.end(), matches.found.begin(), matches.found.end());
      cases.begins.push_back(cases.found.size());
      cases.wanted.push_back(matches.wanted);
    }
    ++pictures_;
  }

  Figures figures(std::span<const std::int64_t> chosen, bool curves) const override;
  double wrongness(std::int64_t place) const override;

 private:
  // What is the same for every choice, made when it is first asked for.
  struct Rankings {
    std::size_t pictures = 0;
    std::vector<std::vector<Ranked>> of_class;
    std::vector<double> best_scores;
  };
  const Rankings& rankings() const;
  std::int64_t wanted(std::size_t k, std::size_t area, std::span<const std::int64_t> chosen) const;
  std::array<double, kOverlaps> recall_of_best(std::size_t k, std::size_t most, std::span<const std::int64_t> chosen) const;

  std::vector<std::string> names_;
  std::vector<ClassCases> classes_;
  std::size_t pictures_ = 0;
  mutable std::mutex mutex_;
  mutable Rankings rankings_;
};

const DetectMeter::Rankings& DetectMeter::rankings() const {
  const std::lock_guard lock(mutex_);
  if (rankings_.pictures == pictures_ && rankings_.of_class.size() == classes_.size()) return rankings_;
  rankings_ = {.pictures = pictures_};
  for (std::size_t k = 0; k < classes_.size(); ++k) {
    const ClassCases& cases = classes_[k];
    std::vector<Ranked>& ranking = rankings_.of_class.emplace_back();
    ranking.reserve(cases.found.size());
    std::int64_t all = 0;
    for (std::size_t p = 0; p < pictures_; ++p) {
      all += cases.wanted[p][kAllAreas];
      for (std::size_t i = cases.begins[p]; i < cases.begins[p + 1]; ++i)
        ranking.push_back({cases.found[i], static_cast<std::uint32_t>(p), static_cast<std::uint32_t>(i)});
    }
    std::stable_sort(ranking.begin(), ranking.end(), [](const Ranked& a, const Ranked& b) { return a.found.score > b.found.score; });
    std::vector<const Found*> order;
    order.reserve(ranking.size());
    for (const Ranked& each : ranking) order.push_back(&each.found);
    constexpr double without_objects = 0.5;  // no score is best for what never was there
    const std::optional<BestScore> best = best_score(order, all);
    rankings_.best_scores.push_back(best ? best->score : without_objects);
  }
  return rankings_;
}

std::int64_t DetectMeter::wanted(std::size_t k, std::size_t area, std::span<const std::int64_t> chosen) const {
  std::int64_t sum = 0;
  for (const std::int64_t p : chosen) sum += classes_[k].wanted[static_cast<std::size_t>(p)][area];
  return sum;
}

// Of the `most` best boxes of each picture, all areas.
std::array<double, kOverlaps> DetectMeter::recall_of_best(std::size_t k, std::size_t most, std::span<const std::int64_t> chosen) const {
  const ClassCases& cases = classes_[k];
  std::array<std::int64_t, kOverlaps> hits{};
  for (const std::int64_t chosen_picture : chosen) {
    const auto p = static_cast<std::size_t>(chosen_picture);
    const std::size_t end = std::min(cases.begins[p + 1], cases.begins[p] + most);
    for (std::size_t i = cases.begins[p]; i < end; ++i) {
      for (std::size_t t = 0; t < kOverlaps; ++t) hits[t] += (cases.found[i].hit[kAllAreas] >> t) & 1U;
    }
  }
  const auto all = static_cast<double>(wanted(k, kAllAreas, chosen));
  std::array<double, kOverlaps> recall{};
  for (std::size_t t = 0; t < kOverlaps; ++t) recall[t] = static_cast<double>(hits[t]) / all;
  return recall;
}

Figures DetectMeter::figures(std::span<const std::int64_t> chosen, bool curves) const {
  const Rankings& ranked = rankings();
  const Choice choice(chosen, pictures_);
  Figures figures{.pictures = static_cast<std::int64_t>(chosen.size())};
  std::vector<Table> areas(kAreas, Table(classes_.size()));
  std::array<std::vector<double>, 2> recall_of_few;  // AR1, AR10: [overlap][class]
  for (auto& recall : recall_of_few) recall.assign(kOverlaps * classes_.size(), kNothing);
  Curve curve{.title = "Precision and recall at IoU 0.5", .x = "recall", .y = "precision"};

  for (std::size_t k = 0; k < classes_.size(); ++k) {
    ClassValues& of_class = figures.per_class.emplace_back(ClassValues{.name = names_[k], .count = wanted(k, kAllAreas, chosen)});
    figures.count += of_class.count;
    if (of_class.count == 0) continue;  // then there is none of any size either
    const std::vector<const Found*> order = order_of(ranked.of_class[k], choice);
    for (std::size_t a = 0; a < kAreas; ++a) {
      const std::int64_t of_area = wanted(k, a, chosen);
      if (of_area == 0) continue;
      const std::array<Precisions, kOverlaps> values = precisions_in(order, a, of_area);
      areas[a].set(k, values);
      if (a != kAllAreas) continue;
      std::vector<double> precision;
      for (const Precisions& each : values) precision.insert(precision.end(), each.at.begin(), each.at.end());
      of_class.values["mAP50-95"] = numpy_mean(precision);
      of_class.values["mAP50"] = numpy_mean(std::span(precision).first(kRecalls));
      if (curves)
        curve.lines.push_back({names_[k],
                               {kRecallThresholds.begin(), kRecallThresholds.end()},
                               {values[kOverlapOfHalf].at.begin(), values[kOverlapOfHalf].at.end()}});
    }
    for (std::size_t m = 0; m < recall_of_few.size(); ++m) {
      const std::array<double, kOverlaps> recall = recall_of_best(k, kMostPerPicture[m], chosen);
      for (std::size_t t = 0; t < kOverlaps; ++t) recall_of_few[m][t * classes_.size() + k] = recall[t];
    }
    of_class.values["recall"] = of_class.values["f1"] = 0;
    if (const std::optional<BestScore> best = best_score(order, of_class.count)) {
      of_class.values["score"] = best->score;
      of_class.values["f1"] = best->f1;
      of_class.values["precision"] = best->precision;
      of_class.values["recall"] = best->recall;
    }
  }

  put_mean(figures.values, "mAP50-95", areas[kAllAreas].precision);
  put_mean(figures.values, "mAP50", areas[kAllAreas].precision_at(kOverlapOfHalf));
  put_mean(figures.values, "mAP75", areas[kAllAreas].precision_at(kOverlapOfThreeQuarters));
  put_mean(figures.values, "AR1", recall_of_few[0]);
  put_mean(figures.values, "AR10", recall_of_few[1]);
  put_mean(figures.values, "AR100", areas[kAllAreas].recall);
  for (std::size_t a = kAllAreas + 1; a < kAreas; ++a) {
    put_mean(figures.values, std::string("mAP50-95_") + kAreaRanges[a].name, areas[a].precision);
    put_mean(figures.values, std::string("AR_") + kAreaRanges[a].name, areas[a].recall);
  }
  if (curves) figures.curves.push_back(std::move(curve));
  return figures;
}

double DetectMeter::wrongness(std::int64_t place) const {
  const Rankings& ranked = rankings();
  const auto p = static_cast<std::size_t>(place);
  std::int64_t hits = 0, counted = 0, wanted = 0;
  for (std::size_t k = 0; k < classes_.size(); ++k) {
    const ClassCases& cases = classes_[k];
    wanted += cases.wanted[p][kAllAreas];
    for (std::size_t i = cases.begins[p]; i < cases.begins[p + 1] && cases.found[i].score >= ranked.best_scores[k]; ++i) {
      hits += cases.found[i].hit[kAllAreas] & 1U;
      counted += cases.found[i].counted[kAllAreas] & 1U;
    }
  }
  return wanted + counted == 0 ? 0 : 1 - f1_of(hits, counted, wanted);
}

double pairwise_sum(std::span<const double> values) {
  constexpr std::size_t lanes = 8, block = 128;
  if (values.size() < lanes) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum;
  }
  if (values.size() <= block) {
    std::array<double, lanes> sums{};
    std::size_t i = 0;
    for (; i + lanes <= values.size(); i += lanes) {
      for (std::size_t j = 0; j < lanes; ++j) sums[j] += values[i + j];
    }
    double sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; i < values.size(); ++i) sum += values[i];
    return sum;
  }
  const std::size_t half = values.size() / 2 / lanes * lanes;
  return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
}

}  // namespace

std::unique_ptr<Meter> detect_meter(const std::vector<std::string>& classes) { return std::make_unique<DetectMeter>(classes); }

double numpy_mean(std::span<const double> values) {
  constexpr std::size_t piece = 8192;
  if (values.empty()) return 0;
  double sum = 0;
  for (std::size_t begin = 0; begin < values.size(); begin += piece)
    sum += pairwise_sum(values.subspan(begin, std::min(piece, values.size() - begin)));
  return sum / static_cast<double>(values.size());
}

}  // namespace sightline::tasks
