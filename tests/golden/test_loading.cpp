// Loading a checkpoint of several shards: what it takes while it runs.

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/serving_model.h"
#include "tests/models/config/startup_error_message.h"
#include "tests/temp_folder.h"

using namespace krait;
using namespace krait::test;
using nlohmann::json;

namespace {

constexpr int kHidden = 512;
constexpr int kInner = 2048;
constexpr int kLayers = 8;
constexpr int kVocab = 4096;

/// Anonymous memory of this process in bytes: what mapped files take is not in it.
std::size_t anonymous_memory() {
  std::ifstream file("/proc/self/status");
  std::string key;
  while (file >> key) {
    std::size_t kilobytes = 0;
    if (key == "RssAnon:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

/// Writes tensors of bfloat16 zeros into shards, each tensor at an odd offset of its file.
class ShardWriter {
 public:
  ShardWriter(const TempFolder& folder, int shards) : folder_(folder), headers_(static_cast<std::size_t>(shards)) {
    for (std::size_t i = 0; i < headers_.size(); ++i) sizes_.push_back(0);
  }
  void add(const std::string& name, std::int64_t rows, std::int64_t columns) {
    const std::size_t shard = next_++ % headers_.size();
    const std::size_t bytes = static_cast<std::size_t>(rows * columns) * 2;
    json shape = columns == 1 ? json{rows} : json{rows, columns};
    headers_[shard][name] = {
        {"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {sizes_[shard], sizes_[shard] + bytes}}};
    sizes_[shard] += bytes;
    index_["weight_map"][name] = file_name(shard);
    largest_ = std::max(largest_, bytes);
  }
  void finish() {
    for (std::size_t i = 0; i < headers_.size(); ++i) {
      std::string header = headers_[i].dump();
      if (header.size() % 2 == 0) header += ' ';
      std::string bytes(8, '\0');
      for (std::size_t b = 0; b < 8; ++b) bytes[b] = static_cast<char>((header.size() >> (8 * b)) & 0xffU);
      folder_.write(file_name(i), bytes + header + std::string(sizes_[i], '\0'));
    }
    folder_.write("model.safetensors.index.json", index_.dump());
  }
  [[nodiscard]] std::size_t largest() const { return largest_; }

 private:
  static std::string file_name(std::size_t shard) { return "model-" + std::to_string(shard) + ".safetensors"; }
  const TempFolder& folder_;
  std::vector<json> headers_;
  std::vector<std::size_t> sizes_;
  json index_;
  std::size_t next_ = 0;
  std::size_t largest_ = 0;
};

void write_llama(const TempFolder& folder, ShardWriter& shards) {
  folder.write("config.json", json({{"architectures", {"LlamaForCausalLM"}},
                                    {"model_type", "llama"},
                                    {"hidden_size", kHidden},
                                    {"intermediate_size", kInner},
                                    {"num_attention_heads", 8},
                                    {"num_key_value_heads", 8},
                                    {"num_hidden_layers", kLayers},
                                    {"vocab_size", kVocab},
                                    {"rms_norm_eps", 1e-5},
                                    {"hidden_act", "silu"},
                                    {"max_position_embeddings", 64},
                                    {"tie_word_embeddings", false}})
                                  .dump());
  shards.add("model.embed_tokens.weight", kVocab, kHidden);
  for (int i = 0; i < kLayers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      shards.add(layer + "self_attn." + name + ".weight", kHidden, kHidden);
    }
    shards.add(layer + "mlp.gate_proj.weight", kInner, kHidden);
    shards.add(layer + "mlp.up_proj.weight", kInner, kHidden);
    shards.add(layer + "mlp.down_proj.weight", kHidden, kInner);
    shards.add(layer + "input_layernorm.weight", kHidden, 1);
    shards.add(layer + "post_attention_layernorm.weight", kHidden, 1);
  }
  shards.add("model.norm.weight", kHidden, 1);
  shards.add("lm_head.weight", kVocab, kHidden);
  shards.finish();
}

LoadOptions options_of(const TempFolder& folder) {
  LoadOptions options;
  options.model_path = folder.path();
  options.threads = 1;
  options.cache_memory.bytes = std::size_t{16} << 20;
  return options;
}

}  // namespace

TEST_CASE("loading takes the packed weights and the largest tensor, also where data is misaligned") {
  const TempFolder folder;
  ShardWriter shards(folder, 3);
  write_llama(folder, shards);
  LoadOptions options = options_of(folder);
  const std::size_t before = anonymous_memory();
  std::size_t most = before;
  std::size_t done = 0;
  std::size_t total = 0;
  options.on_progress = [&](const LoadProgress& progress) {
    most = std::max(most, anonymous_memory());
    CHECK(progress.bytes_done >= done);
    done = progress.bytes_done;
    total = progress.bytes_total;
  };
  const auto model = ServingModel::load(options);
  CHECK(done == total);
  CHECK(model->summary().read_bytes == total);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // Stacks and the allocator take a little.
  constexpr std::size_t kSlack = std::size_t{4} << 20;
  REQUIRE(before > 0);
  CHECK(most - before <= model->summary().weight_bytes + shards.largest() + kSlack);
#endif
}

TEST_CASE("a checkpoint that is quantised in a way that is not read is refused by the name of the way") {
  const TempFolder folder;
  ShardWriter shards(folder, 1);
  write_llama(folder, shards);
  std::ifstream file(folder.file("config.json"));
  json config = json::parse(file);
  config["quantization_config"] = {{"quant_method", "bitsandbytes"}, {"bits", 4}};
  folder.write("config.json", config.dump());
  const std::string message = startup_error_message([&] { ServingModel::load(options_of(folder)); });
  CHECK_THAT(message, Catch::Contains("config.json: `quantization_config.quant_method` is 'bitsandbytes'"));
  const ModelSummary plan = plan_model(options_of(folder));
  CHECK(plan.quantization == "bitsandbytes, which is not read");
  CHECK(plan.parameters > 0);
}
