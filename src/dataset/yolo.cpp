// YOLO: a text file a picture, a line an object: the number of its class and its box as shares of the picture's sides, or an outline; names
// in data.yaml (Ultralytics) or a list such as classes.txt (Darknet, LabelImg).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "base/yaml.h"
#include "dataset/collection.h"
#include "dataset/file_index.h"
#include "dataset/importers.h"
#include "dataset/numbers.h"
#include "dataset/yolo_files.h"

namespace sightline::dataset {
namespace {

constexpr std::array<std::pair<const char*, Split>, 3> split_keys{
    {{"train", Split::train}, {"val", Split::validation}, {"test", Split::test}}};

std::string word_text(const std::string& word, bool quoted = false) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-";
  const bool as_it_is =
      !quoted && !word.empty() && word.front() != '-' && !word.starts_with("...") && word.find_first_not_of(plain) == std::string::npos;
  return as_it_is ? word : json_text(Json(word));  // JSON's strings are YAML's
}

// YAML on one line.
std::string flow_text(const YamlNode& node) {
  std::vector<std::string> parts;
  switch (node.kind) {
    case YamlNode::Kind::null: return "null";
    case YamlNode::Kind::scalar: return word_text(node.scalar, node.quoted);
    case YamlNode::Kind::list:
      for (const YamlNode& item : node.items) parts.push_back(flow_text(item));
      return "[" + join(parts, ", ") + "]";
    case YamlNode::Kind::map: break;
  }
  for (const auto& [key, value] : node.entries) parts.push_back(word_text(key) + ": " + flow_text(value));
  return "{" + join(parts, ", ") + "}";
}

// YAML's keys end within 1,024 characters, and one that is quoted may need six for a byte.
constexpr std::size_t longest_key = 160;
bool keys_fit(const YamlNode& node) {
  return std::all_of(node.items.begin(), node.items.end(), keys_fit) &&
         std::all_of(node.entries.begin(), node.entries.end(),
                     [](const auto& entry) { return entry.first.size() <= longest_key && keys_fit(entry.second); });
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  constexpr std::string_view blanks = " \t\r\v\f";
  for (std::size_t begin = line.find_first_not_of(blanks); begin != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(blanks, begin), line.size());
    words.emplace_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(blanks, end);
  }
  return words;
}

class YoloReader {
 public:
  YoloReader(const std::string& root, const std::vector<std::string>& files) : root_(root), files_(files), labels_(files) {}

  Result<Collection> read() {
    collection_.format = BoxFormat::yolo;
    SIGHTLINE_CHECK(read_names());
    SIGHTLINE_CHECK(read_splits());
    for (const std::string& file : files_) {
      if (!has_image_extension(file)) continue;
      CollectedPicture picture{.path = file, .label_file = labels_.of(file)};
      assign_split(picture);
      if (picture.label_file.empty()) {
        // A picture without objects needs no file; but who has lost one must hear of it.
        refuse(file, "no label file: it counts as a picture without objects", Loss::none);
      } else if (const auto [first, added] = owner_.try_emplace(picture.label_file, file); !added) {
        refuse(file, fmt::format("its label file {} is that of {}", picture.label_file, first->second), Loss::picture);
        continue;
      } else {
        SIGHTLINE_CHECK(read_labels(picture));
      }
      collection_.pictures.push_back(std::move(picture));
    }
    for (const std::string& file : labels_.all())
      if (!owner_.contains(file)) refuse(file, "labels without a picture", Loss::picture);
    return std::move(collection_);
  }

 private:
  void refuse(const std::string& file, const std::string& reason, Loss loss) { collection_.refused.push_back({file, reason, loss}); }

