// Pictures with a mask picture each: which lies where, and what the numbers in them mean (docs/formats/annotations.md).
#include "dataset/import_masks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <set>

#include "base/files.h"
#include "base/parallel.h"
#include "base/text.h"
#include "dataset/file_index.h"
#include "dataset/masks.h"
#include "image/levels.h"

namespace sightline::dataset {
namespace {

constexpr std::array<std::string_view, 4> mask_folders{"masks", "instances", "labels", "annotations"};
constexpr std::string_view picture_folder = "images";
constexpr std::size_t most_unnamed_classes = 32;
constexpr int unjudged = annotation::unjudged_pixel;

std::string png_of(std::string_view path) {
  const std::string_view folder = folder_of(path);
  return fmt::format("{}{}{}.png", folder, folder.empty() ? "" : "/", stem_of(path));
}

// The path with its last folder `images` called otherwise; "" without such a folder.
std::string in_folder(std::string_view path, std::string_view name) {
  const std::string slashed = fmt::format("/{}", path), wanted = fmt::format("/{}/", picture_folder);
  const std::size_t at = slashed.rfind(wanted);
  if (at == std::string::npos) return "";
  return fmt::format("{}/{}/{}", slashed.substr(0, at), name, slashed.substr(at + wanted.size())).substr(1);
}

bool lies_in_mask_folder(std::string_view path) {
  for (std::string_view folder = folder_of(path); !folder.empty(); folder = folder_of(folder))
    if (std::ranges::find(mask_folders, file_name_of(folder)) != mask_folders.end()) return true;
  return false;
}

struct Pairs {
  std::vector<std::pair<std::string, std::string>> pictures;  // and the mask of each, "" where there is none
  std::vector<std::string> lonely;                            // masks without a picture
  std::size_t parallel = 0, beside = 0;                       // masks that were found, by where they lie
};

Pairs pairs_of(const Source& source) {
  const std::set<std::string> files(source.files.begin(), source.files.end());
  Pairs pairs;
  std::set<std::string> masks;
  const bool folders = std::ranges::any_of(
      source.files, [](const std::string& path) { return !in_folder(path, picture_folder).empty() && has_image_extension(path); });
  for (const std::string& path : source.files) {
    if (!has_image_extension(path) || (folders ? in_folder(path, picture_folder).empty() : lower_case(path).ends_with(".png"))) continue;
    std::string mask;
    for (std::size_t i = 0; folders && mask.empty() && i < mask_folders.size(); ++i)
      if (std::string there = png_of(in_folder(path, mask_folders[i])); files.contains(there)) mask = std::move(there);
    if (!folders)
      if (std::string there = png_of(path); files.contains(there)) mask = std::move(there);
    if (!mask.empty()) {
      masks.insert(mask);
      ++(folders ? pairs.parallel : pairs.beside);
    }
    pairs.pictures.emplace_back(path, std::move(mask));
  }
  for (const std::string& path : source.files)
    if (has_image_extension(path) && !masks.contains(path) && (folders ? lies_in_mask_folder(path) : lower_case(path).ends_with(".png")))
      pairs.lonely.push_back(path);
  return pairs;
}

// What one mask holds.
struct Content {
  int bits = 8;
  bool empty = true;
  std::bitset<256> values;  // of masks of 8 bits
};

std::string look_at(const std::string& root, Sample& sample, const std::string& path, Content& content) {
  sample.mask.path = path;
  const auto bytes = read_file(root + "/" + path);
  if (!bytes.ok()) return bytes.error().message;
  sample.mask.digest = sha256_of(*bytes);
  const auto levels = image::decode_levels(std::as_bytes(std::span(*bytes)));
  if (!levels.ok()) return levels.error().message;
  if (levels->width != sample.width || levels->height != sample.height)
    return fmt::format("it is {}×{}, and the picture {}×{}", levels->width, levels->height, sample.width, sample.height);
  content.bits = levels->bits;
  for (const std::uint16_t value : levels->values) {
    content.empty = content.empty && value == 0;
    if (content.bits == 8) content.values.set(value);
  }
  return "";
}

struct Names {
  std::string file;  // "": there is none
  std::vector<std::string> names;
  bool background_first = false;
};

Result<Names> read_names(const Source& source) {
  Names names;
  for (const std::string& file : source.files)
    if (file_name_of(file) == "classes.txt" && (names.file.empty() || file.size() < names.file.size())) names.file = file;
  if (names.file.empty()) return names;
  SIGHTLINE_TRY(const std::string text, read_file(source.root + "/" + names.file));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (std::string name = as_utf8(trim(text.substr(at, end - at))); !name.empty()) names.names.push_back(std::move(name));
    at = end + 1;
  }
  if (names.names.empty()) return Error{ErrorKind::invalid_data, fmt::format("{}/{}: no class in it", source.root, names.file)};
  const std::string first = lower_case(names.names.front());
  names.background_first = first == "background" || first == "_background_" || first == "__background__";
  if (names.background_first) names.names.erase(names.names.begin());
  if (std::set<std::string>(names.names.begin(), names.names.end()).size() != names.names.size() || names.names.empty())
    return Error{ErrorKind::invalid_data, fmt::format("{}/{}: no class but the background, or one of them twice", source.root, names.file)};
  return names;
}

// Of masks with class numbers: the classes, and the value of each.
Result<void> settle_classes(const Source& source, const Names& names, const std::bitset<256>& all, Manifest& manifest) {
  std::vector<int> used;
  for (int value = 1; value < 256; ++value)
    if (all.test(static_cast<std::size_t>(value))) used.push_back(value);
  if (used.size() > 1 && used.back() == unjudged) used.pop_back();
  MaskMeaning& meaning = manifest.masks.emplace();
  if (used.size() == 1 && names.names.size() <= 1) {
    manifest.classes = names.names.empty() ? std::vector<std::string>{"foreground"} : names.names;
    meaning.values = used;
    return {};
  }
  if (!names.file.empty()) {
    manifest.classes = names.names;
    for (std::size_t k = 0; k < names.names.size(); ++k) meaning.values.push_back(static_cast<int>(k) + 1);
    if (names.names.size() >= static_cast<std::size_t>(unjudged))
      return Error{ErrorKind::unsupported, fmt::format("{}/{}: {} classes; 254 are possible", source.root, names.file, names.names.size())};
    return {};
  }
  if (used.size() > most_unnamed_classes)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: the masks hold {} different values. Soft edges are no classes: write each pixel's class as a number, or "
                             "name the classes in classes.txt, a line each from value 1 on",
                             source.root, used.size())};
  for (const int value : used) manifest.classes.push_back(fmt::format("class {}", value));
  meaning.values = std::move(used);
  return {};
}

}  // namespace

