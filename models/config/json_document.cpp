#include "models/config/json_document.h"

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <vector>

#include "kernels/result.h"

namespace krait {
namespace {

using nlohmann::json;

/// Deeper than any config or header; keeps a file of brackets from becoming a tree.
constexpr int kMaximumDepth = 32;

[[noreturn]] void fail(const std::string& subject, const std::string& message) {
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = subject + " " + message, .field = {}});
}

/// The bare non-finite literal that starts at `position`; empty when there is none.
std::string_view non_finite_at(std::string_view text, std::size_t position) {
  static constexpr std::array<std::string_view, 3> kLiterals = {"-Infinity", "Infinity", "NaN"};
  for (const std::string_view literal : kLiterals) {
    if (text.substr(position).starts_with(literal)) return literal;
  }
  return {};
}

/// Writes bare non-finite literals outside of strings as `{"__float__": "…"}`. What is no JSON stays none.
std::string wrap_non_finite(std::string_view text) {
  std::string wrapped;
  wrapped.reserve(text.size());
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view literal = in_string ? std::string_view{} : non_finite_at(text, i);
    if (!literal.empty()) {
      wrapped.append("{\"__float__\": \"").append(literal).append("\"}");
      i += literal.size() - 1;
      continue;
    }
    wrapped.push_back(text[i]);
    if (text[i] == '"') in_string = !in_string;
    if (in_string && text[i] == '\\' && i + 1 < text.size()) wrapped.push_back(text[++i]);
  }
  return wrapped;
}

/// Watches the parser's events for what the grammar allows and we do not.
class StructureGuard {
 public:
  StructureGuard(const std::string& subject, bool unique_names) : subject_(subject), unique_names_(unique_names) {}

  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    using Event = json::parse_event_t;
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth >= kMaximumDepth) {
      fail(subject_, "is nested more than " + std::to_string(kMaximumDepth) + " levels deep");
    }
    if (!unique_names_) return true;
    if (event == Event::object_start) names_.emplace_back();
    if (event == Event::object_end) names_.pop_back();
    if (event == Event::key) check_new(parsed.get_ref<const std::string&>());
    return true;
  }

 private:
  /// `names_` has one set an object that is open.
  void check_new(const std::string& name) {
    if (!names_.back().insert(name).second) fail(subject_, "has the name `" + shorten(name) + "` twice");
  }

  const std::string& subject_;
  bool unique_names_;
  std::vector<std::set<std::string>> names_;
};

/// nlohmann's message without the library's own prefix "[json.exception.parse_error.101] ".
std::string plain_message(const json::exception& error) {
  const std::string_view message = error.what();
  const std::size_t end = message.find("] ");
  return shorten(end == std::string_view::npos ? message : message.substr(end + 2), 240);
}

}  // namespace

json parse_json(std::string_view text, const std::string& subject, const JsonOptions& options) {
  std::string wrapped;
  if (options.non_finite_numbers) {
    wrapped = wrap_non_finite(text);
    text = wrapped;
  }
  StructureGuard guard(subject, options.unique_names);
  const json::parser_callback_t callback = [&guard](int depth, json::parse_event_t event, json& parsed) {
    return guard(depth, event, parsed);
  };
  // nlohmann's parser and its destructor keep their own stacks: nesting costs memory, never the call stack.
  try {
    return json::parse(text.begin(), text.end(), callback);
  } catch (const json::exception& error) {
    fail(subject, "is not valid JSON: " + plain_message(error));
  }
}

std::string describe_json(const json& value) {
  if (value.is_null()) return "nothing";
  return shorten(value.dump(-1, ' ', false, json::error_handler_t::replace), 80);
}

std::string shorten(std::string_view text, std::size_t maximum_bytes) {
  if (text.size() <= maximum_bytes) return std::string(text);
  std::size_t end = maximum_bytes;
  const auto is_continuation = [&text](std::size_t i) {
    return (static_cast<unsigned char>(text[i]) & 0xc0U) == 0x80U;
  };
  while (end > 0 && is_continuation(end)) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string read_text_file(const std::string& path, std::size_t maximum_bytes) {
  // The type first: opening a folder succeeds and reading it fails without a reason.
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) fail(path + ":", "no such file");
  if (!std::filesystem::is_regular_file(status)) fail(path + ":", "is not a regular file that can be read");
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) fail(path + ":", "cannot be read: " + error.message());
  if (size > maximum_bytes) {
    fail(path + ":", "has " + std::to_string(size) + " bytes; at most " + std::to_string(maximum_bytes) + " are valid");
  }
  std::ifstream stream(path, std::ios::binary);
  std::string text(static_cast<std::size_t>(size), '\0');
  stream.read(text.data(), static_cast<std::streamsize>(size));
  if (!stream) fail(path + ":", "cannot be read: " + std::system_category().message(errno));
  return text;
}

}  // namespace krait