  Result<void> read_names() {
    const std::string table = find_yolo_names(root_, files_);
    if (table.empty())
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: nothing names the classes: neither a data.yaml with \"names\" nor a classes.txt is there", root_)};
    CollectedFile file{.path = table};
    SIGHTLINE_TRY(std::string text, read_file(root_ + "/" + table));
    text = as_utf8(text);  // before it is read: keys that differ in a stray byte alone are the same in what is written
    std::vector<std::string> names;
    if (is_yaml(table)) {
      SIGHTLINE_TRY(const YamlNode document, parse_yaml(text, root_ + "/" + table));
      if (!keys_fit(document)) return document.error(fmt::format("a key is longer than {} bytes", longest_key));
      SIGHTLINE_TRY(names, names_of(*document.find("names")));
      for (const auto& [key, value] : document.entries)
        if (key != "names") file.extra.push_back({key, flow_text(value)});
      SIGHTLINE_CHECK(read_key_points(document));
      for (std::size_t i = 0; i < split_keys.size(); ++i)
        if (const YamlNode* node = document.find(split_keys[i].first)) split_nodes_[i] = *node;
    } else {
      for (const std::string& line : sightline::split(text, '\n'))
        if (std::string name = trim(line); !name.empty()) names.push_back(std::move(name));
    }
    std::set<std::string> seen;
    for (std::string& name : names) {
      if (!seen.insert(name).second)
        return Error{ErrorKind::invalid_data, fmt::format("{}/{}: the name \"{}\" stands twice", root_, table, name)};
      file.categories.push_back(collection_.categories.size());
      collection_.categories.push_back({.name = std::move(name), .id = std::nullopt, .extra = {}});
    }
    if (collection_.categories.empty()) return Error{ErrorKind::invalid_data, fmt::format("{}/{}: it names no class", root_, table)};
    collection_.files.push_back(std::move(file));
    return {};
  }

  static Result<std::vector<std::string>> names_of(const YamlNode& node) {
    std::vector<std::string> names;
    if (node.kind == YamlNode::Kind::map) {
      std::map<std::size_t, std::string> numbered;
      for (const auto& [key, value] : node.entries) {
        std::size_t number = 0;
        if (!read_number(key, number) || value.kind != YamlNode::Kind::scalar)
          return node.error("names must be a list, or number: name for each class");
        numbered[number] = value.scalar;
      }
      for (auto& [number, name] : numbered) {
        if (number != names.size()) return node.error(fmt::format("names has no name for class {}", names.size()));
        names.push_back(std::move(name));
      }
    } else {
      SIGHTLINE_CHECK(read_yaml(node, names));
    }
    return names;
  }

  // kpt_shape: [points, numbers a point] says that key points follow the box.
  Result<void> read_key_points(const YamlNode& document) {
    const YamlNode* shape = document.find("kpt_shape");
    if (shape == nullptr) return {};
    std::vector<int> sizes;
    SIGHTLINE_CHECK(read_yaml(*shape, sizes));
    if (sizes.size() != 2 || sizes[0] < 1 || sizes[0] > 10000 || (sizes[1] != 2 && sizes[1] != 3))
      return shape->error("kpt_shape must be [points, 2 or 3]");
    key_point_numbers_ = static_cast<std::size_t>(sizes[0]) * static_cast<std::size_t>(sizes[1]);
    return {};
  }

  // A value of train, val or test as the listing has it: paths often begin outside of the folder ("../train/images", "/content/set/train").
  std::string place_of(std::string value) const {
    while (!value.empty() && value.ends_with('/')) value.pop_back();
    for (std::size_t begin = 0; begin <= value.size();) {
      const std::string part = value.substr(begin);
      const auto file = std::lower_bound(files_.begin(), files_.end(), part);
      if (!part.empty() && file != files_.end() && *file == part) return part;
      const auto inside = std::lower_bound(files_.begin(), files_.end(), part + "/");
      if (!part.empty() && inside != files_.end() && inside->starts_with(part + "/")) return part + "/";
      const std::size_t slash = value.find('/', begin);
      if (slash == std::string::npos) break;
      begin = slash + 1;
    }
    return "";
  }

  Result<void> read_splits() {
    for (std::size_t i = 0; i < split_keys.size(); ++i) {
      if (!split_nodes_[i] || split_nodes_[i]->kind == YamlNode::Kind::null) continue;
      std::vector<std::string> values;
      SIGHTLINE_CHECK(read_yaml(*split_nodes_[i], values));
      const std::string& table = collection_.files.front().path;
      for (const std::string& value : values) {
        if (value.empty()) continue;
        const std::string place = place_of(value);
        const std::string where = fmt::format("{} (line {})", split_keys[i].first, split_nodes_[i]->line);
        if (place.empty()) {
          refuse(table, fmt::format("{}: there is no {}", where, value), Loss::none);
        } else if (!place.ends_with('/') && (!place.ends_with(".txt") || labels_.all().contains(place))) {
          refuse(table, fmt::format("{}: {} is neither a folder nor a list of pictures", where, place), Loss::none);
        } else if (const auto [first, added] = places_.try_emplace(place, i); !added && first->second != i) {
          refuse(table, fmt::format("{}: {} is {} already, and stays so", where, place, split_keys[first->second].first), Loss::none);
        } else if (!place.ends_with('/')) {
          SIGHTLINE_CHECK(read_list(place, i));
        }
      }
    }
    return {};
  }

  // A file with a picture's path a line.
  Result<void> read_list(const std::string& list, std::size_t key) {
    SIGHTLINE_TRY(std::string text, read_file(root_ + "/" + list));
    std::size_t line_number = 0;
    for (const std::string& line : sightline::split(text, '\n')) {
      ++line_number;
      std::string name = trim(line);
      if (name.empty()) continue;
      if (name.starts_with("./")) name.erase(0, 2);
      const std::string beside = folder_of(list).empty() ? name : fmt::format("{}/{}", folder_of(list), name);
      const std::string path = std::binary_search(files_.begin(), files_.end(), beside) ? beside : place_of(name);
      if (path.empty() || path.ends_with('/')) {
        refuse(list, fmt::format("there is no picture {} (line {})", name, line_number), Loss::picture);
      } else if (const auto [first, added] = listed_.try_emplace(path, key); !added && first->second != key) {
        refuse(list, fmt::format("{} is {} already, and stays so (line {})", path, split_keys[first->second].first, line_number),
               Loss::picture);
      }
    }
    collection_.lists.push_back({list, std::move(text)});
    return {};
  }

  void assign_split(CollectedPicture& picture) const {
    if (places_.empty()) {
      Split split{};
      if (split_of_folders(picture.path, split)) picture.split = split;
      return;
    }
    if (const auto found = listed_.find(picture.path); found != listed_.end()) {
      picture.split = split_keys[found->second].second;
      return;
    }
    std::size_t longest = 0;
    for (const auto& [place, key] : places_) {
      if (!place.ends_with('/') || !picture.path.starts_with(place) || place.size() < longest) continue;
      longest = place.size();
      picture.split = split_keys[key].second;
    }
    picture.listed = longest > 0;
  }

  Result<void> read_labels(CollectedPicture& picture) {
    SIGHTLINE_TRY(const std::string text, read_file(root_ + "/" + picture.label_file));
    std::size_t line_number = 0;
    for (const std::string& line : sightline::split(text, '\n')) {
      ++line_number;
      CollectedObject object{.place = fmt::format("line {}", line_number)};
      const std::vector<std::string> words = words_of(line);
      if (words.empty()) continue;
      const std::string why = read_object(words, object);
      if (why.empty()) {
        picture.objects.push_back(std::move(object));
      } else {
        refuse(picture.label_file, fmt::format("{} ({})", why, object.place), Loss::object);
      }
    }
    return {};
  }

  // "" when the words are an object.
  std::string read_object(const std::vector<std::string>& words, CollectedObject& object) const {
    if (!read_number(words[0], object.category)) return fmt::format("\"{}\" is no class number", words[0].substr(0, 40));
    if (object.category >= collection_.categories.size())
      return fmt::format("there is no class {}: {} names {}", words[0], collection_.files.front().path,
                         plural(collection_.categories.size(), "class"));
    std::vector<double> numbers(words.size() - 1);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (!read_number(words[i + 1], numbers[i])) return fmt::format("\"{}\" is not a number", words[i + 1].substr(0, 40));
    const std::size_t count = numbers.size();
    if (count == 4 || (key_point_numbers_ > 0 && count == 4 + key_point_numbers_)) {
      std::copy_n(numbers.begin(), 4, object.box.begin());
      std::vector<std::string> tail;
      for (std::size_t i = 4; i < count; ++i) tail.push_back(number_text(numbers[i]));
      if (!tail.empty()) object.extra.push_back({"keypoints", join(tail, " ")});
      return "";
    }
    if (count == 5) return "five numbers: a box with a confidence is a prediction, not a label";
    if (count < 6 || count % 2 != 0)
      return fmt::format("{}; a box has four, an outline x and y of three points or more", plural(count, "number"));
    double left = numbers[0], right = left, top = numbers[1], bottom = top;
    for (std::size_t i = 0; i < count; i += 2) {
      left = std::min(left, numbers[i]);
      right = std::max(right, numbers[i]);
      top = std::min(top, numbers[i + 1]);
      bottom = std::max(bottom, numbers[i + 1]);
    }
    object.box = {(left + right) / 2, (top + bottom) / 2, right - left, bottom - top};
    object.outline = std::move(numbers);
    return "";
  }

  const std::string& root_;
  const std::vector<std::string>& files_;
  const YoloLabels labels_;
  Collection collection_;
  std::size_t key_point_numbers_ = 0;
  std::array<std::optional<YamlNode>, split_keys.size()> split_nodes_;
  std::map<std::string, std::size_t> places_;               // folder/ or list of the split: which key
  std::map<std::string, std::size_t, std::less<>> listed_;  // picture: which key
  std::map<std::string, std::string, std::less<>> owner_;   // label file: picture
};

