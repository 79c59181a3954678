// The web page as routes: / and /page/FILE. It needs no token: what it shows it asks of the HTTP API like any script.
#pragma once

#include <vector>

#include "net/http.h"

namespace sightline::web {

// Compressed, with ETag, and with a Content-Security-Policy that allows only this server's own files. A client that takes no gzip is told
// so (406): every browser does.
std::vector<net::Route> page_routes();

}  // namespace sightline::web
