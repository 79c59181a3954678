// Sizes and channels.
#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "image/opencv.h"

namespace sightline::image {
namespace {

int scaled(int length, double scale) { return std::max(1, static_cast<int>(std::lround(length * scale))); }

// The part of the source that is shown, and the part of the result that shows it.
struct Places {
  cv::Rect from, to;
};
Places places_of(int source_width, int source_height, int width, int height, Fit fit) {
  Places places{{0, 0, source_width, source_height}, {0, 0, width, height}};
  const double across = static_cast<double>(width) / source_width, down = static_cast<double>(height) / source_height;
  if (fit == Fit::fit) {
    const double scale = std::min(across, down);
    const int inner_width = std::min(width, scaled(source_width, scale)), inner_height = std::min(height, scaled(source_height, scale));
    places.to = {(width - inner_width) / 2, (height - inner_height) / 2, inner_width, inner_height};
  } else if (fit == Fit::crop) {
    const double scale = std::max(across, down);
    const int cut_width = std::min(source_width, scaled(width, 1 / scale)), cut_height = std::min(source_height, scaled(height, 1 / scale));
    places.from = {(source_width - cut_width) / 2, (source_height - cut_height) / 2, cut_width, cut_height};
  }
  return places;
}

}  // namespace

void scale_to(const cv::Mat& source, cv::Mat& target) {
  const cv::Size shrunk(std::min(source.cols, target.cols), std::min(source.rows, target.rows));
  if (source.size() == target.size()) {
    source.copyTo(target);
  } else if (shrunk == target.size()) {
    cv::resize(source, target, shrunk, 0, 0, cv::INTER_AREA);
  } else if (shrunk == source.size()) {
    cv::resize(source, target, target.size(), 0, 0, cv::INTER_LINEAR);
  } else {
    cv::Mat between;
    cv::resize(source, between, shrunk, 0, 0, cv::INTER_AREA);
    cv::resize(between, target, target.size(), 0, 0, cv::INTER_LINEAR);
  }
}

Placement placement_of(int source_width, int source_height, int width, int height, Fit fit) {
  Placement placement{.width = source_width, .height = source_height};
  if (source_width <= 0 || source_height <= 0) return placement;
  const Places places = places_of(source_width, source_height, width, height, fit);
  placement.scale_x = static_cast<double>(places.to.width) / places.from.width;
  placement.scale_y = static_cast<double>(places.to.height) / places.from.height;
  placement.offset_x = places.to.x - places.from.x * placement.scale_x;
  placement.offset_y = places.to.y - places.from.y * placement.scale_y;
  return placement;
}

Image resize(const Image& source, int width, int height, Fit fit) {
  constexpr std::uint8_t padding = 114;
  Image result = blank(width, height, source.channels, fit == Fit::fit ? padding : 0);
  if (source.width <= 0 || source.height <= 0 || width <= 0 || height <= 0) return result;
  return with_opencv([&] {
    const Places places = places_of(source.width, source.height, width, height, fit);
    cv::Mat to = as_matrix(result)(places.to);
    scale_to(as_matrix(source)(places.from), to);
    return std::move(result);
  });
}

Image convert_channels(const Image& source, int channels) {
  if (channels == source.channels) return source;
  Image result = blank(source.width, source.height, channels);
  if (result.pixels.empty()) return result;
  return with_opencv([&] {
    cv::Mat target = as_matrix(result);
    cv::cvtColor(as_matrix(source), target, channels == 1 ? cv::COLOR_RGB2GRAY : cv::COLOR_GRAY2RGB);
    return std::move(result);
  });
}

}  // namespace sightline::image
