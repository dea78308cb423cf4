#include "server/cli/loading.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "server/chat/chat_formatter.h"
#include "server/cli/hub.h"
#include "server/cli/sizes.h"

namespace krait::server {
namespace {

/// Fixtures and research checkpoints often have none; they are still served by ids.
std::shared_ptr<const Tokenizer> load_tokenizer_if_any(const std::string& folder) {
  const std::string file = folder + "/tokenizer.json";
  if (!std::filesystem::exists(file)) return nullptr;
  return value_or_throw(load_tokenizer(file));
}

/// An empty renderer when there is no template: chat requests are then refused, completions work.
ChatRenderer make_renderer(const std::string& folder, const std::string& template_file) {
  auto formatter = std::make_shared<ChatFormatter>(value_or_throw(ChatFormatter::load(folder, template_file)));
  if (!formatter->has_template()) return {};
  return [formatter](const nlohmann::json& messages, bool add_generation_prompt, const nlohmann::json& kwargs) {
    return formatter->format(messages, add_generation_prompt, kwargs);
  };
}

std::int64_t seconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string resolve_model_or_throw(const CommandInput& input) {
  if (input.model.empty()) throw StartupError("no model was given: name a folder or a Hub name (org/name)");
  return value_or_throw(resolve_model(input.model, [](const char* name) -> const char* { return std::getenv(name); }));
}

std::function<void(const LoadProgress&)> make_progress() {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [shown = -1](const LoadProgress& progress) mutable {
    if (progress.bytes_total == 0) return;
    const int percent =
        static_cast<int>(100.0 * static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total));
    if (percent == shown) return;
    shown = percent;
    std::fprintf(stderr, "\rloading weights %3d %% of %s%s", percent, format_byte_size(progress.bytes_total).c_str(),
                 percent >= 100 ? "\r\033[K" : "");
    std::fflush(stderr);
  };
}

LoadedModel load_model(const CommandInput& input, const LoadOptions& options, const std::string& served_name) {
  LoadedModel loaded;
  // The small things first: a bad template is found before minutes of weights.
  const std::string& folder = options.model_path;
  loaded.served.tokenizer = load_tokenizer_if_any(folder);
  loaded.served.render_chat = make_renderer(folder, input.values.text("chat-template").value_or(""));
  loaded.serving = ServingModel::load(options);
  const ModelSummary& summary = loaded.serving->summary();
  loaded.served.name = served_name;
  loaded.served.engine = &loaded.serving->engine();
  loaded.served.eos_token_ids = summary.eos_token_ids;
  loaded.served.limits = {.max_model_len = summary.max_model_len, .vocab_size = summary.vocab_size};
  loaded.served.created = seconds_since_1970();
  return loaded;
}

}  // namespace krait::server
