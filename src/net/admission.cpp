#include "net/admission.h"

#include <arpa/inet.h>

#include <algorithm>

namespace sightline::net {
namespace {

// "host:port" without the port, "[::1]:80" as "[::1]".
std::string without_port(const std::string& host) {
  const std::size_t colon = host.rfind(':');
  if (colon == std::string::npos || host.find(']', colon) != std::string::npos) return host;
  return host.substr(0, colon);
}

Response refusal(int status, const char* words) { return json_response({{"error", words}}, status); }

}  // namespace

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  in_addr four{};
  if (::inet_pton(AF_INET, host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24U == 127;
  in6_addr six{};
  const std::string bare = host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
  return ::inet_pton(AF_INET6, bare.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

Admission::Admission(Tokens tokens, const std::string& address, std::vector<std::string> hosts)
    : tokens_(std::move(tokens)), hosts_(std::move(hosts)) {
  hosts_.push_back(address);
}

bool Admission::known(const std::string& host) const {
  const std::string name = without_port(host);
  return is_loopback(name) || std::ranges::find(hosts_, name) != hosts_.end();
}

std::optional<Response> Admission::refused(Request& request, Scope scope) const {
  if (tokens_.empty()) {
    if (!known(request.header("host"))) return refusal(403, "this server is not called by this name; --host NAME lets it be");
    const std::string& origin = request.header("origin");
    const std::size_t slashes = origin.find("://");
    if (!origin.empty() && (slashes == std::string::npos || !known(origin.substr(slashes + 3))))
      return refusal(403, "a page of another site may not ask this server");
    return std::nullopt;
  }
  const auto holder = tokens_.holder(request.header("authorization"));
  if (holder) request.caller.who = holder->name;
  if (scope == Scope::open) return std::nullopt;
  if (!holder) {
    Response response = refusal(401, "a token is wanted: Authorization: Bearer SECRET");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  if (holder->scope < scope) return refusal(403, "this token does not allow that");
  return std::nullopt;
}

}  // namespace sightline::net
