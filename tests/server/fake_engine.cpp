#include "tests/server/fake_engine.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace krait::server {

FakeEngine::FakeEngine() {
  config_.vocab_size = 260;
  config_.max_model_len = 200;
  thread_ = std::thread([this] { run(); });
}

FakeEngine::~FakeEngine() {
  stopping_ = true;
  thread_.join();
}

Result<std::shared_ptr<TokenStream>> FakeEngine::submit(EngineRequest request) {
  std::lock_guard lock(mutex_);
  if (refusal_.has_value()) return *refusal_;
  submitted_.push_back(request);
  Running running{.request = request, .stream = std::make_shared<TokenStream>(), .stats = {}};
  running.stats.prompt_tokens = static_cast<std::int64_t>(request.prompt.size());
  running.stats.arrival = running.stats.first_scheduled = std::chrono::steady_clock::now();
  auto stream = running.stream;
  running_.emplace(request.id, std::move(running));
  stats_.prompt_tokens_total += static_cast<std::int64_t>(request.prompt.size());
  return stream;
}

void FakeEngine::abort(const std::string& request_id, FinishReason reason) {
  std::lock_guard lock(mutex_);
  const auto found = running_.find(request_id);
  if (found == running_.end()) return;
  aborted_.emplace_back(request_id, reason);
  TokenEvent event;
  event.finish = reason;
  event.stats = found->second.stats;
  found->second.stream->push(std::move(event));
  running_.erase(found);
}

void FakeEngine::drain(std::chrono::milliseconds) { ready_ = false; }

Result<ContextImage> FakeEngine::export_context(const std::string& salt, std::vector<std::int32_t> tokens) {
  tokens.resize(tokens.size() - tokens.size() % 16);
  return ContextImage{.salt = salt, .tokens = std::move(tokens), .pages = {}, .state = {}};
}

Status FakeEngine::import_context(ContextImage /*image*/) { return ok_status(); }

EngineStats FakeEngine::stats() const {
  std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.requests_running = static_cast<int>(running_.size());
  return stats;
}

void FakeEngine::refuse_with(std::optional<Error> error) {
  std::lock_guard lock(mutex_);
  refusal_ = std::move(error);
}

void FakeEngine::fail_with(std::optional<Error> error) {
  std::lock_guard lock(mutex_);
  failure_ = std::move(error);
}

std::vector<EngineRequest> FakeEngine::submitted() const {
  std::lock_guard lock(mutex_);
  return submitted_;
}

std::vector<std::pair<std::string, FinishReason>> FakeEngine::aborted() const {
  std::lock_guard lock(mutex_);
  return aborted_;
}

int FakeEngine::running() const {
  std::lock_guard lock(mutex_);
  return static_cast<int>(running_.size());
}

bool FakeEngine::becomes_idle() const {
  for (int i = 0; i < 5000 && running() > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return running() == 0;
}

void FakeEngine::run() {
  while (!stopping_) {
    std::this_thread::sleep_for(interval_.load());
    if (held_) continue;
    std::lock_guard lock(mutex_);
    for (auto entry = running_.begin(); entry != running_.end();) {
      entry = step(entry->second) ? running_.erase(entry) : std::next(entry);
    }
  }
}

/// One token; true at the end.
bool FakeEngine::step(Running& running) {
  const EngineRequest& request = running.request;
  TokenEvent event;
  if (request.prompt_logprobs.has_value() && running.stats.generated_tokens == 0) {
    for (std::size_t i = 1; i < request.prompt.size(); ++i) {
      event.prompt.push_back({.token = request.prompt[i],
                              .logprob = -static_cast<float>(i),
                              .rank = 1,
                              .top = {{request.prompt[i], -1.0F}}});
    }
  }
  const bool has_room = running.stats.generated_tokens < request.sampling.max_tokens;
  if (has_room) {
    const auto at = static_cast<std::size_t>(running.stats.generated_tokens) % request.prompt.size();
    SampledToken token{
        .token = request.prompt[at], .logprob = logprob_ ? logprob_(request) : -0.5F, .rank = 1, .top = {}};
    for (int i = 0; i < request.sampling.logprobs.value_or(0); ++i)
      token.top.push_back({request.prompt[at] + i, -0.5F});
    const auto& stops = request.sampling.stop_token_ids;
    if (std::ranges::find(stops, token.token) != stops.end()) {
      event.finish = FinishReason::kStop;
      event.stop_token = token.token;
    }
    event.tokens.push_back(std::move(token));
    ++stats_.generation_tokens_total;
    if (running.stats.generated_tokens++ == 0) running.stats.first_token = std::chrono::steady_clock::now();
    running.stats.last_token = std::chrono::steady_clock::now();
  }
  if (request.prompt_logits != PromptLogits::kNone && running.stats.generated_tokens <= 1) {
    const std::size_t rows = request.prompt_logits == PromptLogits::kAll ? request.prompt.size() : 1;
    event.logits.assign(rows, {0.1F, -1.0F / 3.0F});
  }
  if (!event.finish && running.stats.generated_tokens >= request.sampling.max_tokens)
    event.finish = FinishReason::kLength;
  if (failure_.has_value()) {
    event.finish = FinishReason::kError;
    event.error = failure_;
  }
  event.stats = running.stats;
  const bool last = event.finish.has_value();
  running.stream->push(std::move(event));
  return last;
}

Result<std::vector<std::int32_t>> ByteTokenizer::encode(std::string_view text, EncodeOptions) const {
  std::vector<std::int32_t> ids;
  for (char byte : text) ids.push_back(byte == '$' ? kFakeEos : static_cast<unsigned char>(byte));
  return ids;
}

std::string ByteTokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  std::string text;
  for (std::int32_t id : ids) text += token_bytes(id, skip_special_tokens);
  return text;
}

std::string ByteTokenizer::token_bytes(std::int32_t id, bool skip_special_tokens) const {
  if (is_special(id)) return skip_special_tokens ? "" : "<" + std::to_string(id - 256) + ">";
  return std::string(1, static_cast<char>(id));
}

std::optional<std::int32_t> ByteTokenizer::token_to_id(std::string_view) const { return std::nullopt; }
std::optional<std::string> ByteTokenizer::id_to_token(std::int32_t id) const { return token_bytes(id, false); }

ServedModel fake_model(FakeEngine& engine) {
  ServedModel model;
  model.name = "fake";
  model.engine = &engine;
  model.tokenizer = std::make_shared<ByteTokenizer>();
  model.render_chat = [](const ChatInput& chat) -> Result<std::string> {
    std::string text;
    for (const auto& message : chat.messages) text += message["content"].get<std::string>();
    if (text == "raise")
      return Error{.code = ErrorCode::kInvalidArgument, .message = "the template says no", .field = "messages"};
    return text;
  };
  model.eos_token_ids = {kFakeEos};
  model.limits = {.max_model_len = engine.config().max_model_len, .vocab_size = engine.config().vocab_size};
  return model;
}

}  // namespace krait::server
