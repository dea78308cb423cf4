#include "tests/engine/fakes/fake_runner.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "tests/engine/fakes/history_model.h"

namespace krait::test {

StepHandle FakeRunner::submit(StepPlan plan) {
  const bool is_ahead =
      std::ranges::any_of(plan.requests, [](const StepRequest& request) { return request.token_source >= 0; });
  if (in_flight_.size() != (is_ahead ? 1U : 0U)) log_.violations.emplace_back("not the one step in flight");
  if (is_ahead) ++log_.ahead_steps;
  check_plan(plan);
  Submitted submitted{.plan = std::move(plan), .pages = {}};
  for (StepRequest& request : submitted.plan.requests) {
    submitted.pages.emplace_back(request.pages.begin(), request.pages.end());
    request.pages = {};
  }
  in_flight_.emplace(next_, std::move(submitted));
  return next_++;
}

StepResult FakeRunner::wait(StepHandle handle) {
  Submitted submitted = std::move(in_flight_.extract(handle).mapped());
  StepPlan& plan = submitted.plan;
  for (std::size_t i = 0; i < plan.requests.size(); ++i) {
    StepRequest& request = plan.requests[i];
    request.pages = submitted.pages[i];
    if (request.token_source < 0) continue;
    request.tokens[0] = std::max(last_tokens_.at(static_cast<std::size_t>(request.token_source)), 0);
  }
  if (before) before(plan);
  StepResult result;
  for (const StepRequest& request : plan.requests) {
    check_history(request);
    result.outputs.push_back(compute(request));
  }
  if (tamper) tamper(plan, result);
  last_tokens_.clear();
  for (const StepOutput& output : result.outputs) {
    last_tokens_.push_back(output.tokens.empty() ? -1 : output.tokens.back().token);
  }
  return result;
}

void FakeRunner::check_plan(const StepPlan& plan) {
  ++log_.steps;
  read_.clear();
  written_.clear();
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
  }
  for (const StepRequest& request : plan.requests) {
    // A request may read the slot that it writes; nobody else may.
    const std::pair read{pools_.layout().kv_groups.size(), request.state_read};
    if (request.num_computed > 0 && request.state_read != request.state_write && written_.contains(read)) {
      violation(request, "reads a state that the same step writes");
    }
  }
  for (const auto& item : read_) {
    if (item.first < pools_.layout().kv_groups.size() && written_.contains(item)) {
      log_.violations.emplace_back("a page is read and written in one step");
    }
  }
  if (decodes > 0 && prefill_seen) ++log_.mixed_steps;
  if (tokens == 0) log_.violations.emplace_back("a step without tokens");
  if (tokens > static_cast<std::size_t>(max_tokens_)) log_.violations.emplace_back("over the token budget");
  if (plan.requests.size() > static_cast<std::size_t>(max_seqs_)) log_.violations.emplace_back("too many requests");
}

void FakeRunner::check_memory(const StepRequest& request) {
  const std::size_t groups = pools_.layout().kv_groups.size();
  if (request.pages.size() != groups) violation(request, "a block table is missing");
  for (std::size_t group = 0; group < request.pages.size(); ++group) check_pages(request, group);
  if (pools_.slots() == nullptr) return;
  if (request.state_write <= 0) return violation(request, "no slot to write");
  if (request.num_computed > 0) read_.emplace(groups, request.state_read);
  claim(request, groups, *pools_.slots(), request.state_write);
  int last = request.num_computed;
  for (const auto& [position, slot] : request.snapshots) {
    claim(request, groups, *pools_.slots(), slot);
    if (position <= last || position >= request.num_computed + static_cast<int>(request.tokens.size())) {
      violation(request, "a snapshot outside of its piece");
    }
    last = position;
  }
}

/// Every page that a token of the step sees is there, and those that it writes belong to the request alone.
void FakeRunner::check_pages(const StepRequest& request, std::size_t group) {
  const int block = pools_.layout().block_size;
  const int end = request.num_computed + static_cast<int>(request.tokens.size());
  const int written = request.num_computed + request.num_replayed;
  if (static_cast<int>(request.pages[group].size()) * block < end) violation(request, "too few pages");
  for (std::size_t i = 0; i < request.pages[group].size(); ++i) {
    const std::int32_t page = request.pages[group][i];
    const int first = static_cast<int>(i) * block;
    const bool seen = first < end && first + block > first_visible(group, request.num_computed);
    if (page <= 0 && seen) violation(request, "a page is missing");
    if (page <= 0 || first >= end) continue;
    if (std::max(first, written) < std::min(first + block, end)) {
      claim(request, group, pools_.pages(group), page);
    } else {
      read_.emplace(group, page);
    }
  }
}

