#include "tests/server/chat/output/parsing.h"

using namespace krait::test;

TEST_CASE("Kimi: the id comes from the text") {
  const auto message =
      parse({"kimi_k2"},
            "On it. <|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
            "<|tool_call_argument_begin|>{\"city\": \"Rome\"}<|tool_call_end|><|tool_call_begin|>"
            "functions.add:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>");
  CHECK(message.content == "On it.");
  CHECK(message.calls == std::vector<ParsedCall>{{"get_weather", "{\"city\": \"Rome\"}", ""}, {"add", "{}", ""}});
  CHECK(message.calls[0].id == "functions.get_weather:0");
  CHECK(message.calls[1].id == "functions.add:1");
}

TEST_CASE("DeepSeek: fenced arguments of V3, plain ones of V3.1") {
  const auto fenced =
      parse({"deepseek_v3"},
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": "
            "\"```\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n"
            "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>");
  CHECK(fenced.content.empty());
  CHECK(fenced.calls == std::vector<ParsedCall>{{"f", "{\"a\": \"```\"}", ""}, {"g", "{}", ""}});
  const auto plain = parse({"deepseek_v31"},
                           "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜>"
                           "<｜tool▁calls▁end｜>");
  CHECK(plain.content == "Hm.");
  CHECK(plain.calls == std::vector<ParsedCall>{{"f", "{\"a\": 1}", ""}});
}

TEST_CASE("Harmony: channels are reasoning, content and calls") {
  const ParseSetup setup{"openai", "openai_gptoss"};
  const auto answer = parse(setup,
                            "<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>final"
                            "<|message|>Hello <b>.<|return|>");
  CHECK(answer.reasoning == "Think.");
  CHECK(answer.content == "Hello <b>.");
  const auto call = parse(setup,
                          "<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>commentary "
                          "to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>");
  CHECK(call.calls == std::vector<ParsedCall>{{"f", "{\"a\": 1}", ""}});
  CHECK(call.content.empty());
  const auto before = parse(setup, " to=functions.f<|channel|>commentary json<|message|>{}");
  CHECK(before.calls == std::vector<ParsedCall>{{"f", "{}", ""}});
  CHECK(parse(setup, "No header at all.").content == "No header at all.");
  CHECK(parse(setup, "to").content == "to");
  // Switched off: the text is content, without the format's own tokens.
  CHECK(parse({"openai", "none"}, "<|channel|>analysis<|message|>Think.").content == "Think.");
}

TEST_CASE("LFM2: Python calls become JSON") {
  const auto message = parse({"lfm2"},
                             "<|tool_call_start|>[f(a=1, b=\"x\\n\\u00e9\", c=[True, None, {'k': (1.5, -2)}]), "
                             "g()]<|tool_call_end|>Checking.");
  CHECK(message.content == "Checking.");
  REQUIRE(message.calls.size() == 2);
  CHECK(message.calls[0].arguments == R"({"a": 1, "b": "x\n\u00e9", "c": [true, null, {"k": [1.5, -2]}]})");
  CHECK(message.calls[1].arguments == "{}");
  // The family's template writes quotes inside of strings as they are.
  const auto quotes = parse({"lfm2"}, "<|tool_call_start|>[f(a='it's', b='', c=''' x'y ''')]<|tool_call_end|>");
  CHECK(quotes.calls[0].arguments == R"({"a": "it's", "b": "", "c": " x'y "})");
  CHECK(parse({"lfm2"}, "<|tool_call_start|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]<|tool_call_end|>")
            .calls[0]
            .arguments == "{\"a\": 1}");
}

TEST_CASE("Python calls that are none, or break off") {
  const auto prose = parse({"lfm2"}, "<|tool_call_start|>[not a call]<|tool_call_end|>");
  CHECK(prose.content == "<|tool_call_start|>[not a call]<|tool_call_end|>");
  const auto positional = parse({"lfm2"}, "<|tool_call_start|>[f(1)]<|tool_call_end|> x");
  CHECK(positional.calls == std::vector<ParsedCall>{{"f", "{", ""}});
  CHECK(positional.content == "x");
  CHECK(parse({"lfm2"}, "<|tool_call_start|>[f(a=[1, \"b").calls[0].arguments == R"({"a": [1, "b)");
  CHECK(parse({"pythonic"}, "[f(a=1), g(b=\"x\")]").calls.size() == 2);
  CHECK(parse({"pythonic"}, "[1, 2] is a list").content == "[1, 2] is a list");
  CHECK(parse({"olmo3"}, "<function_calls>f(a=1)\ng(b='x')</function_calls>").calls.size() == 2);
}

TEST_CASE("Gemma 4: its own quotes and bare keys") {
  const auto message =
      parse({"gemma4", "gemma4"},
            "<|channel>thought\nHm.\n<channel|><|tool_call>call:f{a:<|\"|>x \"y\" <b|><|\"|>,b:[1,true],"
            "c:{k:None}}<tool_call|>");
  CHECK(message.reasoning == "Hm.");
  CHECK(message.content.empty());
  CHECK(message.calls ==
        std::vector<ParsedCall>{{"f", R"({"a": "x \"y\" <b|>", "b": [1, true], "c": {"k": null}})", ""}});
}
