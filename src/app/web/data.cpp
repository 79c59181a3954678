#include "app/web/data.h"

#include <algorithm>

#include "dataset/audit.h"
#include "dataset/corrections.h"

namespace sightline::web {
namespace {

constexpr std::size_t kPage = 120, kFindings = 40, kSamplesOfFinding = 12, kRejected = 200;

std::vector<dataset::Correction> in_force(const Site& site, const DataOfModel& data) {
  const auto revisions = dataset::read_corrections(dataset::corrections_path(site.root(), data.demand));
  return revisions.ok() ? dataset::corrections_in_force(*revisions) : std::vector<dataset::Correction>();
}

// Samples as JSON, with what was corrected of them since the manifest was written.
class Writer {
 public:
  Writer(const Site& site, const DataOfModel& data) : manifest_(*data.manifest) {
    for (const dataset::Correction& each : in_force(site, data)) corrected_[each.path] = each;
  }
  bool corrected(const dataset::Sample& sample) const {
    const auto found = corrected_.find(sample.path);
    return found != corrected_.end() && found->second.digest == sample.digest;
  }
  Json sample(std::int64_t number) const {
    const dataset::Sample& each = manifest_.samples[static_cast<std::size_t>(number)];
    Json json{{"number", number},    {"path", each.path},     {"label", label_of(each.label)}, {"split", enum_name(each.split)},
              {"width", each.width}, {"height", each.height}, {"corrected", nullptr}};
    if (corrected(each)) json["corrected"] = corrected_.at(each.path).to;
    return json;
  }
  std::string label_of(int label) const {
    return label >= 0 && label < static_cast<int>(manifest_.classes.size()) ? manifest_.classes[static_cast<std::size_t>(label)] : "";
  }

