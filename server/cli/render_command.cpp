#include <filesystem>
#include <iostream>

#include "server/chat/chat_formatter.h"
#include "server/cli/commands.h"
#include "server/cli/hub.h"
#include "server/cli/json_lines.h"
#include "server/cli/loading.h"
#include "server/openai/field_reader.h"

namespace krait::server {
namespace {

using Json = nlohmann::ordered_json;

/// A file is a template; a folder needs nothing but the files that templates are in; everything else is a Hub name.
ChatFormatter load_formatter(const RenderFlags& flags) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::is_regular_file(flags.path, ignored))
    return value_or_throw(ChatFormatter::load("", flags.chat_template.empty() ? flags.path : flags.chat_template));
  const auto lookup = [](const char* name) -> const char* { return std::getenv(name); };
  const std::string folder =
      fs::is_directory(flags.path, ignored) ? flags.path : value_or_throw(resolve_model(flags.path, lookup));
  return value_or_throw(ChatFormatter::load(folder, flags.chat_template));
}

RenderOptions make_options(const RenderFlags& flags) {
  RenderOptions options;
  if (flags.now.empty()) return options;
  options.now = parse_wall_clock(flags.now);
  if (!options.now) throw StartupError("--now must be a time such as 2025-03-09T14:05:07, found " + flags.now);
  return options;
}

/// true, false, or the name of the field that is gone on with.
void read_continue(const Json& line, ChatInput& input, FieldReader& reader) {
  const Json* value = reader.find("continue_final_message");
  if (value == nullptr) return;
  if (value->is_string()) {
    input.continue_final_message = true;
    input.continue_field = value->get<std::string>();
  } else {
    input.continue_final_message = reader.flag("continue_final_message", false);
  }
  if (input.continue_final_message && !line.contains("add_generation_prompt")) input.add_generation_prompt = false;
}

Result<ChatInput> parse_line(const Json& line) {
  FieldReader reader(line);
  ChatInput input;
  const auto read = [&reader](const char* name, Json& to) {
    if (const Json* value = reader.find(name)) to = *value;
  };
  if (reader.find("messages") == nullptr) reader.fail("messages", "a list of messages", nullptr);
  read("messages", input.messages);
  read("tools", input.tools);
  read("documents", input.documents);
  input.add_generation_prompt = reader.flag("add_generation_prompt", true);
  read_continue(line, input, reader);
  if (const Json* kwargs = reader.object("kwargs")) input.kwargs = *kwargs;
  input.template_name = reader.text("template").value_or("");
  if (const auto unknown = reader.unknown(); !unknown.empty()) {
    reader.fail(Error{.code = ErrorCode::kInvalidArgument,
                      .message = "unknown field '" + unknown.front() + "'",
                      .field = unknown.front()});
  }
  if (Status status = reader.status(); !status.ok()) return status.error();
  return input;
}

}  // namespace

int run_render(const RenderFlags& flags) {
  const ChatFormatter formatter = load_formatter(flags);
  const RenderOptions options = make_options(flags);
  const auto answer = [&](const Json& line) -> Result<Json> {
    Result<ChatInput> input = parse_line(line);
    if (!input.ok()) return std::move(input).error();
    if (flags.bos_token) input->kwargs.emplace("bos_token", *flags.bos_token);
    if (flags.eos_token) input->kwargs.emplace("eos_token", *flags.eos_token);
    const Result<std::string> text = formatter.format(flags.adapt ? formatter.adapt(*input) : *input, options);
    if (!text.ok()) return text.error();
    return Json{{"text", *text}};
  };
  return answer_json_lines(std::cin, std::cout, answer) ? 0 : 1;
}

}  // namespace krait::server
