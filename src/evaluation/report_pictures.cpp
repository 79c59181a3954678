#include "evaluation/report_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/base64.h"
#include "base/parallel.h"
#include "evaluation/report_html.h"
#include "image/image.h"

namespace sightline::evaluation {

namespace {

constexpr int kSmall = 64;                  // up to this side a picture is kept as it is, and shown pixel by pixel
constexpr int kLargest = 160;               // larger ones are reduced to this side
constexpr int kDrawn = 420;                 // likewise, of pictures that something is drawn onto
constexpr std::size_t kBudget = 2'500'000;  // characters of all data URIs

}  // namespace

void Pictures::want(const std::string& path) {
  if (pictures_.emplace(path, Picture{}).second) order_.push_back(path);
}

void Pictures::want_drawn(const std::string& key, const std::string& path, std::function<void(image::Image&)> change) {
  want(key);
  drawn_[key] = {path, std::move(change)};
}

Result<void> Pictures::load(const std::string& root) {
  const dataset::SampleReader reader(root);
  std::vector<Picture> loaded(order_.size());
  const auto load_one = [&](std::size_t i) -> Result<void> {
    Picture& picture = loaded[i];
    image::DecodeOptions options;
    const auto drawn = drawn_.find(order_[i]);
    const bool is_drawn = drawn != drawn_.end();
    if (!is_drawn) options.jpeg_min_side = 2 * kLargest;
    auto read = reader.read(is_drawn ? drawn->second.path : order_[i], options);
    if (!read.ok() || read->width <= 0 || read->height <= 0) {
      if (!read.ok() && read.error().kind == ErrorKind::interrupted) return read.error();
      picture.problem = "no longer readable";
      return {};
    }
    image::Image shown = *std::move(read);
    const int side = std::max(shown.width, shown.height), largest = is_drawn ? kDrawn : kLargest;
    if (is_drawn) drawn->second.change(shown);
    picture.small = side <= kSmall;
    if (side > largest) {
      const double factor = static_cast<double>(largest) / side;
      shown = image::resize(shown, std::max(1, static_cast<int>(std::lround(shown.width * factor))),
                            std::max(1, static_cast<int>(std::lround(shown.height * factor))));
    }
    picture.width = shown.width;
    picture.height = shown.height;
    picture.data = picture.small ? "data:image/png;base64," + base64(image::encode_png(shown))
                                 : "data:image/jpeg;base64," + base64(image::encode_jpeg(shown, 82));
    return {};
  };
  SIGHTLINE_CHECK(parallel_for(order_.size(), load_one));
  std::size_t used = 0;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    used += loaded[i].data.size();
    if (used > kBudget) {
      loaded[i].data.clear();
      loaded[i].problem = "left out to keep this page small";
    }
    pictures_[order_[i]] = std::move(loaded[i]);
  }
  return {};
}

std::string Pictures::html(const std::string& path, const std::string& alt) const {
  const auto found = pictures_.find(path);
  if (found == pictures_.end() || found->second.data.empty()) {
    return fmt::format("<div class=\"picture missing\">{}</div>",
                       found == pictures_.end() || found->second.problem.empty() ? "not shown" : found->second.problem);
  }
  const Picture& picture = found->second;
  return fmt::format("<img class=\"picture{}\" width=\"{}\" height=\"{}\" alt=\"{}\" src=\"{}\">", picture.small ? " pixels" : "",
                     picture.width, picture.height, html_text(alt), picture.data);
}

}  // namespace sightline::evaluation
