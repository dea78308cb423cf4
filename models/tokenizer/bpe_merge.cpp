// Two ways to the same result. Words are short, and for them a scan that finds the best pair again after each merge
// beats any queue; a long piece (a megabyte without a blank) must not cost its square, and takes the queue.
#include "models/tokenizer/bpe_merge.h"

#include <array>
#include <functional>
#include <queue>
#include <span>

namespace krait {
namespace {

/// Below this length a scan over the ranks is faster than the queue.
constexpr std::size_t kScanLimit = 32;

/// Merges in place; the number of tokens that are left.
std::size_t merge_by_scan(const MergeTable& merges, std::span<std::int32_t> tokens) {
  std::array<MergeResult, kScanLimit> next;  // next[i]: the merge of tokens i and i + 1
  std::size_t count = tokens.size();
  for (std::size_t i = 0; i + 1 < count; ++i) next[i] = merges.find(tokens[i], tokens[i + 1]);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (next[i].rank < next[best].rank) best = i;
    }
    if (next[best].rank == MergeResult::kNoRank) break;
    tokens[best] = next[best].id;
    --count;
    for (std::size_t i = best + 1; i < count; ++i) {
      tokens[i] = tokens[i + 1];
      next[i - 1] = next[i];
    }
    // next[best] was overwritten by its right neighbour's, whose left token has changed; so has the left neighbour's
    // right token.
    if (best > 0) next[best - 1] = merges.find(tokens[best - 1], tokens[best]);
    if (best + 1 < count) next[best] = merges.find(tokens[best], tokens[best + 1]);
  }
  return count;
}

/// A doubly linked list over the tokens; a queue of merges, of which those that the list has outrun are dropped when
/// they come up.
class QueueMerger {
 public:
  QueueMerger(const MergeTable& merges, std::span<std::int32_t> tokens) : merges_(merges), tokens_(tokens) {
    const auto count = static_cast<std::int32_t>(tokens.size());
    links_.resize(tokens.size());
    for (std::int32_t i = 0; i < count; ++i) {
      links_[index(i)] = {.previous = i - 1, .next = i + 1 < count ? i + 1 : kNone};
    }
    std::vector<Candidate> candidates;
    candidates.reserve(tokens.size());
    for (std::int32_t i = 0; i + 1 < count; ++i) {
      const MergeResult merge = merge_at(i);
      if (merge.rank != MergeResult::kNoRank) candidates.push_back(candidate(merge.rank, i));
    }
    queue_ = Queue(std::greater<>(), std::move(candidates));
  }

  std::size_t run() {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const auto at = static_cast<std::int32_t>(top & 0xFFFFFFFFU);
      if (tokens_[index(at)] == kGone) continue;
      const MergeResult merge = merge_at(at);
      if (merge.rank == top >> 32) apply(merge.id, at);
    }
    return collect();
  }

 private:
  /// The rank in the upper half and the place in the lower one: what comes first is less.
  using Candidate = std::uint64_t;
  using Queue = std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>>;
  static constexpr std::int32_t kNone = -1;
  static constexpr std::int32_t kGone = -1;  ///< the token at this place was merged into one on its left
  struct Link {
    std::int32_t previous = kNone;
    std::int32_t next = kNone;
  };

  static std::size_t index(std::int32_t at) { return static_cast<std::size_t>(at); }
  static Candidate candidate(std::uint32_t rank, std::int32_t at) {
    return (Candidate{rank} << 32) | static_cast<std::uint32_t>(at);
  }

  [[nodiscard]] MergeResult merge_at(std::int32_t at) const {
    const std::int32_t next = links_[index(at)].next;
    return next == kNone ? MergeResult{} : merges_.find(tokens_[index(at)], tokens_[index(next)]);
  }

  void offer(std::int32_t at) {
    const MergeResult merge = merge_at(at);
    if (merge.rank != MergeResult::kNoRank) queue_.push(candidate(merge.rank, at));
  }

  void apply(std::int32_t merged, std::int32_t at) {
    Link& link = links_[index(at)];
    tokens_[index(at)] = merged;
    tokens_[index(link.next)] = kGone;
    link.next = links_[index(link.next)].next;
    if (link.next != kNone) {
      links_[index(link.next)].previous = at;
      offer(at);
    }
    if (link.previous != kNone) offer(link.previous);
  }

  std::size_t collect() {
    std::size_t count = 0;
    for (const std::int32_t token : tokens_) {
      if (token != kGone) tokens_[count++] = token;
    }
    return count;
  }

  const MergeTable& merges_;
  std::span<std::int32_t> tokens_;
  std::vector<Link> links_;
  Queue queue_;
};

}  // namespace

void merge_tokens(const MergeTable& merges, std::vector<std::int32_t>& tokens, std::size_t begin) {
  const std::span<std::int32_t> piece = std::span(tokens).subspan(begin);
  if (piece.size() < 2) return;
  const bool is_short = piece.size() <= kScanLimit;
  tokens.resize(begin + (is_short ? merge_by_scan(merges, piece) : QueueMerger(merges, piece).run()));
}

}  // namespace krait
