// Judges segmenters by the files that they write: ours (`sightline predict --drawn`) and their rival (segment_rival.py).
//   sightline-segment-bench prepare DATA FORMAT SIDE WORK          WORK/manifest.jsonl and WORK/set.pack, split as `sightline build` splits
//   sightline-segment-bench score MANIFEST SPLIT NAME=FOLDER …     figures of each, and how far the first is ahead of the others
// A folder holds NAME_mask.png, and where objects are told apart NAME_instances.png, for each picture NAME of the split.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>

#include "base/files.h"
#include "dataset/import.h"
#include "dataset/masks.h"
#include "dataset/packed_set.h"
#include "dataset/split.h"
#include "evaluation/bootstrap.h"
#include "evaluation/compression.h"
#include "image/levels.h"
#include "tasks/segment_metrics.h"

namespace {

using namespace sightline;

Result<void> prepare(const std::vector<std::string>& words) {
  if (words.size() != 4) return Error{ErrorKind::usage, "prepare wants DATA FORMAT SIDE WORK"};
  const int side = std::stoi(words[2]);
  demand::Data data;
  data.path = words[0];
  data.format = words[1];
  SIGHTLINE_TRY(dataset::Manifest manifest, dataset::import_data(data, {}));
  constexpr std::int64_t seed = 7;
  SIGHTLINE_CHECK(dataset::assign_splits(manifest, {}, seed));
  SIGHTLINE_CHECK(make_directories(words[3]));
  SIGHTLINE_CHECK(write_file(words[3] + "/manifest.jsonl", dataset::write_manifest(manifest)));
  return dataset::pack(manifest, {.width = side, .height = side, .channels = 3, .fit = image::Fit::fit, .masks = true},
                       words[3] + "/set.pack");
}

Result<image::Levels> levels_of(const std::string& path) {
  SIGHTLINE_TRY(const std::string bytes, read_file(path));
  auto levels = image::decode_levels(std::as_bytes(std::span(bytes)));
  return levels.ok() ? std::move(levels) : levels.error().in(path);
}

Result<annotation::Annotation> answer_of(const std::string& mask, const std::string& instances) {
  annotation::Annotation answer;
  SIGHTLINE_TRY(const image::Levels classes, levels_of(mask));
  const Shape shape{classes.height, classes.width};
  answer.mask = Tensor(Dtype::u8, shape);
  std::ranges::transform(classes.values, answer.mask.values<std::uint8_t>().begin(),
                         [](std::uint16_t value) { return static_cast<std::uint8_t>(value); });
  if (instances.empty()) return answer;
  SIGHTLINE_TRY(const image::Levels objects, levels_of(instances));
  answer.instances = Tensor(Dtype::i32, {objects.height, objects.width});
  std::ranges::copy(objects.values, answer.instances.values<std::int32_t>().begin());
  answer.objects.resize(*std::ranges::max_element(objects.values));
  return answer;
}

// The only file of the folder whose name ends so: predict puts the picture's folders before it.
Result<std::string> file_in(const std::string& folder, const std::string& ending) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == ending || name.ends_with("_" + ending)) return entry.path().string();
  }
  return Error{ErrorKind::not_found, fmt::format("{} has no {}", folder, ending)};
}

Result<void> score(const std::vector<std::string>& words) {
  if (words.size() < 3) return Error{ErrorKind::usage, "score wants MANIFEST SPLIT NAME=FOLDER …"};
  SIGHTLINE_TRY(const std::string text, read_file(words[0]));
  SIGHTLINE_TRY(const dataset::Manifest manifest, dataset::parse_manifest(text, words[0]));
  dataset::Split split{};
  if (!enum_from(words[1], split)) return Error{ErrorKind::usage, fmt::format("{} is no split", words[1])};
  std::vector<std::string> compared{"mIoU", "dice", "boundary_f1"};
  if (manifest.masks && manifest.masks->instances) compared.insert(compared.end(), {"mask_ap", "mask_ap50"});
  std::vector<std::pair<std::string, std::unique_ptr<tasks::Meter>>> all;
  std::int64_t pictures = 0;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string::npos) return Error{ErrorKind::usage, fmt::format("{} is no NAME=FOLDER", words[i])};
    const std::string folder = words[i].substr(equals + 1);
    auto& [name, meter] = all.emplace_back(words[i].substr(0, equals), tasks::segment_meter(manifest.classes));
    pictures = 0;
    for (const dataset::Sample& sample : manifest.samples) {
      if (sample.split != split) continue;
      tasks::Case one{.truth = {}, .prediction = {}, .width = sample.width, .height = sample.height};
      SIGHTLINE_CHECK(dataset::read_mask(manifest, sample, one.truth));
      const std::string stem = std::filesystem::path(sample.path).stem().string();
      SIGHTLINE_TRY(const std::string mask, file_in(folder, stem + "_mask.png"));
      std::string instances;
      if (one.truth.instances.defined()) {
        SIGHTLINE_TRY(instances, file_in(folder, stem + "_instances.png"));
      }
      SIGHTLINE_TRY(one.prediction, answer_of(mask, instances));
      meter->add(one);
      ++pictures;
    }
    std::vector<std::int64_t> each(static_cast<std::size_t>(pictures));
    std::iota(each.begin(), each.end(), 0);
    const tasks::Figures figures = meter->figures(each, false);
    fmt::print("{}: {} pictures", name, figures.pictures);
    for (const auto& [metric, value] : figures.values) fmt::print(", {} {:.4f}", metric, value);
    fmt::print("\n");
    SIGHTLINE_TRY(const auto intervals, evaluation::bootstrap_intervals(*meter, pictures, 2));
    for (const std::string& metric : compared)
      fmt::print("  {} 95% interval {:.4f} to {:.4f}\n", metric, intervals.at(metric).low, intervals.at(metric).high);
  }
  for (std::size_t other = 1; other < all.size(); ++other) {
    for (const std::string& metric : compared) {
      SIGHTLINE_TRY(const evaluation::Loss ahead, evaluation::paired_loss(*all[0].second, *all[other].second, pictures, metric));
      fmt::print("{} ahead of {} in {} by {:+.2f} points (95% interval {:+.2f} to {:+.2f}, paired over pictures)\n", all[0].first,
                 all[other].first, metric, ahead.points, ahead.interval.low, ahead.interval.high);
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
                                                  : Result<void>(Error{ErrorKind::usage, "sightline-segment-bench prepare|score …"});
    if (status.ok()) return 0;
    fmt::print(stderr, "{}\n", status.error().message);
    return exit_code_of(status.error().kind);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
