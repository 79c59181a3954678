// Frames of videos as samples: "clip.mp4#t=12.000" is what clip.mp4 shows 12 seconds after its start (the first whole picture at or after
// that time). Frames are decoded anew whenever they are read and never kept as files: a video is its own best compression (200 frames of
// 1080p as PNG are half a gigabyte), and one process a video decodes them in order. Internal to this folder, but for what the command line
// shares.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataset/manifest.h"
#include "demand/demand.h"
#include "image/video.h"

namespace sightline::dataset {

std::string frame_path(std::string_view video, std::int64_t milliseconds);
// The other way round; false when the path is not of this form. `video` is a view of it.
bool split_frame_path(std::string_view path, std::string_view& video, std::int64_t& milliseconds);
// Of a frame's size and pixels.
Digest digest_of_frame(const image::Image& image);

// The frames of a video that count as pictures, in order.
class FrameWalk {
 public:
  // Errors as image::Video::open.
  static Result<FrameWalk> open(const std::string& file, const demand::Frames& frames);
  // Nothing: there are no more. Errors as image::Video::at.
  Result<std::optional<image::VideoFrame>> next();
  // Once there are no more: what is not as it should be ("ends at 3.2 s, though it is said to be 10 s long: it was cut off; …"); "" else.
  std::string complaint() const;

 private:
  FrameWalk(image::Video video, const demand::Frames& frames);
  std::int64_t time_of(std::int64_t place) const;
  image::Video video_;
  double step_;  // milliseconds
  std::int64_t most_, place_ = 0, given_ = 0;
  bool cut_short_ = false;  // its length is not known, and there may be more
};

// What reads frames at any time. Any number of threads: it keeps a few videos open, and goes on where one of them stands.
class FrameReader {
 public:
  FrameReader();
  ~FrameReader();
  FrameReader(FrameReader&&) noexcept;
  // file: of the video. Errors name it: those of image::Video; invalid_data: at this time there is no frame any more.
  Result<image::Image> read(const std::string& file, std::int64_t milliseconds) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Brings all frames of a video into one group. Two videos become one group when at least half of the frames of the shorter one are in
// groups with frames of the other, and a picture joins the video that most of its group is of. A group that is joined whole keeps its name,
// others get the path of their first video.
void keep_videos_whole(std::vector<Sample>& samples);

}  // namespace sightline::dataset