bool looks_like_masks(const Source& source) {
  if (!source.labels.empty()) return false;
  const Pairs pairs = pairs_of(source);
  // A few masks beside pictures of classes do not make the pictures without one wrong.
  constexpr double most_beside = 0.9, most_parallel = 0.5;
  const auto pictures = static_cast<double>(pairs.pictures.size());
  return !pairs.pictures.empty() &&
         (static_cast<double>(pairs.parallel) >= most_parallel * pictures || static_cast<double>(pairs.beside) >= most_beside * pictures);
}

Result<Listing> list_masks(const Source& source, const demand::SplitPlan& plan) {
  if (plan.group_by == demand::GroupBy::column)
    return Error{ErrorKind::invalid_data, "split.group_by is column, but masks have no columns; use folder, pattern or near_duplicates"};
  Listing listing;
  Pairs pairs = pairs_of(source);
  std::set<std::string_view> known(pairs.lonely.begin(), pairs.lonely.end());
  for (auto& [picture, mask] : pairs.pictures) {
    known.insert(picture);
    if (mask.empty()) {
      listing.refused.push_back({picture, "there is no mask for it", Loss::picture});
      continue;
    }
    known.insert(mask);
    Split split = Split::train;
    split_of_folders(picture, split);
    listing.entries.push_back(
        {.path = picture, .class_name = "", .split = split, .folder = std::string(folder_of(picture)), .column = {}, .mask = mask});
  }
  for (const std::string& mask : pairs.lonely) listing.refused.push_back({mask, "a mask whose picture is not there", Loss::picture});
  for (const std::string& path : source.files) {
    if (known.contains(path)) continue;
    const std::string reason = side_file_reason(path);
    const bool picture = has_image_extension(path);
    listing.refused.push_back({path, !reason.empty() ? reason : "neither picture nor mask", picture ? Loss::picture : Loss::none});
  }
  if (listing.entries.empty())
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: no picture with a mask. Masks are PNG, named like their pictures: in masks/, instances/, labels/ or "
                             "annotations/ beside images/, or beside the picture itself",
                             source.root)};
  return listing;
}

