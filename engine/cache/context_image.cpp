#include "engine/cache/context_image.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <optional>
#include <utility>

#include "engine/cache/byte_format.h"
#include "engine/cache/snapshot_format.h"

namespace krait {
namespace {

constexpr std::string_view kMagic = "KRAITCTX";
constexpr std::uint32_t kVersion = 1;
/// Magic, version, and the length of everything.
constexpr std::size_t kHeadBytes = 8 + sizeof(std::uint32_t) + sizeof(std::uint64_t);
constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);

Error bad(const std::string& name, const std::string& what) {
  return {.code = ErrorCode::kInvalidArgument, .message = "the " + name + " " + what, .field = {}};
}

std::size_t blocks_of(const ContextImage& image, int block_size) {
  return image.tokens.size() / static_cast<std::size_t>(block_size);
}

std::uint64_t checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

/// What stands before the parts: their number, none of their sizes.
struct Shape {
  std::uint32_t salt_bytes = 0;
  std::uint32_t tokens = 0;
  std::uint32_t first_block = 0;
  std::uint32_t has_state = 0;
};

/// Everything but lengths and identity was checked before: what is wrong here was written wrong.
class ImageReader {
 public:
  ImageReader(ByteReader& reader, const CacheLayout& layout) : reader_(reader), layout_(layout) {}

  std::optional<ContextImage> read() {
    const auto shape = reader_.get<Shape>();
    if (!shape) return std::nullopt;
    const auto salt = reader_.get_bytes(shape->salt_bytes);
    const auto tokens = reader_.get_bytes(std::size_t{shape->tokens} * sizeof(std::int32_t));
    const auto block_size = static_cast<std::uint32_t>(layout_.block_size);
    if (!salt || !tokens || shape->tokens % block_size != 0 || shape->first_block > shape->tokens / block_size) {
      return std::nullopt;
    }
    ContextImage image;
    image.salt = *salt;
    image.tokens.resize(shape->tokens);
    if (!tokens->empty()) std::memcpy(image.tokens.data(), tokens->data(), tokens->size());
    image.first_block = static_cast<int>(shape->first_block);
    for (const KvGroupLayout& group : layout_.kv_groups) {
      auto pages = read_pages(shape->tokens / block_size - shape->first_block, group.page_bytes);
      if (!pages) return std::nullopt;
      image.pages.push_back(*std::move(pages));
    }
    if (shape->has_state != 0) {
      const auto state = reader_.get_bytes(snapshot_bytes(layout_));
      if (!state) return std::nullopt;
      image.state = *state;
    }
    return image;
  }

 private:
  std::optional<std::vector<std::string>> read_pages(std::size_t blocks, std::size_t page_bytes) {
    const auto present = reader_.get_bytes(blocks);
    if (!present) return std::nullopt;
    std::vector<std::string> pages(blocks);
    for (std::size_t block = 0; block < blocks; ++block) {
      if ((*present)[block] == 0) continue;
      const auto page = reader_.get_bytes(page_bytes);
      if (!page) return std::nullopt;
      pages[block] = *page;
    }
    return pages;
  }

  ByteReader& reader_;
  const CacheLayout& layout_;
};

}  // namespace

std::uint64_t ContextIdentity::layout_hash() const {
  ByteWriter sizes(256);
  sizes.put(formats);
  sizes.put(std::int64_t{layout.block_size});
  sizes.put(std::uint64_t{layout.slot_bytes});
  if (packs_snapshots(layout)) {
    sizes.put(std::uint64_t{snapshot_bytes(layout)});
    sizes.put(static_cast<std::int64_t>(layout.snapshot_dtype));
  }
  for (const KvGroupLayout& group : layout.kv_groups) {
    sizes.put(std::uint64_t{group.page_bytes});
    sizes.put(std::int64_t{group.sliding_window});
    sizes.put(std::uint64_t{group.name.size()});
    sizes.put_bytes(group.name.data(), group.name.size());
  }
  return checksum(sizes.bytes());
}

std::size_t ContextImage::cache_bytes() const {
  std::size_t bytes = state.size();
  for (const auto& group : pages) {
    for (const std::string& page : group) bytes += page.size();
  }
  return bytes;
}

