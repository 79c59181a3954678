#include "tasks/embed_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <mutex>
#include <numeric>

#include "tasks/embed.h"
#include "tasks/embed_scores.h"

namespace sightline::tasks {

namespace {

constexpr std::int32_t kFolds = 10;
constexpr double kLeastAccepted = 30;  // impostors, of a rate that is stated
constexpr std::size_t kRanks = 5;
constexpr std::size_t kCurvePoints = 200, kBins = 40;

struct FalseMatchRate {
  const char* name;
  double share;
};
constexpr std::array kRates{FalseMatchRate{"tar_at_fmr_1e-2", 1e-2}, FalseMatchRate{"tar_at_fmr_1e-3", 1e-3},
                            FalseMatchRate{"tar_at_fmr_1e-4", 1e-4}};

struct Picture {
  std::int64_t place = 0;  // of the case
  std::int32_t identity = 0;
  std::string group;
  std::vector<float> embedding;
};

// What a picture finds among all others.
struct Probe {
  std::size_t picture = 0;
  std::size_t rank = 0;        // 1: the nearest one shows the same identity
  float own = -1, other = -1;  // the most alike of its identity, and of the others
};

// Whether item `i` of `count` is one of `most` that are taken evenly.
bool taken_evenly(std::size_t i, std::size_t count, std::size_t most) {
  return count <= most || (i * most / count) != ((i + 1) * most / count);
}

void sort_by_score(std::vector<Comparison>& pairs) {
  std::stable_sort(pairs.begin(), pairs.end(), [](const Comparison& a, const Comparison& b) { return a.score > b.score; });
}

Line thinned(const Line& line) {
  const std::size_t stride = (line.x.size() + kCurvePoints - 1) / kCurvePoints;
  Line thin{.name = line.name};
  for (std::size_t i = 0; i < line.x.size(); ++i) {
    if (i % std::max<std::size_t>(stride, 1) != 0 && i + 1 != line.x.size()) continue;
    thin.x.push_back(line.x[i]);
    thin.y.push_back(line.y[i]);
  }
  return thin;
}

Curve roc(std::span<const ScoreStep> steps) {
  double genuine = 0, impostor = 0, all_genuine = 0, all_impostor = 0;
  for (const ScoreStep& step : steps) {
    all_genuine += step.genuine;
    all_impostor += step.impostor;
  }
  Line line{.name = "", .x = {0}, .y = {0}};
  for (const ScoreStep& step : steps) {
    line.x.push_back((impostor += step.impostor) / all_impostor);
    line.y.push_back((genuine += step.genuine) / all_genuine);
  }
  return {"Pairs of one identity that are accepted, against pairs of two", "false match rate", "true accept rate", {thinned(line)}};
}

Curve histogram(std::span<const ScoreStep> steps) {
  Line genuine{.name = "pairs of one identity"}, impostor{.name = "pairs of two"};
  double all_genuine = 0, all_impostor = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin)
    for (Line* line : {&genuine, &impostor}) {
      line->x.push_back(-1 + (static_cast<double>(bin) + 0.5) * 2 / kBins);
      line->y.push_back(0);
    }
  for (const ScoreStep& step : steps) {
    const auto bin = static_cast<std::size_t>(std::clamp((step.score + 1) / 2 * kBins, 0.0, kBins - 1.0));
    all_genuine += step.genuine;
    all_impostor += step.impostor;
    genuine.y[bin] += step.genuine;
    impostor.y[bin] += step.impostor;
  }
  for (double& each : genuine.y) each /= all_genuine;
  for (double& each : impostor.y) each /= all_impostor;
  return {"How alike pairs are", "cosine", "share", {std::move(genuine), std::move(impostor)}};
}

class EmbedMeter final : public Meter {
 public:
  void add(const Case& one) override {
    const std::int64_t place = cases_++;
    picture_of_.push_back(-1);
    if (one.truth.label < 0 || one.prediction.embedding.empty()) return;
    const auto [found, fresh] = identity_of_.emplace(one.truth.label, static_cast<std::int32_t>(identity_of_.size()));
    picture_of_.back() = static_cast<std::int64_t>(pictures_.size());
    pictures_.push_back({place, found->second, one.group, one.prediction.embedding});
  }
  void compare(std::span<const annotation::Pair> pairs) override { wanted_.assign(pairs.begin(), pairs.end()); }
  std::int64_t units(std::int64_t /*cases*/) const override { return std::ssize(identity_of_); }

