#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/result.h"
#include "server/service/session_file.h"

namespace krait::server {

/// Sessions on disk: one file a name, `NAME.session`. A file is there whole or not at all: it is written aside and then
/// renamed. Forks are hard links where the file system has them. Not thread-safe.
class SessionDirectory {
 public:
  /// Makes the folder and removes what a killed process left half written. Throws StartupError.
  explicit SessionDirectory(std::string path);

  /// In place of what has the name. kInternal with the system's words.
  Status write(const std::string& name, const SessionFile& file);
  Status fork(const std::string& name, const std::string& new_name);
  Status erase(const std::string& name);

  struct Entry {
    std::string name;
    std::uint64_t file = 0;  ///< equal for names that are links to one file
  };
  /// By name.
  [[nodiscard]] std::vector<Entry> list() const;
  [[nodiscard]] Result<std::string> read(const std::string& name) const;
  [[nodiscard]] std::string path_of(const std::string& name) const;

 private:
  const std::string path_;
};

}  // namespace krait::server
