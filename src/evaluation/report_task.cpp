#include "evaluation/report_task.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dataset/good_pictures.h"
#include "evaluation/report_data.h"
#include "evaluation/report_html.h"
#include "evaluation/report_plots.h"
#include "tasks/detect_suspects.h"

namespace sightline::evaluation {
namespace {

constexpr std::size_t kMostCurves = 12;

const tasks::Task* row_of(const ReportInput& input) {
  const auto row = tasks::find_task(input.evaluation.task);
  return row.ok() && (*row)->draw != nullptr ? *row : nullptr;
}

std::string key_of(std::size_t i, bool answer) { return fmt::format("{} {}", answer ? "answer" : "given", i); }

// The mask lies beside the data, not in the evaluation.
annotation::Annotation truth_with_mask(const ReportInput& input, const ShownCase& one) {
  const auto sample = std::ranges::find(input.manifest->samples, one.path, &dataset::Sample::path);
  return sample == input.manifest->samples.end() ? one.truth : dataset::truth_of(*input.manifest, *sample);
}

std::string number_cell(const std::map<std::string, double>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? "<td class=\"num soft\">\xE2\x80\x93</td>" : fmt::format("<td class=\"num\">{:.3f}</td>", found->second);
}

}  // namespace

std::string measured_section(const ReportInput& input) {
  const tasks::Figures& figures = input.evaluation.measured;
  if (figures.values.empty()) return "";
  std::string body;
  if (!figures.per_class.empty()) {
    std::vector<std::string> names;
    for (const tasks::ClassValues& each : figures.per_class)
      for (const auto& [name, value] : each.values)
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    body += "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">class</th><th scope=\"col\" class=\"num\">to be found</th>";
    for (const std::string& name : names) body += fmt::format("<th scope=\"col\" class=\"num\">{}</th>", html_text(name));
    body += "</tr></thead><tbody>";
    for (const tasks::ClassValues& each : figures.per_class) {
      body += fmt::format("<tr><th scope=\"row\"><bdi>{}</bdi></th><td class=\"num\">{}</td>", html_text(shortened(each.name, 60)),
                          human_count(static_cast<std::uint64_t>(std::max<std::int64_t>(0, each.count))));
      for (const std::string& name : names) body += number_cell(each.values, name);
      body += "</tr>";
    }
    body += "</tbody></table></div>";
  }
  std::string plots;
  std::size_t drawn = 0;
  for (const tasks::Curve& curve : figures.curves) {
    for (const tasks::Line& line : curve.lines) {
      if (drawn == kMostCurves) break;
      Series series{curve.y, true, {}, false};
      for (std::size_t i = 0; i < std::min(line.x.size(), line.y.size()); ++i) series.points.emplace_back(line.x[i], line.y[i]);
      const std::string title = line.name.empty() ? curve.title : fmt::format("{}: {}", curve.title, shortened(line.name, 40));
      const std::string plot = line_plot({series}, curve.x, title);
      if (plot.empty()) continue;
      plots += fmt::format("<figure><h3>{}</h3><p class=\"soft\">{}</p>{}</figure>", html_text(title), html_text(curve.y), plot);
      ++drawn;
    }
  }
  if (!figures.confusions.empty()) {
    const auto told = [](const std::string& name) { return name.empty() ? std::string("(nothing)") : html_text(shortened(name, 60)); };
    body +=
        "<h3>What is taken for what</h3><div class=\"scroll\"><table><thead><tr><th scope=\"col\">given</th><th scope=\"col\">answered</th>"
        "<th scope=\"col\" class=\"num\">times</th></tr></thead><tbody>";
    for (const tasks::Confusion& each : figures.confusions)
      body += fmt::format("<tr><td><bdi>{}</bdi></td><td><bdi>{}</bdi></td><td class=\"num\">{}</td></tr>", told(each.given),
                          told(each.answered), each.count);
    body += "</tbody></table></div>";
  }
  if (!plots.empty()) body += "<div class=\"columns\">" + plots + "</div>";
  body +=
      "<details><summary>every figure</summary><div class=\"scroll\"><table><thead><tr><th scope=\"col\">metric</th><th scope=\"col\" "
      "class=\"num\">value</th><th scope=\"col\" class=\"num\">95% interval</th></tr></thead><tbody>";
  for (const auto& [metric, value] : figures.values) {
    const auto interval = input.evaluation.intervals.find(metric);
    body += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"num\">{:.4f}</td><td class=\"num\">{}</td></tr>", html_text(metric), value,
        interval == input.evaluation.intervals.end() ? std::string()
                                                     : fmt::format("{:.4f} to {:.4f}", interval->second.low, interval->second.high));
  }
  return section("measured", "What was measured", body + "</tbody></table></div></details>");
}

