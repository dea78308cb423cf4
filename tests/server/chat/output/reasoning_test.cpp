#include "tests/server/chat/output/parsing.h"

using namespace krait::test;
using krait::server::PromptThinking;

namespace {

ParsedMessage think(const std::string& text, PromptThinking prompt = PromptThinking::kMayOpen) {
  return parse({"none", "deepseek_r1", prompt}, text);
}

}  // namespace

TEST_CASE("Reasoning at the beginning of an answer") {
  const auto own = think("\n<think>\nHm,\n\nso.\n</think>\n\nYes.\n");
  CHECK(own.reasoning == "Hm,\n\nso.");
  CHECK(own.content == "Yes.\n");
  const auto opened = think("Hm </thin </think>Yes.", PromptThinking::kOpen);
  CHECK(opened.reasoning == "Hm </thin");
  CHECK(opened.content == "Yes.");
  const auto repeated = think("<think>\nHm</think>Yes.", PromptThinking::kOpen);
  CHECK(repeated.reasoning == "Hm");
  const auto empty = think("<think>\n\n</think>\n\nYes.");
  CHECK(empty.reasoning.empty());
  CHECK(empty.content == "Yes.");
}

TEST_CASE("Answers without reasoning, and reasoning without an answer") {
  for (const std::string text : {"Yes.", "Use <think> and </think>.", "  \n x", "<thin", "<thinker>", " ", ""}) {
    INFO(text);
    CHECK(think(text).content == text);
    CHECK(think(text).reasoning.empty());
    CHECK(think(text, PromptThinking::kClosed).content == text);
  }
  CHECK(think("still thinking", PromptThinking::kOpen).reasoning == "still thinking");
  CHECK(think("<think>still</thi").reasoning == "still</thi");
}

TEST_CASE("Reasoning of other families") {
  const auto granite = parse({"none", "granite"}, "<think>Hm.</think><response>Yes.</response>");
  CHECK(granite.reasoning == "Hm.");
  CHECK(granite.content == "Yes.");
  const auto words = parse({"none", "granite"}, "Here is my thought process:\nHm.\nHere is my response:\nYes.");
  CHECK(words.reasoning == "Hm.");
  CHECK(words.content == "Yes.");
  CHECK(parse({"none", "granite"}, "A <response> tag.").content == "A <response> tag.");
  const auto mistral = parse({"none", "mistral"}, "[THINK]Hm.[/THINK]Yes.");
  CHECK(mistral.reasoning == "Hm.");
  CHECK(mistral.content == "Yes.");
}

TEST_CASE("Reasoning, content and calls in one answer") {
  const auto message = parse({"hermes", "qwen3", PromptThinking::kOpen},
                             "I could write <tool_call>.\n</think>\n\nLet me see.\n<tool_call>\n{\"name\": \"f\", "
                             "\"arguments\": {\"q\": \"</think>\"}}\n</tool_call>");
  CHECK(message.reasoning == "I could write <tool_call>.");
  CHECK(message.content == "Let me see.");
  CHECK(message.calls == std::vector<ParsedCall>{{"f", "{\"q\": \"</think>\"}", ""}});
}

TEST_CASE("The end of the prompt says whether the answer begins inside reasoning") {
  const auto found = krait::server::find_reasoning_format("qwen3");
  REQUIRE(found.ok());
  const auto* format = *found;
  CHECK(format->prompt_thinking("<|im_start|>assistant\n<think>\n") == PromptThinking::kOpen);
  CHECK(format->prompt_thinking("<|im_start|>assistant\n<think>\n\n</think>\n\n") == PromptThinking::kClosed);
  CHECK(format->prompt_thinking("what is <think>?<|im_start|>assistant\n") == PromptThinking::kMayOpen);
  CHECK(format->prompt_thinking("") == PromptThinking::kMayOpen);
}

TEST_CASE("Formats by name") {
  const auto unknown = krait::server::select_formats("", "nope", "");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().field == "--tool-call-parser");
  CHECK(unknown.error().message.find("hermes") != std::string::npos);
  const auto reasoning = krait::server::select_formats("", "", "nope");
  REQUIRE_FALSE(reasoning.ok());
  CHECK(reasoning.error().field == "--reasoning-parser");
  const auto off = krait::server::select_formats("<tool_call> </think>", "none", "none");
  REQUIRE(off.ok());
  CHECK(off->tool_calls == nullptr);
  CHECK(off->reasoning == nullptr);
}
