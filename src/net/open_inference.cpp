#include "net/open_inference.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <limits>

namespace sightline::net {
namespace {

constexpr std::array datatypes{
    Datatype{"BOOL", 1}, Datatype{"UINT8", 1}, Datatype{"UINT16", 2}, Datatype{"UINT32", 4}, Datatype{"UINT64", 8},
    Datatype{"INT8", 1}, Datatype{"INT16", 2}, Datatype{"INT32", 4},  Datatype{"INT64", 8},  Datatype{"FP16", 2},
    Datatype{"BF16", 2}, Datatype{"FP32", 4},  Datatype{"FP64", 8},   Datatype{"BYTES", 0},
};
constexpr std::int64_t most_elements = std::int64_t{1} << 31U;

Error wrong(const std::string& words) { return {ErrorKind::invalid_data, words}; }

template <class T>
void append(std::string& bytes, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof value);
}

// One number of JSON as an element of the datatype; false: it does not fit.
template <class T>
bool append_integer(const Json& value, std::string& bytes) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned()) {
    if (value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return false;
  } else if (value.get<std::int64_t>() < static_cast<std::int64_t>(std::numeric_limits<T>::min())) {
    return false;
  }
  append(bytes, value.get<T>());
  return true;
}

bool append_element(const std::string& datatype, const Json& value, std::string& bytes) {
  if (datatype == "FP32" || datatype == "FP64") {
    if (!value.is_number()) return false;
    if (datatype == "FP32") {
      append(bytes, value.get<float>());
    } else {
      append(bytes, value.get<double>());
    }
    return true;
  }
  if (datatype == "BOOL") {
    if (!value.is_boolean()) return false;
    append(bytes, static_cast<std::uint8_t>(value.get<bool>() ? 1 : 0));
    return true;
  }
  if (datatype == "BYTES") {
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    append(bytes, static_cast<std::uint32_t>(text.size()));
    bytes += text;
    return true;
  }
  if (datatype == "UINT8") return append_integer<std::uint8_t>(value, bytes);
  if (datatype == "UINT16") return append_integer<std::uint16_t>(value, bytes);
  if (datatype == "UINT32") return append_integer<std::uint32_t>(value, bytes);
  if (datatype == "UINT64") return append_integer<std::uint64_t>(value, bytes);
  if (datatype == "INT8") return append_integer<std::int8_t>(value, bytes);
  if (datatype == "INT16") return append_integer<std::int16_t>(value, bytes);
  if (datatype == "INT32") return append_integer<std::int32_t>(value, bytes);
  if (datatype == "INT64") return append_integer<std::int64_t>(value, bytes);
  return false;
}

// Rows in rows, or one flat list.
Result<void> append_data(const Json& data, WireTensor& tensor, std::int64_t& count) {
  for (const Json& each : data) {
    if (each.is_array()) {
      SIGHTLINE_CHECK(append_data(each, tensor, count));
      continue;
    }
    ++count;
    if (append_element(tensor.datatype, each, tensor.own)) continue;
    return wrong(fmt::format("element {} of the tensor \"{}\" is no {}", count - 1, tensor.name, tensor.datatype));
  }
  return {};
}

Result<std::int64_t> elements_of(const WireTensor& tensor) {
  std::int64_t count = 1;
  for (const std::int64_t size : tensor.shape) {
    if (size < 0 || (size > 0 && count > most_elements / size))
      return wrong(fmt::format("the shape of the tensor \"{}\" is none: sizes from 0, at most {} elements", tensor.name, most_elements));
    count *= size;
  }
  return count;
}

Result<std::string> string_in(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return wrong(fmt::format("{} wants a \"{}\", a string", where, key));
  return found->get<std::string>();
}

// Optional parameters; what is of another type is an error.
Result<std::int64_t> integer_parameter(const Json& object, const char* key) {
  const auto parameters = object.find("parameters");
  if (parameters == object.end()) return std::int64_t{0};
  if (!parameters->is_object()) return wrong("\"parameters\" is no object");
  const auto found = parameters->find(key);
  if (found == parameters->end()) return std::int64_t{0};
  std::int64_t value = 0;
  SIGHTLINE_CHECK(from_json(*found, value, key));
  if (value < 0) return wrong(fmt::format("the parameter \"{}\" is negative", key));
  return value;
}

