#include <catch2/catch.hpp>

#include "../backends/fake_platform.h"
#include "models/backends/mamba_registry.h"
#include "models/layers/mamba_state_shapes.h"

using namespace krait;

namespace {

struct Case {
  std::string_view type;
  std::vector<StateTensorSpec> tensors;
  std::vector<Shape> shapes;
};

}  // namespace

TEST_CASE("every mamba type has its state shapes, and a request's bytes follow from them") {
  test::HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const std::vector<Case> cases = {
      {mamba_types::kMamba1, mamba1_state(context, 8192, 16, 4), {{3, 8192}, {8192, 16}}},
      {mamba_types::kMamba2, mamba2_state(context, 48, 32, 1, 128, 4), {{3, 1792}, {48, 32, 128}}},
      {mamba_types::kShortConv, short_conv_state(context, 2048, 3), {{2, 2048}}},
      {mamba_types::kLinearAttention, linear_attention_state(context, 64, 128), {{64, 128, 128}}},
      {mamba_types::kGdnAttention, gdn_attention_state(context, 16, 32, 128, 128, 4), {{3, 8192}, {32, 128, 128}}},
      {mamba_types::kKdaAttention, kda_attention_state(context, 32, 128, 4), {{3, 12288}, {32, 128, 128}}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.type);
    REQUIRE(c.tensors.size() == c.shapes.size());
    std::size_t bytes = 0;
    const MambaSpec spec{.type = *MambaRegistry::instance().type(c.type), .tensors = c.tensors};
    for (std::size_t i = 0; i < c.tensors.size(); ++i) {
      CHECK(c.tensors[i].shape == c.shapes[i]);
      CHECK(state_tensor_offset(spec, i) % kStateAlignment == 0);
      bytes += static_cast<std::size_t>(c.shapes[i].elements()) * sizeof(float);
    }
    CHECK(bytes_per_request(spec) >= bytes);
    CHECK(bytes_per_request(spec) < bytes + 2 * kStateAlignment);
    CHECK(bytes_per_token(spec) == 0);
    CHECK(kind_of(spec) == c.type);
  }
}

TEST_CASE("state dtypes are the user's, else the checkpoint's, else float32") {
  test::HookedPlatform platform;
  LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  CHECK(mamba2_state(context, 1, 1, 1, 1, 4)[1].dtype == DType::kFloat32);
  context.auto_ssm_dtype = DType::kBFloat16;
  CHECK(mamba2_state(context, 1, 1, 1, 1, 4)[1].dtype == DType::kBFloat16);
  context.mamba.ssm_cache_dtype = DType::kFloat16;
  context.mamba.conv_cache_dtype = DType::kBFloat16;
  CHECK(mamba2_state(context, 1, 1, 1, 1, 4)[0].dtype == DType::kBFloat16);
  CHECK(mamba2_state(context, 1, 1, 1, 1, 4)[1].dtype == DType::kFloat16);
}

TEST_CASE("attention specs have bytes a token and none a request") {
  CHECK(bytes_per_token(FullAttentionSpec{.kv_heads = 2, .head_dim = 32, .dtype = DType::kBFloat16}) == 256);
  // A byte an element and a float32 scale for each head's K and V; one for a latent row.
  CHECK(bytes_per_token(FullAttentionSpec{.kv_heads = 2, .head_dim = 32, .dtype = DType::kInt8}) == 128 + 16);
  CHECK(bytes_per_token(MlaSpec{.latent_dim = 64, .rope_dim = 16, .dtype = DType::kInt8}) == 80 + 4);
  CHECK(bytes_per_token(SlidingWindowSpec{.kv_heads = 1, .head_dim = 8, .window = 16, .dtype = DType::kFloat32}) == 64);
  CHECK(bytes_per_token(MlaSpec{.latent_dim = 512, .rope_dim = 64, .dtype = DType::kBFloat16}) == 1152);
  CHECK(bytes_per_request(FullAttentionSpec{.kv_heads = 2, .head_dim = 32}) == 0);
}
