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

/// The checkpoint's tokenizer; null with --skip-tokenizer-init. What it ignores of its file is logged. Throws
/// StartupError, also for a folder without a tokenizer.json.
std::shared_ptr<const Tokenizer> make_tokenizer(const OptionValues& values, const std::string& folder);

/// What the weights are kept as: `--quantization`, or how the checkpoint itself is quantised; "none".
std::string describe_weights(const OptionValues& values, const ModelSummary& summary);

/// What requests get where they say nothing, by --generation-config. Throws StartupError.
SamplingDefaults make_sampling_defaults(const OptionValues& values, const std::string& folder);

/// Loads weights, tokenizer and chat template, and shows progress when standard error is a terminal. Throws
/// StartupError, also for a checkpoint without a tokenizer.json unless --skip-tokenizer-init is given.
LoadedModel load_model(const CommandInput& input, const LoadOptions& options, const std::string& served_name);

/// Progress as "loading weights 42 % of 1.5 GiB, 1.0 GiB/s" on a terminal, in the log elsewhere.
std::function<void(const LoadProgress&)> make_progress();

}  // namespace krait::server
