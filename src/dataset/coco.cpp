// COCO object detection: JSON files with images, annotations and categories, which refer to each other by id (cocodataset.org, "Data
// format"). Keys of other tasks (segmentation, keypoints, …) and of tools are kept as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "dataset/collection.h"
#include "dataset/file_index.h"
#include "dataset/importers.h"

namespace sightline::dataset {
namespace {

std::optional<std::int64_t> whole_number(const Json& json) {
  if (!json.is_number_integer()) return std::nullopt;
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return std::nullopt;
  return json.get<std::int64_t>();
}

std::optional<std::int64_t> whole_number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? std::nullopt : whole_number(*found);
}

std::optional<bool> flag_of(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  const auto number = whole_number(json);
  if (number && (*number == 0 || *number == 1)) return *number == 1;
  return std::nullopt;
}

std::optional<int> side_of(const Json& json) {
  const auto number = whole_number(json);
  if (!number || *number < 0 || *number > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(*number);
}

// "" when the value is four finite numbers.
std::string read_box(const Json& value, std::array<double, 4>& box) {
  if (!value.is_array() || value.size() != box.size()) return fmt::format("bbox is {}, not four numbers", json_text(value).substr(0, 60));
  for (std::size_t i = 0; i < box.size(); ++i) {
    if (!value[i].is_number()) return fmt::format("bbox holds {}, not a number", json_text(value[i]).substr(0, 60));
    box[i] = value[i].get<double>();
  }
  return "";
}

class CocoReader {
 public:
  CocoReader(const std::string& root, const std::vector<std::string>& files)
      : root_(root), files_(files), by_name_(files, FileIndex::By::name, true) {}

  Result<Collection> read(const std::vector<std::string>& tables) {
    collection_.format = BoxFormat::coco;
    for (const std::string& table : tables) SIGHTLINE_CHECK(read_table(table));
    sort_categories();
    return std::move(collection_);
  }

 private:
  void refuse(const std::string& file, const std::string& reason, const std::string& place, Loss loss) {
    collection_.refused.push_back({file, fmt::format("{} ({})", reason, place), loss});
  }

  std::string absolute(const std::string& table) const { return table.starts_with('/') ? table : root_ + "/" + table; }

  Result<void> read_table(const std::string& table) {
    const std::string path = absolute(table);
    SIGHTLINE_TRY(const std::string text, read_file(path));
    SIGHTLINE_TRY(const Json document, parse_json(text, path));
    const auto broken = [&](const std::string& what) { return Error{ErrorKind::invalid_data, fmt::format("{}: {}", path, what)}; };
    if (!document.is_object()) return broken("no COCO annotations: not an object");
    for (const char* key : {"images", "categories"})
      if (!document.contains(key) || !document[key].is_array()) return broken(fmt::format("no COCO annotations: no list \"{}\"", key));
    CollectedFile file{.path = table};
    for (const auto& [key, value] : document.items())
      if (key != "images" && key != "categories" && key != "annotations") file.extra.push_back({key, json_text(value)});
    SIGHTLINE_CHECK(read_categories(document["categories"], file));
    read_pictures(document["images"], table);
    if (const auto annotations = document.find("annotations"); annotations != document.end()) {
      if (!annotations->is_array()) return broken("\"annotations\" is not a list");
      read_annotations(*annotations, file);
    }
    collection_.files.push_back(std::move(file));
    return {};
  }

  Result<void> read_categories(const Json& list, CollectedFile& file) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Json& each = list[i];
      const auto broken = [&](const std::string& what) {
        return Error{ErrorKind::invalid_data, fmt::format("{}: /categories/{}: {}", absolute(file.path), i, what)};
      };
      if (!each.is_object()) return broken("not an object");
      CollectedCategory category{.id = whole_number(each, "id")};
      if (!category.id) return broken("no whole number \"id\"");
      if (!each.contains("name") || !each["name"].is_string() || each["name"].get<std::string>().empty()) return broken("no \"name\"");
      category.name = each["name"].get<std::string>();
      for (const auto& [key, value] : each.items())
        if (key != "id" && key != "name") category.extra.push_back({key, json_text(value)});
      const auto known = std::find_if(collection_.categories.begin(), collection_.categories.end(), [&](const CollectedCategory& other) {
        return other.id == category.id || other.name == category.name;
      });
      const auto number = static_cast<std::size_t>(known - collection_.categories.begin());
      if (known == collection_.categories.end()) {
        collection_.categories.push_back(std::move(category));
      } else if (std::find(file.categories.begin(), file.categories.end(), number) != file.categories.end()) {
        return broken(fmt::format("id {} or name \"{}\" stands twice", *category.id, category.name));
      } else if (known->id != category.id || known->name != category.name || known->extra != category.extra) {
        return broken(fmt::format("id {} is \"{}\" here, but another file says that id {} is \"{}\"{}", *category.id, category.name,
                                  *known->id, known->name, known->extra != category.extra ? ", with other keys" : ""));
      }
      file.categories.push_back(number);
    }
    return {};
  }

