#include "server/cli/logits_line.h"

#include <cmath>
#include <cstdio>
#include <vector>

#include "server/openai/field_reader.h"
#include "server/service/json_text.h"
#include "server/service/validation.h"

namespace krait::server {
namespace {

/// A line that was read and checked.
struct LogitsRequest {
  std::vector<std::int32_t> ids;
  int generate = 0;
  bool all_positions = true;
  bool generated_logits = false;
};

/// Rows in the order of positions; those of generated tokens only when asked for.
struct LogitsAnswer {
  std::vector<std::vector<float>> prompt_logits;
  std::vector<std::vector<float>> generated_logits;
  std::vector<std::int32_t> tokens;
  std::vector<float> logprobs;
};

/// Ids are checked here: there is no service in between, and the engine trusts its caller.
Result<LogitsRequest> parse_line(const std::string& line, const EngineConfig& config) {
  Result<Json> body = parse_json_object(line);
  if (!body.ok()) return std::move(body).error();
  FieldReader reader(*body);
  LogitsRequest request;
  for (const std::int64_t id : reader.integers("ids")) {
    // Ids past 32 bits stay outside the vocabulary.
    request.ids.push_back(id < 0 || id > INT32_MAX ? -1 : static_cast<std::int32_t>(id));
  }
  const std::int64_t generate = reader.integer("generate").value_or(0);
  if (generate < 0 || generate > config.max_model_len) {
    reader.fail("generate", "an integer between 0 and " + std::to_string(config.max_model_len), generate);
  }
  request.generate = static_cast<int>(generate);
  const std::string positions = reader.text("positions").value_or("all");
  if (positions != "all" && positions != "last") reader.fail("positions", "\"all\" or \"last\"", positions);
  request.all_positions = positions == "all";
  request.generated_logits = reader.flag("generated_logits", false);
  if (Status status = reader.status(); !status.ok()) return status.error();
  const ModelLimits limits{.max_model_len = config.max_model_len, .vocab_size = config.vocab_size};
  if (Status status = check_prompt_ids(request.ids, limits, "ids"); !status.ok()) return status.error();
  return request;
}

/// Greedy, and past the end of the text: the caller compares numbers, not prose.
EngineRequest to_engine_request(const LogitsRequest& request, const std::string& id) {
  EngineRequest out;
  out.id = id;
  out.prompt = request.ids;
  out.sampling.temperature = 0;
  out.sampling.max_tokens = request.generate;
  out.sampling.ignore_eos = true;
  out.sampling.logprobs = 0;
  out.prompt_logits = request.all_positions ? PromptLogits::kAll : PromptLogits::kLast;
  out.generated_logits = request.generated_logits && request.generate > 0;
  return out;
}

/// Waits for the whole answer. The prompt's rows come first, whatever steps they came in.
Result<LogitsAnswer> compute(const LogitsRequest& request, Engine& engine, const std::string& id) {
  auto stream = engine.submit(to_engine_request(request, id));
  if (!stream.ok()) return std::move(stream).error();
  const std::size_t prompt_rows = request.all_positions ? request.ids.size() : 1;
  LogitsAnswer answer;
  for (;;) {
    TokenEvent event = (*stream)->pop();
    for (auto& row : event.logits) {
      auto& rows = answer.prompt_logits.size() < prompt_rows ? answer.prompt_logits : answer.generated_logits;
      rows.push_back(std::move(row));
    }
    for (const SampledToken& token : event.tokens) {
      answer.tokens.push_back(token.token);
      answer.logprobs.push_back(token.logprob);
    }
    if (event.error.has_value()) return *event.error;
    if (event.finish.has_value()) return answer;
  }
}

void append_float(std::string& out, float value) {
  if (!std::isfinite(value)) {
    out += "null";  // JSON has no infinity
    return;
  }
  char buffer[32];
  out.append(buffer,
             static_cast<std::size_t>(std::snprintf(buffer, sizeof buffer, "%.9g", static_cast<double>(value))));
}

template <typename T, typename Append>
void append_list(std::string& out, const std::vector<T>& values, Append append) {
  out += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    append(out, values[i]);
  }
  out += ']';
}

std::string to_line(const LogitsAnswer& answer, bool generated_logits) {
  const auto append_row = [](std::string& out, const std::vector<float>& row) { append_list(out, row, append_float); };
  std::string out = "{\"logits\":";
  append_list(out, answer.prompt_logits, append_row);
  out += ",\"tokens\":";
  append_list(out, answer.tokens, [](std::string& to, std::int32_t token) { to += std::to_string(token); });
  out += ",\"logprobs\":";
  append_list(out, answer.logprobs, append_float);
  if (generated_logits) {
    out += ",\"generated_logits\":";
    append_list(out, answer.generated_logits, append_row);
  }
  return out + "}";
}

std::string error_line(const Error& error) { return dump_json({{"error", error.message}}); }

}  // namespace

std::string answer_logits_line(const std::string& line, Engine& engine, const std::string& request_id) {
  const Result<LogitsRequest> request = parse_line(line, engine.config());
  if (!request.ok()) return error_line(request.error());
  const Result<LogitsAnswer> answer = compute(*request, engine, request_id);
  if (!answer.ok()) return error_line(answer.error());
  return to_line(*answer, request->generated_logits);
}

}  // namespace krait::server
