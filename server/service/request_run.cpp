#include "server/service/request_run.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <utility>

#include "server/service/answer_assembler.h"
#include "server/service/cache_points.h"
#include "server/service/prompt_encoding.h"
#include "server/service/session_prompt.h"
#include "server/service/utf8.h"

namespace krait::server {
namespace {

/// A seed nobody asked for: different for every choice, so that n > 1 without a seed gives n answers.
std::uint64_t random_seed() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return generator();
}

bool has_anything(const Delta& delta) {
  return !delta.text.empty() || !delta.tokens.empty() || !delta.reasoning.empty() || !delta.tool_calls.empty();
}

}  // namespace

RequestRun::RequestRun(GenerationRequest request, ServedModel model, std::shared_ptr<const Session> session,
                       RunContext context)
    : request_(std::move(request)),
      model_(std::move(model)),
      session_(std::move(session)),
      context_(std::move(context)) {
  if (!request_.timeout.has_value()) return;
  const std::chrono::duration<double> timeout(*request_.timeout);
  deadline_ = arrival_ + std::chrono::ceil<std::chrono::milliseconds>(timeout);
}

void RequestRun::start() {
  // A weak pointer: when the reader leaves while the job waits, there is nothing left to do.
  auto prepare = [weak = weak_from_this(), workers = context_.workers] {
    workers->post([weak] {
      if (const auto self = weak.lock()) self->prepare();
    });
  };
  if (context_.sessions != nullptr) context_.sessions->recent().begin(request_.id);
  if (session_ == nullptr) return prepare();
  context_.sessions->restore(session_, std::move(prepare));
}

/// On a worker. A constraint is compiled elsewhere, and the rest goes on then.
void RequestRun::prepare() {
  if (Status status = encode_all(); !status.ok()) return fail(std::move(status).error());
  if (plan_.constraint.has_value()) return compile_constraint();
  begin(std::shared_ptr<const CompiledConstraint>());
}

/// A template writes its own special tokens, so the tokenizer must not add any.
Status RequestRun::encode_chat() {
  Result<std::string> text = render_chat(*request_.chat, model_);
  if (!text.ok()) return std::move(text).error();
  Result<OutputPlan> plan = plan_output(request_, model_.formats, *text);
  if (!plan.ok()) return std::move(plan).error();
  plan_ = std::move(*plan);
  Result<std::vector<std::int32_t>> ids = session_ == nullptr ? encode_text(*text, model_, false, "messages")
                                                              : encode_conversation(*session_, *text, model_);
  if (!ids.ok()) return std::move(ids).error();
  cache_points_ = chat_cache_points(*request_.chat, model_, *text, *ids);
  prompts_.push_back(std::move(*ids));
  return ok_status();
}

Status RequestRun::encode_all() {
  if (model_.tokenizer == nullptr && !request_.stop.empty()) return no_tokenizer("stop");
  if (request_.chat.has_value()) return encode_chat();
  Result<OutputPlan> plan = plan_output(request_, model_.formats, {});
  if (!plan.ok()) return std::move(plan).error();
  plan_ = std::move(*plan);
  for (const Prompt& prompt : request_.prompts) {
    if (const auto* ids = std::get_if<std::vector<std::int32_t>>(&prompt)) {
      prompts_.push_back(*ids);
      continue;
    }
    const bool begins = session_ == nullptr;
    Result<std::vector<std::int32_t>> ids =
        encode_text(std::get<std::string>(prompt), model_, begins && request_.add_special_tokens, "prompt");
    if (!ids.ok()) return std::move(ids).error();
    prompts_.push_back(std::move(*ids));
  }
  if (session_ == nullptr) return ok_status();
  for (auto& prompt : prompts_) prompt.insert(prompt.begin(), session_->tokens.begin(), session_->tokens.end());
  return ok_status();
}

/// The compiler's threads only hand the result over. A reader who leaves meanwhile leaves nothing to do.
void RequestRun::compile_constraint() {
  if (model_.compiler == nullptr) {
    return fail(Error{.code = ErrorCode::kUnsupported,
                      .message = plan_.constraint_field + ": this model is served without a tokenizer, so that answers "
                                                          "cannot be held to a form",
                      .field = plan_.constraint_field});
  }
  model_.compiler->compile(*plan_.constraint,
                           [weak = weak_from_this(), workers = context_.workers](GrammarCompiler::Compiled compiled) {
                             workers->post([weak, compiled = std::move(compiled)]() mutable {
                               if (const auto self = weak.lock()) self->begin(std::move(compiled));
                             });
                           });
}

