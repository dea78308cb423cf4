// The templates of published models with the conversations of cases.json, and one small template for each feature of
// the language, against what the reference renders (tests/golden/chat_templates/README.md).
#include <filesystem>
#include <fstream>

#include "server/chat/chat_formatter.h"
#include "tests/server/chat/rendering.h"

namespace krait::test {
namespace {

using Json = nlohmann::ordered_json;
using server::ChatFormatter;

std::string folder() { return std::string(KRAIT_SOURCE_DIR) + "/tests/golden/chat_templates/"; }

std::string read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

Json read_json(const std::string& file) { return Json::parse(read_file(file)); }

server::RenderOptions at(const Json& now) {
  return {.now = server::parse_wall_clock(now.get<std::string>()), .limits = {}};
}

server::ChatInput to_input(Json test_case, const Json& defaults) {
  for (const auto& [key, value] : defaults.items()) {
    if (!test_case.contains(key)) test_case[key] = value;
  }
  return {.messages = test_case["messages"],
          .tools = test_case["tools"],
          .documents = test_case["documents"],
          .add_generation_prompt = test_case["add_generation_prompt"].get<bool>(),
          .continue_final_message = test_case["continue_final_message"].get<bool>(),
          .kwargs = test_case["kwargs"],
          .template_name = {}};
}

/// A golden answer and ours: the text, or the fact of failing; a template's own refusal with its words.
void check(const Json& wanted, const Result<std::string>& found) {
  INFO((found.ok() ? *found : found.error().message));
  REQUIRE(found.ok() == wanted["ok"].get<bool>());
  if (found.ok()) {
    CHECK(*found == wanted["text"].get<std::string>());
  } else if (wanted["error_kind"] == "raise_exception") {
    CHECK_THAT(found.error().message, Catch::StartsWith(wanted["error"].get<std::string>()));
  }
}

TEST_CASE("published templates render every conversation as the reference does") {
  const Json cases = read_json(folder() + "cases.json");
  std::size_t checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder() + "golden")) {
    const Json golden = read_json(entry.path().string());
    const std::string file = golden["template"].get<std::string>();
    const auto formatter = ChatFormatter::from_source(
        {.text = read_file(folder() + file), .file = file},
        {{"bos_token", golden["bos_token"].get<std::string>()}, {"eos_token", golden["eos_token"].get<std::string>()}});
    for (const Json& test_case : cases["cases"]) {
      const std::string name = test_case["name"].get<std::string>();
      INFO(file << ", " << name);
      check(golden["results"][name], formatter.format(to_input(test_case, cases["defaults"]), at(cases["now"])));
      ++checked;
    }
  }
  CHECK(checked == 26 * 35);
}

TEST_CASE("each feature of the language renders as in the reference") {
  const Json features = read_json(folder() + "features.json");
  for (const Json& feature : features["cases"]) {
    INFO(feature["name"].get<std::string>() << ": " << feature["template"].get<std::string>());
    const auto parsed = server::ChatTemplate::parse(feature["template"].get<std::string>());
    INFO((parsed.ok() ? "" : parsed.error().message));
    if (!parsed.ok()) {
      CHECK_FALSE(feature["expect"]["ok"].get<bool>());
      continue;
    }
    check(feature["expect"], (*parsed)->render(feature["context"], at(features["now"])));
  }
}

TEST_CASE("expressions, filters, methods and statements give what Python gives") {
  const Json golden = read_json(folder() + "expressions.json");
  const server::RenderOptions options = at("2025-03-09T14:05:07.123456");
  for (const Json& test_case : golden["cases"]) {
    INFO(test_case["template"].get<std::string>());
    const auto parsed = server::ChatTemplate::parse(test_case["template"].get<std::string>());
    INFO((parsed.ok() ? "" : parsed.error().message));
    const auto text = parsed.ok() ? (*parsed)->render(golden["context"], options) : Result<std::string>(parsed.error());
    INFO((text.ok() ? "" : text.error().message));
    REQUIRE(text.ok() == test_case.contains("text"));
    if (text.ok()) CHECK(*text == test_case["text"].get<std::string>());
  }
}

}  // namespace
}  // namespace krait::test
