// The HTTP API over one workspace, below /v1/workspace: what the web page uses, and scripts may (docs/web.md).
#pragma once

#include <memory>
#include <vector>

#include "app/web/site.h"
#include "net/http.h"

namespace sightline::web {

// Reading takes Scope::read; what changes anything is a POST and takes Scope::admin.
std::vector<net::Route> workspace_routes(const std::shared_ptr<Site>& site);

}  // namespace sightline::web
