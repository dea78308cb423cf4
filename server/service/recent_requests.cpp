#include "server/service/recent_requests.h"

#include <utility>

namespace krait::server {
namespace {

constexpr const char* kField = "request_id";
/// What an entry takes beside its contents, roughly.
constexpr std::size_t kEntryBytes = 512;

}  // namespace

void RecentRequests::begin(const std::string& id) {
  const std::lock_guard lock(mutex_);
  running_.insert(id);
}

void RecentRequests::finish(const std::string& id, FinishedRequest request) {
  const std::size_t conversation = request.messages.is_null() ? 0 : dump_json(request.messages).size();
  const std::size_t bytes = kEntryBytes + request.tokens.size() * sizeof(std::int32_t) + conversation;
  end({.id = id, .request = std::make_shared<const FinishedRequest>(std::move(request)), .reason = {}, .bytes = bytes});
}

void RecentRequests::fail(const std::string& id, const std::string& reason) {
  end({.id = id, .request = nullptr, .reason = reason, .bytes = kEntryBytes + reason.size()});
}

void RecentRequests::end(Entry entry) {
  const std::lock_guard lock(mutex_);
  if (running_.erase(entry.id) == 0) return;
  bytes_ += entry.bytes;
  entries_.push_back(std::move(entry));
  by_id_[entries_.back().id] = std::prev(entries_.end());
  while (entries_.size() > max_requests_ || bytes_ > max_bytes_) {
    bytes_ -= entries_.front().bytes;
    by_id_.erase(entries_.front().id);
    entries_.pop_front();
  }
}

bool RecentRequests::is_running(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return running_.contains(id);
}

Result<std::shared_ptr<const FinishedRequest>> RecentRequests::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  if (running_.contains(id)) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = "the request " + describe_value(id) + " is still running; save it when it has ended",
                 .field = kField};
  }
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    return Error{.code = ErrorCode::kNotFound,
                 .message = "there is no request " + describe_value(id) + " among the last " +
                            std::to_string(max_requests_) + " (or their last " + std::to_string(max_bytes_ >> 20) +
                            " MiB); save a request soon after it has ended",
                 .field = kField};
  }
  if (found->second->request == nullptr) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = "the request " + describe_value(id) + " cannot be saved: " + found->second->reason,
                 .field = kField};
  }
  return found->second->request;
}

}  // namespace krait::server
