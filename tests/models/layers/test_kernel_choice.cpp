#include <catch2/catch.hpp>
#include <vector>

#include "models/architectures/architecture_registry.h"
#include "tests/models/backends/fake_platform.h"

using namespace krait;

namespace {

/// Remembers what it was asked, and answers what a test says.
class AskedPlatform final : public test::HookedPlatform {
 public:
  [[nodiscard]] Status supports_attention(KernelLibrary library, const AttentionForm& form) const override {
    attention.push_back(form);
    return library == KernelLibrary::kNative || answer.empty() ? ok_status() : refusal();
  }
  [[nodiscard]] Status supports_state_update(KernelLibrary library, const StateUpdateForm& form) const override {
    updates.push_back(form);
    return library == KernelLibrary::kNative || answer.empty() ? ok_status() : refusal();
  }

  std::string answer;
  mutable std::vector<AttentionForm> attention;
  mutable std::vector<StateUpdateForm> updates;

 private:
  [[nodiscard]] Status refusal() const {
    return Error{.code = ErrorCode::kUnsupported, .message = answer, .field = {}};
  }
};

std::unique_ptr<Model> model_of(const std::string& folder, const LayerContext& context) {
  return make_model(std::string(KRAIT_SOURCE_DIR) + "/" + folder, context);
}

LayerContext with_libraries(const Platform& platform, KernelLibrary attention, const std::string& state_update) {
  LayerContext context{.platform = platform, .mamba = {}, .parallel = {}, .attention_library = attention};
  context.mamba.backend = state_update;
  return context;
}

}  // namespace

TEST_CASE("libraries of kernels are known by name in any case") {
  CHECK(parse_kernel_library("native") == KernelLibrary::kNative);
  CHECK(parse_kernel_library("FlashInfer") == KernelLibrary::kFlashInfer);
  for (const char* name : {"", "nativ", "native ", "triton"}) CHECK_FALSE(parse_kernel_library(name).has_value());
}

TEST_CASE("the platform is asked for each layer by its form") {
  AskedPlatform platform;
  const LayerContext context = with_libraries(platform, KernelLibrary::kFlashInfer, "flashinfer");
  const auto model = model_of("demo/aesop", context);
  REQUIRE(platform.attention.size() == 2);
  CHECK(platform.attention[0].heads == 8);
  CHECK(platform.attention[0].kv_heads == 2);
  CHECK(platform.attention[0].head_dim == 32);
  CHECK_FALSE(platform.attention[0].latent);
  REQUIRE(platform.updates.size() == 4);
  CHECK(platform.updates[0].state_size == 64);
  CHECK_FALSE(platform.updates[0].element_decay);
  CHECK_FALSE(platform.updates[0].dt_limit);

  platform.updates.clear();
  static_cast<void>(model_of("tests/golden/models/mamba", context));
  REQUIRE_FALSE(platform.updates.empty());
  CHECK(platform.updates[0].element_decay);

  platform.attention.clear();
  static_cast<void>(model_of("tests/golden/models/kimi_linear", context));
  REQUIRE_FALSE(platform.attention.empty());
  CHECK(platform.attention[0].latent);
}

TEST_CASE("an attention layer's backend bears the library's name") {
  AskedPlatform platform;
  for (const auto& [library, name] :
       {std::pair{KernelLibrary::kNative, "paged_attention"}, std::pair{KernelLibrary::kFlashInfer, "flashinfer"}}) {
    const auto model = model_of("tests/golden/models/llama", with_libraries(platform, library, "native"));
    CHECK(model->attention_layers().front()->get_attn_backend(0)->name() == name);
  }
}

TEST_CASE("what the platform refuses ends start-up with flag, reason and layer") {
  AskedPlatform platform;
  platform.answer = "of that, none is here. Valid options are: native";
  CHECK_NOTHROW(model_of("demo/aesop", with_libraries(platform, KernelLibrary::kNative, "native")));
  CHECK_THROWS_WITH(
      model_of("demo/aesop", with_libraries(platform, KernelLibrary::kFlashInfer, "native")),
      Catch::Contains("--attention-backend flashinfer: of that, none is here. Valid options are: native (layer "
                      "'model.layers.2.self_attn')"));
  CHECK_THROWS_WITH(
      model_of("demo/aesop", with_libraries(platform, KernelLibrary::kNative, "FlashInfer")),
      Catch::Contains("--mamba-backend flashinfer: of that, none is here. Valid options are: native (layer "
                      "'model.layers.0.mamba')"));
  const test::HookedPlatform native;
  CHECK_THROWS_WITH(
      model_of("demo/aesop", with_libraries(native, KernelLibrary::kFlashInfer, "native")),
      Catch::Contains("--attention-backend flashinfer: platform 'hooked' has no kernels of flashinfer. Valid options "
                      "are: native (layer 'model.layers.2.self_attn')"));
}
