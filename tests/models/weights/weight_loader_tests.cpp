#include "models/weights/matrix_source.h"
#include "models/weights/weight_loader.h"
#include "models/weights/weight_store.h"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/models/config/startup_error_message.h"
#include "tests/models/weights/fake_platform.h"
#include "tests/models/weights/safetensors_bytes.h"
#include "tests/temp_folder.h"

using namespace krait::test;
using krait::Checkpoint;
using krait::DType;
using krait::PackedWeight;
using krait::Shape;
using krait::Tensor;
using krait::WeightLoader;
using nlohmann::json;

namespace {

/// A folder with one checkpoint, built tensor by tensor.
class Builder {
 public:
  Builder& add(const std::string& name, const std::string& dtype, const std::vector<std::int64_t>& shape,
               const std::string& data) {
    header_[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {data_.size(), data_.size() + data.size()}}};
    data_ += data;
    return *this;
  }
  /// A bfloat16 tensor whose elements count up from `first`, as bits.
  Builder& add_counted(const std::string& name, const std::vector<std::int64_t>& shape, std::uint16_t first = 0) {
    std::string data;
    std::int64_t elements = 1;
    for (const std::int64_t dim : shape) elements *= dim;
    for (std::int64_t i = 0; i < elements; ++i) data += bytes_of({static_cast<std::uint16_t>(first + i)});
    return add(name, "BF16", shape, data);
  }
  Checkpoint build() {
    folder_.write("model.safetensors", safetensors_bytes(header_.dump(), data_));
    return Checkpoint(folder_.path());
  }
  [[nodiscard]] std::string folder() const { return folder_.path(); }
  [[nodiscard]] std::string file() const { return folder_.file("model.safetensors"); }

 private:
  TempFolder folder_;
  json header_ = json::object();
  std::string data_;
};

std::vector<float> values(const Tensor& tensor) {
  const auto* data = tensor.view().as<float>();
  return {data, data + tensor.view().shape.elements()};
}

std::string finish_error(WeightLoader& loader) {
  return startup_error_message([&] { loader.finish(); });
}

}  // namespace

TEST_CASE("float32 converts from each floating-point type exactly") {
  Builder builder;
  builder.add("b", "BF16", {2},
              bytes_of<std::uint16_t>({krait::float_to_bfloat16(1.5F), krait::float_to_bfloat16(-3.0F)}));
  builder.add("h", "F16", {2},
              bytes_of<std::uint16_t>({krait::float_to_float16(0.25F), krait::float_to_float16(-8.0F)}));
  builder.add("f", "F32", {2, 1}, bytes_of<float>({0.1F, -2e30F}));
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  CHECK(values(loader.float32("b", {2})) == std::vector<float>{1.5F, -3.0F});
  CHECK(values(loader.float32("h", {2})) == std::vector<float>{0.25F, -8.0F});
  CHECK(values(loader.float32("f", {2, 1})) == std::vector<float>{0.1F, -2e30F});
  CHECK_NOTHROW(loader.finish());
  CHECK(loader.parameters() == 6);
  CHECK(loader.packed_bytes() == 24);
}

TEST_CASE("float32 can transpose a matrix") {
  Builder builder;
  builder.add("w", "F32", {2, 3}, bytes_of<float>({1, 2, 3, 4, 5, 6}));
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  const Tensor tensor = loader.float32("w", {2, 3}, true);
  CHECK(tensor.view().shape == Shape{3, 2});
  CHECK(values(tensor) == std::vector<float>{1, 4, 2, 5, 3, 6});
}

TEST_CASE("numbers can be changed on their way to the platform, or read before it has them") {
  Builder builder;
  builder.add("decay", "F32", {3}, bytes_of<float>({1, 2, 3}));
  builder.add("scale", "F32", {2}, bytes_of<float>({5, 7}));
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  CHECK(values(loader.transformed("decay", {3}, [](float x) { return -x; })) == std::vector<float>{-1, -2, -3});
  CHECK(loader.values("scale", {2}) == std::vector<float>{5, 7});
  CHECK_NOTHROW(loader.finish());
  CHECK(loader.packed_bytes() == 12);
  CHECK(loader.parameters() == 5);

  CHECK(loader.values("absent", {2}) == std::vector<float>{0, 0});
  CHECK_FALSE(loader.transformed("absent", {2}, [](float x) { return x; }).defined());
  CHECK(finish_error(loader).find("absent") != std::string::npos);

  WeightLoader plan(checkpoint);
  CHECK_FALSE(plan.transformed("decay", {3}, [](float x) { return -x; }).defined());
  CHECK(plan.values("scale", {2}) == std::vector<float>{0, 0});
  CHECK(plan.packed_bytes() == 12);
}

