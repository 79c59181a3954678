// A client that says exactly what a test wants it to, wrong things too.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/files.h"

namespace sightline::net {

class TestClient {
 public:
  explicit TestClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval limit{20, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  bool connected() const { return connected_; }
  bool send(std::string_view text) {
    return ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  void finish_sending() { ::shutdown(socket_.get(), SHUT_WR); }
  // Until the other side closes.
  std::string all() {
    while (more()) {
    }
    return std::exchange(text_, "");
  }
  // One answer with a Content-Length (header and body), or what came before the end.
  std::string answer(bool bodiless = false) {
    while (true) {
      const std::size_t head = text_.find("\r\n\r\n");
      if (head != std::string::npos) {
        const std::size_t body = bodiless ? 0 : length_in(std::string_view(text_).substr(0, head));
        const std::size_t size = head + 4 + body;
        if (text_.size() >= size) {
          std::string one = text_.substr(0, size);
          text_.erase(0, size);
          return one;
        }
      }
      if (!more()) return std::exchange(text_, "");
    }
  }
  // Until this was seen.
  bool sees(std::string_view words) {
    while (text_.find(words) == std::string::npos) {
      if (!more()) return false;
    }
    return true;
  }

 private:
  static std::size_t length_in(std::string_view head) {
    constexpr std::string_view name = "\r\ncontent-length: ";
    for (std::size_t at = 0; at + name.size() < head.size(); ++at) {
      std::size_t k = 0;
      while (k < name.size() && (head[at + k] == name[k] || head[at + k] + ('a' - 'A') == name[k])) ++k;
      if (k == name.size()) return std::stoull(std::string(head.substr(at + k, 20)));
    }
    return 0;
  }
  bool more() {
    char buffer[65536];
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    text_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }
  Descriptor socket_;
  bool connected_ = false;
  std::string text_;
};

inline int status_of(const std::string& answer) { return answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : 0; }
inline std::string body_of(const std::string& answer) {
  const std::size_t head = answer.find("\r\n\r\n");
  return head == std::string::npos ? "" : answer.substr(head + 4);
}

}  // namespace sightline::net
