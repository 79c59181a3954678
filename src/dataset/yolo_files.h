// Which files of a folder are YOLO's. Internal to this folder.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace sightline::dataset {

bool is_yaml(const std::string& file);

// The file that names the classes: a .yaml with the key "names", at most one folder deep, else classes.txt, obj.names and their like; ""
// for none.
std::string find_yolo_names(const std::string& root, const std::vector<std::string>& files);

// Text files of labels: those below a folder called labels, else those that are called as a picture beside them.
class YoloLabels {
 public:
  explicit YoloLabels(const std::vector<std::string>& files);

  const std::set<std::string>& all() const { return labels_; }
  // For images/a/x.jpg: labels/a/x.txt; else x.txt beside it; else the only one of that name, when the picture is the only one too. "" for
  // none.
  std::string of(const std::string& picture) const;

 private:
  std::set<std::string> labels_;
  std::unordered_map<std::string, std::vector<std::string>> by_stem_;
  std::unordered_map<std::string, std::size_t> pictures_;  // how many there are of a stem
};

}  // namespace sightline::dataset
