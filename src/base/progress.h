// A progress bar with the time left, on a terminal only; elsewhere a plain line now and then. Written to stderr, so that stdout stays data.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace sightline {

bool is_terminal(int fd);     // and TERM is not dumb
bool colours_wanted(int fd);  // is_terminal and NO_COLOR is not set

struct ProgressStyle {
  bool quiet = false;      // nothing at all (--json, --quiet)
  bool transient = false;  // a finished bar leaves no line: the caller says what was done
};
void set_progress_style(ProgressStyle style);
ProgressStyle progress_style();

// Bars that this thread makes while it lives are not shown: somebody above shows one for all.
class QuietProgress {
 public:
  QuietProgress();
  ~QuietProgress();
  QuietProgress(const QuietProgress&) = delete;
  QuietProgress& operator=(const QuietProgress&) = delete;
};

// Thread-safe. finish() (or the destructor) leaves one line that says how long it took.
class Progress {
 public:
  Progress(std::string what, std::uint64_t total, std::string unit = "");
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::uint64_t by = 1);
  void set(std::uint64_t done, const std::string& note = "");
  void set_total(std::uint64_t total);
  void finish(const std::string& note = "");

 private:
  void draw(bool last);

  std::mutex mutex_;
  std::string what_, unit_, note_;
  std::uint64_t total_ = 0, done_ = 0, first_ = 0;
  bool quiet_ = false;
  bool started_ = false, finished_ = false;
  std::chrono::steady_clock::time_point begin_, drawn_;
};

}  // namespace sightline
