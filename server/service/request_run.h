#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "server/service/answer_record.h"
#include "server/service/candidates.h"
#include "server/service/generation.h"
#include "server/service/generation_request.h"
#include "server/service/message_assembler.h"
#include "server/service/output_plan.h"
#include "server/service/queue_times.h"
#include "server/service/served_model.h"
#include "server/service/service_observer.h"
#include "server/service/session_service.h"
#include "server/service/worker_pool.h"

namespace krait::server {

/// What all requests share; lives as long as the workers do.
struct RunContext {
  std::shared_ptr<JobQueue> workers;
  ServiceObserver* observer = nullptr;  ///< may be null
  QueueTimes* queue_times = nullptr;
  SessionService* sessions = nullptr;  ///< null: off
};

/// One request from admission to its last event: encodes its prompts, submits one engine request a choice, and turns
/// their token events into generation events. Lives as long as its reader's Generation and its queued jobs; the
/// engine's streams hold it weakly, so that a reader who leaves ends it.
class RequestRun : public std::enable_shared_from_this<RequestRun> {
 public:
  /// `session` is what the request goes on with; null: nothing.
  RequestRun(GenerationRequest request, ServedModel model, std::shared_ptr<const Session> session, RunContext context);

  [[nodiscard]] const std::shared_ptr<EventQueue>& events() const { return events_; }
  /// Queues the encoding. Call it once, after make_shared.
  void start();
  /// From any thread, at any time. Aborts what runs and lets nothing more be submitted.
  void cancel();

 private:
  /// One sequence of the engine.
  struct Choice {
    Choice(std::string request_id, int position, std::shared_ptr<const Tokenizer> tokenizer, MessageOptions options)
        : id(std::move(request_id)), index(position), assembler(std::move(tokenizer), std::move(options)) {}

    std::string id;
    int index;
    MessageAssembler assembler;
    std::shared_ptr<TokenStream> stream;
    std::atomic<int> wakeups{0};  ///< pushes not yet worked off; who raises it from 0 queues the job
    /// Empty once it has gone out. Its scores come in pieces.
    std::optional<PromptEcho> echo;
    std::vector<SampledToken> prompt_scores;
    RequestStats stats;
    std::chrono::steady_clock::time_point last_event;
    AnswerRecord answer;    ///< kept only where it may be saved
    bool finished = false;  ///< guarded by being worked on by one thread at a time
  };

  void prepare();
  Status encode_chat();
  Status encode_all();
  void compile_constraint();
  void begin(GrammarCompiler::Compiled constraint);
  Status submit_all();
  Status submit_choice(std::size_t prompt_index, int max_tokens, std::uint64_t seed);
  [[nodiscard]] MessageOptions message_options(std::int64_t text_offset) const;
  /// Whether the prompt's tokens are scored.
  [[nodiscard]] bool scores_prompt() const { return request_.echo && request_.sampling.logprobs.has_value(); }
  [[nodiscard]] std::optional<PromptEcho> make_echo(std::size_t prompt_index, const std::vector<std::int32_t>& ids,
                                                    int choice) const;
  /// Sends the echo once everything that belongs to it is there.
  void send_echo(Choice& choice);
  void listen(Choice& choice);
  void work_off(Choice& choice);
  void handle(Choice& choice, TokenEvent event);
  /// An event of one choice on its way out, which leads through the candidates if there are more than choices.
  void show(const Choice& choice, GenerationEvent event);
  void finish_choice(Choice& choice, ChoiceFinished finished);
  void observe_tokens(Choice& choice, int tokens);
  void observe_finish(const Choice& choice, FinishReason reason);
  /// Keeps what a session of the request needs.
  void record_end(const Choice& choice);
  void fail(Error error);
  void abort_all();

  const GenerationRequest request_;
  const ServedModel model_;
  const std::shared_ptr<const Session> session_;
  const RunContext context_;
  const std::chrono::steady_clock::time_point arrival_ = std::chrono::steady_clock::now();
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  std::shared_ptr<EventQueue> events_ = std::make_shared<EventQueue>();

  // Set while the request is prepared, by one worker after the other.
  std::vector<std::int32_t> cache_points_;  ///< of the one prompt of a chat
  std::vector<std::vector<std::int32_t>> prompts_;
  OutputPlan plan_;
  std::shared_ptr<const CompiledConstraint> constraint_;

  std::mutex mutex_;  ///< guards cancelled_ and the growth of choices_
  bool cancelled_ = false;
  std::vector<std::unique_ptr<Choice>> choices_;
  std::unique_ptr<Candidates> candidates_;  ///< null: every sequence is a choice
  std::int64_t prompt_tokens_ = 0;
  std::atomic<int> unfinished_{0};
  std::atomic<std::int64_t> completion_tokens_{0};
  std::atomic<std::int64_t> cached_tokens_{0};
  std::atomic<std::int64_t> reasoning_tokens_{0};
};

}  // namespace krait::server