Result<bool> flag_parameter(const Json& object, const char* key) {
  const auto parameters = object.find("parameters");
  if (parameters == object.end() || !parameters->is_object()) return false;
  const auto found = parameters->find(key);
  if (found == parameters->end()) return false;
  bool value = false;
  SIGHTLINE_CHECK(from_json(*found, value, key));
  return value;
}

Result<void> check_bytes(const WireTensor& tensor, std::int64_t count) {
  std::string_view rest = tensor.bytes();
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t size = 0;
    if (rest.size() < sizeof size) return wrong(fmt::format("the tensor \"{}\" ends before its element {}", tensor.name, i));
    std::memcpy(&size, rest.data(), sizeof size);
    rest.remove_prefix(sizeof size);
    if (rest.size() < size) return wrong(fmt::format("the tensor \"{}\" ends within its element {}", tensor.name, i));
    rest.remove_prefix(size);
  }
  if (!rest.empty()) return wrong(fmt::format("the tensor \"{}\" has {} bytes after its last element", tensor.name, rest.size()));
  return {};
}

// `binary`: what is left of the raw bytes.
Result<WireTensor> parse_tensor(const Json& json, std::string_view& binary) {
  if (!json.is_object()) return wrong("a tensor is no object");
  WireTensor tensor;
  SIGHTLINE_TRY(tensor.name, string_in(json, "name", "a tensor"));
  const std::string where = fmt::format("the tensor \"{}\"", tensor.name);
  SIGHTLINE_TRY(tensor.datatype, string_in(json, "datatype", where));
  const Datatype* datatype = find_datatype(tensor.datatype);
  if (datatype == nullptr) return Error{ErrorKind::unsupported, fmt::format("{}: there is no datatype \"{}\"", where, tensor.datatype)};
  const auto shape = json.find("shape");
  if (shape == json.end()) return wrong(where + " wants a \"shape\", a list");
  SIGHTLINE_CHECK(from_json(*shape, tensor.shape, where + ": shape"));
  SIGHTLINE_TRY(const std::int64_t count, elements_of(tensor));
  const auto parameters = json.find("parameters");
  const auto data = json.find("data");
  if (parameters != json.end() && parameters->is_object() && parameters->contains("binary_data_size")) {
    SIGHTLINE_TRY(const std::int64_t size, integer_parameter(json, "binary_data_size"));
    if (data != json.end()) return wrong(where + " has \"data\" and raw bytes: one of both is wanted");
    if (static_cast<std::uint64_t>(size) > binary.size())
      return wrong(fmt::format("{} says it has {} raw bytes, but {} follow the header", where, size, binary.size()));
    tensor.binary = true;
    tensor.raw = binary.substr(0, static_cast<std::size_t>(size));
    binary.remove_prefix(static_cast<std::size_t>(size));
  } else {
    if (data == json.end() || !data->is_array()) return wrong(where + " wants \"data\", a list, or raw bytes with \"binary_data_size\"");
    std::int64_t given = 0;
    SIGHTLINE_CHECK(append_data(*data, tensor, given));
    if (given != count) return wrong(fmt::format("{} has {} elements in \"data\", its shape says {}", where, given, count));
  }
  SIGHTLINE_CHECK(check_tensor(tensor));
  return tensor;
}

struct Split {
  Json json;
  std::string_view binary;
};
Result<Split> split(std::string_view body, const std::string& header_length) {
  std::size_t length = body.size();
  if (!header_length.empty()) {
    if (header_length.size() > 15 || header_length.find_first_not_of("0123456789") != std::string::npos ||
        std::stoull(header_length) > body.size())
      return wrong(fmt::format("Inference-Header-Content-Length is \"{}\": a number up to the body's {} bytes is wanted", header_length,
                               body.size()));
    length = std::stoull(header_length);
  }
  SIGHTLINE_TRY(Json json, parse_json(body.substr(0, length), "the request"));
  if (!json.is_object()) return wrong("the request is no JSON object");
  return Split{std::move(json), body.substr(length)};
}

