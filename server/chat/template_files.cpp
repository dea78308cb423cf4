#include "server/chat/template_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

namespace krait::server {
namespace {

using Json = nlohmann::ordered_json;
using Templates = std::map<std::string, TemplateSource>;

Error file_error(const std::string& file, const std::string& what) {
  return {.code = ErrorCode::kInvalidArgument, .message = file + ": " + what, .field = file};
}

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(std::istreambuf_iterator<char>(in), {});
  return in.bad() ? std::nullopt : std::optional(std::move(text));
}

/// The object that a JSON file holds; null where there is no such file.
Result<Json> read_object(const std::string& file) {
  const std::optional<std::string> text = read_file(file);
  if (!text) return Json();
  Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object()) return file_error(file, "not a JSON object");
  return json;
}

/// `chat_template`: a string, a list of {"name", "template"}, or an object from names to templates.
Result<Templates> named_templates(const Json& value, const std::string& file) {
  Templates templates;
  if (value.is_null()) return templates;
  if (value.is_string()) {
    templates["default"] = {.text = value.get<std::string>(), .file = file};
    return templates;
  }
  if (!value.is_array() && !value.is_object())
    return file_error(file, "chat_template is neither a string nor a list or an object of named templates");
  for (const auto& [key, entry] : value.items()) {
    const bool pair = value.is_array() && entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                      entry.contains("template") && entry["template"].is_string();
    if (!pair && !(value.is_object() && entry.is_string()))
      return file_error(file, "chat_template holds an entry without name or template");
    const std::string name = pair ? entry["name"].get<std::string>() : key;
    templates[name] = {.text = (pair ? entry["template"] : entry).get<std::string>(), .file = file};
  }
  return templates;
}

/// A special token: a string, or an object with its `content`; nullopt where it is something else.
std::optional<std::string> token_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  const bool has_content = value.is_object() && value.contains("content") && value["content"].is_string();
  return has_content ? std::optional(value["content"].get<std::string>()) : std::nullopt;
}

class SpecialTokens {
 public:
  void read(const Json& config) {
    for (const auto& [name, value] : config.items()) {
      if (name.ends_with("_token")) set(name, value);
      if ((name == "extra_special_tokens" || name == "model_specific_special_tokens") && value.is_object()) {
        for (const auto& [extra, token] : value.items()) set(extra, token);
      }
    }
  }
  std::vector<std::pair<std::string, std::string>> take() { return std::move(tokens_); }

 private:
  void set(const std::string& name, const Json& value) {
    std::optional<std::string> text = token_text(value);
    if (!text) return;
    const auto found =
        std::find_if(tokens_.begin(), tokens_.end(), [&name](const auto& token) { return token.first == name; });
    if (found != tokens_.end()) {
      found->second = std::move(*text);
    } else {
      tokens_.emplace_back(name, std::move(*text));
    }
  }
  std::vector<std::pair<std::string, std::string>> tokens_;
};

Templates jinja_files(const std::filesystem::path& folder) {
  Templates templates;
  const std::string file = (folder / "chat_template.jinja").string();
  if (auto text = read_file(file)) templates["default"] = {.text = std::move(*text), .file = file};
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "additional_chat_templates", none)) {
    if (entry.path().extension() != ".jinja") continue;
    if (auto text = read_file(entry.path().string()))
      templates[entry.path().stem().string()] = {.text = std::move(*text), .file = entry.path().string()};
  }
  return templates;
}

Result<Templates> member_templates(const Json& config, const std::string& file) {
  return config.is_object() && config.contains("chat_template") ? named_templates(config["chat_template"], file)
                                                                : Templates{};
}

}  // namespace

Result<TemplateFiles> read_template_files(const std::string& folder) {
  const std::filesystem::path path(folder);
  TemplateFiles files;
  files.templates = jinja_files(path);
  SpecialTokens tokens;
  const std::string config_file = (path / "tokenizer_config.json").string();
  const Result<Json> config = read_object(config_file);
  if (!config.ok()) return config.error();
  if (config->is_object()) tokens.read(*config);
  if (!config->is_object() || !config->contains("added_tokens_decoder")) {
    const Result<Json> map = read_object((path / "special_tokens_map.json").string());
    if (!map.ok()) return map.error();
    if (map->is_object()) tokens.read(*map);
  }
  files.special_tokens = tokens.take();
  if (files.templates.empty()) {
    Result<Templates> found = member_templates(*config, config_file);
    if (!found.ok()) return std::move(found).error();
    files.templates = std::move(*found);
  }
  const std::string processor_file = (path / "chat_template.json").string();
  if (files.templates.empty() && std::filesystem::exists(processor_file)) {
    Result<Templates> found = read_template_file(processor_file);
    if (!found.ok()) return std::move(found).error();
    files.templates = std::move(*found);
  }
  return files;
}

Result<Templates> read_template_file(const std::string& file) {
  const std::optional<std::string> text = read_file(file);
  if (!text) return Error{.code = ErrorCode::kNotFound, .message = "cannot open " + file, .field = file};
  if (!file.ends_with(".json")) return Templates{{"default", {.text = *text, .file = file}}};
  const Json json = Json::parse(*text, nullptr, false);
  if (json.is_discarded()) return file_error(file, "not valid JSON");
  const bool member = json.is_object() && json.contains("chat_template");
  Result<Templates> templates = named_templates(member ? json["chat_template"] : json, file);
  if (templates.ok() && templates->empty()) return file_error(file, "holds no chat template");
  return templates;
}

}  // namespace krait::server
