#include "tests/engine/fakes/long_life.h"

#include <algorithm>

#include "engine/cache/context_transfer.h"
#include "tests/engine/fakes/cache_audit.h"

namespace krait::test {
namespace {

constexpr std::size_t kMaxLive = 40;
constexpr std::size_t kConversations = 12;
constexpr std::size_t kSessions = 8;
constexpr std::size_t kMaxPrompt = 90;
/// Steps after which a request counts as starved; most end within a few hundred.
constexpr std::int64_t kPatience = 3000;

SchedulerConfig config() {
  return {.max_num_seqs = 12,
          .max_num_batched_tokens = 48,
          .prefill_tile = 4,
          .swap_bytes = std::size_t{64} << 10U,
          .snapshots = {.mode = MambaCacheMode::kAuto, .block_size = 4, .interval = 16, .mamba_block_size = 8}};
}

CacheLayout layout() {
  CacheLayout layout = small_layout();
  layout.kv_groups.back().sliding_window = 10;
  return layout;
}

/// Four of the longest requests at once, where up to twelve want to run.
std::size_t budget() {
  FakePlatform platform;
  const CachePools pools(platform, layout(), 1);
  return 4 * pools.bytes_for(static_cast<std::int64_t>(kMaxPrompt) + 30);
}

}  // namespace

LongLife::LongLife(std::uint64_t seed) : random_(seed), harness_(config(), layout(), budget(), true) {}

LongLife::Report LongLife::run(std::int64_t steps) {
  while (report_.steps < steps && report_.violations.empty()) {
    while (live_.size() < kMaxLive && chance(live_.size() < 6 ? 80 : 25)) arrive();
    if (chance(3)) abort_somebody();
    if (chance(5)) save_session();
    if (chance(5)) restore_session();
    step();
  }
  // Nobody new comes: those that wait must all be served.
  for (std::int64_t i = 0; i < kPatience && !live_.empty() && report_.violations.empty(); ++i) step();
  if (!live_.empty()) violation(std::to_string(live_.size()) + " requests never end");
  const EngineStats stats = harness_.scheduler.stats();
  report_.preemptions = stats.preemptions_total;
  report_.hit_tokens = stats.prefix_hit_tokens;
  report_.evictions = stats.prefix_evicted_blocks + stats.prefix_evicted_snapshots;
  if (report_.violations.empty() && !harness_.empty()) violation("memory is held when all requests have ended");
  return report_;
}

std::vector<std::int32_t> LongLife::random_prompt() {
  // A conversation that goes on, or few first tokens to choose from, so that prompts leave each other at any place.
  std::vector<std::int32_t> prompt;
  if (!conversations_.empty() && chance(55)) {
    prompt = conversations_[static_cast<std::size_t>(pick(0, static_cast<int>(conversations_.size()) - 1))];
    if (chance(25)) prompt.resize(static_cast<std::size_t>(pick(1, static_cast<int>(prompt.size()))));
  } else {
    prompt =
        request_of(pick(1, chance(20) ? 70 : 24), 1, chance(70) ? static_cast<std::uint64_t>(pick(0, 2)) : random_())
            .prompt;
  }
  for (int i = pick(0, 9); i > 0; --i) prompt.push_back(pick(0, kVocab - 1));
  prompt.resize(std::min(prompt.size(), kMaxPrompt));
  return prompt;
}

EngineRequest LongLife::random_request() {
  EngineRequest request;
  request.prompt = random_prompt();
  request.sampling.max_tokens = pick(0, 30);
  request.sampling.seed = random_();
  request.priority = chance(30) ? pick(-2, 2) : 0;
  if (chance(15)) request.cache_salt = chance(50) ? "one" : "other";
  if (chance(40)) request.cache_points = {pick(0, 20), static_cast<std::int32_t>(request.prompt.size())};
  if (chance(5)) request.deadline = harness_.now + std::chrono::milliseconds(pick(0, 200));
  if (chance(10)) request.prompt_logits = PromptLogits::kLast;
  if (chance(5)) request.prompt_logprobs = 1;
  if (chance(30)) request.sampling.stop_token_ids = {pick(0, kVocab - 1), pick(0, kVocab - 1)};
  return request;
}

void LongLife::arrive() {
  EngineRequest request = random_request();
  // Several answers to one prompt differ in their seeds alone.
  const int answers = chance(15) ? pick(2, 5) : 1;
  if (answers > 1) request.fork_group = "prompt " + std::to_string(report_.requests);
  for (int i = 0; i < answers; ++i) {
    request.sampling.seed = random_();
    add(request);
  }
}

void LongLife::add(EngineRequest request) {
  const std::uint64_t key = harness_.add(request);
  live_[key] = {.request = std::move(request), .step = report_.steps};
  ++report_.requests;
}

void LongLife::abort_somebody() {
  if (live_.empty()) return;
  auto victim = live_.begin();
  std::advance(victim, pick(0, static_cast<int>(live_.size()) - 1));
  harness_.scheduler.abort(victim->first, FinishReason::kAborted);
}

void LongLife::save_session() {
  if (conversations_.empty()) return;
  const auto& conversation =
      conversations_[static_cast<std::size_t>(pick(0, static_cast<int>(conversations_.size()) - 1))];
  Result<ContextImage> image = export_context(harness_.pools, {}, conversation);
  if (!image.ok()) return violation("a context cannot be saved: " + image.error().message);
  if (image->tokens.empty()) return;
  sessions_.push_back(std::move(*image));
  if (sessions_.size() > kSessions) sessions_.pop_front();
}

/// Who goes on with it reads what the image has, if that was not there any more: the runner checks the bytes.
void LongLife::restore_session() {
  if (sessions_.empty()) return;
  const ContextImage& image = sessions_[static_cast<std::size_t>(pick(0, static_cast<int>(sessions_.size()) - 1))];
  if (const Status status = import_context(harness_.pools, image); !status.ok()) {
    if (status.error().code != ErrorCode::kResourceExhausted) {
      violation("a context cannot be restored: " + status.error().message);
    }
    return;
  }
  ++report_.sessions;
  conversations_.push_back(image.tokens);
  if (conversations_.size() > kConversations) conversations_.pop_front();
}

void LongLife::step() {
  StepPlan plan = harness_.plan();
  ++report_.steps;
  if (plan.requests.empty()) {
    if (!harness_.scheduler.idle()) violation("nothing is scheduled while somebody waits");
  } else {
    if (chance(3)) abort_somebody();
    harness_.finish_step(std::move(plan));
  }
  harness_.collect();
  audit();
  take_ended();
}

void LongLife::audit() {
  for (const std::string& wrong : audit_caches(harness_.scheduler, harness_.pools)) violation(wrong);
  for (const std::string& wrong : harness_.log.violations) violation(wrong);
  harness_.log.violations.clear();
  for (const auto& [key, asked] : live_) {
    if (report_.steps - asked.step > kPatience) violation("request " + std::to_string(key) + " starves");
  }
}

void LongLife::take_ended() {
  for (auto entry = live_.begin(); entry != live_.end();) {
    const auto outcome = harness_.outcomes.find(entry->first);
    if (outcome == harness_.outcomes.end() || !outcome->second.answer.finish) {
      ++entry;
      continue;
    }
    report_.longest_life = std::max(report_.longest_life, report_.steps - entry->second.step);
    check_answer(entry->second, outcome->second);
    harness_.outcomes.erase(outcome);
    entry = live_.erase(entry);
  }
  // What is neither live nor has ended is lost; what has ended must stay silent.
  const int held = harness_.scheduler.num_running() + harness_.scheduler.num_waiting();
  if (held != static_cast<int>(live_.size())) {
    violation(std::to_string(live_.size()) + " requests have no end yet, but the scheduler knows " +
              std::to_string(held));
  }
  for (const auto& [key, outcome] : harness_.outcomes) {
    if (!live_.contains(key)) violation("an event after the end of request " + std::to_string(key));
  }
}

void LongLife::check_answer(const Asked& asked, const Outcome& outcome) {
  const Answer solo = solo_answer(asked.request);
  const Answer& answer = outcome.answer;
  if (answer.finish == FinishReason::kLength || answer.finish == FinishReason::kStop) {
    ++report_.finished;
    if (answer != solo) violation("an answer is not that of a run alone");
    if (asked.request.cache_salt.empty()) {
      conversations_.push_back(asked.request.prompt);
      conversations_.back().insert(conversations_.back().end(), answer.tokens.begin(), answer.tokens.end());
      if (conversations_.size() > kConversations) conversations_.pop_front();
    }
    return;
  }
  const bool expired = outcome.error && outcome.error->code == ErrorCode::kDeadlineExceeded;
  if (answer.finish == FinishReason::kAborted) {
    ++report_.aborted;
  } else if (expired) {
    ++report_.failed;
  } else {
    violation("a request failed: " + (outcome.error ? outcome.error->message : "without an error"));
  }
  if (answer.tokens.size() > solo.tokens.size() ||
      !std::equal(answer.tokens.begin(), answer.tokens.end(), solo.tokens.begin())) {
    violation("a cut answer does not begin as that of a run alone");
  }
}

void LongLife::violation(const std::string& what) {
  if (report_.violations.size() < 5) {
    report_.violations.push_back("step " + std::to_string(report_.steps) + ": " + what);
  }
}

}  // namespace krait::test
