// Pictures in, answers out, over a repository.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/base64.h"
#include "base/text.h"
#include "serving/answers.h"
#include "serving/service.h"

namespace sightline::serving {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_pictures = 256;  // of one request

net::Response failure(const Error& error) {
  net::Response response = net::error_response(error);
  // A picture that is too large is refused for what it is; a model that does not fit, for the time being.
  if (error.kind == ErrorKind::refused) response.status = 413;
  return response;
}

Result<double> number_asked(const net::Request& request, const char* name, double otherwise, double least, double most) {
  const std::string& text = request.asked(name);
  if (text.empty()) return otherwise;
  try {
    std::size_t used = 0;
    const double value = std::stod(text, &used);
    if (used == text.size() && value >= least && value <= most) return value;
  } catch (const std::exception&) {
    // said below
  }
  return Error{ErrorKind::usage, fmt::format("{}={} is no number from {:g} to {:g}", name, text, least, most)};
}

Result<AskOptions> options_of(const net::Request& request) {
  AskOptions options;
  SIGHTLINE_TRY(const double top, number_asked(request, "top", options.top, 1, 1000));
  options.top = static_cast<int>(top);
  SIGHTLINE_TRY(options.score, number_asked(request, "score", options.score, 0, 1));
  const std::string& draw = request.asked("draw");
  if (!draw.empty() && draw != "0" && draw != "1") return Error{ErrorKind::usage, "draw is 0 or 1"};
  options.draw = draw == "1";
  return options;
}

bool is_json(const net::Request& request) { return request.header("content-type").starts_with("application/json"); }

// The pictures of a request: its body, or {"images": ["BASE64", …]}.
Result<std::vector<std::string>> pictures_of(net::Request& request) {
  std::vector<std::string> pictures;
  if (!is_json(request)) {
    if (request.body.empty()) return Error{ErrorKind::usage, "a picture is wanted as the body: JPEG, PNG, WebP, BMP or TIFF"};
    pictures.push_back(std::move(request.body));
    return pictures;
  }
  SIGHTLINE_TRY(const Json body, parse_json(request.body, "the request"));
  if (!body.is_object() || !body.contains("images") || !body["images"].is_array() || body["images"].empty() ||
      body["images"].size() > most_pictures)
    return Error{ErrorKind::usage, fmt::format("{{\"images\": [\"BASE64\", …]}} is wanted, with 1 to {} pictures", most_pictures)};
  for (const Json& each : body["images"]) {
    std::optional<std::string> bytes = each.is_string() ? base64_decoded(each.get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) return Error{ErrorKind::usage, fmt::format("image {} of the list is no base64", pictures.size())};
    pictures.push_back(*std::move(bytes));
  }
  return pictures;
}

// One picture; its stages are counted.
Result<PictureAnswer> ask(Service& service, const Repository::Lease& lease, const std::string& bytes, const AskOptions& options) {
  Served served{.model = lease.loaded().name, .version = lease.loaded().version};
  const auto begun = Clock::now();
  passage() = {.priority = 100};
  Result<PictureAnswer> answer = [&]() -> Result<PictureAnswer> {
    SIGHTLINE_TRY(const image::Image picture, decode_picture(bytes, lease.model(), service.most_pixels));
    served.input_s = seconds_since(begun);
    return answer_picture(lease, picture, options);
  }();
  const Passage& way = passage();
  served.queue_s = way.queue_s;
  served.compute_s = way.compute_s;
  served.batch = std::max<std::int64_t>(1, way.rows);
  served.output_s = std::max(0.0, seconds_since(begun) - served.input_s - served.queue_s - served.compute_s);
  served.failed = !answer.ok();
  if (!answer.ok()) served.error = name_of(answer.error().kind);
  service.metrics.served(served);
  if (answer.ok()) {
    for (const std::string& label : answer->labels) service.metrics.said(served.model, label);
  }
  return answer;
}

// The shadow is asked when the answer is on its way.
void ask_shadow(Service& service, const std::string& model, const std::string& bytes, const AskOptions& options,
                const std::vector<std::string>& said) {
  const std::optional<Repository::Lease> shadow = service.repository.shadow_of(model);
  if (!shadow) return;
  AskOptions silent = options;
  silent.draw = false;
  const Result<PictureAnswer> answer = ask(service, *shadow, bytes, silent);
  service.metrics.shadowed(model, answer.ok() && answer->labels == said);
}

Result<net::Response> predict(Service& service, net::Request& request, std::string& shadowed, std::vector<std::string>& said,
                              AskOptions& options) {
  SIGHTLINE_TRY(const std::int64_t version, version_of(request.parameter("version")));
  SIGHTLINE_TRY(options, options_of(request));
  const bool list = is_json(request);
  if (list && options.draw) return Error{ErrorKind::usage, "draw=1 is for one picture, as the body"};
  const std::string model = request.parameter("model");
  if (!service.repository.knows(model)) {
    SIGHTLINE_CHECK(service.repository.lease(model, version));  // says what there is
  }
  SIGHTLINE_TRY(std::vector<std::string> pictures, pictures_of(request));
  SIGHTLINE_TRY(const std::optional<Repository::Lease> lease, service.repository.lease(model, version, draw_of(request.caller.trace)));
  if (!lease) return busy_response();
  Json head{{"model", model}, {"version", lease->loaded().version}, {"task", lease->model().task()}};
  if (!list) {
    SIGHTLINE_TRY(PictureAnswer answer, ask(service, *lease, pictures[0], options));
    shadowed = std::move(pictures[0]);
    said = answer.labels;
    if (!options.draw) {
      head.update(answer.json);
      return net::json_response(head);
    }
    net::Response drawn{.content_type = "image/png", .body = image::encode_png(answer.drawn)};
    drawn.headers.emplace_back("X-Model-Version", std::to_string(lease->loaded().version));
    return drawn;
  }
  head["answers"] = Json::array();
  for (const std::string& picture : pictures) {
    const Result<PictureAnswer> answer = ask(service, *lease, picture, options);
    head["answers"].push_back(answer.ok() ? answer->json : Json{{"error", answer.error().message}});
  }
  return net::json_response(head);
}

bool fits_pattern(const std::string& name, const std::string& pattern) {
  return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1)) : name == pattern;
}

