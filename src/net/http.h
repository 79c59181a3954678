// What an HTTP handler sees and says, and where it hangs. Knows no models and no sockets (server.h has those).
//
//   Route route = net::answered("GET", "/v1/models/{model}", Scope::read, "one model", [&](const Request& request) -> Result<Response> {
//     SIGHTLINE_TRY(const Json model, describe(request.parameter("model")));   // an error becomes its HTTP status and {"error": …}
//     return net::json_response(model);
//   });
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace sightline::net {

// What a token must allow; each includes those before it. open: asked without a token as well.
enum class Scope { open, read, infer, admin };

// Who asks, and under which trace id.
struct Caller {
  std::string peer;   // address of the client
  std::string who;    // name of the token; "" without one
  std::string trace;  // 32 hex digits: of the client's traceparent header, or drawn; stands in the access log and in the answer
};

struct Request {
  std::string method;                                          // "GET"
  std::string path;                                            // percent-decoded, begins with "/", without the query
  std::map<std::string, std::string, std::less<>> query;       // percent-decoded; of equal names the last
  std::map<std::string, std::string, std::less<>> headers;     // names in lower case; of equal names joined by ", "
  std::map<std::string, std::string, std::less<>> parameters;  // of the route's pattern, percent-decoded
  std::string body;
  Caller caller;

  // "" where there is none.
  const std::string& header(std::string_view name) const;
  const std::string& parameter(std::string_view name) const;
  const std::string& asked(std::string_view name) const;  // of the query
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // Instead of a body: server-sent events. Asked about four times a second for what is to be sent next ("": nothing yet), until it gives
  // nothing (nullopt) or the client leaves. Called on a thread of the pool, by one at a time.
  std::function<std::optional<std::string>()> events;
};

Response json_response(const Json& json, int status = 200);
// {"error": "…"} with the status of the error's kind. An internal error's own words stay in the log.
Response error_response(const Error& error);
// One event: "event: NAME", the JSON as "data: …", an empty line.
std::string event_text(const std::string& name, const Json& data);

// The trace id of a W3C traceparent header ("00-TRACE-SPAN-FLAGS"), or a new one.
std::string trace_of(const std::string& traceparent);

// Answers a request once, from any thread. Dropped without an answer it answers 500.
class Reply {
 public:
  using Send = std::function<void(Response)>;
  explicit Reply(Send send);
  Reply(Reply&& other) noexcept;
  Reply& operator=(Reply&& other) noexcept;
  ~Reply();
  void operator()(Response response);

 private:
  Send send_;
};

struct Route {
  std::string method;
  // Parts between slashes: words, "{name}", "{name}:word", and as the last one "{name...}", which takes all the rest.
  std::string pattern;
  Scope scope = Scope::read;
  std::string summary;  // a sentence for /openapi.json
  // Called on the server's own thread when `quick` (must not wait, nor work for more than some tens of microseconds), else on a thread of
  // the pool. May keep the reply and answer later.
  std::function<void(Request, Reply)> handle;
  bool quick = false;
  // More for /openapi.json, laid over what is made from the rest (requestBody, responses, parameters of the query).
  Json described = Json::object();
};

// A route whose handler gives its answer when it returns.
Route answered(std::string method, std::string pattern, Scope scope, std::string summary,
               std::function<Result<Response>(const Request&)> handle);

// The routes as an OpenAPI 3.0 document.
Json openapi(const std::vector<Route>& routes, const std::string& title, const std::string& version);

}  // namespace sightline::net
