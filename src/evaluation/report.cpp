#include "evaluation/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/text.h"
#include "base/version.h"
#include "evaluation/report_data.h"
#include "evaluation/report_html.h"
#include "evaluation/report_plots.h"
#include "evaluation/report_task.h"

namespace sightline::evaluation {

namespace {

constexpr std::size_t kConfusions = 14, kClassRows = 25;
constexpr int kLineageDepth = 5;

bool classifies(const ReportInput& input) { return input.evaluation.task == "classify"; }

// --- the head: verdict and key figures ---

struct Tile {
  std::string name, value, note, bar;
  bool lead = false;
};

std::string tile_html(const Tile& tile) {
  return fmt::format(
      "<div class=\"tile{}\"><span class=\"name\">{}</span><span class=\"value\">{}</span><span class=\"note\">{}</span>{}</div>\n",
      tile.lead ? " lead" : "", tile.name, tile.value, tile.note, tile.bar);
}

Tile metric_tile(const ReportInput& input, const std::string& metric, double value) {
  Tile tile{metric, fmt::format("{:.4f}", value), "", "", input.demand.target.metric == metric};
  const bool has_goal = tile.lead && input.demand.target.at_least > 0;
  const auto interval = input.evaluation.intervals.find(metric);
  if (interval != input.evaluation.intervals.end()) {
    tile.note = fmt::format("95% interval {:.4f} to {:.4f}", interval->second.low, interval->second.high);
    tile.bar = interval_bar(value, interval->second, has_goal ? &input.demand.target.at_least : nullptr);
  }
  if (has_goal)
    tile.note = fmt::format("target {:g}: {}{}{}", input.demand.target.at_least,
                            value >= input.demand.target.at_least ? "reached" : "missed", tile.note.empty() ? "" : "<br>", tile.note);
  return tile;
}

// The limit beside a measured value, in words.
std::string against_limit(double value, const std::optional<double>& limit, const char* unit) {
  if (!limit) return "no limit set";
  return fmt::format("limit {:g} {}: {}", *limit, unit, value <= *limit ? "kept" : "exceeded");
}

std::string tiles(const ReportInput& input) {
  const Evaluation& evaluation = input.evaluation;
  const tasks::ClassifyFigures& figures = evaluation.figures;
  std::vector<Tile> all;
  if (classifies(input)) {
    all.push_back(metric_tile(input, "top1", figures.top1));
    all.push_back(metric_tile(input, "macro_f1", figures.macro_f1));
    if (evaluation.classes.size() > 5) all.push_back(metric_tile(input, "top5", figures.top5));
    all.push_back(metric_tile(input, "log_loss", figures.log_loss));
  } else if (const auto task = tasks::find_task(evaluation.task); task.ok()) {
    for (const tasks::Metric& metric : (*task)->metrics)
      if (const auto value = value_of(evaluation, metric.name); value.ok()) all.push_back(metric_tile(input, metric.name, *value));
  }
  std::stable_sort(all.begin(), all.end(), [](const Tile& a, const Tile& b) { return a.lead && !b.lead; });
  if (classifies(input))
    all.push_back({"calibration error", fmt::format("{:.4f}", figures.calibration_error),
                   fmt::format("{:.4f} before temperature {:.3g}", evaluation.calibration_error_before, evaluation.temperature), "",
                   false});
  const Latency& latency = evaluation.latency;
  if (latency.count > 0)
    all.push_back({"latency p95", fmt::format("{:.2f} <small>ms</small>", latency.p95),
                   against_limit(latency.p95, input.demand.limits.latency_ms, "ms") + "<br>one image, after decoding", "", false});
  all.push_back({"size", html_text(human_bytes(evaluation.size_bytes)),
                 against_limit(static_cast<double>(evaluation.size_bytes) / 1e6, input.demand.limits.size_mb, "MB"), "", false});
  all.push_back(
      {"throughput",
       fmt::format("{} <small>images/s</small>", human_count(static_cast<std::uint64_t>(std::max(0.0, evaluation.images_per_second)))),
       "whole set, decoding included", "", false});
  std::string html = "<div class=\"tiles\">\n";
  for (const Tile& tile : all) html += tile_html(tile);
  return html + "</div>\n";
}

std::string head(const ReportInput& input) {
  const Evaluation& evaluation = input.evaluation;
  const Verdict& verdict = input.verdict;
  // The verdict's sentence begins with the word that the badge says already.
  std::string sentence = verdict.sentence;
  for (const char* word : {"released: ", "refused: "}) {
    if (sentence.starts_with(word)) sentence = sentence.substr(std::string(word).size());
  }
  return fmt::format(
      "<header>\n<p class=\"eyebrow\">Sightline report \xC2\xB7 {} \xC2\xB7 {}</p>\n<h1><bdi>{}</bdi></h1>\n"
      "<div class=\"verdict {}\"><span class=\"badge {}\">{}</span><p>{}.</p></div>\n{}"
      "<p class=\"soft small\">Every figure was measured with the packaged model and the runtime that serves it, on {} of the {} split "
      "that it was never "
      "trained on.</p>\n</header>\n",
      html_text(input.demand.task), html_text(input.created),
      html_text(shortened(input.demand.name.empty() ? evaluation.model : input.demand.name, 120)), verdict.release ? "pass" : "fail",
      verdict.release ? "yes" : "no", verdict.release ? "\xE2\x9C\x93 Released" : "\xE2\x9C\x97 Refused", html_text(sentence), tiles(input),
      plural(static_cast<std::uint64_t>(std::max<std::int64_t>(0, measured_of(evaluation).pictures)), "image"),
      html_text(evaluation.split));
}

std::string gate_section(const ReportInput& input) {
  std::string body = "<ul class=\"checks\">";
  for (const GateLine& line : input.verdict.lines) {
    // Most sentences begin with what they are about.
    const bool begins = line.sentence.starts_with(line.what);
    const std::string rest = begins ? line.sentence.substr(line.what.size()) : ": " + line.sentence;
    body += fmt::format("<li><span class=\"badge {}\">{}</span><span><b>{}</b>{}</span></li>", line.passed ? "yes" : "no",
                        line.passed ? "\xE2\x9C\x93 passed" : "\xE2\x9C\x97 failed", html_text(line.what), html_text(rest));
  }
  return section("gate", "The gate", body + "</ul>");
}

std::string rungs_section(const ReportInput& input) {
  if (input.rungs.empty()) return "";
  std::string body =
      "<p class=\"soft\">The cheapest way comes first; the next one is taken only where the target is not met and the gain that is "
      "predicted "
      "and the budget justify it. The figures are of pictures that a model had not learnt from, none of them test pictures.</p>"
      "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">tried</th><th scope=\"col\" class=\"num\">reached</th><th scope=\"col\" "
      "class=\"num\">95% interval</th><th scope=\"col\" class=\"num\">took</th><th scope=\"col\"></th></tr></thead><tbody>";
  std::string words;
  const ReportRung* in_force = nullptr;
  for (const ReportRung& rung : input.rungs)
    if (rung.kept) in_force = &rung;
  for (const ReportRung& rung : input.rungs) {
    body += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"num\">{} {:.4f}</td><td class=\"num\">{:.4f} to {:.4f}</td><td "
        "class=\"num\">{}</td><td>{}</td></tr>",
        html_text(rung.name), html_text(rung.metric), rung.value, rung.interval.low, rung.interval.high,
        html_text(human_seconds(rung.seconds)),
        &rung == in_force ? "in force"
        : rung.kept       ? ""
                          : "rejected");
    for (const std::string& sentence : rung.sentences)
      if (!sentence.empty()) words += fmt::format("<li>{}</li>", html_text(sentence));
  }
  return section("recipe", "How the recipe was chosen", body + "</tbody></table></div><ol>" + words + "</ol>");
}

// --- learning, confusion, calibration ---

std::string curve(const std::string& title, const std::vector<Series>& series, const std::string& alt) {
  const std::string plot = line_plot(series, "epoch", alt);
  return plot.empty() ? "" : fmt::format("<figure><h3>{}</h3>{}</figure>", title, plot);
}

std::string learning_section(const ReportInput& input) {
  const History history = read_history(input.history);
  std::string plots = curve("Loss", {{"validation", true, history.validation_loss}, {"training", false, history.train_loss}},
                            "Loss by epoch, training and validation");
  plots += curve("top1", {{"validation", true, history.validation_top1}, {"training", false, history.train_top1}},
                 "Share of right answers by epoch, training and validation");
  plots += curve("Learning rate", {{"rate", true, history.learning_rate}}, "Learning rate by epoch");
  if (plots.empty()) return "";
  std::string words;
  if (!history.validation_top1.empty()) {
    const auto best = std::max_element(history.validation_top1.begin(), history.validation_top1.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    words = fmt::format(
        "<p class=\"soft\">Best validation top1 {:.4f} at epoch {:g} of {:g}. Solid with filled dots: images that were not trained on; "
        "dashed with hollow dots: "
        "the training images, as augmented.</p>",
        best->second, best->first, history.validation_top1.back().first);
  }
  return section("learning", "How it learned", words + "<div class=\"columns\">" + plots + "</div>");
}

struct Confusion {
  std::size_t given, predicted;
  std::int64_t count;
  double share;
};

std::vector<Confusion> confusions_of(const tasks::ClassifyFigures& figures) {
  std::vector<Confusion> all;
  for (std::size_t g = 0; g < figures.confusion.size(); ++g) {
    const auto total = static_cast<double>(std::accumulate(figures.confusion[g].begin(), figures.confusion[g].end(), std::int64_t{0}));
    for (std::size_t p = 0; p < figures.confusion[g].size(); ++p) {
      if (g != p && figures.confusion[g][p] > 0)
        all.push_back({g, p, figures.confusion[g][p], static_cast<double>(figures.confusion[g][p]) / total});
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
  return all;
}

std::string class_cell(const std::vector<std::string>& classes, std::size_t k) {
  return fmt::format("<bdi>{}</bdi>", html_text(shortened(k < classes.size() ? classes[k] : std::to_string(k), 60)));
}

std::string confusion_section(const ReportInput& input) {
  const tasks::ClassifyFigures& figures = input.evaluation.figures;
  const std::string map = confusion_map(figures, input.evaluation.classes);
  if (map.empty()) return "";
  const std::vector<Confusion> all = confusions_of(figures);
  std::string table = "<div><h3>Most frequent confusions</h3>";
  if (all.empty()) {
    table += "<p>None: every answer was right.</p>";
  } else {
    table +=
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">given</th><th scope=\"col\">predicted</th><th scope=\"col\" "
        "class=\"num\">images</th>"
        "<th scope=\"col\" class=\"num\">of the class</th></tr></thead><tbody>";
    for (std::size_t i = 0; i < std::min(kConfusions, all.size()); ++i)
      table += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td></tr>",
                           class_cell(input.evaluation.classes, all[i].given), class_cell(input.evaluation.classes, all[i].predicted),
                           human_count(static_cast<std::uint64_t>(all[i].count)), share_text(all[i].share));
    table += "</tbody></table></div>";
  }
  const bool many = figures.confusion.size() > 30;  // such a map needs the width of the page
  return section(
      "confusion", "What it confuses",
      fmt::format(
          "<p class=\"soft\">Each row is a given class, each column what the model answered; blue on the diagonal is right, orange beside "
          "it is wrong. The deeper the colour, the larger the share of the row. Point at a cell for its figures.</p><div "
          "class=\"{}\"><figure class=\"{}\">{}</figure>{}</div></div>",
          many ? "block" : "columns matrix", many ? "wide" : "matrix", map, table));
}

std::string calibration_section(const ReportInput& input) {
  const Evaluation& evaluation = input.evaluation;
  const std::string how =
      "Accuracy by confidence: bars on the dashed diagonal mean that the model knows how sure it may be; the orange part is the distance.";
  const auto figure = [&](const char* title, const std::vector<tasks::ReliabilityBin>& bins, double error) {
    const std::string plot =
        reliability_diagram(bins, fmt::format("Reliability diagram, {}: expected calibration error {:.4f}", title, error));
    return plot.empty()
               ? ""
               : fmt::format(
                     "<figure class=\"reliability\"><h3>{}</h3>{}<figcaption>expected calibration error {:.4f}</figcaption></figure>",
                     title, plot, error);
  };
  const bool tempered = std::abs(evaluation.temperature - 1) > 1e-6;
  std::string plots =
      tempered ? figure("Before temperature scaling", evaluation.reliability_before, evaluation.calibration_error_before) : "";
  plots +=
      figure(tempered ? "As shipped" : "As shipped, no temperature", evaluation.reliability_after, evaluation.figures.calibration_error);
  return section(
      "calibration", "How sure it may be",
      fmt::format("<p class=\"soft\">{} The temperature is {:.4g}, fitted on validation images.</p><div class=\"columns\">{}</div>", how,
                  evaluation.temperature, plots));
}

// --- tables ---

std::string classes_section(const ReportInput& input) {
  std::vector<tasks::ClassFigures> classes = input.evaluation.figures.per_class;
  std::stable_sort(classes.begin(), classes.end(),
                   [](const auto& a, const auto& b) { return (a.count > 0) != (b.count > 0) ? a.count > 0 : a.f1 < b.f1; });
  const auto rows = [&](std::size_t from, std::size_t until) {
    std::string html =
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">class</th><th scope=\"col\" class=\"num\">images</th><th scope=\"col\" "
        "class=\"num\">precision</th>"
        "<th scope=\"col\" class=\"num\">recall</th><th scope=\"col\" class=\"num\">F1</th><td></td></tr></thead><tbody>";
    for (std::size_t i = from; i < until; ++i) {
      const tasks::ClassFigures& each = classes[i];
      html += fmt::format("<tr><th scope=\"row\"><bdi>{}</bdi></th><td class=\"num\">{}</td>", html_text(shortened(each.name, 60)),
                          human_count(static_cast<std::uint64_t>(std::max<std::int64_t>(0, each.count))));
      if (each.count == 0) {
        html += "<td colspan=\"4\" class=\"soft\">no images in this split</td></tr>";
        continue;
      }
      html += fmt::format(
          "<td class=\"num\">{:.3f}</td><td class=\"num\">{:.3f}</td><td class=\"num\"><b>{:.3f}</b></td><td><span class=\"meter\">"
          "<i style=\"width:{:.1f}%\"></i></span></td></tr>",
          each.precision, each.recall, each.f1, 100 * std::clamp(each.f1, 0.0, 1.0));
    }
    return html + "</tbody></table></div>";
  };
  const std::size_t open = std::min(kClassRows, classes.size());
  std::string body = "<p class=\"soft\">The weakest class first.</p>" + rows(0, open);
  if (classes.size() > open)
    body += fmt::format("<details><summary>the other {} classes</summary>{}</details>", classes.size() - open,
                        rows(open, std::min<std::size_t>(classes.size(), 2000)));
  return section("classes", "Class by class", body);
}

std::string decisions_section(const ReportInput& input) {
  if (!input.evaluation.decisions) return "";
  std::string body = "<ul>";
  for (const std::string& sentence : input.evaluation.decisions->sentences) body += "<li>" + html_text(sentence) + "</li>";
  return section(
      "decisions", "Decisions",
      "<p class=\"soft\">What it says beyond the most probable class, fitted on pictures that it had not learned from, measured on "
      "the test pictures.</p>" +
          body + "</ul>");
}

std::string performance_section(const ReportInput& input) {
  const Evaluation& evaluation = input.evaluation;
  const Latency& latency = evaluation.latency;
  std::string body = "<div class=\"scroll\"><table><tbody>";
  const auto row = [&](const char* name, const std::string& value, const std::string& note) {
    body += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"num\">{}</td><td class=\"soft\">{}</td></tr>", name, value, note);
  };
  if (latency.count > 0) {
    const std::string how =
        fmt::format("{}, {}; resize, network and answer, after decoding", plural(static_cast<std::uint64_t>(latency.count), "run"),
                    plural(static_cast<std::uint64_t>(std::max(latency.threads, 0)), "thread"));
    row("latency p50", fmt::format("{:.3f} ms", latency.p50), how);
    row("latency p95", fmt::format("{:.3f} ms", latency.p95), against_limit(latency.p95, input.demand.limits.latency_ms, "ms"));
    row("latency p99", fmt::format("{:.3f} ms", latency.p99), "");
  }
  row("throughput", fmt::format("{:.0f} images/s", evaluation.images_per_second), "whole set in batches, decoding included");
  row("size", html_text(human_bytes(evaluation.size_bytes)),
      "the package without golden samples; " +
          against_limit(static_cast<double>(evaluation.size_bytes) / 1e6, input.demand.limits.size_mb, "MB"));
  row("peak memory", html_text(human_bytes(evaluation.peak_memory_bytes)), "of the process that evaluated, data included");
  return section("performance", "Speed and size", body + "</tbody></table></div>");
}

std::string precision_section(const ReportInput& input) {
  const Compression& compression = input.compression;
  if (compression.candidates.empty()) return "";
  std::string body = fmt::format(
      "<p class=\"soft\">The same model in other numbers, each packaged, opened again and run over {} validation images. The loss is in "
      "points of "
      "{} against f32, with the 95% interval of the paired difference; {:g} points are tolerated.</p>",
      human_count(static_cast<std::uint64_t>(std::max<std::int64_t>(0, compression.validation_images))), html_text(compression.metric),
      compression.tolerance);
  body +=
      "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">precision</th><th scope=\"col\" class=\"num\">metric</th><th "
      "scope=\"col\" "
      "class=\"num\">loss</th><th scope=\"col\" class=\"num\">interval</th><th scope=\"col\" class=\"num\">latency</th><th scope=\"col\" "
      "class=\"num\">size</th><th scope=\"col\">decision</th></tr></thead><tbody>";
  for (const CompressionCandidate& each : compression.candidates)
    body += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"num\">{:.4f}</td><td class=\"num\">{:.2f}</td><td class=\"num\">{:.2f} to {:.2f}</td><td "
        "class=\"num\">{:.3f} ms</td><td class=\"num\">{}</td><td>{}</td></tr>",
        html_text(each.precision), each.metric, each.loss, each.interval.low, each.interval.high, each.latency_ms,
        html_text(human_bytes(each.size_bytes)), html_text(each.sentence));
  body += "</tbody></table></div>";
  for (const std::string& remark : compression.remarks) body += fmt::format("<p class=\"soft\">{}</p>", html_text(remark));
  return section("precision", "Precision", body);
}

std::string lineage_value(const Json& value, int depth) {
  if (value.is_object() && !value.empty() && depth < kLineageDepth) {
    std::string html = "<dl class=\"lineage\">";
    for (const auto& [key, each] : value.items()) {
      std::string words = key;
      std::replace(words.begin(), words.end(), '_', ' ');
      html += fmt::format("<dt>{}</dt><dd>{}</dd>", html_text(shortened(words, 80)), lineage_value(each, depth + 1));
    }
    return html + "</dl>";
  }
  if (value.is_null()) return "<span class=\"soft\">\xE2\x80\x93</span>";
  const std::string text = value.is_string()         ? value.get<std::string>()
                           : value.is_number_float() ? fmt::format("{:g}", value.get<double>())
                                                     : json_text(value);
  const bool digest = text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  return digest ? fmt::format("<code title=\"{0}\">{1}\xE2\x80\xA6</code>", text, text.substr(0, 16))
                : fmt::format("<bdi>{}</bdi>", html_text(shortened(text, 400)));
}

std::string lineage_section(const ReportInput& input) {
  if (!input.lineage.is_object() || input.lineage.empty()) return "";
  return section("lineage", "Lineage", "<p class=\"soft\">What this model was made from, and how.</p>" + lineage_value(input.lineage, 0));
}

}  // namespace

