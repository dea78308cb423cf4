#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kernels/result.h"

namespace krait::server {

/// The text of one chat template, and where it comes from.
struct TemplateSource {
  std::string text;
  std::string file;
};

/// What a model folder says about prompts.
struct TemplateFiles {
  std::map<std::string, TemplateSource> templates;                  ///< by name; one without a name is "default"
  std::vector<std::pair<std::string, std::string>> special_tokens;  ///< bos_token, eos_token, … as far as they are set
};

/// Reads a model folder as transformers does. Templates are those of the first that has any: chat_template.jinja and
/// additional_chat_templates/NAME.jinja; the `chat_template` of tokenizer_config.json (a string, a list of {"name",
/// "template"} or an object of them); that of chat_template.json. Special tokens are the keys of tokenizer_config.json
/// that end in `_token`, its named `extra_special_tokens`, and special_tokens_map.json where the first has no
/// `added_tokens_decoder`. Files that are absent are no error; one that does not hold what it should is.
Result<TemplateFiles> read_template_files(const std::string& folder);

/// Reads the templates of one file: JSON that has a `chat_template` or is an object or list of named ones, if its name
/// ends in .json; else a single template.
Result<std::map<std::string, TemplateSource>> read_template_file(const std::string& file);

}  // namespace krait::server
