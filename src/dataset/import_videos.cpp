#include "dataset/import_videos.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "dataset/intake.h"
#include "dataset/video_frames.h"

namespace sightline::dataset {
namespace {

struct Described {
  std::vector<Sample> frames;
  std::string reason;     // why there are none
  std::string complaint;  // what is not as it should be, though there are some
};

Result<Described> describe_video(const std::string& root, const demand::Frames& frames, const Sample& video) {
  const std::string file = root + "/" + video.path;
  Described described;
  const auto failed = [&](const Error& error) -> Result<Described> {
    if (error.kind == ErrorKind::interrupted) return error;
    std::string reason = error.message;
    if (reason.starts_with(file + ": ")) reason.erase(0, file.size() + 2);
    (described.frames.empty() ? described.reason : described.complaint) = std::move(reason);
    return described;
  };
  Result<FrameWalk> walk = FrameWalk::open(file, frames);
  if (!walk.ok()) return failed(walk.error());
  while (true) {
    const Result<std::optional<image::VideoFrame>> frame = walk->next();
    if (!frame.ok()) return failed(frame.error());
    if (!*frame) break;
    Sample& sample = described.frames.emplace_back(video);
    sample.path = frame_path(video.path, (*frame)->milliseconds);
    sample.digest = digest_of_frame((*frame)->image);
    set_facts(sample, facts_of((*frame)->image));
  }
  described.complaint = walk->complaint();
  if (described.frames.empty()) {
    described.reason = "no picture in it can be decoded" + (described.complaint.empty() ? "" : ": " + described.complaint);
    described.complaint.clear();
  }
  return described;
}

}  // namespace

Result<void> describe_videos(const std::string& root, const demand::Frames& frames, Listing& listing, std::vector<Sample>& samples,
                             std::vector<std::string>& reasons) {
  std::vector<std::size_t> videos;
  for (std::size_t i = 0; i < listing.entries.size(); ++i)
    if (image::is_called_like_a_video(listing.entries[i].path)) videos.push_back(i);
  if (videos.empty()) return {};
  // Without the program no video can be read: that is not the files' fault.
  SIGHTLINE_CHECK(image::find_video_decoder());
  std::vector<Described> described(listing.entries.size());
  Progress progress("reading videos", videos.size(), "video");
  SIGHTLINE_CHECK(parallel_for(videos.size(), [&](std::size_t v) -> Result<void> {
    const std::size_t i = videos[v];
    Sample video = samples[i];
    video.path = listing.entries[i].path;
    video.split = listing.entries[i].split;
    SIGHTLINE_TRY(described[i], describe_video(root, frames, video));
    progress.advance();
    return {};
  }));
  progress.finish();

  std::vector<Entry> entries;
  std::vector<Sample> all;
  std::vector<std::string> why;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    Described& one = described[i];
    if (!one.complaint.empty()) {
      log_warning("{}: {}", listing.entries[i].path, one.complaint);
      listing.refused.push_back(
          {listing.entries[i].path, fmt::format("{}; {} taken", one.complaint, plural(one.frames.size(), "frame")), Loss::none});
    }
    taken += one.frames.size();
    for (Sample& frame : one.frames) {
      entries.push_back(listing.entries[i]);
      entries.back().path = frame.path;
      all.push_back(std::move(frame));
      why.emplace_back();
    }
    if (!one.frames.empty()) continue;
    entries.push_back(std::move(listing.entries[i]));
    all.push_back(std::move(samples[i]));
    why.push_back(one.reason.empty() ? std::move(reasons[i]) : std::move(one.reason));
  }
  log_info("{} of {}", plural(taken, "frame"), plural(videos.size(), "video"));
  listing.entries = std::move(entries);
  samples = std::move(all);
  reasons = std::move(why);
  return {};
}

}  // namespace sightline::dataset
