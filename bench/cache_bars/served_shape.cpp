#include "bench/cache_bars/served_shape.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <random>
#include <stdexcept>
#include <utility>

namespace krait::bench {

/// Shared with the stream's listener, which may still run when the reader has gone.
struct Stream::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Clock::time_point> times;
  Tokens tokens;
  RequestStats stats;
  bool ended = false;
  std::string error;

  /// One caller at a time, so that no event overtakes another.
  void take_all(TokenStream& stream) {
    std::lock_guard lock(mutex);
    const Clock::time_point now = Clock::now();
    while (const auto event = stream.try_pop()) {
      for (const SampledToken& token : event->tokens) {
        tokens.push_back(token.token);
        times.push_back(now);
      }
      stats = event->stats;
      ended = event->finish.has_value();
      if (event->error) error = event->error->message;
    }
    changed.notify_all();
  }
};

Stream::Stream(Engine& engine, EngineRequest request)
    : engine_(engine), id_(request.id), state_(std::make_shared<State>()) {
  Result<std::shared_ptr<TokenStream>> stream = engine.submit(std::move(request));
  if (!stream.ok()) throw std::runtime_error("the engine refused a request: " + stream.error().message);
  // On the engine's thread, as soon as the step is over.
  (*stream)->set_listener([state = state_, raw = stream->get()] { state->take_all(*raw); });
}

Stream::~Stream() {
  engine_.abort(id_, FinishReason::kAborted);
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->ended; });
}

void Stream::wait() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->ended; });
  if (!state_->error.empty()) throw std::runtime_error("a request failed: " + state_->error);
}

void Stream::wait_tokens(std::size_t count) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->ended || state_->tokens.size() >= count; });
  if (!state_->error.empty()) throw std::runtime_error("a request failed: " + state_->error);
}

std::vector<Clock::time_point> Stream::times() const {
  std::lock_guard lock(state_->mutex);
  return state_->times;
}

Tokens Stream::tokens() const {
  std::lock_guard lock(state_->mutex);
  return state_->tokens;
}

RequestStats Stream::stats() const {
  std::lock_guard lock(state_->mutex);
  return state_->stats;
}

ServedShape::ServedShape(const nlohmann::json& config, const std::function<void(LoadOptions&)>& change)
    : checkpoint_(std::make_unique<RandomCheckpoint>(config)) {
  load(checkpoint_->folder(), change);
}

ServedShape::ServedShape(const std::string& folder, const std::function<void(LoadOptions&)>& change) {
  load(folder, change);
}

void ServedShape::load(const std::string& folder, const std::function<void(LoadOptions&)>& change) {
  options_.model_path = folder;
  if (change) change(options_);
  serving_ = ServingModel::load(options_);
}

EngineRequest ServedShape::request(Tokens prompt, int max_tokens) {
  EngineRequest request;
  request.id = "bar-" + std::to_string(++requests_);
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0.0F;
  request.sampling.max_tokens = max_tokens;
  request.sampling.ignore_eos = true;
  return request;
}

Reply ServedShape::ask(EngineRequest request) {
  const std::int64_t before = engine().stats().computed_tokens_total;
  Stream stream(engine(), std::move(request));
  stream.wait();
  return {
      .tokens = stream.tokens(), .stats = stream.stats(), .computed = engine().stats().computed_tokens_total - before};
}

Tokens ServedShape::random_tokens(std::size_t count, std::uint64_t seed) const {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::int32_t> any(3, serving_->summary().vocab_size - 1);
  Tokens tokens(count);
  for (std::int32_t& token : tokens) token = any(random);
  return tokens;
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) throw std::runtime_error("nothing was measured");
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

}  // namespace krait::bench
