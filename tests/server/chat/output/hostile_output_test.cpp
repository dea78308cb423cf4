#include <chrono>

#include "tests/server/chat/output/parsing.h"

using namespace krait::test;

namespace {

std::vector<std::string> tool_format_names() {
  std::vector<std::string> names;
  for (const auto* format : krait::server::tool_call_formats()) names.emplace_back(format->name());
  return names;
}

std::string repeated(const std::string& text, std::size_t bytes) {
  std::string all;
  while (all.size() < bytes) all += text;
  return all;
}

}  // namespace

TEST_CASE("Random text of markers and fragments: cuts change nothing, nothing is lost but what belongs to calls") {
  std::mt19937 random(1);
  for (const std::string& name : tool_format_names()) {
    std::vector<std::string> words = {"{",
                                      "}",
                                      "[",
                                      "]",
                                      "\"",
                                      ":",
                                      ",",
                                      " ",
                                      "\n",
                                      "name",
                                      "\"name\": \"f\"",
                                      "\\",
                                      "\"arguments\": ",
                                      "{\"a\": 1}",
                                      "f(a=1, b='x')",
                                      "'",
                                      "(",
                                      ")",
                                      "=",
                                      "f",
                                      "1",
                                      "<function=f>",
                                      "<parameter=a>",
                                      "</parameter>",
                                      "</function>",
                                      "é",
                                      "<",
                                      "</",
                                      "<think>",
                                      "</think>",
                                      "call:f",
                                      "<|\"|>",
                                      "\\u00",
                                      "\\ud83d"};
    const auto formats = krait::server::select_formats("", name, "qwen3");
    REQUIRE(formats.ok());
    for (const std::string& marker : formats->special_markers()) {
      words.push_back(marker);
      words.push_back(marker);
      words.push_back(marker.substr(0, marker.size() / 2));
    }
    for (int round = 0; round < 60; ++round) {
      std::string text;
      const int length = std::uniform_int_distribution<int>(1, 40)(random);
      for (int i = 0; i < length; ++i) {
        text += words[std::uniform_int_distribution<std::size_t>(0, words.size() - 1)(random)];
      }
      const ParsedMessage message = parse({name, round % 2 == 0 ? "none" : "qwen3"}, text);
      REQUIRE(message.content.size() + message.reasoning.size() <= text.size());
    }
  }
}

TEST_CASE("Text without any marker comes out as it is") {
  const std::string text = "Plain text \u00e9\u4e2d, a < b && c > d, a[0], f(x) {y}: \"q\"\n\n  end \t\n";
  for (const std::string& name : tool_format_names()) {
    INFO(name);
    const ParsedMessage message = parse({name, "qwen3"}, text);
    CHECK(message.content == text);
    CHECK(message.calls.empty());
  }
}

TEST_CASE("Much of anything takes time in proportion") {
  // Anything quadratic would take minutes.
  const std::size_t size = std::size_t{1} << 16U;
  for (const std::string& name : tool_format_names()) {
    const auto formats = krait::server::select_formats("", name, "none");
    REQUIRE(formats.ok());
    std::vector<std::string> units = {"<", " ", "{", "[", "\"", "[{\"a\":", "\\", "x"};
    for (const std::string& marker : {formats->special_markers().front(), formats->special_markers().back()}) {
      units.push_back(marker);
      units.push_back(marker + "{\"");
      units.push_back(marker + " [f(a=[");
      units.push_back(marker.substr(0, marker.size() - 1));
    }
    for (const std::string& unit : units) {
      std::vector<std::string> beginnings = {""};
      if (!formats->special_markers().empty()) {
        const std::string marker = formats->special_markers().back();
        beginnings.push_back(marker);
        beginnings.push_back(marker + "{\"name\": \"f\", \"arguments\": {\"a\": ");
        beginnings.push_back(marker + "[f(a=");
        beginnings.push_back(marker + "<function=f><parameter=a>");
      }
      for (const std::string& beginning : beginnings) {
        INFO(name << ": " << beginning << " " << unit);
        const std::string text = beginning + repeated(unit, size);
        const auto start = std::chrono::steady_clock::now();
        krait::server::OutputParser parser = make_parser({name});
        std::size_t bytes = 0;
        const auto count = [&](const krait::server::MessageDelta& delta) {
          bytes += delta.content.size();
          for (const auto& call : delta.tool_calls) bytes += call.arguments.size();
        };
        for (std::size_t at = 0; at < text.size(); at += 4096) count(parser.push(text.substr(at, 4096)));
        count(parser.finish());
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        REQUIRE(bytes <= 7 * text.size());
        REQUIRE(took.count() < 5.0);  // linear: a few hundredths
      }
    }
  }
}

TEST_CASE("Deep arguments are bounded, not recursed into") {
  const std::string deep = repeated("[", 100000);
  const auto json = parse_pieces({"hermes"}, {"<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": " + deep});
  REQUIRE(json.calls.size() == 1);
  CHECK(json.calls[0].arguments.size() < 2000);
  const auto python = parse_pieces({"lfm2"}, {"<|tool_call_start|>[f(a=" + deep});
  REQUIRE(python.calls.size() == 1);
  CHECK(python.calls[0].arguments.size() < 2000);
  ParseSetup xml{"qwen3_coder"};
  xml.tools = {tool("f", R"({"a": {"type": "array"}})")};
  const std::string closed = deep + repeated("]", 100000);
  const auto element = parse_pieces(
      xml, {"<tool_call>\n<function=f>\n<parameter=a>\n" + closed + "\n</parameter>\n</function>\n</tool_call>"});
  CHECK(nlohmann::json::accept(element.calls.at(0).arguments));
  CHECK(nlohmann::json::parse(element.calls.at(0).arguments)["a"].is_string());
}
