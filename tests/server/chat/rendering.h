#pragma once

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "server/chat/chat_template.h"

namespace krait::test {

/// What a template renders; fails the test if it does not.
inline std::string render(const std::string& source,
                          const nlohmann::ordered_json& context = nlohmann::ordered_json::object()) {
  INFO(source);
  auto parsed = server::ChatTemplate::parse(source);
  INFO((parsed.ok() ? "" : parsed.error().message));
  REQUIRE(parsed.ok());
  auto text = (*parsed)->render(context);
  INFO((text.ok() ? "" : text.error().message));
  REQUIRE(text.ok());
  return *text;
}

/// The error of a template that parses and does not render.
inline Error render_error(const std::string& source,
                          const nlohmann::ordered_json& context = nlohmann::ordered_json::object()) {
  INFO(source);
  auto parsed = server::ChatTemplate::parse(source);
  INFO((parsed.ok() ? "" : parsed.error().message));
  REQUIRE(parsed.ok());
  auto text = (*parsed)->render(context);
  REQUIRE_FALSE(text.ok());
  return text.error();
}

inline Error parse_error(const std::string& source) {
  INFO(source.substr(0, 200));
  auto parsed = server::ChatTemplate::parse(source);
  REQUIRE_FALSE(parsed.ok());
  return parsed.error();
}

}  // namespace krait::test