void FakeRunner::claim(const StepRequest& request, std::size_t kind, const ItemPool& pool, std::int32_t item) {
  if (!pool.is_exclusive(item)) violation(request, "writes an item that is not its own");
  if (!written_.emplace(kind, item).second) violation(request, "writes an item that another one writes");
}

void FakeRunner::check_history(const StepRequest& request) {
  Known& known = known_[request.key];
  // A request may begin, and begin again, where a cached prefix ends: what it reads there is checked in `compute`.
  if (request.num_computed != known.computed && request.num_computed != 0 && pools_.prefix_index() == nullptr) {
    violation(request, "num_computed jumps");
  }
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
  if (request.token_source >= 0) {  // the scheduler knows no more than how many there are
    const std::size_t generated = history.size() - static_cast<std::size_t>(known_[request.key].prompt);
    if (row.position != generated) violation(request, "position is not the number of generated tokens");
    return;
  }
  std::vector<std::int32_t> told(row.prompt_tokens.begin(), row.prompt_tokens.end());
  told.insert(told.end(), row.output_tokens.begin(), row.output_tokens.end());
  if (told != history) violation(request, "prompt and output tokens are not its history");
  if (row.position != row.output_tokens.size()) violation(request, "position is not the number of generated tokens");
}

StepOutput FakeRunner::compute(const StepRequest& request) {
  const Known& known = known_[request.key];
  std::uint64_t state = read_state(request, known.history);
  StepOutput output{.key = request.key, .tokens = {}, .logits = {}, .error = std::nullopt};
  int position = request.num_computed;
  for (const std::int32_t token : request.tokens) {
    if (position >= request.num_computed + request.num_replayed) write_kv(request, position, token);
    state = advance(state, token, position);
    for (const auto& [tokens, slot] : request.snapshots) {
      if (tokens == position + 1) write_state(slot, state);
    }
    if (request.logits == PromptLogits::kAll) output.logits.push_back(logits_row(state, position));
    const auto scored = static_cast<std::size_t>(position - request.num_computed - request.scores.first_row);
    if (scored < request.scores.targets.size()) {
      const std::int32_t target = request.scores.targets[scored];
      output.scores.push_back({.token = target, .logprob = score(state, target), .rank = 1, .top = {}});
    }
    ++position;
  }
  if (request.logits == PromptLogits::kLast) output.logits.push_back(logits_row(state, position - 1));
  write_state(request.state_write, state);
  const std::vector<std::int32_t> history(known.history.begin(), known.history.begin() + position);
  check_kv(request, history);
  if (request.sample) {
    check_sample(request, history);
    output.tokens.push_back({.token = sample(state, *request.sample), .logprob = -1.0F, .rank = 1, .top = {}});
  }
  return output;
}

/// The state after the computed tokens: computed anew from the history, and compared with the slot's.
std::uint64_t FakeRunner::read_state(const StepRequest& request, const std::vector<std::int32_t>& history) {
  std::uint64_t state = kInitialState;
  for (int p = 0; p < request.num_computed; ++p) state = advance(state, history.at(static_cast<std::size_t>(p)), p);
  if (pools_.slots() == nullptr || request.num_computed == 0) return state;
  std::uint64_t held = 0;
  const ItemPool& slots = *pools_.slots();
  std::memcpy(&held, slots.base() + static_cast<std::size_t>(request.state_read) * slots.item_bytes(), sizeof(held));
  if (held != state) violation(request, "its state is another one");
  return held;
}

void FakeRunner::write_state(std::int32_t slot, std::uint64_t state) {
  if (pools_.slots() == nullptr) return;
  const ItemPool& slots = *pools_.slots();
  std::memcpy(slots.base() + static_cast<std::size_t>(slot) * slots.item_bytes(), &state, sizeof(state));
}

int FakeRunner::first_visible(std::size_t group, int position) const {
  const int window = pools_.layout().kv_groups[group].sliding_window;
  return window == 0 ? 0 : std::max(0, position - window + 1);
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
    for (int p = first_visible(group, request.num_computed); p < static_cast<int>(history.size()); ++p) {
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