TEST_CASE("raw keeps bytes and dtype") {
  Builder builder;
  builder.add_counted("w", {2, 2}, 100);
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  const Tensor tensor = loader.raw("w", {2, 2});
  CHECK(tensor.view().dtype == DType::kBFloat16);
  CHECK(tensor.view().as<std::uint16_t>()[3] == 103);
  CHECK(loader.packed_bytes() == 8);
}

TEST_CASE("a linear weight hands its parts and biases to the platform") {
  Builder builder;
  builder.add_counted("q", {4, 2}, 10)
      .add_counted("k", {2, 2}, 20)
      .add_counted("q.bias", {4})
      .add_counted("k.bias", {2});
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kBFloat16);
  const PackedWeight weight = loader.linear(
      {{.weight = "q", .bias = "q.bias", .out_features = 4}, {.weight = "k", .bias = "k.bias", .out_features = 2}}, 2,
      {.gate_up = true});
  REQUIRE(weight.defined());
  CHECK(weight.out_features() == 6);
  REQUIRE(platform.packed.size() == 1);
  CHECK(platform.packed[0].parts == std::vector<Shape>{Shape{4, 2}, Shape{2, 2}});
  CHECK(platform.packed[0].biases == std::vector<Shape>{Shape{4}, Shape{2}});
  CHECK(platform.packed[0].first_elements == std::vector<std::uint16_t>{10, 20});
  CHECK(platform.packed[0].compute_dtype == DType::kBFloat16);
  CHECK(platform.packed[0].gate_up);
  CHECK_NOTHROW(loader.finish());
  CHECK(loader.parameters() == 18);
  CHECK(loader.packed_bytes() == FakePlatform::kPackedBytes);
}

TEST_CASE("a rank's share is the platform's business") {
  Builder builder;
  builder.add_counted("w", {4, 2});
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  (void)loader.linear({{.weight = "w", .out_features = 4}}, 2,
                      {.shard = {.axis = krait::Shard::Axis::kOutput, .rank = 1, .size = 2}});
  CHECK(platform.packed[0].parts == std::vector<Shape>{Shape{4, 2}});
  CHECK(platform.packed[0].shard.axis == krait::Shard::Axis::kOutput);
  CHECK(platform.packed[0].shard.rank == 1);
}

TEST_CASE("a convolution's weight is laid out by tap") {
  Builder builder;
  builder.add("conv", "F32", {3, 1, 2}, bytes_of<float>({1, 2, 3, 4, 5, 6}));
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  const Tensor tensor = loader.conv_weight("conv", 3, 2);
  CHECK(tensor.view().shape == Shape{2, 3});
  CHECK(values(tensor) == std::vector<float>{1, 3, 5, 2, 4, 6});
  CHECK_FALSE(loader.conv_weight("none", 3, 2).defined());
  CHECK(loader.packed_bytes() == 24);
}

TEST_CASE("each matrix of a stack is packed, and the stack counts once") {
  Builder builder;
  builder.add_counted("experts", {3, 4, 2});
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  for (std::int64_t i = 0; i < 3; ++i) {
    CHECK(loader.linear({{.weight = "experts", .out_features = 4, .stack_count = 3, .stack_index = i}}, 2).defined());
    CHECK(platform.packed.back().parts == std::vector<Shape>{Shape{4, 2}});
    CHECK(platform.packed.back().first_elements[0] == 8 * i);
  }
  CHECK(loader.parameters() == 24);
  CHECK(loader.packed_bytes() == 3 * FakePlatform::kPackedBytes);
}

TEST_CASE("rows of a matrix and of its bias are put in the order that is asked") {
  Builder builder;
  builder.add_counted("w", {4, 2}, 10).add_counted("w.bias", {4}, 50);
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  const auto part = [](std::vector<std::int32_t> rows) {
    return krait::MatrixSource{.weight = "w",
                               .bias = "w.bias",
                               .out_features = static_cast<std::int64_t>(rows.size()),
                               .rows = std::move(rows),
                               .stored_rows = 4};
  };
  CHECK(loader.linear({part({1, 3}), part({2})}, 2).defined());
  CHECK(platform.packed[0].parts == std::vector<Shape>{Shape{2, 2}, Shape{1, 2}});
  CHECK(platform.packed[0].first_elements == std::vector<std::uint16_t>{12, 14});
  CHECK(loader.parameters() == 12);
}