/// On a worker. Started goes out only when every choice is in the engine: until then an error can still be a plain HTTP
/// status.
void RequestRun::begin(GrammarCompiler::Compiled constraint) {
  if (!constraint.ok()) {
    Error error = std::move(constraint).error();
    error.message = plan_.constraint_field + ": " + error.message;
    error.field = plan_.constraint_field;
    return fail(std::move(error));
  }
  constraint_ = std::move(*constraint);
  if (deadline_.has_value() && *deadline_ <= std::chrono::steady_clock::now()) {
    return fail(Error{.code = ErrorCode::kDeadlineExceeded,
                      .message = "the request's timeout passed before it could begin",
                      .field = {}});
  }
  if (Status status = submit_all(); !status.ok()) return fail(std::move(status).error());
  events_->push(Started{.prompt_tokens = prompt_tokens_});
  for (const auto& choice : choices_) {
    if (!scores_prompt()) send_echo(*choice);
    listen(*choice);
  }
}

/// All lengths are checked before the first choice is submitted: a request is admitted whole or not at all.
Status RequestRun::submit_all() {
  std::vector<int> max_tokens;
  for (const auto& prompt : prompts_) {
    const std::string field = request_.chat.has_value() ? "messages" : "prompt";
    if (Status status = check_prompt_ids(prompt, model_.limits, field); !status.ok()) return status;
    Result<int> limit = resolve_max_tokens(request_, static_cast<std::int64_t>(prompt.size()), model_.limits);
    if (!limit.ok()) return std::move(limit).error();
    max_tokens.push_back(*limit);
    prompt_tokens_ += static_cast<std::int64_t>(prompt.size());
  }
  if (request_.candidates() > request_.n) {
    candidates_ = std::make_unique<Candidates>(
        prompts_.size(), static_cast<int>(request_.n), static_cast<int>(request_.candidates()),
        [events = events_](GenerationEvent event) { events->push(std::move(event)); });
  }
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    for (std::int64_t n = 0; n < request_.candidates(); ++n) {
      const auto& seed = request_.sampling.seed;
      const std::uint64_t choice_seed = seed.has_value() ? derive_seed(*seed, n) : random_seed();
      if (Status status = submit_choice(i, max_tokens[i], choice_seed); !status.ok()) return status;
    }
  }
  return ok_status();
}

MessageOptions RequestRun::message_options(std::int64_t text_offset) const {
  MessageOptions options{.text = {.stop = request_.stop,
                                  .include_stop_str_in_output = request_.include_stop_str_in_output,
                                  .skip_special_tokens = request_.skip_special_tokens,
                                  .logprobs = request_.sampling.logprobs.has_value(),
                                  .min_tokens = request_.sampling.min_tokens.value_or(0),
                                  .text_offset = text_offset},
                         .include_reasoning = request_.include_reasoning};
  if (!plan_.needs_parser()) return options;
  options.output = OutputParserOptions{.formats = plan_.formats,
                                       .prompt = plan_.thinking,
                                       .tools = &plan_.tools,
                                       .parse_tool_calls = plan_.formats.tool_calls != nullptr,
                                       .parallel_tool_calls = request_.parallel_tool_calls,
                                       .id_prefix = "call_"};
  return options;
}

std::optional<PromptEcho> RequestRun::make_echo(std::size_t prompt_index, const std::vector<std::int32_t>& ids,
                                                int choice) const {
  if (!request_.echo && !request_.return_token_ids) return std::nullopt;
  PromptEcho echo{.index = choice, .ids = ids, .text = {}, .tokens = {}};
  if (!request_.echo) return echo;
  const auto* text = std::get_if<std::string>(&request_.prompts[prompt_index]);
  if (text != nullptr) {
    echo.text = *text;
  } else if (model_.tokenizer != nullptr) {
    echo.text = model_.tokenizer->decode(ids, request_.skip_special_tokens);
  }
  return echo;
}

void RequestRun::send_echo(Choice& choice) {
  if (!choice.echo) return;
  PromptEcho& echo = *choice.echo;
  if (scores_prompt()) {
    if (choice.prompt_scores.size() + 1 < echo.ids.size()) return;
    AnswerAssembler assembler(model_.tokenizer,
                              {.stop = {}, .skip_special_tokens = request_.skip_special_tokens, .logprobs = true});
    Delta delta;
    for (std::size_t i = 0; i < echo.ids.size(); ++i) {
      assembler.push(i == 0 ? SampledToken{.token = echo.ids[0]} : choice.prompt_scores[i - 1], false, delta);
    }
    assembler.finish(delta);
    echo.tokens = std::move(delta.tokens);
  }
  show(choice, std::move(echo));
  choice.echo.reset();
}