std::string labels_text(const CollectedPicture& picture) {
  std::string text;
  for (const CollectedObject& object : picture.objects) {
    text += std::to_string(object.category);
    const auto add = [&](double number) { text += " " + number_text(number); };
    if (object.outline.empty()) {
      std::for_each(object.box.begin(), object.box.end(), add);
    } else {
      std::for_each(object.outline.begin(), object.outline.end(), add);
    }
    for (const Extra& extra : object.extra)
      if (extra.key == "keypoints") text += " " + extra.text;
    text += "\n";
  }
  return text;
}

std::string names_text(const Collection& collection, const CollectedFile& file) {
  std::string text;
  if (!is_yaml(file.path)) {
    for (const CollectedCategory& category : collection.categories) text += category.name + "\n";
    return text;
  }
  for (const Extra& extra : file.extra) text += fmt::format("{}: {}\n", word_text(extra.key), extra.text);
  text += "names:\n";
  for (std::size_t i = 0; i < collection.categories.size(); ++i)
    text += fmt::format("  {}: {}\n", i, json_text(Json(collection.categories[i].name)));
  return text;
}

}  // namespace

Result<Collection> read_yolo(const std::string& root, const std::vector<std::string>& files) { return YoloReader(root, files).read(); }

std::vector<TextFile> write_yolo(const Collection& collection) {
  std::vector<TextFile> files;
  for (const CollectedFile& file : collection.files) files.push_back({file.path, names_text(collection, file)});
  files.insert(files.end(), collection.lists.begin(), collection.lists.end());
  for (const CollectedPicture& picture : collection.pictures)
    if (!picture.label_file.empty()) files.push_back({picture.label_file, labels_text(picture)});
  return files;
}

}  // namespace sightline::dataset
