#include "tests/engine/fakes/fake_runner.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "tests/engine/fakes/history_model.h"

namespace krait::test {

StepHandle FakeRunner::submit(StepPlan plan) {
  if (!in_flight_.empty()) log_.violations.emplace_back("two steps in flight");
  in_flight_.emplace(next_, std::move(plan));
  return next_++;
}

StepResult FakeRunner::wait(StepHandle handle) {
  const StepPlan plan = std::move(in_flight_.extract(handle).mapped());
  if (before) before(plan);
  check_plan(plan);
  StepResult result;
  for (const StepRequest& request : plan.requests) result.outputs.push_back(compute(request));
  if (tamper) tamper(plan, result);
  return result;
}

void FakeRunner::check_plan(const StepPlan& plan) {
  ++log_.steps;
  owned_.clear();
  std::size_t tokens = 0;
  std::size_t decodes = 0;
  bool prefill_seen = false;
  for (const StepRequest& request : plan.requests) {
    tokens += request.tokens.size();
    if (request.is_decode && prefill_seen) violation(request, "a decode after a prefill");
    prefill_seen = prefill_seen || !request.is_decode;
    decodes += request.is_decode ? 1U : 0U;
    if (!request.is_decode) log_.piece_sizes.push_back(static_cast<int>(request.tokens.size()));
    check_memory(request);
    check_history(request);
  }
  if (decodes > 0 && prefill_seen) ++log_.mixed_steps;
  if (tokens == 0) log_.violations.emplace_back("a step without tokens");
  if (tokens > static_cast<std::size_t>(max_tokens_)) log_.violations.emplace_back("over the token budget");
  if (plan.requests.size() > static_cast<std::size_t>(max_seqs_)) log_.violations.emplace_back("too many requests");
}

void FakeRunner::check_memory(const StepRequest& request) {
  const std::size_t groups = pools_.layout().kv_groups.size();
  const auto block = static_cast<std::size_t>(pools_.layout().block_size);
  const std::size_t end = static_cast<std::size_t>(request.num_computed) + request.tokens.size();
  if (request.pages.size() != groups) violation(request, "a block table is missing");
  for (std::size_t group = 0; group < request.pages.size(); ++group) {
    if (request.pages[group].size() * block < end) violation(request, "too few pages");
    for (const std::int32_t page : request.pages[group]) {
      if (page <= 0 || !owned_.emplace(group, page).second) violation(request, "a page that is not its own");
    }
  }
  if (request.state_read != request.state_write) violation(request, "state_read differs from state_write");
  if (pools_.slots() == nullptr) return;
  if (request.state_write <= 0 || !owned_.emplace(groups, request.state_write).second) {
    violation(request, "a slot that is not its own");
  }
}

void FakeRunner::check_history(const StepRequest& request) {
  Known& known = known_[request.key];
  if (request.num_computed != known.computed && request.num_computed != 0) violation(request, "num_computed jumps");
  for (std::size_t i = 0; i < request.tokens.size(); ++i) {
    const std::size_t position = static_cast<std::size_t>(request.num_computed) + i;
    if (position == known.history.size()) known.history.push_back(request.tokens[i]);
    if (known.history.at(position) != request.tokens[i]) violation(request, "a token of its history has changed");
  }
  known.computed = request.num_computed + static_cast<int>(request.tokens.size());
  if (request.sample) known.prompt = static_cast<int>(request.sample->prompt_tokens.size());
  const bool extends =
      known.prompt >= 0 && request.num_computed >= known.prompt && request.tokens.size() == 1 && request.sample;
  if (request.is_decode != extends) violation(request, "is_decode is wrong");
}

void FakeRunner::check_sample(const StepRequest& request, const std::vector<std::int32_t>& history) {
  const SampleRow& row = *request.sample;
  std::vector<std::int32_t> told(row.prompt_tokens.begin(), row.prompt_tokens.end());
  told.insert(told.end(), row.output_tokens.begin(), row.output_tokens.end());
  if (told != history) violation(request, "prompt and output tokens are not its history");
  if (row.position != row.output_tokens.size()) violation(request, "position is not the number of generated tokens");
}

StepOutput FakeRunner::compute(const StepRequest& request) {
  std::uint64_t state = kInitialState;
  std::byte* slot = nullptr;
  const Known& known = known_[request.key];
  if (pools_.slots() != nullptr) {
    slot = pools_.slots()->base() + static_cast<std::size_t>(request.state_read) * pools_.slots()->item_bytes();
    if (request.num_computed > 0) std::memcpy(&state, slot, sizeof(state));
  } else {
    for (int p = 0; p < request.num_computed; ++p)
      state = advance(state, known.history[static_cast<std::size_t>(p)], p);
  }
  StepOutput output{.key = request.key, .tokens = {}, .logits = {}, .error = std::nullopt};
  int position = request.num_computed;
  for (const std::int32_t token : request.tokens) {
    write_kv(request, position, token);
    state = advance(state, token, position);
    if (request.logits == PromptLogits::kAll) output.logits.push_back(logits_row(state, position));
    const auto scored = static_cast<std::size_t>(position - request.num_computed - request.scores.first_row);
    if (scored < request.scores.targets.size()) {
      const std::int32_t target = request.scores.targets[scored];
      output.scores.push_back({.token = target, .logprob = score(state, target), .rank = 1, .top = {}});
    }
    ++position;
  }
  if (request.logits == PromptLogits::kLast) output.logits.push_back(logits_row(state, position - 1));
  if (slot != nullptr) std::memcpy(slot, &state, sizeof(state));
  const std::vector<std::int32_t> history(known.history.begin(), known.history.begin() + position);
  check_kv(request, history);
  if (request.sample) {
    check_sample(request, history);
    output.tokens.push_back({.token = sample(state, *request.sample), .logprob = -1.0F, .rank = 1, .top = {}});
  }
  return output;
}

std::uint64_t* FakeRunner::kv_slot(const StepRequest& request, std::size_t group, int position) {
  const int block = pools_.layout().block_size;
  const std::int32_t page = request.pages[group].at(static_cast<std::size_t>(position / block));
  std::byte* base = pools_.pages(group).base() + static_cast<std::size_t>(page) * pools_.pages(group).item_bytes();
  return reinterpret_cast<std::uint64_t*>(base) + position % block;
}

void FakeRunner::write_kv(const StepRequest& request, int position, std::int32_t token) {
  for (std::size_t group = 0; group < request.pages.size(); ++group) {
    *kv_slot(request, group, position) = kv_entry(token, position);
  }
}

void FakeRunner::check_kv(const StepRequest& request, const std::vector<std::int32_t>& history) {
  for (std::size_t group = 0; group < request.pages.size(); ++group) {
    for (int p = 0; p < static_cast<int>(history.size()); ++p) {
      if (*kv_slot(request, group, p) != kv_entry(history[static_cast<std::size_t>(p)], p)) {
        return violation(request, "its pages hold something else at position " + std::to_string(p));
      }
    }
  }
}

void FakeRunner::violation(const StepRequest& request, const std::string& what) {
  log_.violations.push_back("request " + std::to_string(request.key) + ", " + std::to_string(request.tokens.size()) +
                            " tokens from " + std::to_string(request.num_computed) + ": " + what);
}

}  // namespace krait::test
