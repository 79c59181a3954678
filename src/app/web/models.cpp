#include "app/web/models.h"

#include <algorithm>
#include <set>

#include "app/web/overview.h"
#include "base/files.h"
#include "evaluation/comparison.h"
#include "evaluation/compression.h"
#include "store/release_name.h"
#include "tasks/tasks.h"

namespace sightline::web {
namespace {

std::string description_of(const tasks::Task* task, const std::string& metric) {
  if (task == nullptr) return "";
  for (const tasks::Metric& each : task->metrics)
    if (metric == each.name) return each.description;
  return "";
}

// Every figure for people: [{"metric","value","low","high","description"}…].
Json told_figures(const evaluation::Evaluation& measured) {
  const auto row = tasks::find_task(measured.task);
  Json figures = Json::array();
  for (const auto& [metric, value] : evaluation::told_values(measured)) {
    Json figure{{"metric", metric}, {"value", value}, {"low", nullptr}, {"high", nullptr}};
    figure["description"] = description_of(row.ok() ? *row : nullptr, metric);
    if (const auto interval = measured.intervals.find(metric); interval != measured.intervals.end()) {
      figure["low"] = interval->second.low;
      figure["high"] = interval->second.high;
    }
    figures.push_back(std::move(figure));
  }
  return figures;
}

// Pictures by their number in the manifest, so that the page can ask for them.
class Numbers {
 public:
  explicit Numbers(const dataset::Manifest* manifest) {
    if (manifest == nullptr) return;
    for (std::size_t i = 0; i < manifest->samples.size(); ++i) numbers_[manifest->samples[i].path] = static_cast<std::int64_t>(i);
  }
  Json of(const std::string& path) const {
    const auto found = numbers_.find(path);
    return found == numbers_.end() ? Json(nullptr) : Json(found->second);
  }

