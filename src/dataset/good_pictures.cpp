#include "dataset/good_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/files.h"
#include "base/parallel.h"
#include "base/text.h"
#include "dataset/importers.h"
#include "dataset/masks.h"
#include "dataset/split.h"
#include "image/image.h"

namespace sightline::dataset {
namespace {

constexpr std::array good_names{"good",        "ok",          "okay",       "normal",     "fine", "intact",
                                "defect-free", "defect_free", "fault-free", "fault_free", "free"};

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 10;
  std::vector<std::string> some(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(most, names.size())));
  return join(some, ", ") + (names.size() > most ? fmt::format(" and {} more", names.size() - most) : "");
}

std::string mask_path(const Manifest& manifest, const Sample& sample) {
  if (manifest.format != "mvtec" || sample.label == 0) return "";
  const std::string mask = mvtec_mask_of(sample.path);
  return mask.empty() || !path_exists(manifest.root + "/" + mask) ? "" : mask;
}

// Of what is not good; an error where it is not as large as the picture.
Result<Tensor> read_mask(const Manifest& manifest, const Sample& sample, const std::string& path) {
  SIGHTLINE_TRY(const image::Image picture, image::read_image(manifest.root + "/" + path, {.channels = 1}));
  if (picture.width != sample.width || picture.height != sample.height)
    return Error{ErrorKind::invalid_data,
                 fmt::format("the mask is {}×{}, but its picture {} is {}×{}; bring it to that size (nearest neighbour)", picture.width,
                             picture.height, sample.path, sample.width, sample.height)};
  Tensor mask(Dtype::u8, {picture.height, picture.width});
  std::ranges::transform(picture.pixels, mask.values<std::uint8_t>().begin(),
                         [](std::uint8_t value) { return value > 127 ? std::uint8_t{1} : std::uint8_t{0}; });
  return mask;
}

// Good ones alone, so that nothing else decides where they go.
Manifest good_part(const Manifest& manifest) {
  Manifest good{.root = manifest.root, .format = manifest.format, .classes = {manifest.classes.front()}};
  for (const Sample& sample : manifest.samples)
    if (sample.label == 0) good.samples.push_back(sample);
  const auto any = [&](Split split) { return std::ranges::any_of(good.samples, [&](const Sample& each) { return each.split == split; }); };
  good.given_test = manifest.given_test && any(Split::test);
  good.given_validation = manifest.given_validation && any(Split::validation);
  return good;
}

Result<void> check_counts(const Manifest& manifest) {
  std::array<std::int64_t, 3> counts{};
  for (const Sample& sample : manifest.samples)
    if (sample.label == 0) ++counts[static_cast<std::size_t>(sample.split)];
  if (counts[0] >= least_good_to_learn && counts[1] >= least_good_for_threshold && counts[2] > 0) return {};
  return Error{
      ErrorKind::invalid_data,
      fmt::format("{}: too few good pictures: {} to learn from, {} for the threshold and {} for the test, but {}, {} and 1 are the "
                  "least; add pictures of what is as it should be to \"{}\", or change the shares (split.validation, split.test)",
                  manifest.root, counts[0], counts[1], counts[2], least_good_to_learn, least_good_for_threshold, manifest.classes.front())};
}

}  // namespace

bool is_called_good(const std::string& class_name) { return std::ranges::find(good_names, lower_case(class_name)) != good_names.end(); }

Result<void> settle_good_class(Manifest& manifest, const std::optional<std::string>& wanted) {
  std::vector<std::string> good;
  for (const std::string& name : manifest.classes)
    if (wanted ? name == *wanted : is_called_good(name) || manifest.classes.size() == 1) good.push_back(name);
  if (good.size() != 1) {
    const std::string why = wanted ? fmt::format("there is no class \"{}\" (data.good){}", *wanted, did_you_mean(*wanted, manifest.classes))
                            : good.empty() ? std::string("no class is called good")
                                           : fmt::format("{} are all called like good pictures", join(good, ", "));
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: {}; say which class holds what is as it should be, as data.good: NAME (there is: {})", manifest.root, why,
                             listed(manifest.classes))};
  }
  const auto at = std::ranges::find(manifest.classes, good.front());
  const auto place = static_cast<int>(at - manifest.classes.begin());
  std::rotate(manifest.classes.begin(), at, at + 1);
  for (Sample& sample : manifest.samples) sample.label = sample.label == place ? 0 : sample.label < place ? sample.label + 1 : sample.label;
  return {};
}

Result<void> assign_good_splits(Manifest& manifest, const demand::SplitPlan& plan, std::int64_t seed) {
  std::vector<std::string> misplaced;
  for (const Sample& sample : manifest.samples)
    if (sample.label != 0 && sample.split != Split::test && manifest.given_test) misplaced.push_back(sample.path);
  if (!misplaced.empty())
    return Error{
        ErrorKind::invalid_data,
        fmt::format("{}: {} that {} not good in the training part of the data ({}); only good ones are learned from: move {} to the "
                    "test part",
                    manifest.root, plural(misplaced.size(), "picture"), misplaced.size() == 1 ? "is" : "are", listed(misplaced),
                    misplaced.size() == 1 ? "it" : "them")};
  Manifest good = good_part(manifest);
  if (good.samples.empty())
    return Error{ErrorKind::invalid_data, fmt::format("{}: there are no good pictures, and nothing else is learned from", manifest.root)};
  SIGHTLINE_CHECK(assign_splits(good, plan, seed));
  std::size_t next = 0;
  for (Sample& sample : manifest.samples) {
    if (sample.label == 0) {
      sample.split = good.samples[next].split;
      sample.group = good.samples[next++].group;
    } else {
      sample.split = Split::test;
    }
  }
  return check_counts(manifest);
}

Result<std::vector<Rejection>> bad_masks(const Manifest& manifest) {
  std::vector<Rejection> found(manifest.samples.size());
  SIGHTLINE_CHECK(parallel_for(manifest.samples.size(), [&](std::size_t i) -> Result<void> {
    const std::string path = mask_path(manifest, manifest.samples[i]);
    if (path.empty()) return {};
    const Result<Tensor> mask = read_mask(manifest, manifest.samples[i], path);
    if (!mask.ok()) found[i] = {path, mask.error().message};
    return {};
  }));
  std::erase_if(found, [](const Rejection& each) { return each.path.empty(); });
  return found;
}

annotation::Annotation truth_of(const Manifest& manifest, const Sample& sample) {
  annotation::Annotation truth;
  truth.label = sample.label;
  truth.score = sample.label == 0 ? 0 : 1;
  if (const std::string path = mask_path(manifest, sample); !path.empty()) {
    Result<Tensor> mask = read_mask(manifest, sample, path);
    if (mask.ok()) truth.mask = *std::move(mask);
  }
  return truth;
}

}  // namespace sightline::dataset
