#include "server/service/message_assembler.h"

#include <iterator>
#include <utility>

namespace krait::server {
namespace {

/// The text that a parser gets must be whole: stop strings wait for what comes out of it.
AssemblerOptions text_options(const MessageOptions& options, const Tokenizer* tokenizer) {
  AssemblerOptions text = options.text;
  if (!options.output.has_value()) return text;
  text.stop.clear();
  if (tokenizer == nullptr) return text;
  for (const std::string& marker : options.output->formats.special_markers()) {
    const auto id = tokenizer->token_to_id(marker);
    if (id.has_value() && tokenizer->is_special(*id)) text.shown_special_tokens.insert(*id);
  }
  return text;
}

}  // namespace

MessageAssembler::MessageAssembler(std::shared_ptr<const Tokenizer> tokenizer, MessageOptions options)
    : text_(tokenizer, text_options(options, tokenizer.get())),
      stop_(options.output ? options.text.stop : std::vector<std::string>()),
      include_stop_string_(options.text.include_stop_str_in_output),
      include_reasoning_(options.include_reasoning),
      min_tokens_(options.text.min_tokens) {
  if (options.output.has_value()) parser_.emplace(*options.output);
}

bool MessageAssembler::push(const SampledToken& token, bool is_stop_token, Delta& delta) {
  if (!parser_.has_value()) return text_.push(token, is_stop_token, delta);
  Delta raw;
  text_.push(token, is_stop_token, raw);
  std::move(raw.tokens.begin(), raw.tokens.end(), std::back_inserter(delta.tokens));
  show(parser_->push(raw.text), delta);
  return stop_.matched();
}

void MessageAssembler::finish(Delta& delta) {
  if (!parser_.has_value()) return text_.finish(delta);
  if (stop_.matched()) return;
  Delta raw;
  text_.finish(raw);
  std::move(raw.tokens.begin(), raw.tokens.end(), std::back_inserter(delta.tokens));
  show(parser_->push(raw.text), delta);
  if (stop_.matched()) return;
  show(parser_->finish(), delta);
  if (!stop_.matched()) delta.text += stop_.flush();
}

void MessageAssembler::show(MessageDelta message, Delta& delta) {
  reasoned_ = reasoned_ || !message.reasoning.empty();
  answer_begun_ = answer_begun_ || !message.content.empty() || !message.tool_calls.empty();
  if (!answer_begun_) tokens_before_answer_ = text_.tokens();
  if (include_reasoning_) delta.reasoning += message.reasoning;
  if (text_.tokens() <= min_tokens_) {
    delta.text += message.content;
  } else {
    delta.text += stop_.push(message.content);
    if (stop_.matched() && include_stop_string_) delta.text += stop_.match();
  }
  std::move(message.tool_calls.begin(), message.tool_calls.end(), std::back_inserter(delta.tool_calls));
}

}  // namespace krait::server
