#include "models/config/config_reader.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/models/config/startup_error_message.h"
#include "tests/temp_folder.h"

using krait::ConfigReader;
using krait::StartupError;
using krait::test::startup_error_message;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ConfigReader read(const std::string& text) { return ConfigReader::from_text(text, "config.json"); }

std::string parse_error(const std::string& text) {
  return startup_error_message([&] { read(text); });
}

}  // namespace

TEST_CASE("getters read their types, and null counts as absent") {
  const ConfigReader reader = read(R"({"size": 64, "eps": 1e-6, "whole": 2, "tie": true, "act": "silu", "none": null,
                                       "kinds": ["mamba", "attention"], "limits": [0, 0.5], "layers": [3, 1]})");
  CHECK(reader.integer("size") == 64);
  CHECK(reader.integer_or("size", 3) == 64);
  CHECK(reader.integer_or("none", 3) == 3);
  CHECK(reader.number("eps") == 1e-6);
  CHECK(reader.number("whole") == 2.0);
  CHECK(reader.number_or("absent", 0.25) == 0.25);
  CHECK(reader.boolean_or("tie", false));
  CHECK_FALSE(reader.boolean_or("absent", false));
  CHECK(reader.string("act") == "silu");
  CHECK(reader.string_or("absent", "gelu") == "gelu");
  CHECK(reader.strings("kinds") == std::vector<std::string>{"mamba", "attention"});
  CHECK(reader.numbers("limits") == std::vector<double>{0.0, 0.5});
  CHECK(reader.integers("layers") == std::vector<std::int64_t>{3, 1});
  CHECK(reader.has("size"));
  CHECK_FALSE(reader.has("none"));
  CHECK_FALSE(reader.object("none").has_value());
  CHECK(reader.keys().size() == 9);
}

TEST_CASE("a wrong value names the file, the key, what is valid and what was found") {
  const ConfigReader reader =
      read(R"({"size": "big", "minus": -1, "huge": 1000000000000000000, "beyond": 1e30, "part": 1.5,
                                       "list": [1, "a"], "flag": 1, "text": {"rope": {"theta": "x"}}})");
  const auto message = [](auto call) { return startup_error_message(call); };
  CHECK(message([&] { (void)reader.integer("size"); }) ==
        "config.json: `size` must be an integer from 1 to 2147483647, found \"big\"");
  CHECK(message([&] { (void)reader.integer("none"); }) ==
        "config.json: `none` must be an integer from 1 to 2147483647, found nothing");
  CHECK(message([&] { (void)reader.integer_or("minus", 4, 0, 9); }) ==
        "config.json: `minus` must be an integer from 0 to 9, found -1");
  CHECK(message([&] { (void)reader.integer("huge"); }).ends_with("found 1000000000000000000"));
  CHECK_THROWS_AS(reader.integer("beyond"), StartupError);
  CHECK_THROWS_AS(reader.integer("part"), StartupError);
  CHECK(message([&] { (void)reader.number("flag"); }) == "no error");
  CHECK(message([&] { (void)reader.number("size"); }) == "config.json: `size` must be a number, found \"big\"");
  CHECK(message([&] { (void)reader.boolean_or("flag", true); }) ==
        "config.json: `flag` must be true or false, found 1");
  CHECK(message([&] { (void)reader.string("flag"); }) == "config.json: `flag` must be a string, found 1");
  CHECK(message([&] { (void)reader.strings("list"); }) ==
        "config.json: `list` must be a list of strings, found [1,\"a\"]");
  CHECK(message([&] { (void)reader.numbers("list"); }) ==
        "config.json: `list` must be a list of numbers, found [1,\"a\"]");
  CHECK(message([&] { (void)reader.integers("list", 1, 4); }) ==
        "config.json: `list` must be a list of integers from 1 to 4, found [1,\"a\"]");
  CHECK(message([&] { (void)reader.integers("size"); }).ends_with("found \"big\""));
  CHECK(message([&] { (void)reader.object("size"); }) == "config.json: `size` must be an object, found \"big\"");
  CHECK(message([&] { (void)reader.object("text")->object("rope")->number("theta"); }) ==
        "config.json: `text.rope.theta` must be a number, found \"x\"");
}

