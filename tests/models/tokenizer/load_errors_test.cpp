#include "tests/models/tokenizer/fixtures.h"

namespace krait::test {
namespace {

Error load_error(const std::string& content) {
  const TemporaryFile file(content);
  auto loaded = load_tokenizer(file.path());
  REQUIRE_FALSE(loaded.ok());
  CHECK(loaded.error().field == file.path());
  CHECK(loaded.error().message.find(file.path()) == 0);
  return loaded.error();
}

/// The error of a valid file in which the value at `pointer` was replaced.
Error error_with(const std::string& pointer, const nlohmann::json& value) {
  auto json = small_tokenizer();
  json[nlohmann::json::json_pointer(pointer)] = value;
  return load_error(json.dump());
}

TEST_CASE("a component that is not implemented is named with its kind") {
  const auto check = [](const std::string& field, const std::string& type) {
    const Error error = error_with("/" + field, {{"type", type}});
    CHECK(error.code == ErrorCode::kUnsupported);
    CHECK_THAT(error.message, Catch::Contains(field + " type '" + type + "'"));
  };
  check("normalizer", "NoSuchNormalizer");
  check("pre_tokenizer", "NoSuchSplit");
  check("post_processor", "NoSuchProcessor");
  check("decoder", "NoSuchDecoder");
  CHECK_THAT(error_with("/model/type", "NoSuchModel").message, Catch::Contains("model type 'NoSuchModel'"));
  CHECK_THAT(error_with("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Inner"}}}}}).message,
             Catch::Contains("normalizer type 'Inner'"));
  CHECK_THAT(error_with("/model/dropout", 0.1).message, Catch::Contains("model.dropout"));
  CHECK_THAT(error_with("/model/type", "WordPiece").message, Catch::Contains("model type 'WordPiece'"));
}

TEST_CASE("a corrupt file is an error that says what is wrong") {
  CHECK_THAT(load_error("{\"model\": ").message, Catch::Contains("not valid JSON"));
  CHECK_THAT(load_error("").message, Catch::Contains("not valid JSON"));
  CHECK_THAT(load_error("[1]").message, Catch::Contains("not a JSON object"));
  CHECK_THAT(load_error("{\"decoder\":{\"type\":\"ByteLevel\"}}").message, Catch::Contains("lacks the field 'model'"));
  CHECK_THAT(load_error(std::string(1000, '[')).message, Catch::Contains("nested deeper"));
  CHECK_THAT(error_with("/model/vocab/a", -1).message, Catch::Contains("token id -1 is out of range"));
  CHECK_THAT(error_with("/model/vocab/a", 1LL << 40).message, Catch::Contains("out of range"));
  CHECK_THAT(error_with("/model/vocab/a", "x").message, Catch::Contains("model.vocab 'a'"));
  CHECK_THAT(error_with("/model/vocab/a", nlohmann::json::array()).message, Catch::Contains("'a' is not an integer"));
  CHECK_THAT(error_with("/model/vocab", nlohmann::json::object()).message, Catch::Contains("model.vocab is missing"));
  CHECK_THAT(error_with("/model/merges/0", "ab").message, Catch::Contains("model.merges: entry 0"));
  CHECK_THAT(error_with("/model/merges/0", {"a", "b", "c"}).message, Catch::Contains("model.merges: entry 0"));
  CHECK_THAT(error_with("/model/merges/1", "ab z").message, Catch::Contains("needs the token 'z'"));
  CHECK_THAT(error_with("/model/merges/1", "c d").message, Catch::Contains("needs the token 'cd'"));
  CHECK_THAT(error_with("/model/continuing_subword_prefix", "##").message, Catch::Contains("shorter than"));
  CHECK_THAT(error_with("/added_tokens/0/id", 1LL << 40).message, Catch::Contains("added_tokens[0]"));
  CHECK_THAT(error_with("/added_tokens/0", 3).message, Catch::Contains("added_tokens[0] is not an object"));
  CHECK_THAT(error_with("/decoder", 3).message, Catch::Contains("decoder is not an object"));
}

TEST_CASE("a bad split is an error that says why") {
  const auto split = [](const std::string& pattern, const std::string& behavior) {
    return nlohmann::json{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", behavior}};
  };
  CHECK_THAT(error_with("/pre_tokenizer", split("(a", "Isolated")).message,
             Catch::Contains("bad regular expression '(a'"));
  CHECK_THAT(error_with("/pre_tokenizer", split("a", "Kept")).message, Catch::Contains("behavior 'Kept'"));
  CHECK_THAT(error_with("/pre_tokenizer", {{"type", "Split"}}).message, Catch::Contains("lacks the field 'behavior'"));
}

TEST_CASE("a file that is not there is an error of its own") {
  auto loaded = load_tokenizer("/no/such/tokenizer.json");
  REQUIRE_FALSE(loaded.ok());
  CHECK(loaded.error().code == ErrorCode::kNotFound);
}

}  // namespace
}  // namespace krait::test
