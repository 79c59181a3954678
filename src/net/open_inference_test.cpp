#include "net/open_inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace sightline::net {
namespace {

using ::testing::HasSubstr;

TEST(OpenInference, ReadsJson) {
  const auto request =
      parse_infer(R"({"id": "7", "inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4.5]]}],
    "outputs": [{"name": "y", "parameters": {"binary_data": true, "classification": 3}}, {"name": "z"}],
    "parameters": {"priority": 1, "timeout": 5000}})",
                  "");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->id, "7");
  ASSERT_EQ(request->inputs.size(), 1U);
  const std::string_view bytes = request->inputs[0].bytes();
  ASSERT_EQ(bytes.size(), 16U);
  float last = 0;
  std::memcpy(&last, bytes.data() + 12, 4);
  EXPECT_EQ(last, 4.5F);
  ASSERT_EQ(request->outputs.size(), 2U);
  EXPECT_TRUE(request->outputs[0].binary);
  EXPECT_EQ(request->outputs[0].classes, 3);
  EXPECT_FALSE(request->outputs[1].binary);
  EXPECT_EQ(request->priority, 1);
  EXPECT_EQ(request->timeout_us, 5000);
}

TEST(OpenInference, RoundTripsEveryDatatypeRawAndAsJson) {
  struct Case {
    const char* datatype;
    std::string bytes;
    std::vector<std::int64_t> shape;
  };
  const std::string words("\x03\0\0\0abc\0\0\0\0", 11);
  for (const Case& each :
       {Case{"UINT8", std::string("\x01\xff\x00", 3), {3}}, Case{"INT8", std::string("\x01\xff", 2), {2}},
        Case{"BOOL", std::string("\x01\x00", 2), {1, 2}}, Case{"INT16", std::string("\xff\xff", 2), {1}},
        Case{"UINT16", std::string("\xff\xff", 2), {1}}, Case{"INT32", std::string("\xfe\xff\xff\xff", 4), {1}},
        Case{"UINT32", std::string("\xfe\xff\xff\xff", 4), {1}}, Case{"INT64", std::string(8, '\xff'), {1}},
        Case{"UINT64", std::string(8, '\xff'), {1}}, Case{"FP32", std::string("\0\0\x80\x3f", 4), {1, 1}},
        Case{"FP64", std::string("\0\0\0\0\0\0\xf0\x3f", 8), {1}}, Case{"BYTES", words, {2}}, Case{"FP32", "", {0, 4}}}) {
    for (const bool binary : {true, false}) {
      InferRequest request;
      request.inputs.push_back({.name = "x", .datatype = each.datatype, .shape = each.shape, .own = each.bytes});
      std::string length;
      const std::string body = write_infer_request(request, binary, length);
      const auto again = parse_infer(body, length);
      ASSERT_TRUE(again.ok()) << each.datatype << again.error().message;
      EXPECT_EQ(again->inputs[0].bytes(), each.bytes) << each.datatype << binary;
      EXPECT_EQ(again->inputs[0].shape, each.shape);

      InferResponse response{.model = "m", .version = "2"};
      response.outputs.push_back({.name = "y", .datatype = each.datatype, .shape = each.shape, .own = each.bytes, .binary = binary});
      const Response sent = infer_response(response);
      const auto read = parse_infer_response(sent.body, sent.headers.empty() ? "" : sent.headers[0].second);
      ASSERT_TRUE(read.ok()) << each.datatype << read.error().message;
      EXPECT_EQ(read->outputs[0].bytes(), each.bytes) << each.datatype << binary;
    }
  }
}

TEST(OpenInference, SaysWhatIsWrong) {
  const auto message = [](const std::string& tensor, const std::string& length = "", const std::string& more = "") {
    const auto request = parse_infer("{\"inputs\": [" + tensor + "]}" + more, length);
    return request.ok() ? std::string("(fine)") : request.error().message;
  };
  EXPECT_THAT(message("7"), HasSubstr("no object"));
  EXPECT_THAT(message(R"({"datatype": "FP32", "shape": [1], "data": [1]})"), HasSubstr("\"name\""));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "FP31", "shape": [1], "data": [1]})"), HasSubstr("FP31"));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "FP32", "shape": [2], "data": [1]})"), HasSubstr("1 elements"));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "FP32", "shape": [-1], "data": [1]})"), HasSubstr("shape"));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "FP32", "shape": [4000000000, 4000000000], "data": []})"), HasSubstr("shape"));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "UINT8", "shape": [1], "data": [256]})"), HasSubstr("no UINT8"));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "UINT8", "shape": [1], "data": [-1]})"), HasSubstr("no UINT8"));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "UINT8", "shape": [1], "data": ["a"]})"), HasSubstr("no UINT8"));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "UINT8", "shape": [1]})"), HasSubstr("\"data\""));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "UINT8", "shape": [1], "parameters": {"binary_data_size": 9}})"),
              HasSubstr("raw bytes"));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "UINT8", "shape": [1], "data": [1]})", "99999"),
              HasSubstr("Inference-Header-Content-Length"));
  EXPECT_THAT(message(R"({"name": "x", "datatype": "UINT8", "shape": [1], "data": [1]})", "-3"),
              HasSubstr("Inference-Header-Content-Length"));
  const std::string whole = R"({"inputs": [{"name": "x", "datatype": "UINT8", "shape": [1], "parameters": {"binary_data_size": 1}}]})";
  EXPECT_TRUE(parse_infer(whole + "a", std::to_string(whole.size())).ok());
  EXPECT_THAT(parse_infer(whole + "ab", std::to_string(whole.size())).error().message, HasSubstr("belong to no tensor"));
  const std::string words = R"({"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}]})";
  EXPECT_THAT(parse_infer(words + std::string("\xff\0\0\0a", 5), std::to_string(words.size())).error().message, HasSubstr("ends within"));
  EXPECT_FALSE(parse_infer("", "").ok());
  EXPECT_FALSE(parse_infer("{}", "").ok());
}

}  // namespace
}  // namespace sightline::net
