#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "models/tokenizer/tokenizer.h"
#include "server/service/served_model.h"

namespace krait::server {

/// An engine without a model: the answer to a prompt is the prompt again and again, one token an event. Tests may hold
/// it back and step it by hand.
class FakeEngine : public Engine {
 public:
  FakeEngine();
  ~FakeEngine() override;

  Result<std::shared_ptr<TokenStream>> submit(EngineRequest request) override;
  void abort(const std::string& request_id, FinishReason reason) override;
  void drain(std::chrono::milliseconds deadline) override;
  Result<ContextImage> export_context(const std::string& salt, std::vector<std::int32_t> tokens) override;
  Status import_context(ContextImage image) override;
  [[nodiscard]] ContextIdentity context_identity() const override { return {.model = 1, .formats = 1, .layout = {}}; }
  [[nodiscard]] bool ready() const override { return ready_; }
  [[nodiscard]] EngineStats stats() const override;
  [[nodiscard]] const EngineConfig& config() const override { return config_; }

  void set_ready(bool ready) { ready_ = ready; }
  /// While held, requests are queued and get no tokens.
  void hold(bool held) { held_ = held; }
  /// The next submissions are refused with this.
  void refuse_with(std::optional<Error> error);
  /// Every request ends with this error after its first token.
  void fail_with(std::optional<Error> error);
  /// Log-probability of every token of a request; -0.5 when not set. Before the first request.
  void set_logprob(std::function<float(const EngineRequest&)> logprob) { logprob_ = std::move(logprob); }
  void set_token_interval(std::chrono::microseconds interval) { interval_ = interval; }
  [[nodiscard]] std::vector<EngineRequest> submitted() const;
  [[nodiscard]] std::vector<std::pair<std::string, FinishReason>> aborted() const;
  [[nodiscard]] int running() const;
  /// True when nothing runs within a few seconds.
  [[nodiscard]] bool becomes_idle() const;

 private:
  struct Running {
    EngineRequest request;
    std::shared_ptr<TokenStream> stream;
    RequestStats stats;
  };
  void run();
  bool step(Running& running);

  EngineConfig config_;
  std::atomic<bool> ready_{true};
  std::atomic<bool> held_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::chrono::microseconds> interval_{std::chrono::microseconds(20)};
  mutable std::mutex mutex_;
  std::map<std::string, Running> running_;
  std::vector<EngineRequest> submitted_;
  std::vector<std::pair<std::string, FinishReason>> aborted_;
  std::optional<Error> refusal_;
  std::optional<Error> failure_;
  EngineStats stats_;
  std::function<float(const EngineRequest&)> logprob_;
  std::thread thread_;
};

/// One token a byte; ids 256 and up are special ("<0>" …) and hidden when special tokens are skipped.
class ByteTokenizer : public Tokenizer {
 public:
  [[nodiscard]] Result<std::vector<std::int32_t>> encode(std::string_view text, EncodeOptions options) const override;
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const override;
  [[nodiscard]] std::string token_bytes(std::int32_t id, bool skip_special_tokens) const override;
  [[nodiscard]] std::optional<std::int32_t> token_to_id(std::string_view token) const override;
  [[nodiscard]] std::optional<std::string> id_to_token(std::int32_t id) const override;
  [[nodiscard]] bool is_special(std::int32_t id) const override { return id >= 256; }
  [[nodiscard]] std::int32_t vocab_size() const override { return 260; }
};

constexpr std::int32_t kFakeEos = 256;

/// "fake", served by `engine`, with a chat template that joins the contents.
ServedModel fake_model(FakeEngine& engine);

}  // namespace krait::server
