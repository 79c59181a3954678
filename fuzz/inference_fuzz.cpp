// links: net
// A request of the Open Inference Protocol, its header's length in the first two bytes: it is refused in words, or read; and what is then
// written, as raw bytes and as JSON, reads as the same again. The same bytes as a request's path and query.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "net/open_inference.h"
#include "net/router.h"

namespace {

using namespace sightline;

bool same(const net::InferRequest& a, const net::InferRequest& b) {
  if (a.id != b.id || a.inputs.size() != b.inputs.size()) return false;
  for (std::size_t i = 0; i < a.inputs.size(); ++i) {
    if (a.inputs[i].name != b.inputs[i].name || a.inputs[i].shape != b.inputs[i].shape || a.inputs[i].bytes() != b.inputs[i].bytes())
      return false;
  }
  return true;
}

void read_path(std::string_view text) {
  static const net::Router router(
      {{.method = "GET", .pattern = "/v1/models/{model}:predict"}, {.method = "GET", .pattern = "/page/{file...}"}});
  net::Request request{.method = "GET"};
  if (!net::read_target(text, request).ok()) return;
  if (!request.path.starts_with('/')) std::abort();
  (void)router.find(request, text);
  for (const auto& [name, value] : request.parameters) {
    if (value.find('\0') != std::string::npos) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  read_path(body);
  const unsigned length = data[0] | static_cast<unsigned>(data[1]) << 8U;
  const auto request = net::parse_infer(body, length == 0 ? "" : std::to_string(length));
  if (!request.ok()) {
    if (request.error().message.empty()) std::abort();
    return 0;
  }
  for (const net::WireTensor& input : request->inputs) {
    if (!net::check_tensor(input).ok()) std::abort();
  }
  // As raw bytes all of it comes back; JSON has no 16-bit floats, no NaN, and text that is UTF-8.
  std::string header;
  const std::string written = net::write_infer_request(*request, true, header);
  const auto again = net::parse_infer(written, header);
  if (!again.ok() || !same(*request, *again)) std::abort();
  return 0;
}
