#pragma once

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/chat/output/output_parser.h"

namespace krait::test {

struct ParsedCall {
  std::string name;
  std::string arguments;
  std::string id;
  bool operator==(const ParsedCall& other) const { return name == other.name && arguments == other.arguments; }
};

/// What a client has put together from all deltas.
struct ParsedMessage {
  std::string content;
  std::string reasoning;
  std::vector<ParsedCall> calls;
  bool operator==(const ParsedMessage&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const ParsedMessage& message) {
  out << "content=[" << message.content << "] reasoning=[" << message.reasoning << "]";
  for (const ParsedCall& call : message.calls) out << " " << call.name << "(" << call.arguments << ")";
  return out;
}

/// Appends a delta as clients do, and checks what holds for every delta.
inline void append(ParsedMessage& message, const server::MessageDelta& delta) {
  message.content += delta.content;
  message.reasoning += delta.reasoning;
  for (const server::ToolCallDelta& call : delta.tool_calls) {
    const auto index = static_cast<std::size_t>(call.index);
    if (index == message.calls.size()) {
      REQUIRE_FALSE(call.name.empty());
      REQUIRE_FALSE(call.id.empty());
      message.calls.push_back({call.name, "", call.id});
    } else {
      REQUIRE(index + 1 == message.calls.size());  // never a call that is over
      REQUIRE(call.name.empty());
      REQUIRE(call.id.empty());
    }
    message.calls[index].arguments += call.arguments;
  }
}

struct ParseSetup {
  ParseSetup(std::string tool_call_parser, std::string reasoning_parser = "none",
             server::PromptThinking where = server::PromptThinking::kMayOpen)
      : tool_calls(std::move(tool_call_parser)), reasoning(std::move(reasoning_parser)), prompt(where) {}

  std::string tool_calls;
  std::string reasoning;
  server::PromptThinking prompt;
  std::vector<server::ToolDefinition> tools;
  bool parallel = true;
};

inline server::OutputParser make_parser(const ParseSetup& setup) {
  const auto formats = server::select_formats("", setup.tool_calls, setup.reasoning);
  INFO((formats.ok() ? "" : formats.error().message));
  REQUIRE(formats.ok());
  server::OutputParserOptions options;
  options.formats = *formats;
  options.prompt = setup.prompt;
  options.tools = &setup.tools;
  options.parallel_tool_calls = setup.parallel;
  return server::OutputParser(options);
}

inline ParsedMessage parse_pieces(const ParseSetup& setup, const std::vector<std::string>& pieces) {
  server::OutputParser parser = make_parser(setup);
  ParsedMessage message;
  for (const std::string& piece : pieces) append(message, parser.push(piece));
  append(message, parser.finish());
  REQUIRE(parser.has_tool_calls() == !message.calls.empty());
  return message;
}

/// Parses the text in one piece, byte by byte, and cut at random: the result must be the same.
inline ParsedMessage parse(const ParseSetup& setup, const std::string& text) {
  INFO(setup.tool_calls << ", " << setup.reasoning << ": " << text.substr(0, 2000));
  ParsedMessage whole = parse_pieces(setup, {text});
  std::vector<std::string> bytes;
  for (const char byte : text) bytes.emplace_back(1, byte);
  REQUIRE(parse_pieces(setup, bytes) == whole);
  std::mt19937 random(7);
  for (int round = 0; round < 5; ++round) {
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = std::uniform_int_distribution<std::size_t>(0, 12)(random);
      pieces.push_back(text.substr(at, length));
      at += length;
    }
    REQUIRE(parse_pieces(setup, pieces) == whole);
  }
  return whole;
}

inline server::ToolDefinition tool(const std::string& name, const std::string& properties) {
  return {name, "", nlohmann::ordered_json::parse(R"({"type": "object", "properties": )" + properties + "}")};
}

}  // namespace krait::test