Json tensor_header(const WireTensor& tensor) { return {{"name", tensor.name}, {"datatype", tensor.datatype}, {"shape", tensor.shape}}; }

template <class T>
void list_numbers(std::string_view bytes, Json& list) {
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value{};
    std::memcpy(&value, bytes.data() + at, sizeof value);
    list.push_back(value);
  }
}

Json data_of(const WireTensor& tensor) {
  Json list = Json::array();
  const std::string_view bytes = tensor.bytes();
  if (tensor.datatype == "FP32") list_numbers<float>(bytes, list);
  if (tensor.datatype == "FP64") list_numbers<double>(bytes, list);
  if (tensor.datatype == "UINT8") list_numbers<std::uint8_t>(bytes, list);
  if (tensor.datatype == "UINT16") list_numbers<std::uint16_t>(bytes, list);
  if (tensor.datatype == "UINT32") list_numbers<std::uint32_t>(bytes, list);
  if (tensor.datatype == "UINT64") list_numbers<std::uint64_t>(bytes, list);
  if (tensor.datatype == "INT8") list_numbers<std::int8_t>(bytes, list);
  if (tensor.datatype == "INT16") list_numbers<std::int16_t>(bytes, list);
  if (tensor.datatype == "INT32") list_numbers<std::int32_t>(bytes, list);
  if (tensor.datatype == "INT64") list_numbers<std::int64_t>(bytes, list);
  if (tensor.datatype == "BOOL") {
    for (const char byte : bytes) list.push_back(byte != 0);
  }
  if (tensor.datatype == "BYTES") {
    for (std::size_t at = 0; at + 4 <= bytes.size();) {
      std::uint32_t size = 0;
      std::memcpy(&size, bytes.data() + at, sizeof size);
      list.push_back(std::string(bytes.substr(at + 4, size)));
      at += 4 + size;
    }
  }
  return list;
}

// 16-bit floats have no form in JSON.
bool goes_raw(const WireTensor& tensor) { return tensor.binary || tensor.datatype == "FP16" || tensor.datatype == "BF16"; }

// The tensors of a message below `key`; raw ones are appended to `raw`.
void add_tensors(const std::vector<WireTensor>& tensors, const char* key, bool all_raw, Json& message, std::string& raw) {
  message[key] = Json::array();
  for (const WireTensor& tensor : tensors) {
    Json one = tensor_header(tensor);
    if (all_raw || goes_raw(tensor)) {
      one["parameters"]["binary_data_size"] = tensor.bytes().size();
      raw += tensor.bytes();
    } else {
      one["data"] = data_of(tensor);
    }
    message[key].push_back(std::move(one));
  }
}

Result<std::vector<WireTensor>> parse_tensors(const Json& message, const char* key, std::string_view& binary) {
  const auto found = message.find(key);
  if (found == message.end() || !found->is_array()) return wrong(fmt::format("\"{}\" is wanted, a list of tensors", key));
  std::vector<WireTensor> tensors;
  for (const Json& each : *found) {
    SIGHTLINE_TRY(WireTensor tensor, parse_tensor(each, binary));
    tensors.push_back(std::move(tensor));
  }
  if (!binary.empty()) return wrong(fmt::format("{} raw bytes belong to no tensor", binary.size()));
  return tensors;
}

}  // namespace

const Datatype* find_datatype(std::string_view name) {
  for (const Datatype& each : datatypes) {
    if (name == each.name) return &each;
  }
  return nullptr;
}

