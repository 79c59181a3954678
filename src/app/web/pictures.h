// Pictures of a manifest, by their number in it: never by a path. Small ones are kept as they are (PNG), larger ones are reduced (JPEG).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "app/web/site.h"
#include "net/http.h"

namespace sightline::web {

// Any number of threads.
class Pictures {
 public:
  // A picture whose longer side is at most `side`. Errors: not_found (no such manifest or picture), and those of reading it.
  Result<net::Response> thumbnail(Site& site, const Digest& manifest, std::int64_t number, int side);
  // A case that a report shows, with what people say of it, or what the model says, drawn onto it. Errors: not_found, unsupported (the task
  // draws nothing).
  Result<net::Response> drawn_case(Site& site, const store::Release& release, std::int64_t place, bool truth, int side);

 private:
  std::shared_ptr<const dataset::SampleReader> reader_of(const std::string& root);

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const dataset::SampleReader>> readers_;
};

}  // namespace sightline::web
