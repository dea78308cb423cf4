#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cache/context_image.h"
#include "engine/cache/disk/disk_tier.h"
#include "engine/cache/disk/prefix_writer.h"
#include "engine/engine_inbox.h"
#include "engine/engine_stats.h"

namespace krait {

class CachePools;

/// The requests that wait for their prefix to come from disk, and the disk tier that it comes from. One prefix is read
/// at a time, so that what is read and not yet in the caches is bounded, and so that the second of two alike finds what
/// the first one brought. Others are not held up: they go to the scheduler at once. Used by the engine's thread only.
class PrefixLoading {
 public:
  /// `arrived` is called on another thread, with what `take_in` is to be given on the engine's.
  using Arrived = std::function<void(std::vector<ContextImage>)>;
  PrefixLoading(CachePools& pools, std::unique_ptr<DiskTier> tier, Arrived arrived);

  /// Keeps the request if more of its prompt is on disk than in memory; false if it should go on at once.
  [[nodiscard]] bool keep(Submission& submission);
  /// Lists what has arrived. Returns the requests that wait no longer.
  [[nodiscard]] std::vector<Submission> take_in(const std::vector<ContextImage>& images);
  /// A request that is to end: it waits no longer.
  [[nodiscard]] std::optional<Submission> remove(std::uint64_t key);
  [[nodiscard]] std::vector<Submission> remove_all();
  [[nodiscard]] std::vector<Submission> remove_expired(std::chrono::steady_clock::time_point now);
  /// When `remove_expired` will have something to do.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> next_deadline() const;

  [[nodiscard]] int size() const { return static_cast<int>(waiting_.size()); }
  /// Tokens that came from disk, for requests.
  [[nodiscard]] std::int64_t hit_tokens() const { return hit_tokens_; }
  /// From any thread.
  void add_stats(EngineStats& stats) const;

 private:
  struct Source {
    EntryKey key;
    int from_block = 0;
  };
  /// What should be read for the request; nullopt: nothing, or it would not pay.
  [[nodiscard]] std::optional<Source> source_for(const EngineRequest& request);
  /// Begins to read for the first request that waits. Returns those that need nothing any more.
  std::vector<Submission> begin_next();

  CachePools& pools_;
  std::unique_ptr<DiskTier> tier_;
  PrefixWriter writer_;
  Arrived arrived_;
  std::deque<Submission> waiting_;
  std::optional<std::uint64_t>
      reading_for_;  ///< the request whose prefix is being read; the first one, if it still waits
  std::int64_t hit_tokens_ = 0;
};

}  // namespace krait
