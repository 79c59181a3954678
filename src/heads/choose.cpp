#include "heads/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>

#include "base/parallel.h"
#include "heads/blas.h"
#include "heads/candidates.h"
#include "heads/checks.h"
#include "heads/selection.h"

namespace sightline::heads {
namespace {

constexpr int few_samples = 100;  // below, several repeats of the folds
constexpr std::size_t samples_for_sets = 800;
// With fewer samples a class the noise decides between sets of cuts: at five a class choosing lost a point and a half against the last cut
// alone (docs/heads.md).
constexpr std::int64_t least_for_sets = 10;
constexpr int bootstrap_draws = 200;  // for the figure without the winner's curse

struct Fold {
  int repeat = 0;
  std::vector<std::int64_t> rows;
};

std::vector<Fold> folds_of(std::span<const std::int32_t> labels, std::span<const std::int64_t> groups, int classes, int folds, int repeats,
                           std::uint64_t seed) {
  std::vector<Fold> result;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const std::vector<int> fold_of =
        assign_folds(labels, groups, classes, folds, seed + 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(repeat));
    for (int f = 0; f < folds; ++f) {
      Fold fold{repeat, {}};
      for (std::size_t i = 0; i < fold_of.size(); ++i)
        if (fold_of[i] == f) fold.rows.push_back(static_cast<std::int64_t>(i));
      if (!fold.rows.empty()) result.push_back(std::move(fold));
    }
  }
  return result;
}

// A fold that holds one class's sample and none of another's is judged by heads that saw less of just that class, which makes few samples
// look worse than they are: at five a class by five points on the sets of docs/heads.md. So small classes are divided evenly.
int usual_folds(std::span<const std::int32_t> labels, int classes) {
  constexpr int usual = 5, least = 4, most = 10;
  constexpr std::int64_t small_class = 20;
  std::vector<std::int64_t> count(static_cast<std::size_t>(classes));
  for (const std::int32_t label : labels) ++count[static_cast<std::size_t>(label)];
  std::erase(count, 0);
  if (*std::ranges::min_element(count) >= small_class) return usual;
  int best = usual;
  double least_uneven = std::numeric_limits<double>::infinity();
  for (int folds = least; folds <= most; ++folds) {
    double uneven = 0;
    for (const std::int64_t each : count) uneven += static_cast<double>(each % folds) / static_cast<double>(each);
    if (uneven > least_uneven) continue;
    least_uneven = uneven;
    best = folds;
  }
  return best;
}

// Share of the repeats that are right, and mean log loss at the setting's own temperature, for each sample.
void judge_answers(std::span<const Tensor> scores, std::span<const std::int32_t> labels, double temperature, float* right, float* loss) {
  const auto k = static_cast<std::size_t>(scores[0].dim(1));
  const auto part = 1 / static_cast<double>(scores.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto label = static_cast<std::size_t>(labels[i]);
    double hits = 0, losses = 0;
    for (const Tensor& each : scores) {
      const auto row = each.values<float>().subspan(i * k, k);
      const auto best = static_cast<std::size_t>(std::ranges::max_element(row) - row.begin());
      double sum = 0;
      for (const float score : row) sum += std::exp((static_cast<double>(score) - row[best]) / temperature);
      hits += best == label ? part : 0;
      losses += part * (std::log(sum) + (static_cast<double>(row[best]) - row[label]) / temperature);
    }
    right[i] = static_cast<float>(hits);
    loss[i] = static_cast<float>(losses);
  }
}

std::string name_of(const Setting& setting) {
  switch (setting.kind) {
    case Kind::nearest_mean: return setting.value > 0 ? "nearest class mean by angle" : "nearest class mean";
    case Kind::ridge:
      return setting.kept > 0 ? fmt::format("ridge on {} columns", setting.kept) : fmt::format("ridge (penalty {:g})", setting.value);
    case Kind::discriminant: return fmt::format("linear discriminant (shrinkage {:g})", setting.value);
    case Kind::logistic: return fmt::format("logistic (penalty {:g})", setting.value);
    case Kind::random_features: return fmt::format("random features and ridge (penalty {:g})", setting.value);
  }
  return "";
}

// The features of one set of cuts, and the heads that compete on them.
struct Competitor {
  Tensor features;
  std::vector<std::int64_t> columns;  // of what was given; empty: all
  ChooseOptions options;
  std::optional<Candidates> candidates;
};

// One for each set of cuts, prepared side by side.
Result<std::vector<std::unique_ptr<Competitor>>> competitors_of(const Tensor& features, std::span<const std::int32_t> labels, int classes,
                                                                const std::vector<double>& emphasis, const ChooseOptions& options) {
  std::vector<std::unique_ptr<Competitor>> all;
  for (std::size_t set = 0; set < std::max<std::size_t>(1, options.cut_sets.size()); ++set) {
    auto made = std::make_unique<Competitor>(Competitor{.features = features, .columns = {}, .options = options, .candidates = {}});
    if (!options.cut_sets.empty() && options.cut_sets[set].cuts.size() < options.cut_widths.size()) {
      made->options.cut_widths.clear();
      std::int64_t begin = 0;
      for (std::size_t cut = 0; cut < options.cut_widths.size(); begin += options.cut_widths[cut++]) {
        if (std::ranges::find(options.cut_sets[set].cuts, cut) == options.cut_sets[set].cuts.end()) continue;
        made->options.cut_widths.push_back(options.cut_widths[cut]);
        for (std::int64_t column = begin; column < begin + options.cut_widths[cut]; ++column) made->columns.push_back(column);
      }
      made->features = columns_of(features, made->columns);
    }
    all.push_back(std::move(made));
  }
  SIGHTLINE_CHECK(parallel_for(
      all.size(),
      [&](std::size_t set) -> Result<void> {
        Competitor& competitor = *all[set];
        SIGHTLINE_TRY(Candidates made, Candidates::prepare(competitor.features, labels, classes, emphasis, competitor.options));
        competitor.candidates.emplace(std::move(made));
        return {};
      },
      options.threads));
  return all;
}

// What heads learn from: the samples, and behind them what else is seen of each.
struct Lessons {
  Tensor features;
  std::vector<std::int32_t> labels;
  std::vector<double> emphasis;
  std::int64_t samples = 0;

