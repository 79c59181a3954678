#include "app/cli/picture_feed.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/files.h"

namespace sightline::cli {

std::string Picture::path() const { return milliseconds ? dataset::frame_path(file, *milliseconds) : file; }

Result<PictureFeed> PictureFeed::open(const std::vector<std::string>& given, double every_s, const Console& console) {
  PictureFeed feed;
  feed.frames_ = {.every_s = every_s, .at_most = std::numeric_limits<int>::max()};
  for (const std::string& path : given) {
    if (path == "-" || !is_directory(path)) {
      feed.waiting_.push_back({.file = path, .given = true});
      continue;
    }
    SIGHTLINE_TRY(const auto files,
                  list_files(path, [&](const std::string& at, const std::string& reason) { console.warn("{}: {}", at, reason); }));
    for (const std::string& file : files) feed.waiting_.push_back({.file = (std::filesystem::path(path) / file).string()});
  }
  feed.count_ = feed.waiting_.size();
  return feed;
}

bool PictureFeed::reads_standard_input() const {
  return std::ranges::any_of(waiting_, [](const Picture& picture) { return picture.file == "-"; });
}

Result<std::vector<Picture>> PictureFeed::next(std::size_t most, const Console& console) {
  std::vector<Picture> batch;
  const auto failed = [&](const Error& error) {
    Picture picture = *video_;
    picture.failure = error;
    batch.push_back(std::move(picture));
    walk_.reset();
    video_.reset();
  };
  while (batch.size() < most && (video_ || !waiting_.empty())) {
    if (!video_) {
      Picture picture = std::move(waiting_.front());
      waiting_.pop_front();
      if (!image::is_called_like_a_video(picture.file)) {
        batch.push_back(std::move(picture));
        continue;
      }
      video_ = std::move(picture);
      any_frame_ = false;
      Result<dataset::FrameWalk> walk = dataset::FrameWalk::open(video_->file, frames_);
      if (walk.ok()) {
        walk_.emplace(*std::move(walk));
      } else if (walk.error().kind == ErrorKind::interrupted) {
        return walk.error();
      } else {
        failed(walk.error());
      }
      continue;
    }
    Result<std::optional<image::VideoFrame>> frame = walk_->next();
    if (!frame.ok()) {
      if (frame.error().kind == ErrorKind::interrupted) return frame.error();
      failed(frame.error());
    } else if (*frame) {
      any_frame_ = true;
      batch.push_back(
          {.file = video_->file, .given = video_->given, .milliseconds = (*frame)->milliseconds, .frame = std::move((*frame)->image)});
    } else if (const std::string complaint = walk_->complaint(); !any_frame_) {
      failed({ErrorKind::invalid_data, video_->file + ": no picture in it can be decoded" + (complaint.empty() ? "" : ": " + complaint)});
    } else {
      if (!complaint.empty()) console.warn("{}: {}", video_->file, complaint);
      walk_.reset();
      video_.reset();
    }
  }
  return batch;
}

}  // namespace sightline::cli
