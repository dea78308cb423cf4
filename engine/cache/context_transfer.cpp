#include "engine/cache/context_transfer.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/cache/prefix_index.h"

namespace krait {
namespace {

/// No prompt has it: with it behind them, all of a prefix's blocks may be reused.
constexpr std::int32_t kNoToken = -1;

std::string copy_out(const ItemPool& pool, std::int32_t item) { return item == 0 ? std::string() : pool.read(item); }

/// A new item with these bytes; nullopt when there is no memory.
std::optional<std::int32_t> copy_in(ItemPool& pool, const std::string& bytes) {
  const std::optional<std::int32_t> item = pool.allocate();
  if (item) pool.write(*item, bytes);
  return item;
}

Status usable(const CachePools& pools) {
  if (pools.prefix_index() != nullptr) return ok_status();
  return Error{.code = ErrorCode::kUnsupported,
               .message = "contexts can be saved and restored with prefix caching only (--enable-prefix-caching)",
               .field = {}};
}

Error no_room(const ContextImage& image) {
  return {.code = ErrorCode::kResourceExhausted,
          .message = "the caches have no room for a context of " + std::to_string(image.cache_bytes()) + " bytes",
          .field = {}};
}

/// Closes a cursor, however its owner ends.
class OpenCursor {
 public:
  OpenCursor(PrefixIndex& index, PrefixIndex::Cursor cursor) : index_(index), cursor_(cursor) {}
  ~OpenCursor() { index_.close(cursor_); }
  OpenCursor(const OpenCursor&) = delete;
  OpenCursor& operator=(const OpenCursor&) = delete;
  PrefixIndex::Cursor& operator*() { return cursor_; }

 private:
  PrefixIndex& index_;
  PrefixIndex::Cursor cursor_;
};

/// Lists one block after the other.
class Importer {
 public:
  Importer(CachePools& pools, const ContextImage& image)
      : pools_(pools),
        image_(image),
        block_size_(static_cast<std::size_t>(pools.layout().block_size)),
        cursor_(*pools.prefix_index(), pools.prefix_index()->open(image.salt)) {}

  Status run() {
    const std::size_t blocks = image_.tokens.size() / block_size_;
    for (std::size_t block = 0; block < blocks; ++block) {
      const bool before = block < static_cast<std::size_t>(image_.first_block);
      if (before && !has_block(block)) {
        return Error{.code = ErrorCode::kNotFound,
                     .message = "block " + std::to_string(block) + " is not in the caches, and the context begins at " +
                                "block " + std::to_string(image_.first_block),
                     .field = {}};
      }
      if (!add_block(block, before)) return no_room(image_);
    }
    return add_state() ? ok_status() : Status(no_room(image_));
  }

 private:
  [[nodiscard]] std::span<const std::int32_t> tokens_of(std::size_t block) const {
    return std::span(image_.tokens).subspan(block * block_size_, block_size_);
  }

  /// With a page in every group that keeps all tokens.
  [[nodiscard]] bool has_block(std::size_t block) {
    const PrefixNode* node = pools_.prefix_index()->find(*cursor_, tokens_of(block));
    if (node == nullptr) return false;
    for (std::size_t group = 0; group < node->pages.size(); ++group) {
      if (pools_.layout().kv_groups[group].sliding_window == 0 && node->pages[group] == 0) return false;
    }
    return true;
  }

  /// Moves the cursor over the block; false when there is no memory, or no room in the tree.
  bool add_block(std::size_t block, bool before) {
    std::vector<std::int32_t> pages(pools_.layout().kv_groups.size(), 0);
    const bool copied = before || copy_pages(block, pages);
    if (copied) pools_.prefix_index()->extend(*cursor_, tokens_of(block), pages);
    // Either the index holds them now, or they were exchanged for those that it held.
    for (std::size_t group = 0; group < pages.size(); ++group) {
      if (pages[group] != 0) pools_.pages(group).release(pages[group]);
    }
    return copied && *cursor_ != nullptr;
  }

  bool copy_pages(std::size_t block, std::vector<std::int32_t>& pages) {
    for (std::size_t group = 0; group < pages.size(); ++group) {
      const std::string& bytes = image_.pages[group][block - static_cast<std::size_t>(image_.first_block)];
      const PrefixNode* node = pools_.prefix_index()->find(*cursor_, tokens_of(block));
      if (bytes.empty() || (node != nullptr && node->pages[group] != 0)) continue;
      const auto page = copy_in(pools_.pages(group), bytes);
      if (!page) return false;
      pages[group] = *page;
    }
    return true;
  }

