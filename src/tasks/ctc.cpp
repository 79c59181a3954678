#include "tasks/ctc.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sightline::tasks {
namespace {

constexpr double impossible = -std::numeric_limits<double>::infinity();
// Symbols below are not followed at a column; formats may want one that is improbable.
constexpr float least_followed = 1e-4F, least_in_formats = 1e-7F;
// Symbols that no column says more than this are not weighed in a character's place.
constexpr float least_weighed = 1e-4F;

double sum_of(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == impossible ? a : a + std::log1p(std::exp(b - a));
}

// A text that was begun: its last symbol, and what stands before.
struct Prefix {
  std::int32_t parent = -1, symbol = -1;
  std::size_t length = 0;
  TextFormats::Open open;
  std::vector<std::pair<std::int32_t, std::int32_t>> next;  // symbol, prefix
};

// How probable it is after a column, by what the column says.
struct Ways {
  double blank = impossible, symbol = impossible;
  double all() const { return sum_of(blank, symbol); }
};

class Beam {
 public:
  Beam(std::int64_t symbols, const TextFormats& formats, std::size_t width) : symbols_(symbols), formats_(formats), width_(width) {
    prefixes_.push_back({.open = formats.all()});
    kept_ = {{0, {.blank = 0}}};
  }

  void follow(std::span<const float> column) {
    std::vector<std::int32_t> said;
    for (std::int32_t k = 0; k < symbols_; ++k)
      if (column[static_cast<std::size_t>(k)] >= (formats_.restricts() ? least_in_formats : least_followed)) said.push_back(k);
    now_.assign(prefixes_.size(), {});
    touched_.clear();
    const double blank = std::log(static_cast<double>(column[static_cast<std::size_t>(symbols_)]));
    for (const auto& [at, before] : kept_) {
      const std::int32_t last = prefixes_[static_cast<std::size_t>(at)].symbol;
      ways(at).blank = sum_of(ways(at).blank, before.all() + blank);
      if (last >= 0) {
        const double repeated = std::log(static_cast<double>(column[static_cast<std::size_t>(last)]));
        ways(at).symbol = sum_of(ways(at).symbol, before.symbol + repeated);
      }
      for (const std::int32_t symbol : said) {
        const double from = symbol == last ? before.blank : before.all();
        if (from == impossible) continue;
        const std::int32_t longer = longer_by(at, symbol);
        if (longer < 0) continue;
        Ways& to = ways(longer);
        to.symbol = sum_of(to.symbol, from + std::log(static_cast<double>(column[static_cast<std::size_t>(symbol)])));
      }
    }
    kept_.clear();
    for (const std::int32_t at : touched_) kept_.emplace_back(at, now_[static_cast<std::size_t>(at)]);
    // Equals in the order in which they were begun, so that an answer is the same everywhere.
    std::sort(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) {
      const double one = a.second.all(), other = b.second.all();
      return one != other ? one > other : a.first < b.first;
    });
    if (kept_.size() > width_) kept_.resize(width_);
  }

  std::vector<Symbols> complete() const {
    std::vector<Symbols> texts;
    for (const auto& [at, ways] : kept_) {
      const Prefix& prefix = prefixes_[static_cast<std::size_t>(at)];
      if (ways.all() == impossible || !formats_.complete(prefix.open, prefix.length)) continue;
      Symbols& text = texts.emplace_back();
      for (std::int32_t i = at; prefixes_[static_cast<std::size_t>(i)].parent >= 0; i = prefixes_[static_cast<std::size_t>(i)].parent)
        text.push_back(prefixes_[static_cast<std::size_t>(i)].symbol);
      std::reverse(text.begin(), text.end());
    }
    return texts;
  }

 private:
  Ways& ways(std::int32_t at) {
    const auto place = static_cast<std::size_t>(at);
    if (place >= now_.size()) now_.resize(place + 1);
    if (now_[place].blank == impossible && now_[place].symbol == impossible && std::ranges::find(touched_, at) == touched_.end())
      touched_.push_back(at);
    return now_[place];
  }

  // -1: no format allows it.
  std::int32_t longer_by(std::int32_t at, std::int32_t symbol) {
    const Prefix& prefix = prefixes_[static_cast<std::size_t>(at)];
    for (const auto& [known, to] : prefix.next)
      if (known == symbol) return to;
    Prefix longer{.parent = at, .symbol = symbol, .length = prefix.length + 1};
    if (formats_.restricts()) longer.open = formats_.after(prefix.open, prefix.length, symbol);
    const bool allowed = !formats_.restricts() || !longer.open.empty();
    const auto to = allowed ? static_cast<std::int32_t>(prefixes_.size()) : -1;
    prefixes_[static_cast<std::size_t>(at)].next.emplace_back(symbol, to);
    if (allowed) prefixes_.push_back(std::move(longer));
    return to;
  }

