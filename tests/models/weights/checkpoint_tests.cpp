#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>

#include "models/weights/weight_loader.h"
#include "tests/models/config/startup_error_message.h"
#include "tests/models/weights/safetensors_bytes.h"
#include "tests/temp_folder.h"

using namespace krait::test;
using krait::Checkpoint;
using krait::DType;
using krait::Shape;
using krait::TensorView;

namespace {

const std::string kRoot = KRAIT_SOURCE_DIR;
const std::string kIndex = "model.safetensors.index.json";

/// A file with one tensor of four bytes.
std::string one_tensor(const std::string& name, const std::string& data = "abcd") {
  return safetensors_bytes(R"({")" + name + R"(": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}})", data);
}

std::string open_error(const TempFolder& folder) {
  return startup_error_message([&] { const Checkpoint checkpoint(folder.path()); });
}

void write_index(const TempFolder& folder, const std::string& weight_map) {
  folder.write(kIndex, R"({"metadata": {"total_size": 8}, "weight_map": )" + weight_map + "}");
}

}  // namespace

TEST_CASE("a single file's tensors are mapped") {
  const TempFolder folder;
  folder.write("model.safetensors", one_tensor("w"));
  const Checkpoint checkpoint(folder.path());
  CHECK(checkpoint.names() == std::vector<std::string>{"w"});
  CHECK(checkpoint.total_bytes() == 4);
  CHECK(checkpoint.folder() == folder.path());
  CHECK(checkpoint.file_of("w") == folder.file("model.safetensors"));
  const TensorView view = checkpoint.tensor("w");
  CHECK(view.dtype == DType::kUInt8);
  CHECK(view.shape == Shape{4});
  CHECK(view.as<char>()[3] == 'd');
  CHECK_FALSE(checkpoint.has("x"));
  CHECK(startup_error_message([&] { (void)checkpoint.tensor("x"); }) ==
        folder.path() + ": tensor `x` is not in the checkpoint");
}

TEST_CASE("data that is not aligned for its dtype is read from an aligned copy") {
  for (const std::size_t padding : {0, 1, 2, 3, 4, 5, 6, 7}) {
    const TempFolder folder;
    const std::string header =
        R"({"w": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]}})" + std::string(padding, ' ');
    folder.write("model.safetensors", safetensors_bytes(header, bytes_of<std::int64_t>({-7, 1LL << 40})));
    const Checkpoint checkpoint(folder.path());
    const TensorView view = checkpoint.tensor("w");
    REQUIRE(reinterpret_cast<std::uintptr_t>(view.data) % alignof(std::int64_t) == 0);
    CHECK(view.as<std::int64_t>()[0] == -7);
    CHECK(view.as<std::int64_t>()[1] == 1LL << 40);
    CHECK(checkpoint.tensor("w").data == view.data);
    checkpoint.discard(view);
    CHECK(view.as<std::int64_t>()[0] == -7);
  }
}

TEST_CASE("discarded pages are read again") {
  const Checkpoint checkpoint(kRoot + "/demo/aesop");
  const TensorView view = checkpoint.tensor("model.embed_tokens.weight");
  const auto sum = [&view] {
    std::uint64_t total = 0;
    for (std::int64_t i = 0; i < view.shape.elements(); ++i) total += view.as<std::uint16_t>()[i];
    return total;
  };
  const std::uint64_t before = sum();
  checkpoint.discard(view);
  CHECK(sum() == before);
}

TEST_CASE("shards are found by their index") {
  const TempFolder folder;
  folder.write("a.safetensors", one_tensor("a", "aaaa"));
  folder.write("b.safetensors", safetensors_bytes(R"({"b": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                                     "a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]},
                                     "extra": {"dtype": "U8", "shape": [4], "data_offsets": [8, 12]}})",
                                                  "bbbbxxxxeeee"));
  write_index(folder, R"({"a": "a.safetensors", "b": "b.safetensors"})");
  const Checkpoint checkpoint(folder.path());
  CHECK(checkpoint.names() == std::vector<std::string>{"a", "b", "extra"});
  CHECK(*checkpoint.tensor("a").as<char>() == 'a');
  CHECK(*checkpoint.tensor("b").as<char>() == 'b');
  CHECK(checkpoint.file_of("b") == folder.file("b.safetensors"));
}

TEST_CASE("a missing shard is named with a tensor that it should hold") {
  const TempFolder folder;
  folder.write("a.safetensors", one_tensor("a"));
  write_index(folder, R"({"a": "a.safetensors", "b": "b.safetensors"})");
  CHECK(open_error(folder) == folder.file("b.safetensors") +
                                  ": tensor `b` should be in this file, but there is no such file (" +
                                  folder.file(kIndex) + " names it): is the download complete?");
}

