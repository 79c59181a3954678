#include "app/web/data.h"
#include "app/web/routes.h"

namespace sightline::web {

void add_data_routes(std::vector<net::Route>& routes, const std::shared_ptr<Site>& site) {
  using net::Request;
  const auto about = [site](const Request& request) { return data_of(*site, request.parameter("model")); };
  add_json_route(routes, "GET", "/v1/workspace/data/{model}", net::Scope::read,
                 "the pictures of a model's last build: classes, splits, findings, rejections, suspected label errors",
                 [=](const Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const DataOfModel data, about(request));
                   return data_about(*site, data);
                 });
  add_json_route(routes, "GET", "/v1/workspace/data/{model}/samples", net::Scope::read, "its pictures, 120 at a time",
                 [=](const Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const DataOfModel data, about(request));
                   SampleQuery query{.split = request.asked("split"), .search = request.asked("search")};
                   SIGHTLINE_TRY(query.label, number_of(request.asked("label"), "label", 0, -1));
                   SIGHTLINE_TRY(query.from, number_of(request.asked("from"), "from", 0, 0));
                   query.corrected = request.asked("corrected") == "1";
                   return samples_of(*site, data, query);
                 });
  describe_query(routes.back(), {{"label", "place of a class"},
                                 {"split", "train, validation or test"},
                                 {"search", "a part of the path"},
                                 {"corrected", "1: those that were corrected"},
                                 {"from", "how many to leave out"}});
  add_json_route(routes, "GET", "/v1/workspace/data/{model}/findings", net::Scope::read,
                 "findings of the audit of one kind with their pictures: duplicates, leaks, blurred ones, …",
                 [=](const Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const DataOfModel data, about(request));
                   SIGHTLINE_TRY(const std::int64_t from, number_of(request.asked("from"), "from", 0, 0));
                   return findings_of(*site, data, request.asked("kind"), from);
                 });
  describe_query(routes.back(), {{"kind", "as the data's description lists them"}, {"from", "how many to leave out"}});
  add_json_route(routes, "GET", "/v1/workspace/data/{model}/suspects", net::Scope::read,
                 "pictures whose label is probably wrong, most suspect first, with the class that is suggested",
                 [=](const Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const DataOfModel data, about(request));
                   SIGHTLINE_TRY(const std::int64_t from, number_of(request.asked("from"), "from", 0, 0));
                   return suspects_of(*site, data, from);
                 });
  describe_query(routes.back(), {{"from", "how many to leave out"}});
  add_json_route(routes, "GET", "/v1/workspace/data/{model}/corrections", net::Scope::read,
                 "every revision of its corrected labels, and those in force", [=](const Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const DataOfModel data, about(request));
                   return corrections_of(*site, data);
                 });
  add_json_route(routes, "POST", "/v1/workspace/data/{model}/corrections", net::Scope::admin,
                 "correct a picture's label: a new revision, which the next build applies; the data are not altered",
                 [=](const Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const DataOfModel data, about(request));
                   return correct(*site, data, request.body, request.caller.who);
                 });
  describe_body(routes.back(), {{"manifest", "string"}, {"number", "integer"}, {"label", "string"}});
  add_json_route(routes, "POST", "/v1/workspace/data/{model}/corrections:undo", net::Scope::admin,
                 "take the last correction back, or a certain revision", [=](const Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const DataOfModel data, about(request));
                   return undo(*site, data, request.body, request.caller.who);
                 });
  describe_body(routes.back(), {{"revision", "integer"}});
}

}  // namespace sightline::web
