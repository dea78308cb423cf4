#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/result.h"
#include "server/service/json_text.h"

namespace krait::server {

/// The whole context of a finished request, to go on from. Never changes; names share it (a fork is a second name).
struct Session {
  std::string model;       ///< the served model's name
  std::string cache_salt;  ///< as the request had it
  /// Not empty: the caches keep what they compute for this session to itself. Of an uploaded one, whose image is its
  /// sender's word: nobody else may be served from it.
  std::string isolation;
  std::vector<std::int32_t> tokens;  ///< prompt and answer
  Json messages = nullptr;           ///< of a chat: the conversation with its answer; else null
  std::string image{};               ///< a ContextImage, serialised

  /// What its requests' prefixes are kept under.
  [[nodiscard]] std::string salt() const { return isolation.empty() ? cache_salt : cache_salt + "\n" + isolation; }
  [[nodiscard]] std::size_t bytes() const;
};

/// What a client may know of a session.
struct SessionInfo {
  std::string name{};
  std::string model{};
  std::int64_t created = 0;  ///< seconds since 1970
  std::int64_t num_tokens = 0;
  std::size_t bytes = 0;
};

/// Names are 1 to 64 of [A-Za-z0-9._-] and do not begin with a dot: they are file names too. `field` is the one to
/// blame.
Status check_session_name(std::string_view name, const std::string& field);

}  // namespace krait::server