  // A head that has not seen a sample has not seen it in a mirror either. The samples stand first.
  std::vector<std::int64_t> left_out_with(std::span<const std::int64_t> rows) const {
    std::vector<std::int64_t> all(rows.begin(), rows.end());
    if (features.dim(0) > samples)
      for (const std::int64_t row : rows) all.push_back(row + samples);
    return all;
  }
};

Lessons lessons_of(const Tensor& features, std::span<const std::int32_t> labels, const std::vector<double>& emphasis,
                   const Tensor* mirrored) {
  Lessons lessons{.features = features,
                  .labels = std::vector(labels.begin(), labels.end()),
                  .emphasis = emphasis,
                  .samples = static_cast<std::int64_t>(labels.size())};
  if (mirrored == nullptr) return lessons;
  lessons.features = Tensor(Dtype::f32, {2 * features.dim(0), features.dim(1)});
  const auto end = std::ranges::copy(features.values<float>(), lessons.features.values<float>().begin()).out;
  std::ranges::copy(mirrored->values<float>(), end);
  lessons.labels.insert(lessons.labels.end(), labels.begin(), labels.end());
  lessons.emphasis.insert(lessons.emphasis.end(), emphasis.begin(), emphasis.end());
  return lessons;
}

// A setting of one competitor.
struct Entrant {
  Setting setting;
  std::size_t set = 0;
  std::string cuts;  // the set's name

