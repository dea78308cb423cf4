#include "engine/scheduler/batch_planner.h"

#include <algorithm>
#include <limits>

namespace krait {

namespace {

/// Those who sat out longest come first, so that all get their turn when the budget is below the number of decodes.
std::vector<RequestState*> decodes_in_turn(const RequestOrder& running) {
  std::vector<RequestState*> decodes;
  for (RequestState* request : running) {
    if (request->is_decode()) decodes.push_back(request);
  }
  std::stable_sort(decodes.begin(), decodes.end(),
                   [](const RequestState* a, const RequestState* b) { return a->last_step < b->last_step; });
  return decodes;
}

/// Of the room that a cut prompt leaves to short ones behind it.
constexpr int kShortShare = 2;

bool contains(const std::vector<RequestState*>& list, const RequestState* request) {
  return std::find(list.begin(), list.end(), request) != list.end();
}

}  // namespace

void BatchPlanner::plan() {
  plan_decodes();
  plan_prefills();
  // A request that comes back where only its last token is left to compute was planned among the prefills.
  std::ranges::stable_partition(pieces_, [](const Piece& piece) { return piece.request->is_decode(); });
}

void BatchPlanner::plan_decodes() {
  const std::int64_t preemptions = queues_.preemptions;
  for (RequestState* request : decodes_in_turn(queues_.running)) {
    if (tokens_left_ == 0) return;
    const bool preempted_meanwhile = queues_.preemptions != preemptions && !queues_.running.contains(request);
    if (!preempted_meanwhile && secure_memory(*request, 1) == 1) add_piece(*request, 1);
  }
}

void BatchPlanner::plan_prefills() {
  tokens_left_ = prefill_room();
  RequestState* first = tokens_left_ > 0 ? next_prefill() : nullptr;
  if (first == nullptr) return;
  if (first->remaining() > tokens_left_) plan_short_prefills(*first, tokens_left_ / kShortShare);
  if (!queues_.running.contains(first)) first = next_prefill();
  for (RequestState* request = first; request != nullptr && tokens_left_ > 0; request = next_prefill()) {
    const int planned = plan_prefill(*request);
    if (planned == 0) stalled_.push_back(request);
    // A cut prompt ends the batch: scraps of a budget would only spread memory over more unfinished prompts.
    if (planned > 0 && planned < request->remaining()) return;
  }
}

void BatchPlanner::plan_short_prefills(const RequestState& first, int room) {
  const auto fits = [&](const RequestState* request) {
    return request != &first && !request->is_decode() && !is_planned(*request) && request->remaining() <= room;
  };
  const auto plan = [&](RequestState& request) {
    const int planned = plan_prefill(request);
    if (planned == 0) stalled_.push_back(&request);
    room -= planned;
  };
  const std::vector<RequestState*> running(queues_.running.begin(), queues_.running.end());
  for (RequestState* request : running) {
    if (room > 0 && queues_.running.contains(request) && fits(request)) plan(*request);
  }
  while (room > 0) {
    RequestState* request = admit_next(room);
    if (request == nullptr) return;
    plan(*request);
  }
}

int BatchPlanner::prefill_room() const {
  const PrefillShare share{
      .target_seconds = config_.target_itl_seconds, .tile = config_.prefill_tile, .row_tile = config_.row_tile};
  return prefill_allowance(cost_, share, static_cast<int>(pieces_.size()), tokens_left_);
}

RequestState* BatchPlanner::next_prefill() {
  RequestState* running = first_running_prefill();
  if (queues_.waiting.empty()) return running;
  const RequestState* waiting = *queues_.waiting.begin();
  const bool waiting_first = running == nullptr || waiting->request.priority < running->request.priority;
  RequestState* admitted = waiting_first ? admit_next(std::numeric_limits<int>::max()) : nullptr;
  // Admission may have preempted the running one before it failed for another reason.
  return admitted != nullptr ? admitted : first_running_prefill();
}

bool BatchPlanner::is_planned(const RequestState& request) const {
  return std::any_of(pieces_.begin(), pieces_.end(), [&](const Piece& piece) { return piece.request == &request; });
}

RequestState* BatchPlanner::first_running_prefill() const {
  for (RequestState* request : queues_.running) {
    if (!request->is_decode() && !is_planned(*request) && !contains(stalled_, request)) return request;
  }
  return nullptr;
}

int BatchPlanner::plan_prefill(RequestState& request) {
  const int secured = secure_memory(request, piece_length(request, tokens_left_));
  const int tokens = piece_length(request, secured);
  if (tokens > 0) add_piece(request, tokens);
  return tokens;
}

void BatchPlanner::add_piece(RequestState& request, int tokens) {
  Piece piece{.request = &request, .tokens = tokens};
  if (!request.is_decode()) plan_snapshots(piece);
  pieces_.push_back(std::move(piece));
  tokens_left_ -= tokens;
}

int BatchPlanner::piece_length(const RequestState& request, int limit) const {
  if (limit >= request.remaining()) return request.remaining();
  const int tile = std::max(config_.prefill_tile, 1);
  return limit >= tile ? limit - limit % tile : limit;
}

}  // namespace krait
