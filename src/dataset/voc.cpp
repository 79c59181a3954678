// Pascal VOC: an XML file a picture, lists of names that say which picture is in which split. PASCAL VOC 2007 development kit, section on
// annotation; LabelImg and its relatives write the same elements.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "base/files.h"
#include "base/text.h"
#include "dataset/collection.h"
#include "dataset/file_index.h"
#include "dataset/importers.h"
#include "dataset/numbers.h"
#include "dataset/xml.h"

namespace sightline::dataset {
namespace {

std::optional<int> whole_number(const XmlElement* element) {
  int value = 0;
  if (element == nullptr || !read_number(element->text, value)) return std::nullopt;
  return value;
}

bool is_plain(const XmlElement& element) { return element.children.empty() && element.attributes.empty(); }

// Width and height, with depth or not, and nothing else; whatever else calls itself a size is kept as it is.
bool read_size(const XmlElement& element, CollectedPicture& picture) {
  CollectedPicture read;
  for (const XmlElement& child : element.children) {
    std::optional<int>* side = child.name == "width" ? &read.width : child.name == "height" ? &read.height : &read.depth;
    if ((side == &read.depth && child.name != "depth") || *side || !is_plain(child) || !whole_number(&child)) return false;
    *side = whole_number(&child);
  }
  if (!read.width || !read.height || !element.attributes.empty()) return false;
  picture.width = read.width;
  picture.height = read.height;
  picture.depth = read.depth;
  return true;
}

// "0" and "1" are understood; whatever else stands there is kept as it is.
std::optional<bool> flag_of(const XmlElement& element) {
  const bool plain = is_plain(element);
  if (plain && element.text == "0") return false;
  if (plain && element.text == "1") return true;
  return std::nullopt;
}

// Why the element is no object; "" when it is one.
std::string read_object(const XmlElement& element, CollectedObject& object, std::string& name) {
  constexpr std::array<const char*, 4> edges{"xmin", "ymin", "xmax", "ymax"};
  const XmlElement* box = nullptr;
  for (const XmlElement& child : element.children) {
    if (child.name == "name" && name.empty()) {
      name = child.text;
    } else if (child.name == "bndbox" && box == nullptr) {
      box = &child;
    } else if (child.name == "difficult" && !object.difficult && flag_of(child)) {
      object.difficult = flag_of(child);
    } else if (child.name == "truncated" && !object.truncated && flag_of(child)) {
      object.truncated = flag_of(child);
    } else if (child.name == "pose" && !object.pose && is_plain(child)) {
      object.pose = child.text;
    } else {
      object.extra.push_back({child.name, xml_text(child)});
    }
  }
  if (name.empty()) return "an object without a name";
  if (box == nullptr) return fmt::format("a {} without a bndbox", name);
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const XmlElement* edge = box->find(edges[i]);
    if (edge == nullptr) return fmt::format("a {} whose bndbox has no {}", name, edges[i]);
    if (!read_number(edge->text, object.box[i])) return fmt::format("a {} whose {} is \"{}\", not a number", name, edges[i], edge->text);
  }
  return "";
}

class VocReader {
 public:
  VocReader(const std::string& root, const std::vector<std::string>& files)
      : root_(root), files_(files), by_stem_(files, FileIndex::By::stem, true), by_name_(files, FileIndex::By::name, true) {}

  Result<Collection> read() {
    collection_.format = BoxFormat::voc;
    for (const std::string& file : files_)
      if (lower_case(file).ends_with(".xml")) SIGHTLINE_CHECK(read_annotation(file));
    sort_categories();
    SIGHTLINE_CHECK(read_lists());
    return std::move(collection_);
  }

 private:
  void refuse(const std::string& file, const std::string& reason, Loss loss) { collection_.refused.push_back({file, reason, loss}); }