  std::string name() const { return name_of(setting) + (cuts.empty() ? "" : " on " + cuts); }
};

std::string sentence_of(std::span<const Entrant> settings, const Selection& selection, const Judged& judged, const std::string& measured) {
  const Selection::Entry& chosen = selection.candidates[selection.chosen];
  const Selection::Entry& best = selection.candidates[selection.best];
  const char* metric = judged.balanced ? "balanced accuracy" : "accuracy";
  const std::string name = settings[chosen.setting].name();
  const std::string figure = fmt::format("{}: {} {:.3f} {}", name, metric, chosen.metric, measured);
  if (selection.candidates.size() == 1) return figure;
  if (selection.chosen != selection.best) {
    const bool cheaper = !judged.look_of.empty() && judged.look_of[selection.chosen] < judged.look_of[selection.best];
    return fmt::format("{}; {} has {:.3f}, which is no more than noise (a standard error of the difference is {:.3f}), so {}", figure,
                       settings[best.setting].name(), best.metric, chosen.standard_error,
                       cheaper ? "the cheaper look at the picture is kept" : "the usual kind is kept");
  }
  std::size_t second = selection.candidates.size();
  for (std::size_t c = 0; c < selection.candidates.size(); ++c) {
    if (c == selection.chosen) continue;
    if (second == selection.candidates.size() || selection.candidates[c].metric > selection.candidates[second].metric) second = c;
  }
  const Selection::Entry& next = selection.candidates[second];
  return fmt::format("{}; next comes {} with {:.3f}", figure, settings[next.setting].name(), next.metric);
}

Result<void> check_options(const ChooseOptions& options, const Tensor& features) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  if (options.kinds.empty()) return usage("a choice of heads wants at least one kind of head");
  if (options.folds == 1 || options.folds < 0) return usage(fmt::format("a choice of heads wants at least 2 folds, not {}", options.folds));
  if (options.repeats < 0) return usage(fmt::format("{} repeats of the folds", options.repeats));
  if (options.hidden < 1 || options.hidden > most_dimensions)
    return usage(fmt::format("{} random features; 1 to {} are possible", options.hidden, most_dimensions));
  if (!(options.standard_errors >= 0)) return usage("standard_errors must not be negative");
  std::int64_t width = 0;
  for (const std::int64_t each : options.cut_widths) width += std::max<std::int64_t>(each, 1);
  if (!options.cut_widths.empty() && width != features.dim(1))
    return usage(fmt::format("the cuts' widths add up to {}, but there are {} features", width, features.dim(1)));
  if (options.mirrored != nullptr && options.mirrored->shape() != features.shape())
    return usage(
        fmt::format("mirrored features are {}, the features {}", to_string(options.mirrored->shape()), to_string(features.shape())));
  if (!(options.look_errors >= 0)) return usage("look_errors must not be negative");
  if (!std::ranges::is_sorted(options.cut_sets, {}, &CutSet::look))
    return usage("sets of a dearer look stand behind those of a cheaper one");
  for (const CutSet& set : options.cut_sets)
    if (set.cuts.empty() || set.cuts.back() >= options.cut_widths.size() || !std::ranges::is_sorted(set.cuts))
      return usage(fmt::format("the set of cuts \"{}\" is empty, not ascending or names more than the {} cuts", set.name,
                               options.cut_widths.size()));
  return {};
}

}  // namespace

Result<void> check_for_choice(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                              int classes) {
  SIGHTLINE_CHECK(check_training_data(features, labels, classes));
  if (!groups.empty() && groups.size() != labels.size())
    return Error{ErrorKind::invalid_data, fmt::format("{} groups for {} samples", groups.size(), labels.size())};
  if (std::ranges::all_of(labels, [&](std::int32_t label) { return label == labels[0]; }))
    return Error{
        ErrorKind::invalid_data,
        fmt::format("all {} samples are of one class; a head tells at least two apart, so give it samples of another", labels.size())};
  return {};
}

std::vector<double> balancing_emphasis(std::span<const std::int32_t> labels, int classes) {
  std::vector<double> count(static_cast<std::size_t>(classes));
  for (const std::int32_t label : labels) count[static_cast<std::size_t>(label)] += 1;
  const auto present = static_cast<double>(std::ranges::count_if(count, [](double c) { return c > 0; }));
  std::vector<double> emphasis;
  bool even = true;
  for (const std::int32_t label : labels) {
    emphasis.push_back(static_cast<double>(labels.size()) / (present * count[static_cast<std::size_t>(label)]));
    even = even && std::abs(emphasis.back() - 1) < 1e-12;
  }
  if (even) emphasis.clear();
  return emphasis;
}

Tensor out_of_fold_of(const Choice& choice) {
  Tensor mean = Tensor::zeros(Dtype::f32, choice.scores.at(0).shape());
  for (const Tensor& scores : choice.scores) {
    const Tensor probabilities = probabilities_of(scores, choice.head.temperature);
    for (std::size_t i = 0; i < mean.values<float>().size(); ++i)
      mean.values<float>()[i] += probabilities.values<float>()[i] / static_cast<float>(choice.scores.size());
  }
  return mean;
}

