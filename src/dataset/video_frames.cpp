#include "dataset/video_frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <numeric>

#include "base/text.h"
#include "dataset/numbers.h"

namespace sightline::dataset {
namespace {

constexpr std::string_view time_mark = "#t=";
constexpr double milliseconds_a_second = 1000;
// A length that is off by so much is a container's rounding, or sound that goes on for longer.
constexpr double tolerated_ms = 1000, tolerated_share = 0.02;

std::string seconds_text(std::int64_t milliseconds) { return fmt::format("{}.{:03}", milliseconds / 1000, milliseconds % 1000); }

}  // namespace

std::string frame_path(std::string_view video, std::int64_t milliseconds) {
  return fmt::format("{}{}{}", video, time_mark, seconds_text(milliseconds));
}

bool split_frame_path(std::string_view path, std::string_view& video, std::int64_t& milliseconds) {
  const std::size_t mark = path.rfind(time_mark);
  if (mark == std::string_view::npos) return false;
  const std::string_view time = path.substr(mark + time_mark.size());
  const std::size_t dot = time.find('.');
  std::int64_t seconds = 0, rest = 0;
  if (dot == std::string_view::npos || time.size() != dot + 4 || !read_number(time.substr(0, dot), seconds) ||
      !read_number(time.substr(dot + 1), rest) || seconds < 0 || rest < 0 || seconds > std::int64_t{1} << 40U)
    return false;
  if (!image::is_called_like_a_video(path.substr(0, mark))) return false;
  video = path.substr(0, mark);
  milliseconds = seconds * 1000 + rest;
  return true;
}

Digest digest_of_frame(const image::Image& image) {
  return Sha256()
      .add_field(fmt::format("frame {} {} {}", image.width, image.height, image.channels))
      .add(std::as_bytes(std::span(image.pixels)))
      .finish();
}

FrameWalk::FrameWalk(image::Video video, const demand::Frames& frames)
    : video_(std::move(video)), step_(frames.every_s * milliseconds_a_second), most_(frames.at_most) {
  const auto length = static_cast<double>(video_.milliseconds());
  step_ = std::max(step_, length / static_cast<double>(most_));
}

Result<FrameWalk> FrameWalk::open(const std::string& file, const demand::Frames& frames) {
  SIGHTLINE_TRY(image::Video video, image::Video::open(file));
  return FrameWalk(std::move(video), frames);
}

std::int64_t FrameWalk::time_of(std::int64_t place) const { return static_cast<std::int64_t>(static_cast<double>(place) * step_); }

Result<std::optional<image::VideoFrame>> FrameWalk::next() {
  // Of a video that does not say its length the rest is not looked at.
  if (given_ == most_ && video_.milliseconds() < 0) {
    cut_short_ = true;
    return std::optional<image::VideoFrame>();
  }
  SIGHTLINE_TRY(std::optional<image::VideoFrame> frame, video_.at(time_of(place_), time_of(place_ + 1)));
  if (frame && given_ == most_) {  // longer than it says
    cut_short_ = true;
    frame.reset();
  }
  if (!frame) return frame;
  ++given_;
  while (time_of(place_) <= frame->milliseconds) ++place_;
  return frame;
}

std::string FrameWalk::complaint() const {
  std::vector<std::string> words;
  const image::VideoEnding& ending = video_.ending();
  const auto length = static_cast<double>(video_.milliseconds()), end = static_cast<double>(ending.milliseconds);
  if (cut_short_) {
    words.push_back(fmt::format("it does not say how long it is, and gives more than {} (data.frames.at_most): the rest is left out",
                                plural(static_cast<std::size_t>(most_), "frame")));
  } else if (end + std::max(tolerated_ms, tolerated_share * length) < length) {
    words.push_back(fmt::format("ends at {} s, though it is said to be {} s long: it was cut off", seconds_text(ending.milliseconds),
                                seconds_text(video_.milliseconds())));
  }
  if (ending.damaged > 0)
    words.push_back(fmt::format("{} could not be decoded whole and {} passed over",
                                plural(static_cast<std::size_t>(ending.damaged), "picture"), ending.damaged == 1 ? "is" : "are"));
  if (!ending.complaint.empty()) words.push_back(ending.complaint);
  return join(words, "; ");
}

struct FrameReader::State {
  struct Open {
    std::string file;
    std::int64_t position = -1;  // of the last frame that was read
    image::Video video;
  };
  static constexpr std::size_t most_idle = 4;
  std::mutex mutex;
  std::list<Open> idle;  // the last used is the last

