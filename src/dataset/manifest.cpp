#include "dataset/manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
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
  std::optional<MaskMeaning> masks;
  std::uint64_t rejected = 0, samples = 0, pairs = 0;  // how many lines follow: a file that was cut off at a line's end is noticed
  static constexpr auto fields() {
    return std::tuple{field("sightline_manifest", &Head::sightline_manifest),
                      field("root", &Head::root),
                      field("format", &Head::format),
                      field("licence", &Head::licence),
                      field("origin", &Head::origin),
                      field("classes", &Head::classes),
                      field("given_test", &Head::given_test),
                      field("given_validation", &Head::given_validation),
                      field("masks", &Head::masks),
                      field("rejected", &Head::rejected),
                      field("samples", &Head::samples),
                      field("pairs", &Head::pairs)};
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

// {"pair":[first,second,fold]}, of pictures that there are.
bool read_pair(std::string_view line, std::size_t samples, annotation::Pair& pair) {
  LineReader reader(line);
  std::string key;
  const bool whole = reader.take('{') && reader.read(key) && key == "pair" && reader.take(':') && reader.take('[') &&
                     reader.read(pair.first) && reader.take(',') && reader.read(pair.second) && reader.take(',') &&
                     reader.read(pair.fold) && reader.take(']') && reader.take('}') && reader.at_end();
  const auto there = [&](std::int64_t place) { return place >= 0 && static_cast<std::uint64_t>(place) < samples; };
  return whole && there(pair.first) && there(pair.second) && pair.fold >= 0;
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

void append_attributes(std::string& text, const std::vector<annotation::Attribute>& attributes) {
  std::string said;
  for (const annotation::Attribute& each : attributes)
    said += each.said == annotation::Attribute::yes ? '1' : each.said == annotation::Attribute::no ? '0' : '?';
  append_json_tail(text, "\"attributes\":\"" + said + "\"");
}

bool read_attributes(LineReader& reader, std::vector<annotation::Attribute>& attributes) {
  std::string said;
  if (!attributes.empty() || !reader.read(said)) return false;
  for (const char each : said) {
    if (each != '0' && each != '1' && each != '?') return false;
    annotation::Attribute& attribute = attributes.emplace_back();
    if (each != '?') attribute = {each == '1' ? annotation::Attribute::yes : annotation::Attribute::no, each == '1' ? 1.0 : 0.0};
  }
  return true;
}

void append_landmarks(std::string& text, const std::vector<annotation::Landmark>& landmarks) {
  std::string tail = "\"landmarks\":[";
  for (const annotation::Landmark& point : landmarks) {
    tail += tail.ends_with('[') ? "[" : ",[";
    append_json_value(tail, point.x);
    tail += ',';
    append_json_value(tail, point.y);
    tail += fmt::format(",{}]", point.said);
  }
  append_json_tail(text, tail + "]");
}

bool read_landmarks(LineReader& reader, std::vector<annotation::Landmark>& landmarks) {
  if (!landmarks.empty() || !reader.take('[')) return false;
  do {
    annotation::Landmark& point = landmarks.emplace_back();
    int said = 0;
    if (!reader.take('[') || !reader.read(point.x) || !reader.take(',') || !reader.read(point.y) || !reader.take(',') ||
        !reader.read(said) || !reader.take(']') || said < 0 || said > 2)
      return false;
    point.said = static_cast<std::int8_t>(said);
  } while (reader.take(','));
  return reader.take(']');
}

void append_mask(std::string& text, const MaskFile& mask) {
  std::string tail = "\"mask\":[";
  append_json_value(tail, mask.path);
  tail += ',';
  append_json_value(tail, mask.digest);
  append_json_tail(text, tail + "]");
}

bool read_mask_file(LineReader& reader, MaskFile& mask) {
  return mask.path.empty() && reader.take('[') && reader.read(mask.path) && reader.take(',') && reader.read(mask.digest) &&
         reader.take(']') && !mask.path.empty() && is_digest(mask.digest);
}

Result<void> check_masks(const Manifest& manifest) {
  const auto wrong = [](const std::string& what) { return Error{ErrorKind::invalid_data, what}; };
  if (!manifest.masks) {
    const auto masked = [](const Sample& sample) { return !sample.mask.path.empty(); };
    if (std::any_of(manifest.samples.begin(), manifest.samples.end(), masked)) return wrong("what masks mean is not said (\"masks\")");
    return {};
  }
  const MaskMeaning& meaning = *manifest.masks;
  if (meaning.instances ? manifest.classes.size() != 1 || !meaning.values.empty() : meaning.values.size() != manifest.classes.size())
    return wrong("\"masks\" does not fit the classes");
  for (const int value : meaning.values)
    if (value < 1 || value > 255) return wrong(fmt::format("{} is no value of a class in a mask", value));
  for (const Sample& sample : manifest.samples)
    if (sample.mask.path.empty()) return wrong(fmt::format("{} has no mask", sample.path));
  return {};
}

}  // namespace

bool holds_objects(const Manifest& manifest) {
  return std::any_of(manifest.samples.begin(), manifest.samples.end(),
                     [](const Sample& sample) { return !sample.annotation.objects.empty(); });
}

bool holds_attributes(const Manifest& manifest) {
  return std::any_of(manifest.samples.begin(), manifest.samples.end(),
                     [](const Sample& sample) { return !sample.annotation.attributes.empty(); });
}

bool holds_texts(const Manifest& manifest) {
  return std::any_of(manifest.samples.begin(), manifest.samples.end(),
                     [](const Sample& sample) { return !sample.annotation.text.empty(); });
}

bool holds_landmarks(const Manifest& manifest) {
  return std::any_of(manifest.samples.begin(), manifest.samples.end(),
                     [](const Sample& sample) { return !sample.annotation.landmarks.empty(); });
}

bool one_class_each(const Manifest& manifest) {
  return !manifest.masks && !holds_objects(manifest) && !holds_attributes(manifest) && !holds_texts(manifest) && !holds_landmarks(manifest);
}

std::vector<std::int32_t> classes_within(const Manifest& manifest, const Sample& sample) {
  std::vector<std::int32_t> classes;
  for (const annotation::Object& object : sample.annotation.objects) classes.push_back(object.label);
  for (std::size_t i = 0; i < sample.annotation.attributes.size(); ++i)
    if (sample.annotation.attributes[i].said == annotation::Attribute::yes) classes.push_back(static_cast<std::int32_t>(i));
  for (std::size_t i = 0; i < sample.annotation.landmarks.size(); ++i)
    if (sample.annotation.landmarks[i].said != annotation::Landmark::unknown) classes.push_back(static_cast<std::int32_t>(i));
  for (const std::string& symbol : characters_of(sample.annotation.text)) {
    const auto found = std::find(manifest.classes.begin(), manifest.classes.end(), symbol);
    if (found != manifest.classes.end()) classes.push_back(static_cast<std::int32_t>(found - manifest.classes.begin()));
  }
  return classes;
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
                  .masks = manifest.masks,
                  .rejected = manifest.rejected.size(),
                  .samples = manifest.samples.size(),
                  .pairs = manifest.pairs.size()};
  Json json = to_json(head);
  if (!head.masks) json.erase("masks");
  std::string text = json_text(json) + "\n";
  constexpr std::size_t usual_line = 360;
  text.reserve(text.size() + usual_line * (manifest.samples.size() + manifest.rejected.size()));
  for (const Rejection& rejection : manifest.rejected) append_json_line(text, rejection);
  for (const Sample& sample : manifest.samples) {
    append_json_line(text, sample);
    if (!sample.annotation.objects.empty()) append_objects(text, sample.annotation.objects);
    if (!sample.annotation.attributes.empty()) append_attributes(text, sample.annotation.attributes);
    if (!sample.annotation.landmarks.empty()) append_landmarks(text, sample.annotation.landmarks);
    if (!sample.annotation.text.empty()) {
      std::string tail = "\"text\":";
      append_json_value(tail, sample.annotation.text);
      append_json_tail(text, tail);
    }
    if (!sample.mask.path.empty()) append_mask(text, sample.mask);
  }
  for (const annotation::Pair& pair : manifest.pairs) text += fmt::format("{{\"pair\":[{},{},{}]}}\n", pair.first, pair.second, pair.fold);
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
                    .masks = std::move(head->masks),
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
      if (key == "objects") return read_objects(reader, sample.annotation.objects) ? Tail::known : Tail::broken;
      if (key == "attributes") return read_attributes(reader, sample.annotation.attributes) ? Tail::known : Tail::broken;
      if (key == "landmarks") return read_landmarks(reader, sample.annotation.landmarks) ? Tail::known : Tail::broken;
      if (key == "mask") return read_mask_file(reader, sample.mask) ? Tail::known : Tail::broken;
      if (key != "text") return Tail::unknown;
      const bool first = sample.annotation.text.empty();
      return first && reader.read(sample.annotation.text) && !sample.annotation.text.empty() ? Tail::known : Tail::broken;
    };
    if (auto status = parse_json_line(line, sample, read_annotation); !status.ok()) return broken(status.error().message);
    for (const annotation::Object& object : sample.annotation.objects) {
      if (object.label < 0 || static_cast<std::size_t>(object.label) >= manifest.classes.size())
        return broken(fmt::format("the label {} of an object is not one of the {} classes", object.label, manifest.classes.size()));
    }
    if (const std::size_t count = sample.annotation.attributes.size(); count > 0 && count != manifest.classes.size())
      return broken(fmt::format("{} attributes, but there are {} classes", count, manifest.classes.size()));
    if (const std::size_t count = sample.annotation.landmarks.size(); count > 0 && count != manifest.classes.size())
      return broken(fmt::format("{} landmarks, but there are {} classes", count, manifest.classes.size()));
    for (const std::string& symbol : characters_of(sample.annotation.text))
      if (std::ranges::find(manifest.classes, symbol) == manifest.classes.end())
        return broken(
            fmt::format("the text \"{}\" has a symbol that is not one of the {} classes", sample.annotation.text, manifest.classes.size()));
    if (!is_digest(sample.digest)) return broken("\"digest\" is not 64 hexadecimal characters");
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= manifest.classes.size())
      return broken(fmt::format("label {} is not one of the {} classes", sample.label, manifest.classes.size()));
    if (sample.width <= 0 || sample.height <= 0 || (sample.channels != 1 && sample.channels != 3)) return broken("impossible size");
  }
  for (std::uint64_t i = 0; i < head->pairs; ++i) {
    if (!next_line(line)) return broken(fmt::format("the file ends after {} of {} pairs", i, head->pairs));
    if (!read_pair(line, manifest.samples.size(), manifest.pairs.emplace_back()))
      return broken("no pair of two samples, like {\"pair\":[0,1,1]}");
  }
  if (next_line(line)) return broken("more lines than the header announces");
  if (const auto status = check_masks(manifest); !status.ok()) return status.error().in(source);
  return manifest;
}

}  // namespace sightline::dataset
