#include "app/web/models.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "app/web/overview.h"
#include "base/files.h"
#include "tasks/tasks.h"

namespace sightline::web {
namespace {

constexpr double kNormal95 = 1.959964;

struct Reference {
  std::string name;
  std::int64_t version = 0;
};

Result<Reference> parse_reference(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return Reference{text, 0};
  SIGHTLINE_TRY(const std::int64_t version, number_of(text.substr(colon + 1), "the version", 1, 0));
  return Reference{text.substr(0, colon), version};
}

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

// The difference of top1 of two models on the same pictures, and its 95% interval.
Json paired_top1(const AnswersOfRelease& a, const AnswersOfRelease& b) {
  if (a.manifest != b.manifest || a.classes != b.classes || a.answers.size() != b.answers.size() || a.answers.empty()) return nullptr;
  std::int64_t better = 0, worse = 0;
  for (std::size_t i = 0; i < a.answers.size(); ++i) {
    const bool right_a = a.answers[i].predicted == a.answers[i].given, right_b = b.answers[i].predicted == b.answers[i].given;
    better += right_b && !right_a ? 1 : 0;
    worse += right_a && !right_b ? 1 : 0;
  }
  const auto n = static_cast<double>(a.answers.size());
  const double difference = static_cast<double>(better - worse) / n;
  const double variance = static_cast<double>(better + worse) / n - difference * difference;
  const double half = kNormal95 * std::sqrt(std::max(0.0, variance) / n);
  return {{"metric", "top1"},         {"pictures", a.answers.size()}, {"better", better},         {"worse", worse},
          {"difference", difference}, {"low", difference - half},     {"high", difference + half}};
}

Json lineage_differences(const Json& a, const Json& b) {
  const Json flat_a = a.flatten(), flat_b = b.flatten();
  std::set<std::string> keys;
  for (const auto& [key, value] : flat_a.items()) keys.insert(key);
  for (const auto& [key, value] : flat_b.items()) keys.insert(key);
  Json differs = Json::array();
  for (const std::string& key : keys) {
    const Json before = flat_a.value(key, Json(nullptr)), after = flat_b.value(key, Json(nullptr));
    if (before != after) differs.push_back({{"key", key}, {"a", before}, {"b", after}});
  }
  return differs;
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
  if (record && record->inputs.contains("manifest")) {
    const auto read = site.manifest(record->inputs.at("manifest"));
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
  SIGHTLINE_TRY(const Reference reference_a, parse_reference(a));
  SIGHTLINE_TRY(const Reference reference_b, parse_reference(b));
  SIGHTLINE_TRY(const store::Release release_a, site.release(reference_a.name, reference_a.version));
  SIGHTLINE_TRY(const store::Release release_b, site.release(reference_b.name, reference_b.version));
  SIGHTLINE_TRY(const evaluation::Evaluation ea, site.evaluation_of(release_a));
  SIGHTLINE_TRY(const evaluation::Evaluation eb, site.evaluation_of(release_b));
  if (ea.task != eb.task)
    return Error{ErrorKind::usage,
                 fmt::format("{} is a model for {}, {} one for {}: they have no figure in common", a, ea.task, b, eb.task)};
  Json figures = Json::array();
  const auto add = [&](const std::string& metric, double x, double y) {
    Json row{{"metric", metric}, {"a", x}, {"b", y}, {"difference", y - x}};
    for (const auto& [side, measured] : {std::pair{"a_interval", &ea}, std::pair{"b_interval", &eb}})
      if (const auto interval = measured->intervals.find(metric); interval != measured->intervals.end())
        row[side] = to_json(interval->second);
    figures.push_back(std::move(row));
  };
  const tasks::Figures theirs = evaluation::measured_of(eb);
  for (const auto& [metric, value] : evaluation::told_values(ea))
    if (const auto other = theirs.values.find(metric); other != theirs.values.end()) add(metric, value, other->second);
  add("p50_ms", ea.latency.p50, eb.latency.p50);
  add("p95_ms", ea.latency.p95, eb.latency.p95);
  add("size_kb", static_cast<double>(ea.size_bytes) / 1e3, static_cast<double>(eb.size_bytes) / 1e3);
  Json paired = nullptr;
  if (ea.task == "classify") {
    const auto answers_a = answers.of(site, release_a), answers_b = answers.of(site, release_b);
    if (answers_a.ok() && answers_b.ok()) paired = paired_top1(**answers_a, **answers_b);
  }
  return Json{{"a", fmt::format("{}:{}", release_a.name, release_a.version)},
              {"b", fmt::format("{}:{}", release_b.name, release_b.version)},
              {"figures", figures},
              {"paired", paired},
              {"same_pictures", evaluation::measured_of(ea).pictures == theirs.pictures},
              {"lineage_differs", lineage_differences(release_a.lineage, release_b.lineage)}};
}

}  // namespace sightline::web
