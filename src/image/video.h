// Frames of video files. FFmpeg decodes them in a child process, sightline-video, which is started for each video that is opened and is
// given nothing but the file's name: it may read files, use 4 GiB of memory and answer, and when it dies or stalls that is an error here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "image/image.h"

namespace sightline::image {

struct VideoOptions {
  std::int64_t max_pixels = 67'108'864;  // of a frame (8192 × 8192); more is refused
  double most_seconds = 300;             // that one answer may take
};

struct VideoFrame {
  std::int64_t milliseconds = 0;  // since the first picture of the video, rounded down: where it is to be asked for again
  Image image;                    // RGB, upright as the container says (turned by right angles and mirrored)
};

// How the video ended, once at() has given nothing.
struct VideoEnding {
  std::int64_t milliseconds = 0;  // where its last picture ends
  std::int64_t damaged = 0;       // pictures that could not be decoded whole and were passed over
  std::string complaint;          // of the decoder; "": none
};

// For one thread at a time.
class Video {
 public:
  // Errors name the file: not_found (the file; the program, with the package that brings it), invalid_data (no video, no pictures in it:
  // in the decoder's words; it ended or did not answer), interrupted.
  static Result<Video> open(const std::string& path, const VideoOptions& options = {});
  ~Video();
  Video(Video&&) noexcept;
  Video& operator=(Video&&) noexcept;

  int width() const;  // upright
  int height() const;
  std::int64_t milliseconds() const;  // how long the file says that it is; -1: it does not

  // The first whole picture at or after this time; nothing: the video ends before. What it shows depends on the file and the time alone.
  // next: what will be asked for afterwards; it is decoded while the caller works. Errors as open.
  Result<std::optional<VideoFrame>> at(std::int64_t milliseconds, std::optional<std::int64_t> next = std::nullopt);
  const VideoEnding& ending() const;

 private:
  struct State;
  explicit Video(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The program that decodes. Error not_found says which package brings it.
Result<std::string> find_video_decoder();

// By the file's name: mp4, mov, mkv, webm, avi, …
bool is_called_like_a_video(std::string_view path);

}  // namespace sightline::image
