#include "server/chat/chat_formatter.h"

#include <unistd.h>
#include <filesystem>
#include <fstream>

#include "tests/server/chat/rendering.h"

namespace krait::test {
namespace {

using Json = nlohmann::ordered_json;
using server::ChatFormatter;
using server::ChatInput;

using Files = std::vector<std::pair<std::string, std::string>>;  ///< name and content

/// A model folder with the files given, that goes with the test.
class ModelFolder {
 public:
  explicit ModelFolder(const Files& files) {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("krait_chat_" + std::to_string(getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
    for (const auto& [name, content] : files) {
      std::filesystem::create_directories((path_ / name).parent_path());
      std::ofstream(path_ / name) << content;
    }
  }
  ModelFolder(const ModelFolder&) = delete;
  ModelFolder& operator=(const ModelFolder&) = delete;
  ~ModelFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

ChatFormatter load(const std::string& folder, const std::string& override_file = "") {
  auto formatter = ChatFormatter::load(folder, override_file);
  INFO((formatter.ok() ? "" : formatter.error().message));
  REQUIRE(formatter.ok());
  return std::move(formatter).value();
}

std::string format(const ChatFormatter& formatter, const Json& messages, bool prompt = false,
                   const Json& kwargs = Json::object()) {
  auto text = formatter.format({.messages = messages, .add_generation_prompt = prompt, .kwargs = kwargs});
  INFO((text.ok() ? "" : text.error().message));
  REQUIRE(text.ok());
  return *text;
}

Json message(const std::string& role, const Json& content) { return {{"role", role}, {"content", content}}; }

TEST_CASE("the demo model's template writes its roles and the generation prompt") {
  const ChatFormatter formatter = load(std::string(KRAIT_SOURCE_DIR) + "/demo/aesop");
  REQUIRE(formatter.has_template());
  const Json messages = {message("system", "Be brief."), message("user", "Hi"), message("assistant", "Hello.")};
  const std::string text =
      "<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n"
      "<|start_of_role|>user<|end_of_role|>Hi<|end_of_text|>\n"
      "<|start_of_role|>assistant<|end_of_role|>Hello.<|end_of_text|>\n";
  CHECK(format(formatter, messages) == text);
  CHECK(format(formatter, messages, true) == text + "<|start_of_role|>assistant<|end_of_role|>");
  const Json parts = Json::array(
      {message("user", {{{"type", "text"}, {"text", "a "}}, {{"type", "image"}}, {{"type", "text"}, {"text", "b"}}})});
  CHECK(format(formatter, parts) == "<|start_of_role|>user<|end_of_role|>a b<|end_of_text|>\n");
}

TEST_CASE("what the demo model's template refuses is the caller's error, in the template's words") {
  const ChatFormatter formatter = load(std::string(KRAIT_SOURCE_DIR) + "/demo/aesop");
  const auto role = formatter.format({.messages = Json::array({message("tool", "x")})});
  REQUIRE_FALSE(role.ok());
  CHECK(role.error().code == ErrorCode::kInvalidArgument);
  CHECK(role.error().message == "Only the roles system, user and assistant are supported.");
  const auto order = formatter.format({.messages = Json::array({message("user", "x"), message("system", "y")})});
  REQUIRE_FALSE(order.ok());
  CHECK(order.error().message == "The system message must come first.");
}

TEST_CASE("a model without a template says so when a chat is asked for") {
  const ModelFolder folder(Files{{"tokenizer_config.json", R"({"bos_token": "<s>"})"}});
  const ChatFormatter formatter = load(folder.path());
  CHECK_FALSE(formatter.has_template());
  const auto text = formatter.format({});
  REQUIRE_FALSE(text.ok());
  CHECK(text.error().code == ErrorCode::kInvalidArgument);
  CHECK_THAT(text.error().message, Catch::Contains("no chat template") && Catch::Contains("--chat-template"));
  CHECK_FALSE(load(ModelFolder(Files{}).path()).has_template());
}

TEST_CASE("the override comes before the folder's file, and that before its configuration") {
  const ModelFolder folder(
      Files{{"tokenizer_config.json", R"({"chat_template": "config", "eos_token": {"content": "</s>"}})"},
            {"chat_template.jinja", "file {{ eos_token }}"},
            {"other.jinja", "override"}});
  CHECK(format(load(folder.path()), Json::array()) == "file </s>");
  CHECK(format(load(folder.path(), folder.file("other.jinja")), Json::array()) == "override");
  const auto missing = ChatFormatter::load(folder.path(), folder.file("missing"));
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().code == ErrorCode::kNotFound);
}

TEST_CASE("of named templates, tools choose the one for them") {
  const ModelFolder folder(Files{
      {"tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "plain {{ tools is none }}"},
      {"name": "tool_use", "template": "tools {{ tools|length }}"}]})"}});
  const ChatFormatter formatter = load(folder.path());
  CHECK(format(formatter, Json::array()) == "plain True");
  const Json tool = Json::object();
  CHECK(formatter.format({.tools = Json::array({tool, tool})}).value() == "tools 2");
  CHECK(formatter.format({.tools = Json::array({tool}), .template_name = "default"}).value() == "plain False");
  CHECK(load(folder.path(), "tool_use").format({.tools = Json::array()}).value() == "tools 0");
  CHECK(formatter.template_source(true) == "tools {{ tools|length }}");
  CHECK(formatter.template_source(false) == "plain {{ tools is none }}");
  const auto missing = formatter.format({.template_name = "rag"});
  REQUIRE_FALSE(missing.ok());
  CHECK_THAT(missing.error().message, Catch::Contains("'rag'") && Catch::Contains("default, tool_use"));
  const auto no_file = ChatFormatter::load(folder.path(), "rag");
  REQUIRE_FALSE(no_file.ok());
  CHECK_THAT(no_file.error().message, Catch::Contains("--chat-template") && Catch::Contains("default, tool_use"));
}

TEST_CASE("reasoning is offered under the names that templates look for") {
  const ModelFolder folder(
      Files{{"chat_template.jinja", "{{ messages[0].reasoning_content }}{{ messages[0].thinking }}"}});
  CHECK(format(load(folder.path()), Json::array({{{"role", "assistant"}, {"reasoning", "r"}}})) == "rr");
}

TEST_CASE("the reasoning's keys stand where transformers puts them") {
  const ModelFolder folder(Files{{"chat_template.jinja", "{{ messages[0]|tojson }}"}});
  const ChatFormatter formatter = load(folder.path());
  CHECK(format(formatter, Json::parse(R"([{"role": "assistant", "reasoning": "r"}])")) ==
        R"({"thinking": "r", "role": "assistant", "reasoning": "r", "reasoning_content": "r"})");
  CHECK(format(formatter, Json::parse(R"([{"reasoning_content": null, "thinking": "t", "a": 1}])")) ==
        R"({"reasoning_content": "t", "thinking": "t", "a": 1})");
}

TEST_CASE("keys keep the client's order") {
  const ModelFolder folder(Files{{"chat_template.jinja", "{{ tools|tojson }}"}});
  const auto text = load(folder.path()).format({.tools = Json::parse(R"([{"type": "function", "a": 1}])")});
  REQUIRE(text.ok());
  CHECK(*text == R"([{"type": "function", "a": 1}])");
}

TEST_CASE("a template that cannot be used is a problem with its place, and refuses conversations") {
  const ModelFolder folder(Files{{"chat_template.jinja", "a\n  {% include 'x' %}"}});
  const ChatFormatter formatter = load(folder.path());
  REQUIRE(formatter.problems().size() == 1);
  CHECK_THAT(formatter.problems()[0], Catch::Contains("chat_template.jinja") && Catch::Contains("line 2, column 6") &&
                                          Catch::Contains("'include'"));
  const auto text = formatter.format({});
  REQUIRE_FALSE(text.ok());
  CHECK(text.error().message == formatter.problems()[0]);
  const ModelFolder corrupt(Files{{"tokenizer_config.json", "{"}});
  CHECK_FALSE(ChatFormatter::load(corrupt.path(), "").ok());
}

TEST_CASE("templates of a folder of their own and of chat_template.json") {
  const ModelFolder folder(Files{{"additional_chat_templates/rag.jinja", "rag {{ documents|length }}"},
                                 {"chat_template.jinja", "default"},
                                 {"tokenizer_config.json", R"({"chat_template": "config"})"}});
  const ChatFormatter formatter = load(folder.path());
  CHECK(formatter.format({.documents = Json::parse("[{}]"), .template_name = "rag"}).value() == "rag 1");
  CHECK(format(formatter, Json::array()) == "default");
  const ModelFolder processor(Files{{"chat_template.json", R"({"chat_template": "processor"})"}});
  CHECK(format(load(processor.path()), Json::array()) == "processor");
  const ModelFolder named(Files{{"t.json", R"({"default": "d", "rag": "r"})"}});
  CHECK(load(named.path(), named.file("t.json")).format({.template_name = "rag"}).value() == "r");
}

TEST_CASE("special tokens come from both files, as transformers merges them") {
  const std::string print = "{{ bos_token }}|{{ eos_token }}|{{ image_token }}";
  const ModelFolder folder(
      Files{{"chat_template.jinja", print},
            {"tokenizer_config.json", R"({"bos_token": "<a>", "eos_token": null,
                                     "extra_special_tokens": {"image_token": "<i>"}})"},
            {"special_tokens_map.json", R"({"bos_token": {"content": "<b>"}, "eos_token": "<e>"})"}});
  CHECK(format(load(folder.path()), Json::array()) == "<b>|<e>|<i>");
  CHECK(format(load(folder.path()), Json::array(), false, {{"bos_token", "k"}}) == "k|<e>|<i>");
  const ModelFolder decoder(Files{{"chat_template.jinja", print},
                                  {"tokenizer_config.json", R"({"bos_token": "<a>", "added_tokens_decoder": {}})"},
                                  {"special_tokens_map.json", R"({"bos_token": "<b>"})"}});
  CHECK(format(load(decoder.path()), Json::array()) == "<a>||");
}

std::string continued(const std::string& source, const Json& messages, const std::string& field = "content") {
  auto text = ChatFormatter::from_source({.text = source, .file = "t"}, {})
                  .format({.messages = messages,
                           .add_generation_prompt = false,
                           .continue_final_message = true,
                           .continue_field = field});
  return text.ok() ? *text : "error: " + text.error().message;
}

TEST_CASE("the final message is continued where its content ends") {
  const Json messages = Json::array({message("user", "hi"), message("assistant", " so  ")});
  CHECK(continued("{% for m in messages %}<{{ m.content }}>{% endfor %}", messages) == "<hi>< so  ");
  CHECK(continued("{% for m in messages %}< {{ m.content|trim }}>{% endfor %}", messages) == "< hi>< so");
  CHECK(continued("{% for m in messages %}<{{ m.content[0].text }}>{% endfor %}",
                  Json::array({message("assistant", {{{"type", "text"}, {"text", "a"}}})})) == "<a");
  CHECK(continued("{{ messages[0].thinking }}!content", Json::parse(R"([{"reasoning": "r"}])"), "reasoning") == "r");
  CHECK_THAT(continued("{{ messages[0].text }}", messages),
             Catch::StartsWith("error: ") && Catch::Contains("does not use"));
  CHECK_THAT(continued("{{ messages[0].content }}", messages), Catch::Contains("does not appear"));
  CHECK_THAT(continued("content", Json::array()), Catch::Contains("empty"));
  CHECK_THAT(continued("content", Json::array({{{"role", "assistant"}}})), Catch::Contains("no \"content\""));
}

/// What adapting makes of one message.
Json adapted(const std::string& source, const Json& message) {
  return ChatFormatter::from_source({.text = source, .file = "t"}, {})
      .adapt({.messages = Json::array({message})})
      .messages[0];
}

TEST_CASE("content becomes what the template takes") {
  const Json parts = {{{"type", "text"}, {"text", "a"}}, {{"type", "text"}, {"text", "b"}}};
  const std::string strings = "{% for m in messages %}{{ '<' ~ m.content ~ '>' }}{% endfor %}";
  const std::string lists = "{% for m in messages %}{% for c in m.content %}{{ c.text }}{% endfor %}{% endfor %}";
  const std::string both =
      "{% macro p(c) %}{% if c is string %}{{ c }}{% else %}{% for x in c %}{{ x['text'] }}{% endfor %}{% endif %}"
      "{% endmacro %}{% for m in messages %}{{ p(m.content) }}{% endfor %}";
  CHECK(adapted(strings, message("user", parts))["content"] == "a\nb");
  CHECK(adapted(lists, message("user", parts))["content"] == parts);
  CHECK(adapted(lists, message("user", "a"))["content"] == Json::array({{{"type", "text"}, {"text", "a"}}}));
  CHECK(adapted(both, message("user", parts))["content"] == parts);
  CHECK(adapted(both, message("user", "a"))["content"] == "a");
  const Json image = Json::array({{{"type", "image"}}});
  CHECK(adapted(strings, message("user", image))["content"] == image);
  CHECK(adapted(strings, Json{{"role", "user"}, {"content", nullptr}}) == Json{{"role", "user"}});
}

TEST_CASE("arguments of tool calls become what the template takes") {
  const auto call = [](const Json& arguments) {
    return Json{{"role", "assistant"},
                {"tool_calls", Json::array({{{"function", {{"name", "f"}, {"arguments", arguments}}}}})}};
  };
  const std::string loop = "{% for m in messages %}{% for c in m.tool_calls or [] %}";
  const std::string end = "{% endfor %}{% endfor %}";
  const auto arguments = [&](const std::string& print, const Json& sent) {
    return adapted(loop + print + end, call(sent))["tool_calls"][0]["function"]["arguments"];
  };
  CHECK(arguments("{{ c.function.arguments|tojson }}", R"({"b": 1, "a": 2})").dump() == R"({"b":1,"a":2})");
  CHECK(arguments("{{ c.function.arguments|tojson }}", "not JSON") == "not JSON");
  CHECK(arguments("{{ c.function.arguments|tojson }}", "") == Json::object());
  CHECK(arguments("{{ '<' + c.function.arguments }}", "{\"a\": 1}") == "{\"a\": 1}");
  CHECK(arguments("{{ '<' + c.function.arguments }}", {{"a", 1}}) == "{\"a\":1}");
  CHECK(arguments("{{ c.function.arguments }}", "{}") == "{}");
}

}  // namespace
}  // namespace krait::test