 private:
  const dataset::Manifest& manifest_;
  std::map<std::string, dataset::Correction> corrected_;
};

Result<dataset::Audit> audit_of(const Site& site, const DataOfModel& data) {
  if (!data.audit) return dataset::Audit{};
  SIGHTLINE_TRY(const Json json, site.json_blob(*data.audit, "the audit"));
  return struct_from_json<dataset::Audit>(json, "the audit");
}

Result<std::vector<dataset::Suspect>> read_suspects(const Site& site, const DataOfModel& data) {
  std::vector<dataset::Suspect> suspects;
  if (!data.suspects) return suspects;
  SIGHTLINE_TRY(const Json json, site.json_blob(*data.suspects, "the suspects"));
  SIGHTLINE_CHECK(from_json(json, suspects, "suspects"));
  return suspects;
}

bool within(std::int64_t number, const dataset::Manifest& manifest) {
  return number >= 0 && number < static_cast<std::int64_t>(manifest.samples.size());
}

Result<Json> body_of(const std::string& text) {
  if (text.empty()) return Json::object();
  SIGHTLINE_TRY(Json json, parse_json(text, "the request"));
  if (!json.is_object()) return Error{ErrorKind::invalid_data, "the request is a JSON object"};
  return json;
}

std::optional<Digest> output_of(const std::optional<line::StepRecord>& record, const std::string& name) {
  if (!record) return std::nullopt;
  const auto found = record->outputs.find(name);
  return found == record->outputs.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

Result<DataOfModel> data_of(Site& site, const std::string& model) {
  SIGHTLINE_CHECK(store::check_release_name(model));
  DataOfModel data{.demand = model};
  // The last of these that ran in one build: a frozen backbone has its split within the import.
  const std::optional<line::StepRecord> split = site.last_step(model, "split"), import = site.last_step(model, "import");
  const bool splits = split && (!import || split->started >= import->started);
  const std::optional<Digest> manifest = output_of(splits ? split : import, "manifest");
  if (!manifest) return Error{ErrorKind::not_found, fmt::format("no build of \"{}\" has looked at pictures yet", model)};
  data.digest = *manifest;
  SIGHTLINE_TRY(data.manifest, site.manifest(*manifest));
  // What says something of this very manifest.
  for (const char* step : {"audit", "label-errors", "head", "search"}) {
    const std::optional<line::StepRecord> record = site.last_step(model, step);
    if (!record) continue;
    const auto input = record->inputs.find("manifest");
    if (input == record->inputs.end() || input->second != *manifest) continue;
    if (const std::optional<Digest> audit = output_of(record, "audit")) data.audit = audit;
    if (const std::optional<Digest> suspects = output_of(record, "suspects")) data.suspects = suspects;
  }
  return data;
}

Result<Json> data_about(Site& site, const DataOfModel& data) {
  const dataset::Manifest& manifest = *data.manifest;
  const bool labelled = dataset::one_class_each(manifest);
  std::vector<std::vector<std::int64_t>> counts(3, std::vector<std::int64_t>(manifest.classes.size(), 0));
  std::vector<std::int64_t> pictures(3, 0);
  for (const dataset::Sample& sample : manifest.samples) {
    const auto split = static_cast<std::size_t>(sample.split);
    ++pictures[split];
    if (labelled) {
      ++counts[split][static_cast<std::size_t>(sample.label)];
    } else {
      for (const std::int32_t each : dataset::classes_within(manifest, sample)) ++counts[split][static_cast<std::size_t>(each)];
    }
  }
  SIGHTLINE_TRY(const dataset::Audit audit, audit_of(site, data));
  Json findings = Json::array();
  for (const dataset::FindingKind& kind : dataset::finding_kinds()) {
    const auto count = std::ranges::count(audit.findings, kind.name, &dataset::Finding::kind);
    if (count > 0) findings.push_back({{"kind", kind.name}, {"title", kind.title}, {"meaning", kind.meaning}, {"count", count}});
  }
  SIGHTLINE_TRY(const std::vector<dataset::Suspect> suspects, read_suspects(site, data));
  Json rejected = Json::array();
  for (std::size_t i = 0; i < std::min(kRejected, manifest.rejected.size()); ++i) rejected.push_back(to_json(manifest.rejected[i]));
  return Json{{"name", data.demand},
              {"manifest", data.digest},
              {"format", manifest.format},
              {"licence", manifest.licence},
              {"origin", manifest.origin},
              {"classes", manifest.classes},
              {"labelled", labelled},
              {"pictures", pictures},
              {"counts", counts},
              {"findings", findings},
              {"suspects", suspects.size()},
              {"likely", std::ranges::count(suspects, true, &dataset::Suspect::likely)},
              {"rejected", manifest.rejected.size()},
              {"rejections", rejected},
              {"corrections", in_force(site, data).size()}};
}

Result<Json> samples_of(Site& site, const DataOfModel& data, const SampleQuery& query) {
  std::optional<dataset::Split> split;
  if (!query.split.empty()) {
    split.emplace();
    if (!enum_from(query.split, *split)) return Error{ErrorKind::usage, "split is train, validation or test"};
  }
  const Writer writer(site, data);
  Json samples = Json::array();
  std::int64_t total = 0;
  for (std::size_t i = 0; i < data.manifest->samples.size(); ++i) {
    const dataset::Sample& sample = data.manifest->samples[i];
    if ((query.label >= 0 && sample.label != query.label) || (split && sample.split != *split) ||
        (!query.search.empty() && sample.path.find(query.search) == std::string::npos) || (query.corrected && !writer.corrected(sample)))
      continue;
    if (total++ >= query.from && samples.size() < kPage) samples.push_back(writer.sample(static_cast<std::int64_t>(i)));
  }
  return Json{{"manifest", data.digest}, {"total", total}, {"samples", samples}};
}

Result<Json> findings_of(Site& site, const DataOfModel& data, const std::string& kind, std::int64_t from) {
  if (std::ranges::none_of(dataset::finding_kinds(), [&](const dataset::FindingKind& each) { return kind == each.name; }))
    return Error{ErrorKind::usage, fmt::format("there is no kind of finding \"{}\"", kind)};
  SIGHTLINE_TRY(const dataset::Audit audit, audit_of(site, data));
  const Writer writer(site, data);
  Json findings = Json::array();
  std::int64_t total = 0;
  for (const dataset::Finding& finding : audit.findings) {
    if (finding.kind != kind) continue;
    if (total++ < from || findings.size() >= kFindings) continue;
    Json samples = Json::array();
    for (const std::int64_t number : finding.samples)
      if (within(number, *data.manifest) && samples.size() < kSamplesOfFinding) samples.push_back(writer.sample(number));
    findings.push_back({{"sentence", finding.sentence}, {"score", finding.score}, {"count", finding.samples.size()}, {"samples", samples}});
  }
  return Json{{"manifest", data.digest}, {"total", total}, {"findings", findings}};
}

Result<Json> suspects_of(Site& site, const DataOfModel& data, std::int64_t from) {
  SIGHTLINE_TRY(const std::vector<dataset::Suspect> suspects, read_suspects(site, data));
  const Writer writer(site, data);
  Json list = Json::array();
  for (auto i = static_cast<std::size_t>(from); i < suspects.size() && list.size() < kPage; ++i) {
    if (!within(suspects[i].sample, *data.manifest)) continue;
    Json each = writer.sample(suspects[i].sample);
    each.update({{"given", writer.label_of(suspects[i].given)},
                 {"suggested", writer.label_of(suspects[i].suggested)},
                 {"score", suspects[i].score},
                 {"likely", suspects[i].likely}});
    list.push_back(std::move(each));
  }
  return Json{{"manifest", data.digest}, {"total", suspects.size()}, {"suspects", list}};
}

Result<Json> correct(Site& site, const DataOfModel& data, const std::string& body, const std::string& who) {
  SIGHTLINE_TRY(const Json json, body_of(body));
  const dataset::Manifest& manifest = *data.manifest;
  if (!dataset::one_class_each(manifest)) return Error{ErrorKind::unsupported, "only pictures that have one class each can be corrected"};
  std::int64_t number = -1;
  std::string label, seen;
  if (json.contains("number")) SIGHTLINE_CHECK(from_json(json.at("number"), number, "number"));
  if (json.contains("label")) SIGHTLINE_CHECK(from_json(json.at("label"), label, "label"));
  if (json.contains("manifest")) SIGHTLINE_CHECK(from_json(json.at("manifest"), seen, "manifest"));
  if (seen != data.digest)
    return Error{ErrorKind::conflict,
                 "\"manifest\" is not the digest of the last build's manifest: numbers of another one mean other pictures"};
  if (!within(number, manifest)) return Error{ErrorKind::invalid_data, "\"number\" is the number of a picture of the manifest"};
  if (std::ranges::find(manifest.classes, label) == manifest.classes.end())
    return Error{ErrorKind::invalid_data, fmt::format("there is no class \"{}\"", label)};
  const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(number)];
  SIGHTLINE_TRY(const dataset::Correction added, dataset::add_correction(dataset::corrections_path(site.root(), data.demand),
                                                                         {.path = sample.path,
                                                                          .digest = sample.digest,
                                                                          .from = manifest.classes[static_cast<std::size_t>(sample.label)],
                                                                          .to = label,
                                                                          .who = who}));
  return to_json(added);
}

Result<Json> undo(Site& site, const DataOfModel& data, const std::string& body, const std::string& who) {
  SIGHTLINE_TRY(const Json json, body_of(body));
  std::int64_t revision = 0;
  if (json.contains("revision")) SIGHTLINE_CHECK(from_json(json.at("revision"), revision, "revision"));
  SIGHTLINE_TRY(const dataset::Correction undone,
                dataset::undo_correction(dataset::corrections_path(site.root(), data.demand), who, revision));
  return to_json(undone);
}

Result<Json> corrections_of(Site& site, const DataOfModel& data) {
  SIGHTLINE_TRY(const std::vector<dataset::Correction> revisions,
                dataset::read_corrections(dataset::corrections_path(site.root(), data.demand)));
  const std::optional<line::StepRecord> import = site.last_step(data.demand, "import");
  return Json{{"revisions", to_json(revisions)},
              {"in_force", to_json(dataset::corrections_in_force(revisions))},
              {"left_out", import ? import->figures.value("corrections_left_out", Json::array()) : Json::array()}};
}

}  // namespace sightline::web