void want_answers(const ReportInput& input, Pictures& pictures) {
  for (const ShownPair& pair : input.evaluation.pairs) {
    pictures.want(pair.first);
    pictures.want(pair.second);
  }
  const tasks::Task* row = row_of(input);
  if (row == nullptr) return;
  for (std::size_t i = 0; i < input.evaluation.shown.size(); ++i) {
    const ShownCase& one = input.evaluation.shown[i];
    const std::vector<std::string>& classes = input.evaluation.classes;
    pictures.want_drawn(key_of(i, false), one.path, [row, &one, &classes, &input](image::Image& picture) {
      row->draw_truth(picture, row->from_good ? truth_with_mask(input, one) : one.truth, classes);
    });
    pictures.want_drawn(key_of(i, true), one.path, [row, &one, &classes](image::Image& picture) {
      annotation::Annotation answer = annotation::at_least(one.answer, annotation::sure_score);
      if (Result<Tensor> map = annotation::map_of_text(one.map); map.ok()) answer.score_map = *std::move(map);
      row->draw(picture, answer, classes);
    });
  }
}

std::string pairs_section(const ReportInput& input, const Pictures& pictures) {
  if (input.evaluation.pairs.empty()) return "";
  std::string body =
      "<p class=\"soft\">Pairs of one identity that the model finds least alike, then pairs of two that it finds most alike. Look at "
      "them for wrong labels before anything else.</p>";
  for (const bool same : {true, false}) {
    body += fmt::format("<h3>{}</h3><div class=\"answers\">", same ? "One identity, least alike" : "Two identities, most alike");
    for (const ShownPair& pair : input.evaluation.pairs) {
      if (pair.same != same) continue;
      body += fmt::format(
          "<figure>{}{}<figcaption class=\"caption\">cosine <span class=\"num\">{:.3f}</span><br><span class=\"path\">"
          "<bdi>{}</bdi><br><bdi>{}</bdi></span></figcaption></figure>",
          pictures.html(pair.first, shortened_path(pair.first, 60)), pictures.html(pair.second, shortened_path(pair.second, 60)),
          pair.score, html_text(shortened_path(pair.first, 60)), html_text(shortened_path(pair.second, 60)));
    }
    body += "</div>";
  }
  return section("pairs", "Worst pairs", body);
}

std::string suspect_boxes_section(const ReportInput& input) {
  if (input.evaluation.suspects.empty()) return "";
  const auto box = [](const std::string& name, const annotation::Box& where) {
    return name.empty() ? std::string("\xE2\x80\x93")
                        : fmt::format("<bdi>{}</bdi> <span class=\"num\">{:.0f} {:.0f} {:.0f} {:.0f}</span>",
                                      html_text(shortened(name, 40)), where.left, where.top, where.right, where.bottom);
  };
  std::string body =
      "<p class=\"soft\">Boxes that the model, which did not learn from these pictures, contradicts, compared with how sure it usually is "
      "of "
      "their classes: the higher the score, the more probably the label is wrong. Left, top, right, bottom in pixels.</p><div "
      "class=\"scroll\"><table><thead><tr><th scope=\"col\">picture</th><th scope=\"col\">why</th><th scope=\"col\">given</th><th "
      "scope=\"col\">seen</th><th scope=\"col\" class=\"num\">score</th></tr></thead><tbody>";
  for (const ShownSuspect& one : input.evaluation.suspects) {
    tasks::Suspicion suspicion{};
    if (!enum_from(one.suspicion, suspicion)) continue;
    body += fmt::format(
        "<tr><td class=\"path\" title=\"{}\"><bdi>{}</bdi></td><td>{}</td><td>{}</td><td>{}</td><td class=\"num\">{:.2f}</td></tr>",
        html_text(one.path), html_text(shortened_path(one.path, 50)), tasks::words_for(suspicion), box(one.given, one.given_box),
        box(one.seen, one.seen_box), one.score);
  }
  return section("suspects", "Boxes to look at", body + "</tbody></table></div>");
}

