#include "models/tokenizer/decoder.h"

#include "models/tokenizer/byte_alphabet.h"

namespace krait {
namespace {

class ByteLevelDecoder : public Decoder {
 public:
  [[nodiscard]] std::vector<std::string> decode_chain(std::vector<std::string> tokens) const override {
    std::string bytes;
    for (std::string& token : tokens) {
      bytes.clear();
      append_symbol_bytes(token, bytes);
      token = bytes;
    }
    return tokens;
  }
};

class SequenceDecoder : public Decoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<Decoder>> steps) : steps_(std::move(steps)) {}
  [[nodiscard]] std::vector<std::string> decode_chain(std::vector<std::string> tokens) const override {
    for (const auto& step : steps_) tokens = step->decode_chain(std::move(tokens));
    return tokens;
  }

 private:
  std::vector<std::unique_ptr<Decoder>> steps_;
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const nlohmann::json& description, const LoadContext& context) {
  if (description.is_null()) context.unsupported("a tokenizer without a decoder is not supported");
  const std::string type = context.component_type(description, "decoder");
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
  if (type == "Sequence") {
    std::vector<std::unique_ptr<Decoder>> steps;
    for (const auto& step : context.required_array(description, "decoder", "decoders")) {
      steps.push_back(make_decoder(step, context));
    }
    return std::make_unique<SequenceDecoder>(std::move(steps));
  }
  context.unknown_type("decoder", type);
}

}  // namespace krait
