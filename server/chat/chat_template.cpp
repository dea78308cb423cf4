// Turns the interpreter's exceptions into Results: what a template refuses is the caller's error, and so is a message
// that lacks what the template needs.
#include "server/chat/chat_template.h"

#include <nlohmann/json.hpp>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/from_json.h"
#include "server/chat/jinja/node.h"
#include "server/chat/jinja/parser.h"

namespace krait::server {
namespace {

Error to_error(const jinja::TemplateError& error, jinja::Position position, ErrorCode code) {
  if (error.failure() == jinja::Failure::kRaised) return {.code = code, .message = error.what(), .field = "messages"};
  const jinja::Position at = error.at().line > 0 ? error.at() : position;
  const std::string place =
      at.line > 0 ? ", line " + std::to_string(at.line) + ", column " + std::to_string(at.column) : "";
  return {.code = code, .message = "chat template" + place + ": " + error.what(), .field = {}};
}

class JinjaTemplate : public ChatTemplate {
 public:
  explicit JinjaTemplate(jinja::Body body) : body_(std::move(body)) {}

  [[nodiscard]] Result<std::string> render(const nlohmann::ordered_json& variables,
                                           const RenderOptions& options) const override {
    jinja::Position at;
    try {
      const jinja::Value globals = jinja::from_json(variables);
      if (globals.dict() == nullptr) jinja::render_error("the variables are not an object");
      jinja::RenderContext context(globals, options);
      try {
        jinja::execute_body(body_, context);
      } catch (const jinja::TemplateError&) {
        at = context.position();
        throw;
      }
      return context.take_output();
    } catch (const jinja::TemplateError& error) {
      return to_error(error, at, ErrorCode::kInvalidArgument);
    }
  }

 private:
  jinja::Body body_;
};

}  // namespace

Result<std::string> ChatTemplate::render(const nlohmann::ordered_json& context) const { return render(context, {}); }

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::parse(std::string_view source) {
  if (!is_valid_utf8(source)) {
    return Error{.code = ErrorCode::kInvalidArgument, .message = "the chat template is not valid UTF-8", .field = {}};
  }
  try {
    return std::unique_ptr<ChatTemplate>(std::make_unique<JinjaTemplate>(jinja::parse_template(source)));
  } catch (const jinja::TemplateError& error) {
    const bool unsupported = error.failure() == jinja::Failure::kUnsupported;
    return to_error(error, {}, unsupported ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument);
  }
}

}  // namespace krait::server
