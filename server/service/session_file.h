#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kernels/result.h"
#include "server/service/session.h"

namespace krait::server {

/// A session in one piece, without a copy of its image: the file is `before`, the session's image, `after`. Layout:
/// "KRAITSES", format version (u32), length of the file (u64), length of the head (u64), the head (JSON: model,
/// cache_salt, isolation, created, tokens, messages), the image (see ContextImage), and the XXH3 hash of all that
/// (u64). Numbers are little-endian.
struct SessionFile {
  std::shared_ptr<const Session> session;
  std::string before;
  std::string after;

  [[nodiscard]] std::size_t size() const { return before.size() + session->image.size() + after.size(); }
};

SessionFile make_session_file(std::shared_ptr<const Session> session, std::int64_t created);

struct ReadSession {
  Session session;
  std::int64_t created = 0;
};

/// The session in `bytes`, which may be anything. Errors (kInvalidArgument) say what is wrong: not a session file,
/// another version, truncated, damaged. The image is not looked into.
Result<ReadSession> read_session_file(std::string_view bytes);

}  // namespace krait::server