  Result<void> read_annotation(const std::string& file) {
    SIGHTLINE_TRY(const std::string text, read_file(root_ + "/" + file));
    const auto document = parse_xml(text, file);
    if (!document.ok()) {
      refuse(file, document.error().message.substr(file.size() + 1), Loss::picture);  // "7: not valid XML"
      return {};
    }
    if (document->name != "annotation") {
      refuse(file, fmt::format("no VOC annotation: its root is <{}>, not <annotation>", document->name), Loss::picture);
      return {};
    }
    CollectedPicture picture{.label_file = file, .place = fmt::format("line {}", document->line)};
    std::vector<std::pair<std::string, CollectedObject>> objects;  // class, object
    for (const XmlElement& child : document->children) {
      if (child.name == "filename" && picture.name.empty() && is_plain(child)) {
        picture.name = child.text;
      } else if (child.name == "size" && !picture.width && read_size(child, picture)) {
        continue;
      } else if (child.name == "object") {
        auto& [name, object] = objects.emplace_back();
        object.place = fmt::format("line {}", child.line);
        const std::string why = read_object(child, object, name);
        if (why.empty()) continue;
        refuse(file, fmt::format("{} ({})", why, object.place), Loss::object);
        objects.pop_back();
      } else {
        picture.extra.push_back({child.name, xml_text(child)});
      }
    }
    if (!find_picture(file, picture)) return {};
    for (auto& [name, object] : objects) {
      object.category = category_.try_emplace(name, category_.size()).first->second;
      picture.objects.push_back(std::move(object));
    }
    collection_.pictures.push_back(std::move(picture));
    return {};
  }

  bool find_picture(const std::string& file, CollectedPicture& picture) {
    auto found = by_stem_.find(stem_of(file), folder_of(file));
    if (found.size() > 1) {  // x.jpg beside x.png: the annotation says which
      std::vector<std::string_view> named;
      for (const std::string_view path : found)
        if (file_name_of(path) == file_name_of(picture.name)) named.push_back(path);
      if (!named.empty()) found = std::move(named);
    }
    if (found.empty()) found = by_name_.find(file_name_of(picture.name), folder_of(file));
    if (found.empty()) {
      refuse(file, fmt::format("no picture: neither \"{}\" nor one called {}.* is there", picture.name, stem_of(file)), Loss::picture);
      return false;
    }
    if (found.size() > 1) {
      refuse(file, fmt::format("several pictures: {} and {}", found[0], found[1]), Loss::picture);
      return false;
    }
    picture.path = found.front();
    const auto [first, added] = taken_.try_emplace(picture.path, file);
    if (!added) refuse(file, fmt::format("{} has annotations already, in {}", picture.path, first->second), Loss::picture);
    return added;
  }

  // Classes are sorted by name: the format has no order of its own.
  void sort_categories() {
    std::vector<std::size_t> place(category_.size());
    for (const auto& [name, number] : category_) {
      place[number] = collection_.categories.size();
      collection_.categories.push_back({.name = name, .id = std::nullopt, .extra = {}});
    }
    for (CollectedPicture& picture : collection_.pictures)
      for (CollectedObject& object : picture.objects) object.category = place[object.category];
  }

  struct List {
    std::string file;
    std::string scope;  // annotations below this folder are meant
    std::string name;   // of the split
  };

  // ImageSets/Main where that is, else train.txt and its like beside or above the annotations.
  std::vector<List> find_lists() const {
    constexpr std::string_view main = "ImageSets/Main";
    std::vector<List> lists, standard;
    for (const std::string& file : files_) {
      Split split{};
      const std::string name = lower_case(stem_of(file));
      if (!lower_case(file).ends_with(".txt") || !(name == "trainval" || split_from(name, split))) continue;
      const std::string_view folder = folder_of(file);
      if (folder.ends_with(main) && (folder.size() == main.size() || folder[folder.size() - main.size() - 1] == '/')) {
        standard.push_back({file, std::string(folder.substr(0, folder.size() - main.size())), name});
      } else if (folder.find("ImageSets") == std::string_view::npos) {
        lists.push_back({file, folder.empty() ? "" : std::string(folder) + "/", name});
      }
    }
    std::vector<List>& chosen = standard.empty() ? lists : standard;
    // The union of train and validation says least, so it speaks first and the others correct it.
    std::stable_partition(chosen.begin(), chosen.end(), [](const List& list) { return list.name == "trainval"; });
    return chosen;
  }

