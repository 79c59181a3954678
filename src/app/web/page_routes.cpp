#include "app/web/page_routes.h"

#include <array>

#include "app/web/page_files.h"
#include "base/sha256.h"

namespace sightline::web {
namespace {

constexpr const char* content_policy =
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

struct FileKind {
  std::string_view ending;
  const char* content_type;
};
constexpr std::array kinds{FileKind{".html", "text/html; charset=utf-8"}, FileKind{".js", "text/javascript; charset=utf-8"},
                           FileKind{".css", "text/css; charset=utf-8"}, FileKind{".svg", "image/svg+xml"}};

std::string content_type_of(std::string_view name) {
  for (const FileKind& kind : kinds)
    if (name.ends_with(kind.ending)) return kind.content_type;
  return "application/octet-stream";
}

net::Route route_of(const PageFile& file, std::string pattern) {
  const std::string tag = "\"" + sha256_of(file.packed).substr(0, 32) + "\"";
  net::Route route = net::answered(
      "GET", std::move(pattern), net::Scope::open, std::string("the web page: ") + file.name,
      [file, tag](const net::Request& request) -> Result<net::Response> {
        net::Response response{.content_type = content_type_of(file.name),
                               .headers = {{"ETag", tag},
                                           {"Cache-Control", "no-cache"},  // asked again each time, answered 304 while it is the same
                                           {"Vary", "Accept-Encoding"},
                                           {"Content-Security-Policy", content_policy},
                                           {"X-Content-Type-Options", "nosniff"},
                                           {"Referrer-Policy", "no-referrer"}}};
        if (request.header("if-none-match").find(tag) != std::string::npos) {
          response.status = 304;
          return response;
        }
        if (request.header("accept-encoding").find("gzip") == std::string::npos) {
          response.status = 406;
          response.content_type = "text/plain; charset=utf-8";
          response.body = "the web page is sent with Content-Encoding: gzip, which this client does not accept\n";
          return response;
        }
        response.headers.emplace_back("Content-Encoding", "gzip");
        response.body = file.packed;
        return response;
      });
  route.quick = true;
  return route;
}

}  // namespace

std::vector<net::Route> page_routes() {
  std::vector<net::Route> routes;
  for (const PageFile& file : page_files()) {
    if (std::string_view(file.name) == "index.html") {
      routes.push_back(route_of(file, "/"));
    } else {
      routes.push_back(route_of(file, std::string("/page/") + file.name));
    }
  }
  return routes;
}

}  // namespace sightline::web
