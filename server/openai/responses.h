#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/result.h"
#include "server/openai/request_parser.h"
#include "server/service/generation_event.h"
#include "server/service/json_text.h"
#include "server/service/served_model.h"

namespace krait::server {

/// {"error": {"message", "type", "param", "code"}}: the body of every error, and of an error chunk after a stream has
/// begun.
std::string error_body(const Error& error);
/// The same for a status that has no ErrorCode of its own.
std::string error_body(const std::string& message, const std::string& type, const std::string& code);

/// What all parts of one answer share.
struct ResponseHead {
  ApiKind kind = ApiKind::kCompletions;
  std::string id;
  std::string model;
  std::int64_t created = 0;  ///< seconds since 1970
  bool logprobs = false;
  bool return_token_ids = false;
  bool include_usage = false;
};

/// Collects the events of one request into the body of an answer that is not streamed.
class ResponseBuilder {
 public:
  explicit ResponseBuilder(ResponseHead head) : head_(std::move(head)) {}
  void add(const PromptEcho& prompt);
  void add(const Delta& delta);
  void add(const ChoiceFinished& finished);
  [[nodiscard]] std::string body(const Usage& usage) const;

 private:
  struct Choice {
    PromptEcho prompt;
    std::string text;
    std::string reasoning;
    std::vector<ToolCallDelta> calls;  ///< whole ones
    std::vector<OutputToken> tokens;
    std::optional<ChoiceFinished> finished;
  };
  Choice& choice(int index);
  [[nodiscard]] static Json message_json(const Choice& choice);
  [[nodiscard]] Json choice_json(const Choice& choice, std::size_t index) const;

  ResponseHead head_;
  std::vector<Choice> choices_;
};

/// Writes the `data:` frames of a streamed answer. A chat choice begins with a chunk that has the role.
class StreamFormatter {
 public:
  explicit StreamFormatter(ResponseHead head) : head_(std::move(head)) {}
  /// Zero or more whole frames.
  std::string frames(const GenerationEvent& event);

 private:
  std::string frame(Json choice);
  std::string first_chunk(int index, bool with_calls = false);
  std::string format(const PromptEcho& prompt);
  std::string format(const Delta& delta);
  std::string format(const ChoiceFinished& finished);
  std::string format(const Completed& completed);

  ResponseHead head_;
  std::vector<bool> begun_;  ///< choices whose role has been sent
};

/// One server-sent event. JSON text holds no raw newline, so one line is enough.
std::string sse_frame(const std::string& data);
Json usage_json(const Usage& usage);
Json model_json(const ServedModel& model);
Json model_list_json(const std::vector<ServedModel>& models);

}  // namespace krait::server
