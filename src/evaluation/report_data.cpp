#include "evaluation/report_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "base/text.h"
#include "evaluation/report_html.h"

namespace sightline::evaluation {

namespace {

constexpr std::size_t kMistakes = 32, kSuspects = 32;     // pictures in each gallery
constexpr std::size_t kFindings = 4, kPerFinding = 6;     // examples of each kind, pictures of each example
constexpr std::size_t kRejections = 40, kClassRows = 25;  // rows before a list is cut or folded

std::string named(const std::string& name) { return fmt::format("<bdi>{}</bdi>", html_text(shortened(name, 60))); }

const dataset::Sample* sample_of(const ReportInput& input, std::int64_t index) {
  if (input.manifest == nullptr || index < 0 || static_cast<std::size_t>(index) >= input.manifest->samples.size()) return nullptr;
  return &input.manifest->samples[static_cast<std::size_t>(index)];
}

// Those worth a look: confident learning's own count, or the head of the ranking when it counts none.
std::vector<dataset::Suspect> shown_suspects(const ReportInput& input) {
  std::vector<dataset::Suspect> shown;
  for (const dataset::Suspect& suspect : input.suspects) {
    if (shown.size() == kSuspects) break;
    if (suspect.given != suspect.suggested && suspect.score > 0 && sample_of(input, suspect.sample) != nullptr) shown.push_back(suspect);
  }
  return shown;
}

std::vector<dataset::Finding> shown_findings(const ReportInput& input, const std::string& kind) {
  std::vector<dataset::Finding> shown;
  for (const dataset::Finding& finding : input.audit.findings) {
    if (finding.kind == kind && shown.size() < kFindings) shown.push_back(finding);
  }
  return shown;
}

std::string path_line(const std::string& path) {
  return fmt::format("<span class=\"path\" title=\"{}\"><bdi>{}</bdi></span>", html_text(path), html_text(shortened_path(path, 34)));
}

std::string card(const Pictures& pictures, const std::string& path, const std::string& alt, const std::string& caption) {
  return fmt::format("<li><figure>{}<figcaption class=\"caption\">{}{}</figcaption></figure></li>", pictures.html(path, alt), caption,
                     path_line(path));
}

// "3,000" in a cell, or a dash: zeros would hide what is there.
std::string count_cell(std::int64_t count) {
  return fmt::format("<td class=\"num\">{}</td>", count > 0 ? human_count(static_cast<std::uint64_t>(count)) : "\xE2\x80\x93");
}

}  // namespace

std::string section(const std::string& id, const std::string& title, const std::string& body) {
  return fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-title\"><h2 id=\"{0}-title\">{1}</h2>\n{2}</section>\n", id, title, body);
}

void want_pictures(const ReportInput& input, Pictures& pictures) {
  for (std::size_t i = 0; i < std::min(kMistakes, input.evaluation.worst.size()); ++i) pictures.want(input.evaluation.worst[i].path);
  for (const dataset::Suspect& suspect : shown_suspects(input)) pictures.want(sample_of(input, suspect.sample)->path);
  for (const dataset::FindingKind& kind : dataset::finding_kinds()) {
    for (const dataset::Finding& finding : shown_findings(input, kind.name)) {
      for (std::size_t i = 0; i < std::min(kPerFinding, finding.samples.size()); ++i) {
        if (const dataset::Sample* sample = sample_of(input, finding.samples[i])) pictures.want(sample->path);
      }
    }
  }
}

std::string mistakes_section(const ReportInput& input, const Pictures& pictures) {
  const Evaluation& evaluation = input.evaluation;
  std::int64_t hits = 0;
  for (std::size_t k = 0; k < evaluation.figures.confusion.size(); ++k) hits += evaluation.figures.confusion[k][k];
  const auto wrong = static_cast<std::uint64_t>(std::max<std::int64_t>(0, evaluation.figures.count - hits));
  if (evaluation.worst.empty())
    return section("mistakes", "Worst mistakes",
                   fmt::format("<p>No mistake on {}.</p>", plural(static_cast<std::uint64_t>(evaluation.figures.count), "image")));
  const std::size_t shown = std::min(kMistakes, evaluation.worst.size());
  std::string body = fmt::format(
      "<p class=\"soft\">{} of {} answers {} wrong. Shown {}: the more confident the model was of the wrong class, the earlier. "
      "A confident mistake is often a wrong label.</p><ul class=\"gallery\">",
      human_count(wrong), human_count(static_cast<std::uint64_t>(evaluation.figures.count)), wrong == 1 ? "is" : "are",
      shown == 1 ? std::string("is the worst") : fmt::format("are the worst {}", shown));
  for (std::size_t i = 0; i < shown; ++i) {
    const Mistake& mistake = evaluation.worst[i];
    const std::string given = annotation::name_of_class(evaluation.classes, mistake.given),
                      predicted = annotation::name_of_class(evaluation.classes, mistake.predicted);
    body += card(pictures, mistake.path, fmt::format("given {}, predicted {}", shortened(given, 60), shortened(predicted, 60)),
                 fmt::format("<dl><dt>predicted, <span class=\"num\">{:.3f}</span></dt><dd>{}</dd><dt>given, <span "
                             "class=\"num\">{:.3f}</span></dt><dd>{}</dd></dl>",
                             mistake.probability, named(predicted), mistake.given_probability, named(given)));
  }
  return section("mistakes", "Worst mistakes", body + "</ul>");
}

