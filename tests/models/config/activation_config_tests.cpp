#include "models/config/activation_config.h"

#include <catch2/catch.hpp>

#include "models/config/config_reader.h"
#include "tests/models/config/startup_error_message.h"

using krait::Activation;
using krait::ConfigReader;
using krait::read_activation;

TEST_CASE("activations are read by their name in transformers") {
  const auto read = [](const std::string& text) {
    return read_activation(ConfigReader::from_text(text, "config.json"), "hidden_act", "gelu");
  };
  CHECK(read(R"({"hidden_act": "silu"})") == Activation::kSilu);
  CHECK(read(R"({"hidden_act": "swish"})") == Activation::kSilu);
  CHECK(read(R"({"hidden_act": "gelu_pytorch_tanh"})") == Activation::kGeluTanh);
  CHECK(read(R"({"hidden_act": "relu2"})") == Activation::kRelu2);
  CHECK(read(R"({"hidden_act": null})") == Activation::kGelu);
  CHECK(read("{}") == Activation::kGelu);
  CHECK(krait::test::startup_error_message([&] { (void)read(R"({"hidden_act": "mish"})"); }) ==
        "config.json: `hidden_act` is 'mish'. Valid activations: silu, swish, sigmoid, gelu, gelu_new, "
        "gelu_pytorch_tanh, relu2, tanh");
}
