#include "server/cli/hub.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace krait::server {
namespace {

namespace fs = std::filesystem;

/// The order of huggingface_hub itself.
fs::path hub_cache(const EnvironmentLookup& lookup) {
  const auto value = [&](const char* name) {
    const char* text = lookup(name);
    return std::string(text == nullptr ? "" : text);
  };
  if (const auto cache = value("HF_HUB_CACHE"); !cache.empty()) return cache;
  if (const auto home = value("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  if (const auto base = value("XDG_CACHE_HOME"); !base.empty()) return fs::path(base) / "huggingface" / "hub";
  return fs::path(value("HOME")) / ".cache" / "huggingface" / "hub";
}

/// `org/name` with the characters that the Hub allows; so that a path such as ./models/x is never taken for a name.
bool is_hub_name(const std::string& model) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
  };
  return std::ranges::count(model, '/') == 1 && std::ranges::all_of(model, allowed) && model.front() != '/' &&
         model.front() != '.' && model.back() != '/' && model.find("..") == std::string::npos;
}

/// What makes a folder a checkpoint.
bool has_config(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "config.json", ignored);
}

/// models--org--name/refs/main names the revision under snapshots/.
fs::path snapshot_folder(const fs::path& cache, const std::string& model) {
  std::string name = model;
  name.replace(name.find('/'), 1, "--");
  const fs::path repository = cache / ("models--" + name);
  std::ifstream reference(repository / "refs" / "main");
  std::string revision;
  if (!(reference >> revision)) return {};
  return repository / "snapshots" / revision;
}

Error not_found(std::string message) {
  return Error{.code = ErrorCode::kNotFound, .message = std::move(message), .field = "model"};
}

}  // namespace

Result<std::string> resolve_model(const std::string& model, const EnvironmentLookup& lookup) {
  std::error_code ignored;
  if (fs::is_directory(model, ignored)) {
    if (has_config(model)) return model;
    return not_found("the folder '" + model + "' has no config.json: it is not a Hugging Face checkpoint");
  }
  if (!is_hub_name(model)) {
    return not_found("no such model: '" + model + "' is neither a folder nor a Hub name of the form org/name");
  }
  const fs::path cache = hub_cache(lookup);
  const fs::path folder = snapshot_folder(cache, model);
  if (!folder.empty() && has_config(folder)) return folder.string();
  return not_found("the model '" + model + "' is not in the local cache (" + cache.string() +
                   "). Download it with:\n  hf download " + model);
}

}  // namespace krait::server
