#include "server/service/answer_assembler.h"

#include <utility>

#include "server/service/utf8.h"

namespace krait::server {

AnswerAssembler::AnswerAssembler(std::shared_ptr<const Tokenizer> tokenizer, AssemblerOptions options)
    : tokenizer_(std::move(tokenizer)),
      options_(std::move(options)),
      matcher_(options_.stop),
      decoded_characters_(options_.text_offset) {
  // With exceptions, special tokens are skipped here and not by the detokenizer.
  const bool skip = options_.skip_special_tokens && options_.shown_special_tokens.empty();
  if (tokenizer_ != nullptr) detokenizer_.emplace(tokenizer_, skip);
}

std::string AnswerAssembler::bytes_of(std::int32_t id) const {
  // vLLM's spelling of a token that has no text.
  return tokenizer_ == nullptr ? "token_id:" + std::to_string(id) : tokenizer_->token_bytes(id, false);
}

bool AnswerAssembler::is_hidden(std::int32_t id, bool is_stop_token) const {
  if (is_stop_token && !options_.include_stop_str_in_output) return true;
  if (options_.shown_special_tokens.empty() || !options_.skip_special_tokens) return false;
  return tokenizer_->is_special(id) && !options_.shown_special_tokens.contains(id);
}

/// Bytes cost a look-up a candidate, so they are filled in only where log-probabilities were asked for.
OutputToken AnswerAssembler::describe(const SampledToken& token) const {
  OutputToken out;
  out.chosen.id = token.token;
  out.text_offset = decoded_characters_;
  if (!options_.logprobs) return out;
  out.chosen.logprob = token.logprob;
  out.chosen.bytes = bytes_of(token.token);
  for (const TokenLogprob& candidate : token.top) {
    out.top.push_back({.id = candidate.token, .bytes = bytes_of(candidate.token), .logprob = candidate.logprob});
  }
  return out;
}

bool AnswerAssembler::push(const SampledToken& token, bool is_stop_token, Delta& delta) {
  ++tokens_;
  PendingToken pending{.token = describe(token), .begin = decoded_bytes_, .end = decoded_bytes_};
  std::string text;
  if (detokenizer_.has_value() && !is_hidden(token.token, is_stop_token)) text = detokenizer_->push(token.token);
  decoded_bytes_ += text.size();
  decoded_characters_ += static_cast<std::int64_t>(count_characters(text));
  pending.end = decoded_bytes_;
  pending_.push_back(std::move(pending));
  return show(text, delta);
}

/// Runs new text through the stop matcher and lets go of the tokens whose text is shown wholly.
bool AnswerAssembler::show(const std::string& text, Delta& delta) {
  if (tokens_ <= options_.min_tokens) {
    delta.text += text;
    shown_bytes_ += text.size();
    release(shown_bytes_, false, delta);
    return false;
  }
  std::string safe = matcher_.push(text);
  if (matcher_.matched() && options_.include_stop_str_in_output) safe += matcher_.match();
  shown_bytes_ += safe.size();
  delta.text += safe;
  release(shown_bytes_, matcher_.matched(), delta);
  return matcher_.matched();
}

void AnswerAssembler::finish(Delta& delta) {
  if (matcher_.matched()) return;
  std::string tail = detokenizer_.has_value() ? detokenizer_->flush() : std::string();
  decoded_bytes_ += tail.size();
  if (!pending_.empty()) pending_.back().end = decoded_bytes_;
  // The last text is as good a place for a stop string as any other, but the answer has ended already: only the cut
  // matters.
  std::string text = tokens_ <= options_.min_tokens ? tail : matcher_.push(tail) + matcher_.flush();
  shown_bytes_ += text.size();
  delta.text += text;
  for (PendingToken& pending : pending_) delta.tokens.push_back(std::move(pending.token));
  pending_.clear();
}

void AnswerAssembler::release(std::size_t shown_bytes, bool last, Delta& delta) {
  // After a stop string, tokens that lie wholly inside it are dropped: their bytes would leak it.
  while (!pending_.empty()) {
    const PendingToken& front = pending_.front();
    const bool shown = last ? front.begin < shown_bytes : front.end <= shown_bytes;
    if (!shown) break;
    delta.tokens.push_back(std::move(pending_.front().token));
    pending_.pop_front();
  }
  if (last) pending_.clear();
}

}  // namespace krait::server
