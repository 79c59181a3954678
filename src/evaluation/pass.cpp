#include "evaluation/pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <system_error>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "evaluation/bootstrap.h"

namespace sightline::evaluation {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kPreparedBytes = 64 * 1024 * 1024;  // of pictures that are decoded and wait for the network
constexpr int kWarmUp = 20;
constexpr std::size_t kLatencyPictures = 32;

std::string listed(const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 10); ++i) quoted.push_back("\"" + names[i] + "\"");
  return join(quoted, ", ") + (names.size() > quoted.size() ? fmt::format(" and {} more", names.size() - quoted.size()) : "");
}

// A bare .onnx file without labels in its metadata knows its classes by number only.
bool are_numbers(const std::vector<std::string>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != std::to_string(i)) return false;
  }
  return true;
}

}  // namespace

Result<std::vector<std::int32_t>> match_classes(const std::vector<std::string>& labels, const std::vector<std::string>& classes) {
  std::map<std::string, std::int32_t> index;
  for (std::size_t i = 0; i < labels.size(); ++i) index.emplace(labels[i], static_cast<std::int32_t>(i));
  std::vector<std::int32_t> matched;
  std::vector<std::string> unknown;
  for (const std::string& name : classes) {
    const auto found = index.find(name);
    if (found == index.end()) unknown.push_back(name);
    matched.push_back(found == index.end() ? -1 : found->second);
  }
  if (unknown.empty()) {
    if (classes.size() < labels.size())
      log_info("the data have no images of {} of the model's {} classes", labels.size() - classes.size(), labels.size());
    return matched;
  }
  if (are_numbers(labels) && labels.size() == classes.size()) {
    log_warning("the model names no classes; its outputs are taken in the order of the data's classes");
    std::iota(matched.begin(), matched.end(), 0);
    return matched;
  }
  return Error{ErrorKind::invalid_data,
               fmt::format("the model and the data do not have the same classes: the model does not know {} of the data "
                           "(the model knows {}); rename the folders or labels of the data, or use another model",
                           listed(unknown), listed(labels))};
}

Result<std::vector<std::int64_t>> samples_of(const dataset::Manifest& manifest, dataset::Split split) {
  std::vector<std::int64_t> samples;
  for (std::size_t i = 0; i < manifest.samples.size(); ++i)
    if (manifest.samples[i].split == split) samples.push_back(static_cast<std::int64_t>(i));
  if (samples.empty())
    return Error{ErrorKind::invalid_data, fmt::format("the {} split of {} has no images", enum_name(split), manifest.root)};
  return samples;
}

std::vector<std::int64_t> groups_of_samples(const dataset::Manifest& manifest, std::span<const std::int64_t> samples) {
  std::map<std::string_view, std::int64_t> numbers;
  std::vector<std::int64_t> groups;
  groups.reserve(samples.size());
  for (const std::int64_t i : samples) {
    const std::string& group = manifest.samples[static_cast<std::size_t>(i)].group;
    groups.push_back(group.empty() ? -1 : numbers.emplace(group, static_cast<std::int64_t>(numbers.size())).first->second);
  }
  return groups;
}

