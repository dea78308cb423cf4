// --packed-weights-dir: a model whose weights come from a file that another load has packed is the same model, and a
// file that is not this model's is never taken.

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "demo_model.h"
#include "engine/checkpoint_quantizer.h"
#include "engine/packed_weights/packed_weight_cache.h"
#include "golden_file.h"
#include "kernels/cpu/cpu_platform.h"
#include "tests/models/config/startup_error_message.h"
#include "tests/temp_folder.h"
#include "tiny_model.h"

using namespace krait;
using namespace krait::test;
namespace fs = std::filesystem;

namespace {

constexpr bool kSlowBuild = KRAIT_SANITIZED != 0;

struct Scheme {
  Quantization quantization;
  DType compute_dtype;
};
constexpr Scheme kSchemes[] = {{Quantization::kNone, DType::kFloat32},
                               {Quantization::kNone, DType::kBFloat16},
                               {Quantization::kInt8, DType::kInt8},
                               {Quantization::kInt4, DType::kFloat32},
                               {Quantization::kInt4, DType::kInt8}};

struct Run {
  std::vector<Row> logits;
  std::size_t weight_bytes = 0;
  std::int64_t parameters = 0;
  bool operator==(const Run&) const = default;
};

Run run(const std::string& folder, const Scheme& scheme, WeightStore* store) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 21; ++i) ids.push_back(i * 37 % 251);
  TinyModel::Options options;
  options.quantization = scheme.quantization;
  options.compute_dtype = scheme.compute_dtype;
  options.store = store;
  TinyModel model(folder, options);
  Sequence sequence = model.start();
  return {.logits = model.run(sequence, ids), .weight_bytes = model.weight_bytes(), .parameters = model.parameters()};
}

/// The demo model in a folder of the test's own, and a folder for its packed weights.
class PackedDemo {
 public:
  PackedDemo() {
    for (const char* name : {"config.json", "model.safetensors"}) {
      fs::copy_file(fs::path(demo_options().model_path) / name, model_.file(name));
    }
  }
  [[nodiscard]] LoadOptions options() {
    LoadOptions options = demo_options();
    options.model_path = model_.path();
    options.packed_weights_dir = packed_.file("inner");
    options.on_note = [this](const std::string& note) { notes_ += note + "\n"; };
    options.on_warning = [this](const std::string& warning) { warnings_ += warning + "\n"; };
    return options;
  }
  /// Loads, answers a prompt, and says whether the weights came from a file.
  bool serves_packed(const LoadOptions& options) {
    notes_.clear();
    warnings_.clear();
    const auto serving = ServingModel::load(options);
    const std::vector<std::int32_t> prompt = demo_cases().front().prompt;
    const std::vector<Answer> answers = answer_alone(serving->engine(), {demo_request("a", prompt, 12)});
    if (options.model_path == model_.path() && options.quantization == Quantization::kNone) {
      if (expected_.empty()) expected_ = answers;
      CHECK(answers == expected_);
    }
    CHECK(serving->summary().cache_budget_bytes > 0);
    return serving->summary().reads_packed_weights;
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(packed_.file("inner"))) paths.push_back(entry.path().string());
    return paths;
  }
  /// Another answer is the right one from now on.
  void expect_other_answers() { expected_.clear(); }
  [[nodiscard]] const TempFolder& model() const { return model_; }
  [[nodiscard]] const std::string& notes() const { return notes_; }
  [[nodiscard]] const std::string& warnings() const { return warnings_; }

 private:
  TempFolder model_;
  TempFolder packed_;
  std::string notes_;
  std::string warnings_;
  std::vector<Answer> expected_;
};

/// The byte at `from_end` before the end of a file is another one; its times stay.
void damage(const std::string& path, std::int64_t from_end) {
  const auto time = fs::last_write_time(path);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(-from_end, std::ios::end);
  const auto byte = static_cast<char>(file.peek() ^ 0x40);
  file.seekp(-from_end, std::ios::end);
  file.put(byte);
  file.close();
  fs::last_write_time(path, time);
}

}  // namespace