std::string serialize_context(const ContextImage& image, const ContextIdentity& identity) {
  std::size_t total = kHeadBytes + 2 * sizeof(std::uint64_t) + sizeof(Shape) + image.salt.size() +
                      image.tokens.size() * sizeof(std::int32_t) + image.cache_bytes() + kChecksumBytes;
  for (const auto& group : image.pages) total += group.size();
  ByteWriter writer(total);
  writer.put_bytes(kMagic.data(), kMagic.size());
  writer.put(kVersion);
  writer.put(std::uint64_t{total});
  writer.put(identity.model);
  writer.put(identity.layout_hash());
  writer.put(Shape{.salt_bytes = static_cast<std::uint32_t>(image.salt.size()),
                   .tokens = static_cast<std::uint32_t>(image.tokens.size()),
                   .first_block = static_cast<std::uint32_t>(image.first_block),
                   .has_state = image.state.empty() ? 0U : 1U});
  writer.put_bytes(image.salt.data(), image.salt.size());
  writer.put_bytes(image.tokens.data(), image.tokens.size() * sizeof(std::int32_t));
  for (const auto& group : image.pages) {
    for (const std::string& page : group) writer.put(static_cast<char>(page.empty() ? 0 : 1));
    for (const std::string& page : group) writer.put_bytes(page.data(), page.size());
  }
  writer.put_bytes(image.state.data(), image.state.size());
  writer.put(checksum(writer.bytes()));
  return writer.take();
}

Result<ContextImage> parse_context(std::string_view bytes, const ContextIdentity& identity, const std::string& name) {
  ByteReader reader(bytes);
  const auto magic = reader.get_bytes(kMagic.size());
  if (!magic) return bad(name, "is truncated: it has " + std::to_string(bytes.size()) + " bytes");
  if (*magic != kMagic) return bad(name, "is not a saved context: it does not begin with " + std::string(kMagic));
  const auto version = reader.get<std::uint32_t>();
  if (version && *version != kVersion) {
    return bad(name, "has format version " + std::to_string(*version) + "; this Krait reads version " +
                         std::to_string(kVersion));
  }
  const auto total = reader.get<std::uint64_t>();
  if (!total || *total > bytes.size() || bytes.size() < kHeadBytes + kChecksumBytes) {
    return bad(name, "is truncated: it has " + std::to_string(bytes.size()) + " bytes" +
                         (total ? " of " + std::to_string(*total) : std::string()));
  }
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  ByteReader tail(bytes.substr(body.size()));
  if (*total != bytes.size() || tail.get<std::uint64_t>() != checksum(body)) {
    return bad(name, "is damaged: its checksum does not match its bytes");
  }
  ByteReader content(body.substr(kHeadBytes));
  const auto model = content.get<std::uint64_t>();
  const auto layout = content.get<std::uint64_t>();
  if (!model || !layout) return bad(name, "is damaged: its parts do not fill it");
  if (*model != identity.model) {
    return bad(name,
               "was made by another model, or with other options that change the model's numbers "
               "(--compute-dtype, a backend, an instruction set)");
  }
  if (*layout != identity.layout_hash()) {
    return bad(name, "was made with another layout of the caches (--block-size, or the type of pages or states)");
  }
  auto image = ImageReader(content, identity.layout).read();
  if (!image || content.left() != 0) return bad(name, "is damaged: its parts do not fill it");
  if (Status status = check_context(*image, identity.layout); !status.ok()) return std::move(status).error();
  return *std::move(image);
}

Status check_context(const ContextImage& image, const CacheLayout& layout) {
  const auto fail = [](const std::string& what) -> Status { return bad("context", "cannot be used: " + what); };
  const std::size_t blocks = blocks_of(image, layout.block_size);
  if (image.tokens.size() % static_cast<std::size_t>(layout.block_size) != 0) return fail("it ends inside a block");
  if (image.first_block < 0 || static_cast<std::size_t>(image.first_block) > blocks) {
    return fail("its first block lies behind its end");
  }
  if (image.pages.size() != layout.kv_groups.size()) return fail("it has pages of other KV groups");
  for (std::size_t group = 0; group < image.pages.size(); ++group) {
    if (image.pages[group].size() != blocks - static_cast<std::size_t>(image.first_block)) {
      return fail("it does not have as many pages as blocks");
    }
    for (const std::string& page : image.pages[group]) {
      const bool windowed = layout.kv_groups[group].sliding_window > 0;
      if (page.size() != layout.kv_groups[group].page_bytes && !(page.empty() && windowed)) {
        return fail("a page has " + std::to_string(page.size()) + " bytes");
      }
    }
  }
  if (!image.state.empty() && (image.state.size() != snapshot_bytes(layout) || blocks == 0)) {
    return fail("a state of " + std::to_string(image.state.size()) + " bytes after " +
                std::to_string(image.tokens.size()) + " tokens");
  }
  return ok_status();
}

}  // namespace krait
