#include "app/web/workspace_routes.h"

#include "app/web/overview.h"
#include "app/web/routes.h"

namespace sightline::web {

void add_json_route(std::vector<net::Route>& routes, const char* method, const char* pattern, net::Scope scope, const char* summary,
                    std::function<Result<Json>(const net::Request&)> answer) {
  routes.push_back(
      net::answered(method, pattern, scope, summary, [answer = std::move(answer)](const net::Request& request) -> Result<net::Response> {
        SIGHTLINE_TRY(const Json json, answer(request));
        return net::json_response(json);
      }));
}

void describe_query(net::Route& route, std::initializer_list<std::pair<const char*, const char*>> parameters) {
  for (const auto& [name, says] : parameters)
    route.described["parameters"].push_back(
        {{"name", name}, {"in", "query"}, {"required", false}, {"description", says}, {"schema", {{"type", "string"}}}});
}

void describe_body(net::Route& route, std::initializer_list<std::pair<const char*, const char*>> keys) {
  Json properties = Json::object();
  for (const auto& [name, type] : keys) properties[name] = {{"type", type}};
  const Json schema{{"type", "object"}, {"properties", properties}};
  route.described["requestBody"] = {{"content", {{"application/json", {{"schema", schema}}}}}};
}

std::vector<net::Route> workspace_routes(const std::shared_ptr<Site>& site) {
  std::vector<net::Route> routes;
  add_json_route(routes, "GET", "/v1/workspace/about", net::Scope::read, "the workspace's name and the program's version",
                 [site](const net::Request&) -> Result<Json> { return about(*site); });
  add_json_route(routes, "GET", "/v1/workspace", net::Scope::read,
                 "the models of the workspace with target, measured value and state; its fleets; the last runs",
                 [site](const net::Request&) { return overview(*site); });
  add_model_routes(routes, site);
  add_data_routes(routes, site);
  add_build_routes(routes, site);
  return routes;
}

}  // namespace sightline::web
