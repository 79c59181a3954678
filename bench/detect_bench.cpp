// What bench/detect.sh needs beside the programs: the packed set for the rival, and one judge of everybody's answers.
//   sightline-detect-bench prepare DATA FORMAT SIDE WORK           WORK/manifest.jsonl and WORK/set.pack, the splits as the data bring them
//   sightline-detect-bench score MANIFEST SPLIT ANSWERS [OTHERS…]  figures of answers as `sightline predict --json` writes them, against
//                                                                  what the manifest says of that split; then by how much the first ones
//                                                                  are ahead of each of the others, with 95% intervals over pictures
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "dataset/import.h"
#include "dataset/packed_set.h"
#include "dataset/split.h"
#include "evaluation/compression.h"
#include "tasks/detect_metrics.h"

namespace {

using namespace sightline;

constexpr std::int64_t seed = 7;
constexpr const char* compared[] = {"mAP50", "mAP50-95", "AR100"};

Result<void> prepare(const std::vector<std::string>& words) {
  if (words.size() != 4) return Error{ErrorKind::usage, "prepare wants DATA FORMAT SIDE WORK"};
  int side = 0;
  std::from_chars(words[2].data(), words[2].data() + words[2].size(), side);
  demand::Data data;
  data.path = words[0];
  data.format = words[1];
  SIGHTLINE_TRY(dataset::Manifest manifest, dataset::import_data(data, {}));
  SIGHTLINE_CHECK(dataset::assign_splits(manifest, {}, seed));
  SIGHTLINE_CHECK(make_directories(words[3]));
  SIGHTLINE_CHECK(write_file(words[3] + "/manifest.jsonl", dataset::write_manifest(manifest)));
  return dataset::pack(manifest, {.width = side, .height = side, .channels = 3, .fit = image::Fit::fit, .objects = true},
                       words[3] + "/set.pack");
}

// The objects of one entry of "answers".
Result<annotation::Annotation> annotation_of(const Json& answer, const std::vector<std::string>& classes) {
  annotation::Annotation annotation;
  for (const Json& object : answer.at("objects")) {
    const auto name = std::ranges::find(classes, object.at("name").get<std::string>());
    if (name == classes.end())
      return Error{ErrorKind::invalid_data, fmt::format("there is no class {} in the manifest", object.at("name").dump())};
    const Json& box = object.at("box");
    annotation.objects.push_back({.label = static_cast<std::int32_t>(name - classes.begin()),
                                  .box = {box.at(0), box.at(1), box.at(2), box.at(3)},
                                  .score = object.at("score")});
  }
  return annotation;
}

struct Answers {
  std::string source;
  std::unique_ptr<tasks::Meter> meter;
};

Result<Answers> read_answers(const std::string& path, const dataset::Manifest& manifest,
                             const std::vector<const dataset::Sample*>& samples) {
  SIGHTLINE_TRY(const Json document, read_json_file(path));
  std::map<std::string, const Json*> by_file;  // the name without its folders, which tell nothing of who answered from where
  const auto bare = [](const std::string& file) { return file.substr(file.rfind('/') + 1); };
  for (const Json& answer : document.at("answers")) by_file[bare(answer.at("file"))] = &answer;
  Answers answers{path, tasks::detect_meter(manifest.classes)};
  for (const dataset::Sample* sample : samples) {
    const auto found = by_file.find(bare(sample->path));
    if (found == by_file.end()) return Error{ErrorKind::invalid_data, fmt::format("{} says nothing of {}", path, sample->path)};
    SIGHTLINE_TRY(annotation::Annotation prediction, annotation_of(*found->second, manifest.classes));
    answers.meter->add({sample->annotation, std::move(prediction), sample->width, sample->height});
  }
  return answers;
}

double value_of(const tasks::Figures& figures, const char* name) {
  const auto found = figures.values.find(name);
  return found == figures.values.end() ? 0 : found->second;
}

Result<void> score(const std::vector<std::string>& words) {
  if (words.size() < 3) return Error{ErrorKind::usage, "score wants MANIFEST SPLIT ANSWERS [OTHERS…]"};
  SIGHTLINE_TRY(const std::string text, read_file(words[0]));
  SIGHTLINE_TRY(const dataset::Manifest manifest, dataset::parse_manifest(text, words[0]));
  dataset::Split split{};
  if (!enum_from(words[1], split)) return Error{ErrorKind::usage, fmt::format("{} is no split", words[1])};
  std::vector<const dataset::Sample*> samples;
  for (const dataset::Sample& sample : manifest.samples)
    if (sample.split == split) samples.push_back(&sample);
  std::vector<Answers> all;
  for (std::size_t i = 2; i < words.size(); ++i) {
    SIGHTLINE_TRY(Answers answers, read_answers(words[i], manifest, samples));
    all.push_back(std::move(answers));
  }
  std::vector<std::int64_t> each(samples.size());
  std::iota(each.begin(), each.end(), 0);
  for (const Answers& answers : all) {
    const tasks::Figures figures = answers.meter->figures(each, false);
    fmt::print("{}: {} pictures, {} objects", answers.source, figures.pictures, figures.count);
    for (const char* name : compared) fmt::print(", {} {:.4f}", name, value_of(figures, name));
    for (const tasks::ClassValues& one : figures.per_class)
      fmt::print("; {} {:.3f} {:.3f}", one.name, one.values.at("mAP50"), one.values.at("mAP50-95"));
    fmt::print("\n");
  }
  for (std::size_t other = 1; other < all.size(); ++other) {
    for (const char* name : compared) {
      SIGHTLINE_TRY(const evaluation::Loss ahead,
                    evaluation::paired_loss(*all[0].meter, *all[other].meter, static_cast<std::int64_t>(samples.size()), name));
      fmt::print("{} ahead of {} in {} by {:+.2f} points (95% interval {:+.2f} to {:+.2f}, paired over pictures)\n", all[0].source,
                 all[other].source, name, ahead.points, ahead.interval.low, ahead.interval.high);
    }
  }
  return {};
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + std::min(count, 2), arguments + count);
  const std::string mode = count > 1 ? arguments[1] : "";
  try {
    const Result<void> status = mode == "prepare" ? prepare(words)
                                : mode == "score" ? score(words)
                                                  : Result<void>(Error{ErrorKind::usage, "sightline-detect-bench prepare|score …"});
    if (status.ok()) return 0;
    fmt::print(stderr, "{}\n", status.error().message);
    return exit_code_of(status.error().kind);
  } catch (const std::exception& error) {  // JSON of another form
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