TEST_CASE("matrices stored as [in, out] are turned, in stacks too") {
  Builder builder;
  builder.add_counted("w", {2, 3, 4}, 0).add_counted("b", {2, 4}, 90);
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  // The second matrix is [[12..15], [16..19], [20..23]]; its odd columns are rows {13, 17, 21} and {15, 19, 23}.
  CHECK(loader
            .linear({{.weight = "w",
                      .bias = "b",
                      .out_features = 2,
                      .stack_count = 2,
                      .stack_index = 1,
                      .transposed = true,
                      .rows = {1, 3},
                      .stored_rows = 4}},
                    3)
            .defined());
  CHECK(platform.packed[0].parts == std::vector<Shape>{Shape{2, 3}});
  CHECK(platform.packed[0].biases == std::vector<Shape>{Shape{2}});
  CHECK(platform.packed[0].first_elements == std::vector<std::uint16_t>{13});
}

TEST_CASE("some of a matrix's inputs are taken, turned or not") {
  Builder builder;
  builder.add_counted("w", {3, 4}, 0).add_counted("w_turned", {4, 3}, 100);
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  // Columns 1 and 2 of [[0..3], [4..7], [8..11]], then rows 2 and 3 of the other as two inputs.
  CHECK(
      loader
          .linear({{.weight = "w", .out_features = 3, .stored_inputs = 4, .first_input = 1},
                   {.weight = "w_turned", .out_features = 3, .transposed = true, .stored_inputs = 4, .first_input = 2}},
                  2)
          .defined());
  CHECK(platform.packed[0].parts == std::vector<Shape>{Shape{3, 2}, Shape{3, 2}});
  CHECK(platform.packed[0].first_elements == std::vector<std::uint16_t>{1, 106});
}

TEST_CASE("one tap of a convolution whose channels mix is a matrix") {
  Builder builder;
  builder.add_counted("w", {4, 2, 3}, 0);
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  // Outputs 2 and 3 of tap 1: element (o, i) is number 6 o + 3 i + 1.
  const krait::MatrixSource tap{
      .weight = "w", .out_features = 2, .rows = {2, 3}, .stored_rows = 4, .taps = 3, .tap = 1};
  CHECK(loader.linear({tap}, 2).defined());
  CHECK(platform.packed[0].parts == std::vector<Shape>{Shape{2, 2}});
  CHECK(platform.packed[0].first_elements == std::vector<std::uint16_t>{13});
  CHECK_NOTHROW(loader.finish());

  std::vector<std::vector<std::byte>> copies;
  const krait::TensorView matrix = krait::matrix_view(tap, checkpoint.tensor("w"), 2, copies);
  const auto* elements = matrix.as<const std::uint16_t>();
  CHECK(std::vector<std::uint16_t>(elements, elements + 4) == std::vector<std::uint16_t>{13, 16, 19, 22});
}

TEST_CASE("numbers of a formula are in the platform's memory") {
  Builder builder;
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  const Tensor tensor = loader.vector(std::vector<float>{0.5F, -1.0F});
  CHECK(tensor.view().shape == Shape{2});
  CHECK(values(tensor) == std::vector<float>{0.5F, -1.0F});
  CHECK(loader.packed_bytes() == 8);
}

TEST_CASE("convolutions that run as one lie side by side") {
  Builder builder;
  builder.add("q", "F32", {1, 1, 2}, bytes_of<float>({1, 2})).add("k", "F32", {2, 1, 2}, bytes_of<float>({3, 4, 5, 6}));
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  const Tensor tensor = loader.conv_weight({{.weight = "q", .channels = 1}, {.weight = "k", .channels = 2}}, 2);
  CHECK(tensor.view().shape == Shape{2, 3});
  CHECK(values(tensor) == std::vector<float>{1, 3, 5, 2, 4, 6});
}

TEST_CASE("a tensor that is used twice counts once") {
  Builder builder;
  builder.add_counted("embedding", {4, 2});
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  std::vector<std::size_t> progress;
  loader.on_progress([&](std::size_t bytes) { progress.push_back(bytes); });
  (void)loader.raw("embedding", {4, 2});
  (void)loader.linear({{.weight = "embedding", .out_features = 4}}, 2);
  CHECK(loader.parameters() == 8);
  CHECK(progress == std::vector<std::size_t>{16, 16});
}

