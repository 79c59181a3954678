// Judges restorers by the pictures that they write: ours (`sightline predict --drawn`) and their rivals (restore_rival.py).
//   sightline-restore-bench prepare DATA WORK KEY=NUMBER…   WORK/train, WORK/validation, WORK/sharp and WORK/bad: the sharp pictures of
//                                                           each split (as `sightline build` splits with seed 7) and the test pictures as
//                                                           they are degraded (and WORK/validation_bad); where they are blurred also by
//                                                           what, as WORK/bad/NAME.kernel, a row of numbers a line
//   sightline-restore-bench score WORK NAME=FOLDER …        figures of each, and how far the first is ahead of the others
// KEY: blur, noise or scale, as in a demand's restore block.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "base/files.h"
#include "dataset/import.h"
#include "dataset/split.h"
#include "evaluation/bootstrap.h"
#include "evaluation/compression.h"
#include "tasks/degradation.h"
#include "tasks/restore_metrics.h"

namespace {

using namespace sightline;

constexpr std::int64_t seed = 7;

Result<tasks::Degradation> degradation_of(std::span<const std::string> words) {
  tasks::Degradation stated;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) return Error{ErrorKind::usage, fmt::format("{} is no KEY=NUMBER", word)};
    const std::string key = word.substr(0, equals);
    const double number = std::stod(word.substr(equals + 1));
    if (key == "noise") {
      stated.noise = {number};
    } else if (key == "blur") {
      stated.blur = {number};
      stated.kind = tasks::RestoreKind::deblur;
    } else if (key == "scale") {
      stated.scale = static_cast<int>(number);
      stated.kind = tasks::RestoreKind::super_resolve;
    } else {
      return Error{ErrorKind::usage, fmt::format("{} is none of blur, noise, scale", key)};
    }
  }
  return tasks::settled(stated);
}

std::string text_of(const tasks::Kernel& kernel) {
  std::string text;
  for (int y = 0; y < kernel.size; ++y) {
    for (int x = 0; x < kernel.size; ++x) text += fmt::format("{} ", kernel.weights[static_cast<std::size_t>(y * kernel.size + x)]);
    text += "\n";
  }
  return text;
}

Result<void> prepare(const std::vector<std::string>& words) {
  if (words.size() < 3) return Error{ErrorKind::usage, "prepare wants DATA WORK KEY=NUMBER…"};
  SIGHTLINE_TRY(const tasks::Degradation degradation, degradation_of(std::span(words).subspan(2)));
  demand::Data data;
  data.path = words[0];
  SIGHTLINE_TRY(dataset::Manifest manifest, dataset::import_data(data, {}, nullptr, false, true));
  SIGHTLINE_CHECK(dataset::assign_splits(manifest, {}, seed));
  const std::string& work = words[1];
  const tasks::Restoration restoration{.degradation = degradation, .seed = seed};
  const dataset::SampleReader reader(manifest.root);
  for (const char* folder : {"train", "validation", "sharp", "bad", "validation_bad"})
    SIGHTLINE_CHECK(make_directories(fmt::format("{}/{}", work, folder)));
  for (const dataset::Sample& sample : manifest.samples) {
    SIGHTLINE_TRY(image::Image picture, reader.read(sample.path));
    const std::string name = std::filesystem::path(sample.path).stem().string();
    const bool test = sample.split == dataset::Split::test, train = sample.split == dataset::Split::train;
    const std::string png = image::encode_png(picture);
    SIGHTLINE_CHECK(write_file(fmt::format("{}/{}/{}.png", work, test ? "sharp" : enum_name(sample.split), name), png));
    if (train) continue;
    const std::string bad = fmt::format("{}/{}/{}", work, test ? "bad" : "validation_bad", name);
    Random random = tasks::measured_stream(restoration, sample.digest), same = random;
    SIGHTLINE_CHECK(write_file(bad + ".png", image::encode_png(tasks::degrade(picture, degradation, random))));
    if (const auto blur = tasks::drawn_blur(degradation, same)) SIGHTLINE_CHECK(write_file(bad + ".kernel", text_of(*blur)));
  }
  return {};
}

Tensor pixels_of(const image::Image& picture) {
  return Tensor::of<std::uint8_t>({picture.height, picture.width, picture.channels}, picture.pixels);
}

// The only file of the folder whose name ends so: predict puts the picture's folders before it.
Result<image::Image> picture_in(const std::string& folder, const std::string& ending) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == ending || name.ends_with("_" + ending)) return image::read_image(entry.path().string());
  }
  return Error{ErrorKind::not_found, fmt::format("{} has no {}", folder, ending)};
}

Result<void> score(const std::vector<std::string>& words) {
  if (words.size() < 2) return Error{ErrorKind::usage, "score wants WORK NAME=FOLDER …"};
  SIGHTLINE_TRY(const auto files, list_files(words[0] + "/sharp", [](const std::string&, const std::string&) {}));
  const auto pictures = std::ssize(files);
  std::vector<std::pair<std::string, std::unique_ptr<tasks::Meter>>> all;
  std::vector<std::int64_t> each(files.size());
  std::iota(each.begin(), each.end(), 0);
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string::npos) return Error{ErrorKind::usage, fmt::format("{} is no NAME=FOLDER", words[i])};
    auto& [name, meter] = all.emplace_back(words[i].substr(0, equals), tasks::restore_meter({}));
    for (const std::string& file : files) {
      tasks::Case one;
      SIGHTLINE_TRY(const image::Image truth, image::read_image(fmt::format("{}/sharp/{}", words[0], file)));
      SIGHTLINE_TRY(const image::Image shown, image::read_image(fmt::format("{}/bad/{}", words[0], file)));
      SIGHTLINE_TRY(const image::Image got, picture_in(words[i].substr(equals + 1), file));
      one.truth.restored = pixels_of(truth);
      one.shown = pixels_of(shown);
      one.prediction.restored = pixels_of(got);
      meter->add(one);
    }
    const tasks::Figures figures = meter->figures(each, false);
    fmt::print("{}: {} pictures", name, figures.pictures);
    for (const auto& [metric, value] : figures.values) fmt::print(", {} {:.4f}", metric, value);
    fmt::print("\n");
  }
  for (std::size_t other = 1; other < all.size(); ++other) {
    for (const char* metric : {"psnr", "ssim"}) {
      SIGHTLINE_TRY(const evaluation::Loss ahead, evaluation::paired_loss(*all[0].second, *all[other].second, pictures, metric));
      fmt::print("{} ahead of {} in {} by {:+.4f} (95% interval {:+.4f} to {:+.4f}, paired over pictures)\n", all[0].first,
                 all[other].first, metric, ahead.points / 100, ahead.interval.low / 100, ahead.interval.high / 100);
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
                                                  : Result<void>(Error{ErrorKind::usage, "sightline-restore-bench prepare|score …"});
    if (status.ok()) return 0;
    fmt::print(stderr, "{}\n", status.error().message);
    return exit_code_of(status.error().kind);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
