#include "server/openai/format_fields.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace krait::server {
namespace {

using Kind = OutputFormatKind;

Error invalid(const std::string& field, const std::string& message) {
  return Error{.code = ErrorCode::kInvalidArgument, .message = message, .field = field};
}

/// A schema as an object, or (only vLLM's fields) as the text of one. `true` is a schema too: any value.
void add_schema(FieldReader& reader, const Json* schema, const std::string& field, bool text_allowed,
                std::vector<OutputFormat>& formats) {
  if (schema == nullptr) return;
  const bool is_text = text_allowed && schema->is_string();
  if (!schema->is_object() && *schema != true && !is_text) {
    return reader.fail(invalid(field, field + " must be a JSON schema, found " + describe_value(*schema)));
  }
  if (!is_text) return formats.push_back({Kind::kJsonSchema, *schema, field});
  const Result<Json> parsed = parse_json(schema->get_ref<const std::string&>(), field);
  if (!parsed.ok()) return reader.fail(invalid(field, parsed.error().message));
  add_schema(reader, &*parsed, field, false, formats);
}

void add_choice(FieldReader& reader, const std::vector<std::string>& choices, const std::string& field, bool given,
                std::vector<OutputFormat>& formats) {
  if (!given || !reader.status().ok()) return;
  if (choices.empty()) return reader.fail(invalid(field, field + " must hold at least one string"));
  formats.push_back({Kind::kChoice, Json(choices), field});
}

void add_text(const std::optional<std::string>& text, Kind kind, const std::string& field,
              std::vector<OutputFormat>& formats) {
  if (text.has_value()) formats.push_back({kind, *text, field});
}

/// The older form of a structural tag, which vLLM still takes: {"structures": [{"begin", "schema", "end"}], "triggers":
/// [...]}, as the format that says the same.
Json triggered_tags(const Json& tag) {
  Json tags = Json::array();
  for (const Json& structure : tag["structures"]) {
    tags.push_back({{"type", "tag"},
                    {"begin", structure.value("begin", Json())},
                    {"content", {{"type", "json_schema"}, {"json_schema", structure.value("schema", Json::object())}}},
                    {"end", structure.value("end", Json())}});
  }
  return {{"type", "triggered_tags"}, {"triggers", tag.value("triggers", Json::array())}, {"tags", std::move(tags)}};
}

/// What is inside is the grammar library's matter.
void add_structural_tag(FieldReader& reader, const Json& tag, const std::string& field,
                        std::vector<OutputFormat>& formats) {
  const bool older = tag.is_object() && tag.contains("structures") && tag["structures"].is_array() &&
                     std::ranges::all_of(tag["structures"], [](const Json& each) { return each.is_object(); });
  const bool newer = tag.is_object() && tag.contains("format") && tag["format"].is_object();
  if (!older && !newer) {
    return reader.fail(invalid(field, field + " must be a structural tag with the object \"format\" (or the lists "
                                              "\"structures\" and \"triggers\")"));
  }
  Json format = newer ? tag["format"] : triggered_tags(tag);
  formats.push_back({Kind::kStructuralTag, {{"type", "structural_tag"}, {"format", std::move(format)}}, field});
}

/// vLLM has it as text; an object is as good.
void read_structural_tag(FieldReader& inner, std::vector<OutputFormat>& formats) {
  const std::string field = "structured_outputs.structural_tag";
  const Json* tag = inner.find("structural_tag");
  if (tag == nullptr) return;
  if (!tag->is_string()) return add_structural_tag(inner, *tag, field, formats);
  const Result<Json> parsed = parse_json(tag->get_ref<const std::string&>(), field);
  if (!parsed.ok()) return inner.fail(invalid(field, parsed.error().message));
  add_structural_tag(inner, *parsed, field, formats);
}

/// {"type": "json_schema", "json_schema": {"name", "schema", "strict", "description"}}. The schema is enforced whatever
/// `strict` says: there is no looser way.
void read_json_schema(FieldReader& reader, FieldReader& format, std::vector<OutputFormat>& formats) {
  const Json* wrapper = format.object("json_schema");
  if (wrapper == nullptr) return format.fail("json_schema", "an object with name and schema", nullptr);
  FieldReader inner(*wrapper, "response_format.json_schema.");
  if (!inner.text("name").has_value()) inner.fail("name", "a string", nullptr);
  inner.text("description");
  inner.flag("strict", false);
  const Json* schema = inner.find("schema");
  if (schema == nullptr) inner.fail("schema", "a JSON schema", nullptr);
  if (Status status = inner.status(); !status.ok()) return format.fail(status.error());
  add_schema(reader, schema, "response_format.json_schema.schema", false, formats);
}

void read_response_format(FieldReader& reader, std::vector<OutputFormat>& formats) {
  constexpr const char* kTypes = "one of text, json_object, json_schema and structural_tag";
  const Json* format = reader.object("response_format");
  if (format == nullptr) return;
  FieldReader inner(*format, "response_format.");
  const std::optional<std::string> type = inner.text("type");
  if (!type.has_value()) {
    inner.fail("type", kTypes, nullptr);
  } else if (type == "json_object") {
    formats.push_back({Kind::kJsonObject, {}, "response_format"});
  } else if (type == "json_schema") {
    read_json_schema(reader, inner, formats);
  } else if (type == "structural_tag") {
    add_structural_tag(inner, *format, "response_format", formats);
  } else if (type != "text") {
    inner.fail("type", kTypes, Json(*type));
  }
  if (Status status = inner.status(); !status.ok()) reader.fail(status.error());
}

/// Options of other servers' backends that change what is allowed: to ignore one would be to allow something else.
void refuse_backend_options(FieldReader& inner) {
  for (const char* name :
       {"disable_fallback", "disable_any_whitespace", "disable_additional_properties", "whitespace_pattern"}) {
    const Json* value = inner.find(name);
    if (value == nullptr || *value == false) continue;
    inner.fail(Error{.code = ErrorCode::kUnsupported,
                     .message = std::string("structured_outputs.") + name + " is not served by this version of Krait",
                     .field = std::string("structured_outputs.") + name});
  }
}

void read_structured_outputs(FieldReader& reader, std::vector<OutputFormat>& formats) {
  const Json* object = reader.object("structured_outputs");
  if (object == nullptr) return;
  const std::string at = "structured_outputs";
  FieldReader inner(*object, at + ".");
  const std::size_t before = formats.size();
  add_schema(inner, inner.find("json"), at + ".json", true, formats);
  add_text(inner.text("regex"), Kind::kRegex, at + ".regex", formats);
  add_choice(inner, inner.texts("choice"), at + ".choice", inner.find("choice") != nullptr, formats);
  add_text(inner.text("grammar"), Kind::kGrammar, at + ".grammar", formats);
  if (inner.flag("json_object", false)) formats.push_back({Kind::kJsonObject, {}, at + ".json_object"});
  read_structural_tag(inner, formats);
  refuse_backend_options(inner);
  for (const std::string& name : inner.unknown()) {
    inner.fail(invalid(at + "." + name, at + "." + name +
                                            " is not known; valid: json, regex, choice, grammar, "
                                            "json_object, structural_tag"));
  }
  if (formats.size() == before && inner.status().ok()) {
    inner.fail(invalid(at, at + " must have one of json, regex, choice, grammar, json_object and structural_tag"));
  }
  if (Status status = inner.status(); !status.ok()) reader.fail(status.error());
}

/// vLLM's names before structured_outputs.
void read_guided(FieldReader& reader, std::vector<OutputFormat>& formats) {
  add_schema(reader, reader.find("guided_json"), "guided_json", true, formats);
  add_text(reader.text("guided_regex"), Kind::kRegex, "guided_regex", formats);
  add_choice(reader, reader.texts("guided_choice"), "guided_choice", reader.find("guided_choice") != nullptr, formats);
  add_text(reader.text("guided_grammar"), Kind::kGrammar, "guided_grammar", formats);
}

}  // namespace

std::optional<OutputFormat> read_output_format(FieldReader& reader) {
  std::vector<OutputFormat> formats;
  read_response_format(reader, formats);
  read_structured_outputs(reader, formats);
  read_guided(reader, formats);
  if (formats.empty()) return std::nullopt;
  if (formats.size() > 1) {
    reader.fail(invalid(formats[1].field,
                        "only one of " + formats[0].field + " and " + formats[1].field + " may constrain the answer"));
  }
  return std::move(formats.front());
}

}  // namespace krait::server