Result<void> check_tensor(const WireTensor& tensor) {
  const Datatype* datatype = find_datatype(tensor.datatype);
  if (datatype == nullptr)
    return Error{ErrorKind::unsupported, fmt::format("the tensor \"{}\": there is no datatype \"{}\"", tensor.name, tensor.datatype)};
  SIGHTLINE_TRY(const std::int64_t count, elements_of(tensor));
  if (datatype->bytes == 0) return check_bytes(tensor, count);
  if (tensor.bytes().size() == static_cast<std::size_t>(count) * datatype->bytes) return {};
  return wrong(fmt::format("the tensor \"{}\" has {} bytes, its shape and datatype say {}", tensor.name, tensor.bytes().size(),
                           static_cast<std::size_t>(count) * datatype->bytes));
}

Result<InferRequest> parse_infer(std::string_view body, const std::string& header_length) {
  SIGHTLINE_TRY(const Split parts, split(body, header_length));
  InferRequest request;
  if (parts.json.contains("id")) {
    SIGHTLINE_TRY(request.id, string_in(parts.json, "id", "the request"));
  }
  std::string_view binary = parts.binary;
  SIGHTLINE_TRY(request.inputs, parse_tensors(parts.json, "inputs", binary));
  SIGHTLINE_TRY(request.binary_output, flag_parameter(parts.json, "binary_data_output"));
  SIGHTLINE_TRY(request.priority, integer_parameter(parts.json, "priority"));
  SIGHTLINE_TRY(request.timeout_us, integer_parameter(parts.json, "timeout"));
  const auto outputs = parts.json.find("outputs");
  if (outputs == parts.json.end()) return request;
  if (!outputs->is_array()) return wrong("\"outputs\" is no list");
  for (const Json& each : *outputs) {
    if (!each.is_object()) return wrong("an output is no object");
    WantedOutput wanted{.binary = request.binary_output};
    SIGHTLINE_TRY(wanted.name, string_in(each, "name", "an output"));
    SIGHTLINE_TRY(const bool binary_data, flag_parameter(each, "binary_data"));
    if (each.contains("parameters") && each["parameters"].is_object() && each["parameters"].contains("binary_data"))
      wanted.binary = binary_data;
    SIGHTLINE_TRY(wanted.classes, integer_parameter(each, "classification"));
    request.outputs.push_back(std::move(wanted));
  }
  return request;
}

std::string write_infer_request(const InferRequest& request, bool binary, std::string& header_length) {
  Json message = Json::object();
  if (!request.id.empty()) message["id"] = request.id;
  std::string raw;
  add_tensors(request.inputs, "inputs", binary, message, raw);
  if (request.binary_output) message["parameters"]["binary_data_output"] = true;
  for (const WantedOutput& wanted : request.outputs) {
    Json one{{"name", wanted.name}, {"parameters", {{"binary_data", wanted.binary}}}};
    if (wanted.classes > 0) one["parameters"]["classification"] = wanted.classes;
    message["outputs"].push_back(std::move(one));
  }
  std::string text = json_text(message);
  header_length = binary ? std::to_string(text.size()) : "";
  return text + raw;
}

Response infer_response(const InferResponse& response) {
  Json message{{"model_name", response.model}, {"model_version", response.version}};
  if (!response.id.empty()) message["id"] = response.id;
  std::string raw;
  add_tensors(response.outputs, "outputs", false, message, raw);
  Response answer{.body = json_text(message)};
  for (const WireTensor& output : response.outputs) {
    if (!goes_raw(output)) continue;
    answer.headers.emplace_back("Inference-Header-Content-Length", std::to_string(answer.body.size()));
    answer.content_type = "application/octet-stream";
    answer.body += raw;
    break;
  }
  return answer;
}

Result<InferResponse> parse_infer_response(std::string_view body, const std::string& header_length) {
  SIGHTLINE_TRY(const Split parts, split(body, header_length));
  InferResponse response;
  SIGHTLINE_TRY(response.model, string_in(parts.json, "model_name", "the answer"));
  response.version = parts.json.value("model_version", "");
  response.id = parts.json.value("id", "");
  std::string_view binary = parts.binary;
  SIGHTLINE_TRY(response.outputs, parse_tensors(parts.json, "outputs", binary));
  return response;
}

}  // namespace sightline::net
