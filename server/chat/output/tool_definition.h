#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace krait::server {

/// A function that the model may call, as a request describes it.
struct ToolDefinition {
  std::string name;
  std::string description;
  /// The JSON schema of its arguments, keys in the client's order; null or an empty object: any object.
  nlohmann::ordered_json parameters;
};

enum class ToolChoice {
  kAuto,      ///< the model decides
  kRequired,  ///< at least one call, of any tool
  kNamed,     ///< one call, of one tool
};

/// What a constrained answer may call. The tools are borrowed for the call.
struct ToolConstraint {
  const std::vector<ToolDefinition>& tools;
  ToolChoice choice = ToolChoice::kAuto;
  std::string name;      ///< with kNamed: one of `tools`
  bool parallel = true;  ///< several calls in one message are allowed (never with kNamed)
};

}  // namespace krait::server
