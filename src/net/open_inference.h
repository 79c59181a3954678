// The messages of the Open Inference Protocol v2 as plain structs, and their form over HTTP: JSON, with the binary tensor extension (raw
// bytes after a JSON header whose length stands in the header Inference-Header-Content-Length) and the classification extension.
// Specification: github.com/kserve/open-inference-protocol, and Triton's protocol extensions. Knows no models.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace sightline::net {

// How a datatype is called and how many bytes an element has; 0: it varies (BYTES).
struct Datatype {
  const char* name;
  std::size_t bytes;
};
const Datatype* find_datatype(std::string_view name);

struct WireTensor {
  std::string name, datatype;
  std::vector<std::int64_t> shape;
  // Elements row after row, little-endian: `raw` borrows from the request's body, else `own` has them. BYTES: each with 4 bytes of its
  // length before it.
  std::string_view raw;
  std::string own;
  bool binary = false;  // of an answer: as raw bytes
  std::string_view bytes() const { return own.empty() ? raw : std::string_view(own); }
};

// Whether datatype, shape and bytes fit each other. Errors: invalid_data, unsupported (the datatype).
Result<void> check_tensor(const WireTensor& tensor);

struct WantedOutput {
  std::string name;
  bool binary = false;
  std::int64_t classes = 0;  // > 0: as many of the greatest elements, as BYTES "VALUE:PLACE:LABEL"
};

struct InferRequest {
  std::string id;
  std::vector<WireTensor> inputs;
  std::vector<WantedOutput> outputs;  // none: all
  bool binary_output = false;         // of outputs that are not named
  std::int64_t priority = 0;          // 0: usual; 1 comes first, larger ones later
  std::int64_t timeout_us = 0;        // in the queue; 0: none
};

struct InferResponse {
  std::string model, version, id;
  std::vector<WireTensor> outputs;
};

// body must outlive the request. header_length: of Inference-Header-Content-Length, "" where there is none. Errors: invalid_data says what
// does not fit, with the name of the input; unsupported (datatypes).
Result<InferRequest> parse_infer(std::string_view body, const std::string& header_length);
// As a client sends it, the inputs as raw bytes or as JSON.
std::string write_infer_request(const InferRequest& request, bool binary, std::string& header_length);

Response infer_response(const InferResponse& response);
// Reads what infer_response() wrote; body must outlive it. Errors as parse_infer().
Result<InferResponse> parse_infer_response(std::string_view body, const std::string& header_length);

}  // namespace sightline::net
