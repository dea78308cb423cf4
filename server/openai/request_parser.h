#pragma once

#include <string>
#include <vector>

#include "kernels/result.h"
#include "server/service/generation_request.h"
#include "server/service/json_text.h"

namespace krait::server {

enum class ApiKind { kCompletions, kChat };

/// An OpenAI request: what the service needs, and what only the answer's form needs.
struct OpenAiRequest {
  ApiKind kind = ApiKind::kCompletions;
  GenerationRequest generation;
  bool include_usage = false;  ///< stream_options.include_usage
  bool logprobs = false;
  /// Accepted and without effect; named to the caller in the header x-krait-ignored-fields.
  std::vector<std::string> ignored_fields;
};

/// Reads the body of POST /v1/completions or /v1/chat/completions. Wrong types are errors that name the field; ranges
/// are left to the service; a field that would have constrained the output and is not served is kUnsupported.
Result<OpenAiRequest> parse_openai_request(ApiKind kind, const Json& body);

}  // namespace krait::server