  void read_pictures(const Json& list, const std::string& table) {
    pictures_.clear();
    lost_.clear();
    Split split{};
    const bool told = split_of_words(table, split) || split_of_folders(table, split);
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Json& each = list[i];
      CollectedPicture picture{.label_file = table, .place = fmt::format("/images/{}", i)};
      const auto refuse_picture = [&](const std::string& why) {
        refuse(table, why, picture.place, Loss::picture);
        if (picture.id && !pictures_.contains(*picture.id)) lost_.insert(*picture.id);
      };
      if (!each.is_object()) {
        refuse_picture("not an object");
        continue;
      }
      picture.id = whole_number(each, "id");
      for (const auto& [key, value] : each.items()) {
        if (key == "file_name" && value.is_string()) {
          picture.name = value.get<std::string>();
        } else if (key == "width" && side_of(value)) {
          picture.width = side_of(value);
        } else if (key == "height" && side_of(value)) {
          picture.height = side_of(value);
        } else if (key != "id") {
          picture.extra.push_back({key, json_text(value)});
        }
      }
      if (told) picture.split = split;
      if (!picture.id) {
        refuse_picture("no whole number \"id\"");
      } else if (pictures_.contains(*picture.id)) {
        refuse_picture(fmt::format("the id {} stands twice", *picture.id));
      } else if (picture.name.empty()) {
        refuse_picture("no \"file_name\"");
      } else if (const std::string why = find_picture(picture); !why.empty()) {
        refuse_picture(why);
      } else if (const auto [first, added] = taken_.try_emplace(picture.path, table + picture.place); !added) {
        refuse_picture(fmt::format("{} stands before already, at {}", picture.path, first->second));
      } else {
        pictures_[*picture.id] = collection_.pictures.size();
        collection_.pictures.push_back(std::move(picture));
      }
    }
  }

  bool exists(const std::string& path) const { return std::binary_search(files_.begin(), files_.end(), path); }

  // Beside the JSON file, below the root or its folder of pictures; else wherever the name leads to one picture only.
  std::string find_picture(CollectedPicture& picture) const {
    const std::string_view folder = folder_of(picture.label_file);
    const std::string beside = folder.empty() ? picture.name : fmt::format("{}/{}", folder, picture.name);
    for (const std::string& path : {beside, picture.name, "images/" + picture.name}) {
      if (!exists(path)) continue;
      picture.path = path;
      return "";
    }
    std::vector<std::string_view> found = by_name_.find(file_name_of(picture.name), folder);
    if (picture.name.find('/') != std::string::npos)
      std::erase_if(found, [&](std::string_view path) { return !path.ends_with("/" + picture.name); });
    if (found.size() > 1 && picture.split) {  // train2017/1.jpg beside val2017/1.jpg
      std::erase_if(found, [&](std::string_view path) {
        Split split{};
        const std::string folder_name = std::string(file_name_of(folder_of(path)));
        return split_of_words(folder_name + ".", split) && split != *picture.split;
      });
    }
    if (found.empty()) return fmt::format("there is no picture {}", picture.name);
    if (found.size() > 1) return fmt::format("{} may be {} or {}", picture.name, found[0], found[1]);
    picture.path = found.front();
    return "";
  }

  void read_annotations(const Json& list, const CollectedFile& file) {
    std::map<std::int64_t, std::size_t> category_of;
    for (const std::size_t number : file.categories) category_of[*collection_.categories[number].id] = number;
    std::unordered_set<std::int64_t> ids;
    for (std::size_t i = 0; i < list.size(); ++i) {
      CollectedObject object{.place = fmt::format("/annotations/{}", i)};
      const Json& each = list[i];
      std::int64_t image_id = 0, category_id = 0;
      std::string why = each.is_object() ? read_annotation(each, object, image_id, category_id) : "not an object";
      const auto picture = pictures_.find(image_id);
      const auto category = category_of.find(category_id);
      if (why.empty() && object.id && !ids.insert(*object.id).second) why = fmt::format("the id {} stands twice", *object.id);
      if (why.empty() && picture == pictures_.end())
        why =
            lost_.contains(image_id) ? fmt::format("the image {} cannot be used", image_id) : fmt::format("there is no image {}", image_id);
      if (why.empty() && category == category_of.end()) why = fmt::format("there is no category {}", category_id);
      if (!why.empty()) {
        refuse(file.path, why, object.place, lost_.contains(image_id) ? Loss::none : Loss::object);
        continue;
      }
      object.category = category->second;
      collection_.pictures[picture->second].objects.push_back(std::move(object));
    }
  }

  // "" when it is an object, else why not.
  static std::string read_annotation(const Json& json, CollectedObject& object, std::int64_t& image_id, std::int64_t& category_id) {
    std::string why = "no \"bbox\"";
    object.id = whole_number(json, "id");
    for (const auto& [key, value] : json.items()) {
      if (key == "bbox") {
        why = read_box(value, object.box);
      } else if (key == "iscrowd" && flag_of(value)) {
        object.crowd = flag_of(value);
      } else if (key == "difficult" && flag_of(value)) {
        object.difficult = flag_of(value);
      } else if (key == "truncated" && flag_of(value)) {
        object.truncated = flag_of(value);
      } else if (key == "pose" && value.is_string()) {
        object.pose = value.get<std::string>();
      } else if (key != "image_id" && key != "category_id" && !(key == "id" && object.id)) {
        object.extra.push_back({key, json_text(value)});
      }
    }
    const auto image = whole_number(json, "image_id"), category = whole_number(json, "category_id");
    if (!image) return "no whole number \"image_id\"";
    if (!category) return "no whole number \"category_id\"";
    image_id = *image;
    category_id = *category;
    return why;
  }

  // Classes are in the order of their ids.
  void sort_categories() {
    std::vector<std::size_t> order(collection_.categories.size()), place(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return *collection_.categories[a].id < *collection_.categories[b].id; });
    std::vector<CollectedCategory> sorted;
    for (std::size_t i = 0; i < order.size(); ++i) {
      place[order[i]] = i;
      sorted.push_back(std::move(collection_.categories[order[i]]));
    }
    collection_.categories = std::move(sorted);
    for (CollectedFile& file : collection_.files)
      for (std::size_t& number : file.categories) number = place[number];
    for (CollectedPicture& picture : collection_.pictures)
      for (CollectedObject& object : picture.objects) object.category = place[object.category];
  }

  const std::string& root_;
  const std::vector<std::string>& files_;
  const FileIndex by_name_;
  Collection collection_;
  std::unordered_map<std::int64_t, std::size_t> pictures_;  // of the file that is being read: id, picture
  std::unordered_set<std::int64_t> lost_;                   // ids of its pictures that cannot be used
  std::map<std::string, std::string, std::less<>> taken_;   // picture: where it stands
};

