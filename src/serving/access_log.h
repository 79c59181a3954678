// A line of JSON for each request and for each thing that an administrator does, written by a thread of its own: a slow or full disk holds
// nobody up, it costs lines, which are counted.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "net/server.h"

namespace sightline::serving {

class AccessLog {
 public:
  // Appends to the file; "-": standard error. on_loss is called for each line that could not be written. Error io.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& path, std::function<void()> on_loss);
  ~AccessLog();  // writes what waits
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // {"time", "kind": "request", "trace", "peer", "who", "method", "path", "route", "status", "bytes_in", "bytes_out", "seconds"}
  void request(const net::Exchange& exchange);
  // {"time", "kind": "admin", "trace", "peer", "who", "what"}
  void admin(const net::Caller& caller, const std::string& what);

 private:
  AccessLog(Descriptor file, std::function<void()> on_loss);
  void write(const Json& line);
  void work();

  Descriptor file_;
  std::function<void()> on_loss_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> lines_;
  bool ends_ = false;
  std::thread writer_;
};

}  // namespace sightline::serving