TEST_CASE("a tensor that its shard lacks is named") {
  const TempFolder folder;
  folder.write("a.safetensors", one_tensor("a"));
  write_index(folder, R"({"a": "a.safetensors", "b": "a.safetensors"})");
  CHECK(open_error(folder) ==
        folder.file("a.safetensors") + ": tensor `b` is not in this file, but " + folder.file(kIndex) + " says so");
}

TEST_CASE("an index may not point outside of its folder") {
  const TempFolder folder;
  for (const char* name : {"../a.safetensors", "/etc/a.safetensors", "x/a.safetensors", "..", "", "a.bin",
                           "a\\\\b.safetensors", "a\\u0000.safetensors"}) {
    write_index(folder, R"({"w": ")" + std::string(name) + R"("})");
    CHECK(open_error(folder).find(folder.file(kIndex) +
                                  ": tensor `w` in `weight_map` must have the name of a .safetensors file") == 0);
  }
}

TEST_CASE("a corrupt index is refused") {
  const TempFolder folder;
  for (const char* weight_map : {"3", "{}", "[]", "null"}) {
    write_index(folder, weight_map);
    CHECK(open_error(folder).find(": must have `weight_map`") != std::string::npos);
  }
  write_index(folder, R"({"w": 3})");
  CHECK(open_error(folder).find("tensor `w` in `weight_map` must have a file name, found 3") != std::string::npos);
  folder.write(kIndex, "{\"weight_map\": {");
  CHECK(open_error(folder).find(folder.file(kIndex) + ": is not valid JSON") == 0);
  folder.write(kIndex, "[]");
  CHECK(open_error(folder).find(": must have `weight_map`") != std::string::npos);
}

TEST_CASE("a folder without safetensors gets advice") {
  const TempFolder folder;
  const std::string neither = folder.path() + ": has neither model.safetensors nor model.safetensors.index.json";
  CHECK(open_error(folder).find(neither + ": the weights are missing. Download") == 0);
  folder.write("pytorch_model.bin", "x");
  CHECK(open_error(folder).find(neither + ", but pytorch_model.bin. Krait reads safetensors only: load it") == 0);
  folder.write("model-q4.gguf", "x");
  CHECK(open_error(folder).find(neither + ", but model-q4.gguf. Krait reads safetensors only: download") == 0);
  folder.write("weights.safetensors", one_tensor("w"));
  CHECK(open_error(folder).find(neither + ", but weights.safetensors. Name the file") == 0);
  CHECK(startup_error_message([&] { const Checkpoint checkpoint(folder.file("none")); }) ==
        folder.file("none") + ": no such folder");
}

TEST_CASE("what is no file, or an empty one, is refused") {
  const TempFolder folder;
  folder.write("model.safetensors", "");
  CHECK(open_error(folder) == folder.file("model.safetensors") + ": is empty");
  std::filesystem::remove(folder.file("model.safetensors"));
  std::filesystem::create_directory(folder.file("model.safetensors"));
  CHECK(open_error(folder) == folder.file("model.safetensors") + ": is not a regular file");
}

TEST_CASE("a truncated file is refused with its name and a tensor's") {
  const TempFolder folder;
  std::filesystem::copy(kRoot + "/tests/golden/models/llama/model.safetensors", folder.file("model.safetensors"));
  std::filesystem::resize_file(folder.file("model.safetensors"), 200'000);
  const std::string message = open_error(folder);
  CHECK(message.find(folder.file("model.safetensors") + ": tensor `model.layers.") == 0);
  CHECK(message.find("end past the data section") != std::string::npos);
}

TEST_CASE("the golden checkpoints and the demo model open") {
  const auto check = [](const std::string& folder, std::size_t tensors, const std::string& name, const Shape& shape) {
    const Checkpoint checkpoint(kRoot + folder);
    CHECK(checkpoint.names().size() == tensors);
    CHECK(checkpoint.tensor(name).dtype == DType::kBFloat16);
    CHECK(checkpoint.tensor(name).shape == shape);
  };
  const std::string golden = "/tests/golden/models/";
  check(golden + "llama", 30, "model.layers.2.mlp.down_proj.weight", Shape{64, 96});
  check(golden + "granitemoehybrid_dense", 46, "model.layers.0.mamba.conv1d.weight", Shape{160, 1, 4});
  check(golden + "granitemoehybrid_moe", 65, "model.layers.0.block_sparse_moe.input_linear.weight", Shape{6, 64, 64});
  check(golden + "mamba2", 36, "backbone.layers.0.mixer.A_log", Shape{8});
  check(golden + "mamba2_dtlimit", 30, "backbone.embeddings.weight", Shape{256, 64});
  check("/demo/aesop", 66, "model.embed_tokens.weight", Shape{3072, 256});
}
