#include <catch2/catch.hpp>
#include <sstream>

#include "server/cli/json_lines.h"

namespace krait::server {
namespace {

using ordered_json = nlohmann::ordered_json;

/// Answers {"in": <the line>}, refuses a line with "refuse" and throws on one with "throw".
Result<ordered_json> echo(const ordered_json& line) {
  if (line.contains("refuse")) return Error{.code = ErrorCode::kInvalidArgument, .message = "né", .field = {}};
  if (line.contains("throw")) throw std::runtime_error("thrown");
  return ordered_json{{"in", line}};
}

std::string answers(const std::string& input) {
  std::istringstream in(input);
  std::ostringstream out;
  CHECK(answer_json_lines(in, out, echo));
  return out.str();
}

TEST_CASE("JSON lines are answered in order, with their keys in order and nothing but ASCII") {
  CHECK(answers("{\"z\": 1, \"a\": \"\xC3\xA9\xF0\x9F\x98\x80\"}\n{\"b\":[]}\n") ==
        R"({"in":{"z":1,"a":"\u00e9\ud83d\ude00"}})"
        "\n"
        R"({"in":{"b":[]}})"
        "\n");
}

TEST_CASE("A JSON line that fails is answered with an error, and those behind it as if it were not there") {
  CHECK(answers("{\"refuse\":1}\n{\"throw\":1}\n{\"a\":1}") ==
        "{\"error\":\"n\\u00e9\"}\n{\"error\":\"thrown\"}\n{\"in\":{\"a\":1}}\n");
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100000; ++i) deep += '[';
  const std::vector<std::pair<std::string, std::string>> wrong = {{"", "not valid JSON"},
                                                                  {"{", "not valid JSON"},
                                                                  {"[1]", "a list"},
                                                                  {"3", "found 3"},
                                                                  {"{\"a\":1} x", "valid JSON"},
                                                                  {"{\"a\":NaN}", "valid JSON"},
                                                                  {"{\"a\":\"\xFF\"}", "UTF-8"},
                                                                  {"{\"a\":\"\\ud800\"}", "valid JSON"},
                                                                  {"{\"a\":\"\xED\xA0\x80\"}", "UTF-8"},
                                                                  {deep, "nested more than 64 deep"}};
  for (const auto& [line, words] : wrong) {
    INFO(line.substr(0, 40));
    const std::string text = answers(line + "\n{\"a\":1}\n");
    const std::size_t end = text.find('\n');
    CHECK_THAT(text.substr(0, end), Catch::StartsWith("{\"error\":\"the line ") && Catch::Contains(words));
    CHECK(text.substr(end + 1) == "{\"in\":{\"a\":1}}\n");
  }
}

TEST_CASE("JSON lines end with their input, and stop when nobody reads the answers") {
  CHECK(answers("").empty());
  CHECK(answers("{}\r\n") == "{\"in\":{}}\n");
  std::istringstream in("{}\n{}\n");
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  CHECK_FALSE(answer_json_lines(in, out, echo));
}

}  // namespace
}  // namespace krait::server
