// Two ways to the same result. Words are short, and for them a scan that finds the best pair again after each merge
// beats any queue; a long piece (a megabyte without a blank) must not cost its square, and takes the queue.
#include "models/tokenizer/bpe_merge.h"

#include <array>
#include <queue>

namespace krait {
namespace {

/// Below this length a scan over the ranks is faster than the queue.
constexpr std::size_t kScanLimit = 32;

void merge_by_scan(const MergeTable& merges, std::vector<std::int32_t>& tokens) {
  std::array<MergeResult, kScanLimit> next{};  // next[i]: the merge of tokens i and i + 1
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
  tokens.resize(count);
}

/// A doubly linked list over the tokens; a queue of merges, of which those that the list has outrun are dropped when
/// they come up.
class QueueMerger {
 public:
  QueueMerger(const MergeTable& merges, std::vector<std::int32_t>& tokens) : merges_(merges), tokens_(tokens) {
    const auto count = static_cast<std::int32_t>(tokens.size());
    links_.resize(tokens.size());
    for (std::int32_t i = 0; i < count; ++i) {
      links_[index(i)] = {.previous = i - 1, .next = i + 1 < count ? i + 1 : kNone};
    }
    for (std::int32_t i = 0; i + 1 < count; ++i) offer(i);
  }

  void run() {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      if (is_current(top)) apply(top);
    }
    collect();
  }

 private:
  static constexpr std::int32_t kNone = -1;
  static constexpr std::int32_t kGone = -1;  ///< the token at this place was merged into one on its left
  struct Link {
    std::int32_t previous = kNone;
    std::int32_t next = kNone;
  };
  struct Candidate {
    MergeResult merge;
    std::int32_t at = 0;
    bool operator<(const Candidate& other) const {  // std::priority_queue gives the largest first
      return merge.rank != other.merge.rank ? merge.rank > other.merge.rank : at > other.at;
    }
  };

  static std::size_t index(std::int32_t at) { return static_cast<std::size_t>(at); }

  [[nodiscard]] MergeResult merge_at(std::int32_t at) const {
    const std::int32_t next = links_[index(at)].next;
    return next == kNone ? MergeResult{} : merges_.find(tokens_[index(at)], tokens_[index(next)]);
  }

  void offer(std::int32_t at) {
    const MergeResult merge = merge_at(at);
    if (merge.rank != MergeResult::kNoRank) queue_.push({.merge = merge, .at = at});
  }

  [[nodiscard]] bool is_current(const Candidate& candidate) const {
    return tokens_[index(candidate.at)] != kGone && merge_at(candidate.at).rank == candidate.merge.rank;
  }

  void apply(const Candidate& candidate) {
    Link& link = links_[index(candidate.at)];
    tokens_[index(candidate.at)] = candidate.merge.id;
    tokens_[index(link.next)] = kGone;
    link.next = links_[index(link.next)].next;
    if (link.next != kNone) {
      links_[index(link.next)].previous = candidate.at;
      offer(candidate.at);
    }
    if (link.previous != kNone) offer(link.previous);
  }

  void collect() {
    std::size_t count = 0;
    for (const std::int32_t token : tokens_) {
      if (token != kGone) tokens_[count++] = token;
    }
    tokens_.resize(count);
  }

  const MergeTable& merges_;
  std::vector<std::int32_t>& tokens_;
  std::vector<Link> links_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

void merge_tokens(const MergeTable& merges, std::vector<std::int32_t>& tokens) {
  if (tokens.size() < 2) return;
  if (tokens.size() <= kScanLimit) {
    merge_by_scan(merges, tokens);
  } else {
    QueueMerger(merges, tokens).run();
  }
}

}  // namespace krait
