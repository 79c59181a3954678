// Thumbnails of samples as data URIs: read once each, in parallel, within a budget of bytes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dataset/manifest.h"
#include "image/image.h"

namespace sightline::evaluation {

class Pictures {
 public:
  // Asks for a sample; those asked for first are shown first when the budget runs out.
  void want(const std::string& path);
  // Asks for a larger picture of a sample with something drawn onto it (change; from any thread), shown under the name `key`.
  void want_drawn(const std::string& key, const std::string& path, std::function<void(image::Image&)> change);
  // Reads what was asked for. A sample that no longer reads is shown as such; only interrupted is an error.
  Result<void> load(const std::string& root);
  // An <img>, or a box that says why there is none. `alt` is plain text.
  std::string html(const std::string& path, const std::string& alt) const;

 private:
  struct Picture {
    std::string data;  // data URI, or ""
    int width = 0, height = 0;
    bool small = false;  // shown pixel by pixel
    std::string problem;
  };
  struct Wanted {
    std::string path;
    std::function<void(image::Image&)> change;
  };
  std::map<std::string, Wanted> drawn_;
  std::vector<std::string> order_;
  std::map<std::string, Picture> pictures_;
};

}  // namespace sightline::evaluation
