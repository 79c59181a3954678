#include "app/web/answers.h"
#include "app/web/models.h"
#include "app/web/pictures.h"
#include "app/web/routes.h"

namespace sightline::web {
namespace {

constexpr int kThumbnail = 160, kLargestPicture = 1600;
constexpr std::size_t kCellPictures = 120;

Result<std::int64_t> version_of(const net::Request& request) { return number_of(request.parameter("version"), "the version", 1, 0); }

Result<int> side_of(const net::Request& request) {
  SIGHTLINE_TRY(const std::int64_t side, number_of(request.asked("side"), "side", 16, kThumbnail));
  return static_cast<int>(std::min<std::int64_t>(side, kLargestPicture));
}

void add_models(std::vector<net::Route>& routes, const std::shared_ptr<Site>& site) {
  const auto answers = std::make_shared<Answers>();
  add_json_route(routes, "GET", "/v1/workspace/models/{model}", net::Scope::read, "one model: its state, its releases, its last runs",
                 [site](const net::Request& request) { return model_about(*site, request.parameter("model")); });
  add_json_route(routes, "GET", "/v1/workspace/models/{model}/releases/{version}", net::Scope::read,
                 "a release: figures with intervals, verdict, curves, history, compression, search, lineage, card, steps",
                 [site](const net::Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const std::int64_t version, version_of(request));
                   return release_about(*site, request.parameter("model"), version);
                 });
  add_json_route(routes, "GET", "/v1/workspace/models/{model}/releases/{version}/cells", net::Scope::read,
                 "test pictures of one cell of a classifier's confusion matrix, the surest answers first",
                 [site, answers](const net::Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const std::int64_t version, version_of(request));
                   SIGHTLINE_TRY(const std::int64_t given, number_of(request.asked("given"), "given", 0, 0));
                   SIGHTLINE_TRY(const std::int64_t predicted, number_of(request.asked("predicted"), "predicted", 0, 0));
                   SIGHTLINE_TRY(const store::Release release, site->release(request.parameter("model"), version));
                   SIGHTLINE_TRY(const auto known, answers->of(*site, release));
                   SIGHTLINE_TRY(const auto manifest, site->manifest(known->manifest));
                   return pictures_of_cell(*known, *manifest, given, predicted, kCellPictures);
                 });
  describe_query(routes.back(), {{"given", "place of the given class"}, {"predicted", "place of the predicted class"}});
  add_json_route(
      routes, "GET", "/v1/workspace/compare", net::Scope::read,
      "two releases side by side: figures with differences, the paired interval of top1, what differs in the lineage",
      [site, answers](const net::Request& request) { return compare_releases(*site, *answers, request.asked("a"), request.asked("b")); });
  describe_query(routes.back(), {{"a", "a release, as apparel:1; without a version the one in force"}, {"b", "another"}});
  add_json_route(routes, "POST", "/v1/workspace/models/{model}/releases/{version}:put_in_force", net::Scope::admin,
                 "make this version the one in force, an earlier one (rollback) or a later one; nothing is deleted",
                 [site](const net::Request& request) -> Result<Json> {
                   SIGHTLINE_TRY(const std::int64_t version, version_of(request));
                   if (version == 0) return Error{ErrorKind::usage, "a version is a number from 1"};
                   SIGHTLINE_TRY(const std::int64_t before, site->put_in_force(request.parameter("model"), version));
                   return Json{{"name", request.parameter("model")}, {"version", version}, {"before", before}};
                 });
}

void add_pictures(std::vector<net::Route>& routes, const std::shared_ptr<Site>& site) {
  const auto pictures = std::make_shared<Pictures>();
  routes.push_back(net::answered("GET", "/v1/workspace/manifests/{manifest}/pictures/{number}", net::Scope::read,
                                 "a picture of a manifest, by its number, reduced to a side (PNG or JPEG)",
                                 [site, pictures](const net::Request& request) -> Result<net::Response> {
                                   SIGHTLINE_TRY(const std::int64_t number, number_of(request.parameter("number"), "the number", 0, 0));
                                   SIGHTLINE_TRY(const int side, side_of(request));
                                   return pictures->thumbnail(*site, request.parameter("manifest"), number, side);
                                 }));
  describe_query(routes.back(), {{"side", "pixels of the longer side, at most; 160"}});
  routes.push_back(
      net::answered("GET", "/v1/workspace/models/{model}/releases/{version}/cases/{number}", net::Scope::read,
                    "a picture that the release's report shows, with the answer, or with what people say (truth=1), drawn onto it",
                    [site, pictures](const net::Request& request) -> Result<net::Response> {
                      SIGHTLINE_TRY(const std::int64_t version, version_of(request));
                      SIGHTLINE_TRY(const std::int64_t number, number_of(request.parameter("number"), "the number", 0, 0));
                      SIGHTLINE_TRY(const int side, side_of(request));
                      SIGHTLINE_TRY(const store::Release release, site->release(request.parameter("model"), version));
                      return pictures->drawn_case(*site, release, number, request.asked("truth") == "1", side);
                    }));
  describe_query(routes.back(), {{"truth", "1: what people say; else the answer"}, {"side", "pixels of the longer side, at most; 160"}});
}

}  // namespace

void add_model_routes(std::vector<net::Route>& routes, const std::shared_ptr<Site>& site) {
  add_models(routes, site);
  add_pictures(routes, site);
}

}  // namespace sightline::web
