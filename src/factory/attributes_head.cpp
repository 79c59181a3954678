// Heads of attributes: each question has one of its own, chosen and fitted on the training pictures of which its answer is known.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "annotation/attributes.h"
#include "base/text.h"
#include "factory/step_inputs.h"
#include "heads/attribute_heads.h"
#include "heads/choose.h"

namespace sightline::factory {
namespace {

using annotation::Attribute;
using annotation::Question;

// Pictures whose answer is known, and which of the question's values it is; no and yes are 0 and 1.
struct Known {
  std::vector<std::int64_t> rows;  // of the features
  std::vector<std::int32_t> labels;
};
Known known_of(const Question& question, const HeadInputs& inputs) {
  Known known;
  for (std::size_t i = 0; i < inputs.samples.size(); ++i) {
    const std::vector<Attribute>& said = inputs.manifest.samples[static_cast<std::size_t>(inputs.samples[i])].annotation.attributes;
    std::int32_t label = -1;
    if (!question.exclusive && said[question.first].said != Attribute::unknown) label = said[question.first].said == Attribute::yes ? 1 : 0;
    for (std::size_t v = 0; question.exclusive && v < question.count; ++v)
      if (said[question.first + v].said == Attribute::yes) label = static_cast<std::int32_t>(v);
    if (label < 0) continue;
    known.rows.push_back(static_cast<std::int64_t>(i));
    known.labels.push_back(label);
  }
  return known;
}

Tensor rows_of(const Tensor& features, const std::vector<std::int64_t>& rows) {
  Tensor result(Dtype::f32, {std::ssize(rows), features.dim(1)});
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::ranges::copy(features.rows(rows[i], rows[i] + 1).bytes(),
                      result.rows(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1).data());
  return result;
}

// The probability of yes from which on saying yes gives the largest F1 (half way to the next lower one that occurs); probabilities f32 N×2
// of heads that did not see the picture.
struct Threshold {
  double value = 0.5, f1 = 0;
};
Threshold best_threshold(const Tensor& probabilities, const std::vector<std::int32_t>& labels) {
  std::vector<std::pair<double, bool>> sorted;
  for (std::size_t i = 0; i < labels.size(); ++i) sorted.emplace_back(probabilities.values<float>()[2 * i + 1], labels[i] == 1);
  std::ranges::sort(sorted, std::greater{});
  const auto all = static_cast<double>(std::ranges::count(labels, 1));
  Threshold best{.value = 0.5, .f1 = -1};
  double found = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    found += sorted[i].second ? 1 : 0;
    const double next = i + 1 < sorted.size() ? sorted[i + 1].first : 0;
    if (next == sorted[i].first) continue;
    const double f1 = 2 * found / (all + static_cast<double>(i + 1));
    if (f1 > best.f1) best = {(sorted[i].first + next) / 2, f1};
  }
  return best;
}

Error unlearnable(const Question& question, std::size_t known) {
  return {
      ErrorKind::invalid_data,
      fmt::format("the question \"{}\" cannot be learnt: {}; label more pictures, or drop its column from data.attributes", question.name,
                  known == 0 ? std::string("no training picture says anything of it")
                             : fmt::format("all {} say the same", plural(known, "training picture")))};
}

}  // namespace

Result<FittedHead> fit_attribute_heads(const BuildContext& build, const HeadInputs& inputs) {
  const std::vector<std::int64_t> groups = groups_of(inputs.manifest, inputs.samples);
  FittedHead fitted{.graph = {}, .figures = {{"questions", Json::array()}}, .estimate = nullptr, .outlook = Json::array(), .suspects = {}};
  std::vector<heads::AttributeHead> heads;
  Json reasons = Json::array();
  for (const Question& question : annotation::questions_of(inputs.manifest.classes)) {
    const Known known = known_of(question, inputs);
    const bool varies = std::ranges::any_of(known.labels, [&](std::int32_t label) { return label != known.labels.front(); });
    if (!varies) return unlearnable(question, known.rows.size());
    std::vector<std::int64_t> groups_known;
    for (const std::int64_t row : known.rows) groups_known.push_back(groups[static_cast<std::size_t>(row)]);
    heads::ChooseOptions options{.seed = static_cast<std::uint64_t>(build.demand.seed), .threads = build.threads};
    for (const features::Cut& cut : inputs.backbone.about.cuts) options.cut_widths.push_back(cut.width);
    options.kinds = {heads::Kind::ridge, heads::Kind::discriminant};
    const int values = question.exclusive ? static_cast<int>(question.count) : 2;
    SIGHTLINE_TRY(const heads::Choice choice,
                  heads::choose_head(rows_of(inputs.features, known.rows), known.labels, groups_known, values, options));
    heads::AttributeHead head = heads::attribute_head(choice.head, !question.exclusive);
    Json figures{{"question", question.name},
                 {"pictures", known.rows.size()},
                 {"kind", enum_name(choice.head.kind)},
                 {"out_of_fold_accuracy", choice.accuracy}};
    if (!question.exclusive) {
      const Threshold threshold = best_threshold(heads::out_of_fold_of(choice), known.labels);
      head.threshold = threshold.value;
      figures["threshold"] = threshold.value;
      figures["out_of_fold_f1"] = threshold.f1;
    }
    reasons.push_back(fmt::format("{}: {} on {}", question.name, choice.sentence, plural(known.rows.size(), "picture")));
    fitted.figures["questions"].push_back(std::move(figures));
    heads.push_back(std::move(head));
  }
  fitted.figures["kind"] = fmt::format("{}, each on its own", plural(heads.size(), "head"));
  fitted.figures["reasons"] = std::move(reasons);
  SIGHTLINE_TRY(const graph::Graph graph, heads::attributes_graph(heads, features::value));
  fitted.graph = graph::serving_graph(graph);
  return fitted;
}

}  // namespace sightline::factory
