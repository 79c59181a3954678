#include "dataset/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <span>
#include <tuple>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "dataset/file_index.h"
#include "image/image.h"

namespace sightline::dataset {
namespace {

// Names of the splits in each format's files.
constexpr std::array<const char*, 3> split_names{"train", "val", "test"};

bool has_size(const CollectedPicture& picture) { return picture.width.value_or(0) > 0 && picture.height.value_or(0) > 0; }

class Converter {
 public:
  Converter(Collection from, BoxFormat to) : from_(std::move(from)), to_(to) {}

  Conversion run() {
    out_.collection.format = to_;
    out_.collection.refused = std::move(from_.refused);
    splits_ = std::any_of(from_.pictures.begin(), from_.pictures.end(), [](const CollectedPicture& p) { return p.split.has_value(); });
    std::sort(from_.pictures.begin(), from_.pictures.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    categories();
    for (CollectedPicture& picture : from_.pictures) {
      if (!picture.listed) {
        lose("in none of the splits", "picture", true);
        continue;
      }
      add(std::move(picture));
    }
    files();
    say_losses();
    return std::move(out_);
  }

 private:
  // "WHAT of 3 pictures"; with behind "3 pictures WHAT".
  void lose(const std::string& what, const std::string& of, bool behind = false) { ++lost_[{of, what, behind}]; }

  void say_losses() {
    for (const auto& [key, count] : lost_) {
      const auto& [of, what, behind] = key;
      out_.losses.push_back(behind ? fmt::format("{} {}", plural(count, of), what) : fmt::format("{} of {}", what, plural(count, of)));
    }
  }

  void lose_extras(const std::vector<Extra>& extras, const char* of) {
    for (const Extra& extra : extras) lose(fmt::format("\"{}\"", extra.key), of);
  }

  void categories() {
    std::set<std::size_t> used;
    for (const CollectedPicture& picture : from_.pictures)
      for (const CollectedObject& object : picture.objects) used.insert(object.category);
    for (std::size_t i = 0; i < from_.categories.size(); ++i) {
      CollectedCategory category{.name = from_.categories[i].name, .id = std::nullopt, .extra = {}};
      if (to_ == BoxFormat::coco) category.id = static_cast<std::int64_t>(i) + 1;
      if (from_.format == BoxFormat::coco) lose("the id", "class");
      if (to_ == BoxFormat::voc && !used.contains(i)) lose("without any object", "class", true);
      lose_extras(from_.categories[i].extra, "class");
      out_.collection.categories.push_back(std::move(category));
    }
    for (const CollectedFile& file : from_.files) {
      static const std::set<std::string> rewritten{"path", "train", "val", "test", "nc"};
      for (const Extra& extra : file.extra)
        if (from_.format != BoxFormat::yolo || !rewritten.contains(extra.key)) lose(fmt::format("\"{}\"", extra.key), "file");
    }
  }

  // The file's name, or its whole path where that name is taken: a/1.jpg and b/1.jpg.
  std::string name_for(const std::string& path) {
    std::string name(file_name_of(path));
    if (!stems_.insert(std::string(stem_of(name))).second) {
      name = path;
      std::replace(name.begin(), name.end(), '/', '_');
      while (!stems_.insert(std::string(stem_of(name))).second) name = "_" + name;
    }
    return name;
  }

  void add(CollectedPicture&& from) {
    const char* split = split_names[static_cast<std::size_t>(from.split.value_or(Split::train))];
    const std::string name = name_for(from.path), stem(stem_of(name));
    CollectedPicture picture{.name = name, .split = from.split};
    picture.width = from.width;
    picture.height = from.height;
    switch (to_) {
      case BoxFormat::coco:
        picture.path = "images/" + name;
        picture.label_file = splits_ ? fmt::format("annotations/instances_{}.json", split) : "annotations/instances.json";
        picture.id = static_cast<std::int64_t>(out_.collection.pictures.size()) + 1;
        break;
      case BoxFormat::yolo:
        picture.path = splits_ ? fmt::format("images/{}/{}", split, name) : "images/" + name;
        picture.label_file = splits_ ? fmt::format("labels/{}/{}.txt", split, stem) : fmt::format("labels/{}.txt", stem);
        break;
      case BoxFormat::voc:
        picture.path = "JPEGImages/" + name;
        picture.label_file = fmt::format("Annotations/{}.xml", stem);
        picture.depth = from.depth.value_or(3);
        break;
    }
    if (from.id) lose("the id", "picture");
    if (!from.name.empty() && from.name != name) lose("the name that the annotations use", "picture");
    lose_extras(from.extra, "picture");
    for (CollectedObject& object : from.objects) picture.objects.push_back(converted(std::move(object), from));
    out_.pictures.emplace_back(from.path, picture.path);
    out_.collection.pictures.push_back(std::move(picture));
  }

  CollectedObject converted(CollectedObject&& from, const CollectedPicture& picture) {
    CollectedObject object{.category = from.category};
    const annotation::Box edges = edges_of(from_.format, from.box, *picture.width, *picture.height);
    object.box = box_of(to_, edges, *picture.width, *picture.height);
    const bool plain = to_ == BoxFormat::yolo;  // a class and a box, and that is all
    if (from.id) lose("the id", "object");
    if (from.crowd.value_or(false) && to_ != BoxFormat::coco) lose("the mark of a crowd", "object");
    if (from.difficult.value_or(false) && plain) lose("the mark \"difficult\"", "object");
    if (from.truncated.value_or(false) && plain) lose("the mark \"truncated\"", "object");
    if (from.pose && *from.pose != "Unspecified" && plain) lose("the pose", "object");
    if (!plain) {
      object.difficult = from.difficult;
      object.truncated = from.truncated;
      object.pose = from.pose;
    }
    if (to_ == BoxFormat::coco) {
      object.id = ++last_object_;
      object.crowd = from.crowd.value_or(false);
      object.extra.push_back({"area", number_text(edges.area())});
      if (!from.outline.empty()) object.extra.push_back({"segmentation", outline_json(from.outline, *picture.width, *picture.height)});
    } else if (!from.outline.empty()) {
      lose("the outline", "object");
    }
    if (to_ == BoxFormat::voc) {  // what its tools expect to be there
      if (!object.pose) object.pose = "Unspecified";
      if (!object.truncated) object.truncated = false;
      if (!object.difficult) object.difficult = false;
      if (std::any_of(object.box.begin(), object.box.end(), [](double edge) { return edge != std::floor(edge); })) fractions_ = true;
    }
    for (const Extra& extra : from.extra)
      if (extra.key != "area") lose(fmt::format("\"{}\"", extra.key), "object");
    return object;
  }

  static std::string outline_json(const std::vector<double>& outline, int width, int height) {
    Json points = Json::array();
    for (std::size_t i = 0; i < outline.size(); ++i) points.push_back(outline[i] * (i % 2 == 0 ? width : height));
    return json_text(Json::array({points}));
  }

  void files() {
    std::vector<std::size_t> all(out_.collection.categories.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    std::map<Split, std::string> names;  // of pictures, a line each, by split
    std::set<std::string> tables;
    for (const CollectedPicture& picture : out_.collection.pictures) {
      names[picture.split.value_or(Split::train)] += std::string(stem_of(picture.path)) + "\n";
      tables.insert(picture.label_file);
    }
    if (to_ == BoxFormat::coco) {
      for (const std::string& table : tables) out_.collection.files.push_back({.path = table, .extra = {}, .categories = all});
    } else if (to_ == BoxFormat::yolo) {
      CollectedFile file{.path = "data.yaml", .extra = {}, .categories = all};
      if (!splits_) file.extra.push_back({"train", "images"});
      for (const auto& [split, list] : names) {
        const char* name = split_names[static_cast<std::size_t>(split)];
        if (splits_) file.extra.push_back({name, fmt::format("images/{}", name)});
      }
      out_.collection.files.push_back(std::move(file));
    } else if (splits_) {
      for (auto& [split, list] : names)
        out_.collection.lists.push_back(
            {fmt::format("ImageSets/Main/{}.txt", split_names[static_cast<std::size_t>(split)]), std::move(list)});
    }
    if (fractions_) out_.remarks.emplace_back("boxes have fractions of pixels, which some readers of VOC do not take");
  }

  Collection from_;
  const BoxFormat to_;
  Conversion out_;
  bool splits_ = false, fractions_ = false;
  std::int64_t last_object_ = 0;
  std::set<std::string> stems_;
  std::map<std::tuple<std::string, std::string, bool>, std::uint64_t> lost_;
};

}  // namespace

void settle_sizes(Collection& collection, const std::string& root) {
  std::erase_if(collection.pictures, [&](CollectedPicture& picture) {
    if (has_size(picture)) return false;
    const auto bytes = read_file(root + "/" + picture.path);
    const auto header = bytes.ok() ? image::read_header(std::as_bytes(std::span(*bytes))) : Result<image::Header>(bytes.error());
    if (!header.ok()) {
      collection.refused.push_back({picture.path, header.error().message, Loss::picture});
      return true;
    }
    picture.width = header->width;
    picture.height = header->height;
    if (!picture.depth) picture.depth = header->channels;
    return false;
  });
}

Conversion convert(Collection collection, BoxFormat to) {
  if (collection.format != to) return Converter(std::move(collection), to).run();
  Conversion same;
  for (CollectedFile& file : collection.files) {
    if (!file.path.starts_with('/')) continue;
    std::string inside(file_name_of(file.path));
    for (CollectedPicture& picture : collection.pictures)
      if (picture.label_file == file.path) picture.label_file = inside;
    file.path = std::move(inside);
  }
  for (const CollectedPicture& picture : collection.pictures) same.pictures.emplace_back(picture.path, picture.path);
  same.collection = std::move(collection);
  return same;
}

std::vector<TextFile> write_collection(const Collection& collection) {
  switch (collection.format) {
    case BoxFormat::coco: return write_coco(collection);
    case BoxFormat::yolo: return write_yolo(collection);
    case BoxFormat::voc: break;
  }
  return write_voc(collection);
}

}  // namespace sightline::dataset
