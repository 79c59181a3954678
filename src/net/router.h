// Which route a request is for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace sightline::net {

// A route's pattern in parts (http.h). What does not follow the grammar is a programmer's mistake.
class Pattern {
 public:
  explicit Pattern(const std::string& text);
  // The parameters when the parts of a path (still percent-encoded, so that an encoded slash stays in its part) fit.
  std::optional<std::map<std::string, std::string, std::less<>>> match(const std::vector<std::string>& parts) const;
  std::vector<std::string> names() const;

 private:
  struct Part {
    std::string word;   // literal, or what follows a parameter (":predict")
    std::string name;   // of the parameter; "": none
    bool rest = false;  // takes all that follows
  };
  std::vector<Part> parts_;
};

// What percent-encoding stands for; nothing where it is broken or hides a NUL.
std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_space = false);

// Method, path and query of `target` into the request. Error invalid_data: it is no path, or is encoded wrongly.
Result<void> read_target(std::string_view target, Request& request);

class Router {
 public:
  explicit Router(std::vector<Route> routes);
  struct Found {
    const Route* route = nullptr;  // null: none
    std::string allowed;           // methods that the path has, where the method is not one of them: "GET, POST"
  };
  // Fills request.parameters. HEAD finds GET's route. Of several the first in the list that fits.
  Found find(Request& request, std::string_view target) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
  std::vector<Pattern> patterns_;
};

}  // namespace sightline::net
