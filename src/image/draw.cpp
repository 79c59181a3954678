#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "image/opencv.h"

namespace sightline::image {
namespace {

// The built-in font knows ASCII: every other character becomes one question mark.
std::string printable(const std::string& text) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F) {
      out.push_back(c);
    } else if ((byte & 0xC0U) != 0x80U) {
      out.push_back('?');
    }
  }
  return out;
}

}  // namespace

void draw_text(Image& target, int x, int y, const std::string& text, double scale) {
  if (target.channels == 1) target = convert_channels(target, 3);
  if (target.pixels.empty()) return;
  with_opencv([&] {
    const std::string line = printable(text);
    const int margin = std::max(2, static_cast<int>(8 * scale));
    int baseline = 0;
    const cv::Size size = cv::getTextSize(line, cv::FONT_HERSHEY_SIMPLEX, scale, 1, &baseline);
    cv::Mat pixels = as_matrix(target);
    cv::rectangle(pixels, cv::Rect(x, y, size.width + 2 * margin, size.height + baseline + 2 * margin), cv::Scalar(24, 24, 24), cv::FILLED);
    cv::putText(pixels, line, cv::Point(x + margin, y + margin + size.height), cv::FONT_HERSHEY_SIMPLEX, scale, cv::Scalar(255, 255, 255),
                1, cv::LINE_AA);
  });
}

}  // namespace sightline::image
