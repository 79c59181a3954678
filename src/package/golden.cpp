#include "package/golden.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "package/layout.h"
#include "package/metadata.h"
#include "tasks/restore.h"

namespace sightline::package {
namespace {

constexpr std::uint64_t largest_json = 64'000'000, largest_picture = 256'000'000;
constexpr std::int64_t map_cells = 16;  // a side, of what is kept of a map

// What is expected of a classifier, and of every other model.
struct Sample {
  std::string file, name;
  std::vector<float> probabilities;
  static constexpr auto fields() {
    return std::tuple{field("file", &Sample::file), field("name", &Sample::name), field("probabilities", &Sample::probabilities)};
  }
};
struct AnnotatedSample {
  std::string file, name;
  annotation::Annotation annotation;
  std::string map;  // annotation::text_of_map; "" where the task has none
  static constexpr auto fields() {
    return std::tuple{field("file", &AnnotatedSample::file), field("name", &AnnotatedSample::name),
                      field("annotation", &AnnotatedSample::annotation), field("map", &AnnotatedSample::map)};
  }
};

template <class T>
struct Golden {
  int format = 1;
  double tolerance = 0;
  std::vector<T> samples;
  static constexpr auto fields() {
    return std::tuple{field("format", &Golden::format), field("tolerance", &Golden::tolerance), field("samples", &Golden::samples)};
  }
};

// One picture at a time, so that the batch size does not decide the bits.
Result<std::vector<float>> answer(Model& model, const image::Image& picture) {
  SIGHTLINE_TRY(const Tensor probabilities, model.probabilities(model.prepare(picture)));
  const auto values = probabilities.values<float>();
  return std::vector<float>(values.begin(), values.end());
}

// Restored pictures lie beside the samples, as PNG: in JSON they would be numbers without end.
std::string restored_file(const std::string& sample) { return sample.substr(0, sample.rfind('.')) + ".restored.png"; }

Error answers_differently(const std::string& folder, const std::string& file, const std::string& name, const std::string& what) {
  return {ErrorKind::invalid_data,
          fmt::format("{}/{}: golden sample {} (\"{}\") {}; the model or the sample was altered since it was packaged, or this "
                      "processor calculates differently: export or build the package again",
                      folder, model_file, file, name, what)};
}

std::size_t best_of(const std::vector<float>& values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

Result<void> compare(const Sample& sample, const std::vector<float>& got, const std::string& folder, const Model& model) {
  const auto bad = [&](const std::string& what) { return answers_differently(folder, sample.file, sample.name, what); };
  if (sample.probabilities.size() != got.size())
    return bad(fmt::format("has {} expected probabilities, the model gives {}", sample.probabilities.size(), got.size()));
  double worst = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(static_cast<double>(got[i]) - sample.probabilities[i]);
    if (!(difference <= worst)) {  // NaN as well
      worst = difference;
      at = i;
    }
  }
  const double tolerance = golden_tolerance(model.precision());
  const std::size_t wanted_best = best_of(sample.probabilities), best = best_of(got);
  if (!(worst <= tolerance))
    return bad(fmt::format("answers differently: \"{}\" has probability {:.6g} instead of {:.6g}", model.labels()[at], got[at],
                           sample.probabilities[at]));
  // Two classes that are equally probable may change places within the tolerance.
  if (best != wanted_best && sample.probabilities[wanted_best] - sample.probabilities[best] > tolerance)
    return bad(fmt::format("is called \"{}\" instead of \"{}\"", model.labels()[best], model.labels()[wanted_best]));
  return {};
}

Result<void> compare(const AnnotatedSample& sample, const annotation::Annotation& got, const std::string& folder, const Model& model) {
  const std::string difference = annotation::difference(sample.annotation, got, golden_tolerance(model.precision()));
  if (!difference.empty()) return answers_differently(folder, sample.file, sample.name, "answers differently: " + difference);
  if (sample.map.empty()) return {};
  SIGHTLINE_TRY(const Tensor expected, annotation::map_of_text(sample.map));
  SIGHTLINE_TRY(const Tensor map, annotation::map_of_text(annotation::text_of_map(got.score_map, map_cells)));
  constexpr double rounding = 1.0 / 255;  // of either text, half of it
  if (!map.defined() || map.shape() != expected.shape())
    return answers_differently(folder, sample.file, sample.name, "is answered with a map of another size");
  for (std::int64_t i = 0; i < map.count(); ++i) {
    const double wanted = static_cast<double>(expected.values<float>()[static_cast<std::size_t>(i)]),
                 is = static_cast<double>(map.values<float>()[static_cast<std::size_t>(i)]);
    if (!(std::abs(wanted - is) <= golden_tolerance(model.precision()) + 1.01 * rounding))
      return answers_differently(
          folder, sample.file, sample.name,
          fmt::format("answers differently: the map is {:.3f} instead of {:.3f} at cell {} of {}", is, wanted, i, map.count()));
  }
  return {};
}

template <class T>
Result<Golden<T>> parse_golden(const std::string& folder) {
  const std::string source = folder + "/" + golden_file;
  SIGHTLINE_TRY(const std::string text, read_inside(folder, golden_file, largest_json));
  SIGHTLINE_TRY(const Json json, parse_json(text, source));
  Golden<T> golden;
  if (const auto status = from_json(json, golden, ""); !status.ok()) return status.error().in(source);
  if (golden.format != 1)
    return Error{ErrorKind::unsupported, fmt::format("{}: format {}; this version of Sightline reads format 1", source, golden.format)};
  if (golden.samples.empty() || golden.samples.size() > most_golden_samples)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: 1 to {} samples are wanted, not {}", source, most_golden_samples, golden.samples.size())};
  return golden;
}

Result<image::Image> picture_of(const std::string& folder, const std::string& file) {
  if (file.empty() || file.find('/') != std::string::npos || !is_printable(file, 200))
    return Error{ErrorKind::invalid_data, fmt::format("{}/{}: a sample's file must be a plain file name", folder, golden_file)};
  SIGHTLINE_TRY(const std::string path, inside(folder, std::string(golden_folder) + "/" + file, largest_picture));
  return image::read_image(path);
}

}  // namespace

Result<void> write_golden(const std::string& folder, const std::vector<GoldenSample>& samples, Model& model) {
  if (samples.empty() || samples.size() > most_golden_samples)
    return Error{ErrorKind::invalid_data, fmt::format("a package has 1 to {} golden samples, not {}", most_golden_samples, samples.size())};
  SIGHTLINE_CHECK(make_directories(folder + "/" + golden_folder));
  Golden<Sample> golden{.tolerance = golden_tolerance(model.precision())};
  Golden<AnnotatedSample> annotated{.tolerance = golden.tolerance};
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const GoldenSample& sample = samples[i];
    const auto not_finite = [&] {
      return Error{ErrorKind::invalid_data,
                   fmt::format("the model answers golden sample \"{}\" with a number that is not finite: it did not learn", sample.name)};
    };
    const std::string file = fmt::format("{}.png", i);
    SIGHTLINE_CHECK(write_file(fmt::format("{}/{}/{}", folder, golden_folder, file), image::encode_png(sample.picture)));
    if (model.annotates()) {
      SIGHTLINE_TRY(annotation::Annotation annotation, model.answer(sample.picture));
      if (annotation.restored.defined())
        SIGHTLINE_CHECK(write_file(fmt::format("{}/{}/{}", folder, golden_folder, restored_file(file)),
                                   image::encode_png(tasks::picture_of(annotation.restored))));
      if (!std::isfinite(annotation.score)) return not_finite();
      for (const annotation::Object& object : annotation.objects)
        if (!std::isfinite(object.score)) return not_finite();
      std::string map = annotation::text_of_map(annotation.score_map, map_cells);
      annotated.samples.push_back({.file = file, .name = sample.name, .annotation = std::move(annotation), .map = std::move(map)});
    } else {
      SIGHTLINE_TRY(std::vector<float> probabilities, answer(model, sample.picture));
      for (const float probability : probabilities)
        if (!std::isfinite(probability)) return not_finite();
      golden.samples.push_back({.file = file, .name = sample.name, .probabilities = std::move(probabilities)});
    }
  }
  return write_file(folder + "/" + golden_file, json_text(model.annotates() ? to_json(annotated) : to_json(golden), 1) + "\n");
}

