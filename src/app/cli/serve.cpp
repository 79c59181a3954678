// serve: released models behind HTTP, with the web page of their workspace. ui: the same for looking at. token: who may ask when others can
// reach the server.
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "app/web/page_routes.h"
#include "app/web/workspace_routes.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/text.h"
#include "base/version.h"
#include "net/grpc_server.h"
#include "net/server.h"
#include "serving/access_log.h"
#include "serving/service.h"

namespace sightline::cli {
namespace {

using std::chrono::milliseconds;

struct ServeArguments {
  std::string models, address = "127.0.0.1", certificate, key, tokens, log;
  std::vector<std::string> hosts;
  std::optional<std::int64_t> grpc_port;
  int port = 8000, threads = 0, batch = 16, workers = 32, at_once = 256;
  double memory_mb = 0, body_mb = 64, pixels_m = 50, drain_s = 30;
  bool plain = false, unchecked = false;
};

Result<void> check(const ServeArguments& arguments) {
  if (arguments.port < 0 || arguments.port > 65535) return Error{ErrorKind::usage, "--port lies between 0 (a free one) and 65535"};
  if (arguments.grpc_port && (*arguments.grpc_port < 0 || *arguments.grpc_port > 65535))
    return Error{ErrorKind::usage, "--grpc-port lies between 0 (a free one) and 65535"};
  if (arguments.threads < 0 || arguments.batch < 1 || arguments.workers < 1 || arguments.at_once < 1)
    return Error{ErrorKind::usage, "--threads is at least 0; --batch, --workers and --at-once are at least 1"};
  if (!(arguments.memory_mb >= 0 && arguments.body_mb > 0 && arguments.pixels_m > 0 && arguments.drain_s >= 0))
    return Error{ErrorKind::usage, "--memory, --body, --pixels and --drain are sizes and times above 0"};
  return {};
}

Result<serving::Catalogue> catalogue_of(const Console& console, const ServeArguments& arguments, std::string& source) {
  if (!arguments.models.empty()) {
    source = arguments.models;
    return serving::folder_catalogue(arguments.models);
  }
  source = workspace_root(console);
  SIGHTLINE_CHECK(existing_workspace(console));  // says how one comes to be
  return serving::workspace_catalogue(source);
}

// Looks for new releases about once a second until told to end.
class Watcher {
 public:
  explicit Watcher(serving::Repository& repository)
      : thread_([this, &repository] {
          std::string last;
          for (int beat = 0; !ends_; ++beat) {
            std::this_thread::sleep_for(milliseconds(100));
            if (beat % 10 != 9) continue;
            const Result<void> status = repository.refresh();
            const std::string problem = status.ok() ? "" : status.error().message;
            if (!problem.empty() && problem != last) log_warning("the models cannot be listed, those that are known go on: {}", problem);
            last = problem;
          }
        }) {}
  ~Watcher() {
    ends_ = true;
    thread_.join();
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 private:
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

Result<int> run_serve(Console& console, const ServeArguments& arguments) {
  SIGHTLINE_CHECK(check(arguments));
  constexpr double mega = 1e6;
  std::string source;
  SIGHTLINE_TRY(serving::Catalogue catalogue, catalogue_of(console, arguments, source));
  serving::RepositoryOptions options{.threads = arguments.threads,
                                     .most_bytes = static_cast<std::uint64_t>(arguments.memory_mb * mega),
                                     .most_at_once = arguments.at_once,
                                     .check_golden = !arguments.unchecked};
  options.batch.rows = arguments.batch;
  SIGHTLINE_TRY(const std::unique_ptr<serving::Repository> repository, serving::Repository::open(std::move(catalogue), options));

  serving::Metrics metrics;
  std::unique_ptr<serving::AccessLog> log;
  if (!arguments.log.empty()) {
    SIGHTLINE_TRY(log, serving::AccessLog::open(arguments.log, [&metrics] { metrics.logging_failed(); }));
  }
  std::optional<net::Server> server;
  std::mutex mutex;  // of `server`, which routes ask before it is there
  serving::Service service{.repository = *repository,
                           .metrics = metrics,
                           .most_pixels = static_cast<std::int64_t>(arguments.pixels_m * mega),
                           .audit =
                               [&](const net::Caller& caller, const std::string& what) {
                                 log_info("{} ({}): {}", caller.who.empty() ? "somebody" : caller.who, caller.peer, what);
                                 if (log != nullptr) log->admin(caller, what);
                               },
                           .load =
                               [&] {
                                 const std::scoped_lock lock(mutex);
                                 return server ? server->load() : net::Server::Load{};
                               }};
  std::vector<net::Route> routes = serving::protocol_routes(service);
  for (net::Route& route : serving::picture_routes(service)) routes.push_back(std::move(route));
  if (arguments.models.empty()) {
    SIGHTLINE_TRY(const std::shared_ptr<web::Site> site, web::Site::open(source));
    for (net::Route& route : web::workspace_routes(site)) routes.push_back(std::move(route));
    for (net::Route& route : web::page_routes()) routes.push_back(std::move(route));
  }
  const std::string document = json_text(net::openapi(routes, "Sightline", version), 1);
  routes.push_back(net::answered("GET", "/openapi.json", net::Scope::open, "This description",
                                 [document](const net::Request&) -> Result<net::Response> { return net::Response{.body = document}; }));

  net::ServerOptions with{.address = arguments.address,
                          .port = static_cast<std::uint16_t>(arguments.port),
                          .workers = arguments.workers,
                          .most_body = static_cast<std::uint64_t>(arguments.body_mb * mega),
                          .certificate = arguments.certificate,
                          .key = arguments.key,
                          .hosts = arguments.hosts,
                          .plain = arguments.plain};
  if (!arguments.tokens.empty()) {
    SIGHTLINE_TRY(with.tokens, net::Tokens::read(arguments.tokens));
    if (with.tokens.empty())
      return Error{ErrorKind::usage,
                   fmt::format("{} has no tokens; `sightline token add NAME --tokens {}` makes one", arguments.tokens, arguments.tokens)};
  }
  with.on_exchange = [&](const net::Exchange& exchange) {
    metrics.exchanged(exchange);
    if (log != nullptr) log->request(exchange);
  };
  net::GrpcOptions grpc_with{.address = with.address,
                             .port = static_cast<std::uint16_t>(arguments.grpc_port.value_or(0)),
                             .most_message = with.most_body,
                             .workers = with.workers,
                             .certificate = with.certificate,
                             .key = with.key,
                             .tokens = with.tokens,
                             .on_exchange = with.on_exchange};
  {
    // This one says whether the address may be open to others.
    SIGHTLINE_TRY(net::Server started, net::Server::start(std::move(with), std::move(routes)));
    const std::scoped_lock lock(mutex);
    server.emplace(std::move(started));
  }
  std::optional<net::GrpcServer> grpc;
  if (arguments.grpc_port) {
    SIGHTLINE_TRY(net::GrpcServer started, net::GrpcServer::start(std::move(grpc_with), serving::inference_functions(service)));
    grpc.emplace(std::move(started));
  }
  const Watcher watcher(*repository);
  const std::size_t count = repository->names().size();
  console.say("serving {} of {} at {}", plural(count, "model"), source, server->url());
  if (arguments.models.empty()) {
    console.remark("a browser shows the page of the workspace there");
  }
  console.remark("POST {}/v1/models/NAME:predict with a picture as the body; {}/openapi.json says what else; Ctrl-C ends", server->url(),
                 server->url());
  if (grpc) console.say("gRPC (inference.GRPCInferenceService) at {}:{}", arguments.address, grpc->port());
  Json document_of_start{{"url", server->url()}, {"port", server->port()}, {"models", count}, {"source", source}};
  if (grpc) document_of_start["grpc_port"] = grpc->port();
  console.document(document_of_start);
  console.out.flush();

  while (!interrupt_requested()) std::this_thread::sleep_for(milliseconds(50));
  console.remark("ending: what has begun is answered first");
  const milliseconds patience(static_cast<std::int64_t>(arguments.drain_s * 1000));
  if (grpc) grpc->drain(patience);
  const bool whole = server->drain(patience);
  if (!whole) console.warn("some requests were not answered within {:g} s", arguments.drain_s);
  return whole ? 0 : exit_code_of(ErrorKind::interrupted);
}

Action declare_serve(Arguments& arguments) {
  auto values = std::make_shared<ServeArguments>();
  arguments.option("--models", values->models, "DIR", "packages and .onnx files of this folder, instead of the workspace's releases");
  arguments.option("--port", values->port, "PORT", "0: a free one");
  arguments.option("--grpc-port", values->grpc_port, "PORT", "speak gRPC as well; 0: on a free port");
  arguments.option("--address", values->address, "ADDRESS", "of the interface to listen on; 0.0.0.0: all (wants tokens and TLS)");
  arguments.option("--tokens", values->tokens, "FILE", "who may ask (`sightline token`)");
  arguments.option("--certificate", values->certificate, "FILE", "of TLS, PEM, with its chain");
  arguments.option("--key", values->key, "FILE", "of the certificate, PEM");
  arguments.flag("--plain", values->plain, "no TLS beyond this machine: something in front of the server speaks it");
  arguments.option("--host", values->hosts, "NAME", "a further name by which the server may be called");
  arguments.option("--memory", values->memory_mb, "MB", "for all loaded models; 0: half of the machine's");
  arguments.option("--threads", values->threads, "N", "cores for the models; 0: all");
  arguments.option("--batch", values->batch, "N", "pictures that are run together at most");
  arguments.option("--workers", values->workers, "N", "requests that are worked on at the same time");
  arguments.option("--at-once", values->at_once, "N", "requests of one model under way; more are answered 429");
  arguments.option("--body", values->body_mb, "MB", "largest request");
  arguments.option("--pixels", values->pixels_m, "MILLIONS", "largest picture");
  arguments.option("--log", values->log, "FILE", "a line of JSON for each request; - for standard error");
  arguments.option("--drain", values->drain_s, "SECONDS", "patience with what has begun, when it ends");
  arguments.flag("--unchecked", values->unchecked, "load packages without checking their golden samples");
  return [values](Console& console) { return run_serve(console, *values); };
}

Action declare_ui(Arguments& arguments) {
  auto values = std::make_shared<ServeArguments>();
  values->port = 0;
  arguments.option("--port", values->port, "PORT", "where the page is served on this machine; 0: a free port");
  return [values](Console& console) { return run_serve(console, *values); };
}

struct TokenArguments {
  std::vector<std::string> words;
  std::string scope = "infer", file = "tokens.json";
};

Result<int> run_token(Console& console, const TokenArguments& arguments) {
  const std::string& action = arguments.words[0];
  if (action == "list" && arguments.words.size() == 1) {
    SIGHTLINE_TRY(const net::Tokens tokens, net::Tokens::read(arguments.file));
    std::vector<std::vector<std::string>> rows;
    for (const net::Token& token : tokens.all()) rows.push_back({token.name, token.scope, token.created});
    console.table({"name", "scope", "made"}, rows);
    Json list = Json::array();
    for (const net::Token& token : tokens.all()) list.push_back({{"name", token.name}, {"scope", token.scope}, {"created", token.created}});
    console.document({{"tokens", list}});
    return 0;
  }
  if (arguments.words.size() != 2 || (action != "add" && action != "remove"))
    return Error{ErrorKind::usage, "token: add NAME, list or remove NAME is wanted"};
  const std::string& name = arguments.words[1];
  if (action == "remove") {
    SIGHTLINE_CHECK(net::remove_token(arguments.file, name));
    console.say("{} may not ask any more; restart the server", name);
    console.document({{"removed", name}});
    return 0;
  }
  SIGHTLINE_TRY(const std::string secret, net::add_token(arguments.file, name, arguments.scope));
  console.say("{}", secret);
  console.remark("shown this once; {} keeps its hash. Clients send the header Authorization: Bearer SECRET", arguments.file);
  console.document({{"name", name}, {"scope", arguments.scope}, {"secret", secret}});
  return 0;
}

Action declare_token(Arguments& arguments) {
  auto values = std::make_shared<TokenArguments>();
  arguments.positional("WORDS", values->words, "add NAME, list, or remove NAME; the name is of who holds it");
  arguments.option("--scope", values->scope, "SCOPE", "read (look), infer (ask models as well) or admin (change what is served as well)");
  arguments.option("--tokens", values->file, "FILE", "where hashes are kept");
  return [values](Console& console) { return run_token(console, *values); };
}

constexpr Example serve_examples[] = {
    {"sightline serve", "every release of this workspace, on this machine alone, port 8000"},
    {"sightline serve --models packages/ --port 0 --json", "package folders, a free port, which is printed as JSON"},
    {"sightline serve --memory 2000 --log access.jsonl",
     "2 GB for the models in memory; then curl --data-binary @shoe.jpg localhost:8000/v1/models/apparel:predict"},
    {"sightline serve --address 0.0.0.0 --tokens tokens.json --certificate cert.pem --key key.pem", "for others, with tokens and TLS"},
};
constexpr Example ui_examples[] = {{"sightline ui", "the page of the workspace .sightline, on a free port"},
                                   {"sightline ui --port 8080 --workspace shop/.sightline", "of another one, on port 8080"}};
constexpr Example token_examples[] = {
    {"sightline token add camera-3", "a secret that may ask models"},
    {"sightline token add owner --scope admin", "one that may load, unload and change traffic"},
    {"sightline token remove camera-3", "no longer"},
};

}  // namespace

constexpr Verb serve_verb{
    "serve",
    Group::use,
    "answer over HTTP with all released models",
    "Speaks the Open Inference Protocol v2 (KServe, Triton) below /v2 and a simple one below /v1: a picture as the body of POST "
    "/v1/models/NAME:predict, the answer in the task's own words. Models are loaded when they are first asked for and unloaded by least "
    "use "
    "under --memory; models on one frozen backbone share it. New releases take over when they are loaded, without a failed request. "
    "Only this machine can reach the server unless --address says otherwise, and then it wants tokens and TLS.",
    serve_examples,
    declare_serve};

constexpr Verb ui_verb{
    "ui",
    Group::look_after,
    "the web page of a workspace, on this machine",
    "Prints the page's address and serves it until Ctrl-C: demands and models, figures, data, builds, and pictures to try. Only "
    "this machine can reach it. The page uses the HTTP API that /openapi.json describes; `sightline serve` serves it as well.",
    ui_examples,
    declare_ui};

constexpr Verb token_verb{
    "token",
    Group::use,
    "who may ask a server that others can reach",
    "Adds, lists or removes tokens of a file for `sightline serve --tokens`. A secret is shown once, when it is made; the file keeps "
    "its SHA-256.",
    token_examples,
    declare_token};

}  // namespace sightline::cli
