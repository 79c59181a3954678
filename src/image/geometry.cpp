// Sizes and channels.
#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "image/opencv.h"

namespace sightline::image {
namespace {

// Shrinks first and enlarges afterwards: OpenCV's area filter averages only when neither side grows.
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

int scaled(int length, double scale) { return std::max(1, static_cast<int>(std::lround(length * scale))); }

}  // namespace

Image resize(const Image& source, int width, int height, Fit fit) {
  constexpr std::uint8_t padding = 114;
  Image result = blank(width, height, source.channels, fit == Fit::fit ? padding : 0);
  if (source.width <= 0 || source.height <= 0 || width <= 0 || height <= 0) return result;
  return with_opencv([&] {
    const cv::Mat from = as_matrix(source);
    cv::Mat to = as_matrix(result);
    const double across = static_cast<double>(width) / source.width, down = static_cast<double>(height) / source.height;
    if (fit == Fit::stretch) {
      scale_to(from, to);
    } else if (fit == Fit::fit) {
      const double scale = std::min(across, down);
      const int inner_width = std::min(width, scaled(source.width, scale)), inner_height = std::min(height, scaled(source.height, scale));
      cv::Mat inner = to(cv::Rect((width - inner_width) / 2, (height - inner_height) / 2, inner_width, inner_height));
      scale_to(from, inner);
    } else {
      const double scale = std::max(across, down);
      const int cut_width = std::min(source.width, scaled(width, 1 / scale)),
                cut_height = std::min(source.height, scaled(height, 1 / scale));
      scale_to(from(cv::Rect((source.width - cut_width) / 2, (source.height - cut_height) / 2, cut_width, cut_height)), to);
    }
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
