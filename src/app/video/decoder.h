// Decodes a video file with FFmpeg's libraries. They run in the program sightline-video alone, which image/video.h starts for each file
// that is read, so that a hostile video can at worst end or stall that child.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace sightline::video {

// What cannot be decoded, in words for people.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Frame {
  std::int64_t milliseconds = 0;     // since the stream's start, rounded down
  int width = 0, height = 0;         // as stored
  std::vector<std::uint8_t> pixels;  // RGB, no row padding
};

// What was seen when no frame came any more.
struct Ending {
  std::int64_t milliseconds = 0;  // where the last packet ends
  std::int64_t damaged = 0;       // frames that could not be decoded whole; none of them is ever given
  std::string complaint;          // why nothing more could be read, where that is not the file's end
};

class Decoder {
 public:
  // Takes the best video stream (cover pictures are none). Throws Failure: not readable, not a video, no video stream, no decoder for it,
  // or more than max_pixels a frame.
  Decoder(const std::string& path, std::int64_t max_pixels);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  int width() const;  // as stored
  int height() const;
  int orientation() const;            // 1..8 as EXIF has it, of the container's display matrix
  std::int64_t milliseconds() const;  // how long the container says that the stream is; -1: it does not
  std::string codec() const;

  // The first whole frame at or after this time. What it shows depends on the file and the time alone, not on what was asked before: each
  // is decoded from the last key frame that the container's index names at or before it, or from the start where there is no index.
  // False: there is none; `ending` is filled.
  bool at(std::int64_t milliseconds, Frame& frame, Ending& ending);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sightline::video
