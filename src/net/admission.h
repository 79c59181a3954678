// Who may ask for what. With tokens: who holds one that allows it. Without them: who calls the server by a name of this machine, and is no
// page of another site (Host and Origin), so that nobody is reached through his browser (DNS rebinding, cross-site requests).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/http.h"
#include "net/tokens.h"

namespace sightline::net {

// "localhost", "127.0.0.1", "[::1]".
bool is_loopback(const std::string& host);

class Admission {
 public:
  // address: that the server listens on; hosts: further names by which it may be called.
  Admission(Tokens tokens, const std::string& address, std::vector<std::string> hosts);
  // The refusal (401, 403); nothing: the request may go on. Sets who asks.
  std::optional<Response> refused(Request& request, Scope scope) const;

 private:
  bool known(const std::string& host) const;
  Tokens tokens_;
  std::vector<std::string> hosts_;
};

}  // namespace sightline::net
