#include "dataset/manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "dataset/gzip.h"
#include "dataset/json_lines.h"

namespace sightline::dataset {
namespace {

constexpr int format_version = 1;
constexpr std::uint64_t most_inflated = std::uint64_t{4} << 30U;

struct Head {
  int sightline_manifest = format_version;
  std::string root, format, licence, origin;
  std::vector<std::string> classes;
  bool given_test = false, given_validation = false;
  std::uint64_t rejected = 0, samples = 0;  // how many lines follow: a file that was cut off at a line's end is noticed
  static constexpr auto fields() {
    return std::tuple{field("sightline_manifest", &Head::sightline_manifest),
                      field("root", &Head::root),
                      field("format", &Head::format),
                      field("licence", &Head::licence),
                      field("origin", &Head::origin),
                      field("classes", &Head::classes),
                      field("given_test", &Head::given_test),
                      field("given_validation", &Head::given_validation),
                      field("rejected", &Head::rejected),
                      field("samples", &Head::samples)};
  }
};

enum Flag : int { crowd = 1, difficult = 2 };

void append_objects(std::string& text, const std::vector<annotation::Object>& objects) {
  std::string tail = "\"objects\":[";
  for (const annotation::Object& object : objects) {
    tail += tail.ends_with('[') ? "[" : ",[";
    append_json_value(tail, object.label);
    for (const double edge : {object.box.left, object.box.top, object.box.right, object.box.bottom}) {
      tail += ',';
      append_json_value(tail, edge);
    }
    tail += ',';
    append_json_value(tail, (object.crowd ? Flag::crowd : 0) | (object.difficult ? Flag::difficult : 0));
    tail += ']';
  }
  append_json_tail(text, tail + "]");
}

bool read_objects(LineReader& reader, std::vector<annotation::Object>& objects) {
  if (!objects.empty() || !reader.take('[')) return false;
  do {
    annotation::Object& object = objects.emplace_back();
    int flags = 0;
    if (!reader.take('[') || !reader.read(object.label)) return false;
    for (double* edge : {&object.box.left, &object.box.top, &object.box.right, &object.box.bottom})
      if (!reader.take(',') || !reader.read(*edge)) return false;
    if (!reader.take(',') || !reader.read(flags) || flags < 0 || flags > 3 || !reader.take(']')) return false;
    object.crowd = (flags & Flag::crowd) != 0;
    object.difficult = (flags & Flag::difficult) != 0;
  } while (reader.take(','));
  return reader.take(']');
}

}  // namespace

bool holds_objects(const Manifest& manifest) {
  return std::any_of(manifest.samples.begin(), manifest.samples.end(),
                     [](const Sample& sample) { return !sample.annotation.objects.empty(); });
}

std::string write_manifest(const Manifest& manifest) {
  const Head head{.sightline_manifest = format_version,
                  .root = manifest.root,
                  .format = manifest.format,
                  .licence = manifest.licence,
                  .origin = manifest.origin,
                  .classes = manifest.classes,
                  .given_test = manifest.given_test,
                  .given_validation = manifest.given_validation,
                  .rejected = manifest.rejected.size(),
                  .samples = manifest.samples.size()};
  std::string text = json_text(to_json(head)) + "\n";
  constexpr std::size_t usual_line = 360;
  text.reserve(text.size() + usual_line * (manifest.samples.size() + manifest.rejected.size()));
  for (const Rejection& rejection : manifest.rejected) append_json_line(text, rejection);
  for (const Sample& sample : manifest.samples) {
    append_json_line(text, sample);
    if (!sample.annotation.objects.empty()) append_objects(text, sample.annotation.objects);
  }
  return text;
}

std::string pack_manifest(const Manifest& manifest) { return gzip(write_manifest(manifest)); }

Result<Manifest> parse_manifest(const std::string& text, const std::string& source) {
  if (is_gzip(text)) {
    SIGHTLINE_TRY(const std::string inflated, gunzip(text, source, most_inflated));
    if (is_gzip(inflated)) return Error{ErrorKind::invalid_data, source + ": gzip within gzip"};
    return parse_manifest(inflated, source);
  }
  std::size_t line_number = 0, at = 0;
  const auto broken = [&](const std::string& message) {
    return Error{ErrorKind::invalid_data, fmt::format("{}:{}: {}", source, line_number, message)};
  };
  const auto next_line = [&](std::string_view& line) {
    if (at >= text.size()) return false;
    const std::size_t end = std::min(text.find('\n', at), text.size());
    line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    ++line_number;
    return true;
  };

  std::string_view line;
  if (!next_line(line)) return Error{ErrorKind::invalid_data, source + ": the file is empty, a manifest starts with a header line"};
  SIGHTLINE_TRY(const Json json, parse_json(line, fmt::format("{}:1", source)));
  if (json.is_object() && json.contains("sightline_manifest") && json["sightline_manifest"] != format_version)
    return Error{ErrorKind::unsupported, fmt::format("{}: version {} of the manifest's format; this program reads {}", source,
                                                     json_text(json["sightline_manifest"]), format_version)};
  if (!json.is_object() || !json.contains("sightline_manifest")) return broken("not a manifest: \"sightline_manifest\" is missing");
  auto head = struct_from_json<Head>(json);
  if (!head.ok()) return broken(head.error().message);

  Manifest manifest{.root = std::move(head->root),
                    .format = std::move(head->format),
                    .licence = std::move(head->licence),
                    .origin = std::move(head->origin),
                    .classes = std::move(head->classes),
                    .given_test = head->given_test,
                    .given_validation = head->given_validation,
                    .rejected = {},
                    .samples = {}};
  constexpr std::uint64_t shortest_line = 20;  // so that a false count cannot make us allocate more than the text is long
  manifest.samples.reserve(std::min<std::uint64_t>(head->samples, text.size() / shortest_line));
  for (std::uint64_t i = 0; i < head->rejected; ++i) {
    if (!next_line(line)) return broken(fmt::format("the file ends after {} of {} rejections", i, head->rejected));
    if (auto status = parse_json_line(line, manifest.rejected.emplace_back()); !status.ok()) return broken(status.error().message);
  }
  for (std::uint64_t i = 0; i < head->samples; ++i) {
    if (!next_line(line)) return broken(fmt::format("the file ends after {} of {} samples", i, head->samples));
    Sample& sample = manifest.samples.emplace_back();
    const auto read_annotation = [&](std::string_view key, LineReader& reader) {
      if (key != "objects") return Tail::unknown;
      return read_objects(reader, sample.annotation.objects) ? Tail::known : Tail::broken;
    };
    if (auto status = parse_json_line(line, sample, read_annotation); !status.ok()) return broken(status.error().message);
    for (const annotation::Object& object : sample.annotation.objects) {
      if (object.label < 0 || static_cast<std::size_t>(object.label) >= manifest.classes.size())
        return broken(fmt::format("the label {} of an object is not one of the {} classes", object.label, manifest.classes.size()));
    }
    if (!is_digest(sample.digest)) return broken("\"digest\" is not 64 hexadecimal characters");
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= manifest.classes.size())
      return broken(fmt::format("label {} is not one of the {} classes", sample.label, manifest.classes.size()));
    if (sample.width <= 0 || sample.height <= 0 || (sample.channels != 1 && sample.channels != 3)) return broken("impossible size");
  }
  if (next_line(line)) return broken("more lines than the header announces");
  return manifest;
}

}  // namespace sightline::dataset