  std::int64_t symbols_;
  const TextFormats& formats_;
  std::size_t width_;
  std::vector<Prefix> prefixes_;
  std::vector<std::pair<std::int32_t, Ways>> kept_;
  std::vector<Ways> now_;
  std::vector<std::int32_t> touched_;
};

std::int64_t columns_of(std::span<const float> probabilities, std::int64_t symbols) {
  return static_cast<std::int64_t>(probabilities.size()) / (symbols + 1);
}

}  // namespace

std::int64_t least_columns(std::span<const std::int32_t> text) {
  auto columns = static_cast<std::int64_t>(text.size());
  for (std::size_t i = 1; i < text.size(); ++i) columns += text[i] == text[i - 1] ? 1 : 0;
  return columns;
}

double log_probability(std::span<const float> probabilities, std::int64_t symbols, std::span<const std::int32_t> text) {
  const std::int64_t columns = columns_of(probabilities, symbols);
  const auto width = static_cast<std::size_t>(symbols) + 1;
  // States: a blank before, between and behind the symbols. Each column is divided by its sum, whose logarithm is kept.
  const std::size_t states = 2 * text.size() + 1;
  std::vector<double> before(states), now(states);
  double logarithm = 0;
  for (std::int64_t t = 0; t < columns; ++t) {
    const auto column = probabilities.subspan(static_cast<std::size_t>(t) * width, width);
    double sum = 0;
    for (std::size_t s = 0; s < states; ++s) {
      double ways = t == 0 ? (s <= 1 ? 1 : 0) : before[s];
      if (t > 0 && s >= 1) ways += before[s - 1];
      const bool skips = s % 2 == 1 && s >= 3 && text[s / 2] != text[s / 2 - 1];
      if (t > 0 && skips) ways += before[s - 2];
      const std::size_t said = s % 2 == 0 ? width - 1 : static_cast<std::size_t>(text[s / 2]);
      now[s] = ways * static_cast<double>(column[said]);
      sum += now[s];
    }
    if (!(sum > 0)) return impossible;
    for (double& each : now) each /= sum;
    logarithm += std::log(sum);
    std::swap(before, now);
  }
  if (columns == 0) return text.empty() ? 0 : impossible;
  const double ends = before[states - 1] + (states > 1 ? before[states - 2] : 0);
  return ends > 0 ? logarithm + std::log(ends) : impossible;
}

Symbols read_greedily(std::span<const float> probabilities, std::int64_t symbols) {
  Symbols text;
  const auto width = static_cast<std::size_t>(symbols) + 1;
  std::int64_t last = symbols;
  for (std::size_t at = 0; at + width <= probabilities.size(); at += width) {
    const auto column = probabilities.subspan(at, width);
    const std::int64_t said = std::max_element(column.begin(), column.end()) - column.begin();
    if (said != last && said != symbols) text.push_back(static_cast<std::int32_t>(said));
    last = said;
  }
  return text;
}

std::vector<RankedText> read_beam(std::span<const float> probabilities, std::int64_t symbols, const TextFormats& formats, std::size_t width,
                                  std::size_t most) {
  Beam beam(symbols, formats, width);
  const auto row = static_cast<std::size_t>(symbols) + 1;
  for (std::size_t at = 0; at + row <= probabilities.size(); at += row) beam.follow(probabilities.subspan(at, row));
  std::vector<RankedText> texts;
  for (Symbols& text : beam.complete()) {
    const double probability = std::exp(log_probability(probabilities, symbols, text));
    texts.push_back({std::move(text), std::min(probability, 1.0)});
  }
  std::stable_sort(texts.begin(), texts.end(), [](const RankedText& a, const RankedText& b) { return a.probability > b.probability; });
  if (texts.size() > most) texts.resize(most);
  return texts;
}

std::vector<double> character_probabilities(std::span<const float> probabilities, std::int64_t symbols,
                                            std::span<const std::int32_t> text) {
  const auto width = static_cast<std::size_t>(symbols) + 1;
  std::vector<float> greatest(width);
  for (std::size_t i = 0; i < probabilities.size(); ++i) greatest[i % width] = std::max(greatest[i % width], probabilities[i]);
  const double whole = log_probability(probabilities, symbols, text);
  std::vector<double> shares;
  Symbols other(text.begin(), text.end());
  for (std::size_t i = 0; i < text.size(); ++i) {
    double sum = 1;  // in units of the whole
    for (std::int32_t k = 0; k < symbols; ++k) {
      if (k == text[i] || greatest[static_cast<std::size_t>(k)] < least_weighed) continue;
      other[i] = k;
      sum += std::exp(log_probability(probabilities, symbols, other) - whole);
    }
    other[i] = text[i];
    shares.push_back(whole == impossible ? 0 : 1 / sum);
  }
  return shares;
}

}  // namespace sightline::tasks
