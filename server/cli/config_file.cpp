#include <yaml-cpp/yaml.h>

#include <utility>

#include "server/cli/option_values.h"

namespace krait::server {
namespace {

/// "FILE:LINE: message", as compilers write it.
Error config_error(const std::string& path, const YAML::Mark& mark, const std::string& message, std::string key = {}) {
  const std::string line = mark.is_null() ? "" : ":" + std::to_string(mark.line + 1);
  return Error{.code = ErrorCode::kInvalidArgument, .message = path + line + ": " + message, .field = std::move(key)};
}

/// For the message about an unknown key, which is most often a typing error.
std::string known_keys() {
  std::string keys;
  for (const OptionSpec& spec : option_table()) keys += (keys.empty() ? "" : ", ") + std::string(spec.name);
  return keys;
}

/// What was found, in a person's words.
const char* kind_name(const YAML::Node& node) {
  if (node.IsSequence()) return "a list";
  if (node.IsMap()) return "a map";
  return node.IsNull() ? "nothing" : "a value";
}

/// YAML's own spellings of a boolean become ours; everything else stays as it is written.
std::string scalar_text(const OptionSpec& spec, const YAML::Node& node) {
  bool flag = false;
  if (spec.type == OptionType::kFlag && node.Tag() != "!" && YAML::convert<bool>::decode(node, flag)) {
    return flag ? "true" : "false";
  }
  return node.Scalar();
}

/// Pairs may be a list of TYPE=NAME, or a map from TYPE to NAME.
Result<std::vector<std::string>> node_texts(const OptionSpec& spec, const YAML::Node& node) {
  std::vector<std::string> texts;
  if (node.IsScalar()) return std::vector<std::string>{scalar_text(spec, node)};
  const bool list = spec.type == OptionType::kPairs;
  if (list && node.IsSequence()) {
    for (const YAML::Node& item : node) texts.push_back(item.IsScalar() ? item.Scalar() : kind_name(item));
    return texts;
  }
  if (list && node.IsMap()) {
    for (const auto& item : node) {
      texts.push_back(item.first.Scalar() + "=" + (item.second.IsScalar() ? item.second.Scalar() : std::string()));
    }
    return texts;
  }
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = std::string(spec.name) + " must be " + describe_valid(spec) + ", found " + kind_name(node),
               .field = std::string(spec.name)};
}

/// One key of the file. The value's own check adds the file and the line as its source.
Status read_entry(const std::string& path, const YAML::Node& key, const YAML::Node& value, OptionValues& values) {
  const std::string name = key.IsScalar() ? key.Scalar() : "";
  const OptionSpec* spec = find_option(name);
  if (spec == nullptr) {
    return config_error(path, key.Mark(), "unknown key '" + name + "'. Valid keys: " + known_keys(), name);
  }
  Result<std::vector<std::string>> texts = node_texts(*spec, value);
  if (!texts.ok()) return config_error(path, value.Mark(), texts.error().message, name);
  const std::string source = path + ":" + std::to_string(key.Mark().line + 1);
  return values.set(*spec, std::move(*texts), source);
}

}  // namespace

Status read_config_file(const std::string& path, OptionValues& values) {
  YAML::Node root;
  try {
    root = YAML::LoadFile(path);
  } catch (const YAML::BadFile&) {
    return config_error(path, YAML::Mark::null_mark(), "cannot read the configuration file");
  } catch (const YAML::Exception& error) {
    return config_error(path, error.mark, "not valid YAML: " + error.msg);
  }
  if (root.IsNull()) return ok_status();
  if (!root.IsMap()) {
    return config_error(path, root.Mark(),
                        std::string("must be a map from option names to values, found ") + kind_name(root));
  }
  for (const auto& entry : root) {
    if (Status status = read_entry(path, entry.first, entry.second, values); !status.ok()) return status;
  }
  return ok_status();
}

}  // namespace krait::server
