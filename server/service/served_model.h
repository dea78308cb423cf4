#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/constraint/grammar_compiler.h"
#include "engine/engine.h"
#include "kernels/result.h"
#include "models/tokenizer/tokenizer.h"
#include "server/chat/output/output_formats.h"
#include "server/service/generation_request.h"
#include "server/service/sampling_defaults.h"
#include "server/service/validation.h"

namespace krait::server {

/// A conversation to the text of a prompt.
using ChatRenderer = std::function<Result<std::string>(const ChatInput&)>;

/// One name that requests may ask for, and what answers them. The engine outlives the service.
struct ServedModel {
  std::string name;
  Engine* engine = nullptr;
  std::shared_ptr<const Tokenizer> tokenizer;   ///< null: ids in, ids out
  ChatRenderer render_chat;                     ///< empty: the model has no chat template
  OutputFormats formats{};                      ///< how the model writes reasoning and tool calls
  std::shared_ptr<GrammarCompiler> compiler{};  ///< null: no constraints
  std::vector<std::int32_t> eos_token_ids;
  ModelLimits limits;
  SamplingDefaults defaults;
  std::int64_t created = 0;  ///< seconds since 1970, for /v1/models
};

}  // namespace krait::server