Status RequestRun::submit_choice(std::size_t prompt_index, int max_tokens, std::uint64_t seed) {
  const std::vector<std::int32_t>& prompt = prompts_[prompt_index];
  const int index = static_cast<int>(choices_.size());
  std::optional<PromptEcho> echo = make_echo(prompt_index, prompt, index);
  const std::int64_t offset = echo ? static_cast<std::int64_t>(count_characters(echo->text)) : 0;
  auto choice = std::make_unique<Choice>(request_.id + "-" + std::to_string(index), index, model_.tokenizer,
                                         message_options(offset));
  choice->echo = std::move(echo);
  EngineRequest engine_request;
  engine_request.id = choice->id;
  engine_request.prompt = prompt;
  engine_request.sampling = make_sampling_params(request_, max_tokens, seed, model_.eos_token_ids);
  // Candidates are compared by log-probabilities, which nobody need see.
  if (candidates_ != nullptr && !engine_request.sampling.logprobs) engine_request.sampling.logprobs = 0;
  engine_request.constraint = constraint_;
  engine_request.priority = static_cast<int>(request_.priority);
  engine_request.deadline = deadline_;
  engine_request.cache_salt = request_.cache_salt;
  engine_request.cache_points = cache_points_;
  // The answers to one prompt have it computed once.
  if (request_.n > 1) engine_request.fork_group = request_.id + "-" + std::to_string(prompt_index);
  if (scores_prompt()) engine_request.prompt_logprobs = static_cast<int>(*request_.sampling.logprobs);

  // Under the lock, so that a cancellation either sees this choice or keeps it from being submitted.
  std::lock_guard lock(mutex_);
  if (cancelled_) return Error{.code = ErrorCode::kCancelled, .message = "the request was cancelled", .field = {}};
  Result<std::shared_ptr<TokenStream>> stream = model_.engine->submit(std::move(engine_request));
  if (!stream.ok()) return std::move(stream).error();
  choice->stream = std::move(*stream);
  choices_.push_back(std::move(choice));
  unfinished_.fetch_add(1);
  return ok_status();
}

void RequestRun::listen(Choice& choice) {
  // The stream belongs to the engine for as long as the sequence runs; it must not keep the run alive after its reader
  // has left.
  choice.stream->set_listener([weak = weak_from_this(), &choice] {
    const auto self = weak.lock();
    if (self == nullptr || choice.wakeups.fetch_add(1) != 0) return;
    self->context_.workers->post([self, &choice] { self->work_off(choice); });
  });
}

/// Takes events until no push is left that nobody has seen. Two workers are never in here for one choice: the counter
/// passes through zero only when the work is done.
void RequestRun::work_off(Choice& choice) {
  for (int seen = choice.wakeups.load();;) {
    while (auto event = choice.stream->try_pop()) handle(choice, std::move(*event));
    const int before = choice.wakeups.fetch_sub(seen);
    if (before == seen) return;
    seen = before - seen;
  }
}

/// One step of one choice. A stop string ends it here, whatever the engine still computes.
void RequestRun::handle(Choice& choice, TokenEvent event) {
  if (choice.finished) return;  // ended by a stop string: what the engine had under way is not part of the answer
  choice.stats = event.stats;
  std::move(event.prompt.begin(), event.prompt.end(), std::back_inserter(choice.prompt_scores));
  if (!event.finish.has_value() || !event.error.has_value()) send_echo(choice);
  if (!event.tokens.empty()) observe_tokens(choice, static_cast<int>(event.tokens.size()));
  Delta delta{.index = choice.index};
  bool stopped = false;
  for (std::size_t i = 0; i < event.tokens.size() && !stopped; ++i) {
    const bool is_stop_token = event.stop_token.has_value() && i + 1 == event.tokens.size();
    if (candidates_ != nullptr) candidates_->count_token(choice.index, event.tokens[i].logprob);
    stopped = choice.assembler.push(event.tokens[i], is_stop_token, delta);
  }
  const bool ended = event.finish == FinishReason::kStop || event.finish == FinishReason::kLength;
  if (!stopped && ended) choice.assembler.finish(delta);
  if (context_.sessions != nullptr) choice.answer.add(delta);
  if (has_anything(delta)) show(choice, std::move(delta));
  if (stopped) {
    model_.engine->abort(choice.id, FinishReason::kStop);
    return finish_choice(choice,
                         {.index = choice.index, .stop_string = choice.assembler.stop_string(), .stop_token = {}});
  }
  if (ended) {
    return finish_choice(
        choice, {.index = choice.index, .reason = *event.finish, .stop_string = {}, .stop_token = event.stop_token});
  }
  if (!event.finish.has_value()) return;
  choice.finished = true;
  observe_finish(choice, *event.finish);
  fail(event.error.value_or(Error{.code = ErrorCode::kUnavailable,
                                  .message = "the request was aborted: the server is shutting down",
                                  .field = {}}));
}