Result<std::string> write_report(const ReportInput& input) {
  Pictures pictures;
  if (input.manifest != nullptr) {
    want_answers(input, pictures);
    want_pictures(input, pictures);
    SIGHTLINE_CHECK(pictures.load(input.manifest->root));
  }
  const std::vector<std::pair<const char*, std::string>> sections{
      {"gate|Gate", gate_section(input)},
      {"search|Search", input.search ? search_section(*input.search, input.demand.limits, input.demand.name) : ""},
      {"recipe|Recipe", rungs_section(input)},
      {"learning|Learning", learning_section(input)},
      {"measured|Measured", measured_section(input)},
      {"pairs|Pairs", pairs_section(input, pictures)},
      {"suspects|Boxes to look at", suspect_boxes_section(input)},
      {"answers|Answers", answers_section(input, pictures)},
      {"confusion|Confusion", classifies(input) ? confusion_section(input) : ""},
      {"classes|Classes", classifies(input) ? classes_section(input) : ""},
      {"calibration|Calibration", classifies(input) ? calibration_section(input) : ""},
      {"decisions|Decisions", decisions_section(input)},
      {"mistakes|Mistakes", classifies(input) ? mistakes_section(input, pictures) : ""},
      {"label-errors|Label errors", classifies(input) ? suspects_section(input, pictures) : ""},
      {"audit|Audit", audit_section(input, pictures)},
      {"data|Data", data_section(input)},
      {"performance|Speed and size", performance_section(input)},
      {"precision|Precision", precision_section(input)},
      {"lineage|Lineage", lineage_section(input)},
  };
  std::string links, body;
  for (const auto& [name, html] : sections) {
    if (html.empty()) continue;
    const std::vector<std::string> parts = split(name, '|');
    links += fmt::format("<li><a href=\"#{}\">{}</a></li>", parts[0], parts[1]);
    body += html;
  }
  std::string page =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n";
  // Nothing may be fetched or run, whatever a name smuggles in.
  page += "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n";
  page += fmt::format("<title>{}: {}</title>\n<style>", html_text(shortened(input.demand.name, 120)),
                      input.verdict.release ? "released" : "refused");
  page += report_style();
  page += "</style>\n</head>\n<body>\n";
  page += head(input);
  page += "<nav aria-label=\"On this page\"><ul>" + links + "</ul></nav>\n<main>\n" + body + "</main>\n";
  page += fmt::format("<footer><p>Made by sightline {} \xC2\xB7 {}</p></footer>\n</body>\n</html>\n", html_text(version),
                      html_text(input.created));
  return page;
}

}  // namespace sightline::evaluation
