#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <map>

#include "kernels/cpu/weight_image.h"
#include "kernels/result.h"
#include "tests/kernels/test_support.h"

// Packed weights taken apart into bytes, and made of them again.
namespace krait {
namespace {

using test::Matrix;
using test::Random;

constexpr int kInputs = 72;  // no multiple of 32: the last block is padded
constexpr int kOutputs = 24;

/// One weight of each layout, by its name.
struct Sample {
  std::string name;
  std::function<PackedWeight(Platform&)> pack;
  bool gated = false;
};

std::vector<Sample> samples() {
  std::vector<Sample> all;
  const auto add_floats = [&](const std::string& name, PackScheme scheme, bool exact_in_bfloat16, bool with_bias) {
    all.push_back({name,
                   [=](Platform& platform) {
                     // A generator of our own: those of the library differ between its versions.
                     std::uint32_t state = 17;
                     const auto draw = [&state] {
                       state = state * 1664525U + 1013904223U;
                       return static_cast<float>(static_cast<std::int32_t>(state) >> 8) / 8388608.0F;
                     };
                     Matrix first(kOutputs, kInputs);
                     Matrix second(kOutputs, kInputs);
                     Matrix bias(1, kOutputs);
                     for (Matrix* matrix : {&first, &second, &bias}) {
                       for (float& x : matrix->data) {
                         x = exact_in_bfloat16 ? test::round_to(draw(), DType::kBFloat16) : draw();
                       }
                     }
                     const auto flat = TensorView(bias.data.data(), DType::kFloat32, Shape{kOutputs});
                     const WeightSource source{
                         .parts = {first.view(), second.view()},
                         .biases = with_bias ? std::vector{flat, flat} : std::vector<TensorView>{}};
                     return platform.pack(source, scheme, {});
                   },
                   scheme.gate_up});
  };
  add_floats("float32", {}, false, true);
  add_floats("bfloat16", {}, true, false);
  add_floats("bfloat16 rows", {.compute_dtype = DType::kBFloat16, .gate_up = true}, true, true);
  add_floats("int8", {.quantization = Quantization::kInt8}, false, true);
  add_floats("int8 rows", {.quantization = Quantization::kInt8, .compute_dtype = DType::kInt8, .gate_up = true}, false,
             false);
  add_floats("int4", {.quantization = Quantization::kInt4}, false, false);
  add_floats("int4 groups of 64", {.quantization = Quantization::kInt4, .group_size = 64}, false, true);
  all.push_back(
      {"int4 with zero points", [](Platform& platform) {
         const std::vector<float> scales(kOutputs * 3, 0.25F);
         std::vector<std::uint8_t> zeros(kOutputs * 3);
         for (std::size_t i = 0; i < zeros.size(); ++i) zeros[i] = static_cast<std::uint8_t>(i % 16);
         const ReadQuantizedRows read = [](std::int64_t begin, std::int64_t count, std::int8_t* to) {
           for (std::int64_t i = 0; i < count * kInputs; ++i) {
             to[i] = static_cast<std::int8_t>((begin * kInputs + i) * 7 % 16);
           }
         };
         WeightSource source;
         source.quantized = {
             {.rows = kOutputs, .columns = kInputs, .read_rows = read, .scales = scales.data(), .zeros = zeros.data()}};
         return platform.pack(source, {.quantization = Quantization::kInt4, .group_size = 32}, {});
       }});
  return all;
}

/// Its blocks in other memory.
PackedImage copy_of(const PackedImage& image, Platform& platform) {
  PackedImage copy{.form = image.form, .blocks = {}};
  for (const Buffer& block : image.blocks) {
    copy.blocks.push_back(platform.allocate(block.bytes));
    std::memcpy(copy.blocks.back().data.get(), block.data.get(), block.bytes);
  }
  return copy;
}

/// FNV-1a.
std::uint64_t hash_of(const PackedImage& image) {
  std::uint64_t hash = 14695981039346656037U;
  for (const Buffer& block : image.blocks) {
    const auto* bytes = static_cast<const std::uint8_t*>(block.data.get());
    for (std::size_t i = 0; i < block.bytes; ++i) hash = (hash ^ bytes[i]) * 1099511628211U;
  }
  return hash;
}

}  // namespace

TEST_CASE("A packed weight restored from its bytes multiplies as the weight does, bit for bit") {
  Random random(5);
  const Matrix x = random.matrix(3, kInputs);
  for (const auto& machine : test::machines()) {
    for (const Sample& sample : samples()) {
      CAPTURE(machine->label, sample.name);
      PackedWeight weight = sample.pack(machine->platform);
      const PackedImage image = copy_of(machine->platform.image(weight), machine->platform);
      const PackedWeight restored = machine->platform.restore(image);
      CHECK(restored.out_features() == weight.out_features());
      CHECK(restored.in_features() == weight.in_features());
      CHECK(restored.bytes() == weight.bytes());
      const auto product = [&](const PackedWeight& factor) {
        Matrix y(x.rows, factor.out_features() / (sample.gated ? 2 : 1));
        machine->ops().linear({&factor, x.view(), y.view(), {.gated = sample.gated}});
        return y;
      };
      const Matrix expected = product(weight);
      weight = {};  // what was restored does not need it
      const Matrix y = product(restored);
      CHECK(test::same_bits(y, expected));
      const PackedImage again = machine->platform.image(restored);
      CHECK(again.form == image.form);
      CHECK(hash_of(again) == hash_of(image));
    }
  }
}

// Files of packed weights outlive the program that wrote them. When this fails, the same weights get other bytes: raise
// kPanelVersion (kernels/cpu/weight_image.h), and put the new values here.
TEST_CASE("The bytes of packed weights are those of their version") {
  CHECK(cpu::kPanelVersion == 1);
  const std::map<std::string, std::uint64_t> known = {
      {"float32", 0x9c80e96a8ea2f355U},           {"bfloat16", 0x8cd2d87bb16596c3U},
      {"bfloat16 rows", 0xf125808cdbef08dbU},     {"int8", 0x6be2a3e605d18526U},
      {"int8 rows", 0x2517b6a33fe4b5beU},         {"int4", 0xf94b9f92a2e97c73U},
      {"int4 groups of 64", 0xd68ac2d34995777bU}, {"int4 with zero points", 0x34c7e05146c54bcbU}};
  test::Machine machine("portable");
  for (const Sample& sample : samples()) {
    const std::uint64_t hash = hash_of(machine.platform.image(sample.pack(machine.platform)));
    CAPTURE(sample.name, hash);
    CHECK(known.at(sample.name) == hash);
  }
}

TEST_CASE("What packed bytes depend on is in the platform's words") {
  const CpuPlatform portable({.threads = 1, .isa = "portable"});
  CHECK(portable.packed_format() == CpuPlatform({.threads = 2, .isa = "portable"}).packed_format());
  if (cpu::detect_cpu_features().avx2) {
    CHECK(portable.packed_format() != CpuPlatform({.threads = 1, .isa = "avx2"}).packed_format());
  }
}

TEST_CASE("Bytes that are no packed weight are refused") {
  test::Machine machine("portable");
  CpuPlatform& platform = machine.platform;
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    const PackedImage image = copy_of(platform.image(sample.pack(platform)), platform);
    CHECK_NOTHROW(platform.restore(image));
    PackedImage bad = image;
    bad.blocks.clear();
    CHECK_THROWS_AS(platform.restore(bad), StartupError);
    bad = image;
    bad.form.pop_back();
    CHECK_THROWS_AS(platform.restore(bad), StartupError);
    bad = image;
    bad.blocks[0].bytes -= 64;
    CHECK_THROWS_AS(platform.restore(bad), StartupError);
    // Any number of the form by itself: another size, a layout or type that there is not, or a flag that is none.
    for (std::size_t at = 0; at < image.form.size(); at += sizeof(std::int64_t)) {
      for (const std::int64_t value : {std::int64_t{-1}, std::int64_t{1} << 40}) {
        bad = image;
        std::memcpy(bad.form.data() + at, &value, sizeof(value));
        CHECK_THROWS_AS(platform.restore(bad), StartupError);
      }
    }
  }
}

}  // namespace krait
