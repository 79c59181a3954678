// IDX pairs (MNIST and its relatives): PREFIX-images-idx3-ubyte[.gz] with PREFIX-labels-idx1-ubyte[.gz]. The prefix ends in train, test,
// t10k (MNIST's name for test) or val.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/text.h"
#include "dataset/idx.h"
#include "dataset/importers.h"

namespace sightline::dataset {
namespace {

struct Pair {
  std::string images, labels;
  Split split = Split::train;
};

constexpr std::string_view image_endings[] = {"-images-idx3-ubyte", "-images-idx4-ubyte"};

std::optional<std::string> prefix_of(std::string_view file_name) {
  const std::string name = plain_idx_name(file_name);
  for (const std::string_view ending : image_endings) {
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  }
  return std::nullopt;
}

Result<std::vector<Pair>> find_pairs(const Source& source, std::vector<Refusal>& refused) {
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> images;
  const auto add = [&](std::map<std::string, std::string>& found, const std::string& prefix, const std::string& file) {
    const auto [at, added] = found.emplace(prefix, file);
    if (added) return;
    // Sorted, the plain file comes before its .gz; reading it is cheaper.
    refused.push_back({file, "the same data as " + at->second, Loss::none});
  };
  for (const std::string& file : source.files) {
    const std::string name = plain_idx_name(file);
    constexpr std::string_view label_ending = "-labels-idx1-ubyte";
    if (file.find('/') != std::string::npos) {
      refused.push_back({file, "not one of the IDX files of this folder", Loss::none});
    } else if (const auto prefix = prefix_of(file)) {
      add(images, *prefix, file);
    } else if (name.ends_with(label_ending)) {
      add(labels, name.substr(0, name.size() - label_ending.size()), file);
    } else {
      const std::string reason = side_file_reason(file);
      refused.push_back({file, reason.empty() ? "not one of the IDX files of this folder" : reason, Loss::none});
    }
  }
  std::vector<Pair> pairs;
  std::map<Split, std::string> taken;
  for (const auto& [prefix, file] : images) {
    const auto found = labels.find(prefix);
    if (found == labels.end())
      return Error{
          ErrorKind::invalid_data,
          fmt::format("{}/{}: the labels are missing; they were looked for as {}-labels-idx1-ubyte or .gz", source.root, file, prefix)};
    Pair pair{.images = file, .labels = found->second};
    const std::size_t dash = prefix.rfind('-');
    split_from(dash == std::string::npos ? prefix : prefix.substr(dash + 1), pair.split);
    const auto [at, added] = taken.emplace(pair.split, file);
    if (!added)
      return Error{ErrorKind::invalid_data, fmt::format("{}: {} and {} are both {} data; put each data set into a folder of its own",
                                                        source.root, at->second, file, enum_name(pair.split))};
    labels.erase(found);
    pairs.push_back(std::move(pair));
  }
  for (const auto& [prefix, file] : labels) refused.push_back({file, "labels without images", Loss::picture});
  std::sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.split < b.split; });
  return pairs;
}

// The names that the data's authors give: classes.txt or labels.txt beside the files, one a line. IDX files hold numbers only.
Result<std::vector<std::string>> class_names(const Source& source, std::size_t needed) {
  for (const char* name : {"classes.txt", "labels.txt"}) {
    if (!std::binary_search(source.files.begin(), source.files.end(), name)) continue;
    const std::string path = fmt::format("{}/{}", source.root, name);
    SIGHTLINE_TRY(const std::string text, read_file(path));
    std::vector<std::string> names;
    for (const std::string& line : split(text, '\n')) {
      if (std::string trimmed = trim(line); !trimmed.empty()) names.push_back(std::move(trimmed));
    }
    std::vector<std::string> sorted = names;
    std::sort(sorted.begin(), sorted.end());
    if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
      return Error{ErrorKind::invalid_data, fmt::format("{}: the name \"{}\" stands twice", path, *twice)};
    if (names.size() < needed)
      return Error{ErrorKind::invalid_data, fmt::format("{}: {} for labels up to {}", path, plural(names.size(), "name"), needed - 1)};
    return names;
  }
  // Xiao, Rasul, Vollgraf 2017: the table of labels in Fashion-MNIST's README.
  static const std::vector<std::string> apparel{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                                "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  const std::string root = lower_case(source.root);
  const bool fashion = root.find("fashion-mnist") != std::string::npos || root.find("fashionmnist") != std::string::npos ||
                       root.find("fashion_mnist") != std::string::npos;
  if (fashion && needed <= apparel.size()) return apparel;
  std::vector<std::string> numbers;
  for (std::size_t i = 0; i < needed; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

}  // namespace

bool looks_like_idx(const Source& source) {
  return std::any_of(source.files.begin(), source.files.end(),
                     [](const std::string& file) { return file.find('/') == std::string::npos && prefix_of(file).has_value(); });
}

Result<Listing> list_idx(const Source& source, const demand::SplitPlan& plan) {
  if (plan.group_by == demand::GroupBy::column || plan.group_by == demand::GroupBy::folder || plan.group_by == demand::GroupBy::pattern)
    return Error{ErrorKind::invalid_data,
                 fmt::format("split.group_by is {}, but records of IDX files have neither names nor columns; use none or near_duplicates",
                             enum_name(plan.group_by))};
  Listing listing;
  SIGHTLINE_TRY(const std::vector<Pair> pairs, find_pairs(source, listing.refused));
  if (pairs.empty())
    return Error{ErrorKind::invalid_data, fmt::format("{}: no file is called …-images-idx3-ubyte or …-images-idx3-ubyte.gz", source.root)};
  std::vector<IdxFile> labels;
  std::size_t classes = 0;
  for (const Pair& pair : pairs) {
    SIGHTLINE_TRY(IdxFile file, IdxFile::open(source.root + "/" + pair.labels));
    if (file.dimensions().size() != 1)
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}/{}: labels need one dimension, not {}", source.root, pair.labels, file.dimensions().size())};
    SIGHTLINE_TRY(const std::vector<std::size_t> dimensions, IdxFile::read_dimensions(source.root + "/" + pair.images));
    if (dimensions[0] != file.count())
      return Error{ErrorKind::invalid_data, fmt::format("{}: {} holds {} but {} holds {}", source.root, pair.images,
                                                        plural(dimensions[0], "image"), pair.labels, plural(file.count(), "label"))};
    for (std::size_t i = 0; i < file.count(); ++i) classes = std::max(classes, std::to_integer<std::size_t>(file.record(i)[0]) + 1);
    labels.push_back(std::move(file));
  }
  SIGHTLINE_TRY(listing.class_order, class_names(source, classes));
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    listing.entries.reserve(listing.entries.size() + labels[p].count());
    for (std::size_t i = 0; i < labels[p].count(); ++i) {
      const std::string& name = listing.class_order[std::to_integer<std::size_t>(labels[p].record(i)[0])];
      listing.entries.push_back(
          {.path = fmt::format("{}#{}", pairs[p].images, i), .class_name = name, .split = pairs[p].split, .folder = {}, .column = {}});
    }
  }
  return listing;
}

}  // namespace sightline::dataset
