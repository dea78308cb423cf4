#include "server/chat/chat_formatter.h"

#include <unistd.h>
#include <filesystem>
#include <fstream>

#include "tests/server/chat/rendering.h"

namespace krait::test {
namespace {

using Json = nlohmann::json;
using server::ChatFormatter;

using Files = std::vector<std::pair<std::string, std::string>>;  ///< name and content

/// A model folder with the files given, that goes with the test.
class ModelFolder {
 public:
  explicit ModelFolder(const Files& files) {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("krait_chat_" + std::to_string(getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
    for (const auto& [name, content] : files) std::ofstream(path_ / name) << content;
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
  auto text = formatter.format(messages, prompt, kwargs);
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
  const auto role = formatter.format(Json::array({message("tool", "x")}), true, Json::object());
  REQUIRE_FALSE(role.ok());
  CHECK(role.error().code == ErrorCode::kInvalidArgument);
  CHECK(role.error().message == "Only the roles system, user and assistant are supported.");
  const auto order =
      formatter.format(Json::array({message("user", "x"), message("system", "y")}), true, Json::object());
  REQUIRE_FALSE(order.ok());
  CHECK(order.error().message == "The system message must come first.");
}

TEST_CASE("a model without a template says so when a chat is asked for") {
  const ModelFolder folder(Files{{"tokenizer_config.json", R"({"bos_token": "<s>"})"}});
  const ChatFormatter formatter = load(folder.path());
  CHECK_FALSE(formatter.has_template());
  const auto text = formatter.format(Json::array(), true, Json::object());
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
  CHECK(format(formatter, Json::array(), false, {{"tools", {1, 2}}}) == "tools 2");
}

TEST_CASE("reasoning is offered under the names that templates look for") {
  const ModelFolder folder(
      Files{{"chat_template.jinja", "{{ messages[0].reasoning_content }}{{ messages[0].thinking }}"}});
  CHECK(format(load(folder.path()), Json::array({{{"role", "assistant"}, {"reasoning", "r"}}})) == "rr");
}

TEST_CASE("keys keep the client's order where the request kept it") {
  const ModelFolder folder(Files{{"chat_template.jinja", "{{ tools|tojson }}"}});
  const auto kwargs = nlohmann::ordered_json::parse(R"({"tools": [{"type": "function", "a": 1}]})");
  const auto text = load(folder.path()).format(nlohmann::ordered_json::array(), false, kwargs);
  REQUIRE(text.ok());
  CHECK(*text == R"([{"type": "function", "a": 1}])");
}

TEST_CASE("a template that cannot be used fails when the folder is read, with the file") {
  const ModelFolder folder(Files{{"chat_template.jinja", "a\n{% include 'x' %}"}});
  const auto formatter = ChatFormatter::load(folder.path(), "");
  REQUIRE_FALSE(formatter.ok());
  CHECK(formatter.error().code == ErrorCode::kUnsupported);
  CHECK_THAT(formatter.error().message,
             Catch::Contains("chat_template.jinja") && Catch::Contains("line 2") && Catch::Contains("'include'"));
  const ModelFolder corrupt(Files{{"tokenizer_config.json", "{"}});
  CHECK_FALSE(ChatFormatter::load(corrupt.path(), "").ok());
}

}  // namespace
}  // namespace krait::test
