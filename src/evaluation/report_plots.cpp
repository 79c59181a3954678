#include "evaluation/report_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "evaluation/report_html.h"

namespace sightline::evaluation {

namespace {

// Ticks at 1, 2 or 5 times a power of ten, about `wanted` of them, inside [low, high].
std::vector<double> ticks(double low, double high, int wanted) {
  const double raw = (high - low) / std::max(wanted, 1);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double unit = raw / power;
  const double step = power * (unit <= 1 ? 1 : unit <= 2 ? 2 : unit <= 5 ? 5 : 10);
  std::vector<double> result;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step && result.size() < 50; ++i) result.push_back(i * step);
  return result;
}

std::string tick_text(double value) { return fmt::format("{:g}", std::abs(value) < 1e-12 ? 0.0 : std::round(value * 1e9) / 1e9); }

struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  double operator()(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

}  // namespace

std::string interval_bar(double value, const Interval& interval, const double* goal) {
  double low = std::min(value, interval.low), high = std::max(value, interval.high);
  if (goal != nullptr) {
    low = std::min(low, *goal);
    high = std::max(high, *goal);
  }
  if (!(high > low) || !std::isfinite(high - low)) return "";
  const double margin = 0.12 * (high - low);
  const Scale x{low - margin, high + margin, 4, 196};
  std::string svg = "<svg viewBox=\"0 0 200 26\" aria-hidden=\"true\"><path class=\"track\" d=\"M4 13H196\"/>";
  svg += fmt::format("<path class=\"span\" d=\"M{:.1f} 13H{:.1f}\"/>", x(interval.low), x(interval.high));
  if (goal != nullptr) svg += fmt::format("<path class=\"goal\" d=\"M{0:.1f} 3V23\"/>", x(*goal));
  return svg + fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"13\" r=\"5\"/></svg>", x(value));
}

std::string line_plot(const std::vector<Series>& series, const std::string& x_name, const std::string& alt) {
  constexpr double kWidth = 380, kHeight = 240, kTop = 12, kBottom = 40;
  const double right = std::ranges::any_of(series, &Series::named) ? 76 : 14;
  bool whole = true;
  double low_x = INFINITY, high_x = -INFINITY, low_y = INFINITY, high_y = -INFINITY;
  for (const Series& each : series) {
    for (const auto& [px, py] : each.points) {
      whole = whole && px == std::floor(px);
      low_x = std::min(low_x, px);
      high_x = std::max(high_x, px);
      low_y = std::min(low_y, py);
      high_y = std::max(high_y, py);
    }
  }
  if (!(high_x >= low_x)) return "";
  if (high_x == low_x) high_x = low_x + 1;
  const double margin = high_y > low_y ? 0.06 * (high_y - low_y) : std::max(1e-6, 0.1 * std::abs(high_y));
  const Scale y{low_y >= 0 ? std::max(0.0, low_y - margin) : low_y - margin, high_y + margin, kHeight - kBottom, kTop};
  const std::vector<double> y_ticks = ticks(y.low, y.high, 5);
  std::size_t longest = 0;
  for (const double tick : y_ticks) longest = std::max(longest, tick_text(tick).size());
  const double left = std::max(44.0, 10.0 + 7.0 * static_cast<double>(longest));  // what the longest number needs
  const Scale x{low_x, high_x, left, kWidth - right};

  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight, html_text(alt));
  for (const double tick : y_ticks) {
    svg += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", left, y(tick),
                       kWidth - right, left - 7, y(tick) + 4, tick_text(tick));
  }
  for (const double tick : ticks(x.low, x.high, 8)) {
    if (whole && tick != std::floor(tick)) continue;
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(tick), kHeight - kBottom + 17, tick_text(tick));
  }
  svg += fmt::format("<path class=\"axis\" d=\"M{} {}H{}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>", left,
                     kHeight - kBottom, kWidth - right, (left + kWidth - right) / 2, kHeight - 5, html_text(x_name));
  std::vector<std::pair<double, const Series*>> names;
  for (const Series& each : series) {
    if (each.points.empty()) continue;
    const char* role = each.first ? "a" : "w";
    std::string path;
    for (const auto& [px, py] : each.points) path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(px), y(py));
    svg += fmt::format("<path class=\"line {}{}\" d=\"{}\"/>", role, each.first ? "" : " dashed", path);
    const double radius = each.points.size() <= 60 ? 3 : 1.5;
    for (const auto& [px, py] : each.points) {
      svg += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{} {:g}: {} {:.4g}</title></circle>", role,
                         x(px), y(py), radius, html_text(x_name), px, html_text(each.name), py);
    }
    if (each.named) names.emplace_back(y(each.points.back().second) + 4, &each);
  }
  std::sort(names.begin(), names.end());
  for (std::size_t i = 0; i < names.size(); ++i) {  // names stand at the ends of their lines, moved apart where they would touch
    if (i > 0) names[i].first = std::max(names[i].first, names[i - 1].first + 15);
    svg += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{:.1f}\">{}</text>", names[i].second->first ? "a" : "w", kWidth - right + 8,
                       names[i].first, html_text(names[i].second->name));
  }
  return svg + "</svg>";
}