TEST_CASE("weights from a packed file give the same logits, in every family and format, and nothing else is read") {
  for (const std::string& fixture : fixture_folders()) {
    for (const Scheme& scheme : kSchemes) {
      if (kSlowBuild && scheme.quantization != Quantization::kInt4) continue;
      CAPTURE(fixture, static_cast<int>(scheme.quantization), static_cast<int>(scheme.compute_dtype));
      const TempFolder model;
      const TempFolder packed;
      fs::copy(fs::path(KRAIT_SOURCE_DIR) / fixture, model.path(), fs::copy_options::recursive);
      const PackedWeightsPlace place{.folder = packed.path(), .file_name = "w", .identity = 7};
      CpuPlatform platform({.threads = 1});
      const Run expected = run(model.path(), scheme, nullptr);
      {
        PackedWeightCache cache(place, {.threads = 1}, platform);
        CHECK(cache.mapped_bytes() == 0);
        CHECK(run(model.path(), scheme, &cache) == expected);
        cache.save(true);
      }
      // The headers stay and every weight becomes zero: a load that read one would show it.
      for (const auto& entry : fs::directory_iterator(model.path())) {
        if (entry.path().extension() != ".safetensors" || entry.path().stem() == "golden") continue;
        std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
        std::uint64_t header = 0;
        file.read(reinterpret_cast<char*>(&header), sizeof(header));
        file.seekp(static_cast<std::streamoff>(sizeof(header) + header));
        file << std::string(fs::file_size(entry.path()) - sizeof(header) - header, '\0');
      }
      PackedWeightCache cache(place, {.threads = 2}, platform);
      CHECK(cache.mapped_bytes() == fs::file_size(packed.file("w")));
      CHECK(run(model.path(), scheme, &cache) == expected);
      const auto written = fs::last_write_time(packed.file("w"));
      cache.save(true);
      CHECK(fs::last_write_time(packed.file("w")) == written);
    }
  }
}

TEST_CASE("a quantised checkpoint's weights come from a packed file as they are") {
  for (const char* fixture : {"tests/golden/models/qwen3_5", "tests/golden/models/granitemoehybrid_moe"}) {
    for (const Quantization form : {Quantization::kInt8, Quantization::kInt4}) {
      CAPTURE(fixture, static_cast<int>(form));
      const TempFolder model;
      const TempFolder packed;
      QuantizeOptions options;
      options.source = (fs::path(KRAIT_SOURCE_DIR) / fixture).string();
      options.target = model.path();
      options.weights = form;
      options.threads = 1;
      static_cast<void>(quantize_checkpoint(options));
      const PackedWeightsPlace place{.folder = packed.path(), .file_name = "w", .identity = 7};
      const Scheme scheme{Quantization::kNone, DType::kInt8};
      CpuPlatform platform({.threads = 1});
      const Run expected = run(model.path(), scheme, nullptr);
      for (const bool again : {false, true}) {
        PackedWeightCache cache(place, {.threads = 1}, platform);
        CHECK((cache.mapped_bytes() > 0) == again);
        CHECK(run(model.path(), scheme, &cache) == expected);
        cache.save(true);
      }
    }
  }
}

TEST_CASE("the second load takes the file of the first, and each setting has its own") {
  PackedDemo demo;
  CHECK_FALSE(demo.serves_packed(demo.options()));
  CHECK(demo.files().size() == 1);
  CHECK(demo.notes().find("packed weights: wrote ") != std::string::npos);
  CHECK(demo.serves_packed(demo.options()));
  CHECK(demo.notes().empty());
  LoadOptions options = demo.options();
  options.threads = 2;
  CHECK(demo.serves_packed(options));
  options = demo.options();
  options.quantization = Quantization::kInt4;
  CHECK_FALSE(demo.serves_packed(options));
  CHECK(demo.serves_packed(options));
  options.compute_dtype = DType::kInt8;
  CHECK_FALSE(demo.serves_packed(options));
  options.cpu_isa = "portable";
  CHECK_FALSE(demo.serves_packed(options));
  CHECK(demo.serves_packed(options));
  CHECK(demo.serves_packed(demo.options()));
  CHECK(demo.files().size() == 4);
  CHECK(demo.warnings().empty());
}

