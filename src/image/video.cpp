#include "image/video.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "base/child_process.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "image/codecs.h"

namespace sightline::image {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t longest_line = 4096;
constexpr int pipe_bytes = 1 << 20;
constexpr int poll_milliseconds = 50;  // until an interrupt is seen

}  // namespace

struct Video::State {
  std::string path;
  VideoOptions options;
  ChildProcess child;
  int width = 0, height = 0, orientation = 1;
  std::int64_t milliseconds = -1;
  std::optional<std::int64_t> asked;  // and not answered yet
  VideoEnding ending;
  std::string read_ahead;

  Error broken(const std::string& message) const { return {ErrorKind::invalid_data, path + ": " + message}; }

  // What ended it, in one line.
  Error death() {
    std::string words;
    std::array<char, 1024> block{};
    for (ssize_t got = 0; (got = ::read(child.err.get(), block.data(), block.size())) > 0;)
      words.append(block.data(), static_cast<std::size_t>(got));
    words = trim(words);
    words = words.substr(words.rfind('\n') + 1);
    const std::optional<int> status = child.wait(true);
    const std::string how = status && WIFSIGNALED(*status)
                                ? fmt::format("by signal {} ({})", WTERMSIG(*status), ::strsignal(WTERMSIG(*status)))
                                : std::string("without a reason");
    return broken(
        fmt::format("its decoder ended {}{}{}; the file is broken in a way that it does not stand", how, words.empty() ? "" : ": ", words));
  }

  // At least one more byte into target, which has room for `most`.
  Result<std::size_t> receive(char* target, std::size_t most, Clock::time_point until) {
    while (true) {
      const ssize_t got = ::read(child.out.get(), target, most);
      if (got > 0) return static_cast<std::size_t>(got);
      if (got == 0 || (errno != EAGAIN && errno != EINTR)) return death();
      SIGHTLINE_CHECK(check_interrupt());
      if (Clock::now() > until) return broken(fmt::format("its decoder did not answer within {}", human_seconds(options.most_seconds)));
      pollfd wait{child.out.get(), POLLIN, 0};
      (void)::poll(&wait, 1, poll_milliseconds);
    }
  }

  Clock::time_point limit() const {
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.most_seconds));
  }

  Result<std::string> line() {
    const Clock::time_point until = limit();
    while (read_ahead.find('\n') == std::string::npos) {
      if (read_ahead.size() > longest_line) return broken("its decoder does not answer in lines");
      std::array<char, 512> block{};
      SIGHTLINE_TRY(const std::size_t got, receive(block.data(), block.size(), until));
      read_ahead.append(block.data(), got);
    }
    const std::size_t end = read_ahead.find('\n');
    std::string text = read_ahead.substr(0, end);
    read_ahead.erase(0, end + 1);
    if (text.starts_with("error ")) return broken(text.substr(6));
    return text;
  }

  Result<void> ask(std::int64_t time) {
    const std::string words = fmt::format("at {}\n", time);
    if (::send(child.in.get(), words.data(), words.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(words.size())) return death();
    asked = time;
    return {};
  }

  // The answer to what was asked; nothing: the video ends before.
  Result<std::optional<VideoFrame>> answer() {
    SIGHTLINE_TRY(const std::string text, line());
    asked.reset();
    long long time = 0, damaged = 0;
    int used = 0;
    VideoFrame frame;
    if (std::sscanf(text.c_str(), "end %lld %lld %n", &time, &damaged, &used) == 2) {
      ending = {time, damaged, text.substr(std::min<std::size_t>(text.size(), static_cast<std::size_t>(used)))};
      return std::optional<VideoFrame>();
    }
    if (std::sscanf(text.c_str(), "frame %lld %d %d", &time, &frame.image.width, &frame.image.height) != 3)
      return broken("its decoder gives no answer that is understood");
    SIGHTLINE_CHECK(check_size(frame.image.width, frame.image.height, {.max_pixels = options.max_pixels}));
    frame.milliseconds = time;
    frame.image.channels = 3;
    std::vector<std::uint8_t>& pixels = frame.image.pixels;
    pixels.resize(frame.image.row_bytes() * static_cast<std::size_t>(frame.image.height));
    std::size_t filled = std::min(read_ahead.size(), pixels.size());
    std::memcpy(pixels.data(), read_ahead.data(), filled);
    read_ahead.erase(0, filled);
    for (const Clock::time_point until = limit(); filled < pixels.size();) {
      SIGHTLINE_TRY(const std::size_t got, receive(reinterpret_cast<char*>(pixels.data()) + filled, pixels.size() - filled, until));
      filled += got;
    }
    return std::optional<VideoFrame>(std::move(frame));
  }
};