// --- writing ---

Json number_json(double value) {
  constexpr double exact = 9007199254740992;  // whole numbers up to 2^53 are told apart
  if (value == std::floor(value) && std::abs(value) <= exact) return static_cast<std::int64_t>(value);
  return value;
}

void add_extras(Json& object, const std::vector<Extra>& extras) {
  for (const Extra& extra : extras) object[extra.key] = Json::parse(extra.text);  // as json_text wrote it
}

Json picture_json(const CollectedPicture& picture) {
  Json json = Json::object();
  add_extras(json, picture.extra);
  json["id"] = picture.id.value_or(0);
  json["file_name"] = picture.name;
  if (picture.width) json["width"] = *picture.width;
  if (picture.height) json["height"] = *picture.height;
  return json;
}

Json object_json(const Collection& collection, const CollectedPicture& picture, const CollectedObject& object) {
  Json json = Json::object();
  add_extras(json, object.extra);
  if (object.id) json["id"] = *object.id;
  json["image_id"] = picture.id.value_or(0);
  json["category_id"] = collection.categories[object.category].id.value_or(0);
  json["bbox"] = Json::array();
  for (const double number : object.box) json["bbox"].push_back(number_json(number));
  if (object.crowd) json["iscrowd"] = *object.crowd ? 1 : 0;
  if (object.difficult) json["difficult"] = *object.difficult ? 1 : 0;
  if (object.truncated) json["truncated"] = *object.truncated ? 1 : 0;
  if (object.pose) json["pose"] = *object.pose;
  return json;
}

// One element a line, so that two versions can be compared by eye.
void append_list(std::string& text, const char* key, std::vector<std::pair<std::int64_t, Json>> list) {
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  text += fmt::format("\"{}\": [", key);
  for (std::size_t i = 0; i < list.size(); ++i) text += (i == 0 ? "\n" : ",\n") + json_text(list[i].second);
  text += "\n]";
}

}  // namespace

Result<Collection> read_coco(const std::string& root, const std::vector<std::string>& files, const std::vector<std::string>& tables) {
  return CocoReader(root, files).read(tables);
}

std::vector<TextFile> write_coco(const Collection& collection) {
  std::vector<TextFile> files;
  for (const CollectedFile& file : collection.files) {
    std::vector<std::pair<std::int64_t, Json>> pictures, objects, categories;
    for (const CollectedPicture& picture : collection.pictures) {
      if (picture.label_file != file.path) continue;
      pictures.emplace_back(picture.id.value_or(0), picture_json(picture));
      for (const CollectedObject& object : picture.objects)
        objects.emplace_back(object.id.value_or(0), object_json(collection, picture, object));
    }
    for (const std::size_t number : file.categories) {
      const CollectedCategory& category = collection.categories[number];
      Json json = {{"id", category.id.value_or(0)}, {"name", category.name}};
      add_extras(json, category.extra);
      categories.emplace_back(category.id.value_or(0), std::move(json));
    }
    std::string text = "{\n";
    for (const Extra& extra : file.extra) text += fmt::format("{}: {},\n", json_text(Json(extra.key)), extra.text);
    append_list(text, "images", std::move(pictures));
    text += ",\n";
    append_list(text, "annotations", std::move(objects));
    text += ",\n";
    append_list(text, "categories", std::move(categories));
    files.push_back({file.path, text + "\n}\n"});
  }
  return files;
}

}  // namespace sightline::dataset
