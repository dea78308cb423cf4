#pragma once

#include <functional>
#include <string>

#include "kernels/result.h"

namespace krait::server {

/// Looks an environment variable up; std::getenv but for tests.
using EnvironmentLookup = std::function<const char*(const char*)>;

/// The folder of MODEL: a folder with a config.json, or a Hub name `org/name` in the local Hugging Face cache
/// ($HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub). Otherwise an error with the command that
/// downloads it; nothing is downloaded here.
Result<std::string> resolve_model(const std::string& model, const EnvironmentLookup& lookup);

}  // namespace krait::server
