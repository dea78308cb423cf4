#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "kernels/result.h"

namespace krait {

/// Where a component is read from, so that each complaint names the file and the part of it. All failures are thrown as
/// StartupError and become the Result of load_tokenizer.
struct LoadContext {
  std::string file;

  /// The file says something that cannot be: a missing field, a wrong type, an id out of range.
  [[noreturn]] void corrupt(const std::string& what) const;
  /// The file is well-formed but asks for what this version lacks.
  [[noreturn]] void unsupported(const std::string& what) const;
  /// The same for a component's `type`; `kind` is the field of tokenizer.json that holds it.
  [[noreturn]] void unknown_type(const std::string& kind, const std::string& type) const;

  /// Fields of a component; `kind` says whose in the error.
  [[nodiscard]] std::string component_type(const nlohmann::json& component, const std::string& kind) const;
  [[nodiscard]] const nlohmann::json& required(const nlohmann::json& component, const std::string& kind,
                                               const std::string& name) const;
  [[nodiscard]] const nlohmann::json& required_array(const nlohmann::json& component, const std::string& kind,
                                                     const std::string& name) const;
  [[nodiscard]] std::string string_field(const nlohmann::json& component, const std::string& kind,
                                         const std::string& name) const;
  /// The default also stands for null.
  [[nodiscard]] bool bool_field(const nlohmann::json& component, const std::string& kind, const std::string& name,
                                bool fallback) const;
  [[nodiscard]] bool required_bool(const nlohmann::json& component, const std::string& kind,
                                   const std::string& name) const;
  /// A string of exactly one character.
  [[nodiscard]] char32_t character_field(const nlohmann::json& component, const std::string& kind,
                                         const std::string& name) const;
  /// A count; the default also stands for null, and nullopt makes the field a required one.
  [[nodiscard]] std::size_t size_field(const nlohmann::json& component, const std::string& kind,
                                       const std::string& name, std::optional<std::size_t> fallback) const;
  /// A token id: a number from 0 to kMaxTokenId.
  [[nodiscard]] std::int32_t token_id(const nlohmann::json& value, const std::string& where) const;
};

/// No vocabulary comes near it; a larger id in a file is a fault, and must not make us reserve a table for it.
constexpr std::int32_t kMaxTokenId = (1 << 24) - 1;

}  // namespace krait