std::string suspects_section(const ReportInput& input, const Pictures& pictures) {
  const std::vector<dataset::Suspect> shown = shown_suspects(input);
  if (input.manifest == nullptr) return "";
  const std::string title = "Suspected label errors";
  if (shown.empty()) return section("label-errors", title, "<p>No label looks wrong to a model that had not seen it.</p>");
  const auto likely = static_cast<std::uint64_t>(
      std::count_if(input.suspects.begin(), input.suspects.end(), [](const dataset::Suspect& suspect) { return suspect.likely; }));
  std::string body = fmt::format(
      "<p class=\"soft\">Of {} examined, {} {} likely to have the wrong label (confident learning on answers of a model that had not "
      "seen the image). The most suspect come first; look at them before collecting more data.</p><ul class=\"gallery\">",
      plural(input.suspects.size(), "image"), human_count(likely), likely == 1 ? "is" : "are");
  for (const dataset::Suspect& suspect : shown) {
    const std::string& path = sample_of(input, suspect.sample)->path;
    const std::string given = annotation::name_of_class(input.manifest->classes, suspect.given),
                      suggested = annotation::name_of_class(input.manifest->classes, suspect.suggested);
    body += card(pictures, path, fmt::format("labelled {}, looks like {}", shortened(given, 60), shortened(suggested, 60)),
                 fmt::format("<dl><dt>labelled</dt><dd>{}</dd><dt>looks like</dt><dd>{}</dd></dl>", named(given), named(suggested)));
  }
  return section("label-errors", title, body + "</ul>");
}

std::string audit_section(const ReportInput& input, const Pictures& pictures) {
  std::string chips, details;
  for (const dataset::FindingKind& kind : dataset::finding_kinds()) {
    const std::vector<dataset::Finding> findings = shown_findings(input, kind.name);
    const auto counted = input.audit.counts.find(kind.name);
    const std::int64_t count = counted == input.audit.counts.end() ? 0 : counted->second;
    if (findings.empty() && count == 0) continue;
    const auto total = static_cast<std::size_t>(
        std::count_if(input.audit.findings.begin(), input.audit.findings.end(), [&](const auto& each) { return each.kind == kind.name; }));
    const std::string images = count > 0 ? plural(static_cast<std::uint64_t>(count), "image") : plural(total, "finding");
    chips += fmt::format("<li><b class=\"num\">{}</b> {}</li>", images, html_text(kind.title));
    details += fmt::format("<details{}><summary>{} ({})</summary><p class=\"soft\">{}</p>", details.empty() ? " open" : "",
                           html_text(kind.title), images, html_text(kind.meaning));
    for (const dataset::Finding& finding : findings) {
      details += fmt::format("<div class=\"finding\"><p>{}</p><div class=\"strip\">", html_text(shortened(finding.sentence, 400)));
      std::size_t drawn = 0;
      for (std::size_t i = 0; i < finding.samples.size() && drawn < kPerFinding && std::string(kind.name) != "imbalance"; ++i) {
        const dataset::Sample* sample = sample_of(input, finding.samples[i]);
        if (sample == nullptr) continue;
        ++drawn;
        details +=
            fmt::format("<figure title=\"{}\">{}<figcaption>{}<br>{}</figcaption></figure>", html_text(sample->path),
                        pictures.html(sample->path, shortened_path(sample->path, 60)),
                        named(shortened(annotation::name_of_class(input.manifest->classes, sample->label), 14)), enum_name(sample->split));
      }
      if (finding.samples.size() > drawn && drawn > 0)
        details += fmt::format("<span class=\"soft small\">and {} more</span>", finding.samples.size() - drawn);
      details += "</div></div>";
    }
    if (total > findings.size())
      details += fmt::format("<p class=\"soft small\">{} more like these: see <code>sightline data check</code>.</p>",
                             human_count(total - findings.size()));
    details += "</details>";
  }
  if (chips.empty()) return section("audit", "Audit of the data", "<p>The audit found nothing to object to.</p>");
  return section("audit", "Audit of the data", "<ul class=\"chips\">" + chips + "</ul>" + details);
}