TEST_CASE("all tensors below a name can be left alone") {
  Builder builder;
  builder.add_counted("mtp.0.norm", {2}).add_counted("mtp.norm", {1}).add_counted("mtp", {1}).add_counted("mtpx", {1});
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  loader.ignore("mtp.*");
  CHECK(finish_error(loader).find("2 unexpected: mtp, mtpx") != std::string::npos);
}

TEST_CASE("finish lists all that is missing, misshapen and unexpected") {
  Builder builder;
  builder.add_counted("wide", {3, 4}).add_counted("w", {2, 2}).add_counted("stray", {1}).add_counted("buffer", {1});
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  CHECK(loader.has("stray"));
  CHECK_FALSE(loader.has("gone"));
  loader.ignore("buffer");
  loader.ignore("not there either");
  CHECK_FALSE(loader.float32("gone", {3}).defined());
  CHECK_FALSE(loader.raw("wide", {4, 4}).defined());
  CHECK_FALSE(loader.linear({{.weight = "w", .bias = "w.bias", .out_features = 2}}, 2).defined());
  CHECK_FALSE(
      loader.linear({{.weight = "experts", .out_features = 2, .stack_count = 2, .stack_index = 0}}, 2).defined());
  CHECK_FALSE(
      loader.linear({{.weight = "experts", .out_features = 2, .stack_count = 2, .stack_index = 1}}, 2).defined());
  CHECK(platform.packed.empty());
  CHECK(finish_error(loader) == builder.folder() +
                                    ": its tensors do not fit the model that config.json describes:"
                                    "\n  3 missing: experts, gone, w.bias"
                                    "\n  1 of another shape: wide (found [3, 4], expected [4, 4])"
                                    "\n  1 unexpected: stray");
}

TEST_CASE("finish lists the first twenty of each") {
  const Checkpoint checkpoint = Builder().add_counted("w", {1}).build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  (void)loader.raw("w", {1});
  for (int i = 100; i < 125; ++i) (void)loader.raw("t" + std::to_string(i), {1});
  const std::string message = finish_error(loader);
  CHECK(message.find("25 missing: t100, t101") != std::string::npos);
  CHECK(message.ends_with("t119 and 5 more"));
}

TEST_CASE("a dtype that no weight has is refused with the file's and the tensor's name") {
  Builder builder;
  builder.add("w", "I8", {2, 2}, "abcd").add("f8", "F8_E4M3", {4}, "abcd");
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  const std::string valid = "; valid are float32, bfloat16, float16, float8_e4m3 and float8_e5m2";
  CHECK(startup_error_message([&] { (void)loader.linear({{.weight = "w", .out_features = 2}}, 2); }) ==
        builder.file() + ": tensor `w` is int8" + valid);
  CHECK(startup_error_message([&] {
          (void)loader.raw("w", {2, 2});
        }) == builder.file() + ": tensor `w` is int8" + valid);
  CHECK(values(loader.float32("f8", {4})).size() == 4);
}

TEST_CASE("what the platform refuses gets the tensor's name") {
  Builder builder;
  builder.add_counted("w", {2, 2});
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  platform.refusal = "parts of two dtypes";
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  CHECK(startup_error_message([&] { (void)loader.linear({{.weight = "w", .out_features = 2}}, 2); }) ==
        builder.file() + ": tensor `w`: parts of two dtypes");
}

TEST_CASE("planning counts each name once and gives nothing") {
  WeightLoader loader(DType::kBFloat16);
  CHECK(loader.has("anything"));
  CHECK(!loader.raw("embedding", {10, 4}).defined());
  CHECK(!loader.float32("norm", {4}).defined());
  CHECK(!loader.conv_weight("conv", 6, 3).defined());
  CHECK(!loader.linear({{.weight = "w", .bias = "b", .out_features = 8}}, 4).defined());
  CHECK(!loader.linear({{.weight = "embedding", .out_features = 10}}, 4).defined());
  CHECK_NOTHROW(loader.finish());
  CHECK(loader.parameters() == 40 + 4 + 18 + 32 + 8);
  // Norms, convolutions and biases in float32; the tied head is a weight of its own beside the table.
  CHECK(loader.packed_bytes() == 80 + 16 + 72 + 64 + 32 + 80);
}

TEST_CASE("planning counts a stack once and each of its matrices' bytes") {
  WeightLoader loader(DType::kBFloat16);
  for (std::int64_t i = 0; i < 3; ++i) {
    loader.linear({{.weight = "stack", .out_features = 4, .stack_count = 3, .stack_index = i}}, 2);
  }
  CHECK(loader.parameters() == 24);
  CHECK(loader.packed_bytes() == 48);
}