void RequestRun::show(const Choice& choice, GenerationEvent event) {
  if (candidates_ != nullptr) return candidates_->add(choice.index, std::move(event));
  events_->push(std::move(event));
}

void RequestRun::finish_choice(Choice& choice, ChoiceFinished finished) {
  choice.finished = true;
  // The API's reason for a call that the caller demanded by name is still "stop".
  finished.called_tools = choice.assembler.has_tool_calls() && request_.tool_choice.mode != ToolChoiceMode::kNamed;
  observe_finish(choice, finished.reason);
  reasoning_tokens_.fetch_add(choice.assembler.reasoning_tokens());
  completion_tokens_.fetch_add(choice.assembler.tokens());
  cached_tokens_.fetch_add(choice.index % request_.candidates() == 0 ? choice.stats.cached_tokens : 0);
  show(choice, std::move(finished));
  if (unfinished_.fetch_sub(1) != 1) return;
  record_end(choice);
  events_->push(Completed{.usage = {.prompt_tokens = prompt_tokens_,
                                    .cached_tokens = cached_tokens_.load(),
                                    .completion_tokens = completion_tokens_.load(),
                                    .reasoning_tokens = reasoning_tokens_.load()}});
}

/// Latencies as the service sees them: with the way from the engine, without the network.
void RequestRun::observe_tokens(Choice& choice, int tokens) {
  const auto now = std::chrono::steady_clock::now();
  if (choice.assembler.tokens() == 0) context_.queue_times->record(choice.stats.first_scheduled - choice.stats.arrival);
  if (context_.observer != nullptr) {
    if (choice.assembler.tokens() == 0)
      context_.observer->on_first_token(model_.name, now - arrival_);
    else
      context_.observer->on_next_tokens(model_.name, now - choice.last_event, tokens);
  }
  choice.last_event = now;
}

void RequestRun::observe_finish(const Choice& choice, FinishReason reason) {
  if (context_.observer == nullptr) return;
  context_.observer->on_choice_finished({.model = model_.name,
                                         .reason = reason,
                                         .stats = choice.stats,
                                         .generated_tokens = choice.assembler.tokens(),
                                         .arrival = arrival_,
                                         .finished = std::chrono::steady_clock::now()});
}

/// Before the last event goes out: who has read it may save the request at once.
void RequestRun::record_end(const Choice& choice) {
  if (context_.sessions == nullptr) return;
  RecentRequests& recent = context_.sessions->recent();
  if (choices_.size() != 1) {
    return recent.fail(request_.id, "it has " + std::to_string(choices_.size()) + " choices, and a session has one");
  }
  FinishedRequest finished{.model = model_.name,
                           .cache_salt = session_ == nullptr ? request_.cache_salt : session_->cache_salt,
                           .isolation = session_ == nullptr ? std::string() : session_->isolation,
                           .tokens = prompts_.front()};
  const std::vector<std::int32_t>& answer = choice.answer.ids();
  finished.tokens.insert(finished.tokens.end(), answer.begin(), answer.end());
  if (request_.chat.has_value()) {
    finished.messages = request_.chat->messages;
    if (request_.chat->continue_final_message) {
      finished.messages.back() = choice.answer.message_after(finished.messages.back());
    } else {
      finished.messages.push_back(choice.answer.message());
    }
  }
  recent.finish(request_.id, std::move(finished));
}

void RequestRun::fail(Error error) {
  if (context_.sessions != nullptr) context_.sessions->recent().fail(request_.id, error.message);
  // The first last event counts: what the aborted choices report comes after the reason.
  events_->push(std::move(error));
  abort_all();
}

void RequestRun::cancel() {
  fail(Error{.code = ErrorCode::kCancelled, .message = "the request was cancelled", .field = {}});
}

/// Aborting what has ended is harmless: the engine ignores ids that it does not know.
void RequestRun::abort_all() {
  std::lock_guard lock(mutex_);
  cancelled_ = true;
  if (unfinished_.load() == 0) return;
  for (const auto& choice : choices_) model_.engine->abort(choice->id, FinishReason::kAborted);
}

}  // namespace krait::server
