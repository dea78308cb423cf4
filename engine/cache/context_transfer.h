#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/context_image.h"
#include "kernels/result.h"

namespace krait {

class CachePools;
struct PrefixNode;

/// What the index holds of the longest usable prefix of `tokens` under `salt`, from its block `first_block` on. With
/// recurrent state it ends at the deepest snapshot; a prefix that ends before `first_block`, or of which nothing is
/// held, gives an image without tokens. Counts as a use of what it copies. Errors: kUnsupported without a prefix index,
/// or where the processor cannot read the platform's memory.
Result<ContextImage> export_context(CachePools& pools, const std::string& salt, const std::vector<std::int32_t>& tokens,
                                    int first_block = 0);

/// Tokens of a prompt that need not be computed, by what the caches hold now. Counts as a use of it. 0 without an
/// index.
struct UsablePrefix {
  int computed_tokens = 0;  ///< see PrefixMatch
  int page_tokens = 0;
};
UsablePrefix usable_prefix(CachePools& pools, const std::string& salt, const std::vector<std::int32_t>& prompt);

/// Salt and tokens up to and with a block of the index.
struct PathTokens {
  std::string salt;
  std::vector<std::int32_t> tokens;
};
PathTokens tokens_of_path(const PrefixNode& node);

/// The blocks from `first_block` up to and with `node`'s, and its state; nullopt when pages of them that a request
/// would need to go on there are gone.
std::optional<ContextImage> copy_path(const CachePools& pools, const PrefixNode& node, int first_block);

/// Copies an image into the pools and lists it; equal blocks that are there already stay, and a place that has a state
/// keeps it. Lets go of what nobody uses to make room, never of what requests hold. Errors: as above; kInvalidArgument
/// for parts of wrong sizes; kNotFound when blocks before `first_block` are not in the index; kResourceExhausted when
/// memory is short: what had been taken in by then stays listed.
Status import_context(CachePools& pools, const ContextImage& image);

}  // namespace krait