TEST_CASE("planning with a checkpoint reads headers only, and says what does not fit") {
  Builder builder;
  builder.add_counted("there", {4, 2}).add_counted("other", {3}).add_counted("left", {1});
  const Checkpoint checkpoint = builder.build();
  WeightLoader loader(checkpoint);
  CHECK(!loader.has("absent"));
  CHECK(!loader.linear({{.weight = "there", .out_features = 4}}, 2).defined());
  CHECK(!loader.float32("other", {4}).defined());
  CHECK(!loader.raw("absent", {2}).defined());
  CHECK(loader.parameters() == 8);
  const std::string message = finish_error(loader);
  CHECK(message.find("1 missing: absent") != std::string::npos);
  CHECK(message.find("other (found [3], expected [4])") != std::string::npos);
  CHECK(message.find("1 unexpected: left") != std::string::npos);
}

TEST_CASE("8-bit floats are read with the scales beside them") {
  Builder builder;
  // 1, 2, 4 and 8 in e4m3.
  const std::string row = {0x38, 0x40, 0x48, 0x50};
  builder.add("plain", "F8_E4M3", {1, 4}, row);
  builder.add("one.weight", "F8_E4M3", {2, 4}, row + row);
  builder.add("one.weight_scale", "F32", {}, bytes_of<float>({0.1F}));
  builder.add("one.input_scale", "F32", {1}, bytes_of<float>({9.0F}));
  builder.add("rows.weight", "F8_E4M3", {2, 4}, row + row);
  builder.add("rows.weight_scale", "BF16", {2, 1},
              bytes_of<std::uint16_t>({krait::float_to_bfloat16(0.5F), krait::float_to_bfloat16(3.0F)}));
  builder.add("blocks.weight", "F8_E4M3", {3, 4}, row + row + row);
  builder.add("blocks.weight_scale_inv", "F32", {2, 2}, bytes_of<float>({1, 2, 3, 5}));
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  loader.set_scale_blocks(2, 3);
  CHECK(values(loader.float32("plain", {1, 4})) == std::vector<float>{1, 2, 4, 8});
  CHECK(values(loader.float32("one.weight", {2, 4}))[7] == 8 * 0.1F);
  CHECK(values(loader.float32("rows.weight", {2, 4})) == std::vector<float>{0.5F, 1, 2, 4, 3, 6, 12, 24});
  CHECK(values(loader.raw("blocks.weight", {3, 4})) == std::vector<float>{1, 2, 4, 16, 1, 2, 4, 16, 3, 6, 12, 40});
  CHECK_NOTHROW(loader.finish());
  // Scales are no parameters.
  CHECK(loader.parameters() == 4 + 8 + 8 + 12);

  WeightLoader plan(checkpoint);
  plan.raw("plain", {1, 4});
  plan.raw("one.weight", {2, 4});
  CHECK(plan.packed_bytes() == 4 * 2 + 8 * 4);
}

TEST_CASE("a stack of 8-bit floats has scales of its own for each matrix") {
  Builder builder;
  const std::string row = {0x38, 0x40};
  builder.add("stack", "F8_E4M3", {2, 2, 2}, row + row + row + row);
  builder.add("stack_scale", "F32", {2, 2, 1}, bytes_of<float>({1, 2, 3, 4}));
  const Checkpoint checkpoint = builder.build();
  class Reading final : public FakePlatform {
   public:
    std::vector<float> seen;
    PackedWeight pack(const krait::WeightSource& source, const krait::PackScheme& scheme,
                      const krait::Shard& shard) override {
      CHECK(source.parts[0].dtype == DType::kFloat32);
      const auto* data = source.parts[0].as<float>();
      seen.insert(seen.end(), data, data + source.parts[0].shape.elements());
      return FakePlatform::pack(source, scheme, shard);
    }
  } platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  for (std::int64_t i = 0; i < 2; ++i) {
    loader.linear({{.weight = "stack", .out_features = 2, .stack_count = 2, .stack_index = i}}, 2);
  }
  CHECK(platform.seen == std::vector<float>{1, 2, 2, 4, 3, 6, 4, 8});
  CHECK_NOTHROW(loader.finish());
}