Result<void> for_each_batch(const package::Model& model, const dataset::Manifest& manifest, std::span<const std::int64_t> samples,
                            const PassOptions& options, const std::function<Result<void>(std::int64_t, const Tensor&)>& use) {
  const auto count = static_cast<std::int64_t>(samples.size());
  const package::Preprocessing& input = model.preprocessing();
  const std::int64_t image_bytes = std::max<std::int64_t>(1, std::int64_t{input.width} * input.height * input.channels);
  const std::int64_t ahead = std::clamp(kPreparedBytes / image_bytes / options.batch, std::int64_t{1}, std::int64_t{16}) * options.batch;
  const dataset::SampleReader reader(manifest.root);
  std::optional<Progress> bar;
  if (!options.title.empty()) bar.emplace(options.title, static_cast<std::uint64_t>(count), "images");

  Tensor prepared(Dtype::u8, {std::min(ahead, count), input.height, input.width, input.channels});
  for (std::int64_t from = 0; from < count; from += ahead) {
    const std::int64_t until = std::min(count, from + ahead);
    const auto prepare_one = [&](std::size_t i) -> Result<void> {
      const auto at = static_cast<std::size_t>(from) + i;
      const std::string& path = manifest.samples[static_cast<std::size_t>(samples[at])].path;
      auto picture = reader.read(path);
      if (!picture.ok()) return picture.error();  // names the sample
      const Tensor one = model.prepare(*picture);
      if (one.byte_count() != static_cast<std::size_t>(image_bytes))
        return Error{ErrorKind::internal, fmt::format("{}: prepared as {}", path, to_string(one.shape()))};
      std::memcpy(prepared.data() + i * static_cast<std::size_t>(image_bytes), one.data(), one.byte_count());
      return {};
    };
    SIGHTLINE_CHECK(parallel_for(static_cast<std::size_t>(until - from), prepare_one, options.threads, 8));
    for (std::int64_t first = from; first < until; first += options.batch) {
      SIGHTLINE_CHECK(check_interrupt());
      const std::int64_t last = std::min(until, first + options.batch);
      SIGHTLINE_CHECK(use(first, prepared.rows(first - from, last - from)));
      if (bar) bar->advance(static_cast<std::uint64_t>(last - first));
    }
  }
  return {};
}

Result<Latency> measure_latency(const dataset::Manifest& manifest, std::span<const std::int64_t> samples, const Options& options,
                                const std::function<Result<void>(const image::Image& picture)>& ask,
                                const std::function<Result<image::Image>(const image::Image& picture)>& show) {
  const dataset::SampleReader reader(manifest.root);
  std::vector<image::Image> pictures;
  const std::size_t stride = std::max<std::size_t>(1, samples.size() / kLatencyPictures);
  for (std::size_t i = 0; i < samples.size() && pictures.size() < kLatencyPictures; i += stride) {
    SIGHTLINE_TRY(image::Image picture, reader.read(manifest.samples[static_cast<std::size_t>(samples[i])].path));
    if (show) {
      SIGHTLINE_TRY(picture, show(picture));
    }
    pictures.push_back(std::move(picture));
  }
  std::vector<double> milliseconds;
  const int warm_up = std::min(kWarmUp, options.latency_runs / 4);
  for (int run = -warm_up; run < options.latency_runs; ++run) {
    SIGHTLINE_CHECK(check_interrupt());
    const image::Image& picture = pictures[static_cast<std::size_t>(run + warm_up) % pictures.size()];
    const auto begin = Clock::now();
    SIGHTLINE_CHECK(ask(picture));
    if (run >= 0) milliseconds.push_back(1e3 * std::chrono::duration<double>(Clock::now() - begin).count());
  }
  Latency latency{.count = static_cast<int>(milliseconds.size()), .threads = options.threads > 0 ? options.threads : usable_cores()};
  if (milliseconds.empty()) return latency;
  std::sort(milliseconds.begin(), milliseconds.end());
  latency.p50 = quantile(milliseconds, 0.50);
  latency.p95 = quantile(milliseconds, 0.95);
  latency.p99 = quantile(milliseconds, 0.99);
  return latency;
}

Result<std::uint64_t> size_of_model(const std::string& path) {
  if (path.empty()) return std::uint64_t{0};
  if (is_directory(path)) return package::shipped_size(path);
  std::error_code problem;  // a bare .onnx file
  const std::uintmax_t size = std::filesystem::file_size(path, problem);
  if (problem) return Error{ErrorKind::io, fmt::format("{}: {}", path, problem.message())};
  return static_cast<std::uint64_t>(size);
}

}  // namespace sightline::evaluation
