#include "engine/packed_weights/packed_file_format.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <optional>
#include <utility>

#include "engine/cache/byte_format.h"

namespace krait {
namespace {

Error damaged(const std::string& what) { return {.code = ErrorCode::kInvalidArgument, .message = what, .field = {}}; }

void put_text(ByteWriter& writer, const std::string& text) {
  writer.put(static_cast<std::uint32_t>(text.size()));
  writer.put_bytes(text.data(), text.size());
}

std::optional<std::string> get_text(ByteReader& reader) {
  const auto size = reader.get<std::uint32_t>();
  const auto text = size ? reader.get_bytes(*size) : std::nullopt;
  return text ? std::optional<std::string>(*text) : std::nullopt;
}

/// The next block, inside of the file.
std::optional<PackedBlock> get_block(ByteReader& reader, std::uint64_t index_begin) {
  const auto begin = reader.get<std::uint64_t>();
  const auto bytes = reader.get<std::uint64_t>();
  if (!begin || !bytes || *begin < kPackedAlignment || *begin % kPackedAlignment != 0) return std::nullopt;
  if (*begin > index_begin || *bytes > index_begin - *begin) return std::nullopt;
  return PackedBlock{.begin = *begin, .bytes = *bytes};
}

}  // namespace

const std::size_t kPackedTrailerBytes = kPackedMagic.size() + sizeof(std::uint32_t) + 5 * sizeof(std::uint64_t);

std::string trailer_bytes(const PackedTrailer& trailer) {
  ByteWriter writer(kPackedTrailerBytes);
  writer.put(trailer.identity);
  writer.put(trailer.index_begin);
  writer.put(trailer.index_checksum);
  writer.put(trailer.file_bytes);
  writer.put(kPackedFileVersion);
  writer.put_bytes(kPackedMagic.data(), kPackedMagic.size());
  writer.put(std::uint64_t{XXH3_64bits(writer.bytes().data(), writer.bytes().size())});
  return writer.take();
}

Result<PackedTrailer> parse_trailer(std::string_view bytes, std::size_t file_bytes) {
  ByteReader reader(bytes);
  PackedTrailer trailer;
  for (std::uint64_t* number :
       {&trailer.identity, &trailer.index_begin, &trailer.index_checksum, &trailer.file_bytes}) {
    *number = reader.get<std::uint64_t>().value_or(0);
  }
  const std::uint32_t version = reader.get<std::uint32_t>().value_or(0);
  if (reader.get_bytes(kPackedMagic.size()) != kPackedMagic) {
    return damaged("is truncated, or no file of packed weights");
  }
  if (version != kPackedFileVersion) {
    return Error{
        .code = ErrorCode::kUnsupported,
        .message = "has format version " + std::to_string(version) + ", not " + std::to_string(kPackedFileVersion),
        .field = {}};
  }
  const auto checksum = reader.get<std::uint64_t>();
  if (checksum != XXH3_64bits(bytes.data(), kPackedTrailerBytes - sizeof(std::uint64_t))) {
    return damaged("is damaged: the checksum of its trailer does not match");
  }
  if (trailer.file_bytes != file_bytes || trailer.index_begin < kPackedAlignment ||
      trailer.index_begin > file_bytes - kPackedTrailerBytes) {
    return damaged("is damaged: it has " + std::to_string(file_bytes) + " bytes, not " +
                   std::to_string(trailer.file_bytes));
  }
  return trailer;
}

std::string index_bytes(const PackedIndex& index) {
  ByteWriter writer(index.entries.size() * 256 + index.checksums.size() * sizeof(std::uint64_t));
  writer.put(static_cast<std::uint64_t>(index.entries.size()));
  for (const PackedIndex::Entry& entry : index.entries) {
    put_text(writer, entry.key);
    put_text(writer, entry.form);
    writer.put(static_cast<std::uint32_t>(entry.blocks.size()));
    for (const PackedBlock& block : entry.blocks) {
      writer.put(block.begin);
      writer.put(block.bytes);
    }
  }
  for (const std::uint64_t checksum : index.checksums) writer.put(checksum);
  return writer.take();
}

Result<PackedIndex> parse_index(std::string_view bytes, std::uint64_t index_begin) {
  const Error bad = damaged("is damaged: its index cannot be read");
  ByteReader reader(bytes);
  PackedIndex index;
  const auto count = reader.get<std::uint64_t>();
  if (!count) return bad;
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto key = get_text(reader);
    auto form = get_text(reader);
    const auto blocks = reader.get<std::uint32_t>();
    if (!key || !form || !blocks) return bad;
    PackedIndex::Entry& entry =
        index.entries.emplace_back(PackedIndex::Entry{.key = std::move(*key), .form = std::move(*form), .blocks = {}});
    for (std::uint32_t b = 0; b < *blocks; ++b) {
      const auto block = get_block(reader, index_begin);
      if (!block) return bad;
      entry.blocks.push_back(*block);
    }
  }
  if (reader.left() != packed_pieces(index_begin) * sizeof(std::uint64_t)) return bad;
  while (const auto checksum = reader.get<std::uint64_t>()) index.checksums.push_back(*checksum);
  return index;
}

}  // namespace krait