namespace {

// The median size of the classes that have samples.
std::int64_t usual_class_size(std::span<const std::int32_t> labels, int classes) {
  std::vector<std::int64_t> count(static_cast<std::size_t>(classes));
  for (const std::int32_t label : labels) ++count[static_cast<std::size_t>(label)];
  std::erase(count, 0);
  std::ranges::nth_element(count, count.begin() + static_cast<std::ptrdiff_t>(count.size() / 2));
  return count[count.size() / 2];
}

// With many samples the choice between sets of cuts is made on a part of them, by one kind: an eigendecomposition of each set's features
// costs seconds there, and by then the sets differ by more than noise or hardly at all.
Result<Choice> choose_on_a_part_first(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                                      int classes, const ChooseOptions& options) {
  const std::vector<int> part = assign_folds(labels, groups, classes, static_cast<int>(labels.size() / samples_for_sets), options.seed);
  std::vector<std::int64_t> rows, some_groups;
  std::vector<std::int32_t> some_labels;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (part[i] != 0) continue;
    rows.push_back(static_cast<std::int64_t>(i));
    some_labels.push_back(labels[i]);
    if (!groups.empty()) some_groups.push_back(groups[i]);
  }
  const auto some_of = [&](const Tensor& all) {
    Tensor some(Dtype::f32, {static_cast<std::int64_t>(rows.size()), all.dim(1)});
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::ranges::copy(all.rows(rows[i], rows[i] + 1).values<float>(),
                        some.values<float>().begin() + static_cast<std::ptrdiff_t>(i) * all.dim(1));
    return some;
  };
  const Tensor some = some_of(features), some_mirrored = options.mirrored != nullptr ? some_of(*options.mirrored) : Tensor();
  ChooseOptions first = options;
  if (options.mirrored != nullptr) first.mirrored = &some_mirrored;
  first.kinds = {std::ranges::find(options.kinds, Kind::ridge) != options.kinds.end() ? Kind::ridge : options.kinds[0]};
  first.keep.clear();
  SIGHTLINE_TRY(const Choice between, choose_head(some, some_labels, some_groups, classes, first));
  ChooseOptions second = options;
  second.cut_sets = {options.cut_sets[*between.cut_set]};
  SIGHTLINE_TRY(Choice choice, choose_head(features, labels, groups, classes, second));
  choice.cut_set = between.cut_set;
  choice.sentence += fmt::format("; the cuts were chosen before: {}", between.sentence);
  return choice;
}

}  // namespace