// Of tasks whose answers are pictures.
std::string strips_section(const ReportInput& input) {
  constexpr std::size_t most = 2'500'000;  // characters of all of them
  std::string body =
      "<p class=\"soft\">From left to right: what the model was shown, what it answers, what is true, and how far off it expects to be: "
      "the "
      "warmer, the farther (yellow: 24 levels or more). A part of each picture, where the answer is worst. The worst answers come first; "
      "the "
      "last ones are taken evenly from all others.</p><div class=\"strips\">";
  std::size_t used = 0;
  for (const ShownCase& one : input.evaluation.shown) {
    used += one.strip.size();
    if (one.strip.empty() || used > most) continue;
    body += fmt::format(
        "<figure><img class=\"picture\" alt=\"shown, answered, true, expected deviation: {}\" "
        "src=\"data:image/jpeg;base64,{}\"><figcaption "
        "class=\"caption\">SSIM <span class=\"num\">{:.3f}</span><br><span class=\"path\" title=\"{}\"><bdi>{}</bdi></span></figcaption>"
        "</figure>",
        html_text(shortened_path(one.path, 60)), html_text(one.strip), 1 - one.wrongness, html_text(one.path),
        html_text(shortened_path(one.path, 60)));
  }
  return section("answers", "Answers", body + "</div>");
}

std::string answers_section(const ReportInput& input, const Pictures& pictures) {
  if (std::ranges::any_of(input.evaluation.shown, [](const ShownCase& one) { return !one.strip.empty(); })) return strips_section(input);
  if (row_of(input) == nullptr || input.evaluation.shown.empty()) return "";
  const bool objects = std::ranges::any_of(input.evaluation.shown, [](const ShownCase& one) { return !one.truth.objects.empty(); });
  const bool of_good = row_of(input)->from_good;
  const std::string right = of_good
                                ? "where the model sees something that is not as it should be: the warmer, the farther from good; white "
                                  "lines surround what is beyond the threshold (a score of 0.5)"
                            : objects ? fmt::format("what the model answers with a score of {:g} or more", annotation::sure_score)
                                      : "what the model answers";
  std::string body = fmt::format(
      "<p class=\"soft\">Left what was given, right {}. The pictures with the worst answers come first; the last ones are taken evenly "
      "from "
      "all others.</p><div class=\"answers\">",
      right);
  for (std::size_t i = 0; i < input.evaluation.shown.size(); ++i) {
    const ShownCase& one = input.evaluation.shown[i];
    const std::string said =
        of_good   ? fmt::format("{}, score <span class=\"num\">{:.3f}</span>, ",
                                html_text(annotation::name_of_class(input.evaluation.classes, one.truth.label)), one.answer.score)
        : objects ? fmt::format("<span class=\"num\">{}</span> given, <span class=\"num\">{}</span> answered, ", one.truth.objects.size(),
                                annotation::at_least(one.answer, annotation::sure_score).objects.size())
                  : "";
    body += fmt::format(
        "<figure>{}{}<figcaption class=\"caption\">{}<span class=\"num\">{:.0f}%</span> error<br><span class=\"path\" "
        "title=\"{}\"><bdi>{}</bdi></span></figcaption></figure>",
        pictures.html(key_of(i, false), "given: " + shortened_path(one.path, 60)),
        pictures.html(key_of(i, true), "answered: " + shortened_path(one.path, 60)), said, 100 * one.wrongness, html_text(one.path),
        html_text(shortened_path(one.path, 60)));
  }
  return section("answers", "Answers", body + "</div>");
}

}  // namespace sightline::evaluation