Result<void> settle_masks(const Source& source, const Listing& listing, demand::BadBoxes policy, std::vector<Sample>& samples,
                          std::vector<std::string>& reasons, Manifest& manifest) {
  SIGHTLINE_TRY(const Names names, read_names(source));
  std::vector<Content> contents(samples.size());
  std::vector<std::string> bad(samples.size());
  SIGHTLINE_CHECK(parallel_for(
      samples.size(),
      [&](std::size_t i) -> Result<void> {
        if (reasons[i].empty()) bad[i] = look_at(source.root, samples[i], listing.entries[i].mask, contents[i]);
        return {};
      },
      0, 8));
  std::array<std::size_t, 2> forms{};  // masks of 8 and of 16 bits
  bool empty = true;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!reasons[i].empty() || !bad[i].empty()) continue;
    ++forms[contents[i].bits == 16 ? 1 : 0];
    empty = empty && contents[i].empty;
  }
  const bool instances = forms[1] > forms[0];
  std::bitset<256> all;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!reasons[i].empty() || !bad[i].empty()) continue;
    if ((contents[i].bits == 16) != instances)
      bad[i] = fmt::format("it has {} bits, most others {}: are its numbers classes or objects?", contents[i].bits, instances ? 16 : 8);
    else
      all |= contents[i].values;
  }
  if (empty && forms[0] + forms[1] > 0) return Error{ErrorKind::invalid_data, fmt::format("{}: all masks are empty", source.root)};
  if (instances) {
    manifest.masks = MaskMeaning{.instances = true, .values = {}};
    manifest.classes = names.names.size() == 1 ? names.names : std::vector<std::string>{"object"};
    if (names.names.size() > 1)
      return Error{ErrorKind::unsupported,
                   fmt::format("{}/{}: {} classes, but masks of objects (16 bits) know one", source.root, names.file, names.names.size())};
  } else if (forms[0] > 0) {
    SIGHTLINE_CHECK(settle_classes(source, names, all, manifest));
    std::array<bool, 256> known{};
    known[0] = true;
    for (const int value : manifest.masks->values) known[static_cast<std::size_t>(value)] = true;
    if (manifest.masks->values.size() > 1) known[unjudged] = true;
    for (std::size_t i = 0; i < samples.size(); ++i)
      for (std::size_t value = 0; reasons[i].empty() && bad[i].empty() && value < known.size(); ++value)
        if (contents[i].values.test(value) && !known[value])
          bad[i] = fmt::format("{} is the number of no class{}", value, names.file.empty() ? "" : " in " + names.file);
  }
  std::vector<std::string> stopped;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (bad[i].empty()) continue;
    reasons[i] = fmt::format("its mask {}: {}", samples[i].mask.path, bad[i]);
    if (policy == demand::BadBoxes::stop && stopped.size() < 5) stopped.push_back(fmt::format("\n  {}: {}", samples[i].path, reasons[i]));
  }
  if (!stopped.empty())
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: masks cannot be used, and data.bad_boxes is stop:{}", source.root, join(stopped, ""))};
  return {};
}

Result<void> read_mask(const Manifest& manifest, const Sample& sample, annotation::Annotation& truth) {
  if (!manifest.masks || sample.mask.path.empty()) return {};
  const std::string path = manifest.root + "/" + sample.mask.path;
  SIGHTLINE_TRY(const std::string bytes, read_file(path));
  if (sha256_of(bytes) != sample.mask.digest)
    return Error{ErrorKind::invalid_data, fmt::format("{} has changed since the import; run the import again", path)};
  const auto levels = image::decode_levels(std::as_bytes(std::span(bytes)));
  if (!levels.ok()) return levels.error().in(path);
  const Shape shape{levels->height, levels->width};
  if (levels->width != sample.width || levels->height != sample.height)
    return Error{ErrorKind::invalid_data, fmt::format("{} is of another size than {}", path, sample.path)};
  truth.mask = Tensor::zeros(Dtype::u8, shape);
  const auto mask = truth.mask.values<std::uint8_t>();
  if (!manifest.masks->instances) {
    std::array<std::uint8_t, 256> meaning{};
    if (manifest.masks->values.size() > 1) meaning[unjudged] = annotation::unjudged_pixel;
    for (std::size_t k = 0; k < manifest.masks->values.size(); ++k)
      meaning[static_cast<std::size_t>(manifest.masks->values[k])] = static_cast<std::uint8_t>(k + 1);
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = meaning[levels->values[i] & 0xFFU];
    return {};
  }
  truth.instances = Tensor::zeros(Dtype::i32, shape);
  const auto instances = truth.instances.values<std::int32_t>();
  std::vector<std::int32_t> number(65536, 0);
  for (const std::uint16_t value : levels->values) number[value] = 1;
  number[0] = 0;
  std::int32_t count = 0;
  for (std::int32_t& each : number) each = each != 0 ? ++count : 0;
  truth.objects.assign(static_cast<std::size_t>(count), {.label = 0, .box = {1e9, 1e9, -1, -1}});
  for (std::int64_t y = 0; y < levels->height; ++y) {
    for (std::int64_t x = 0; x < levels->width; ++x) {
      const auto at = static_cast<std::size_t>(y * levels->width + x);
      instances[at] = number[levels->values[at]];
      if (instances[at] == 0) continue;
      mask[at] = 1;
      annotation::Box& box = truth.objects[static_cast<std::size_t>(instances[at] - 1)].box;
      const auto left = static_cast<double>(x), top = static_cast<double>(y);
      box = {std::min(box.left, left), std::min(box.top, top), std::max(box.right, left + 1), std::max(box.bottom, top + 1)};
    }
  }
  return {};
}

}  // namespace sightline::dataset
