#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/cache/context_image.h"
#include "engine/cache/disk/entry_key.h"
#include "kernels/result.h"

namespace krait {

/// What is known of an entry without its content.
struct EntryHeader {
  EntryKey key;
  EntryKey parent;  ///< whose pages come before its own
  std::uint32_t blocks = 0;
  std::uint64_t file_bytes = 0;
};

/// `<key>.entry`.
std::string entry_file_name(const EntryKey& key);

/// Writes an entry under a temporary name, which holds a lock while it is written, and renames it: a file with the
/// entry's name is whole, or its checksum says that it is not. Errors name the file and say what the system said.
Status write_entry(const std::string& folder, const EntryHeader& header, const std::string& content);

/// Reads and checks the header only; `kNotFound` when there is no such file, `kUnavailable` when it cannot be read,
/// `kInvalidArgument` when it is damaged or of another version.
Result<EntryHeader> read_entry_header(const std::string& path);

/// Reads and checks everything. Errors as above.
Result<ContextImage> read_entry(const std::string& folder, const EntryKey& key, const ContextIdentity& identity);

/// Notes a use in the file's time of modification, by which a later start orders the entries.
void touch_entry(const std::string& folder, const EntryKey& key);

/// Deletes temporary files that no process writes any more.
void remove_abandoned(const std::string& folder);

/// Bytes before the content.
extern const std::size_t kEntryHeaderBytes;

}  // namespace krait
