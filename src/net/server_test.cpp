#include "net/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/files.h"
#include "base/temporary_folder.h"
#include "base/testing.h"
#include "net/client_for_test.h"

namespace sightline::net {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

Json string_of(const std::string& text) { return text; }

std::vector<Route> routes() {
  std::vector<Route> all;
  all.push_back(answered("GET", "/hello/{name}", Scope::read, "greets", [](const Request& request) -> Result<Response> {
    return json_response({{"hello", request.parameter("name")}});
  }));
  all.push_back(answered("POST", "/echo", Scope::infer, "gives back", [](const Request& request) -> Result<Response> {
    return Response{.content_type = "application/octet-stream", .body = request.body};
  }));
  all.push_back(answered("POST", "/change", Scope::admin, "changes",
                         [](const Request& request) -> Result<Response> { return json_response(string_of(request.caller.who)); }));
  all.push_back(
      answered("GET", "/live", Scope::open, "lives", [](const Request&) -> Result<Response> { return json_response(Json::object()); }));
  all.back().quick = true;
  all.push_back(answered("GET", "/slow", Scope::read, "takes its time", [](const Request&) -> Result<Response> {
    std::this_thread::sleep_for(milliseconds(300));
    return json_response(Json::object());
  }));
  all.push_back(answered("GET", "/error", Scope::read, "fails", [](const Request&) -> Result<Response> {
    return Error{ErrorKind::internal, "/secret/path is broken"};
  }));
  all.push_back(answered("GET", "/throws", Scope::read, "fails worse",
                         [](const Request&) -> Result<Response> { throw std::runtime_error("/secret/path"); }));
  all.push_back(answered("GET", "/events", Scope::read, "tells", [](const Request&) -> Result<Response> {
    Response response;
    response.events = [count = 0]() mutable -> std::optional<std::string> {
      if (++count > 3) return std::nullopt;
      return event_text("tick", {{"count", count}});
    };
    return response;
  }));
  return all;
}

Server started(ServerOptions options = {}) {
  auto server = Server::start(std::move(options), routes());
  EXPECT_TRUE(server.ok()) << server.error().message;
  return *std::move(server);
}

std::string get(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
}
std::string post(const std::string& path, const std::string& body, const std::string& more = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(Server, AnswersAndKeepsTheConnection) {
  const Server server = started();
  TestClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(get("/hello/you")));
    const std::string answer = client.answer();
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_EQ(body_of(answer), R"({"hello":"you"})");
    EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff"));
  }
  const std::string body(3'000'000, 'x');
  ASSERT_TRUE(client.send(post("/echo", body)));
  EXPECT_EQ(body_of(client.answer()), body);
  ASSERT_TRUE(client.send("HEAD /hello/you HTTP/1.1\r\nHost: localhost\r\n\r\n" + get("/live")));
  EXPECT_THAT(client.answer(true), HasSubstr("Content-Length: 15"));
  EXPECT_EQ(body_of(client.answer()), "{}");
}