TEST_CASE("scales that fit their matrix in no way are refused with both shapes") {
  Builder builder;
  builder.add("w.weight", "F8_E4M3", {2, 2}, std::string(4, '\x38'));
  builder.add("w.weight_scale", "F32", {3}, bytes_of<float>({1, 1, 1}));
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  const std::string message = startup_error_message([&] { loader.float32("w.weight", {2, 2}); });
  CHECK(message.find("`w.weight_scale` has the shape [3], which fits `w.weight` [2, 2] in no way") !=
        std::string::npos);
}

TEST_CASE("a copy of misaligned data goes when its tensor has been taken") {
  Builder builder;
  builder.add("one", "U8", {1}, "x");
  builder.add_counted("w", {2, 2}, 7);
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  loader.ignore("one");
  for (int i = 0; i < 2; ++i) loader.linear({{.weight = "w", .out_features = 2}}, 2);
  CHECK(platform.packed[1].first_elements[0] == 7);
}

namespace {

/// Keeps what it is given, and finds it again.
class MapStore final : public krait::WeightStore {
 public:
  std::map<std::string, PackedWeight> weights;
  std::map<std::string, Tensor> tensors;

  PackedWeight find_weight(const std::string& key) override {
    const auto found = weights.find(key);
    return found == weights.end() ? PackedWeight{} : found->second;
  }
  Tensor find_tensor(const std::string& key) override {
    const auto found = tensors.find(key);
    return found == tensors.end() ? Tensor{} : found->second;
  }
  void keep(const std::string& key, const PackedWeight& weight) override { weights.emplace(key, weight); }
  void keep(const std::string& key, const Tensor& tensor) override { tensors.emplace(key, tensor); }
};

}  // namespace

TEST_CASE("what a store has is counted as read, and layers get copies of what they may change") {
  Builder builder;
  builder.add_counted("w", {4, 2}).add("a", "F32", {2}, bytes_of<float>({1, 2})).add_counted("table", {3, 2}, 7);
  builder.add("conv", "F32", {3, 1, 2}, bytes_of<float>({1, 2, 3, 4, 5, 6}));
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  MapStore store;
  for (const bool again : {false, true}) {
    WeightLoader loader(checkpoint, platform, DType::kFloat32);
    loader.set_store(store);
    CHECK(loader.linear({{.weight = "w", .out_features = 4}}, 2).defined());
    const Tensor a = loader.float32("a", {2});
    CHECK(values(a) == std::vector<float>{1, 2});
    a.view().as<float>()[0] = -1.0F;
    CHECK(values(loader.conv_weight("conv", 3, 2)) == std::vector<float>{1, 3, 5, 2, 4, 6});
    CHECK(loader.raw("table", {3, 2}).view().as<std::uint16_t>()[5] == 12);
    CHECK_NOTHROW(loader.finish());
    CHECK(loader.parameters() == 22);
    CHECK(loader.packed_bytes() == FakePlatform::kPackedBytes + 8 + 24 + 12);
    CHECK(loader.lookup_bytes() == 12);
    CHECK(platform.packed.size() == 1);
    CHECK((again || store.tensors.size() == 3));
  }
}

TEST_CASE("weights that are made in different ways have different keys") {
  Builder builder;
  builder.add_counted("w", {4, 2}).add_counted("stack", {2, 4, 2}).add_counted("w.bias", {4});
  const Checkpoint checkpoint = builder.build();
  FakePlatform platform;
  MapStore store;
  WeightLoader loader(checkpoint, platform, DType::kFloat32);
  loader.set_store(store);
  const krait::MatrixSource whole{.weight = "w", .out_features = 4};
  krait::MatrixSource part = whole;
  const auto load = [&](const std::vector<krait::MatrixSource>& parts, const krait::LinearOptions& options = {}) {
    CHECK(loader.linear(parts, 2, options).defined());
  };
  load({whole});
  load({whole, whole});
  load({whole}, {.gate_up = true});
  load({whole}, {.compute_dtype = DType::kBFloat16});
  for (const int rank : {0, 1}) {
    load({whole}, {.shard = {.axis = krait::Shard::Axis::kOutput, .rank = rank, .size = 2}});
    load({whole}, {.shard = {.axis = krait::Shard::Axis::kInput, .rank = rank, .size = 2}});
    load({{.weight = "stack", .out_features = 4, .stack_count = 2, .stack_index = rank}});
  }
  part.bias = "w.bias";
  load({part});
  part.rows = {0, 1, 2, 3};
  part.stored_rows = 4;
  load({part});
  part.rows = {3, 1, 2, 0};
  load({part});
  CHECK(store.weights.size() == 13);
  CHECK(platform.packed.size() == 13);
  load({part});
  CHECK(platform.packed.size() == 13);
}
