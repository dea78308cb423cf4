#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cache/context_identity.h"
#include "kernels/result.h"

namespace krait {

/// A prefix together with what the caches hold of it, outside the caches: what a session keeps and a file holds.
/// Plain data; made by `export_context`, taken in by `import_context` (engine/cache/context_transfer.h).
struct ContextImage {
  std::string salt;
  /// All tokens up to the image's end, whole blocks; empty: the caches held nothing.
  std::vector<std::int32_t> tokens;
  /// Blocks before this one are in `tokens` only: whoever takes the image in must have their pages already.
  int first_block = 0;
  /// [KV group][block - first_block]: the page's bytes; empty where a window has left the block behind.
  std::vector<std::vector<std::string>> pages;
  /// The recurrent state after the last token; empty: none, or a model without recurrent state.
  std::string state;

  /// Of pages and state.
  [[nodiscard]] std::size_t cache_bytes() const;
  bool operator==(const ContextImage&) const = default;
};

/// One byte string: magic, format version, length, identity, the image, and an xxHash64 checksum over everything
/// before it.
std::string serialize_context(const ContextImage& image, const ContextIdentity& identity);

/// The image in `bytes`. Trusts no length in it. Errors (kInvalidArgument) say what is wrong: not an image, another
/// format version, truncated, a checksum that does not match, another model, another cache layout. `name` says in
/// messages what the bytes are ("session file").
Result<ContextImage> parse_context(std::string_view bytes, const ContextIdentity& identity, const std::string& name);

/// Whether the image's parts have the sizes that the layout asks for; parsed ones always do.
Status check_context(const ContextImage& image, const CacheLayout& layout);

}  // namespace krait
