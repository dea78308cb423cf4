#pragma once

#include <optional>

#include "server/openai/field_reader.h"
#include "server/service/output_format.h"

namespace krait::server {

/// Reads what constrains the answer: OpenAI's `response_format`, vLLM's `structured_outputs`, and its older
/// `guided_json`, `guided_regex`, `guided_choice`, `guided_grammar`. At most one of them may be given. Whether a schema
/// or a grammar is sound is found out when it is compiled.
std::optional<OutputFormat> read_output_format(FieldReader& reader);

}  // namespace krait::server