TEST(Server, TakesChunksAndSaysContinue) {
  const Server server = started();
  TestClient client(server.port());
  ASSERT_TRUE(client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  EXPECT_EQ(body_of(client.answer()), "abcde");
  ASSERT_TRUE(client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
  ASSERT_TRUE(client.sees("100 Continue"));
  client.answer();
  ASSERT_TRUE(client.send("ab"));
  EXPECT_EQ(body_of(client.answer()), "ab");
}

TEST(Server, RefusesInWordsWhatIsWrong) {
  ServerOptions options;
  options.most_body = 1000;
  options.most_header = 2000;
  const Server server = started(std::move(options));
  struct Wrong {
    std::string sent;
    int status;
  };
  for (const Wrong& wrong :
       {Wrong{"nonsense\r\n\r\n", 400}, Wrong{get("/nothing"), 404}, Wrong{"DELETE /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
        Wrong{post("/echo", std::string(1001, 'x')), 413}, Wrong{get("/hello/a", "X: " + std::string(3000, 'y') + "\r\n"), 431},
        Wrong{get("/%zz"), 400}, Wrong{get("/hello/%00"), 400}, Wrong{"GET /hello/a HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
        Wrong{get("/hello/a", "Origin: http://evil.example\r\n"), 403}, Wrong{"GET /hello/a HTTP/1.1\r\n\r\n", 403},
        Wrong{"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413},
        Wrong{"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        Wrong{"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400}}) {
    TestClient client(server.port());
    client.send(wrong.sent);
    client.finish_sending();
    const std::string answer = client.all();
    EXPECT_EQ(status_of(answer), wrong.status) << wrong.sent.substr(0, 80) << "\n" << answer;
    EXPECT_THAT(body_of(answer), HasSubstr("error"));
  }
  TestClient client(server.port());
  ASSERT_TRUE(client.send(get("/hello/a", "Origin: http://localhost:8000\r\n")));
  EXPECT_EQ(status_of(client.answer()), 200);
}

TEST(Server, AnErrorTellsNothingOfTheMachine) {
  const Server server = started();
  TestClient client(server.port());
  for (const char* path : {"/error", "/throws"}) {
    ASSERT_TRUE(client.send(get(path)));
    const std::string answer = client.answer();
    EXPECT_EQ(status_of(answer), 500);
    EXPECT_THAT(answer, ::testing::Not(HasSubstr("secret")));
  }
}

TEST(Server, DropsTheSlowAndTheSilent) {
  ServerOptions options;
  options.header_time = milliseconds(200);
  options.body_time = milliseconds(200);
  options.idle_time = milliseconds(200);
  const Server server = started(std::move(options));
  TestClient silent(server.port()), slow(server.port()), half(server.port());
  slow.send("GET /hello/a HT");
  half.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc");
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(silent.all(), "");
  EXPECT_EQ(slow.all(), "");
  EXPECT_EQ(half.all(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
}

TEST(Server, SaysWhenItIsFull) {
  ServerOptions options;
  options.workers = 1;
  options.queue = 1;
  const Server server = started(std::move(options));
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.port()));
    ASSERT_TRUE(clients.back()->send(get("/slow")));
  }
  int full = 0, whole = 0;
  for (auto& client : clients) {
    const std::string answer = client->answer();
    if (status_of(answer) == 200) ++whole;
    if (status_of(answer) == 503) {
      ++full;
      EXPECT_THAT(answer, HasSubstr("Retry-After: 1"));
    }
  }
  EXPECT_GE(whole, 1);
  EXPECT_GE(full, 1);
  EXPECT_EQ(whole + full, 6);
}

TEST(Server, AsksForTokensAndTheirScope) {
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/tokens.json";
  const std::string reader = *add_token(file, "reader", "read"), owner = *add_token(file, "owner", "admin");
  ServerOptions options;
  options.tokens = *Tokens::read(file);
  std::mutex mutex;
  std::vector<Exchange> exchanges;
  options.on_exchange = [&](const Exchange& exchange) {
    const std::scoped_lock lock(mutex);
    exchanges.push_back(exchange);
  };
  const Server server = started(std::move(options));
  const auto status = [&](const std::string& request) {
    TestClient client(server.port());
    client.send(request);
    client.finish_sending();
    return status_of(client.all());
  };
  EXPECT_EQ(status(get("/live")), 200);
  EXPECT_EQ(status(get("/hello/a")), 401);
  EXPECT_EQ(status(get("/hello/a", "Authorization: Bearer wrong\r\n")), 401);
  EXPECT_EQ(status(get("/hello/a", "Authorization: Bearer " + reader + "\r\n")), 200);
  EXPECT_EQ(status(post("/echo", "x", "Authorization: Bearer " + reader + "\r\n")), 403);
  EXPECT_EQ(status(post("/change", "x",
                        "Authorization: Bearer " + owner + "\r\ntraceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\n")),
            200);
  const std::scoped_lock lock(mutex);
  ASSERT_EQ(exchanges.size(), 6U);
  EXPECT_EQ(exchanges[5].who, "owner");
  EXPECT_EQ(exchanges[5].trace, "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(exchanges[5].route, "/change");
  EXPECT_EQ(exchanges[1].status, 401);
}

TEST(Server, IsNotOpenToOthersWithoutTokensAndTls) {
  ServerOptions options;
  options.address = "0.0.0.0";
  EXPECT_EQ(Server::start(options, routes()).error().kind, ErrorKind::usage);
  const TemporaryFolder folder;
  ASSERT_TRUE(add_token(folder.path() + "/t", "a", "read").ok());
  options.tokens = *Tokens::read(folder.path() + "/t");
  EXPECT_THAT(Server::start(options, routes()).error().message, HasSubstr("--certificate"));
  options.certificate = options.key = folder.path() + "/missing.pem";
  EXPECT_EQ(Server::start(options, routes()).error().kind, ErrorKind::io);
  ServerOptions taken;
  const Server server = started();
  taken.port = server.port();
  EXPECT_THAT(Server::start(taken, routes()).error().message, HasSubstr("cannot listen"));
}

TEST(Server, SendsEventsUntilThereAreNoMore) {
  const Server server = started();
  TestClient client(server.port());
  ASSERT_TRUE(client.send(get("/events")));
  const std::string all = client.all();
  EXPECT_THAT(all, HasSubstr("text/event-stream"));
  EXPECT_THAT(all, HasSubstr("event: tick\ndata: {\"count\":3}\n\n"));
  EXPECT_THAT(all, HasSubstr("\r\n0\r\n\r\n"));
}

TEST(Server, DrainsWhatHasBegun) {
  Server server = started();
  TestClient busy(server.port()), idle(server.port());
  ASSERT_TRUE(idle.send(get("/live")));
  EXPECT_EQ(status_of(idle.answer()), 200);
  ASSERT_TRUE(busy.send(get("/slow")));
  std::this_thread::sleep_for(milliseconds(100));
  const std::uint16_t port = server.port();
  EXPECT_TRUE(server.drain(std::chrono::seconds(10)));
  const std::string answer = busy.all();
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_EQ(idle.all(), "");
  EXPECT_FALSE(TestClient(port).connected());
}

TEST(Server, LosesNothingWhenClientsLeave) {
  const Server server = started();
  for (int i = 0; i < 50; ++i) {
    TestClient client(server.port());
    client.send(i % 2 == 0 ? get("/slow") : "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc");
  }
  TestClient client(server.port());
  ASSERT_TRUE(client.send(get("/hello/a")));
  EXPECT_EQ(status_of(client.answer()), 200);
  for (int i = 0; i < 200 && server.load().connections > 1; ++i) std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(server.load().connections, 1U);
  EXPECT_EQ(server.load().held, 0U);
}

}  // namespace
}  // namespace sightline::net
