#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/packed_weight.h"
#include "kernels/result.h"

/// A file of packed weights: magic and zeros up to byte 64; the blocks, each at a multiple of 64 bytes, zeros between
/// them; the index; the trailer, which is written last. It is the machine's own byte order.
namespace krait {

/// What the weights are, by their keys.
using PackedImages = std::map<std::string, PackedImage>;

inline constexpr std::string_view kPackedMagic = "KRAITPWT";
inline constexpr std::uint32_t kPackedFileVersion = 1;
inline constexpr std::size_t kPackedAlignment = 64;
/// Bytes from the file's start on that share a checksum. The last piece ends where the index begins.
inline constexpr std::size_t kPackedPiece = std::size_t{1} << 20U;

/// The last bytes of the file.
struct PackedTrailer {
  std::uint64_t identity = 0;  ///< of everything that decides about the weights' bytes
  std::uint64_t index_begin = 0;
  std::uint64_t index_checksum = 0;
  std::uint64_t file_bytes = 0;
};
extern const std::size_t kPackedTrailerBytes;
std::string trailer_bytes(const PackedTrailer& trailer);
/// The error's message says what is wrong with the file: "is …".
Result<PackedTrailer> parse_trailer(std::string_view bytes, std::size_t file_bytes);

/// Where a block lies in the file.
struct PackedBlock {
  std::uint64_t begin = 0;
  std::uint64_t bytes = 0;
};
struct PackedIndex {
  struct Entry {
    std::string key;
    std::string form;
    std::vector<PackedBlock> blocks;
  };
  std::vector<Entry> entries;
  std::vector<std::uint64_t> checksums;  ///< of the pieces
};
std::string index_bytes(const PackedIndex& index);
/// Checks every size against the file's: blocks lie before `index_begin`, and there is a checksum for each piece.
Result<PackedIndex> parse_index(std::string_view bytes, std::uint64_t index_begin);

inline std::size_t packed_pieces(std::uint64_t index_begin) { return (index_begin + kPackedPiece - 1) / kPackedPiece; }

}  // namespace krait
