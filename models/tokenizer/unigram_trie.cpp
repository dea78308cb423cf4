#include "models/tokenizer/unigram_trie.h"

#include <utility>

namespace krait {

namespace {
constexpr int kFirstBits = 12;
}

UnigramTrie::UnigramTrie() : edges_(std::size_t{1} << kFirstBits), shift_(64 - kFirstBits), tokens_(1, kNoToken) {}

void UnigramTrie::insert(Edge edge) {
  std::size_t slot = slot_of(edge.key);
  while (edges_[slot].key != kFree) slot = (slot + 1) & (edges_.size() - 1);
  edges_[slot] = edge;
}

void UnigramTrie::grow() {
  const std::vector<Edge> old = std::exchange(edges_, std::vector<Edge>(2 * edges_.size()));
  --shift_;
  for (const Edge& edge : old) {
    if (edge.key != kFree) insert(edge);
  }
}

void UnigramTrie::add(std::string_view token, std::int32_t id) {
  if (token.empty()) return;
  std::uint32_t node = kRoot;
  for (const char byte : token) {
    std::uint32_t next = child(node, byte);
    if (next == kNoNode) {
      next = static_cast<std::uint32_t>(tokens_.size());
      tokens_.push_back(kNoToken);
      if (2 * tokens_.size() > edges_.size()) grow();
      insert({.key = key_of(node, byte), .child = next});
    }
    node = next;
  }
  tokens_[node] = id;
}

}  // namespace krait
