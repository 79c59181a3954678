#include "tasks/attributes_metrics.h"

#include <algorithm>
#include <mutex>

#include "annotation/attributes.h"

namespace sightline::tasks {
namespace {

using annotation::Attribute;
using annotation::Question;

constexpr std::size_t kMostCurves = 12;  // of labels, the first ones

struct Label {
  // Of each picture, in the order of adding.
  std::vector<std::int8_t> truth;
  std::vector<bool> said;
  std::vector<double> scores;
  std::vector<std::size_t> order;  // pictures whose truth is known, highest score first
};

struct Counts {
  double yes = 0, found = 0, wrong = 0;  // pictures that have it; of them said; said of others
  double precision() const { return found + wrong > 0 ? found / (found + wrong) : 0; }
  double recall() const { return yes > 0 ? found / yes : 0; }
  double f1() const { return yes + found + wrong > 0 ? 2 * found / (yes + found + wrong) : 0; }
};

class AttributesMeter final : public Meter {
 public:
  explicit AttributesMeter(const std::vector<std::string>& classes)
      : classes_(classes), questions_(annotation::questions_of(classes)), labels_(classes.size()) {}

  void add(const Case& one) override {
    const auto at = [](const std::vector<Attribute>& attributes, std::size_t l) {
      return l < attributes.size() ? attributes[l] : Attribute{};
    };
    for (std::size_t l = 0; l < labels_.size(); ++l) {
      const Attribute answer = at(one.prediction.attributes, l);
      labels_[l].truth.push_back(at(one.truth.attributes, l).said);
      labels_[l].said.push_back(answer.said == Attribute::yes);
      labels_[l].scores.push_back(answer.score);
    }
    ++pictures_;
  }

  Figures figures(std::span<const std::int64_t> chosen, bool curves) const override {
    sort_once();
    std::vector<double> times(pictures_);
    for (const std::int64_t i : chosen) ++times[static_cast<std::size_t>(i)];
    Figures figures{.pictures = static_cast<std::int64_t>(chosen.size())};
    double precisions = 0, f1s = 0, measured = 0;
    for (std::size_t l = 0; l < labels_.size(); ++l) {
      const Counts counts = counts_of(labels_[l], times);
      ClassValues& values = figures.per_class.emplace_back();
      values.name = classes_[l];
      values.count = static_cast<std::int64_t>(counts.yes);
      figures.count += values.count;
      if (counts.yes == 0) continue;
      Line line{.name = classes_[l], .x = {}, .y = {}};
      const double average = average_precision(labels_[l], times, counts.yes, curves ? &line : nullptr);
      values.values = {{"average_precision", average}, {"f1", counts.f1()}, {"precision", counts.precision()}, {"recall", counts.recall()}};
      precisions += average;
      f1s += counts.f1();
      ++measured;
      if (curves && figures.curves.size() < kMostCurves)
        figures.curves.push_back({.title = "Precision and recall", .x = "recall", .y = "precision", .lines = {std::move(line)}});
    }
    if (measured > 0) figures.values = {{"mAP", precisions / measured}, {"macro_f1", f1s / measured}};
    double shares = 0, asked = 0;
    for (const Question& question : questions_) {
      double known = 0, right = 0;
      for (std::size_t i = 0; i < pictures_; ++i) {
        if (times[i] == 0 || !is_known(question, i)) continue;
        known += times[i];
        right += is_right(question, i) ? times[i] : 0;
      }
      if (known == 0) continue;
      shares += right / known;
      ++asked;
    }
    if (asked > 0) figures.values["accuracy"] = shares / asked;
    return figures;
  }

  double wrongness(std::int64_t place) const override {
    double known = 0, wrong = 0;
    for (const Question& question : questions_) {
      if (!is_known(question, static_cast<std::size_t>(place))) continue;
      ++known;
      wrong += is_right(question, static_cast<std::size_t>(place)) ? 0 : 1;
    }
    return known > 0 ? wrong / known : 0;
  }

 private:
  // Several threads may ask at once.
  void sort_once() const {
    const std::lock_guard lock(mutex_);
    if (sorted_ == pictures_) return;
    for (Label& label : labels_) {
      label.order.clear();
      for (std::size_t i = 0; i < pictures_; ++i)
        if (label.truth[i] != Attribute::unknown) label.order.push_back(i);
      std::ranges::stable_sort(label.order, [&](std::size_t a, std::size_t b) { return label.scores[a] > label.scores[b]; });
    }
    sorted_ = pictures_;
  }

  static Counts counts_of(const Label& label, std::span<const double> times) {
    Counts counts;
    for (const std::size_t i : label.order) {
      const bool yes = label.truth[i] == Attribute::yes;
      counts.yes += yes ? times[i] : 0;
      if (label.said[i]) (yes ? counts.found : counts.wrong) += times[i];
    }
    return counts;
  }

  static double average_precision(const Label& label, std::span<const double> times, double all, Line* curve) {
    double found = 0, wrong = 0, sum = 0;
    for (std::size_t begin = 0; begin < label.order.size();) {
      std::size_t end = begin;
      double yes = 0, no = 0;
      for (; end < label.order.size() && label.scores[label.order[end]] == label.scores[label.order[begin]]; ++end)
        (label.truth[label.order[end]] == Attribute::yes ? yes : no) += times[label.order[end]];
      begin = end;
      if (yes + no == 0) continue;
      found += yes;
      wrong += no;
      sum += yes / all * (found / (found + wrong));
      if (curve != nullptr && yes > 0) {
        curve->x.push_back(found / all);
        curve->y.push_back(found / (found + wrong));
      }
    }
    return sum;
  }

  bool is_known(const Question& question, std::size_t picture) const {
    for (std::size_t l = question.first; l < question.first + question.count; ++l)
      if (labels_[l].truth[picture] != Attribute::unknown) return true;
    return false;
  }
  bool is_right(const Question& question, std::size_t picture) const {
    for (std::size_t l = question.first; l < question.first + question.count; ++l) {
      const std::int8_t truth = labels_[l].truth[picture];
      if (truth != Attribute::unknown && (truth == Attribute::yes) != labels_[l].said[picture]) return false;
    }
    return true;
  }

  std::vector<std::string> classes_;
  std::vector<Question> questions_;
  mutable std::vector<Label> labels_;
  std::size_t pictures_ = 0;
  mutable std::size_t sorted_ = 0;
  mutable std::mutex mutex_;
};

}  // namespace

std::unique_ptr<Meter> attributes_meter(const std::vector<std::string>& classes) { return std::make_unique<AttributesMeter>(classes); }

}  // namespace sightline::tasks
