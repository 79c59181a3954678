// ui: the web page over a workspace, for this machine.
#include <chrono>
#include <memory>
#include <thread>

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "app/web/page_routes.h"
#include "app/web/workspace_routes.h"
#include "base/interrupt.h"
#include "base/version.h"
#include "net/server.h"

namespace sightline::cli {
namespace {

struct UiArguments {
  int port = 0;
};

Result<int> run_ui(Console& console, const UiArguments& arguments) {
  if (arguments.port < 0 || arguments.port > 65535) return Error{ErrorKind::usage, "--port is a number from 0 to 65535"};
  SIGHTLINE_TRY(const store::Workspace workspace, existing_workspace(console));
  SIGHTLINE_TRY(const std::shared_ptr<web::Site> site, web::Site::open(workspace.root()));
  std::vector<net::Route> routes = web::workspace_routes(site);
  for (net::Route& route : web::page_routes()) routes.push_back(std::move(route));
  const Json document = net::openapi(routes, "Sightline", version);
  routes.push_back(net::answered("GET", "/openapi.json", net::Scope::open, "this description",
                                 [document](const net::Request&) -> Result<net::Response> { return net::json_response(document); }));
  SIGHTLINE_TRY(net::Server server, net::Server::start({.port = static_cast<std::uint16_t>(arguments.port)}, std::move(routes)));
  console.document({{"url", server.url()}, {"workspace", site->root()}});
  console.say("{}", server.url());
  console.remark("the page of {}; Ctrl-C ends it", site->root());
  console.out.flush();
  while (!interrupt_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  server.drain(std::chrono::seconds(2));
  return 0;
}

Action declare_ui(Arguments& arguments) {
  auto values = std::make_shared<UiArguments>();
  arguments.option("--port", values->port, "N", "where the page is served on this machine; 0: a free port");
  return [values](Console& console) { return run_ui(console, *values); };
}

constexpr Example ui_examples[] = {{"sightline ui", "the page of the workspace .sightline, on a free port"},
                                   {"sightline ui --port 8080 --workspace shop/.sightline", "of another one, on port 8080"}};

}  // namespace

constexpr Verb ui_verb{"ui",
                       Group::look_after,
                       "the web page of a workspace, on this machine",
                       "Prints the page's address and serves it until Ctrl-C: demands and models, figures, data, builds. Only this machine "
                       "can reach it. The page uses the HTTP API that /openapi.json describes.",
                       ui_examples,
                       declare_ui};

}  // namespace sightline::cli
