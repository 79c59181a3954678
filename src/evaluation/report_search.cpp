#include "evaluation/report_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "evaluation/report_data.h"
#include "evaluation/report_html.h"

namespace sightline::evaluation {
namespace {

// A limit that lies further out than this many times the slowest point is told in words only.
constexpr double far_limit = 1.6;

struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  double operator()(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

std::string tick_text(double value) { return fmt::format("{:g}", std::abs(value) < 1e-9 ? 0.0 : std::round(value * 1e6) / 1e6); }

std::vector<double> ticks(double low, double high) {
  const double raw = (high - low) / 5, power = std::pow(10, std::floor(std::log10(raw))), unit = raw / power;
  const double step = power * (unit <= 1 ? 1 : unit <= 2 ? 2 : unit <= 5 ? 5 : 10);
  std::vector<double> result;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step && result.size() < 20; ++i) result.push_back(i * step);
  return result;
}

std::string words(const SearchPoint& point, const std::string& metric) {
  return fmt::format("{}{}: {} {:.4f}, {:.2f} ms, {:.2f} MB", point.number > 0 ? fmt::format("point {}, ", point.number) : "", point.name,
                     metric, point.value, point.latency_ms, point.size_mb);
}

// Accuracy upwards, latency to the right, the area of a mark as its size.
std::string front_plot(const SearchReport& search, const demand::Limits& limits) {
  constexpr double width = 720, height = 340, left = 62, right = 24, top = 16, bottom = 46;
  double fastest = INFINITY, slowest = 0, worst = INFINITY, best = 0, largest = 0;
  const auto measure = [&](const SearchPoint& point) {
    fastest = std::min(fastest, point.latency_ms);
    slowest = std::max(slowest, point.latency_ms);
    best = std::max(best, point.value);
    largest = std::max(largest, point.size_mb);
  };
  for (const SearchPoint& point : search.points) {
    measure(point);
    worst = std::min(worst, point.value);
  }
  for (const SearchPoint& point : search.others) measure(point);
  if (!(best > 0) || !(slowest > 0)) return "";
  // Finalists far below everything that was kept would press the rest together: they stand on the lower edge.
  const double room = std::max(0.02, best - worst);
  double reach = slowest;
  const bool limit_drawn = limits.latency_ms && *limits.latency_ms < far_limit * slowest;
  if (limit_drawn) reach = std::max(reach, *limits.latency_ms);
  const Scale x{0, 1.06 * reach, left, width - right};
  const Scale y{std::max(0.0, worst - 0.6 * room), std::min(1.0, best + 0.15 * room) + 1e-9, height - bottom, top};
  std::string svg = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Accuracy on validation pictures against latency of every finalist; the points "
      "that are kept are numbered\">",
      width, height);
  for (const double tick : ticks(y.low, y.high))
    svg += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", left, y(tick),
                       width - right, left - 8, y(tick) + 4, tick_text(tick));
  for (const double tick : ticks(x.low, x.high))
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(tick), height - bottom + 18, tick_text(tick));
  svg += fmt::format("<path class=\"axis\" d=\"M{} {}H{}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">latency p95, ms</text>", left,
                     height - bottom, width - right, (left + width - right) / 2, height - 8);
  if (limit_drawn)
    svg +=
        fmt::format("<path class=\"goal\" d=\"M{0:.1f} {1}V{2}\"/><text x=\"{3:.1f}\" y=\"{4}\" text-anchor=\"end\">limit {5:g} ms</text>",
                    x(*limits.latency_ms), top, height - bottom, x(*limits.latency_ms) - 6, top + 10, *limits.latency_ms);
  const auto radius = [&](const SearchPoint& point) { return 3.5 + 7 * std::sqrt(point.size_mb / std::max(largest, 1e-9)); };
  for (const SearchPoint& point : search.others)
    svg += fmt::format("<circle class=\"tried\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"><title>{}</title></circle>", x(point.latency_ms),
                       y(std::max(point.value, y.low)), radius(point), html_text(words(point, search.metric)));
  for (const SearchPoint& point : search.points) {
    const double px = x(point.latency_ms), py = y(point.value), r = radius(point);
    if (point.chosen) svg += fmt::format("<circle class=\"ring\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"/>", px, py, r + 4);
    svg += fmt::format("<circle class=\"kept\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"><title>{}</title></circle>", px, py, r,
                       html_text(words(point, search.metric)));
    svg += fmt::format("<text class=\"number\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", px, py - r - 7, point.number);
  }
  return svg + "</svg>";
}

}  // namespace

std::string search_section(const SearchReport& search, const demand::Limits& limits, const std::string& model) {
  if (search.points.empty()) return "";
  std::string body = "<ul class=\"plain\">";
  for (const std::string& sentence : search.sentences)
    if (!sentence.starts_with("point ")) body += fmt::format("<li>{}.</li>", html_text(sentence));
  body += "</ul>";
  body += fmt::format(
      "<figure class=\"wide\"><h3>{} against latency</h3>{}<figcaption>Filled and numbered: no other is as accurate, as fast and as small "
      "at "
      "once. Ringed: the one that was taken. Hollow: the other finalists. The larger the mark, the larger the model.</figcaption></figure>",
      html_text(search.metric), front_plot(search, limits));
  body += fmt::format(
      "<div class=\"scroll\"><table><thead><tr><th scope=\"col\" class=\"num\">point</th><th scope=\"col\">model</th><th scope=\"col\" "
      "class=\"num\">{}</th><th scope=\"col\" class=\"num\">ms p95</th><th scope=\"col\" class=\"num\">MB</th><th scope=\"col\" "
      "class=\"num\">MB in memory</th></tr></thead><tbody>",
      html_text(search.metric));
  for (const SearchPoint& point : search.points)
    body += fmt::format(
        "<tr><td class=\"num\">{}</td><th scope=\"row\">{}{}{}</th><td class=\"num\">{:.4f}</td><td class=\"num\">{:.2f}</td><td "
        "class=\"num\">{:.2f}</td><td class=\"num\">{:.1f}</td></tr>",
        point.number, html_text(point.name), point.chosen ? " <span class=\"badge yes\">taken</span>" : "",
        point.standard ? " <span class=\"soft\">the default</span>" : "", point.value, point.latency_ms, point.size_mb, point.memory_mb);
  body += fmt::format(
      "</tbody></table></div><p class=\"soft\">Accuracy on {} validation pictures, which chose; the page's other figures are of test "
      "pictures, looked at once. Another point is packaged, measured and judged at the gate by <code>sightline release {} --point "
      "NUMBER</code>.</p>",
      search.validation_images, html_text(model));
  if (!search.dropped.empty()) {
    body += "<details><summary>dropped</summary><ul class=\"plain\">";
    for (const std::string& each : search.dropped) body += fmt::format("<li>{}</li>", html_text(each));
    body += "</ul></details>";
  }
  return section("search", "What competed", body);
}

}  // namespace sightline::evaluation