Result<Choice> choose_head(const Tensor& features, std::span<const std::int32_t> labels, std::span<const std::int64_t> groups, int classes,
                           const ChooseOptions& options) {
  SIGHTLINE_CHECK(check_for_choice(features, labels, groups, classes));
  SIGHTLINE_CHECK(check_options(options, features));
  if (options.cut_sets.size() > 1 && usual_class_size(labels, classes) < least_for_sets) {
    ChooseOptions preferred = options;
    preferred.cut_sets = {options.cut_sets[0]};
    SIGHTLINE_TRY(Choice choice, choose_head(features, labels, groups, classes, preferred));
    choice.sentence += fmt::format("; {} samples a class are too few to choose cuts by", usual_class_size(labels, classes));
    return choice;
  }
  if (options.cut_sets.size() > 1 && labels.size() >= 2 * samples_for_sets)
    return choose_on_a_part_first(features, labels, groups, classes, options);
  const BlasThreads blas(1);  // threads stand side by side instead, so that the bits do not depend on their number
  const bool few = labels.size() < few_samples;
  const int repeats = options.repeats > 0 ? options.repeats : (few ? 3 : 1);
  const std::vector<double> emphasis = options.balanced ? balancing_emphasis(labels, classes) : std::vector<double>{};
  Judged judged{.labels = labels,
                .classes = classes,
                .balanced = options.balanced,
                .standard_errors = options.standard_errors,
                .look_errors = options.look_errors};
  judged.units = units_of(labels.size(), groups);
  if (judged.units.count < 2)
    return Error{ErrorKind::invalid_data, "all samples are of one group, so that none can be judged by a head that has not seen its group"};
  Choice choice;
  choice.folds = std::min<int>(options.folds > 0 ? options.folds : usual_folds(labels, classes), judged.units.count);

  const Lessons lessons = lessons_of(features, labels, emphasis, options.mirrored);
  SIGHTLINE_TRY(const auto competitors, competitors_of(lessons.features, lessons.labels, classes, lessons.emphasis, options));
  std::vector<Entrant> settings;
  for (std::size_t set = 0; set < competitors.size(); ++set) {
    const int before = settings.empty() ? 0 : settings.back().setting.candidate + 1;
    for (Setting setting : competitors[set]->candidates->settings()) {
      setting.candidate += before;
      settings.push_back({setting, set, options.cut_sets.empty() ? "" : options.cut_sets[set].name});
    }
  }
  const std::vector<Fold> folds = folds_of(labels, groups, classes, choice.folds, repeats, options.seed);
  const std::size_t n = labels.size(), k = static_cast<std::size_t>(classes);
  std::vector<std::vector<Tensor>> scores(settings.size());  // by setting, by repeat
  for (auto& of_setting : scores)
    for (int repeat = 0; repeat < repeats; ++repeat) of_setting.emplace_back(Dtype::f32, Shape{features.dim(0), classes});
  SIGHTLINE_CHECK(parallel_for(
      folds.size(),
      [&](std::size_t f) -> Result<void> {
        std::vector<Tensor> answers;
        for (const auto& competitor : competitors) {
          SIGHTLINE_TRY(std::vector<Tensor> some, competitor->candidates->judge(lessons.left_out_with(folds[f].rows)));
          std::ranges::move(some, std::back_inserter(answers));
        }
        for (std::size_t s = 0; s < settings.size(); ++s) {
          const auto from = answers[s].values<float>();
          Tensor& to = scores[s][static_cast<std::size_t>(folds[f].repeat)];
          for (std::size_t i = 0; i < folds[f].rows.size(); ++i)
            std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(i * k), k,
                        to.values<float>().begin() + folds[f].rows[i] * static_cast<std::int64_t>(k));
        }
        return {};
      },
      options.threads));

  judged.right.resize(settings.size() * n);
  judged.loss.resize(settings.size() * n);
  std::vector<double> temperatures(settings.size());
  SIGHTLINE_CHECK(parallel_for(
      settings.size(),
      [&](std::size_t s) -> Result<void> {
        temperatures[s] = temperature_of(scores[s], labels, emphasis);
        judge_answers(scores[s], labels, temperatures[s], judged.right.data() + s * n, judged.loss.data() + s * n);
        return {};
      },
      options.threads));
  for (const Entrant& entrant : settings) {
    judged.candidate_of.push_back(entrant.setting.candidate);
    judged.set_of.resize(static_cast<std::size_t>(entrant.setting.candidate) + 1, static_cast<int>(entrant.set));
    if (!options.cut_sets.empty()) judged.look_of.resize(judged.set_of.size(), options.cut_sets[entrant.set].look);
  }

  const Selection selection = select(judged);
  for (const Selection::Entry& entry : selection.candidates) {
    const Expected figures = figures_of(judged, entry.setting);
    const Setting& setting = settings[entry.setting].setting;
    choice.candidates.push_back({.kind = setting.kind,
                                 .cuts = settings[entry.setting].cuts,
                                 .setting = setting.value,
                                 .kept = setting.kept,
                                 .accuracy = figures.accuracy,
                                 .balanced_accuracy = figures.balanced_accuracy,
                                 .log_loss = entry.loss,
                                 .behind = entry.behind,
                                 .standard_error = entry.standard_error});
  }
  choice.chosen = selection.chosen;
  SIGHTLINE_TRY(const Expected expected, expected_of_choice(judged, bootstrap_draws, options.seed));
  choice.accuracy = expected.accuracy;
  choice.balanced_accuracy = expected.balanced_accuracy;
  const std::size_t winner = selection.candidates[selection.chosen].setting;
  const Competitor& from = *competitors[settings[winner].set];
  SIGHTLINE_TRY(choice.head, from.candidates->fit(settings[winner].setting));
  if (!options.cut_sets.empty()) choice.cut_set = settings[winner].set;
  if (!from.columns.empty()) {  // what it looks at, in all that was given
    std::vector<std::int64_t> columns = from.columns;
    if (!choice.head.columns.empty()) {
      columns.clear();
      for (const std::int64_t column : choice.head.columns) columns.push_back(from.columns[static_cast<std::size_t>(column)]);
    }
    choice.head.columns = std::move(columns);
    choice.head.features = features.dim(1);
  }
  choice.head.temperature = temperatures[winner];
  choice.scores = std::move(scores[winner]);
  const std::string times = repeats > 1 ? fmt::format(", {} times", repeats) : "";
  choice.sentence = sentence_of(settings, selection, judged, fmt::format("on {} samples in {} folds{}", n, choice.folds, times));
  return choice;
}

}  // namespace sightline::heads
