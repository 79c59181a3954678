// The pictures that a person names, one after the other: files, all files of folders, standard input, and frames of videos.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/console.h"
#include "dataset/video_frames.h"

namespace sightline::cli {

struct Picture {
  std::string file;                          // as printed; "-" is stdin
  bool given = false;                        // on the command line, not found in a folder
  std::optional<std::int64_t> milliseconds;  // of a frame
  image::Image frame;                        // decoded already, RGB
  std::optional<Error> failure;              // of a video that gives no frame

  std::string path() const;  // as printed: of a frame with its time
};

class PictureFeed {
 public:
  // every_s: seconds from one frame of a video to the next. What of a folder cannot be listed is warned of.
  static Result<PictureFeed> open(const std::vector<std::string>& given, double every_s, const Console& console);
  bool reads_standard_input() const;
  std::size_t files() const { return count_; }
  std::size_t files_begun() const { return count_ - waiting_.size(); }
  // At most so many; none: that was all. A video that ends otherwise than it says is warned of. Error interrupted.
  Result<std::vector<Picture>> next(std::size_t most, const Console& console);

 private:
  std::deque<Picture> waiting_;
  std::size_t count_ = 0;
  demand::Frames frames_;
  std::optional<Picture> video_;  // whose frames come now
  std::optional<dataset::FrameWalk> walk_;
  bool any_frame_ = false;
};

}  // namespace sightline::cli