  bool add_state() {
    if (image_.state.empty() || (*cursor_)->snapshot != 0) return true;
    const auto snapshot = copy_in(*pools_.snapshots(), image_.state);
    if (!snapshot) return false;
    pools_.prefix_index()->add_snapshot(*cursor_, static_cast<int>(image_.tokens.size()), *snapshot);
    pools_.snapshots()->release(*snapshot);
    return true;
  }

  CachePools& pools_;
  const ContextImage& image_;
  const std::size_t block_size_;
  OpenCursor cursor_;
};

/// Copies what a match holds, from `first_block` on.
ContextImage copy_match(const CachePools& pools, const std::string& salt, const std::vector<std::int32_t>& tokens,
                        const PrefixMatch& match, int first_block) {
  ContextImage image;
  image.salt = salt;
  image.pages.resize(match.pages.size());
  const int blocks = match.computed_tokens / pools.layout().block_size;
  if (blocks == 0 || blocks < first_block) return image;
  image.tokens.assign(tokens.begin(), tokens.begin() + match.computed_tokens);
  image.first_block = first_block;
  for (std::size_t group = 0; group < match.pages.size(); ++group) {
    for (int block = first_block; block < blocks; ++block) {
      image.pages[group].push_back(copy_out(pools.pages(group), match.pages[group][static_cast<std::size_t>(block)]));
    }
  }
  if (match.snapshot != 0) image.state = copy_out(*pools.snapshots(), match.snapshot);
  return image;
}

}  // namespace

Result<ContextImage> export_context(CachePools& pools, const std::string& salt, const std::vector<std::int32_t>& tokens,
                                    int first_block) {
  if (Status status = usable(pools); !status.ok()) return std::move(status).error();
  const auto block_size = static_cast<std::size_t>(pools.layout().block_size);
  std::vector<std::int32_t> prompt(tokens.begin(),
                                   tokens.end() - static_cast<std::ptrdiff_t>(tokens.size() % block_size));
  prompt.push_back(kNoToken);
  PrefixMatch match = pools.prefix_index()->match(salt, prompt);
  ContextImage image = copy_match(pools, salt, tokens, match, std::max(0, first_block));
  pools.prefix_index()->let_go(match);
  return image;
}

UsablePrefix usable_prefix(CachePools& pools, const std::string& salt, const std::vector<std::int32_t>& prompt) {
  if (pools.prefix_index() == nullptr || prompt.empty()) return {};
  PrefixMatch match = pools.prefix_index()->match(salt, prompt);
  const UsablePrefix usable{.computed_tokens = match.computed_tokens, .page_tokens = match.page_tokens};
  pools.prefix_index()->let_go(match);
  return usable;
}

PathTokens tokens_of_path(const PrefixNode& node) {
  std::vector<const PrefixNode*> path;
  const PrefixNode* at = &node;
  for (; at->parent != nullptr; at = at->parent) path.push_back(at);
  PathTokens result{.salt = at->salt, .tokens = {}};
  for (auto block = path.rbegin(); block != path.rend(); ++block) {
    result.tokens.insert(result.tokens.end(), (*block)->tokens.begin(), (*block)->tokens.end());
  }
  return result;
}

std::optional<ContextImage> copy_path(const CachePools& pools, const PrefixNode& node, int first_block) {
  const auto& groups = pools.layout().kv_groups;
  PathTokens path = tokens_of_path(node);
  ContextImage image{.salt = std::move(path.salt),
                     .tokens = std::move(path.tokens),
                     .first_block = first_block,
                     .pages = std::vector<std::vector<std::string>>(groups.size()),
                     .state = pools.slots() == nullptr ? std::string() : copy_out(*pools.snapshots(), node.snapshot)};
  for (std::size_t group = 0; group < groups.size(); ++group) {
    auto& pages = image.pages[group];
    pages.resize(static_cast<std::size_t>(node.depth - first_block));
    for (const PrefixNode* at = &node; at->depth > first_block; at = at->parent) {
      if (at->depth <= first_needed_block(pools.layout(), group, node.depth * pools.layout().block_size)) break;
      if (at->pages[group] == 0) return std::nullopt;
      pages[static_cast<std::size_t>(at->depth - 1 - first_block)] = copy_out(pools.pages(group), at->pages[group]);
    }
  }
  return image;
}

Status import_context(CachePools& pools, const ContextImage& image) {
  if (Status status = usable(pools); !status.ok()) return status;
  if (Status status = check_context(image, pools.layout()); !status.ok()) return status;
  if (image.tokens.empty()) return ok_status();
  // What cannot end well is not begun: it would push others out for nothing.
  const MemoryBudget& budget = pools.budget();
  if (image.cache_bytes() > budget.total() - budget.used() + pools.idle_bytes()) return no_room(image);
  return Importer(pools, image).run();
}

}  // namespace krait