  Figures figures(std::span<const std::int64_t> chosen, bool curves) const override;
  double wrongness(std::int64_t place) const override;
  std::vector<JudgedPair> worst_pairs(std::size_t most) const override;

 private:
  // Everything that does not depend on what is chosen.
  void prepare() const {
    std::call_once(prepared_, [this] {
      compare_all();
      find_nearest();
      take_pairs();
    });
  }
  void compare_all() const;
  void find_nearest() const;
  void take_pairs() const;
  void deal_parts() const;
  Comparison comparison(const Picture& a, const Picture& b) const {
    return {.score = cosine(a.embedding, b.embedding),
            .first = a.identity,
            .second = b.identity,
            .case_a = a.place,
            .case_b = b.place,
            .fold = 0};
  }
  const Picture* picture_at(std::int64_t place) const {
    const bool there = place >= 0 && place < cases_ && picture_of_[static_cast<std::size_t>(place)] >= 0;
    return there ? &pictures_[static_cast<std::size_t>(picture_of_[static_cast<std::size_t>(place)])] : nullptr;
  }
  void put_retrieval(IdentityWeights weights, const std::string* group, std::map<std::string, double>& values) const;
  void put_groups(IdentityWeights weights, double threshold, Figures& figures) const;

  std::int64_t cases_ = 0;
  std::vector<Picture> pictures_;
  std::vector<std::int64_t> picture_of_;  // by case; -1: none
  std::map<std::int32_t, std::int32_t> identity_of_;
  std::vector<annotation::Pair> wanted_;