TEST_CASE("an error's field is the whole key") {
  try {
    (void)read(R"({"text": {}})").object("text")->string("name");
    FAIL("no error");
  } catch (const StartupError& error) {
    CHECK(error.error().field == "text.name");
  }
}

TEST_CASE("infinity is read in all its spellings, and a NaN is no number") {
  const ConfigReader reader =
      read(R"({"old": Infinity, "minus": -Infinity, "nan": NaN, "new": {"__float__": "Infinity"},
                                       "limits": [0.0, Infinity], "text": "Infinity \" NaN", "last": -Infinity})");
  CHECK(reader.number("old") == kInfinity);
  CHECK(reader.number("minus") == -kInfinity);
  CHECK(reader.number("new") == kInfinity);
  CHECK(reader.number("last") == -kInfinity);
  CHECK(reader.numbers("limits") == std::vector<double>{0.0, kInfinity});
  CHECK(reader.string("text") == "Infinity \" NaN");
  CHECK_THROWS_AS(reader.number("nan"), StartupError);
  CHECK_THROWS_AS(read(R"({"a": {"__float__": "much"}})").number("a"), StartupError);
  CHECK_THROWS_AS(read(R"({"a": Infinityx})"), StartupError);
}

TEST_CASE("token ids are one, several or none") {
  const ConfigReader reader =
      read(R"({"one": 2, "two": [2, 7], "none": null, "empty": [], "minus": -1, "text": ["a"]})");
  CHECK(reader.token_ids("one") == std::vector<std::int32_t>{2});
  CHECK(reader.token_ids("two") == std::vector<std::int32_t>{2, 7});
  CHECK(reader.token_ids("none").empty());
  CHECK(reader.token_ids("absent").empty());
  CHECK(reader.token_ids("empty").empty());
  CHECK(startup_error_message([&] { (void)reader.token_ids("minus"); }) ==
        "config.json: `minus` must be a token id (an integer from 0) or a list of them, found -1");
  CHECK_THROWS_AS(reader.token_ids("text"), StartupError);
}

TEST_CASE("an option that is not implemented is refused by name") {
  const ConfigReader reader = read(R"({"act": "gelu", "groups": 2, "bias": true, "off": false})");
  CHECK_NOTHROW(reader.require_value("act", "gelu"));
  CHECK_NOTHROW(reader.require_value("groups", "2"));
  CHECK_NOTHROW(reader.require_value("absent", "silu"));
  CHECK_NOTHROW(reader.require_false("off"));
  CHECK_NOTHROW(reader.require_false("absent"));
  CHECK(startup_error_message([&] { reader.require_value("act", "silu"); }) ==
        "config.json: `act` must be `silu` in this version of Krait, found \"gelu\"");
  CHECK(startup_error_message([&] { reader.require_false("bias"); }) ==
        "config.json: `bias` must be false in this version of Krait, found true");
}

TEST_CASE("what is no JSON object is refused with the place") {
  CHECK(parse_error("{\n  \"a\": trx\n}").find("config.json: is not valid JSON: parse error at line 2, column 10") ==
        0);
  CHECK(parse_error("") != "no error");
  CHECK(parse_error("{\"a\": 1} x") != "no error");
  CHECK(parse_error("{\"a\": \"\xff\"}") != "no error");
  CHECK(parse_error("{\"a\": 1e999}") != "no error");
  CHECK(parse_error("[1]") == "config.json: must be a JSON object, found [1]");
}

TEST_CASE("deep nesting is refused, and long values are shortened in messages") {
  const std::string brackets = "{\"a\": " + std::string(100'000, '[');
  CHECK(parse_error(brackets) == "config.json: is nested more than 32 levels deep");
  const std::string text = R"({"a": ")" + std::string(10'000, 'x') + R"("})";
  CHECK(startup_error_message([&] { (void)read(text).integer("a"); }).size() < 200);
}

TEST_CASE("a file that is missing or no file is refused by name") {
  const krait::test::TempFolder folder;
  folder.write("config.json", R"({"a": 3})");
  CHECK(ConfigReader::from_file(folder.file("config.json")).integer("a") == 3);
  CHECK(startup_error_message([&] { (void)ConfigReader::from_file(folder.file("x.json")); }) ==
        folder.file("x.json") + ": no such file");
  CHECK(startup_error_message([&] { (void)ConfigReader::from_file(folder.path()); }) ==
        folder.path() + ": is not a regular file that can be read");
}