  Result<void> read_lists() {
    const std::vector<List> lists = find_lists();
    for (CollectedPicture& picture : collection_.pictures) {
      Split split{};
      if (lists.empty() && split_of_folders(picture.label_file, split)) picture.split = split;
      picture.listed = lists.empty();
    }
    std::unordered_map<std::string_view, std::vector<std::size_t>> by_stem;
    for (std::size_t i = 0; i < collection_.pictures.size(); ++i) by_stem[stem_of(collection_.pictures[i].label_file)].push_back(i);
    std::map<std::size_t, std::string> told;  // picture: the list that said its split
    for (const List& list : lists) {
      SIGHTLINE_TRY(std::string text, read_file(root_ + "/" + list.file));
      std::size_t line_number = 0;
      for (const std::string& line : sightline::split(text, '\n')) {
        ++line_number;
        const std::string name = trim(line);
        if (name.empty()) continue;
        const std::string_view stem = has_image_extension(name) || lower_case(name).ends_with(".xml") ? stem_of(name) : file_name_of(name);
        const auto found = by_stem.find(stem);
        bool any = false;
        for (const std::size_t i : found == by_stem.end() ? std::vector<std::size_t>{} : found->second) {
          CollectedPicture& picture = collection_.pictures[i];
          if (!picture.label_file.starts_with(list.scope)) continue;
          any = true;
          Split split = Split::train;
          split_from(list.name, split);  // trainval: train
          const auto [before, first] = told.try_emplace(i, list.file);
          const bool refines = stem_of(before->second) == "trainval" && split != Split::test;
          if (!first && *picture.split != split && !refines) {
            refuse(list.file, fmt::format("{} is in {} already, and stays there (line {})", name, before->second, line_number),
                   Loss::picture);
            continue;
          }
          before->second = list.file;
          picture.listed = true;
          picture.split = split;
        }
        if (!any) refuse(list.file, fmt::format("no annotations of \"{}\" (line {})", name, line_number), Loss::picture);
      }
      collection_.lists.push_back({list.file, std::move(text)});
    }
    return {};
  }

  const std::string& root_;
  const std::vector<std::string>& files_;
  const FileIndex by_stem_, by_name_;
  Collection collection_;
  std::map<std::string, std::size_t> category_;
  std::map<std::string, std::string, std::less<>> taken_;  // picture: its annotations
};

void append(std::string& text, int tabs, std::string_view name, std::string_view value) {
  text.append(static_cast<std::size_t>(tabs), '\t');
  text += fmt::format("<{}>{}</{}>\n", name, escape_xml(value), name);
}

std::string annotation_text(const Collection& collection, const CollectedPicture& picture) {
  std::string text = "<annotation>\n";
  // What stands twice is understood the first time: a second size follows the first.
  const auto extras = [&](auto&& wanted) {
    for (const Extra& extra : picture.extra)
      if (wanted(extra.key)) text += "\t" + extra.text + "\n";
  };
  extras([](const std::string& key) { return key == "folder"; });
  if (!picture.name.empty()) append(text, 1, "filename", picture.name);
  extras([](const std::string& key) { return key != "folder" && key != "size"; });
  if (picture.width) {
    text += "\t<size>\n";
    append(text, 2, "width", std::to_string(*picture.width));
    if (picture.height) append(text, 2, "height", std::to_string(*picture.height));
    if (picture.depth) append(text, 2, "depth", std::to_string(*picture.depth));
    text += "\t</size>\n";
  }
  extras([](const std::string& key) { return key == "size"; });
  for (const CollectedObject& object : picture.objects) {
    text += "\t<object>\n";
    append(text, 2, "name", collection.categories[object.category].name);
    if (object.pose) append(text, 2, "pose", *object.pose);
    if (object.truncated) append(text, 2, "truncated", *object.truncated ? "1" : "0");
    if (object.difficult) append(text, 2, "difficult", *object.difficult ? "1" : "0");
    text += "\t\t<bndbox>\n";
    append(text, 3, "xmin", number_text(object.box[0]));
    append(text, 3, "ymin", number_text(object.box[1]));
    append(text, 3, "xmax", number_text(object.box[2]));
    append(text, 3, "ymax", number_text(object.box[3]));
    text += "\t\t</bndbox>\n";
    for (const Extra& extra : object.extra) text += "\t\t" + extra.text + "\n";
    text += "\t</object>\n";
  }
  return text + "</annotation>\n";
}

}  // namespace

Result<Collection> read_voc(const std::string& root, const std::vector<std::string>& files) { return VocReader(root, files).read(); }

std::vector<TextFile> write_voc(const Collection& collection) {
  std::vector<TextFile> files = collection.lists;
  for (const CollectedPicture& picture : collection.pictures) files.push_back({picture.label_file, annotation_text(collection, picture)});
  return files;
}

}  // namespace sightline::dataset