  mutable std::once_flag prepared_;
  mutable std::vector<Comparison> comparisons_;  // highest score first
  mutable std::size_t impostors_ = 0;            // among them
  mutable std::vector<Comparison> protocol_;     // likewise
  mutable std::vector<Probe> probes_;
};

void EmbedMeter::compare_all() const {
  std::vector<std::vector<const Picture*>> of(identity_of_.size());
  for (const Picture& picture : pictures_) of[static_cast<std::size_t>(picture.identity)].push_back(&picture);
  std::size_t genuine = 0;  // of all identities, the left out ones as well
  for (const auto& own : of) {
    const std::size_t count = own.size() * (own.size() - 1) / 2;
    genuine += count;
    std::size_t at = 0;
    for (std::size_t i = 0; i < own.size(); ++i)
      for (std::size_t j = i + 1; j < own.size(); ++j)
        if (taken_evenly(at++, count, most_genuine)) comparisons_.push_back(comparison(*own[i], *own[j]));
  }
  const std::size_t all = pictures_.size() * (pictures_.size() - std::min<std::size_t>(pictures_.size(), 1)) / 2 - genuine;
  std::size_t at = 0;
  for (std::size_t i = 0; i < pictures_.size(); ++i)
    for (std::size_t j = i + 1; j < pictures_.size(); ++j) {
      if (pictures_[i].identity == pictures_[j].identity || !taken_evenly(at++, all, most_impostors)) continue;
      comparisons_.push_back(comparison(pictures_[i], pictures_[j]));
      ++impostors_;
    }
}

void EmbedMeter::find_nearest() const {
  std::vector<std::size_t> count(identity_of_.size());
  for (const Picture& picture : pictures_) ++count[static_cast<std::size_t>(picture.identity)];
  std::vector<std::size_t> with_others;
  for (std::size_t i = 0; i < pictures_.size(); ++i)
    if (count[static_cast<std::size_t>(pictures_[i].identity)] > 1) with_others.push_back(i);
  std::vector<float> scores(pictures_.size());
  for (std::size_t k = 0; k < with_others.size(); ++k) {
    if (!taken_evenly(k, with_others.size(), most_probes)) continue;
    const std::size_t own = with_others[k];
    Probe& probe = probes_.emplace_back();
    probe.picture = own;
    for (std::size_t i = 0; i < pictures_.size(); ++i) {
      scores[i] = cosine(pictures_[own].embedding, pictures_[i].embedding);
      if (i == own) continue;
      float& most = pictures_[i].identity == pictures_[own].identity ? probe.own : probe.other;
      most = std::max(most, scores[i]);
    }
    probe.rank = 1;
    for (std::size_t i = 0; i < pictures_.size(); ++i)
      if (pictures_[i].identity != pictures_[own].identity && scores[i] >= probe.own) ++probe.rank;
  }
}

// The pairs that were asked for; else some of the comparisons.
void EmbedMeter::take_pairs() const {
  for (const annotation::Pair& pair : wanted_) {
    const Picture *a = picture_at(pair.first), *b = picture_at(pair.second);
    if (a == nullptr || b == nullptr) continue;
    protocol_.push_back(comparison(*a, *b));
    protocol_.back().fold = pair.fold;
  }
  if (protocol_.empty()) {
    deal_parts();
  } else if (std::ranges::all_of(protocol_, [&](const Comparison& pair) { return pair.fold == protocol_.front().fold; })) {
    for (std::size_t i = 0; i < protocol_.size(); ++i) protocol_[i].fold = static_cast<std::int32_t>(i % kFolds);
  }
  sort_by_score(comparisons_);
  sort_by_score(protocol_);
}

void EmbedMeter::deal_parts() const {
  const std::int32_t parts = std::clamp(static_cast<std::int32_t>(identity_of_.size()) / 3, 2, kFolds);
  const auto part_of = [&](const Comparison& pair) { return pair.first % parts == pair.second % parts ? pair.first % parts : -1; };
  for (std::int32_t part = 0; part < parts; ++part) {
    std::vector<const Comparison*> genuine, impostor;
    for (const Comparison& pair : comparisons_)
      if (part_of(pair) == part) (pair.genuine() ? genuine : impostor).push_back(&pair);
    const std::size_t of_each = std::min(genuine.size(), impostor.size());
    for (const auto* kind : {&genuine, &impostor})
      for (std::size_t i = 0; i < kind->size(); ++i) {
        if (of_each == 0 || !taken_evenly(i, kind->size(), of_each)) continue;
        protocol_.push_back(*(*kind)[i]);
        protocol_.back().fold = part;
      }
  }
}

void EmbedMeter::put_retrieval(IdentityWeights weights, const std::string* group, std::map<std::string, double>& values) const {
  double all = 0, first = 0, among = 0;
  for (const Probe& probe : probes_) {
    const Picture& picture = pictures_[probe.picture];
    if (group != nullptr && picture.group != *group) continue;
    const double weight = weights[static_cast<std::size_t>(picture.identity)];
    all += weight;
    if (probe.rank <= 1) first += weight;
    if (probe.rank <= kRanks) among += weight;
  }
  if (all == 0) return;
  values["rank1"] = first / all;
  if (group == nullptr) values["rank5"] = among / all;
}

void EmbedMeter::put_groups(IdentityWeights weights, double threshold, Figures& figures) const {
  std::map<std::string, std::int64_t> groups;
  for (const Picture& picture : pictures_)
    if (!picture.group.empty()) groups[picture.group] += std::llround(weights[static_cast<std::size_t>(picture.identity)]);
  for (const auto& [group, count] : groups) {
    ClassValues& row = figures.per_class.emplace_back(ClassValues{.name = group, .count = count});
    if (count == 0) continue;
    put_retrieval(weights, &group, row.values);
    double genuine = 0, impostor = 0, accepted = 0, taken = 0;
    for (const Comparison& pair : comparisons_) {
      if (picture_at(pair.case_a)->group != group || picture_at(pair.case_b)->group != group) continue;
      const double weight = weight_of(pair, weights);
      const bool above = static_cast<double>(pair.score) >= threshold;
      (pair.genuine() ? genuine : impostor) += weight;
      if (above) (pair.genuine() ? accepted : taken) += weight;
    }
    if (genuine > 0) row.values["tar"] = accepted / genuine;
    if (impostor > 0) row.values["fmr"] = taken / impostor;
  }
}

Figures EmbedMeter::figures(std::span<const std::int64_t> chosen, bool curves) const {
  prepare();
  std::vector<double> weights(identity_of_.size());
  for (const std::int64_t unit : chosen) weights[static_cast<std::size_t>(unit)] += 1;
  Figures figures;
  for (const Picture& picture : pictures_) figures.pictures += std::llround(weights[static_cast<std::size_t>(picture.identity)]);

  const std::vector<ScoreStep> steps = steps_of(comparisons_, weights);
  double genuine = 0, impostor = 0;
  for (const ScoreStep& step : steps) {
    genuine += step.genuine;
    impostor += step.impostor;
  }
  figures.count = std::llround(genuine);
  if (const auto value = area_under_roc(steps)) figures.values["roc_auc"] = *value;
  if (const auto value = equal_error_rate(steps)) figures.values["equal_error_rate"] = *value;
  for (const FalseMatchRate& rate : kRates) {
    if (static_cast<double>(impostors_) * rate.share < kLeastAccepted - 1e-9) continue;
    if (const auto at = accepted_at(steps, rate.share)) figures.values[rate.name] = at->genuine;
  }
  put_retrieval(weights, nullptr, figures.values);
  if (const auto verified = verify(protocol_, weights)) {
    figures.values["verification_accuracy"] = verified->accuracy;
    figures.values["verification_error"] = verified->error;
    figures.values["threshold"] = verified->threshold;
  }
  if (const auto at = accepted_at(steps, kRates.front().share)) put_groups(weights, at->threshold, figures);
  if (!curves) return figures;
  figures.values["genuine_pairs"] = genuine;
  figures.values["impostor_pairs"] = impostor;
  if (genuine > 0 && impostor > 0) figures.curves = {roc(steps), histogram(steps)};
  return figures;
}

double EmbedMeter::wrongness(std::int64_t place) const {
  prepare();
  for (const Probe& probe : probes_)
    if (pictures_[probe.picture].place == place)
      return std::clamp((1 + static_cast<double>(probe.other) - static_cast<double>(probe.own)) / 2, 0.0, 1.0);
  return 0;
}

std::vector<JudgedPair> EmbedMeter::worst_pairs(std::size_t most) const {
  prepare();
  const std::vector<Comparison>& from = protocol_.empty() ? comparisons_ : protocol_;
  std::vector<JudgedPair> worst;
  const auto take = [&](const Comparison& pair, std::size_t& left, bool genuine) {
    if (left == 0 || pair.genuine() != genuine) return;
    --left;
    worst.push_back({pair.case_a, pair.case_b, genuine, static_cast<double>(pair.score)});
  };
  std::size_t refused = (most + 1) / 2, accepted = most / 2;
  for (auto pair = from.rbegin(); pair != from.rend(); ++pair) take(*pair, refused, true);
  for (const Comparison& pair : from) take(pair, accepted, false);
  return worst;
}

}  // namespace

std::unique_ptr<Meter> embed_meter(const std::vector<std::string>& /*classes*/) { return std::make_unique<EmbedMeter>(); }

}  // namespace sightline::tasks
