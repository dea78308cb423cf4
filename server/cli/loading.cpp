#include "server/cli/loading.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "engine/constraint/constraint_vocabulary.h"
#include "models/config/config_reader.h"
#include "server/chat/chat_formatter.h"
#include "server/cli/hub.h"
#include "server/cli/sizes.h"

namespace krait::server {
namespace {

/// Between two lines of the log while weights load.
constexpr std::chrono::seconds kLogInterval{5};

/// Of a tokenizer, in the log: a file whose added tokens are numbered anew has one for each.
constexpr std::size_t kMaxNotes = 5;

/// An empty renderer when there is no template: chat requests are then refused, completions work. How the model writes
/// calls and reasoning goes by the template that sees tools.
void add_chat(const OptionValues& values, const std::string& folder, ServedModel& served) {
  const std::string chosen = values.text("chat-template").value_or("");
  auto formatter = std::make_shared<ChatFormatter>(value_or_throw(ChatFormatter::load(folder, chosen)));
  for (const std::string& problem : formatter->problems()) spdlog::error("chat requests will be refused: {}", problem);
  served.formats =
      value_or_throw(select_formats(formatter->template_source(true), values.text("tool-call-parser").value_or("auto"),
                                    values.text("reasoning-parser").value_or("auto")));
  if (!formatter->has_template()) return;
  served.render_chat = [formatter](const ChatInput& chat) { return formatter->format(formatter->adapt(chat)); };
}

/// Special tokens have no text for a grammar. Those that mark reasoning and calls get theirs: the model must be able to
/// write the mark that a structural tag asks for as the token that it was trained on.
void add_marker_texts(const OutputFormats& formats, const Tokenizer& tokenizer, ConstraintVocabulary& vocabulary) {
  for (const std::string& marker : formats.special_markers()) {
    const auto id = tokenizer.token_to_id(marker);
    if (!id.has_value() || *id < 0 || static_cast<std::size_t>(*id) >= vocabulary.token_bytes.size()) continue;
    if (std::ranges::find(vocabulary.end_tokens, *id) != vocabulary.end_tokens.end()) continue;
    vocabulary.token_bytes[static_cast<std::size_t>(*id)] = marker;
  }
}

/// A compiler of constraints; the vocabulary is read when the first one comes.
std::shared_ptr<GrammarCompiler> make_compiler(const ServedModel& served) {
  if (served.tokenizer == nullptr) return nullptr;
  return std::make_shared<GrammarCompiler>([tokenizer = served.tokenizer, width = served.limits.vocab_size,
                                            ends = served.eos_token_ids, formats = served.formats] {
    ConstraintVocabulary vocabulary = make_constraint_vocabulary(*tokenizer, width, ends);
    add_marker_texts(formats, *tokenizer, vocabulary);
    return vocabulary;
  });
}

/// A line of the log every few seconds, where nobody watches.
std::function<void(const LoadProgress&)> log_progress() {
  const auto start = std::chrono::steady_clock::now();
  return [start, next = start + kLogInterval](const LoadProgress& progress) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (now < next || progress.bytes_total == 0) return;
    next = now + kLogInterval;
    const double seconds = std::chrono::duration<double>(now - start).count();
    spdlog::info("loading weights: {} of {}, {}/s", format_byte_size(progress.bytes_done),
                 format_byte_size(progress.bytes_total),
                 format_byte_size(static_cast<std::size_t>(static_cast<double>(progress.bytes_done) / seconds)));
  };
}

/// Without generation_config.json the end tokens are config.json's.
std::vector<std::int32_t> make_eos_token_ids(const OptionValues& values, const std::string& folder,
                                             const ModelSummary& summary) {
  if (values.text("generation-config") != "none") return summary.eos_token_ids;
  const ConfigReader reader = ConfigReader::from_file((std::filesystem::path(folder) / "config.json").string());
  const std::optional<ConfigReader> text = reader.object("text_config");
  return text && !reader.has("eos_token_id") ? text->token_ids("eos_token_id") : reader.token_ids("eos_token_id");
}

std::int64_t seconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::shared_ptr<const Tokenizer> make_tokenizer(const OptionValues& values, const std::string& folder) {
  if (values.flag("skip-tokenizer-init")) return nullptr;
  const std::string file = (std::filesystem::path(folder) / "tokenizer.json").string();
  if (!std::filesystem::exists(file)) {
    throw StartupError(Error{.code = ErrorCode::kNotFound,
                             .message = file + ": no such file. Add the tokenizer's files to the checkpoint, or give "
                                               "--skip-tokenizer-init to serve it by token ids",
                             .field = "skip-tokenizer-init"});
  }
  std::shared_ptr<const Tokenizer> tokenizer = value_or_throw(load_tokenizer(file));
  const std::vector<std::string> notes = tokenizer->notes();
  for (std::size_t i = 0; i < std::min(notes.size(), kMaxNotes); ++i) spdlog::warn("{}: {}", file, notes[i]);
  if (notes.size() > kMaxNotes) spdlog::warn("{}: and {} more like these", file, notes.size() - kMaxNotes);
  return tokenizer;
}

std::string resolve_model_or_throw(const CommandInput& input) {
  if (input.model.empty()) throw StartupError("no model was given: name a folder or a Hub name (org/name)");
  return value_or_throw(resolve_model(input.model, [](const char* name) -> const char* { return std::getenv(name); }));
}

std::string describe_weights(const OptionValues& values, const ModelSummary& summary) {
  if (!summary.quantization.empty()) return summary.quantization;
  return find_option("quantization") == nullptr ? "none" : values.text("quantization").value_or("none");
}

SamplingDefaults make_sampling_defaults(const OptionValues& values, const std::string& folder) {
  return values.text("generation-config") == "none" ? SamplingDefaults{} : read_sampling_defaults(folder);
}

std::function<void(const LoadProgress&)> make_progress() {
  if (isatty(STDERR_FILENO) == 0) return log_progress();
  const auto start = std::chrono::steady_clock::now();
  return [start, shown = -1](const LoadProgress& progress) mutable {
    if (progress.bytes_total == 0) return;
    const int percent =
        static_cast<int>(100.0 * static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total));
    if (percent == shown) return;
    shown = percent;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto rate = static_cast<std::size_t>(static_cast<double>(progress.bytes_done) / std::max(seconds, 1e-3));
    std::fprintf(stderr, "\rloading weights %3d %% of %s, %s/s\033[K%s", percent,
                 format_byte_size(progress.bytes_total).c_str(), format_byte_size(rate).c_str(),
                 percent >= 100 ? "\r\033[K" : "");
    std::fflush(stderr);
  };
}

LoadedModel load_model(const CommandInput& input, const LoadOptions& options, const std::string& served_name) {
  LoadedModel loaded;
  // The small things first: a bad template is found before minutes of weights.
  const std::string& folder = options.model_path;
  loaded.served.tokenizer = make_tokenizer(input.values, folder);
  loaded.served.defaults = make_sampling_defaults(input.values, folder);
  add_chat(input.values, folder, loaded.served);
  loaded.serving = ServingModel::load(options);
  const ModelSummary& summary = loaded.serving->summary();
  loaded.served.name = served_name;
  loaded.served.engine = &loaded.serving->engine();
  loaded.served.eos_token_ids = make_eos_token_ids(input.values, folder, summary);
  loaded.served.limits = {.max_model_len = summary.max_model_len,
                          .vocab_size = summary.vocab_size,
                          .default_max_tokens = loaded.served.defaults.max_tokens};
  loaded.served.compiler = make_compiler(loaded.served);
  loaded.served.created = seconds_since_1970();
  return loaded;
}

}  // namespace krait::server
