#include "net/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/log.h"
#include "net/admission.h"
#include "net/beast.h"
#include "net/router.h"

namespace sightline::net {
namespace {

using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds event_interval{250};
constexpr std::uint64_t least_rate = 100'000;  // bytes a second that a client must keep up beyond the time it always has

Response refusal(int status, const std::string& words) { return json_response({{"error", words}}, status); }

Response try_later(const std::string& words) {
  Response response = refusal(503, words);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace

struct Server::State {
  ServerOptions options;
  Router router;
  Admission admission;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  std::optional<asio::ssl::context> tls;
  asio::thread_pool pool;
  std::thread speaker;
  std::atomic<bool> draining = false;
  std::atomic<std::size_t> open = 0, waiting = 0, working = 0, answering = 0;
  std::atomic<std::uint64_t> held = 0;

  // A connection as the drain sees it; touched by the speaker alone.
  struct Live {
    tcp::socket* socket;
    bool idle = true;
  };
  std::set<Live*> live;

  State(ServerOptions given, std::vector<Route> routes)
      : options(std::move(given)),
        router(std::move(routes)),
        admission(options.tokens, options.address, options.hosts),
        pool(static_cast<std::size_t>(std::max(1, options.workers))) {}

  // Bytes of a body for as long as they are held.
  class Hold {
   public:
    Hold(State& state, std::uint64_t bytes) : state_(state), bytes_(bytes) { state_.held += bytes; }
    ~Hold() { state_.held -= bytes_; }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    State& state_;
    std::uint64_t bytes_;
  };

  // A request that has begun, for the drain.
  class Answering {
   public:
    explicit Answering(State& state) : state_(state) { ++state_.answering; }
    ~Answering() { --state_.answering; }
    Answering(const Answering&) = delete;
    Answering& operator=(const Answering&) = delete;

   private:
    State& state_;
  };

  std::chrono::milliseconds time_for(std::chrono::milliseconds always, std::uint64_t bytes) const {
    return always + std::chrono::milliseconds(bytes * 1000 / least_rate);
  }

  struct Waiting {
    explicit Waiting(asio::io_context& io) : timer(io) {}
    asio::steady_timer timer;
    std::optional<Response> response;
  };

  // Runs work on the pool and lets the caller wait for its response, or for the time to be over (nothing).
  asio::awaitable<std::optional<Response>> await_response(const std::function<void(Reply)>& work, bool quick) {
    auto answer = std::make_shared<Waiting>(io);
    answer->timer.expires_after(options.answer_time);
    Reply reply([this, answer](Response response) {
      asio::post(io, [answer, response = std::move(response)]() mutable {
        answer->response = std::move(response);
        answer->timer.cancel();
      });
    });
    if (quick) {
      work(std::move(reply));
    } else {
      ++waiting;
      asio::post(pool, [this, work, reply = std::move(reply)]() mutable {
        --waiting;
        ++working;
        try {
          work(std::move(reply));
        } catch (const std::exception& error) {
          log_warning("a handler failed: {}", error.what());  // the dropped reply answers 500
        }
        --working;
      });
    }
    error_code ignored;
    if (!answer->response) co_await answer->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_return std::move(answer->response);
  }

  template <class Stream>
  asio::awaitable<bool> write_events(Stream& stream, http::response<http::empty_body>& head, Response& response, Exchange& exchange) {
    head.set(http::field::content_type, "text/event-stream");
    head.set(http::field::cache_control, "no-store");
    head.chunked(true);
    http::response_serializer<http::empty_body> serializer(head);
    error_code error;
    beast::get_lowest_layer(stream).expires_after(options.write_time);
    co_await http::async_write_header(stream, serializer, asio::redirect_error(asio::use_awaitable, error));
    const auto events = std::make_shared<std::function<std::optional<std::string>()>>(response.events);
    auto quiet_since = Clock::now();
    while (!error && !draining) {
      // The text travels in a response's body.
      const std::function<void(Reply)> ask = [events](Reply reply) {
        std::optional<std::string> text = (*events)();
        Response said{.status = text ? 200 : 204};
        if (text) said.body = *std::move(text);
        reply(std::move(said));
      };
      const std::optional<Response> told = co_await await_response(ask, false);
      if (!told || told->status != 200) break;
      std::string text = told->body;
      if (text.empty() && Clock::now() - quiet_since > std::chrono::seconds(15)) text = ": still here\n\n";  // finds out who has left
      if (!text.empty()) {
        quiet_since = Clock::now();
        beast::get_lowest_layer(stream).expires_after(options.write_time);
        exchange.bytes_out += text.size();
        co_await asio::async_write(stream, http::make_chunk(asio::buffer(text)), asio::redirect_error(asio::use_awaitable, error));
      }
      if (error) break;
      asio::steady_timer pause(io, event_interval);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
    if (!error) co_await asio::async_write(stream, http::make_chunk_last(), asio::redirect_error(asio::use_awaitable, error));
    co_return false;
  }

  // Gives whether the connection goes on.
  template <class Stream>
  asio::awaitable<bool> write_response(Stream& stream, Response& response, bool keep, bool head_only, Exchange& exchange) {
    http::response<http::string_body> message;
    message.version(11);
    message.result(static_cast<unsigned>(response.status));
    for (const auto& [name, value] : response.headers) message.insert(name, value);
    message.set("X-Content-Type-Options", "nosniff");
    if (!exchange.trace.empty()) message.set("X-Trace-Id", exchange.trace);
    message.keep_alive(keep);
    exchange.status = response.status;
    if (response.events && !head_only) {
      http::response<http::empty_body> head(std::move(message.base()));
      head.keep_alive(false);
      const bool go_on = co_await write_events(stream, head, response, exchange);
      co_return go_on;
    }
    if (response.status != 204 && response.status != 304) message.set(http::field::content_type, response.content_type);
    const std::size_t size = response.body.size();
    if (!head_only) message.body() = std::move(response.body);
    message.prepare_payload();
    if (head_only) message.content_length(size);
    exchange.bytes_out += size;
    beast::get_lowest_layer(stream).expires_after(time_for(options.write_time, size));
    error_code error;
    co_await http::async_write(stream, message, asio::redirect_error(asio::use_awaitable, error));
    if (error) exchange.status = 0;
    co_return !error && keep;
  }

  template <class Stream>
  asio::awaitable<bool> refuse(Stream& stream, Response& response, Exchange& exchange) {
    co_await write_response(stream, response, false, false, exchange);
    // What the client still sends is read for a moment: a connection that is reset would take the answer with it.
    std::array<char, 4096> rest{};
    beast::get_lowest_layer(stream).expires_after(std::chrono::milliseconds(500));
    error_code error;
    beast::get_lowest_layer(stream).socket().shutdown(tcp::socket::shutdown_send, error);
    std::size_t most = 1U << 20U;
    while (!error && most > 0) {
      const std::size_t got =
          co_await beast::get_lowest_layer(stream).async_read_some(asio::buffer(rest), asio::redirect_error(asio::use_awaitable, error));
      most -= std::min(most, got);
    }
    co_return false;
  }

  template <class Parser>
  static void copy_header(const Parser& parser, Request& request) {
    request.method = std::string(parser.method_string());
    for (const auto& each : parser.base()) {
      std::string name(each.name_string());
      for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      std::string& value = request.headers[name];
      if (!value.empty()) value += ", ";
      value += std::string(each.value());
    }
  }

  // One request and its answer; gives whether there may be another.
  template <class Stream>
  asio::awaitable<bool> exchange_one(Stream& stream, beast::flat_buffer& buffer, Live& connection, const std::string& peer) {
    error_code error;
    if (buffer.size() == 0) {
      connection.idle = true;
      beast::get_lowest_layer(stream).expires_after(options.idle_time);
      const std::size_t got = co_await stream.async_read_some(buffer.prepare(4096), asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return false;
      buffer.commit(got);
    }
    if (draining) co_return false;
    connection.idle = false;

    Exchange exchange{.peer = peer};
    http::request_parser<http::empty_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(options.most_header));
    parser.body_limit(options.most_body);
    beast::get_lowest_layer(stream).expires_after(options.header_time);
    co_await http::async_read_header(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    const auto begun = Clock::now();
    // A client that says so little, or is gone, is not spoken to.
    if (error == beast::error::timeout || error == http::error::end_of_stream || error == asio::error::eof ||
        error == asio::error::connection_reset)
      co_return false;
    bool keep = false;
    if (error) {
      Response response = error == http::error::header_limit ? refusal(431, "the request's header is too large")
                          : error == http::error::body_limit ? too_large()
                                                             : refusal(400, "this is not an HTTP/1.1 request");
      keep = co_await refuse(stream, response, exchange);
    } else {
      keep = co_await answer_one(stream, buffer, parser, exchange);
    }
    exchange.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    if (options.on_exchange) options.on_exchange(exchange);
    co_return keep;
  }

  Response too_large() const { return refusal(413, fmt::format("the request's body is larger than {} bytes", options.most_body)); }

  // What is wrong with a request, as far as its header tells; nothing: its body may be taken. Who may not is told before a body is taken
  // from him.
  std::optional<Response> refused_early(Request& request, const std::string& target, unsigned version, std::uint64_t expected,
                                        const Route*& route) const {
    if (version != 11 && version != 10) return refusal(505, "HTTP/1.1 is spoken here");
    if (const Result<void> read = read_target(target, request); !read.ok()) return refusal(400, read.error().message);
    const Router::Found found = router.find(request, target);
    route = found.route;
    if (expected > options.most_body) return too_large();
    if (route == nullptr && found.allowed.empty()) return refusal(404, "there is nothing at this path");
    if (route == nullptr) {
      Response response = refusal(405, "this path has other methods");
      response.headers.emplace_back("Allow", found.allowed);
      return response;
    }
    if (std::optional<Response> away = admission.refused(request, route->scope)) return away;
    if (expected > 0 && held + expected > std::max(options.most_held, expected))
      return try_later("the server holds as many requests as it can");
    if (waiting >= options.queue && !route->quick) return try_later("too many requests wait already");
    return std::nullopt;
  }

  // A body whose length is known goes from the socket to where it stays: nothing between copies it.
  template <class Stream>
  asio::awaitable<void> read_whole(Stream& stream, beast::flat_buffer& buffer, std::uint64_t length, std::string& body, error_code& error) {
    body.resize(length);
    std::size_t at = asio::buffer_copy(asio::buffer(body), buffer.data());
    buffer.consume(at);
    while (at < length && !error)
      at += co_await stream.async_read_some(asio::buffer(body.data() + at, length - at), asio::redirect_error(asio::use_awaitable, error));
  }

  template <class Stream>
  asio::awaitable<void> read_chunks(Stream& stream, beast::flat_buffer& buffer, http::request_parser<http::empty_body>& head,
                                    std::string& body, error_code& error) {
    http::request_parser<http::string_body> parser(std::move(head));
    parser.body_limit(options.most_body);
    co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    body = std::move(parser.get().body());
  }

  template <class Stream>
  asio::awaitable<bool> answer_one(Stream& stream, beast::flat_buffer& buffer, http::request_parser<http::empty_body>& parser,
                                   Exchange& exchange) {
    auto request = std::make_shared<Request>();
    copy_header(parser.get(), *request);
    request->caller.peer = exchange.peer;
    request->caller.trace = exchange.trace = trace_of(request->header("traceparent"));
    exchange.method = request->method;
    const std::string target(parser.get().target());
    exchange.path = target.substr(0, target.find('?'));
    const auto length = parser.content_length();
    const std::uint64_t expected = length ? *length : (parser.chunked() ? options.most_body : 0);
    const Route* route = nullptr;
    std::optional<Response> response = refused_early(*request, target, parser.get().version(), expected, route);
    if (route != nullptr) exchange.route = route->pattern;
    exchange.who = request->caller.who;
    const bool bodiless = parser.is_done(), head_only = request->method == "HEAD";
    if (response && !bodiless) {
      const bool refused = co_await refuse(stream, *response, exchange);
      co_return refused;
    }
    const bool keep = parser.keep_alive();
    if (response) {
      const bool go_on = co_await write_response(stream, *response, keep, head_only, exchange);
      co_return go_on;
    }

    const Hold hold(*this, expected);
    if (!bodiless) {
      error_code error;
      beast::get_lowest_layer(stream).expires_after(time_for(options.body_time, length ? *length : 0));
      if (request->header("expect") == "100-continue") {
        const std::string go = "HTTP/1.1 100 Continue\r\n\r\n";
        co_await asio::async_write(stream, asio::buffer(go), asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return false;
      }
      if (length) {
        co_await read_whole(stream, buffer, *length, request->body, error);
      } else {
        co_await read_chunks(stream, buffer, parser, request->body, error);
      }
      if (error == beast::error::timeout || error == http::error::end_of_stream || error == http::error::partial_message ||
          error == asio::error::eof || error == asio::error::connection_reset)
        co_return false;
      if (error) {
        Response wrong = error == http::error::body_limit ? too_large() : refusal(400, "the request's body is not what its header says");
        const bool refused = co_await refuse(stream, wrong, exchange);
        co_return refused;
      }
    }
    exchange.bytes_in = request->body.size();

    const Answering begun(*this);
    beast::get_lowest_layer(stream).expires_never();
    std::function<void(Reply)> work = [route, request](Reply reply) { route->handle(std::move(*request), std::move(reply)); };
    response = co_await await_response(work, route->quick);
    if (!response) response = refusal(503, "the answer took too long");
    const bool go_on = co_await write_response(stream, *response, keep && !draining, head_only, exchange);
    co_return go_on;
  }

  template <class Stream>
  asio::awaitable<void> converse(Stream stream, std::string peer) {
    Live connection{&beast::get_lowest_layer(stream).socket()};
    live.insert(&connection);
    error_code error;
    if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) {
      beast::get_lowest_layer(stream).expires_after(options.header_time);
      co_await stream.async_handshake(asio::ssl::stream_base::server, asio::redirect_error(asio::use_awaitable, error));
    }
    try {
      beast::flat_buffer buffer;
      while (!error && co_await exchange_one(stream, buffer, connection, peer)) {
      }
    } catch (const std::exception& caught) {
      log_warning("a connection failed: {}", caught.what());
    }
    if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) {
      if (!error) {
        beast::get_lowest_layer(stream).expires_after(std::chrono::seconds(1));
        co_await stream.async_shutdown(asio::redirect_error(asio::use_awaitable, error));
      }
    }
    beast::get_lowest_layer(stream).socket().shutdown(tcp::socket::shutdown_both, error);
    live.erase(&connection);
    --open;
  }

  asio::awaitable<void> listen() {
    while (!draining) {
      error_code error;
      tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (draining || error == asio::error::operation_aborted) break;
      if (error) {  // out of descriptors, most likely
        asio::steady_timer pause(io, std::chrono::milliseconds(100));
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      if (open >= options.connections) continue;  // closes it
      ++open;
      socket.set_option(tcp::no_delay(true), error);
      const auto endpoint = socket.remote_endpoint(error);
      std::string peer = error ? "" : endpoint.address().to_string();
      if (tls) {
        asio::co_spawn(io, converse(beast::ssl_stream<beast::tcp_stream>(beast::tcp_stream(std::move(socket)), *tls), std::move(peer)),
                       asio::detached);
      } else {
        asio::co_spawn(io, converse(beast::tcp_stream(std::move(socket)), std::move(peer)), asio::detached);
      }
    }
  }

  void close_idle() {
    for (const Live* connection : live) {
      error_code ignored;
      if (connection->idle) connection->socket->close(ignored);
    }
  }

  bool drain(std::chrono::milliseconds patience) {
    if (!speaker.joinable()) return true;
    draining = true;
    asio::post(io, [this] {
      error_code ignored;
      acceptor.close(ignored);
      close_idle();
    });
    const auto until = Clock::now() + patience;
    while ((answering > 0 || waiting > 0 || working > 0) && Clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const bool whole = answering == 0;
    pool.stop();
    pool.join();
    io.stop();
    speaker.join();
    return whole;
  }
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;

Server::~Server() {
  if (state_) state_->drain(std::chrono::milliseconds(0));
}

Result<Server> Server::start(ServerOptions options, std::vector<Route> routes) {
  const bool loopback = is_loopback(options.address);
  const bool tls = !options.certificate.empty();
  if (tls != !options.key.empty()) return Error{ErrorKind::usage, "a certificate and its key go together"};
  if (!loopback && options.tokens.empty())
    return Error{ErrorKind::usage,
                 fmt::format("{} is open to others: tokens are wanted (`sightline token add NAME`, then --tokens FILE)", options.address)};
  if (!loopback && !tls && !options.plain)
    return Error{ErrorKind::usage, fmt::format("{} is open to others: --certificate and --key are wanted, or --plain where something in "
                                               "front of the server speaks TLS",
                                               options.address)};
  auto state = std::make_unique<State>(std::move(options), std::move(routes));
  const ServerOptions& with = state->options;
  if (tls) {
    error_code error;
    state->tls.emplace(asio::ssl::context::tls_server);
    state->tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 | asio::ssl::context::no_sslv3 |
                            asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1 | asio::ssl::context::single_dh_use);
    state->tls->use_certificate_chain_file(with.certificate, error);
    if (error) return Error{ErrorKind::io, fmt::format("{}: no certificate in PEM could be read: {}", with.certificate, error.message())};
    state->tls->use_private_key_file(with.key, asio::ssl::context::pem, error);
    if (error) return Error{ErrorKind::io, fmt::format("{}: no key in PEM that fits the certificate: {}", with.key, error.message())};
  }
  error_code error;
  const auto address = asio::ip::make_address(with.address == "localhost" ? "127.0.0.1" : with.address, error);
  if (error) return Error{ErrorKind::usage, fmt::format("\"{}\" is no address: 127.0.0.1, 0.0.0.0 or that of an interface", with.address)};
  const tcp::endpoint endpoint(address, with.port);
  state->acceptor.open(endpoint.protocol(), error);
  if (!error) state->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) state->acceptor.bind(endpoint, error);
  if (!error) state->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    return Error{ErrorKind::io,
                 fmt::format("cannot listen on {}:{}: {}; --port 0 takes a free one", with.address, with.port, error.message())};
  State* raw = state.get();
  asio::co_spawn(raw->io, raw->listen(), asio::detached);
  raw->speaker = std::thread([raw] { raw->io.run(); });
  return Server(std::move(state));
}

std::uint16_t Server::port() const {
  error_code ignored;
  return state_->acceptor.local_endpoint(ignored).port();
}

std::string Server::url() const {
  const std::string& address = state_->options.address;
  return fmt::format("{}://{}:{}", state_->tls ? "https" : "http", address.find(':') == std::string::npos ? address : "[" + address + "]",
                     port());
}

Server::Load Server::load() const { return {state_->open, state_->waiting, state_->working, state_->held}; }

bool Server::drain(std::chrono::milliseconds patience) { return state_->drain(patience); }

}  // namespace sightline::net
