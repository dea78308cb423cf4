#pragma once

#include <memory>
#include <string>

#include "engine/serving_model.h"
#include "models/tokenizer/tokenizer.h"
#include "server/cli/commands.h"
#include "server/service/served_model.h"

namespace krait::server {

/// A model with everything that serving it takes. The engine lives as long as this.
struct LoadedModel {
  std::unique_ptr<ServingModel> serving;
  ServedModel served;
};

/// The folder of the command's MODEL. Throws StartupError, also when none was given.
std::string resolve_model_or_throw(const CommandInput& input);

/// Loads weights, tokenizer and chat template, and shows progress when standard error is a terminal. A checkpoint
/// without a tokenizer.json is served by ids. Throws StartupError.
LoadedModel load_model(const CommandInput& input, const LoadOptions& options, const std::string& served_name);

/// Progress as "loading weights 42 % of 1.5 GiB" on a terminal; empty elsewhere.
std::function<void(const LoadProgress&)> make_progress();

}  // namespace krait::server
