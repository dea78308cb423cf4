// Decoding a list of ids and streaming an answer run the same stages, so they cannot disagree.
#include "models/tokenizer/decoder.h"

#include <vector>

namespace krait {
namespace {

class FuseDecoder : public Decoder {
 public:
  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse /*use*/,
                                                    std::unique_ptr<DecoderStage> next) const override {
    return next;
  }
  [[nodiscard]] bool fuses(bool /*fused_before*/) const override { return true; }
  [[nodiscard]] bool only_joins() const override { return true; }
  [[nodiscard]] std::string token_bytes(std::string token) const override { return token; }
};

class SequenceDecoder : public Decoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<Decoder>> steps) : steps_(std::move(steps)) {}

  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const override {
    std::vector<bool> fused;
    for (const auto& step : steps_) {
      fused.push_back(use.fused);
      use.fused = step->fuses(use.fused);
    }
    for (std::size_t i = steps_.size(); i-- > 0;) {
      const bool divisible = i + 1 == steps_.size() ? use.divisible : steps_[i + 1]->only_joins();
      next = steps_[i]->stage({.fused = fused[i], .streaming = use.streaming, .divisible = divisible}, std::move(next));
    }
    return next;
  }

  [[nodiscard]] bool fuses(bool fused_before) const override {
    for (const auto& step : steps_) fused_before = step->fuses(fused_before);
    return fused_before;
  }

  [[nodiscard]] std::string token_bytes(std::string token) const override {
    for (const auto& step : steps_) token = step->token_bytes(std::move(token));
    return token;
  }

 private:
  std::vector<std::unique_ptr<Decoder>> steps_;
};

/// For files without a decoder.
class BlankDecoder : public Decoder {
 public:
  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse /*use*/,
                                                    std::unique_ptr<DecoderStage> next) const override {
    class Stage : public DecoderStage {
     public:
      using DecoderStage::DecoderStage;
      void push(std::string_view token) override {
        if (!first_) next().push(" ");
        first_ = false;
        next().push(token);
      }

     private:
      bool first_ = true;
    };
    return std::make_unique<Stage>(std::move(next));
  }
  [[nodiscard]] std::string token_bytes(std::string token) const override { return " " + token; }
};

class CollectingStage : public DecoderStage {
 public:
  using DecoderStage::DecoderStage;
  void push(std::string_view part) override { text_ += part; }
  void finish() override {
    next().push(text_);
    next().finish();
  }

 private:
  std::string text_;
};

}  // namespace

std::unique_ptr<DecoderStage> make_collecting_stage(std::unique_ptr<DecoderStage> next) {
  return std::make_unique<CollectingStage>(std::move(next));
}

std::unique_ptr<Decoder> make_decoder(const nlohmann::json& description, const LoadContext& context) {
  if (description.is_null()) return std::make_unique<BlankDecoder>();
  const std::string type = context.component_type(description, "decoder");
  if (type == "Fuse") return std::make_unique<FuseDecoder>();
  if (type == "Sequence") {
    std::vector<std::unique_ptr<Decoder>> steps;
    for (const auto& step : context.required_array(description, "decoder", "decoders")) {
      if (step.is_null()) context.corrupt("decoder.decoders holds a null");
      steps.push_back(make_decoder(step, context));
    }
    return std::make_unique<SequenceDecoder>(std::move(steps));
  }
  if (auto decoder = make_byte_decoder(type)) return decoder;
  if (auto decoder = make_text_decoder(type, description, context)) return decoder;
  if (auto decoder = make_word_decoder(type, description, context)) return decoder;
  context.unknown_type("decoder", type);
}

}  // namespace krait
