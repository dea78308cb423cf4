#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/service/generation_request.h"

namespace krait::server {

/// What requests get where they say nothing: the checkpoint's generation_config.json (transformers'
/// `GenerationConfig`). Unset fields leave the API's own defaults.
struct SamplingDefaults {
  std::optional<double> temperature{};  ///< 0 when the file says `"do_sample": false`
  std::optional<std::int64_t> top_k{};
  std::optional<double> top_p{};
  std::optional<double> min_p{};
  std::optional<double> repetition_penalty{};
  std::optional<std::int64_t> max_tokens{};  ///< `max_new_tokens`; never more than the context has left
  /// For logs: "temperature 0.6, top_p 0.95"; empty when nothing is set.
  [[nodiscard]] std::string describe() const;
};

/// Reads `<folder>/generation_config.json`; nothing is set when there is no such file. Where it says that sampling is
/// off, the filters of sampling (top_k, top_p, min_p) are not taken over, as in transformers. Throws StartupError with
/// the file, the key, what was found and what is valid.
SamplingDefaults read_sampling_defaults(const std::string& folder);

/// Fills what the request left open; max_tokens is not among it (see resolve_max_tokens).
void apply_defaults(const SamplingDefaults& defaults, SamplingOptions& sampling);

}  // namespace krait::server
