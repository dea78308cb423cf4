#pragma once

#include <string>
#include <vector>

namespace krait {

/// While one lives, what the grammar library has to say on this thread (it knows only a global log) comes here. It
/// warns where it leaves out a part of a constraint: such a constraint is refused, not half enforced.
class LibraryMessages {
 public:
  LibraryMessages();
  ~LibraryMessages();
  LibraryMessages(const LibraryMessages&) = delete;
  LibraryMessages& operator=(const LibraryMessages&) = delete;

  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  /// Called by the library's log only. Keeps the first few.
  void add(std::string warning);

 private:
  std::vector<std::string> warnings_;
};

/// The library's words without what only its authors need: "Check failed: (…) is false: ".
std::string plain_message(const std::string& message);

}  // namespace krait
