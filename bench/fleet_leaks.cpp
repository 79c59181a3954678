#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include "base/files.h"
#include "base/parallel.h"
#include "bench/fleet_sources.h"
#include "dataset/duplicates.h"
#include "dataset/intake.h"

namespace sightline::bench {
namespace {

namespace fs = std::filesystem;

Result<image::Image> picture_of(const Picture& picture) {
  if (!picture.pixels.pixels.empty()) return picture.pixels;
  auto whole = image::read_image(picture.original);
  if (!whole.ok()) return whole.error().in(picture.original);
  return whole;
}

image::Image crop_of(const image::Image& whole, const Box& box) {
  image::Image crop{box.width, box.height, whole.channels, {}};
  crop.pixels.reserve(crop.row_bytes() * static_cast<std::size_t>(box.height));
  for (int y = box.y; y < box.y + box.height; ++y) {
    const auto begin = whole.pixels.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(y) * whole.row_bytes() +
                                                                          static_cast<std::size_t>(box.x * whole.channels));
    crop.pixels.insert(crop.pixels.end(), begin, begin + static_cast<std::ptrdiff_t>(crop.row_bytes()));
  }
  return crop;
}

// Pictures by original, in the order in which the originals first stand.
std::vector<std::vector<std::size_t>> by_original(const Source& source, const std::vector<std::size_t>& which) {
  std::map<std::string, std::size_t> place;
  std::vector<std::vector<std::size_t>> lists;
  for (const std::size_t i : which) {
    const auto [at, added] = place.emplace(source.pictures[i].original, lists.size());
    if (added) lists.emplace_back();
    lists[at->second].push_back(i);
  }
  return lists;
}

std::vector<std::size_t> members(const Source& source) {
  std::set<std::size_t> all;
  for (const Facet& facet : source.facets)
    for (const Class& each : facet.classes) all.insert(each.pictures.begin(), each.pictures.end());
  return {all.begin(), all.end()};
}

void take_out(Source& source, const std::set<std::size_t>& gone) {
  for (Facet& facet : source.facets)
    for (Class& each : facet.classes) std::erase_if(each.pictures, [&](std::size_t i) { return gone.contains(i); });
}

// What the search for duplicates needs to know of an original.
Result<dataset::Sample> describe(const Picture& picture, int label) {
  SIGHTLINE_TRY(const image::Image whole, picture_of(picture));
  dataset::Sample sample{.path = picture.original, .label = label};
  dataset::set_facts(sample, dataset::facts_of(whole));
  if (picture.pixels.pixels.empty()) {
    SIGHTLINE_TRY(sample.digest, sha256_of_file(picture.original));
  } else {
    sample.digest = sha256_of(std::as_bytes(std::span(whole.pixels)));
  }
  return sample;
}

// Whole pictures that are equal byte for byte under two classes of a facet: one of the labels is wrong, nobody knows which.
std::set<std::size_t> conflicts(const Source& source, const std::map<std::size_t, Digest>& digest_of) {
  std::set<std::size_t> gone;
  for (const Facet& facet : source.facets) {
    std::map<Digest, std::set<std::size_t>> classes_of;
    const auto each_digest = [&](auto visit) {
      for (std::size_t c = 0; c < facet.classes.size(); ++c)
        for (const std::size_t i : facet.classes[c].pictures)
          if (source.pictures[i].box.width == 0) visit(digest_of.at(i), c, i);
    };
    each_digest([&](const Digest& digest, std::size_t c, std::size_t) { classes_of[digest].insert(c); });
    each_digest([&](const Digest& digest, std::size_t, std::size_t i) {
      if (classes_of.at(digest).size() > 1) gone.insert(i);
    });
  }
  return gone;
}

}  // namespace

void drop_known(Source& source) {
  std::set<std::string> tested;
  for (const Picture& each : source.pictures)
    if (each.part == Part::test) tested.insert(each.group);
  std::set<std::size_t> gone;
  for (const std::size_t i : members(source))
    if (source.pictures[i].part == Part::train && tested.contains(source.pictures[i].group)) gone.insert(i);
  source.known += gone.size();
  take_out(source, gone);
}

Result<void> close_leaks(Source& source) {
  const auto lists = by_original(source, members(source));
  // In the first facet. Crops of several classes share an original: 0, since its class is no matter.
  std::vector<int> label_of(source.pictures.size(), 0);
  for (std::size_t c = 0; c < source.facets[0].classes.size(); ++c)
    for (const std::size_t i : source.facets[0].classes[c].pictures)
      if (source.pictures[i].box.width == 0) label_of[i] = static_cast<int>(c);
  dataset::Manifest manifest;
  manifest.samples.resize(lists.size());
  SIGHTLINE_CHECK(parallel_for(lists.size(), [&](std::size_t k) -> Result<void> {
    const Picture& first = source.pictures[lists[k][0]];
    SIGHTLINE_TRY(manifest.samples[k], describe(first, label_of[lists[k][0]]));
    return {};
  }));

  std::map<std::size_t, Digest> digest_of;
  for (std::size_t k = 0; k < lists.size(); ++k)
    for (const std::size_t i : lists[k]) digest_of[i] = manifest.samples[k].digest;
  const std::set<std::size_t> wrong = conflicts(source, digest_of);
  source.conflicting = wrong.size();
  take_out(source, wrong);

  // Groups that touch one cluster become one.
  std::map<std::string, std::size_t> number;
  for (const Picture& each : source.pictures) number.emplace(each.group, number.size());
  std::vector<std::size_t> parent(number.size());
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  const auto root_of = [&](std::size_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (const auto& cluster : dataset::clusters_to_keep_together(manifest).members) {
    const std::size_t first = root_of(number.at(source.pictures[lists[static_cast<std::size_t>(cluster[0])][0]].group));
    for (const std::int64_t k : cluster)
      for (const std::size_t i : lists[static_cast<std::size_t>(k)]) parent[root_of(number.at(source.pictures[i].group))] = first;
  }
  for (Picture& each : source.pictures) each.group = fmt::format("{}", root_of(number.at(each.group)));
  drop_known(source);
  return {};
}

Result<void> write_pictures(const Source& source, const std::vector<std::size_t>& which, const std::string& pool) {
  const auto lists = by_original(source, which);
  std::set<std::string> folders;
  for (const std::size_t i : which) folders.insert(fs::path(pool + "/" + source.pictures[i].path).parent_path().string());
  for (const std::string& each : folders) SIGHTLINE_CHECK(make_directories(each));
  return parallel_for(lists.size(), [&](std::size_t k) -> Result<void> {
    const Picture& first = source.pictures[lists[k][0]];
    image::Image whole;
    if (first.box.width > 0 || !first.pixels.pixels.empty()) {
      SIGHTLINE_TRY(whole, picture_of(first));
    }
    for (const std::size_t i : lists[k]) {
      const Picture& picture = source.pictures[i];
      const std::string path = pool + "/" + picture.path;
      std::error_code code;
      if (whole.pixels.empty()) {
        fs::create_hard_link(picture.original, path, code);
        if (code) fs::copy_file(picture.original, path, fs::copy_options::overwrite_existing, code);
        if (code) return Error{ErrorKind::io, fmt::format("{}: {}", path, code.message())};
        continue;
      }
      const std::string bytes = image::encode_png(picture.box.width > 0 ? crop_of(whole, picture.box) : whole);
      std::ofstream file(path, std::ios::binary);
      file << bytes;
      if (!file.flush()) return Error{ErrorKind::io, path + ": cannot be written"};
    }
    return {};
  });
}

}  // namespace sightline::bench
