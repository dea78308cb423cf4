#include "server/openai/logprobs_json.h"

#include <algorithm>
#include <cstdio>

#include "server/service/utf8.h"

namespace krait::server {
namespace {

/// JSON has no infinity; −9999 is what OpenAI and vLLM print for a token that cannot be drawn.
double finite(float logprob) { return std::max(static_cast<double>(logprob), -9999.0); }

Json chat_candidate(const CandidateToken& token) {
  Json bytes = Json::array();
  for (char byte : token.bytes) bytes.push_back(static_cast<unsigned char>(byte));
  return {{"token", token_text(token.bytes)}, {"logprob", finite(token.logprob)}, {"bytes", std::move(bytes)}};
}

}  // namespace

std::string token_text(const std::string& bytes) {
  if (!find_invalid_utf8(bytes).has_value()) return bytes;
  std::string text = "bytes:";
  for (char byte : bytes) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
    text += hex;
  }
  return text;
}

Json chat_logprobs(const std::vector<OutputToken>& tokens) {
  Json content = Json::array();
  for (const OutputToken& token : tokens) {
    Json entry = chat_candidate(token.chosen);
    entry["top_logprobs"] = Json::array();
    for (const CandidateToken& candidate : token.top) entry["top_logprobs"].push_back(chat_candidate(candidate));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}};
}

Json completion_logprobs(const std::vector<OutputToken>& tokens, bool first_unscored) {
  Json texts = Json::array();
  Json values = Json::array();
  Json tops = Json::array();
  Json offsets = Json::array();
  for (const OutputToken& token : tokens) {
    texts.push_back(token_text(token.chosen.bytes));
    offsets.push_back(token.text_offset);
    if (first_unscored && values.empty()) {
      values.push_back(nullptr);
      tops.push_back(nullptr);
      continue;
    }
    values.push_back(finite(token.chosen.logprob));
    Json top = Json::object();
    for (const CandidateToken& candidate : token.top) top[token_text(candidate.bytes)] = finite(candidate.logprob);
    if (!token.top.empty()) top[token_text(token.chosen.bytes)] = finite(token.chosen.logprob);
    tops.push_back(std::move(top));
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

}  // namespace krait::server
