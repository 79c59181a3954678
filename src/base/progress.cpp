#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/progress_events.h"
#include "base/text.h"

namespace sightline {
namespace {
using Clock = std::chrono::steady_clock;
ProgressStyle current_style;
thread_local int quiet_threads_bars = 0;

int terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}
constexpr std::chrono::milliseconds tell_every{500};
std::atomic<Clock::rep> last_told{0};

// Whether the listener is due: of all bars together about twice a second, and each end.
bool may_be_told(bool last) {
  if (!progress_is_heard()) return false;
  const Clock::rep now = Clock::now().time_since_epoch().count();
  Clock::rep before = last_told;
  if (!last && Clock::duration(now - before) < tell_every) return false;
  return last_told.compare_exchange_strong(before, now) || last;
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }
}  // namespace

bool is_terminal(int fd) {
  const char* term = std::getenv("TERM");
  return ::isatty(fd) == 1 && (term == nullptr || std::string_view(term) != "dumb");
}
bool colours_wanted(int fd) { return is_terminal(fd) && std::getenv("NO_COLOR") == nullptr; }
void set_progress_style(ProgressStyle style) { current_style = style; }
ProgressStyle progress_style() { return current_style; }

QuietProgress::QuietProgress() { ++quiet_threads_bars; }
QuietProgress::~QuietProgress() { --quiet_threads_bars; }

Progress::Progress(std::string what, std::uint64_t total, std::string unit)
    : what_(std::move(what)), unit_(std::move(unit)), total_(total), quiet_(quiet_threads_bars > 0), begin_(Clock::now()), drawn_(begin_) {}
Progress::~Progress() { finish(note_); }

void Progress::advance(std::uint64_t by) {
  const std::lock_guard lock(mutex_);
  done_ += by;
  draw(false);
}

void Progress::set(std::uint64_t done, const std::string& note) {
  const std::lock_guard lock(mutex_);
  if (!started_) {
    first_ = done;  // what an earlier, interrupted run had done says nothing about speed
    started_ = true;
  }
  done_ = done;
  note_ = note;
  draw(false);
}

void Progress::set_total(std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  total_ = total;
}

void Progress::finish(const std::string& note) {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  note_ = note;
  draw(true);
}

void Progress::draw(bool last) {
  if (quiet_) return;
  if (may_be_told(last))
    tell_progress("progress", {{"what", what_}, {"done", done_}, {"total", total_}, {"seconds", seconds_since(begin_)}, {"note", note_}});
  if (current_style.quiet) return;
  const bool terminal = is_terminal(STDERR_FILENO);
  const double since_drawn = seconds_since(drawn_);
  if (!last && since_drawn < (terminal ? 0.1 : 10.0)) return;
  drawn_ = Clock::now();
  const double elapsed = seconds_since(begin_);
  const std::string note = note_.empty() ? "" : "  " + note_;
  if (last && current_style.transient) {
    if (terminal) fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
    return;
  }
  if (last) {
    const std::string amount = unit_.empty() ? "" : "  " + plural(done_, unit_);
    fmt::print(stderr, "{}  {:<10}{}  {}{}\n", terminal ? "\r\x1b[K" : "", what_, amount, human_seconds(elapsed), note);
    return;
  }
  const double share = total_ > 0 ? std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)) : 0;
  const double fresh = done_ > first_ ? static_cast<double>(done_ - first_) : 0;
  const std::string left =
      fresh > 0 && total_ >= done_ ? human_seconds(elapsed * static_cast<double>(total_ - done_) / fresh) + " left" : "";
  if (!terminal) {
    fmt::print(stderr, "  {:<10}  {:3.0f}%  {}{}\n", what_, 100 * share, left, note);
    return;
  }
  const std::string tail = fmt::format(" {:3.0f}%  {}{}", 100 * share, left, note);
  const int room = std::clamp(terminal_width() - static_cast<int>(tail.size()) - 16, 5, 40);
  const int filled = static_cast<int>(share * room);
  std::string bar;
  for (int i = 0; i < room; ++i) bar += i < filled ? "█" : "░";
  std::string line = fmt::format("  {:<10}  {}{}", what_, bar, tail);
  fmt::print(stderr, "\r\x1b[K{}", line);
  std::fflush(stderr);
}

}  // namespace sightline
