#include "models/tokenizer/metaspace.h"

namespace krait {
namespace {

Metaspace::Prepend read_prepend(const nlohmann::json& description, const std::string& kind,
                                const LoadContext& context) {
  const bool prefix = context.bool_field(description, kind, "add_prefix_space", true);
  if (!description.contains("prepend_scheme")) return prefix ? Metaspace::Prepend::kAlways : Metaspace::Prepend::kNever;
  const std::string scheme = context.string_field(description, kind, "prepend_scheme");
  if (scheme == "never") return Metaspace::Prepend::kNever;
  if (scheme != "always" && scheme != "first") {
    context.corrupt(kind + ".prepend_scheme '" + scheme + "' is unknown. Valid ones: always, first, never");
  }
  if (!prefix) context.corrupt(kind + ".add_prefix_space is false, but prepend_scheme is '" + scheme + "'");
  return scheme == "first" ? Metaspace::Prepend::kFirst : Metaspace::Prepend::kAlways;
}

}  // namespace

Metaspace Metaspace::read(const nlohmann::json& description, const std::string& kind, const LoadContext& context) {
  return {.replacement = context.character_field(description, kind, "replacement"),
          .prepend = read_prepend(description, kind, context),
          .split = context.bool_field(description, kind, "split", true)};
}

}  // namespace krait