std::string data_section(const ReportInput& input) {
  if (input.manifest == nullptr) return "";
  const dataset::Manifest& manifest = *input.manifest;
  std::vector<std::array<std::int64_t, 3>> counts(manifest.classes.size());
  std::array<std::int64_t, 3> totals{};
  for (const dataset::Sample& sample : manifest.samples) {
    const auto split = static_cast<std::size_t>(sample.split);
    ++totals[split];
    const auto count_label = [&](int label) {
      if (label >= 0 && static_cast<std::size_t>(label) < counts.size()) ++counts[static_cast<std::size_t>(label)][split];
    };
    if (input.evaluation.task == "classify") count_label(sample.label);
    for (const std::int32_t label : dataset::classes_within(manifest, sample)) count_label(label);
  }
  std::int64_t largest = 1;
  for (const auto& each : counts) largest = std::max(largest, each[0] + each[1] + each[2]);
  const auto rows = [&](std::size_t from, std::size_t until) {
    std::string text;
    for (std::size_t k = from; k < until; ++k) {
      const std::int64_t sum = counts[k][0] + counts[k][1] + counts[k][2];
      text += fmt::format("<tr><th scope=\"row\">{}</th>{}{}{}{}<td><span class=\"meter\"><i style=\"width:{:.1f}%\"></i></span></td></tr>",
                          named(manifest.classes[k]), count_cell(counts[k][0]), count_cell(counts[k][1]), count_cell(counts[k][2]),
                          count_cell(sum), 100.0 * static_cast<double>(sum) / static_cast<double>(largest));
    }
    return text;
  };
  const std::string head =
      "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">class</th><th scope=\"col\" class=\"num\">train</th><th scope=\"col\" "
      "class=\"num\">validation</th><th scope=\"col\" class=\"num\">test</th><th scope=\"col\" "
      "class=\"num\">all</th><td></td></tr></thead><tbody>";
  std::string body = fmt::format(
      "<p class=\"soft\">{} from <code><bdi>{}</bdi></code> (format {}), {} rejected. {} Origin: <bdi>{}</bdi>. Licence: "
      "<bdi>{}</bdi>.</p>",
      plural(manifest.samples.size(), "image"), html_text(shortened_path(manifest.root, 90)), html_text(manifest.format),
      human_count(manifest.rejected.size()),
      manifest.given_test ? "The test split came with the data; it was never trained on." : "The test split was set aside before training.",
      html_text(shortened(manifest.origin, 200)), html_text(shortened(manifest.licence, 200)));
  const std::size_t open = std::min(kClassRows, counts.size());
  body += head + rows(0, open);
  body += fmt::format("<tr><th scope=\"row\">images</th>{}{}{}{}<td></td></tr></tbody></table></div>", count_cell(totals[0]),
                      count_cell(totals[1]), count_cell(totals[2]), count_cell(totals[0] + totals[1] + totals[2]));
  if (counts.size() > open)
    body += fmt::format("<details><summary>the other {} classes</summary>{}{}</tbody></table></div></details>", counts.size() - open, head,
                        rows(open, std::min<std::size_t>(counts.size(), 2000)));
  if (!manifest.rejected.empty()) {
    body += fmt::format(
        "<details><summary>{} rejected</summary><div class=\"scroll\"><table><thead><tr><th scope=\"col\">file</th><th "
        "scope=\"col\">why</th></tr></thead><tbody>",
        plural(manifest.rejected.size(), "file"));
    for (std::size_t i = 0; i < std::min(kRejections, manifest.rejected.size()); ++i) {
      const dataset::Rejection& rejection = manifest.rejected[i];
      body += fmt::format("<tr><td><code><bdi>{}</bdi></code></td><td>{}</td></tr>", html_text(shortened_path(rejection.path, 90)),
                          html_text(shortened(rejection.reason, 300)));
    }
    body += "</tbody></table></div>";
    if (manifest.rejected.size() > kRejections)
      body += fmt::format("<p class=\"soft\">and {} more</p>", human_count(manifest.rejected.size() - kRejections));
    body += "</details>";
  }
  return section("data", "Data", body);
}

}  // namespace sightline::evaluation