Video::Video(std::unique_ptr<State> state) : state_(std::move(state)) {}
Video::~Video() = default;
Video::Video(Video&&) noexcept = default;
Video& Video::operator=(Video&&) noexcept = default;

Result<Video> Video::open(const std::string& path, const VideoOptions& options) {
  if (const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); !file.valid()) {
    return system_error("cannot read", path);
  } else if (struct stat info{}; ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 0) {
    return Error{ErrorKind::invalid_data, path + ": the file is empty"};
  }
  Result<std::string> program = find_video_decoder();
  if (!program.ok()) return program.error().in(path);
  SIGHTLINE_TRY(ChildProcess child, ChildProcess::start(*program, {path, std::to_string(options.max_pixels)},
                                                        {.takes_input = true, .dies_with_thread = false}));
  (void)::fcntl(child.out.get(), F_SETPIPE_SZ, pipe_bytes);
  auto state = std::make_unique<State>(State{.path = path, .options = options, .child = std::move(child)});
  SIGHTLINE_TRY(const std::string text, state->line());
  long long milliseconds = 0;
  if (std::sscanf(text.c_str(), "video %lld %d %d %d", &milliseconds, &state->width, &state->height, &state->orientation) != 4)
    return state->broken("its decoder gives no answer that is understood");
  state->milliseconds = milliseconds;
  if (state->orientation >= 5) std::swap(state->width, state->height);
  return Video(std::move(state));
}

Result<std::string> find_video_decoder() {
  Result<std::string> program = find_program("sightline-video", "sightline-video");
  if (!program.ok()) return Error{program.error().kind, fmt::format("to read videos: {}", program.error().message)};
  return program;
}

int Video::width() const { return state_->width; }
int Video::height() const { return state_->height; }
std::int64_t Video::milliseconds() const { return state_->milliseconds; }
const VideoEnding& Video::ending() const { return state_->ending; }

Result<std::optional<VideoFrame>> Video::at(std::int64_t milliseconds, std::optional<std::int64_t> next) {
  State& state = *state_;
  if (state.asked && *state.asked != milliseconds) {
    SIGHTLINE_TRY(const std::optional<VideoFrame> unwanted, state.answer());
  }
  if (!state.asked) SIGHTLINE_CHECK(state.ask(milliseconds));
  SIGHTLINE_TRY(std::optional<VideoFrame> frame, state.answer());
  if (frame && next) SIGHTLINE_CHECK(state.ask(*next));
  if (frame) frame->image = upright(std::move(frame->image), state.orientation);
  return frame;
}

bool is_called_like_a_video(std::string_view path) {
  constexpr std::array<std::string_view, 21> extensions{".mp4",  ".m4v", ".mov", ".mkv", ".webm", ".avi",   ".mpg",
                                                        ".mpeg", ".wmv", ".asf", ".flv", ".mts",  ".m2ts",  ".3gp",
                                                        ".3g2",  ".ogv", ".mxf", ".vob", ".divx", ".mjpeg", ".y4m"};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  std::string extension(name.substr(dot));
  std::ranges::transform(extension, extension.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return std::ranges::find(extensions, extension) != extensions.end();
}

}  // namespace sightline::image
