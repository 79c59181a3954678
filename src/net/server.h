// An HTTP/1.1 server of routes, over TLS where it has a certificate. Knows no models.
//
// One thread speaks with all clients (a coroutine each); routes are answered on a pool of threads, so that none of them holds up the
// others. What clients can ask for is bounded everywhere: connections, sizes, memory held by bodies, time for each part, requests that
// wait. What is over a bound is answered in words (408, 413, 431, 503 with Retry-After) or, where nobody listens, dropped.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/http.h"
#include "net/tokens.h"

namespace sightline::net {

// A request and what became of it, for logs and metrics.
struct Exchange {
  std::string trace, peer, who, method, path;
  std::string route;  // its pattern; "" where none was found
  int status = 0;     // 0: the client was gone before it was answered
  std::uint64_t bytes_in = 0, bytes_out = 0;
  double seconds = 0;  // from the last byte of the header to the last byte of the answer
};

struct ServerOptions {
  std::string address = "127.0.0.1";  // of an interface; "0.0.0.0": of all
  std::uint16_t port = 0;             // 0: a free one
  int workers = 32;                   // threads of the pool
  std::size_t queue = 256;            // requests that wait for one of them
  std::size_t connections = 1024;
  std::uint64_t most_header = 16 << 10U, most_body = 64 << 20U;  // bytes
  std::uint64_t most_held = 512 << 20U;                          // bytes of all bodies together
  std::chrono::milliseconds header_time{10'000}, body_time{30'000}, answer_time{120'000}, write_time{30'000}, idle_time{75'000};
  std::string certificate, key;  // PEM files; "": no TLS
  Tokens tokens;                 // none: everybody may do everything
  // Names and addresses by which the server may be called, besides its own and those of this machine (Host and Origin are checked while
  // there are no tokens: a page of another site must not reach it through somebody's browser).
  std::vector<std::string> hosts;
  // Without TLS beyond this machine all the same: something in front does it.
  bool plain = false;
  std::function<void(const Exchange&)> on_exchange;  // on the server's thread; must not wait
};

class Server {
 public:
  // Listens; answers once run. Errors: usage (beyond this machine without tokens or TLS), io (port taken, certificate).
  static Result<Server> start(ServerOptions options, std::vector<Route> routes);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();  // drains without patience

  std::uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:8000"

  struct Load {
    std::size_t connections = 0, waiting = 0, working = 0;
    std::uint64_t held = 0;  // bytes of bodies
  };
  Load load() const;

  // No new connections, no further requests on those that are open; what has begun is answered, for at most `patience`. Gives whether all
  // of it was.
  bool drain(std::chrono::milliseconds patience);

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sightline::net