History read_history(const Json& history) {
  History result;
  if (!history.is_object() || !history.contains("epochs") || !history["epochs"].is_array()) return result;
  const Json& epochs = history["epochs"];
  const std::size_t stride = std::max<std::size_t>(1, epochs.size() / 400);  // more points than pixels help nobody
  for (std::size_t i = 0; i < epochs.size(); i += stride) {
    const Json& epoch = epochs[i];
    if (!epoch.is_object()) continue;
    const auto number = [&](const char* key, double otherwise) {
      const auto found = epoch.find(key);
      return found != epoch.end() && found->is_number() ? found->get<double>() : otherwise;
    };
    const double x = number("epoch", static_cast<double>(i + 1));
    const auto add = [&](std::vector<std::pair<double, double>>& points, const char* key) {
      const double value = number(key, NAN);
      if (std::isfinite(value) && std::isfinite(x)) points.emplace_back(x, value);
    };
    add(result.train_loss, "loss");
    add(result.validation_loss, "validation_loss");
    add(result.train_top1, "train_top1");
    add(result.validation_top1, "validation_top1");
    add(result.learning_rate, "learning_rate");
  }
  return result;
}

std::string confusion_map(const tasks::ClassifyFigures& figures, const std::vector<std::string>& classes) {
  constexpr std::size_t kMostCells = 6000, kLongest = 18;
  const std::size_t count = figures.confusion.size();
  if (count == 0) return "";
  const double cell = std::clamp((count > 30 ? 700.0 : 460.0) / static_cast<double>(count), 0.6, 48.0);
  const auto every = static_cast<std::size_t>(std::ceil(11.5 / cell));  // a label needs 11.5 units of height
  std::size_t longest = 1;
  for (std::size_t k = 0; k < count && k < classes.size(); k += every)
    longest = std::max(longest, std::min(kLongest, code_points(classes[k])));
  const double gutter = 24 + 6.9 * static_cast<double>(longest), top = 26 + 5.6 * static_cast<double>(longest);
  const double side = cell * static_cast<double>(count);
  const double width = gutter + side + 4 + 3.5 * static_cast<double>(longest), height = top + side + 6;

  struct Cell {
    std::size_t given, predicted;
    std::int64_t number;
  };
  std::vector<Cell> cells;
  std::vector<double> totals(count, 0);
  double largest_error = 0;
  for (std::size_t g = 0; g < count; ++g) {
    for (const std::int64_t number : figures.confusion[g]) totals[g] += static_cast<double>(number);
    for (std::size_t p = 0; p < figures.confusion[g].size(); ++p) {
      const std::int64_t number = figures.confusion[g][p];
      if (number <= 0) continue;
      cells.push_back({g, p, number});
      if (g != p) largest_error = std::max(largest_error, static_cast<double>(number) / totals[g]);
    }
  }
  if (cells.size() > kMostCells) {
    std::stable_sort(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) { return a.number > b.number; });
    cells.resize(kMostCells);
  }

  const auto name = [&](std::size_t k) { return k < classes.size() ? classes[k] : std::to_string(k); };
  std::string svg = fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"Confusion matrix of {} classes: rows are the given classes, columns "
      "the "
      "predicted ones. The table beside it lists the most frequent confusions.\">",
      width, height, count);
  svg += fmt::format("<text x=\"{:.1f}\" y=\"13\">predicted \xE2\x86\x92</text><text x=\"2\" y=\"{:.1f}\">given \xE2\x86\x93</text>",
                     gutter, top - 6);
  svg += fmt::format("<rect class=\"cell\" x=\"{0:.1f}\" y=\"{1:.1f}\" width=\"{2:.1f}\" height=\"{2:.1f}\"/>", gutter, top, side);
  const auto label = [&](std::size_t k, const std::string& place) {
    return fmt::format("<text {}>{}<title>{}</title></text>", place, html_text(shortened(name(k), kLongest)),
                       html_text(shortened(name(k), 200)));
  };
  const auto middle = [&](std::size_t k) { return (static_cast<double>(k) + 0.5) * cell; };
  for (std::size_t k = 0; k < count; k += every)
    svg += label(k, fmt::format("x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\"", gutter - 6, top + middle(k) + 4));
  const auto every_column = static_cast<std::size_t>(std::ceil(15 / cell));  // slanted labels need more room
  for (std::size_t k = 0; k < count; k += every_column)
    svg += label(k, fmt::format("transform=\"translate({:.1f} {:.1f}) rotate(-52)\"", gutter + middle(k) + 3, top - 6));
  for (const Cell& each : cells) {
    const bool right = each.given == each.predicted;
    const double share = static_cast<double>(each.number) / totals[each.given];
    const double depth = right ? share : std::sqrt(share / largest_error);  // errors are rare: the root keeps the small ones visible
    const int level = std::clamp(static_cast<int>(std::ceil(depth * 6)), 1, 6);
    const double left = gutter + static_cast<double>(each.predicted) * cell, up = top + static_cast<double>(each.given) * cell;
    const double gap = cell >= 8 ? 1 : 0;
    svg += fmt::format(
        "<rect class=\"{}{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>given {}, predicted {}: {} "
        "({} of the given)</title></rect>",
        right ? "d" : "e", level, left, up, cell - gap, cell - gap, html_text(shortened(name(each.given), 60)),
        html_text(shortened(name(each.predicted), 60)), human_count(static_cast<std::uint64_t>(each.number)), share_text(share));
    if (cell >= 6.9 * static_cast<double>(std::to_string(each.number).size()) + 5)
      svg += fmt::format("<text class=\"cell-text{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", level >= 5 ? " on" : "", left + cell / 2,
                         up + cell / 2 + 4, each.number);
  }
  return svg + "</svg>";
}

