// The bridge to OpenCV. Internal to this folder.
#pragma once

#include <new>
#include <opencv2/core.hpp>
#include <stdexcept>

#include "image/image.h"

namespace sightline::image {

// Borrows the pixels. OpenCV has no constant matrix; do not write through one that was made from a const Image.
inline cv::Mat as_matrix(const Image& image) {
  return {image.height, image.width, CV_8UC(image.channels), const_cast<std::uint8_t*>(image.pixels.data()), image.row_bytes()};
}

inline Image blank(int width, int height, int channels, std::uint8_t value = 0) {
  Image image{width, height, channels, {}};
  image.pixels.assign(image.row_bytes() * static_cast<std::size_t>(height), value);
  return image;
}

// Shrinks first and enlarges afterwards: OpenCV's area filter averages only when neither side grows.
void scale_to(const cv::Mat& source, cv::Mat& target);  // geometry.cpp; target has its size already

// Runs work with OpenCV's own threads off (callers parallelise over pictures) and its exceptions turned into the standard library's.
template <class Work>
auto with_opencv(Work&& work) {
  static const bool single_threaded = [] {
    // Not 1: that makes an arena of TBB's in the thread that comes first, and TBB crashes now and then when such a thread ends.
    cv::setNumThreads(0);
    return true;
  }();
  static_cast<void>(single_threaded);
  try {
    return work();
  } catch (const cv::Exception& e) {
    if (e.code == cv::Error::StsNoMem) throw std::bad_alloc();
    throw std::logic_error(e.what());
  }
}

}  // namespace sightline::image
