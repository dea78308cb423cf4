#include <catch2/catch.hpp>

#include "models/config/config_reader.h"
#include "models/config/model_config.h"
#include "tests/models/config/startup_error_message.h"

using krait::ConfigReader;
using krait::RopeConfig;

namespace {

RopeConfig read(const std::string& text, int head_dim = 16) {
  return krait::read_rope_config(ConfigReader::from_text(text, "config.json"), head_dim);
}

std::string error(const std::string& text) {
  return krait::test::startup_error_message([&] { (void)read(text); });
}

}  // namespace

TEST_CASE("rotary settings are read in both spellings") {
  CHECK(read("{}").theta == 10000.0);
  CHECK(read("{}").rotary_dim == 16);
  CHECK(read(R"({"rope_theta": 500000, "rope_scaling": null})").theta == 500000.0);
  CHECK(read(R"({"rope_theta": 5e5, "rope_scaling": {"type": "default"}})").theta == 500000.0);
  CHECK(read(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}})").theta == 1000000.0);
  CHECK(read(R"({"rope_theta": 7.0, "rope_parameters": {"rope_type": "default"}})").theta == 7.0);
}

TEST_CASE("a partial factor selects the first channels") {
  CHECK(read(R"({"partial_rotary_factor": 0.5})").rotary_dim == 8);
  CHECK(read(R"({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.25}})", 64).rotary_dim == 16);
  CHECK(error(R"({"partial_rotary_factor": 0.2})") ==
        "config.json: `partial_rotary_factor` must select an even number of the head's 16 channels, found 3");
  CHECK(error(R"({"partial_rotary_factor": 1.5})").find("must be above 0 and at most 1") != std::string::npos);
  CHECK(error(R"({"partial_rotary_factor": 0.01})").find("found 0") != std::string::npos);
}

TEST_CASE("a rope type that would change the frequencies is refused by name") {
  CHECK(error(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}})") ==
        "config.json: `rope_scaling.rope_type` must be `default` in this version of Krait, found \"llama3\"");
  CHECK(error(R"({"rope_scaling": {"type": "linear", "factor": 2.0}})") ==
        "config.json: `rope_scaling.type` must be `default` in this version of Krait, found \"linear\"");
  CHECK(error(R"({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}})") ==
        "config.json: `rope_parameters.rope_type` must be `default` in this version of Krait, found \"yarn\"");
  CHECK(error(R"({"rope_parameters": {"full_attention": {"rope_type": "default"}}})").find("one a layer kind") !=
        std::string::npos);
}

TEST_CASE("a base that is no base is refused") {
  CHECK(error(R"({"rope_theta": 0})").find("`rope_theta` must be a finite number above 1") != std::string::npos);
  CHECK(error(R"({"rope_theta": Infinity})").find("`rope_theta` must be a finite number") != std::string::npos);
  CHECK(error(R"({"rope_parameters": {"rope_theta": "x"}})").find("`rope_parameters.rope_theta` must be a number") !=
        std::string::npos);
}
