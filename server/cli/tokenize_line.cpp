#include "server/cli/tokenize_line.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "server/openai/field_reader.h"

namespace krait::server {
namespace {

/// What all lines are checked for once their own fields were read.
Status check(FieldReader& reader) {
  if (const auto unknown = reader.unknown(); !unknown.empty()) {
    reader.fail(Error{.code = ErrorCode::kInvalidArgument,
                      .message = "unknown field '" + unknown.front() + "'",
                      .field = unknown.front()});
  }
  return reader.status();
}

void require(FieldReader& reader, const std::string& name) {
  if (reader.find(name) != nullptr) return;
  reader.fail(Error{.code = ErrorCode::kInvalidArgument, .message = name + " is missing", .field = name});
}

struct IdsLine {
  std::vector<std::int32_t> ids;
  bool skip_special_tokens = true;
};

Result<IdsLine> read_ids_line(const nlohmann::ordered_json& line) {
  FieldReader reader(line);
  IdsLine result;
  require(reader, "ids");
  for (const std::int64_t id : reader.integers("ids")) {
    if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) {
      reader.fail("ids", "a list of integers from 0 to 2147483647", id);
      break;
    }
    result.ids.push_back(static_cast<std::int32_t>(id));
  }
  result.skip_special_tokens = reader.flag("skip_special_tokens", true);
  if (Status status = check(reader); !status.ok()) return status.error();
  return result;
}

}  // namespace

Result<nlohmann::ordered_json> answer_tokenize(const nlohmann::ordered_json& line, const Tokenizer& tokenizer) {
  FieldReader reader(line);
  require(reader, "text");
  const std::string text = reader.text("text").value_or("");
  const EncodeOptions options{.add_special_tokens = reader.flag("add_special_tokens", true)};
  if (Status status = check(reader); !status.ok()) return status.error();
  Result<std::vector<std::int32_t>> ids = tokenizer.encode(text, options);
  if (!ids.ok()) return std::move(ids).error();
  std::vector<std::string> tokens;
  tokens.reserve(ids->size());
  for (const std::int32_t id : *ids) tokens.push_back(tokenizer.id_to_token(id).value_or(""));
  return nlohmann::ordered_json{{"ids", *ids}, {"tokens", std::move(tokens)}};
}

Result<nlohmann::ordered_json> answer_detokenize(const nlohmann::ordered_json& line, const Tokenizer& tokenizer) {
  const Result<IdsLine> request = read_ids_line(line);
  if (!request.ok()) return request.error();
  return nlohmann::ordered_json{{"text", tokenizer.decode(request->ids, request->skip_special_tokens)}};
}

Result<nlohmann::ordered_json> answer_stream_detokenize(const nlohmann::ordered_json& line,
                                                        const std::shared_ptr<const Tokenizer>& tokenizer) {
  const Result<IdsLine> request = read_ids_line(line);
  if (!request.ok()) return request.error();
  IncrementalDetokenizer stream(tokenizer, request->skip_special_tokens);
  std::vector<std::string> pieces;
  pieces.reserve(request->ids.size() + 1);
  for (const std::int32_t id : request->ids) pieces.push_back(stream.push(id));
  pieces.push_back(stream.flush());
  return nlohmann::ordered_json{{"pieces", std::move(pieces)}};
}

}  // namespace krait::server
