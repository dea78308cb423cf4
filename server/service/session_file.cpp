#include "server/service/session_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <limits>
#include <utility>

namespace krait::server {
namespace {

constexpr std::string_view kMagic = "KRAITSES";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kVersionAt = kMagic.size();
constexpr std::size_t kLengthAt = kVersionAt + sizeof(std::uint32_t);
constexpr std::size_t kHeadLengthAt = kLengthAt + sizeof(std::uint64_t);
constexpr std::size_t kHeadAt = kHeadLengthAt + sizeof(std::uint64_t);
constexpr std::size_t kHashBytes = sizeof(std::uint64_t);

template <typename T>
std::string to_bytes(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// The caller has checked that they are there.
template <typename T>
T number_at(std::string_view bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

Error bad(const std::string& what) {
  return Error{.code = ErrorCode::kInvalidArgument, .message = "the session file " + what, .field = {}};
}

/// Where head and image lie.
struct Parts {
  std::string_view head;
  std::string_view image;
};

Result<Parts> check_frame(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return bad("is none: it does not begin with " + std::string(kMagic));
  if (bytes.size() < kHeadAt + kHashBytes)
    return bad("is truncated: it has " + std::to_string(bytes.size()) + " bytes");
  if (const auto version = number_at<std::uint32_t>(bytes, kVersionAt); version != kVersion) {
    return bad("has the format version " + std::to_string(version) + "; this server reads version " +
               std::to_string(kVersion));
  }
  if (const auto length = number_at<std::uint64_t>(bytes, kLengthAt); length != bytes.size()) {
    return bad((length > bytes.size() ? "is truncated: it has " : "is damaged: it has ") +
               std::to_string(bytes.size()) + " bytes of " + std::to_string(length));
  }
  const std::size_t end = bytes.size() - kHashBytes;
  if (XXH3_64bits(bytes.data(), end) != number_at<std::uint64_t>(bytes, end)) {
    return bad("is damaged: its checksum does not match");
  }
  const auto head_bytes = number_at<std::uint64_t>(bytes, kHeadLengthAt);
  if (head_bytes > end - kHeadAt) return bad("is damaged: its head is longer than the file");
  const std::string_view head = bytes.substr(kHeadAt, static_cast<std::size_t>(head_bytes));
  return Parts{.head = head, .image = bytes.substr(kHeadAt + head.size(), end - kHeadAt - head.size())};
}

/// Who writes a file can compute a checksum: every field is looked at all the same.
bool read_text(const Json& head, const char* name, std::string& to) {
  const auto found = head.find(name);
  if (found == head.end() || !found->is_string()) return false;
  to = found->get<std::string>();
  return true;
}

bool read_tokens(const Json& head, std::vector<std::int32_t>& to) {
  const auto found = head.find("tokens");
  if (found == head.end() || !found->is_array() || found->empty()) return false;
  for (const Json& id : *found) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<std::int32_t>::max()) return false;
    to.push_back(id.get<std::int32_t>());
  }
  return true;
}

/// Templates take a list of objects.
bool read_messages(const Json& head, Json& to) {
  const auto found = head.find("messages");
  if (found == head.end()) return false;
  if (found->is_null()) return true;
  if (!found->is_array() || found->empty()) return false;
  for (const Json& message : *found) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string()) return false;
  }
  to = *found;
  return true;
}

}  // namespace

SessionFile make_session_file(std::shared_ptr<const Session> session, std::int64_t created) {
  const std::string head = dump_json({{"model", session->model},
                                      {"cache_salt", session->cache_salt},
                                      {"isolation", session->isolation},
                                      {"created", created},
                                      {"tokens", session->tokens},
                                      {"messages", session->messages}});
  SessionFile file{.session = session, .before = std::string(kMagic), .after = std::string(kHashBytes, '\0')};
  const std::size_t length = kHeadAt + head.size() + session->image.size() + kHashBytes;
  file.before += to_bytes(kVersion) + to_bytes<std::uint64_t>(length) + to_bytes<std::uint64_t>(head.size()) + head;
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, file.before.data(), file.before.size());
  XXH3_64bits_update(&state, session->image.data(), session->image.size());
  file.after = to_bytes<std::uint64_t>(XXH3_64bits_digest(&state));
  return file;
}

Result<ReadSession> read_session_file(std::string_view bytes) {
  const Result<Parts> parts = check_frame(bytes);
  if (!parts.ok()) return parts.error();
  const Result<Json> head = parse_json(parts->head, "its head");
  if (!head.ok()) return bad("is damaged: " + head.error().message);
  ReadSession read;
  Session& session = read.session;
  const auto created = head->is_object() ? head->find("created") : head->end();
  if (created == head->end() || !created->is_number_integer()) return bad("is damaged: its head has no time");
  read.created = created->get<std::int64_t>();
  if (!read_text(*head, "model", session.model) || !read_text(*head, "cache_salt", session.cache_salt) ||
      !read_text(*head, "isolation", session.isolation)) {
    return bad("is damaged: its head has no model or no salt");
  }
  if (!read_tokens(*head, session.tokens)) return bad("is damaged: its tokens are not a list of token ids");
  if (!read_messages(*head, session.messages)) return bad("is damaged: its messages are not a list of messages");
  session.image = parts->image;
  return read;
}

}  // namespace krait::server