  Result<Open> take(const std::string& file, std::int64_t milliseconds) {
    {
      const std::lock_guard lock(mutex);
      auto best = idle.end();
      for (auto each = idle.begin(); each != idle.end(); ++each) {
        if (each->file != file || each->position >= milliseconds) continue;
        if (best == idle.end() || each->position > best->position) best = each;
      }
      if (best == idle.end()) best = std::ranges::find(idle, file, &Open::file);
      if (best != idle.end()) {
        Open taken = std::move(*best);
        idle.erase(best);
        return taken;
      }
    }
    SIGHTLINE_TRY(image::Video video, image::Video::open(file));
    return Open{.file = file, .position = -1, .video = std::move(video)};
  }

  void give_back(Open open) {
    std::list<Open> surplus;  // their processes end without the lock
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(open));
    if (idle.size() > most_idle) surplus.splice(surplus.begin(), idle, idle.begin());
  }
};

FrameReader::FrameReader() : state_(std::make_unique<State>()) {}
FrameReader::~FrameReader() = default;
FrameReader::FrameReader(FrameReader&&) noexcept = default;

Result<image::Image> FrameReader::read(const std::string& file, std::int64_t milliseconds) const {
  SIGHTLINE_TRY(State::Open open, state_->take(file, milliseconds));
  SIGHTLINE_TRY(std::optional<image::VideoFrame> frame, open.video.at(milliseconds));
  if (!frame || frame->milliseconds != milliseconds)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: there is no frame at {} s; the file is another one than when its frames were listed", file,
                             seconds_text(milliseconds))};
  open.position = milliseconds;
  state_->give_back(std::move(open));
  return std::move(frame->image);
}

void keep_videos_whole(std::vector<Sample>& samples) {
  struct Clip {
    std::vector<std::size_t> frames;
    std::size_t joined = 0;  // place of a clip that it is one group with; itself: the first of them
  };
  std::map<std::string_view, std::size_t> place_of;  // by path, so that places are in the order of paths
  std::vector<std::pair<std::size_t, std::string_view>> frames;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    std::string_view video;
    std::int64_t time = 0;
    if (!split_frame_path(samples[i].path, video, time)) continue;
    place_of.emplace(video, 0);
    frames.emplace_back(i, video);
  }
  if (frames.empty()) return;
  std::vector<Clip> clips;
  std::vector<std::string> names;
  for (auto& [video, place] : place_of) {
    place = clips.size();
    clips.push_back({.frames = {}, .joined = place});
    names.emplace_back(video);
  }
  std::map<std::string_view, std::map<std::size_t, std::size_t>> within;  // group → clip → how many frames
  for (const auto& [i, video] : frames) {
    clips[place_of[video]].frames.push_back(i);
    if (!samples[i].group.empty()) ++within[samples[i].group][place_of[video]];
  }
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> shared;
  for (const auto& [group, counts] : within)
    for (auto a = counts.begin(); a != counts.end(); ++a)
      for (auto b = std::next(a); b != counts.end(); ++b) shared[{a->first, b->first}] += std::min(a->second, b->second);
  const auto first_of = [&](std::size_t clip) {
    while (clips[clip].joined != clip) clip = clips[clip].joined = clips[clips[clip].joined].joined;
    return clip;
  };
  for (const auto& [pair, count] : shared) {
    const auto [a, b] = pair;
    if (2 * count < std::min(clips[a].frames.size(), clips[b].frames.size())) continue;
    const std::size_t one = first_of(a), other = first_of(b);
    clips[std::max(one, other)].joined = std::min(one, other);
  }

  // The name that all frames of clips that are one group share, or the path of the first.
  std::vector<std::optional<std::string>> name(clips.size());
  for (std::size_t c = 0; c < clips.size(); ++c) {
    for (const std::size_t i : clips[c].frames) {
      std::optional<std::string>& one = name[first_of(c)];
      if (!one) one = samples[i].group;
      if (*one != samples[i].group) one = "";
    }
  }
  std::map<std::string, std::string, std::less<>> renamed;  // groups of which a part, or more than one video, became something else
  for (std::size_t c = 0; c < clips.size(); ++c) {
    if (first_of(c) == c && name[c]->empty()) name[c] = names[c];
  }
  for (const auto& [group, counts] : within) {
    const auto most = std::ranges::max_element(counts, [](const auto& a, const auto& b) { return a.second < b.second; });
    renamed.emplace(group, *name[first_of(most->first)]);
  }
  for (Sample& sample : samples) {
    std::string_view video;
    std::int64_t time = 0;
    if (split_frame_path(sample.path, video, time)) {
      continue;
    }
    if (const auto found = renamed.find(sample.group); found != renamed.end()) sample.group = found->second;
  }
  for (std::size_t c = 0; c < clips.size(); ++c)
    for (const std::size_t i : clips[c].frames) samples[i].group = *name[first_of(c)];
}

}  // namespace sightline::dataset