std::string reliability_diagram(const std::vector<tasks::ReliabilityBin>& bins, const std::string& alt) {
  constexpr double kSide = 250, kLeft = 44, kTop = 10, kStrip = 46, kWidth = kLeft + kSide + 12, kHeight = kTop + kSide + kStrip + 46;
  if (bins.empty()) return "";
  const Scale x{0, 1, kLeft, kLeft + kSide}, y{0, 1, kTop + kSide, kTop};
  std::int64_t most = 1;
  for (const tasks::ReliabilityBin& bin : bins) most = std::max(most, bin.count);
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight, html_text(alt));
  for (const double tick : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    svg += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}h{}\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", kLeft,
                       y(tick), kSide, kLeft - 7, y(tick) + 4, tick_text(tick));
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(tick), kHeight - 22, tick_text(tick));
  }
  const double step = kSide / static_cast<double>(bins.size());
  const double floor = kTop + kSide + 8 + kStrip;  // the strip with the numbers of samples stands below
  for (std::size_t b = 0; b < bins.size(); ++b) {
    const tasks::ReliabilityBin& bin = bins[b];
    if (bin.count == 0) continue;
    const double left = kLeft + static_cast<double>(b) * step + 1;
    const double accuracy = std::clamp(bin.accuracy, 0.0, 1.0), confidence = std::clamp(bin.confidence, 0.0, 1.0);
    const std::string title = fmt::format("<title>confidence {:.3f}, accuracy {:.3f}, {}</title>", bin.confidence, bin.accuracy,
                                          plural(static_cast<std::uint64_t>(bin.count), "image"));
    svg += fmt::format("<rect class=\"bar\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\">{}</rect>", left, y(accuracy),
                       step - 2, y(0) - y(accuracy), title);
    svg += fmt::format("<rect class=\"gap\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\">{}</rect>", left,
                       y(std::max(accuracy, confidence)), step - 2, std::abs(y(accuracy) - y(confidence)), title);
    const double tall = std::max(1.0, kStrip * static_cast<double>(bin.count) / static_cast<double>(most));
    svg += fmt::format("<rect class=\"soft\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\">{}</rect>", left, floor - tall,
                       step - 2, tall, title);
  }
  svg += fmt::format("<path class=\"axis dashed\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>", x(0), y(0), x(1), y(1));
  svg += fmt::format("<path class=\"axis\" d=\"M{0} {1:.1f}h{2}M{0} {3:.1f}h{2}\"/>", kLeft, y(0), kSide, floor);
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">confidence</text>", kLeft + kSide / 2, kHeight - 5);
  svg += fmt::format("<text transform=\"translate(11 {}) rotate(-90)\" text-anchor=\"middle\">accuracy</text>", kTop + kSide / 2);
  svg += fmt::format("<text transform=\"translate(11 {}) rotate(-90)\" text-anchor=\"middle\">images</text>", floor - kStrip / 2);
  return svg + "</svg>";
}

}  // namespace sightline::evaluation
