#include "line/worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/child_process.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/text.h"

namespace sightline::line {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t longest_line = 1U << 20U, longest_tail = 4096;

// Cuts a stream into lines; of one that is too long only the fact is kept.
class LineReader {
 public:
  template <class OnLine>
  void add(std::string_view bytes, OnLine&& on_line) {
    while (!bytes.empty()) {
      const std::size_t newline = bytes.find('\n');
      const std::string_view part = bytes.substr(0, newline);
      if (line_.size() + part.size() > longest_line) too_long_ = true;
      if (!too_long_) line_ += part;
      if (newline == std::string_view::npos) return;
      bytes.remove_prefix(newline + 1);
      end(on_line);
    }
  }
  template <class OnLine>
  void end(OnLine&& on_line) {
    if (too_long_) {
      log_warning("a line of the worker was longer than {} and is passed over", human_bytes(longest_line));
    } else if (!line_.empty()) {
      on_line(line_);
    }
    line_.clear();
    too_long_ = false;
  }

 private:
  std::string line_;
  bool too_long_ = false;
};

// Reads what is there, but not for ever; false at the end of the stream.
template <class Use>
bool drain(const Descriptor& fd, Use&& use) {
  std::array<char, 65536> block;
  for (int turn = 0; turn < 32; ++turn) {
    const ssize_t got = ::read(fd.get(), block.data(), block.size());
    if (got > 0) {
      use(std::string_view(block.data(), static_cast<std::size_t>(got)));
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
      return false;
    } else if (errno == EAGAIN) {
      return true;
    }
  }
  return true;
}

std::optional<ErrorKind> kind_named(const std::string& name) {
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind) {
    if (name == name_of(static_cast<ErrorKind>(kind))) return static_cast<ErrorKind>(kind);
  }
  return std::nullopt;
}

// The error that an {"event":"error"} line tells, or nothing.
std::optional<Error> told_error(const Json& event) {
  const auto text = [&](const char* key) { return event.contains(key) && event[key].is_string() ? event[key].get<std::string>() : ""; };
  if (text("event") != "error") return std::nullopt;
  return Error{kind_named(text("kind")).value_or(ErrorKind::internal),
               text("message").empty() ? "the worker gave no reason" : text("message")};
}

std::string last_words(const std::string& tail) { return trim(tail).empty() ? "; it said nothing" : "; its last words:\n" + trim(tail); }

}  // namespace

Result<void> run_worker(const std::string& program, const Json& spec, const std::string& spec_path,
                        const std::function<void(const Json&)>& on_event, const WorkerOptions& options) {
  SIGHTLINE_CHECK(write_file(spec_path, json_text(spec, 2) + "\n"));
  SIGHTLINE_TRY(ChildProcess child, ChildProcess::start(program, {spec_path}));
  const std::string name = fs::path(program).filename().string();

  std::optional<Error> told;
  const auto on_line = [&](const std::string& line) {
    const auto event = parse_json(line, "the worker's line");
    if (!event.ok() || !event->is_object()) return log_debug("{}: {}", name, line);
    if (auto error = told_error(*event)) told = std::move(error);
    if (on_event) on_event(*event);
  };
  std::string tail;
  const auto on_error_line = [&](const std::string& line) {
    log_debug("{}: {}", name, line);
    tail += line + "\n";
    if (tail.size() > longest_tail) tail.erase(0, tail.size() - longest_tail);
  };
  LineReader out, err;
  const Clock::time_point begun = Clock::now();
  std::optional<Clock::time_point> asked;
  bool killed = false, late = false;
  std::optional<int> status;
  while (!status) {
    late = late || (options.most_seconds > 0 && std::chrono::duration<double>(Clock::now() - begun).count() > options.most_seconds);
    if ((interrupt_requested() || late) && !asked) {
      child.interrupt();
      asked = Clock::now();
    }
    if (asked && !killed && std::chrono::duration<double>(Clock::now() - *asked).count() > options.grace_seconds) {
      log_warning("{} did not stop within {}; it is killed", name, human_seconds(options.grace_seconds));
      child.kill();
      killed = true;
    }
    std::array<pollfd, 3> waits{{{child.out.get(), POLLIN, 0}, {child.err.get(), POLLIN, 0}, {child.exited.get(), POLLIN, 0}}};
    (void)::poll(waits.data(), waits.size(), 50);  // poll passes over descriptors that were closed (-1)
    if (child.out.valid() && !drain(child.out, [&](std::string_view bytes) { out.add(bytes, on_line); })) child.out.close();
    if (child.err.valid() && !drain(child.err, [&](std::string_view bytes) { err.add(bytes, on_error_line); })) child.err.close();
    status = child.wait(false);
  }
  // What it wrote just before its end. A grandchild may hold the pipes open for ever, so the end of the stream is not waited for.
  if (child.out.valid()) (void)drain(child.out, [&](std::string_view bytes) { out.add(bytes, on_line); });
  if (child.err.valid()) (void)drain(child.err, [&](std::string_view bytes) { err.add(bytes, on_error_line); });
  out.end(on_line);
  err.end(on_error_line);

  if (WIFEXITED(*status) && WEXITSTATUS(*status) == 0 && !told) return {};
  if (told && told->kind != ErrorKind::interrupted) return *told;
  if (late && check_interrupt().ok())
    return Error{ErrorKind::refused, fmt::format("{} had not done after {}", name, human_seconds(options.most_seconds))};
  if (asked) return check_interrupt().ok() ? Error{ErrorKind::interrupted, "interrupted"} : check_interrupt().error();
  if (told) return *told;
  if (WIFSIGNALED(*status)) {
    const int signal_number = WTERMSIG(*status);
    return Error{ErrorKind::internal,
                 fmt::format("{} was ended by signal {} ({}){}{}", name, signal_number, ::strsignal(signal_number),
                             signal_number == SIGKILL ? "; often that is the kernel when memory runs out" : "", last_words(tail))};
  }
  return Error{ErrorKind::internal, fmt::format("{} ended with status {}{}", name, WEXITSTATUS(*status), last_words(tail))};
}

Result<std::string> find_worker(const std::string& name) { return find_program(name, "sightline-line"); }

}  // namespace sightline::line
