#include "engine/prefix_loading.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/cache/context_transfer.h"

namespace krait {
namespace {

/// Fewer blocks are computed sooner than read.
constexpr int kLeastBlocks = 2;

}  // namespace

PrefixLoading::PrefixLoading(CachePools& pools, std::unique_ptr<DiskTier> tier, Arrived arrived)
    : pools_(pools), tier_(std::move(tier)), writer_(pools, *tier_), arrived_(std::move(arrived)) {}

std::optional<PrefixLoading::Source> PrefixLoading::source_for(const EngineRequest& request) {
  if (!may_reuse_prefix(request) || request.prompt.empty()) return std::nullopt;
  const int block_size = pools_.layout().block_size;
  std::vector<EntryKey> keys = prefix_keys(tier_->identity(), request.cache_salt, request.prompt);
  // One token is always left to compute: a state behind the last one is of no use.
  const std::size_t usable = (request.prompt.size() - 1) / static_cast<std::size_t>(block_size);
  if (pools_.slots() != nullptr) keys.resize(std::min(keys.size(), usable));
  const DiskTier::Place place = tier_->longest_stored(keys);
  if (place.blocks < kLeastBlocks) return std::nullopt;
  const UsablePrefix memory = usable_prefix(pools_, request.cache_salt, request.prompt);
  const auto prompt = static_cast<int>(request.prompt.size());
  if (std::min(place.blocks * block_size, prompt - 1) - memory.computed_tokens < kLeastBlocks * block_size - 1) {
    return std::nullopt;
  }
  const auto windowed = [](const KvGroupLayout& group) { return group.sliding_window > 0; };
  // Pages that a window has left behind say nothing of those that the entry's end needs.
  const bool whole = std::ranges::any_of(pools_.layout().kv_groups, windowed);
  const Source source{.key = place.key, .from_block = whole ? 0 : memory.page_tokens / block_size};
  if (tier_->load_bytes(source.key, source.from_block) > pools_.budget().total()) return std::nullopt;
  return source;
}

bool PrefixLoading::keep(Submission& submission) {
  if (!source_for(submission.request)) return false;
  waiting_.push_back(std::move(submission));
  if (reading_for_) return true;
  // Nothing was read, so nothing else waits, and what was found a moment ago is still there.
  std::vector<Submission> ready = begin_next();
  if (ready.empty()) return true;
  submission = std::move(ready.front());
  return false;
}

std::vector<Submission> PrefixLoading::begin_next() {
  std::vector<Submission> ready;
  while (!waiting_.empty() && !reading_for_) {
    const auto source = source_for(waiting_.front().request);
    if (source) {
      reading_for_ = waiting_.front().key;
      tier_->load(source->key, source->from_block, arrived_);
    } else {
      ready.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
  }
  return ready;
}

std::vector<Submission> PrefixLoading::take_in(const std::vector<ContextImage>& images) {
  std::vector<Submission> ready;
  // The request that it was read for may have ended meanwhile; what was read is of use anyhow.
  const bool waits = !waiting_.empty() && std::exchange(reading_for_, std::nullopt) == waiting_.front().key;
  reading_for_.reset();
  const auto computed = [&](const EngineRequest& request) {
    return usable_prefix(pools_, request.cache_salt, request.prompt).computed_tokens;
  };
  const int before = waits ? computed(waiting_.front().request) : 0;
  for (const ContextImage& image : images) {
    if (!import_context(pools_, image).ok()) break;
  }
  if (waits) {
    // It is tried once: what could not be had is computed.
    hit_tokens_ += std::max(0, computed(waiting_.front().request) - before);
    ready.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  std::ranges::move(begin_next(), std::back_inserter(ready));
  return ready;
}

std::optional<Submission> PrefixLoading::remove(std::uint64_t key) {
  const auto found = std::ranges::find(waiting_, key, &Submission::key);
  if (found == waiting_.end()) return std::nullopt;
  Submission removed = std::move(*found);
  waiting_.erase(found);
  return removed;
}

std::vector<Submission> PrefixLoading::remove_all() {
  std::vector<Submission> all;
  std::ranges::move(waiting_, std::back_inserter(all));
  waiting_.clear();
  return all;
}

std::vector<Submission> PrefixLoading::remove_expired(std::chrono::steady_clock::time_point now) {
  std::vector<Submission> expired;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto& deadline = it->request.deadline;
    if (!deadline || *deadline > now) {
      ++it;
      continue;
    }
    expired.push_back(std::move(*it));
    it = waiting_.erase(it);
  }
  return expired;
}

std::optional<std::chrono::steady_clock::time_point> PrefixLoading::next_deadline() const {
  std::optional<std::chrono::steady_clock::time_point> next;
  for (const Submission& submission : waiting_) {
    const auto& deadline = submission.request.deadline;
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  return next;
}

void PrefixLoading::add_stats(EngineStats& stats) const {
  const DiskTierStats tier = tier_->stats();
  stats.disk_bytes = tier.bytes;
  stats.disk_entries = tier.entries;
  stats.disk_entries_written = tier.written;
  stats.disk_entries_read = tier.read;
  stats.disk_entries_skipped = tier.skipped;
  stats.disk_entries_evicted = tier.evicted;
  stats.disk_entries_damaged = tier.damaged;
}

}  // namespace krait
