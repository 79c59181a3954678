// What bench/anomaly.sh needs beside the programs: one judge of everybody's scores.
//   sightline-anomaly-bench DATA ANSWERS [OTHERS…]  figures of answers as `sightline predict --json` writes them, on the test part of data
//   in
//                                                   MVTec's layout; then by how much the first ones are ahead of each of the others, with
//                                                   95% intervals over pictures
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/json.h"
#include "dataset/good_pictures.h"
#include "dataset/import.h"
#include "evaluation/compression.h"
#include "tasks/anomaly_metrics.h"

namespace {

using namespace sightline;

constexpr const char* compared[] = {"image_auroc", "average_precision"};

struct Answers {
  std::string source;
  std::unique_ptr<tasks::Meter> meter;
};

Result<Answers> read_answers(const std::string& path, const dataset::Manifest& manifest,
                             const std::vector<const dataset::Sample*>& samples) {
  SIGHTLINE_TRY(const Json document, read_json_file(path));
  // The last two parts of the name, kind and file: what lies before tells nothing of the picture.
  const auto bare = [](const std::string& file) { return file.substr(file.rfind('/', file.rfind('/') - 1) + 1); };
  std::map<std::string, double> scores;
  for (const Json& answer : document.at("answers")) scores[bare(answer.at("file"))] = answer.at("score");
  Answers answers{path, tasks::anomaly_meter(manifest.classes)};
  for (const dataset::Sample* sample : samples) {
    const auto found = scores.find(bare(sample->path));
    if (found == scores.end()) return Error{ErrorKind::invalid_data, fmt::format("{} says nothing of {}", path, sample->path)};
    tasks::Case one{.truth = dataset::truth_of(manifest, *sample), .width = sample->width, .height = sample->height};
    one.prediction.score = found->second;
    answers.meter->add(one);
  }
  return answers;
}

Result<void> judge(const std::vector<std::string>& words) {
  SIGHTLINE_TRY(const dataset::Manifest manifest, dataset::import_data({.path = words[0], .format = "mvtec"}, {}, nullptr, true));
  std::vector<const dataset::Sample*> samples;
  for (const dataset::Sample& sample : manifest.samples)
    if (sample.split == dataset::Split::test) samples.push_back(&sample);
  std::vector<Answers> all;
  for (std::size_t i = 1; i < words.size(); ++i) {
    SIGHTLINE_TRY(Answers answers, read_answers(words[i], manifest, samples));
    all.push_back(std::move(answers));
  }
  std::vector<std::int64_t> each(samples.size());
  std::iota(each.begin(), each.end(), 0);
  for (const Answers& answers : all) {
    const tasks::Figures figures = answers.meter->figures(each, false);
    fmt::print("{}: {} pictures, {} not good", answers.source, figures.pictures, figures.count);
    for (const char* name : compared) fmt::print(", {} {:.4f}", name, figures.values.at(name));
    for (const tasks::ClassValues& kind : figures.per_class)
      if (kind.count > 0) fmt::print("; {} {:.3f}", kind.name, kind.values.at("image_auroc"));
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
  if (count < 3) {
    fmt::print(stderr, "sightline-anomaly-bench DATA ANSWERS [OTHERS…]\n");
    return 2;
  }
  try {
    const Result<void> status = judge({arguments + 1, arguments + count});
    if (status.ok()) return 0;
    fmt::print(stderr, "{}\n", status.error().message);
    return exit_code_of(status.error().kind);
  } catch (const std::exception& error) {  // JSON of another form
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
