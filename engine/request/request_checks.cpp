#include "engine/request/request_checks.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/constraint/compiled_constraint.h"

namespace krait {

namespace {

Error invalid(std::string message, std::string field) {
  return {.code = ErrorCode::kInvalidArgument, .message = std::move(message), .field = std::move(field)};
}

std::string mebibytes(std::size_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
  return std::string(text.data()) + " (" + std::to_string(bytes) + " bytes)";
}

Status check_tokens(const EngineRequest& request, const EngineConfig& config) {
  if (request.prompt.empty()) return invalid("the prompt has no tokens; at least 1 is needed", "prompt");
  if (request.sampling.max_tokens < 0) {
    return invalid("max_tokens is " + std::to_string(request.sampling.max_tokens) + "; it must be at least 0",
                   "max_tokens");
  }
  if (config.vocab_size <= 0) return ok_status();
  const auto bad = std::find_if(request.prompt.begin(), request.prompt.end(),
                                [&](std::int32_t token) { return token < 0 || token >= config.vocab_size; });
  if (bad == request.prompt.end()) return ok_status();
  return invalid("token id " + std::to_string(*bad) + " at position " + std::to_string(bad - request.prompt.begin()) +
                     " of the prompt is outside the vocabulary; valid ids are 0 to " +
                     std::to_string(config.vocab_size - 1),
                 "prompt");
}

Status check_length(const EngineRequest& request, const EngineConfig& config) {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t total = prompt + request.sampling.max_tokens;
  if (total <= config.max_model_len) return ok_status();
  return invalid("the prompt has " + std::to_string(prompt) + " tokens and max_tokens is " +
                     std::to_string(request.sampling.max_tokens) + ": together " + std::to_string(total) +
                     ", over the limit of " + std::to_string(config.max_model_len),
                 "max_tokens");
}

Status check_constraint(const EngineRequest& request, const EngineConfig& config) {
  if (request.constraint == nullptr || config.vocab_size <= 0) return ok_status();
  const int size = request.constraint->vocab_size();
  if (size == config.vocab_size) return ok_status();
  return Error{.code = ErrorCode::kInternal,
               .message = "the constraint was compiled for a vocabulary of " + std::to_string(size) +
                          " tokens, but the model has " + std::to_string(config.vocab_size),
               .field = "constraint"};
}

/// The last token of an answer is never computed, so it needs no memory.
Status check_memory(const EngineRequest& request, const CachePools& pools) {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t tokens = prompt + std::max(request.sampling.max_tokens, 1) - 1;
  const std::size_t needed = pools.bytes_for(tokens);
  if (needed <= pools.budget().total()) return ok_status();
  return invalid("the request needs " + mebibytes(needed) + " of cache for its " + std::to_string(prompt) +
                     " prompt tokens and max_tokens of " + std::to_string(request.sampling.max_tokens) +
                     ", but the whole cache has " + mebibytes(pools.budget().total()) +
                     "; shorten the request or raise --cache-memory",
                 "max_tokens");
}

}  // namespace

Status check_request(const EngineRequest& request, const EngineConfig& config, const CachePools& pools) {
  Status status = check_tokens(request, config);
  if (status.ok()) status = check_constraint(request, config);
  if (status.ok()) status = check_length(request, config);
  if (status.ok()) status = check_memory(request, pools);
  return status;
}

}  // namespace krait
