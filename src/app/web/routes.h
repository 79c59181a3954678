// How this folder's routes are written down. Internal: others include workspace_routes.h.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/web/site.h"
#include "base/json.h"
#include "net/http.h"

namespace sightline::web {

// A route that answers with JSON.
void add_json_route(std::vector<net::Route>& routes, const char* method, const char* pattern, net::Scope scope, const char* summary,
                    std::function<Result<Json>(const net::Request&)> answer);

// For /openapi.json: parameters of the query with what they say; keys of the JSON object that is sent, with their types.
void describe_query(net::Route& route, std::initializer_list<std::pair<const char*, const char*>> parameters);
void describe_body(net::Route& route, std::initializer_list<std::pair<const char*, const char*>> keys);

void add_model_routes(std::vector<net::Route>& routes, const std::shared_ptr<Site>& site);  // model_routes.cpp
void add_data_routes(std::vector<net::Route>& routes, const std::shared_ptr<Site>& site);   // data_routes.cpp
void add_build_routes(std::vector<net::Route>& routes, const std::shared_ptr<Site>& site);  // build_routes.cpp

}  // namespace sightline::web
