#include "app/web/builds.h"
#include "app/web/routes.h"

namespace sightline::web {
namespace {

constexpr int kKeepAlive = 40;  // calls without news after which a comment is sent: about ten seconds

// The state of a build whenever it changes, until it has ended.
std::function<std::optional<std::string>()> events_of(const std::shared_ptr<Builds>& builds, const std::string& name) {
  struct Told {
    std::string stamp;
    int quiet = 0;
    bool ended = false;
  };
  return [builds, name, told = std::make_shared<Told>()]() -> std::optional<std::string> {
    if (told->ended) return std::nullopt;
    const std::string stamp = builds->stamp(name);
    // A process that dies changes nothing: now and then it is looked at all the same.
    if (stamp == told->stamp && ++told->quiet % kKeepAlive != 0) return "";
    told->stamp = stamp;
    const Result<Json> state = builds->state(name);
    if (!state.ok()) {
      told->ended = true;
      return net::event_text("problem", {{"error", state.error().message}});
    }
    told->ended = state->value("outcome", "") != "running" && !state->value("here", false);
    return net::event_text("state", *state);
  };
}

}  // namespace

void add_build_routes(std::vector<net::Route>& routes, const std::shared_ptr<Site>& site) {
  const auto builds = std::make_shared<Builds>(site);
  add_json_route(routes, "GET", "/v1/workspace/demands", net::Scope::read, "the demand and fleet files beside the workspace",
                 [builds](const net::Request&) -> Result<Json> { return builds->demands(); });
  add_json_route(routes, "POST", "/v1/workspace/builds", net::Scope::admin,
                 "start to build a demand; one that was stopped goes on where it was",
                 [builds](const net::Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const Json json, parse_json(request.body, "the request"));
                   std::string file;
                   if (json.is_object() && json.contains("file")) SIGHTLINE_CHECK(from_json(json.at("file"), file, "file"));
                   return builds->start(file);
                 });
  describe_body(routes.back(), {{"file", "string"}});
  add_json_route(routes, "POST", "/v1/workspace/builds/{name}:cancel", net::Scope::admin,
                 "ask a build that was started here to stop at the next safe point; nothing that is done is lost",
                 [builds](const net::Request& request) { return builds->cancel(request.parameter("name")); });
  add_json_route(routes, "GET", "/v1/workspace/builds/{name}", net::Scope::read,
                 "what the last build of a demand says of itself: steps, how far it is, epochs, candidates, outcome",
                 [builds](const net::Request& request) { return builds->state(request.parameter("name")); });
  routes.push_back(net::answered("GET", "/v1/workspace/builds/{name}/events", net::Scope::read,
                                 "the same as server-sent events (\"state\"), whenever it changes, until the build has ended",
                                 [builds](const net::Request& request) -> Result<net::Response> {
                                   const std::string& name = request.parameter("name");
                                   SIGHTLINE_CHECK(store::check_release_name(name));
                                   SIGHTLINE_TRY(const Json now, builds->state(name));
                                   net::Response response{.content_type = "text/event-stream", .headers = {{"Cache-Control", "no-store"}}};
                                   response.events = events_of(builds, name);
                                   return response;
                                 }));
}

}  // namespace sightline::web
