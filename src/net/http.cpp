#include "net/http.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <array>

#include "base/log.h"
#include "net/router.h"

namespace sightline::net {
namespace {

const std::string nothing;

const std::string& found_in(const std::map<std::string, std::string, std::less<>>& map, std::string_view name) {
  const auto found = map.find(name);
  return found == map.end() ? nothing : found->second;
}

const char* scope_name(Scope scope) {
  switch (scope) {
    case Scope::open: return "open";
    case Scope::read: return "read";
    case Scope::infer: return "infer";
    case Scope::admin: return "admin";
  }
  return "";
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

std::string random_trace() {
  std::array<unsigned char, 16> bytes{};
  RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
  std::string trace;
  for (const unsigned char byte : bytes) trace += fmt::format("{:02x}", byte);
  return trace;
}

}  // namespace

const std::string& Request::header(std::string_view name) const { return found_in(headers, name); }
const std::string& Request::parameter(std::string_view name) const { return found_in(parameters, name); }
const std::string& Request::asked(std::string_view name) const { return found_in(query, name); }

Response json_response(const Json& json, int status) { return {.status = status, .body = json_text(json)}; }

Response error_response(const Error& error) {
  const bool own = error.kind == ErrorKind::internal || error.kind == ErrorKind::io;
  if (own) log_warning("a request failed: {}", error.message);
  Response response =
      json_response({{"error", own ? "the server could not do this; its log says why" : error.message}}, http_status_of(error.kind));
  if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

std::string event_text(const std::string& name, const Json& data) { return fmt::format("event: {}\ndata: {}\n\n", name, json_text(data)); }

std::string trace_of(const std::string& traceparent) {
  if (traceparent.size() >= 55 && traceparent[2] == '-' && traceparent[35] == '-') {
    std::string trace = traceparent.substr(3, 32);
    if (trace.find_first_not_of("0123456789abcdef") == std::string::npos && trace.find_first_not_of('0') != std::string::npos) return trace;
  }
  return random_trace();
}

Reply::Reply(Send send) : send_(std::move(send)) {}

Reply::Reply(Reply&& other) noexcept : send_(std::exchange(other.send_, nullptr)) {}

Reply& Reply::operator=(Reply&& other) noexcept {
  std::swap(send_, other.send_);
  return *this;
}

Reply::~Reply() {
  if (send_) send_(error_response({ErrorKind::internal, "a handler gave no answer"}));
}

void Reply::operator()(Response response) {
  if (const Send send = std::exchange(send_, nullptr)) send(std::move(response));
}

Route answered(std::string method, std::string pattern, Scope scope, std::string summary,
               std::function<Result<Response>(const Request&)> handle) {
  return {.method = std::move(method),
          .pattern = std::move(pattern),
          .scope = scope,
          .summary = std::move(summary),
          .handle = [handle = std::move(handle)](const Request& request, Reply reply) {
            Result<Response> response = handle(request);
            reply(response.ok() ? *std::move(response) : error_response(response.error()));
          }};
}

Json openapi(const std::vector<Route>& routes, const std::string& title, const std::string& version) {
  Json paths = Json::object();
  for (const Route& route : routes) {
    Json operation{{"summary", route.summary}, {"x-scope", scope_name(route.scope)}};
    operation["responses"] = {{"200", {{"description", "the answer"}}}, {"default", {{"$ref", "#/components/responses/error"}}}};
    if (route.scope != Scope::open) operation["security"] = Json::array({{{"token", Json::array()}}});
    const Pattern pattern(route.pattern);
    for (const std::string& name : pattern.names())
      operation["parameters"].push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
    for (const auto& [key, value] : route.described.items()) {
      if (key == "parameters" && operation.contains("parameters")) {
        for (const Json& each : value) operation["parameters"].push_back(each);
      } else {
        operation[key] = value;
      }
    }
    std::string path = route.pattern;
    if (const std::size_t dots = path.find("...}"); dots != std::string::npos) path.erase(dots, 3);
    paths[path][lower(route.method)] = std::move(operation);
  }
  const Json error_schema{{"type", "object"}, {"properties", {{"error", {{"type", "string"}}}}}};
  return {{"openapi", "3.0.3"},
          {"info", {{"title", title}, {"version", version}}},
          {"paths", paths},
          {"components",
           {{"securitySchemes", {{"token", {{"type", "http"}, {"scheme", "bearer"}}}}},
            {"responses",
             {{"error",
               {{"description", "what was wrong, in a sentence"}, {"content", {{"application/json", {{"schema", error_schema}}}}}}}}}}}};
}

}  // namespace sightline::net