double golden_tolerance(Precision precision) {
  switch (precision) {
    case Precision::f32: return 1e-4;
    case Precision::bf16: return 0.03;
    case Precision::mixed:
    case Precision::int8: return 0.1;
  }
  return 1e-4;
}

namespace {

template <class T>
Result<std::vector<GoldenSample>> read_samples(const std::string& folder) {
  SIGHTLINE_TRY(const Golden<T> golden, parse_golden<T>(folder));
  std::vector<GoldenSample> samples;
  for (const T& sample : golden.samples) {
    SIGHTLINE_TRY(image::Image picture, picture_of(folder, sample.file));
    samples.push_back({sample.name, std::move(picture)});
  }
  return samples;
}

}  // namespace

Result<std::vector<GoldenSample>> read_golden(const std::string& folder, const Model& model) {
  return model.annotates() ? read_samples<AnnotatedSample>(folder) : read_samples<Sample>(folder);
}

Result<void> check_golden(const std::string& folder, Model& model) {
  if (model.annotates()) {
    SIGHTLINE_TRY(const Golden<AnnotatedSample> golden, parse_golden<AnnotatedSample>(folder));
    for (const AnnotatedSample& each : golden.samples) {
      SIGHTLINE_TRY(const image::Image picture, picture_of(folder, each.file));
      SIGHTLINE_TRY(const annotation::Annotation got, model.answer(picture));
      AnnotatedSample sample = each;
      if (got.restored.defined()) {
        SIGHTLINE_TRY(const image::Image restored, picture_of(folder, restored_file(sample.file)));
        sample.annotation.restored = Tensor::of<std::uint8_t>({restored.height, restored.width, restored.channels}, restored.pixels);
      }
      SIGHTLINE_CHECK(compare(sample, got, folder, model));
    }
    return {};
  }
  SIGHTLINE_TRY(const Golden<Sample> golden, parse_golden<Sample>(folder));
  for (const Sample& sample : golden.samples) {
    SIGHTLINE_TRY(const image::Image picture, picture_of(folder, sample.file));
    SIGHTLINE_TRY(const std::vector<float> got, answer(model, picture));
    SIGHTLINE_CHECK(compare(sample, got, folder, model));
  }
  return {};
}

}  // namespace sightline::package
