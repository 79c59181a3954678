#include "search/winner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/interrupt.h"
#include "base/random.h"
#include "base/text.h"
#include "evaluation/bootstrap.h"
#include "tasks/classify.h"

namespace sightline::search {
namespace {

std::vector<std::size_t> all_rows(std::size_t count) {
  std::vector<std::size_t> rows(count);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return rows;
}

// errors: of each finalist's lead over the standard one.
std::size_t best_of(std::span<const double> values, std::int64_t standard, std::span<const double> errors) {
  const auto best = static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
  if (standard < 0) return best;
  const auto usual = static_cast<std::size_t>(standard);
  return values[best] - values[usual] <= errors[best] ? usual : best;
}

struct Draw {
  std::vector<std::size_t> drawn, left_out;
};
Draw draw_of(std::size_t count, Random random) {
  Draw draw;
  std::vector<bool> in(count);
  for (std::size_t i = 0; i < count; ++i) {
    draw.drawn.push_back(random.below(count));
    in[draw.drawn.back()] = true;
  }
  for (std::size_t i = 0; i < count; ++i)
    if (!in[i]) draw.left_out.push_back(i);
  return draw;
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(std::max<std::size_t>(1, values.size()));
}

double deviation_of(std::span<const double> values) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(1, values.size())));
}

}  // namespace

Answered answered(const Tensor& probabilities, std::span<const std::int32_t> labels) {
  Answered result;
  const auto classes = static_cast<std::size_t>(probabilities.dim(1));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = probabilities.values<float>().subspan(i * classes, classes);
    result.predicted.push_back(static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
    result.among_five.push_back(tasks::among_top(row, labels[i], 5) ? 1 : 0);
  }
  return result;
}

double metric_of(const std::string& metric, const Answered& answers, std::span<const std::int32_t> labels, int classes,
                 std::span<const std::size_t> rows) {
  if (rows.empty()) return 0;
  struct Counts {
    double given = 0, predicted = 0, hits = 0;
  };
  std::vector<Counts> counts(static_cast<std::size_t>(classes));
  double hits = 0, among_five = 0;
  for (const std::size_t row : rows) {
    const bool hit = answers.predicted[row] == labels[row];
    counts[static_cast<std::size_t>(labels[row])].given += 1;
    counts[static_cast<std::size_t>(answers.predicted[row])].predicted += 1;
    counts[static_cast<std::size_t>(labels[row])].hits += hit ? 1 : 0;
    hits += hit ? 1 : 0;
    among_five += answers.among_five[row];
  }
  const auto n = static_cast<double>(rows.size());
  if (metric == "top1") return hits / n;
  if (metric == "top5") return among_five / n;
  double sum = 0, present = 0;
  for (const Counts& each : counts) {
    if (each.given == 0) continue;
    present += 1;
    sum += metric == "macro_f1" ? 2 * each.hits / (each.given + each.predicted) : each.hits / each.given;
  }
  return sum / present;
}

double metric_of(const std::string& metric, const Answered& answers, std::span<const std::int32_t> labels, int classes) {
  return metric_of(metric, answers, labels, classes, all_rows(labels.size()));
}

Result<Winner> choose_winner(const std::string& metric, std::span<const Answered> finalists, std::int64_t standard,
                             std::span<const std::int32_t> labels, int classes, const WinnerOptions& options) {
  if (finalists.empty()) return Error{ErrorKind::usage, "there is no finalist to choose"};
  for (const Answered& each : finalists)
    if (each.predicted.size() != labels.size() || each.among_five.size() != labels.size())
      return Error{ErrorKind::usage, fmt::format("a finalist answered to {} of {} pictures", each.predicted.size(), labels.size())};
  Winner winner;
  if (labels.empty()) {
    winner.chosen = static_cast<std::size_t>(std::max<std::int64_t>(standard, 0));
    winner.sentence = "there are no validation pictures to choose by";
    return winner;
  }
  // On every draw all finalists answer to the same pictures.
  const std::size_t count = finalists.size();
  std::vector<std::vector<double>> drawn(static_cast<std::size_t>(options.draws)), left_out(drawn.size());
  for (std::size_t d = 0; d < drawn.size(); ++d) {
    SIGHTLINE_CHECK(check_interrupt());
    const Draw draw = draw_of(labels.size(), Random(options.seed, d));
    for (const Answered& each : finalists) {
      drawn[d].push_back(metric_of(metric, each, labels, classes, draw.drawn));
      left_out[d].push_back(draw.left_out.empty() ? drawn[d].back() : metric_of(metric, each, labels, classes, draw.left_out));
    }
  }
  std::vector<double> values, errors(count);
  for (const Answered& each : finalists) values.push_back(metric_of(metric, each, labels, classes));
  if (standard >= 0) {
    for (std::size_t f = 0; f < count; ++f) {
      std::vector<double> leads;
      for (const std::vector<double>& each : drawn) leads.push_back(each[f] - each[static_cast<std::size_t>(standard)]);
      // A picture more, so that a lead by a single one is not taken for a sure thing.
      errors[f] = std::hypot(deviation_of(leads), 1 / static_cast<double>(labels.size()));
    }
  }
  winner.chosen = best_of(values, standard, errors);
  winner.value = values[winner.chosen];
  if (standard >= 0) {
    winner.ahead = winner.value - values[static_cast<std::size_t>(standard)];
    winner.ahead_error = errors[winner.chosen];
  }
  // What a choice on the drawn pictures seemed to be worth there, and what it was worth on the others.
  std::vector<double> seemed, was;
  for (std::size_t d = 0; d < drawn.size(); ++d) {
    const std::size_t taken = best_of(drawn[d], standard, errors);
    seemed.push_back(drawn[d][taken]);
    was.push_back(left_out[d][taken]);
  }
  winner.corrected = std::min(mean_of(was), winner.value);
  // A draw has as many pictures as there are, so that its spread is that of the figure; it is moved to where the figure is expected.
  const double shift = winner.corrected - mean_of(seemed);
  std::sort(seemed.begin(), seemed.end());
  winner.interval = {std::clamp(evaluation::quantile(seemed, 0.025) + shift, 0.0, 1.0),
                     std::clamp(evaluation::quantile(seemed, 0.975) + shift, 0.0, 1.0)};
  winner.sentence =
      fmt::format("{} {:.4f} on {}; the best of {} looks better than it is: {:.4f} is to be expected (95% interval {:.4f} to {:.4f})",
                  metric, winner.value, plural(labels.size(), "validation picture"), plural(count, "finalist"), winner.corrected,
                  winner.interval.low, winner.interval.high);
  return winner;
}

}  // namespace sightline::search