// One picture for many models: what they compute alike is computed once.
Result<net::Response> predict_many(Service& service, net::Request& request) {
  SIGHTLINE_TRY(const AskOptions options, options_of(request));
  if (options.draw || is_json(request)) return Error{ErrorKind::usage, "one picture as the body is wanted, and draw=1 is for one model"};
  if (request.asked("models").empty()) return Error{ErrorKind::usage, "models=NAME,NAME* is wanted: names, or the beginnings of names"};
  SIGHTLINE_TRY(const std::vector<std::string> pictures, pictures_of(request));
  std::vector<std::string> names;
  const std::vector<std::string> known = service.repository.names();
  for (const std::string& pattern : split(request.asked("models"), ',')) {
    const std::size_t before = names.size();
    for (const std::string& name : known) {
      if (fits_pattern(name, pattern) && std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    if (names.size() == before && std::ranges::none_of(names, [&](const std::string& name) { return fits_pattern(name, pattern); }))
      return Error{ErrorKind::not_found, fmt::format("there is no model \"{}\"{}", pattern, did_you_mean(pattern, known))};
  }
  Json answers = Json::object();
  std::map<std::string, Repository::Lease> leases;  // of classifiers, by their key in the engine
  for (const std::string& name : names) {
    Result<std::optional<Repository::Lease>> lease = service.repository.lease(name);
    if (!lease.ok()) {
      answers[name] = {{"error", lease.error().message}};
    } else if (!*lease) {
      answers[name] = {{"error", "too many requests of this model are under way"}};
    } else if ((*lease)->model().annotates()) {
      const Result<PictureAnswer> answer = ask(service, **lease, pictures[0], options);
      answers[name] = answer.ok() ? answer->json : Json{{"error", answer.error().message}};
    } else {
      std::string key = (*lease)->loaded().key;
      leases.emplace(std::move(key), *std::move(*lease));
    }
  }
  std::vector<std::string> keys;
  for (const auto& [key, lease] : leases) keys.push_back(key);
  for (const std::vector<std::string>& group : service.repository.engine().by_group(keys)) {
    // Those of one backbone may still want their pictures prepared differently.
    std::map<std::vector<int>, std::vector<std::string>> alike;
    for (const std::string& key : group) {
      const package::Preprocessing& wanted = leases.at(key).model().preprocessing();
      alike[{wanted.width, wanted.height, wanted.channels, static_cast<int>(wanted.fit)}].push_back(key);
    }
    for (const auto& [form, some] : alike) {
      const auto begun = Clock::now();
      const package::Model& first = leases.at(some[0]).model();
      SIGHTLINE_TRY(const image::Image picture, decode_picture(pictures[0], first, service.most_pixels));
      SIGHTLINE_TRY(const Tensor input, first.input_of(first.prepare(picture)));
      const double input_s = seconds_since(begun);
      SIGHTLINE_TRY(const auto outputs, service.repository.engine().run_all(std::span(&input, 1), some));
      const double compute_s = seconds_since(begun) - input_s;
      for (std::size_t i = 0; i < some.size(); ++i) {
        const Loaded& loaded = leases.at(some[i]).loaded();
        SIGHTLINE_TRY(const Tensor probabilities, loaded.model->probabilities_of(outputs[i], 1));
        const PictureAnswer answer = answer_of(loaded, probabilities.values<float>(), options);
        answers[loaded.name] = answer.json;
        const auto share = static_cast<double>(some.size());
        service.metrics.served(
            {.model = loaded.name, .version = loaded.version, .input_s = input_s / share, .compute_s = compute_s / share});
        for (const std::string& label : answer.labels) service.metrics.said(loaded.name, label);
      }
    }
  }
  return net::json_response({{"answers", answers}});
}

Json model_json(const Repository::Status& status) {
  return {{"version", status.version}, {"in_force", status.in_force}, {"loaded", status.state == Repository::State::ready},
          {"bytes", status.bytes},     {"requests", status.requests}, {"failure", status.reason}};
}

Json models_json(const Service& service) {
  std::map<std::string, Json> models;
  for (const Repository::Status& status : service.repository.index()) models[status.name].push_back(model_json(status));
  Json list = Json::array();
  for (const auto& [name, versions] : models) list.push_back({{"name", name}, {"versions", versions}});
  return {{"models", list}, {"bytes", service.repository.bytes()}, {"limit_bytes", service.repository.most_bytes()}};
}

Result<net::Response> describe_model(Service& service, const net::Request& request) {
  const std::string& name = request.parameter("model");
  SIGHTLINE_TRY(const std::optional<Repository::Lease> lease, service.repository.lease(name));
  if (!lease) return busy_response();
  const package::Model& model = lease->model();
  Json versions = Json::array();
  for (const Repository::Status& status : service.repository.index()) {
    if (status.name == name) versions.push_back(model_json(status));
  }
  return net::json_response({{"name", name},
                             {"version", lease->loaded().version},
                             {"task", model.task()},
                             {"labels", model.labels()},
                             {"precision", enum_name(model.precision())},
                             {"input", to_json(model.preprocessing())},
                             {"load_s", lease->loaded().load_s},
                             {"traffic", to_json(service.repository.traffic(name))},
                             {"versions", versions}});
}

Result<net::Response> change_traffic(Service& service, const net::Request& request) {
  SIGHTLINE_TRY(const Json body, parse_json(request.body, "the request"));
  SIGHTLINE_TRY(const Traffic traffic, struct_from_json<Traffic>(body, "traffic"));
  service.audit(request.caller, fmt::format("traffic of {}: {}", request.parameter("model"), json_text(to_json(traffic))));
  SIGHTLINE_CHECK(service.repository.set_traffic(request.parameter("model"), traffic));
  return net::json_response(to_json(traffic));
}

Json picture_body() {
  const Json binary{{"schema", {{"type", "string"}, {"format", "binary"}}}};
  const Json list{
      {"schema",
       {{"type", "object"}, {"properties", {{"images", {{"type", "array"}, {"items", {{"type", "string"}, {"format", "byte"}}}}}}}}}};
  return {{"required", true},
          {"content", {{"image/jpeg", binary}, {"image/png", binary}, {"image/webp", binary}, {"application/json", list}}}};
}

Json query_parameter(const char* name, const char* words, const char* type) {
  return {{"name", name}, {"in", "query"}, {"description", words}, {"schema", {{"type", type}}}};
}

}  // namespace

std::vector<net::Route> picture_routes(Service& service) {
  using net::Scope;
  std::vector<net::Route> routes;
  const Json top = query_parameter("top", "of a classifier: how many classes are told", "integer"),
             score = query_parameter("score", "the least score of what is told", "number"),
             draw = query_parameter("draw", "1: the picture with the answer drawn onto it, as PNG", "integer");
  for (const char* at : {"/v1/models/{model}:predict", "/v1/models/{model}/versions/{version}:predict"}) {
    routes.push_back({.method = "POST",
                      .pattern = at,
                      .scope = Scope::infer,
                      .summary = "What a model says about a picture (the body), or about a list of them",
                      .handle =
                          [&service](net::Request request, net::Reply reply) {
                            const std::string model = request.parameter("model");
                            std::string picture;
                            std::vector<std::string> said;
                            AskOptions options;
                            Result<net::Response> response = predict(service, request, picture, said, options);
                            reply(response.ok() ? *std::move(response) : failure(response.error()));
                            if (!picture.empty() && request.parameter("version").empty())
                              ask_shadow(service, model, picture, options, said);
                          },
                      .described = {{"requestBody", picture_body()}, {"parameters", {top, score, draw}}}});
  }
  routes.push_back(
      {.method = "POST",
       .pattern = "/v1/models:predict",
       .scope = Scope::infer,
       .summary = "What many models say about one picture; what they compute alike is computed once",
       .handle =
           [&service](net::Request request, net::Reply reply) {
             Result<net::Response> response = predict_many(service, request);
             reply(response.ok() ? *std::move(response) : failure(response.error()));
           },
       .described = {
           {"requestBody", picture_body()},
           {"parameters", {query_parameter("models", "names, or beginnings of names (\"tile-*\"), with commas", "string"), top}}}});
  routes.push_back(
      net::answered("GET", "/v1/models", Scope::read, "All models with their versions, and the memory that they hold",
                    [&service](const net::Request&) -> Result<net::Response> { return net::json_response(models_json(service)); }));
  routes.push_back(net::answered("GET", "/v1/models/{model}", Scope::read, "A model: task, labels, input, versions, traffic",
                                 [&service](const net::Request& request) { return describe_model(service, request); }));
  routes.push_back(net::answered("PUT", "/v1/models/{model}/traffic", Scope::admin,
                                 "Which versions answer: {\"pinned\": V, \"canary\": V, \"share\": 0 to 1, \"shadow\": V}; 0 for none",
                                 [&service](const net::Request& request) { return change_traffic(service, request); }));
  routes.push_back(net::answered("GET", "/metrics", Scope::read, "Everything that is counted, for Prometheus",
                                 [&service](const net::Request&) -> Result<net::Response> {
                                   return net::Response{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                                                        .body = service.metrics.text(service.repository, service.load())};
                                 }));
  return routes;
}

}  // namespace sightline::serving