 private:
  std::map<std::string, std::int64_t> numbers_;
};

Json evaluation_json(const evaluation::Evaluation& measured, const dataset::Manifest* manifest) {
  const Numbers numbers(manifest);
  const tasks::Figures figures = evaluation::measured_of(measured);
  Json json{{"task", measured.task},
            {"split", measured.split},
            {"classes", measured.classes},
            {"pictures", figures.pictures},
            {"figures", told_figures(measured)},
            {"per_class", to_json(figures.per_class)},
            {"curves", to_json(figures.curves)},
            {"confusions", to_json(figures.confusions)},
            {"confusion", to_json(measured.figures.confusion)},
            {"temperature", measured.temperature},
            {"calibration_error_before", measured.calibration_error_before},
            {"reliability_before", to_json(measured.reliability_before)},
            {"reliability", to_json(measured.reliability_after)},
            {"latency", to_json(measured.latency)},
            {"size_bytes", measured.size_bytes},
            {"peak_memory_bytes", measured.peak_memory_bytes},
            {"images_per_second", measured.images_per_second},
            {"decisions", measured.decisions ? to_json(measured.decisions->sentences) : Json::array()},
            {"worst", Json::array()},
            {"shown", Json::array()},
            {"pairs", Json::array()}};
  for (const evaluation::Mistake& mistake : measured.worst) {
    Json each = to_json(mistake);
    each["number"] = numbers.of(mistake.path);
    json["worst"].push_back(std::move(each));
  }
  for (const evaluation::ShownCase& shown : measured.shown)
    json["shown"].push_back({{"path", shown.path}, {"number", numbers.of(shown.path)}, {"wrongness", shown.wrongness}});
  for (const evaluation::ShownPair& pair : measured.pairs) {
    Json each = to_json(pair);
    each["numbers"] = {numbers.of(pair.first), numbers.of(pair.second)};
    json["pairs"].push_back(std::move(each));
  }
  return json;
}

// A blob that the step was given, as JSON; null where it was not, or is gone.
Json given_json(const Site& site, const line::StepRecord& record, const std::string& input) {
  const auto digest = record.inputs.find(input);
  if (digest == record.inputs.end()) return nullptr;
  const Result<Json> json = site.json_blob(digest->second, input);
  return json.ok() ? *json : Json(nullptr);
}

void add_record(const Site& site, const line::StepRecord& record, Json& json) {
  json["target"] = record.parameters.value("target", Json(nullptr));
  json["limits"] = record.parameters.value("limits", Json(nullptr));
  json["manifest"] = record.inputs.contains("manifest") ? Json(record.inputs.at("manifest")) : Json(nullptr);
  json["history"] = given_json(site, record, "history");
  json["compression"] = given_json(site, record, "compression");
  const Json search = given_json(site, record, "search");
  json["search"] = search.is_object() ? search.value("report", Json(nullptr)) : Json(nullptr);
  if (const auto verdict = record.outputs.find("verdict"); verdict != record.outputs.end()) {
    const Result<Json> told = site.json_blob(verdict->second, "verdict");
    if (told.ok()) json["verdict"] = *told;
  }
}

std::string card_of(const Site& site, const store::Release& release) {
  const Result<std::string> text = read_file(fmt::format("{}/releases/{}/{}/1/card.md", site.root(), release.name, release.version));
  return text.ok() ? *text : "";
}

// The difference of top1 of two models on the same pictures, and its 95% interval; null where they are not the same ones.
Result<Json> paired_top1(const AnswersOfRelease& a, const AnswersOfRelease& b) {
  if (a.manifest != b.manifest || a.classes != b.classes || a.labels != b.labels || a.labels.empty()) return Json(nullptr);
  SIGHTLINE_TRY(const evaluation::Loss loss, evaluation::paired_loss(a.probabilities, b.probabilities, a.labels, "top1"));
  std::int64_t better = 0, worse = 0;
  for (std::size_t i = 0; i < a.answers.size(); ++i) {
    const bool right_a = a.answers[i].predicted == a.answers[i].given, right_b = b.answers[i].predicted == b.answers[i].given;
    better += right_b && !right_a ? 1 : 0;
    worse += right_a && !right_b ? 1 : 0;
  }
  // A loss in points the other way round is a gain.
  return Json{{"metric", "top1"},
              {"pictures", a.labels.size()},
              {"better", better},
              {"worse", worse},
              {"difference", -loss.points / 100},
              {"low", -loss.interval.high / 100},
              {"high", -loss.interval.low / 100}};
}

}  // namespace

Json made_from(Site& site, const store::Release& release) {
  const std::optional<line::StepRecord> made = site.made_by(release);
  if (!made) return Json::array();
  const Result<std::vector<line::StepRecord>> all = site.steps(release.name);
  if (!all.ok()) return Json::array();
  std::map<Digest, std::vector<std::size_t>> makers;  // in their order
  std::size_t end = 0;
  for (std::size_t i = 0; i < all->size(); ++i) {
    if ((*all)[i].key == made->key) end = i + 1;
  }
  for (std::size_t i = 0; i < end; ++i)
    for (const auto& [name, digest] : (*all)[i].outputs) makers[digest].push_back(i);
  // The last record before this one that left what it read: a step that passes on what it was given leaves the same digest.
  const auto maker_of = [&](const Digest& digest, std::size_t reader) -> std::optional<std::size_t> {
    const auto found = makers.find(digest);
    if (found == makers.end()) return std::nullopt;
    const auto after = std::ranges::lower_bound(found->second, reader);
    return after == found->second.begin() ? std::nullopt : std::optional(*std::prev(after));
  };
  if (end == 0) return Json::array();
  std::set<std::size_t> wanted{end - 1};
  std::vector<std::size_t> open{end - 1};
  while (!open.empty()) {
    const std::size_t reader = open.back();
    open.pop_back();
    for (const auto& [name, digest] : (*all)[reader].inputs)
      if (const auto maker = maker_of(digest, reader); maker && wanted.insert(*maker).second) open.push_back(*maker);
  }
  Json steps = Json::array();
  for (const std::size_t i : wanted) {
    const line::StepRecord& record = (*all)[i];
    Json inputs = Json::object();
    for (const auto& [name, digest] : record.inputs) {
      const std::optional<std::size_t> maker = maker_of(digest, i);
      inputs[name] = maker ? (*all)[*maker].step : "";
    }
    steps.push_back({{"step", record.step},
                     {"seconds", record.seconds},
                     {"sentence", record.sentence},
                     {"started", record.started},
                     {"figures", record.figures},
                     {"inputs", inputs}});
  }
  return steps;
}

Result<Json> model_about(Site& site, const std::string& name) {
  SIGHTLINE_CHECK(store::check_release_name(name));
  SIGHTLINE_TRY(const std::vector<ModelRow> rows, model_rows(site, name));
  if (rows.empty()) return Error{ErrorKind::not_found, fmt::format("there is no model \"{}\" in this workspace", name)};
  SIGHTLINE_TRY(std::vector<store::Release> releases, site.releases(name));
  SIGHTLINE_TRY(const std::vector<store::Run> runs, site.runs(name));
  std::reverse(releases.begin(), releases.end());
  Json list = Json::array();
  for (const store::Release& release : releases) {
    const auto run = std::ranges::find(runs, release.run, &store::Run::id);
    list.push_back({{"version", release.version},
                    {"created", release.created},
                    {"in_force", release.in_force},
                    {"figures", release.figures},
                    {"package", release.package},
                    {"report", !release.report.empty()},
                    {"sentence", run == runs.end() ? "" : run->sentence}});
  }
  Json told = Json::array();
  for (auto run = runs.rbegin(); run != runs.rend() && told.size() < 20; ++run) told.push_back(to_json(*run));
  return Json{{"row", to_json(rows.front())}, {"releases", list}, {"runs", told}};
}

Result<Json> release_about(Site& site, const std::string& name, std::int64_t version) {
  SIGHTLINE_TRY(const store::Release release, site.release(name, version));
  SIGHTLINE_TRY(const evaluation::Evaluation measured, site.evaluation_of(release));
  const std::optional<line::StepRecord> record = site.made_by(release);
  std::shared_ptr<const dataset::Manifest> manifest;
  if (const Result<Digest> digest = site.measured_on(release); digest.ok()) {
    const auto read = site.manifest(*digest);
    if (read.ok()) manifest = *read;
  }
  Json json{{"name", release.name},
            {"version", release.version},
            {"created", release.created},
            {"in_force", release.in_force},
            {"package", release.package},
            {"lineage", release.lineage},
            {"card", card_of(site, release)},
            {"evaluation", evaluation_json(measured, manifest.get())},
            {"steps", made_from(site, release)}};
  if (record) add_record(site, *record, json);
  return json;
}

Result<Json> compare_releases(Site& site, Answers& answers, const std::string& a, const std::string& b) {
  SIGHTLINE_TRY(const store::ReleaseName called_a, store::parse_release_name(a));
  SIGHTLINE_TRY(const store::ReleaseName called_b, store::parse_release_name(b));
  SIGHTLINE_TRY(const store::Release release_a, site.release(called_a.name, called_a.version));
  SIGHTLINE_TRY(const store::Release release_b, site.release(called_b.name, called_b.version));
  SIGHTLINE_TRY(const evaluation::Evaluation ea, site.evaluation_of(release_a));
  SIGHTLINE_TRY(const evaluation::Evaluation eb, site.evaluation_of(release_b));
  SIGHTLINE_TRY(const std::vector<evaluation::ComparedFigure> compared, evaluation::compare_figures(ea, eb, a, b));
  Json figures = Json::array(), differs = Json::array();
  for (const evaluation::ComparedFigure& each : compared) {
    Json row{{"metric", each.name}, {"a", each.a}, {"b", each.b}, {"difference", each.b - each.a}};
    if (each.a_interval) row["a_interval"] = to_json(*each.a_interval);
    if (each.b_interval) row["b_interval"] = to_json(*each.b_interval);
    figures.push_back(std::move(row));
  }
  for (const evaluation::LineageDifference& each : evaluation::compare_lineages(release_a.lineage, release_b.lineage))
    differs.push_back({{"key", each.key}, {"a", each.a}, {"b", each.b}});
  Json paired = nullptr;
  if (ea.task == "classify") {
    const auto answers_a = answers.of(site, release_a), answers_b = answers.of(site, release_b);
    if (answers_a.ok() && answers_b.ok()) {
      SIGHTLINE_TRY(paired, paired_top1(**answers_a, **answers_b));
    }
  }
  return Json{{"a", fmt::format("{}:{}", release_a.name, release_a.version)},
              {"b", fmt::format("{}:{}", release_b.name, release_b.version)},
              {"figures", figures},
              {"paired", paired},
              {"same_pictures", evaluation::measured_of(ea).pictures == evaluation::measured_of(eb).pictures},
              {"lineage_differs", differs}};
}

}  // namespace sightline::web