TEST_CASE("a checkpoint that changed is packed anew, even when its size and time are the same") {
  PackedDemo demo;
  CHECK_FALSE(demo.serves_packed(demo.options()));
  damage(demo.model().file("model.safetensors"), 1);
  demo.expect_other_answers();
  CHECK_FALSE(demo.serves_packed(demo.options()));
  CHECK(demo.notes().find("is of another state of the checkpoint") != std::string::npos);
  CHECK(demo.serves_packed(demo.options()));
  // Replaced by a copy, or a config that means other weights.
  fs::copy_file(demo.model().file("model.safetensors"), demo.model().file("copy"));
  fs::rename(demo.model().file("copy"), demo.model().file("model.safetensors"));
  CHECK_FALSE(demo.serves_packed(demo.options()));
  std::ofstream(demo.model().file("config.json"), std::ios::app) << "\n";
  CHECK_FALSE(demo.serves_packed(demo.options()));
  CHECK(demo.serves_packed(demo.options()));
  CHECK(demo.files().size() == 1);
}

TEST_CASE("a damaged file of packed weights is named, and replaced by a whole one") {
  PackedDemo demo;
  CHECK_FALSE(demo.serves_packed(demo.options()));
  const std::string path = demo.files().front();
  const auto size = static_cast<std::int64_t>(fs::file_size(path));
  for (const std::int64_t from_end : {std::int64_t{1}, std::int64_t{200}, size / 2, size - 100}) {
    CAPTURE(from_end);
    damage(path, from_end);
    CHECK_FALSE(demo.serves_packed(demo.options()));
    CHECK(demo.warnings().find(path) != std::string::npos);
    CHECK(demo.serves_packed(demo.options()));
  }
  for (const std::int64_t bytes : {std::int64_t{0}, std::int64_t{100}, size - 1}) {
    CAPTURE(bytes);
    fs::resize_file(path, static_cast<std::uintmax_t>(bytes));
    CHECK_FALSE(demo.serves_packed(demo.options()));
    CHECK(demo.warnings().find(path) != std::string::npos);
  }
  CHECK(demo.serves_packed(demo.options()));
}

TEST_CASE("a folder that cannot be written is refused, unless nothing has to be written") {
  PackedDemo demo;
  CHECK_FALSE(demo.serves_packed(demo.options()));
  const std::string path = demo.files().front();
  // Nobody can write a file in the place of this folder, not even root.
  fs::create_directory(path + ".partial");
  CHECK(demo.serves_packed(demo.options()));
  damage(path, 1);
  const std::string message = startup_error_message([&] { ServingModel::load(demo.options()); });
  CHECK(message.find("--packed-weights-dir: " + path + ".partial cannot be created: ") == 0);
  LoadOptions options = demo.options();
  options.packed_weights_dir = demo.model().file("config.json");
  CHECK(startup_error_message([&] { ServingModel::load(options); }).find("--packed-weights-dir: ") == 0);
}

TEST_CASE("while another process writes the file, a load packs for itself") {
  PackedDemo demo;
  CHECK_FALSE(demo.serves_packed(demo.options()));
  const std::string path = demo.files().front();
  fs::remove(path);
  auto other = PackedFileWriter::begin(path);
  REQUIRE((other.ok() && *other != nullptr));
  CHECK_FALSE(demo.serves_packed(demo.options()));
  CHECK(demo.notes().find("is being written by another process") != std::string::npos);
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("krait info says whether there are packed weights") {
  PackedDemo demo;
  ModelSummary plan = plan_model(demo.options());
  CHECK_FALSE(plan.packed_weights_file.empty());
  CHECK(plan.packed_weights_fault == plan.packed_weights_file + " is not there");
  CHECK_FALSE(demo.serves_packed(demo.options()));
  plan = plan_model(demo.options());
  CHECK(plan.packed_weights_file == demo.files().front());
  CHECK(plan.packed_weights_fault.empty());
}
