#include "serving/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cmath>

#include "base/clock.h"

namespace sightline::serving {
namespace {

constexpr std::size_t most_lines = 65'536;  // that wait

}  // namespace

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& path, std::function<void()> on_loss) {
  Descriptor file(path == "-" ? ::dup(STDERR_FILENO) : ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!file.valid()) return system_error("cannot write the log", path);
  return std::unique_ptr<AccessLog>(new AccessLog(std::move(file), std::move(on_loss)));
}

AccessLog::AccessLog(Descriptor file, std::function<void()> on_loss)
    : file_(std::move(file)), on_loss_(std::move(on_loss)), writer_([this] { work(); }) {}

AccessLog::~AccessLog() {
  {
    const std::scoped_lock lock(mutex_);
    ends_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

void AccessLog::write(const Json& line) {
  {
    const std::scoped_lock lock(mutex_);
    if (lines_.size() >= most_lines) {
      on_loss_();
      return;
    }
    lines_.push_back(json_text(line) + "\n");
  }
  wake_.notify_one();
}

void AccessLog::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return ends_ || !lines_.empty(); });
    if (lines_.empty()) return;
    std::deque<std::string> lines;
    lines.swap(lines_);
    lock.unlock();
    for (const std::string& line : lines) {
      if (!write_all(file_.get(), line)) on_loss_();
    }
    lock.lock();
  }
}

void AccessLog::request(const net::Exchange& exchange) {
  write({{"time", utc_now()},
         {"kind", "request"},
         {"trace", exchange.trace},
         {"peer", exchange.peer},
         {"who", exchange.who},
         {"method", exchange.method},
         {"path", exchange.path},
         {"route", exchange.route},
         {"status", exchange.status},
         {"bytes_in", exchange.bytes_in},
         {"bytes_out", exchange.bytes_out},
         {"seconds", std::round(exchange.seconds * 1e6) / 1e6}});
}

void AccessLog::admin(const net::Caller& caller, const std::string& what) {
  write({{"time", utc_now()}, {"kind", "admin"}, {"trace", caller.trace}, {"peer", caller.peer}, {"who", caller.who}, {"what", what}});
}

}  // namespace sightline::serving
